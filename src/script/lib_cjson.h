/* The Lua library `cjson`: values to JSON and back, as lua-cjson 2.1.0 in Redis does it.
 *
 * It keeps all its state inside the Lua state: settings and buffers hang on its functions, so two states know nothing
 * of each other, and a Lua error that jumps out of a call leaks nothing. */
#pragma once
#include <lua5.1/lua.h>

/* Push the library's table: one value, so it returns 1. Raises a Lua error if memory runs out. */
int lib_cjson_open(lua_State *L);
