/* The functions of Lua's `table` that would get past a proxy. */
#pragma once
#include <lua5.1/lua.h>

void lib_table_open(lua_State *L); /* put ours over Lua's own in the table `table` on top */
