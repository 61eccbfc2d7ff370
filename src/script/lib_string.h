/* The functions of Lua's `string` that hostile arguments could use to fill the memory or the C stack. */
#pragma once
#include <lua5.1/lua.h>

void lib_string_open(lua_State *L); /* put ours over Lua's own in the table `string` on top */
