/* The table `struct`: numbers and strings in binary formats, for scripts. */
#pragma once
#include <lua5.1/lua.h>

int lib_struct_open(lua_State *L); /* push the table; returns 1 */
