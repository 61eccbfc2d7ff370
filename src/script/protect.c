/* Tables that scripts can read but not change.
 *
 *   the proxy (empty) --metatable--> { [1] = the mark, [2] = the real table, __index = the real table,
 *                                      __newindex = refuse }
 *
 * The mark is an address of ours, which no script can make, so a table with such a metatable is a proxy. A table of the
 * registry maps each real table to its proxy. Proxies live as long as the state.
 *
 * Invariant: a proxy is always empty, and all tables behind proxies have names as keys, no elements. So what reads the
 * elements of a table (#, ipairs, unpack, table.concat, sort, maxn, getn, remove) finds the same in the proxy, and
 * needs no version of ours; the operator # would have no way to ask, as Lua 5.1 has no __len for tables. */
#include "script/protect.h"
#include <lua5.1/lauxlib.h>

static char mark, proxies; /* their addresses count */

static void push_proxies(lua_State *L) {
    lua_pushlightuserdata(L, &proxies);
    lua_rawget(L, LUA_REGISTRYINDEX);
}

void protect_open(lua_State *L) {
    lua_pushlightuserdata(L, &proxies);
    lua_newtable(L);
    lua_rawset(L, LUA_REGISTRYINDEX);
}

int protect_refuse(lua_State *L) {
    lua_pushliteral(L, "Attempt to modify a readonly table");
    return lua_error(L);
}

/* __newindex of all proxies: level 1 is the script that assigns. */
static int protect_refuse_assignment(lua_State *L) {
    return luaL_error(L, "Attempt to modify a readonly table");
}

void protect_hide(lua_State *L) {
    push_proxies(L);
    lua_pushvalue(L, -2);
    lua_rawget(L, -2);
    lua_remove(L, -2);
    lua_remove(L, lua_isnil(L, -1) ? -1 : -2);
}

void protect_hide_as(lua_State *L, int real) {
    push_proxies(L);
    lua_pushvalue(L, real);
    lua_pushvalue(L, -3);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

void protect_push_proxy(lua_State *L) {
    lua_createtable(L, 0, 0);
    lua_insert(L, -2);
    lua_createtable(L, 2, 2);
    lua_insert(L, -2);
    lua_setfield(L, -2, "__newindex");
    lua_pushlightuserdata(L, &mark);
    lua_rawseti(L, -2, 1);
    lua_pushvalue(L, -3);
    lua_rawseti(L, -2, 2);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}

void protect_table(lua_State *L) {
    lua_pushvalue(L, -1);
    protect_hide(L);
    if (lua_rawequal(L, -1, -2)) {
        lua_pushcfunction(L, protect_refuse_assignment);
        protect_push_proxy(L);
        protect_hide_as(L, lua_gettop(L) - 2);
        lua_remove(L, -2);
    }
    lua_remove(L, -2);
}

/* Push the metatable of the proxy at index. False, with nothing pushed: it is none. */
static bool push_marked(lua_State *L, int index) {
    if (!lua_getmetatable(L, index)) return false;
    lua_rawgeti(L, -1, 1);
    bool marked = lua_touserdata(L, -1) == &mark;
    lua_pop(L, marked ? 1 : 2);
    return marked;
}

bool protect_push_real(lua_State *L, int index) {
    if (!push_marked(L, index)) return false;
    lua_rawgeti(L, -1, 2);
    lua_remove(L, -2);
    return true;
}

void protect_unveil(lua_State *L, int index) {
    if (protect_push_real(L, index)) lua_replace(L, index);
}

bool protect_is_proxy(lua_State *L, int index) {
    bool marked = push_marked(L, index);
    if (marked) lua_pop(L, 1);
    return marked;
}

void protect_redirect(lua_State *L, int index) {
    lua_getmetatable(L, index);
    lua_insert(L, -2);
    lua_setfield(L, -2, "__index"); /* the field is there, and Lua keeps its name: no allocation */
    lua_pop(L, 1);
}
