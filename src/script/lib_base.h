/* The functions of Lua's base that would get past a proxy or crash: ours in their place. */
#pragma once
#include <lua5.1/lua.h>

/* Put ours over Lua's own in the table of globals on top: rawset, rawget, next, pairs, setmetatable, getmetatable,
 * unpack, collectgarbage. */
void lib_base_open(lua_State *L);
