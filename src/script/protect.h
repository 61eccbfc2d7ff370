/* Tables that scripts can read but not change. Lua 5.1 has no read-only tables, so a script sees a proxy instead: an
 * empty table whose __index is the real one and whose __newindex refuses. What goes past metamethods (rawset, rawget,
 * next, table.insert ...) are functions of ours, which ask here. The real table never becomes a value of a script. */
#pragma once
#include <lua5.1/lua.h>
#include <stdbool.h>

void protect_open(lua_State *L); /* once for a state, before all others */

/* Replace the table on top of the stack by its proxy; the same table has the same proxy each time. C code that still
 * has the real table (a reference, an upvalue) can write to it. May raise "not enough memory". */
void protect_table(lua_State *L);

/* Pop a function and push a new proxy of the table that is on top then, whose __newindex is the function. */
void protect_push_proxy(lua_State *L);

/* If the value at index is a proxy, push the real table and return true: for C code that walks a table it was given
 * (cjson.encode, next). Else push nothing. No metatable: one branch. */
bool protect_push_real(lua_State *L, int index);

bool protect_is_proxy(lua_State *L, int index);

/* If the value at index, which counts from the bottom, is a proxy, put the real table in its place. */
void protect_unveil(lua_State *L, int index);

/* Pop a table: from now on the proxy at index shows its fields. protect_push_real() still gives the first one.
 * Allocates nothing. O(1). */
void protect_redirect(lua_State *L, int index);

/* If the table on top is a real one with a proxy, replace it by the proxy: for what hands out metatables and
 * environments. protect_hide_as(): the proxy of the table at `real` (an absolute index) is the one on top; it stays. */
void protect_hide(lua_State *L);
void protect_hide_as(lua_State *L, int real);

/* Raise "Attempt to modify a readonly table" without a position, as Redis's own C functions do. */
int protect_refuse(lua_State *L);
