/* Values as text, for the debugger: those of Lua, and replies of commands. */
#pragma once
#include "base/slice.h"
#include <lua5.1/lua.h>

struct buf;

/* Append the value at an index: nil, true, 1.5, "text", {1; 2}, {["key"]="value"}, "function@0x...". Tables are shown
 * to a depth of 10, and not much beyond 16 MB. Needs no memory of Lua's but stack. */
void ldb_show_value(lua_State *L, int index, struct buf *out);
/* Append a reply that is complete: 5, "text", "+OK", [1,2], {"key" => "value"}. */
void ldb_show_reply(struct slice reply, struct buf *out);
