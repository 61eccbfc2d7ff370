/* cjson.encode: a value to JSON text. */
#pragma once
#include <lua5.1/lua.h>

/* A Lua C function with the upvalues of json_settings.h: one value, to a string. Errors are Lua errors. */
int json_encode(lua_State *L);
