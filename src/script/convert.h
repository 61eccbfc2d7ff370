/* Values of the protocol become values of Lua, and the other way round, as Redis defines it. */
#pragma once
#include <lua5.1/lua.h>
#include <stddef.h>

struct client;

/* Push what is behind the mark in the open range: one reply to a call, in RESP2 or RESP3. An error becomes a table, and
 * is not raised; no reply is nil. O(bytes). To be called protected. */
void convert_to_lua(lua_State *L, size_t mark);

/* Reply the value on top, and pop it. resp: what redis.setresp() chose, on which the form of booleans depends. Tables
 * that are nested too deep, such as one that is in itself, end with an error in the place of the innermost. O(values).
 * To be called protected: if memory ends, a part of the reply is there. */
void convert_to_reply(lua_State *L, struct client *c, int resp);
