/* The table `bit`: operations on 32-bit integers, for scripts. */
#pragma once
#include <lua5.1/lua.h>

int lib_bit_open(lua_State *L); /* push the table; returns 1 */
