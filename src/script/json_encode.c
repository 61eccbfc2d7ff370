/* The value to be written is on top of the Lua stack; a put_*() leaves the stack as it was. At each table three free
 * slots are made sure of: a key, a value, and what the buffer needs to grow. */
#include "script/json_encode.h"
#include "script/json_number.h"
#include "script/json_settings.h"
#include "script/lib_buf.h"
#include "script/protect.h"
#include <limits.h>
#include <lua5.1/lauxlib.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { SLOTS_OF_TABLE = 3 };

struct json_encoder {
    struct lib_buf out;
    lua_State *L;
    const struct json_settings *settings;
};

static void put_value(struct json_encoder *e, int depth);

static int refuse(struct json_encoder *e, int index, const char *reason) {
    return luaL_error(e->L, "Cannot serialise %s: %s", luaL_typename(e->L, index), reason);
}

static void put_text(struct json_encoder *e, const char *text, size_t len) {
    memcpy(lib_buf_reserve(&e->out, len), text, len);
    e->out.len += len;
}

/* --- Strings --------------------------------------------------------------------------------- */

static const bool escaped[256] = {[0 ... 31] = true, ['"'] = true, ['\\'] = true, ['/'] = true, [127] = true};

/* Is one of eight bytes to be escaped? Each line raises the top bit of a byte that it looks for; the bit of a byte
 * above such a one may be raised too, which does not matter for a yes or no. */
static bool escapes_in(uint64_t bytes) {
    const uint64_t ones = 0x0101010101010101u;
    uint64_t quote = bytes ^ ones * '"', backslash = bytes ^ ones * '\\', slash = bytes ^ ones * '/',
             delete = bytes ^ ones * 127;
    uint64_t found = (bytes - ones * 32) & ~bytes;
    found |= (quote - ones) & ~quote;
    found |= (backslash - ones) & ~backslash;
    found |= (slash - ones) & ~slash;
    found |= (delete - ones) & ~delete;
    return found & ones << 7;
}

static char *copy_plain(char *to, const char **from, const char *end) {
    const char *p = *from;
    for (uint64_t bytes; end - p >= 8; p += 8, to += 8) {
        memcpy(&bytes, p, sizeof bytes);
        if (escapes_in(bytes)) break;
        memcpy(to, &bytes, sizeof bytes);
    }
    while (p < end && !escaped[(unsigned char)*p])
        *to++ = *p++;
    *from = p;
    return to;
}

static char *print_escape(char *to, unsigned char byte) {
    static const char letters[] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"', ['/'] = '/', ['\\'] = '\\'};
    static const char hex[] = "0123456789abcdef";
    *to++ = '\\';
    if (byte < sizeof letters && letters[byte]) {
        *to++ = letters[byte];
        return to;
    }
    memcpy(to, "u00", 3);
    to[3] = hex[byte >> 4];
    to[4] = hex[byte & 15];
    return to + 5;
}

/* Room is made for the rest of the string as it is, and for one escape and the quote. */
static void put_string(struct json_encoder *e, const char *s, size_t len) {
    const char *end = s + len;
    char *to = lib_buf_reserve(&e->out, len + 2);
    *to++ = '"';
    while ((to = copy_plain(to, &s, end)), s < end) {
        unsigned char byte = (unsigned char)*s++;
        e->out.len = (size_t)(to - e->out.data);
        to = print_escape(lib_buf_reserve(&e->out, (size_t)(end - s) + 7), byte);
    }
    *to++ = '"';
    e->out.len = (size_t)(to - e->out.data);
}

static void put_string_at(struct json_encoder *e, int index) {
    size_t len;
    const char *s = lua_tolstring(e->L, index, &len);
    put_string(e, s, len);
}

/* --- Numbers --------------------------------------------------------------------------------- */

static void put_invalid(struct json_encoder *e, int index, double value) {
    if (e->settings->encode_invalid == JSON_INVALID_REFUSED) refuse(e, index, "must not be NaN or Inf");
    const char *text = e->settings->encode_invalid == JSON_INVALID_NULL ? "null"
                       : isnan(value)                                   ? "nan"
                       : value > 0                                      ? "inf"
                                                                        : "-inf";
    put_text(e, text, strlen(text));
}

static void put_number(struct json_encoder *e, int index) {
    double value = lua_tonumber(e->L, index);
    if (unlikely(!isfinite(value))) {
        put_invalid(e, index, value);
        return;
    }
    e->out.len += (size_t)json_print_number(lib_buf_reserve(&e->out, JSON_NUMBER_MAX), value, e->settings->precision);
}

/* --- Tables ---------------------------------------------------------------------------------- */

/* Redis multiplies as a C int does, and this wraps around where that overflows. */
static bool is_too_sparse(const struct json_settings *s, int max, int items) {
    int limit = (int)((unsigned)items * (unsigned)s->sparse_ratio);
    return s->sparse_ratio > 0 && max > limit && max > s->sparse_safe;
}

/* The length of the array on top; 0: it is an object, for it is empty or has other keys than 1, 2, 3... */
static int array_length(struct json_encoder *e) {
    int max = 0, items = 0;
    lua_pushnil(e->L);
    for (; lua_next(e->L, -2); lua_pop(e->L, 1)) {
        double key = lua_type(e->L, -2) == LUA_TNUMBER ? lua_tonumber(e->L, -2) : 0;
        if (!(key >= 1 && key <= INT_MAX) || key != (int)key) {
            lua_pop(e->L, 2);
            return 0;
        }
        if ((int)key > max) max = (int)key;
        items++;
    }
    if (!is_too_sparse(e->settings, max, items)) return max;
    if (!e->settings->sparse_convert) refuse(e, -1, "excessively sparse array");
    return 0;
}

static void put_array(struct json_encoder *e, int len, int depth) {
    lib_buf_put(&e->out, '[');
    for (int i = 1;; i++) {
        lua_rawgeti(e->L, -1, i);
        put_value(e, depth);
        lua_pop(e->L, 1);
        if (i == len) break;
        lib_buf_put(&e->out, ',');
    }
    lib_buf_put(&e->out, ']');
}

static void put_key(struct json_encoder *e, int index) {
    switch (lua_type(e->L, index)) {
    case LUA_TSTRING: put_string_at(e, index); break;
    case LUA_TNUMBER:
        lib_buf_put(&e->out, '"');
        put_number(e, index);
        lib_buf_put(&e->out, '"');
        break;
    default: refuse(e, index, "table key must be a number or string");
    }
    lib_buf_put(&e->out, ':');
}

static void put_pairs(struct json_encoder *e, int depth) {
    size_t start = e->out.len;
    lua_pushnil(e->L);
    for (; lua_next(e->L, -2); lua_pop(e->L, 1)) {
        if (e->out.len > start) lib_buf_put(&e->out, ',');
        put_key(e, -2);
        put_value(e, depth);
    }
}

/* A table that looks empty may stand for another one, which scripts cannot change. */
static void put_object(struct json_encoder *e, int depth) {
    lib_buf_put(&e->out, '{');
    size_t start = e->out.len;
    put_pairs(e, depth);
    if (e->out.len == start && protect_push_real(e->L, -1)) {
        luaL_checkstack(e->L, SLOTS_OF_TABLE, "in encode");
        put_pairs(e, depth);
        lua_pop(e->L, 1);
    }
    lib_buf_put(&e->out, '}');
}

static void put_table(struct json_encoder *e, int depth) {
    if (depth > e->settings->encode_max_depth || !lua_checkstack(e->L, SLOTS_OF_TABLE))
        luaL_error(e->L, "Cannot serialise, excessive nesting (%d)", depth);
    int len = array_length(e);
    if (len)
        put_array(e, len, depth);
    else
        put_object(e, depth);
}

static void put_value(struct json_encoder *e, int depth) {
    int type = lua_type(e->L, -1);
    switch (type) {
    case LUA_TSTRING: put_string_at(e, -1); break;
    case LUA_TNUMBER: put_number(e, -1); break;
    case LUA_TTABLE: put_table(e, depth + 1); break;
    case LUA_TNIL: put_text(e, "null", 4); break;
    case LUA_TBOOLEAN:
        if (lua_toboolean(e->L, -1))
            put_text(e, "true", 4);
        else
            put_text(e, "false", 5);
        break;
    default:
        if (type != LUA_TLIGHTUSERDATA || lua_touserdata(e->L, -1)) refuse(e, -1, "type not supported");
        put_text(e, "null", 4);
    }
}

int json_encode(lua_State *L) {
    struct json_encoder e = {.L = L, .settings = json_settings_of(L)};
    luaL_argcheck(L, lua_gettop(L) == 1, 1, "expected 1 argument");
    lib_buf_open(&e.out, L, JSON_UPVALUE_BUFFER);
    put_value(&e, 0);
    lib_buf_push(&e.out, e.settings->keep_buffer);
    return 1;
}
