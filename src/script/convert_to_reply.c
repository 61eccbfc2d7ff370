/* See convert.h: values of Lua become replies. This is recursive; the depth is bounded as in convert_to_lua.c. */
#include "base/likely.h"
#include "net/conn.h"
#include "net/resp_out.h"
#include "script/convert.h"
#include "script/lua_engine.h"
#include "script/protect.h"
#include "session/client.h"
#include "session/reply.h"
#include <lua5.1/lauxlib.h>
#include <stdint.h>
#include <string.h>

struct reply_writer {
    struct client *client;
    int resp;   /* of the script */
    size_t end; /* of the arena: beyond that, the reply is too long */
};

static void write_value(lua_State *L, struct reply_writer *w);
static void write_typed(lua_State *L, struct reply_writer *w, int type);

/* What a conversion of the CPU gives for all that is out of range, not-a-number included. */
static int64_t integer_of(lua_Number number) {
    if (likely(number > -0x1p63 && number < 0x1p63)) return (int64_t)number;
    return INT64_MIN;
}

/* The field of the table on top is pushed. True: it has the wanted type; else it is popped again. */
static bool push_field(lua_State *L, enum engine_slot name, int type) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, name);
    lua_rawget(L, -2);
    if (lua_type(L, -1) == type) return true;
    lua_pop(L, 1);
    return false;
}

/* A string that becomes a line: it ends at its first NUL. */
static struct slice line_of(lua_State *L) {
    return slice_cstr(lua_tostring(L, -1));
}

static void write_error(lua_State *L, struct reply_writer *w) {
    const char *text = lua_tostring(L, -1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, ENGINE_IGNORE);
    lua_rawget(L, -3);
    if (lua_toboolean(L, -1))
        reply_error_again(w->client, slice_cstr(text));
    else
        reply_error(w->client, text);
    lua_pop(L, 1);
}

static void write_status(lua_State *L, struct reply_writer *w) {
    (void)w;
    resp_out_clean_line('+', line_of(L));
}

static void write_double(lua_State *L, struct reply_writer *w) {
    reply_double(w->client, lua_tonumber(L, -1));
}

static void write_big_number(lua_State *L, struct reply_writer *w) {
    size_t len;
    const char *digits = lua_tolstring(L, -1, &len);
    if (w->client->resp == 3) {
        resp_out_clean_line('(', slice_of(digits, len));
        return;
    }
    resp_out_header('$', (int64_t)len);
    resp_out_clean(slice_of(digits, len));
    conn_write("\r\n", 2);
}

/* A format of Lua has any length; that of the protocol has three characters. */
static void write_verbatim_text(lua_State *L, struct reply_writer *w) {
    char format[4] = "   ";
    size_t len;
    const char *text = lua_tolstring(L, -1, &len), *given = lua_tostring(L, -2);
    for (int i = 0; i < 3 && given[i]; i++)
        format[i] = given[i];
    reply_verbatim(w->client, slice_of(text, len), format);
}

static bool try_verbatim(lua_State *L, struct reply_writer *w) {
    if (!push_field(L, ENGINE_VERBATIM, LUA_TTABLE)) return false;
    bool is_written = false;
    lua_rawgeti(L, LUA_REGISTRYINDEX, ENGINE_FORMAT);
    lua_rawget(L, -2);
    lua_rawgeti(L, LUA_REGISTRYINDEX, ENGINE_STRING);
    lua_rawget(L, -3);
    if (lua_type(L, -1) == LUA_TSTRING && lua_type(L, -2) == LUA_TSTRING) {
        write_verbatim_text(L, w);
        is_written = true;
    }
    lua_pop(L, 3);
    return is_written;
}

static void write_map(lua_State *L, struct reply_writer *w) {
    size_t place = reply_hold(w->client), pairs = 0;
    protect_unveil(L, lua_gettop(L)); /* what is meant are the pairs of a protected table */
    for (lua_pushnil(L); lua_next(L, -2); pairs++) {
        lua_pushvalue(L, -2);
        write_value(L, w);
        write_value(L, w);
    }
    reply_map_at(w->client, place, pairs);
}

static void write_set(lua_State *L, struct reply_writer *w) {
    size_t place = reply_hold(w->client), elements = 0;
    protect_unveil(L, lua_gettop(L));
    for (lua_pushnil(L); lua_next(L, -2); elements++) {
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        write_value(L, w);
    }
    reply_set_at(w->client, place, elements);
}

/* Tables that stand for something else than an array, in the order in which Redis looks. */
static bool try_fields(lua_State *L, struct reply_writer *w) {
    static const struct {
        enum engine_slot name;
        int type;
        void (*write)(lua_State *L, struct reply_writer *w);
    } forms[] = {
        {ENGINE_ERR, LUA_TSTRING, write_error},     {ENGINE_OK, LUA_TSTRING, write_status},
        {ENGINE_DOUBLE, LUA_TNUMBER, write_double}, {ENGINE_MAP, LUA_TTABLE, write_map},
        {ENGINE_SET, LUA_TTABLE, write_set},        {ENGINE_BIG_NUMBER, LUA_TSTRING, write_big_number},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (!push_field(L, forms[i].name, forms[i].type)) continue;
        forms[i].write(L, w);
        lua_pop(L, 1);
        return true;
    }
    return try_verbatim(L, w);
}

/* Does the table on top have nothing but the elements 1 to n? */
static bool is_array(lua_State *L, int n) {
    if (n == 0)
        lua_pushnil(L);
    else
        lua_pushinteger(L, n);
    if (!lua_next(L, -2)) return true;
    lua_pop(L, 2);
    return false;
}

/* The header of an array says n elements, and there are fewer: a nil is among them. */
static void correct_header(size_t place, int n, int count) {
    char before[RESP_OUT_HEADER_MAX], after[RESP_OUT_HEADER_MAX];
    size_t old = (size_t)(resp_out_put_header(before, '*', n) - before);
    size_t new = (size_t)(resp_out_put_header(after, '*', count) - after);
    if (conn_arena.refuses) return;
    char *at = conn_arena.data + place;
    memmove(at + new, at + old, conn_mark() - place - old);
    memcpy(at, after, new);
    conn_arena.len -= old - new;
}

/* An array ends at its first nil. Lua's length is that, unless there are holes: then it may be behind a later one. */
static void write_array(lua_State *L, struct reply_writer *w, int n) {
    size_t place = conn_mark();
    reply_array(w->client, (size_t)n);
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, -1, i);
        int type = lua_type(L, -1);
        if (unlikely(type == LUA_TNIL)) {
            lua_pop(L, 1);
            correct_header(place, n, i - 1);
            return;
        }
        write_typed(L, w, type);
    }
}

static void write_table(lua_State *L, struct reply_writer *w) {
    if (unlikely(conn_arena.refuses)) return;
    int n = (int)lua_objlen(L, -1);
    if (is_array(L, n) || !try_fields(L, w)) write_array(L, w, n);
}

static void write_boolean(lua_State *L, struct reply_writer *w) {
    bool value = lua_toboolean(L, -1);
    if (w->resp == 3)
        reply_bool(w->client, value);
    else if (value)
        reply_int(w->client, 1);
    else
        reply_null(w->client);
}

/* Redis asks for room for 4 values at one place less of depth. A table needs this room; what is no table has to fit
 * only. */
#define LEVEL_VALUES 5

static bool is_too_deep(lua_State *L, int type) {
    if (likely(type != LUA_TTABLE)) return unlikely(lua_gettop(L) + LEVEL_VALUES > LUAI_MAXCSTACK);
    return !lua_checkstack(L, LEVEL_VALUES);
}

/* The value on top, which is of this type, is written and popped. */
static void write_typed(lua_State *L, struct reply_writer *w, int type) {
    struct slice text;
    if (is_too_deep(L, type)) {
        reply_error(w->client, "ERR reached lua stack limit");
        lua_pop(L, 1);
        return;
    }
    /* A table that is in itself twice is a tree that never ends. */
    if (unlikely(conn_mark() > w->end)) luaL_error(L, "the reply of the script takes too much memory");
    switch (type) {
    case LUA_TSTRING:
        text.ptr = lua_tolstring(L, -1, &text.len);
        resp_out_bulk(text);
        break;
    case LUA_TNUMBER: resp_out_header(':', integer_of(lua_tonumber(L, -1))); break;
    case LUA_TBOOLEAN: write_boolean(L, w); break;
    case LUA_TTABLE: write_table(L, w); break;
    default: reply_null(w->client); break;
    }
    lua_pop(L, 1);
}

static void write_value(lua_State *L, struct reply_writer *w) {
    write_typed(L, w, lua_type(L, -1));
}

void convert_to_reply(lua_State *L, struct client *c, int resp) {
    size_t limit = engine_options.memory_limit ? (size_t)engine_options.memory_limit : SIZE_MAX / 2;
    struct reply_writer writer = {.client = c, .resp = resp, .end = conn_mark() + limit};
    write_value(L, &writer);
}
