/* cjson.decode: JSON text to a value. */
#pragma once
#include <lua5.1/lua.h>

/* A Lua C function with the upvalues of json_settings.h: a string, to the value it describes. Errors are Lua errors. */
int json_decode(lua_State *L);
