/* The Lua library `cmsgpack`: values to MessagePack and back, as lua-cmsgpack 0.4.0 in Redis does it.
 *
 * Its only state is a buffer that hangs on its functions: a Lua error that jumps out of a call leaks nothing. */
#pragma once
#include <lua5.1/lua.h>

/* Push the library's table: one value, so it returns 1. Raises a Lua error if memory runs out. */
int lib_msgpack_open(lua_State *L);
