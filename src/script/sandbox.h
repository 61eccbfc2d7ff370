/* What a script finds in its Lua state: the allowed part of Lua's library and of ours, and no way to change it.
 *
 * Three tables hold the globals:
 *   the open one has the values; libraries are proxies (protect.h). No value that a script can reach is this table.
 *   its proxy is what a script calls _G, and the environment of what was just compiled (source.h)
 *   the direct one has the same values, but the libraries themselves.
 * sandbox_settle() gives a function the fastest environment that is safe for its code: the proxy if it assigns to a
 * global, since only the proxy refuses; the open table if a variable might hold a library; else, if it uses libraries
 * as in `string.rep(...)` only, the direct one, where globals and fields of libraries cost what they cost in Lua.
 *
 * All functions but sandbox_open() leave the stack as they found it, unless they say otherwise. Those that allocate
 * raise Lua's "not enough memory": call them protected (lua_cpcall), as Lua's own. */
#pragma once
#include <lua5.1/lua.h>

struct module;

/* Fill a fresh state (lua_newstate: no library opened). The state's globals are the proxy afterwards: luaL_register()
 * with a name raises an error, so give it NULL and a table of your own. */
void sandbox_open(lua_State *L);

/* Pop the value on top and make it the global `name`: redis, cjson, KEYS ... A table that all scripts see has to be a
 * proxy (protect_table()). */
void sandbox_set(lua_State *L, const char *name);

/* Push the open table, where KEYS and ARGV can be written raw; all else by sandbox_set(), since the direct one has it
 * too. O(1). */
void sandbox_push_globals(lua_State *L);

/* What a function's code names. */
enum sandbox_name {
    SANDBOX_KEYS = 1 << 0, /* KEYS */
    SANDBOX_ARGV = 1 << 1, /* ARGV */
    SANDBOX_ANY = 1 << 2,  /* it may look up globals by names that it makes: it names _G, loadstring ... */
};
/* Give the Lua function on top of the stack (it stays), and those among its upvalues, their environments. Returns enum
 * sandbox_name of its code. O(code): once after a function was compiled; for a function of a library after the library
 * was loaded. */
unsigned sandbox_settle(lua_State *L);

/* The table on top: reading an absent field raises the error that an absent global raises. */
void sandbox_make_strict(lua_State *L);

/* While a library loads: pop a table ({redis = a proxy}), and until sandbox_widen() its fields are all the globals of
 * functions that are not settled. sandbox_widen() allocates nothing, cannot fail, and may be called without need.
 * O(1). */
void sandbox_narrow(lua_State *L);
void sandbox_widen(lua_State *L);

extern const struct module sandbox_module; /* lua-enable-deprecated-api, which sandbox_open() reads */
