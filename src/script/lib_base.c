/* Lua's base, for a state with protected tables. Behaviour and texts are those of Lua 5.1 where a table is no proxy. */
#include "script/lib_base.h"
#include "script/protect.h"
#include <limits.h>
#include <lua5.1/lauxlib.h>
#include <stdint.h>

/* --- Tables ---------------------------------------------------------------------------------- */

static int base_rawset(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    luaL_checkany(L, 3);
    lua_settop(L, 3);
    if (protect_is_proxy(L, 1)) return protect_refuse(L);
    lua_rawset(L, 1);
    return 1;
}

static int base_rawget(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    protect_unveil(L, 1);
    lua_rawget(L, 1);
    return 1;
}

static int base_next(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    protect_unveil(L, 1);
    if (lua_next(L, 1)) return 2;
    lua_pushnil(L);
    return 1;
}

/* Upvalues: Lua's next, ours. Only a proxy needs ours, so loops over other tables cost what they cost in Lua. */
static int base_pairs(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_pushvalue(L, lua_upvalueindex(protect_is_proxy(L, 1) ? 2 : 1));
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

static int base_setmetatable(lua_State *L) {
    int type = lua_type(L, 2);
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argcheck(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table expected");
    if (luaL_getmetafield(L, 1, "__metatable")) return luaL_error(L, "cannot change a protected metatable");
    if (protect_is_proxy(L, 1)) return protect_refuse(L);
    lua_settop(L, 2);
    protect_unveil(L, 2); /* Lua looks for metamethods without asking metatables */
    lua_setmetatable(L, 1);
    return 1;
}

/* A metatable may be a real table behind a proxy: that of strings is, and what base_setmetatable() has set. */
static int base_getmetatable(lua_State *L) {
    luaL_checkany(L, 1);
    protect_unveil(L, 1);
    if (!lua_getmetatable(L, 1)) {
        lua_pushnil(L);
        return 1;
    }
    if (!luaL_getmetafield(L, 1, "__metatable")) protect_hide(L);
    return 1;
}

/* Lua's own adds and subtracts positions as int: unpack(t, -2, 2^31-1) crashes it (CVE-2025-46817). */
static int base_unpack(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    int64_t first = (int)luaL_optinteger(L, 2, 1);
    int64_t last = lua_isnoneornil(L, 3) ? (int64_t)lua_objlen(L, 1) : (int)luaL_checkinteger(L, 3);
    if (first > last) return 0;
    int64_t count = last - first + 1;
    if (count >= INT_MAX || !lua_checkstack(L, (int)count)) return luaL_error(L, "too many results to unpack");
    for (int64_t i = first; i <= last; i++)
        lua_rawgeti(L, 1, (int)i);
    return (int)count;
}

/* --- The collector ---------------------------------------------------------------------------- */

/* The collector is the server's: a script may ask it and push it, but not stop it or set its pace, which would outlive
 * the script. Settings are kept to be returned, as Lua returns them. */
static int set_pace(lua_State *L, int *setting) {
    int old = *setting;
    *setting = (int)luaL_optinteger(L, 2, 0);
    lua_pushinteger(L, old);
    return 1;
}

static int base_collectgarbage(lua_State *L) {
    enum { STOP, RESTART, COLLECT, COUNT, STEP, SET_PAUSE, SET_STEP };
    static const char *const names[] = {"stop", "restart", "collect", "count", "step", "setpause", "setstepmul", NULL};
    static int pause = 200, step = 200; /* Lua's own at first */
    switch (luaL_checkoption(L, 1, "collect", names)) {
    case COLLECT: lua_pushinteger(L, lua_gc(L, LUA_GCCOLLECT, 0)); break;
    case COUNT: lua_pushnumber(L, lua_gc(L, LUA_GCCOUNT, 0) + lua_gc(L, LUA_GCCOUNTB, 0) / 1024.0); break;
    case STEP: lua_pushboolean(L, lua_gc(L, LUA_GCSTEP, (int)luaL_optinteger(L, 2, 0))); break;
    case SET_PAUSE: return set_pace(L, &pause);
    case SET_STEP: return set_pace(L, &step);
    default: lua_pushinteger(L, 0);
    }
    return 1;
}

void lib_base_open(lua_State *L) {
    static const struct luaL_Reg functions[] = {
        {"rawset", base_rawset},
        {"rawget", base_rawget},
        {"next", base_next},
        {"setmetatable", base_setmetatable},
        {"getmetatable", base_getmetatable},
        {"unpack", base_unpack},
        {"collectgarbage", base_collectgarbage},
        {NULL, NULL},
    };
    lua_getfield(L, -1, "next"); /* Lua's own */
    lua_insert(L, -2);
    luaL_register(L, NULL, functions);
    lua_insert(L, -2);
    lua_pushcfunction(L, base_next);
    lua_pushcclosure(L, base_pairs, 2);
    lua_setfield(L, -2, "pairs");
}
