/* Errors of an engine: as its API gives them to scripts, and as they end a run or a load.
 *
 * Errors that reach the top are put into words by the message handler, while the stack still tells the line; what
 * follows needs no Lua. */
#include "base/likely.h"
#include "script/catch.h"
#include "script/ldb_log.h"
#include "script/lua_engine.h"
#include "script/run.h"
#include <lua5.1/lauxlib.h>
#include <string.h>

static void push_error_text(lua_State *L, struct slice text) {
    bool has_dash = text.len && text.ptr[0] == '-';
    text = slice_without_line_end(slice_of(text.ptr + has_dash, text.len - has_dash));
    if (has_dash && memchr(text.ptr, ' ', text.len)) {
        lua_pushlstring(L, text.ptr, text.len);
        return;
    }
    lua_pushliteral(L, "ERR ");
    lua_pushlstring(L, text.ptr, text.len);
    lua_concat(L, 2);
}

void engine_push_error(lua_State *L, struct slice text) {
    lua_createtable(L, 0, 2);
    lua_rawgeti(L, LUA_REGISTRYINDEX, ENGINE_ERR);
    push_error_text(L, text);
    lua_rawset(L, -3);
}

int engine_raise(lua_State *L, const char *text) {
    if (unlikely(ldb_log_calls)) ldb_log_error(slice_cstr(text));
    engine_push_error(L, slice_cstr(text));
    return lua_error(L);
}

/* The function that raised an error, or the one that called it, if that was C. False: that is the server itself, as at
 * the end of the stack. */
static bool find_source(lua_State *L, lua_Debug *at) {
    lua_Debug below;
    if (!lua_getstack(L, 1, at)) return false;
    lua_getinfo(L, "Sl", at);
    if (at->what[0] != 'C') return true;
    if (!lua_getstack(L, 2, at)) return false;
    lua_getinfo(L, "Sl", at);
    return at->what[0] != 'C' || lua_getstack(L, 3, &below);
}

static bool is_counted(lua_State *L, int table) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, ENGINE_IGNORE);
    lua_rawget(L, table);
    bool yes = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return yes;
}

/* Push the text of the error at index 1, with its code. */
static void push_failure_text(lua_State *L) {
    switch (lua_type(L, 1)) {
    case LUA_TTABLE:
        lua_rawgeti(L, LUA_REGISTRYINDEX, ENGINE_ERR);
        lua_rawget(L, 1);
        if (!lua_isstring(L, -1)) lua_pushliteral(L, "ERR unknown error");
        break;
    case LUA_TSTRING:
    case LUA_TNUMBER:
        lua_pushliteral(L, "ERR ");
        lua_pushvalue(L, 1);
        lua_concat(L, 2);
        break;
    case LUA_TNIL: lua_pushliteral(L, "ERR nil"); break;
    case LUA_TBOOLEAN: lua_pushfstring(L, "ERR %s", lua_toboolean(L, 1) ? "true" : "false"); break;
    default: lua_pushfstring(L, "ERR %s: %p", luaL_typename(L, 1), lua_topointer(L, 1)); break;
    }
}

/* Set a field of the table on top to the value above it, which is popped. */
static void set_slot(lua_State *L, enum engine_slot name) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, name);
    lua_insert(L, -2);
    lua_rawset(L, -3);
}

/* The table is a new one, since the error may be a table that nobody may change. */
int engine_describe(lua_State *L) {
    lua_Debug at;
    bool is_found = find_source(L, &at);
    lua_settop(L, 1);
    push_failure_text(L);
    lua_tostring(L, 2); /* a number becomes a string */
    lua_createtable(L, 0, 4);
    lua_pushvalue(L, 2);
    set_slot(L, ENGINE_ERR);
    if (lua_istable(L, 1) && is_counted(L, 1)) {
        lua_pushboolean(L, 1);
        set_slot(L, ENGINE_IGNORE);
    }
    if (is_found) {
        lua_pushstring(L, at.source);
        set_slot(L, ENGINE_SOURCE);
        lua_pushinteger(L, at.currentline);
        set_slot(L, ENGINE_LINE);
    }
    return 1;
}

/* The field of the table on top, which stays; NULL if it is no string. Needs no memory. */
static const char *text_in_slot(lua_State *L, enum engine_slot name) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, name);
    lua_rawget(L, -2);
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    lua_pop(L, 1);
    return text;
}

static int line_of_error(lua_State *L) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, ENGINE_LINE);
    lua_rawget(L, -2);
    int line = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    return line;
}

/* What the handler made: the text of the error, and where the script raised it. */
static void append_described(lua_State *L, struct engine *e) {
    const char *text = text_in_slot(L, ENGINE_ERR), *source = text_in_slot(L, ENGINE_SOURCE);
    const struct script_run *run = e->run;
    e->was_counted = is_counted(L, lua_gettop(L));
    buf_append_cstr(&e->failure, text ? text : "ERR unknown error");
    if (run && source) buf_printf(&e->failure, " script: %s, on %s:%d.", run->name, source, line_of_error(L));
}

/* The handler has not seen the error if memory or the stack have ended. Then it is a string that Lua has from the
 * start. Texts end at their first NUL. */
void engine_settle_failure(struct engine *e) {
    lua_State *L = e->lua;
    catch_ending = false;
    e->was_counted = false;
    e->failure.len = 0;
    if (lua_istable(L, -1)) {
        append_described(L, e);
        return;
    }
    buf_append_cstr(&e->failure, "ERR ");
    if (e->run) buf_printf(&e->failure, "Error running script %s, ", e->run->name);
    buf_append_cstr(&e->failure, lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "unknown error");
}
