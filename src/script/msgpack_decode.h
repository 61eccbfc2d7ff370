/* cmsgpack.unpack, unpack_one and unpack_limit: MessagePack to values. Lua C functions without upvalues; errors are Lua
 * errors. */
#pragma once
#include <lua5.1/lua.h>

int msgpack_decode(lua_State *L);       /* (string): all values */
int msgpack_decode_one(lua_State *L);   /* (string, offset = 0): the next offset, or -1 at the end, and a value */
int msgpack_decode_limit(lua_State *L); /* (string, limit, offset = 0): the same, and up to `limit` values */
