/* getfenv, setfenv and newproxy.
 *
 * getfenv shows the proxy where an environment is the open table of globals. setfenv changes a function's environment,
 * but not that of the state, which all scripts share. newproxy(true) makes a userdata whose metatable a script may
 * fill, but __gc is dropped: the collector would call it anywhere, with no hook that could end it. */
#include "script/deprecated.h"
#include "script/protect.h"
#include <lua5.1/lauxlib.h>
#include <stdbool.h>
#include <string.h>

/* Push the function that argument 1 names: itself, or its level on the stack. */
static void push_function(lua_State *L, bool optional) {
    if (lua_isfunction(L, 1)) {
        lua_pushvalue(L, 1);
        return;
    }
    lua_Debug frame;
    int level = (int)(optional ? luaL_optinteger(L, 1, 1) : luaL_checkinteger(L, 1));
    luaL_argcheck(L, level >= 0, 1, "level must be non-negative");
    if (lua_getstack(L, level, &frame) == 0) luaL_argerror(L, 1, "invalid level");
    lua_getinfo(L, "f", &frame);
    if (lua_isnil(L, -1)) luaL_error(L, "no function environment for tail call at level %d", level);
}

static int deprecated_getfenv(lua_State *L) {
    push_function(L, true);
    if (lua_iscfunction(L, -1))
        lua_pushvalue(L, LUA_GLOBALSINDEX);
    else
        lua_getfenv(L, -1);
    protect_hide(L);
    return 1;
}

static int deprecated_setfenv(lua_State *L) {
    luaL_checktype(L, 2, LUA_TTABLE);
    push_function(L, false);
    if (lua_isnumber(L, 1) && lua_tonumber(L, 1) == 0) return protect_refuse(L);
    lua_pushvalue(L, 2);
    if (lua_iscfunction(L, -2) || !lua_setfenv(L, -2))
        return luaL_error(L, "'setfenv' cannot change environment of given object");
    return 1;
}

/* __newindex of the proxy of a newproxy's metatable. Upvalue: the metatable. */
static int deprecated_fill(lua_State *L) {
    lua_settop(L, 3);
    if (lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "__gc") == 0) return 0;
    lua_rawset(L, lua_upvalueindex(1));
    return 0;
}

static void push_metatable(lua_State *L) {
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, deprecated_fill, 1);
    protect_push_proxy(L);
    lua_setfield(L, -2, "__metatable");
}

static int deprecated_newproxy(lua_State *L) {
    lua_settop(L, 1);
    lua_newuserdata(L, 0);
    if (!lua_toboolean(L, 1)) return 1;
    if (lua_isboolean(L, 1))
        push_metatable(L);
    else
        luaL_argcheck(L, lua_type(L, 1) == LUA_TUSERDATA && lua_getmetatable(L, 1), 1, "boolean or proxy expected");
    lua_setmetatable(L, 2);
    return 1;
}

void deprecated_open(lua_State *L) {
    static const struct luaL_Reg functions[] = {{"getfenv", deprecated_getfenv},
                                                {"setfenv", deprecated_setfenv},
                                                {"newproxy", deprecated_newproxy},
                                                {NULL, NULL}};
    luaL_register(L, NULL, functions);
}
