/* See convert.h: replies become values of Lua. This is recursive. The depth is bounded by Lua's stack, of which every
 * level takes a part: 8,000 values are its end. */
#include "base/likely.h"
#include "net/conn.h"
#include "script/convert.h"
#include "script/lua_engine.h"
#include <lua5.1/lauxlib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Where reading is. The bytes were written by this server, so they are complete and well formed. Where a piece ends
 * before a string does, the string is a blob, which is the next piece. */
struct reply_reader {
    const char *p, *end;
    struct conn_walk walk; /* what follows; used only if there are blobs */
    bool is_plain;
};

static void next_piece(struct reply_reader *r) {
    struct conn_piece piece;
    if (!conn_walk_next(&r->walk, &piece)) return;
    r->p = piece.bytes.ptr;
    r->end = r->p + piece.bytes.len;
}

static void read_value(lua_State *L, struct reply_reader *r);

/* A line without its type and end. */
static struct slice read_line(struct reply_reader *r) {
    const char *start = r->p;
    const char *stop = memchr(start, '\r', (size_t)(r->end - start));
    r->p = stop + 2;
    return slice_of(start, (size_t)(stop - start));
}

static int64_t read_number(struct reply_reader *r) {
    const char *p = r->p;
    bool negative = *p == '-';
    uint64_t value = 0;
    for (p += negative; *p != '\r'; p++)
        value = value * 10 + (uint64_t)(*p - '0');
    r->p = p + 2;
    return (int64_t)(negative ? 0 - value : value);
}

static void read_string(lua_State *L, struct reply_reader *r) {
    int64_t len = read_number(r);
    if (unlikely(len < 0)) {
        lua_pushboolean(L, 0);
        return;
    }
    if (unlikely(r->p == r->end) && !r->is_plain) {
        next_piece(r);
        lua_pushlstring(L, r->p, (size_t)len);
        next_piece(r);
        r->p += 2;
        return;
    }
    lua_pushlstring(L, r->p, (size_t)len);
    r->p += len + 2;
}

/* Every C function has room for some values. Aggregates, which take some for each level, ask for more. */
static void ask_for_room(lua_State *L) {
    luaL_checkstack(L, LUA_MINSTACK, "reply of a command");
}

static void read_array(lua_State *L, struct reply_reader *r) {
    int64_t count = read_number(r);
    if (count < 0) {
        lua_pushboolean(L, 0);
        return;
    }
    ask_for_room(L);
    lua_createtable(L, (int)count, 0);
    for (int i = 1; i <= count; i++) {
        read_value(L, r);
        lua_rawseti(L, -2, i);
    }
}

/* A table with one field, whose value is on top, takes the place of that. */
static void wrap(lua_State *L, enum engine_slot name) {
    lua_createtable(L, 0, 1);
    lua_insert(L, -2);
    lua_rawgeti(L, LUA_REGISTRYINDEX, name);
    lua_insert(L, -2);
    lua_rawset(L, -3);
}

static void read_wrapped_line(lua_State *L, struct reply_reader *r, enum engine_slot name) {
    struct slice line = read_line(r);
    lua_createtable(L, 0, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, name);
    lua_pushlstring(L, line.ptr, line.len);
    lua_rawset(L, -3);
}

/* The error of a call is counted when it happens. The field says so, lest it is counted again when it is replied. */
static void read_error(lua_State *L, struct reply_reader *r) {
    r->p--; /* the dash */
    engine_push_error(L, read_line(r));
    lua_rawgeti(L, LUA_REGISTRYINDEX, ENGINE_IGNORE);
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
}

static void read_double(lua_State *L, struct reply_reader *r) {
    lua_pushnumber(L, strtod(r->p, NULL));
    read_line(r);
    wrap(L, ENGINE_DOUBLE);
}

static void read_verbatim(lua_State *L, struct reply_reader *r) {
    int64_t len = read_number(r);
    lua_createtable(L, 0, 2);
    lua_rawgeti(L, LUA_REGISTRYINDEX, ENGINE_FORMAT);
    lua_pushlstring(L, r->p, 3);
    lua_rawset(L, -3);
    lua_rawgeti(L, LUA_REGISTRYINDEX, ENGINE_STRING);
    lua_pushlstring(L, r->p + 4, (size_t)len - 4);
    lua_rawset(L, -3);
    r->p += len + 2;
    wrap(L, ENGINE_VERBATIM);
}

/* A null cannot be a key of a table: such a pair is left out. */
static void set_pair(lua_State *L) {
    if (lua_isnil(L, -2))
        lua_pop(L, 2);
    else
        lua_rawset(L, -3);
}

static void read_map(lua_State *L, struct reply_reader *r) {
    int64_t count = read_number(r);
    ask_for_room(L);
    lua_createtable(L, 0, (int)count);
    for (int64_t i = 0; i < count; i++) {
        read_value(L, r);
        read_value(L, r);
        set_pair(L);
    }
    wrap(L, ENGINE_MAP);
}

static void read_set(lua_State *L, struct reply_reader *r) {
    int64_t count = read_number(r);
    ask_for_room(L);
    lua_createtable(L, 0, (int)count);
    for (int64_t i = 0; i < count; i++) {
        read_value(L, r);
        lua_pushboolean(L, 1);
        set_pair(L);
    }
    wrap(L, ENGINE_SET);
}

/* Attributes are dropped: the value that they are about follows. */
static void skip_attributes(lua_State *L, struct reply_reader *r) {
    ask_for_room(L);
    for (int64_t left = 2 * read_number(r); left > 0; left--) {
        read_value(L, r);
        lua_pop(L, 1);
    }
    read_value(L, r);
}

static __attribute__((noinline)) void read_resp3(lua_State *L, struct reply_reader *r, char type) {
    switch (type) {
    case '%': read_map(L, r); break;
    case '~': read_set(L, r); break;
    case ',': read_double(L, r); break;
    case '#': lua_pushboolean(L, *r->p == 't'), r->p += 3; break;
    case '(': read_wrapped_line(L, r, ENGINE_BIG_NUMBER); break;
    case '=': read_verbatim(L, r); break;
    case '|': skip_attributes(L, r); break;
    case '>': read_array(L, r); break;
    default: lua_pushnil(L), r->p += 2; break; /* _ */
    }
}

static void read_value(lua_State *L, struct reply_reader *r) {
    if (unlikely(r->p == r->end)) next_piece(r);
    char type = *r->p++;
    switch (type) {
    case '$': read_string(L, r); break;
    case ':': lua_pushnumber(L, (lua_Number)read_number(r)); break;
    case '*': read_array(L, r); break;
    case '+': read_wrapped_line(L, r, ENGINE_OK); break;
    case '-': read_error(L, r); break;
    default: read_resp3(L, r, type); break;
    }
}

void convert_to_lua(lua_State *L, size_t mark) {
    if (unlikely(conn_mark() == mark)) { /* the command has replied nothing */
        lua_pushnil(L);
        return;
    }
    struct reply_reader reader = {.is_plain = conn_is_plain(mark)};
    if (likely(reader.is_plain)) {
        struct slice all = conn_written(mark);
        reader.p = all.ptr;
        reader.end = all.ptr + all.len;
    } else {
        reader.walk = conn_walk(mark, conn_mark());
        next_piece(&reader);
    }
    read_value(L, &reader);
}
