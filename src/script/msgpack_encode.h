/* cmsgpack.pack: values to MessagePack. */
#pragma once
#include <lua5.1/lua.h>

/* A Lua C function whose first upvalue holds its buffer (lib_buf.h): one value or more, to one string. */
int msgpack_encode(lua_State *L);
