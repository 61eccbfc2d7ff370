/* Lengths in the input are believed only as far as bytes follow: no memory is spent on a length alone. */
#include "script/msgpack_decode.h"
#include "base/likely.h"
#include <endian.h>
#include <lua5.1/lauxlib.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { BATCH = 16 }; /* items of an array that wait on the stack, to tell how large the table must be */

struct msgpack_reader {
    lua_State *L;
    const unsigned char *p, *end;
};

static void read_value(struct msgpack_reader *r);

static void refuse(struct msgpack_reader *r) {
    luaL_error(r->L, "Bad data format in input.");
}

/* The next n bytes. */
static const unsigned char *take(struct msgpack_reader *r, size_t n) {
    const unsigned char *p = r->p;
    if (unlikely((size_t)(r->end - p) < n)) luaL_error(r->L, "Missing bytes in input.");
    r->p += n;
    return p;
}

/* A number of 1, 2, 4 or 8 bytes, the highest first. */
static uint64_t take_number(struct msgpack_reader *r, size_t bytes) {
    uint64_t big = 0;
    memcpy((char *)&big + sizeof big - bytes, take(r, bytes), bytes);
    return be64toh(big);
}

static void read_string(struct msgpack_reader *r, size_t len) {
    const unsigned char *bytes = take(r, len);
    lua_pushlstring(r->L, (const char *)bytes, len);
}

static void read_float(struct msgpack_reader *r) {
    uint32_t bits = (uint32_t)take_number(r, 4);
    float value;
    memcpy(&value, &bits, sizeof value);
    lua_pushnumber(r->L, value);
}

static void read_double(struct msgpack_reader *r) {
    uint64_t bits = take_number(r, 8);
    double value;
    memcpy(&value, &bits, sizeof value);
    lua_pushnumber(r->L, value);
}

/* Turn n values on the stack, above one free slot, into an array in that slot. It has the room that it would have if
 * it had grown item by item, so that later changes by the script order its keys as in Redis. A nil among the values
 * changes how a table grows: then it does grow item by item. */
static void gather(lua_State *L, int n, bool nils) {
    int room = n > 2 ? 1 << (32 - __builtin_clz((unsigned)n - 1)) : n;
    lua_createtable(L, nils ? 0 : room, 0);
    lua_replace(L, -n - 2);
    for (int i = 1; nils && i <= n; i++) {
        lua_pushvalue(L, i - n - 1);
        lua_rawseti(L, -n - 2, i);
    }
    if (nils) lua_pop(L, n);
    for (int i = n; !nils && i; i--)
        lua_rawseti(L, -i - 1, i);
}

static bool begins_table(const struct msgpack_reader *r) {
    return r->p < r->end && ((*r->p >= 0x80 && *r->p < 0xa0) || (*r->p >= 0xdc && *r->p <= 0xdf));
}

static void read_array(struct msgpack_reader *r, uint32_t items) {
    luaL_checkstack(r->L, 2, "in function mp_decode_to_lua_array");
    int n = 0, batch = lua_checkstack(r->L, BATCH + 4) ? BATCH : 0;
    bool nils = false;
    lua_pushnil(r->L);
    for (; (uint32_t)n < items && n < batch && !begins_table(r); n++) {
        read_value(r);
        nils |= lua_isnil(r->L, -1);
    }
    gather(r->L, n, nils);
    for (uint32_t i = (uint32_t)n; i < items; i++) {
        lua_pushnumber(r->L, i + 1.0);
        read_value(r);
        lua_rawset(r->L, -3);
    }
}

static void read_map(struct msgpack_reader *r, uint32_t pairs) {
    lua_newtable(r->L);
    while (pairs--) {
        read_value(r);
        read_value(r);
        lua_rawset(r->L, -3);
    }
}

static void push_unsigned(struct msgpack_reader *r, size_t bytes) {
    lua_pushnumber(r->L, (double)(int64_t)take_number(r, bytes)); /* signed: Redis reads 2^63 as -2^63 */
}

static void push_signed(struct msgpack_reader *r, size_t bytes) {
    unsigned shift = 8 * (8 - (unsigned)bytes);
    lua_pushnumber(r->L, (double)((int64_t)(take_number(r, bytes) << shift) >> shift));
}

/* The types from 0xc0 to 0xdf. */
static void read_typed(struct msgpack_reader *r, unsigned char type) {
    switch (type) {
    case 0xc0: lua_pushnil(r->L); break;
    case 0xc2: lua_pushboolean(r->L, false); break;
    case 0xc3: lua_pushboolean(r->L, true); break;
    case 0xca: read_float(r); break;
    case 0xcb: read_double(r); break;
    case 0xcc: push_unsigned(r, 1); break;
    case 0xcd: push_unsigned(r, 2); break;
    case 0xce: push_unsigned(r, 4); break;
    case 0xcf: push_unsigned(r, 8); break;
    case 0xd0: push_signed(r, 1); break;
    case 0xd1: push_signed(r, 2); break;
    case 0xd2: push_signed(r, 4); break;
    case 0xd3: push_signed(r, 8); break;
    case 0xd9: read_string(r, take_number(r, 1)); break;
    case 0xda: read_string(r, take_number(r, 2)); break;
    case 0xdb: read_string(r, take_number(r, 4)); break;
    case 0xdc: read_array(r, (uint32_t)take_number(r, 2)); break;
    case 0xdd: read_array(r, (uint32_t)take_number(r, 4)); break;
    case 0xde: read_map(r, (uint32_t)take_number(r, 2)); break;
    case 0xdf: read_map(r, (uint32_t)take_number(r, 4)); break;
    default: refuse(r);
    }
}

/* Push the next value: of a table with all that is in it. */
static void read_value(struct msgpack_reader *r) {
    luaL_checkstack(r->L, 1, "too many return values at once; use unpack_one or unpack_limit instead.");
    unsigned char type = *take(r, 1);
    if (type < 0x80)
        lua_pushnumber(r->L, type);
    else if (type < 0x90)
        read_map(r, type & 15);
    else if (type < 0xa0)
        read_array(r, type & 15);
    else if (type < 0xc0)
        read_string(r, type & 31);
    else if (type < 0xe0)
        read_typed(r, type);
    else
        lua_pushnumber(r->L, (signed char)type);
}

/* Push up to `limit` values, 0: all. Returns how many. */
static int read_values(struct msgpack_reader *r, lua_Integer limit) {
    int n = 0;
    for (; r->p < r->end && (!limit || n < limit); n++)
        read_value(r);
    return n;
}

static struct msgpack_reader open_reader(lua_State *L, size_t *len) {
    const unsigned char *text = (const unsigned char *)luaL_checklstring(L, 1, len);
    return (struct msgpack_reader){L, text, text + *len};
}

/* Redis prints the length where it means the limit, and the numbers as C ints. */
static int decode_from(lua_State *L, lua_Integer limit, lua_Integer offset) {
    size_t len;
    struct msgpack_reader r = open_reader(L, &len);
    if (offset < 0 || limit < 0)
        return luaL_error(L, "Invalid request to unpack with offset of %d and limit of %d.", (int)offset, (int)len);
    if ((size_t)offset > len)
        return luaL_error(L, "Start offset %d greater than input length %d.", (int)offset, (int)len);
    if (!limit && !offset) return read_values(&r, 0);
    const unsigned char *start = r.p;
    r.p += offset;
    int n = limit ? read_values(&r, limit) : 0;
    luaL_checkstack(L, 1, "in function mp_unpack_full");
    lua_pushinteger(L, r.p == r.end ? -1 : r.p - start);
    lua_insert(L, -n - 1);
    return n + 1;
}

int msgpack_decode(lua_State *L) {
    return decode_from(L, 0, 0);
}

/* The other arguments give their slots to the values. */
static void leave_string(lua_State *L) {
    if (lua_gettop(L) > 1) lua_settop(L, 1);
}

int msgpack_decode_one(lua_State *L) {
    lua_Integer offset = luaL_optinteger(L, 2, 0);
    leave_string(L);
    return decode_from(L, 1, offset);
}

int msgpack_decode_limit(lua_State *L) {
    lua_Integer limit = luaL_checkinteger(L, 2), offset = luaL_optinteger(L, 3, 0);
    leave_string(L);
    return decode_from(L, limit, offset);
}
