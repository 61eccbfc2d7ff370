/* The value to be written is on top of the Lua stack; a put_*() leaves the stack as it was. What MessagePack cannot
 * hold, and tables deeper than 16, become nil, as in Redis. */
#include "script/msgpack_encode.h"
#include "script/lib_buf.h"
#include "script/protect.h"
#include <endian.h>
#include <lua5.1/lauxlib.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
    BUFFER_UPVALUE = 1,
    DEPTH_MAX = 16,
    SLOTS = 4 * DEPTH_MAX + 4, /* at each depth a table, another one, a key, a value; and what the buffer needs */
};

static void put_value(struct lib_buf *out, int depth);

static void put_bytes(struct lib_buf *out, const void *bytes, size_t n) {
    memcpy(lib_buf_reserve(out, n), bytes, n);
    out->len += n;
}

/* A byte that tells the type, and `value` in 1, 2, 4 or 8 bytes, the highest first. */
static void put_sized(struct lib_buf *out, unsigned char type, uint64_t value, size_t bytes) {
    char *to = lib_buf_reserve(out, 9);
    uint64_t big = htobe64(value << (8 * (8 - bytes)));
    *to = (char)type;
    memcpy(to + 1, &big, sizeof big);
    out->len += 1 + bytes;
}

static void put_byte(struct lib_buf *out, unsigned byte) {
    lib_buf_put(out, (char)byte);
}

/* The head of an array or a map: its length in the first byte if it is below 16, else in 2 or 4 bytes. */
static void put_length(struct lib_buf *out, unsigned char small, unsigned char type, uint64_t n) {
    if (n < 16)
        put_byte(out, small | (unsigned)n);
    else if (n <= UINT16_MAX)
        put_sized(out, type, n, 2);
    else
        put_sized(out, type + 1, n, 4);
}

static void put_string(struct lib_buf *out, int index) {
    size_t len;
    const char *s = lua_tolstring(out->L, index, &len);
    if (len < 32)
        put_byte(out, 0xa0 | (unsigned)len);
    else if (len <= UINT8_MAX)
        put_sized(out, 0xd9, len, 1);
    else if (len <= UINT16_MAX)
        put_sized(out, 0xda, len, 2);
    else if (len <= UINT32_MAX)
        put_sized(out, 0xdb, len, 4);
    else
        luaL_error(out->L, "string too long for MessagePack");
    put_bytes(out, s, len);
}

static void put_positive(struct lib_buf *out, uint64_t n) {
    if (n < 128)
        put_byte(out, (unsigned)n);
    else if (n <= UINT8_MAX)
        put_sized(out, 0xcc, n, 1);
    else if (n <= UINT16_MAX)
        put_sized(out, 0xcd, n, 2);
    else if (n <= UINT32_MAX)
        put_sized(out, 0xce, n, 4);
    else
        put_sized(out, 0xcf, n, 8);
}

static void put_negative(struct lib_buf *out, int64_t n) {
    uint64_t bits = (uint64_t)n;
    if (n >= -32)
        put_byte(out, bits & 0xff);
    else if (n >= INT8_MIN)
        put_sized(out, 0xd0, bits, 1);
    else if (n >= INT16_MIN)
        put_sized(out, 0xd1, bits, 2);
    else if (n >= INT32_MIN)
        put_sized(out, 0xd2, bits, 4);
    else
        put_sized(out, 0xd3, bits, 8);
}

/* A float if it has the same value, else a double. */
static void put_fraction(struct lib_buf *out, double value) {
    float narrow = (float)value;
    if (narrow == value) {
        uint32_t bits;
        memcpy(&bits, &narrow, sizeof bits);
        put_sized(out, 0xca, bits, 4);
    } else {
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        put_sized(out, 0xcb, bits, 8);
    }
}

static void put_number(struct lib_buf *out, int index) {
    double value = lua_tonumber(out->L, index);
    int64_t whole = value >= -0x1p63 && value < 0x1p63 ? (int64_t)value : 0;
    if ((double)whole != value)
        put_fraction(out, value);
    else if (whole >= 0)
        put_positive(out, (uint64_t)whole);
    else
        put_negative(out, whole);
}

/* Are the keys of the table on top exactly 1 to *items? If they are not, *items is unspecified. An empty table is an
 * array. */
static bool is_array(lua_State *L, uint32_t *items) {
    double max = 0;
    uint32_t n = 0;
    lua_pushnil(L);
    for (; lua_next(L, -2); lua_pop(L, 1), n++) {
        double key = lua_type(L, -2) == LUA_TNUMBER ? lua_tonumber(L, -2) : 0;
        if (!(key >= 1 && key <= INT32_MAX) || key != (double)(int32_t)key) {
            lua_pop(L, 2);
            return false;
        }
        if (key > max) max = key;
    }
    *items = n;
    return max == n;
}

static void put_array(struct lib_buf *out, uint32_t items, int depth) {
    put_length(out, 0x90, 0xdc, items);
    for (uint32_t i = 1; i <= items; i++) {
        lua_rawgeti(out->L, -1, (int)i);
        put_value(out, depth);
        lua_pop(out->L, 1);
    }
}

/* Replace the byte at `head` by a larger head for n pairs: what follows it moves. */
static void widen_head(struct lib_buf *out, size_t head, uint64_t n) {
    size_t more = n <= UINT16_MAX ? 2 : 4, len = out->len;
    lib_buf_reserve(out, more + 8);
    memmove(out->data + head + 1 + more, out->data + head + 1, len - head - 1);
    uint64_t big = htobe64(n << (8 * (8 - more)));
    out->data[head] = (char)(more == 2 ? 0xde : 0xdf);
    memcpy(out->data + head + 1, &big, more);
    out->len = len + more;
}

/* The pairs are counted while they are written: only a map of 16 pairs and more moves its bytes for its head. */
static void put_map(struct lib_buf *out, int depth) {
    size_t head = out->len, n = 0;
    put_byte(out, 0x80);
    lua_pushnil(out->L);
    for (; lua_next(out->L, -2); lua_pop(out->L, 1), n++) {
        lua_pushvalue(out->L, -2);
        put_value(out, depth);
        lua_pop(out->L, 1);
        put_value(out, depth);
    }
    if (n < 16)
        out->data[head] = (char)(0x80 | n);
    else
        widen_head(out, head, n);
}

/* A table that looks empty may stand for another one, which scripts cannot change. */
static void put_table(struct lib_buf *out, int depth) {
    uint32_t items;
    if (!is_array(out->L, &items)) {
        put_map(out, depth);
    } else if (items == 0 && protect_push_real(out->L, -1)) {
        put_map(out, depth);
        lua_pop(out->L, 1);
    } else {
        put_array(out, items, depth);
    }
}

static void put_value(struct lib_buf *out, int depth) {
    switch (lua_type(out->L, -1)) {
    case LUA_TSTRING: put_string(out, -1); break;
    case LUA_TNUMBER: put_number(out, -1); break;
    case LUA_TBOOLEAN: put_byte(out, lua_toboolean(out->L, -1) ? 0xc3 : 0xc2); break;
    case LUA_TTABLE:
        if (depth < DEPTH_MAX) {
            put_table(out, depth + 1);
            break;
        } /* fall through */
    default: put_byte(out, 0xc0);
    }
}

int msgpack_encode(lua_State *L) {
    int n = lua_gettop(L);
    luaL_argcheck(L, n, 0, "MessagePack pack needs input.");
    luaL_argcheck(L, lua_checkstack(L, n), 0, "Too many arguments for MessagePack pack.");
    luaL_checkstack(L, SLOTS, "in pack");
    struct lib_buf out;
    lib_buf_open(&out, L, BUFFER_UPVALUE);
    for (int i = 1; i <= n; i++) {
        lua_pushvalue(L, i);
        put_value(&out, 0);
        lua_pop(L, 1);
    }
    lib_buf_push(&out, true);
    return 1;
}
