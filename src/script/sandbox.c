/* What a script finds in its Lua state.
 *
 * Lua's libraries are opened in the fresh state's own table of globals, functions of ours replace what is unsafe there,
 * and then the listed names alone move to the open table; what is not listed is out of reach. All names in use are
 * listed here, so a new Lua would not bring a new global. */
#include "script/sandbox.h"
#include "base/module.h"
#include "base/option.h"
#include "script/catch.h"
#include "script/code.h"
#include "script/deprecated.h"
#include "script/lib_base.h"
#include "script/lib_bit.h"
#include "script/lib_math.h"
#include "script/lib_string.h"
#include "script/lib_struct.h"
#include "script/lib_table.h"
#include "script/protect.h"
#include "script/source.h"
#include <lua5.1/lauxlib.h>
#include <lua5.1/lualib.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

static bool sandbox_deprecated; /* lua-enable-deprecated-api */

/* Keys of the registry: their addresses. */
static char open_globals, direct_globals;

static void push_registered(lua_State *L, char *key) {
    lua_pushlightuserdata(L, key);
    lua_rawget(L, LUA_REGISTRYINDEX);
}

/* The value on top stays. */
static void register_value(lua_State *L, char *key) {
    lua_pushlightuserdata(L, key);
    lua_pushvalue(L, -2);
    lua_rawset(L, LUA_REGISTRYINDEX);
}

void sandbox_push_globals(lua_State *L) {
    push_registered(L, &open_globals);
}

static bool is_library(const char *name) {
    for (const char *const *library = code_libraries; *library; library++)
        if (strcmp(*library, name) == 0) return true;
    return false;
}

void sandbox_set(lua_State *L, const char *name) {
    sandbox_push_globals(L);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, name);
    push_registered(L, &direct_globals);
    if (!is_library(name) || !protect_push_real(L, -3)) lua_pushvalue(L, -3);
    lua_setfield(L, -2, name);
    lua_pop(L, 3);
}

/* --- What exists ------------------------------------------------------------------------------ */

/* __index of the globals. The texts are Redis's, an inner name of it included. */
static int sandbox_missing(lua_State *L) {
    if (!lua_isstring(L, -1))
        return luaL_error(L, "Second argument to luaProtectedTableError must be a string or number");
    return luaL_error(L, "Script attempted to access nonexistent global variable '%s'", lua_tostring(L, -1));
}

static int os_clock(lua_State *L) {
    lua_pushnumber(L, (lua_Number)clock() / (lua_Number)CLOCKS_PER_SEC);
    return 1;
}

/* `os` has nothing but clock, which Redis 8 has. */
static int open_os(lua_State *L) {
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, os_clock);
    lua_setfield(L, -2, "clock");
    return 1;
}

/* Into the table of globals on top. */
static void open_libraries(lua_State *L) {
    static const lua_CFunction of_lua[] = {luaopen_base, luaopen_table, luaopen_string, luaopen_math};
    for (size_t i = 0; i < sizeof of_lua / sizeof *of_lua; i++) {
        lua_pushcfunction(L, of_lua[i]);
        lua_call(L, 0, 0);
    }
    static const struct {
        const char *name;
        lua_CFunction open;
    } ours[] = {{"bit", lib_bit_open}, {"struct", lib_struct_open}, {"os", open_os}};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        ours[i].open(L);
        lua_setfield(L, -2, ours[i].name);
    }
}

/* Let a function of ours change the library `name` in the table of globals on top. */
static void amend(lua_State *L, const char *name, void (*open)(lua_State *L)) {
    lua_getfield(L, -1, name);
    open(L);
    lua_pop(L, 1);
}

static void replace_unsafe(lua_State *L) {
    lib_base_open(L);
    catch_open(L);
    source_open(L);
    amend(L, "string", lib_string_open);
    amend(L, "table", lib_table_open);
    amend(L, "math", lib_math_open);
}

static const char *const allowed[] = {
    "assert", "collectgarbage", "error",  "gcinfo",   "getmetatable", "load",         "loadstring", "next",
    "pcall",  "rawequal",       "rawget", "rawset",   "select",       "setmetatable", "tonumber",   "tostring",
    "type",   "unpack",         "xpcall", "_VERSION", "ipairs",       "pairs",        "coroutine",  "table",
    "string", "math",           "struct", "bit",      "os",           NULL,
};
static const char *const allowed_if_deprecated[] = {"getfenv", "setfenv", "newproxy", NULL};

/* Move names from the table of globals on top. */
static void allow(lua_State *L, const char *const *names) {
    for (; *names; names++) {
        lua_getfield(L, -1, *names);
        if (lua_istable(L, -1)) protect_table(L);
        sandbox_set(L, *names);
    }
}

/* --- Opening ---------------------------------------------------------------------------------- */

/* The open table, the metatable that tells what is missing, and the proxy: globals of the state from now on. */
static void make_globals(lua_State *L) {
    lua_createtable(L, 0, 48);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, sandbox_missing);
    lua_setfield(L, -2, "__index");
    lua_pushvalue(L, -1);
    protect_table(L); /* getmetatable(_G) gives its proxy */
    lua_pop(L, 1);
    lua_setmetatable(L, -2);
    register_value(L, &open_globals);
    protect_table(L);
    lua_replace(L, LUA_GLOBALSINDEX);
}

/* The direct table: what it lacks (KEYS and ARGV, and what does not exist) is asked of the open one. */
static void make_direct_globals(lua_State *L) {
    lua_createtable(L, 0, 48);
    register_value(L, &direct_globals);
    lua_createtable(L, 0, 1);
    sandbox_push_globals(L);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, LUA_GLOBALSINDEX);
    protect_hide_as(L, lua_gettop(L) - 1);
    lua_pop(L, 2);
}

/* The metatable of strings keeps the real `string`, so that methods of strings cost one look-up. What a script gets for
 * it is a proxy of a copy, which leads to the proxy of `string`. */
static void protect_strings(lua_State *L) {
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);
    lua_createtable(L, 0, 1);
    lua_getfield(L, -2, "__index");
    protect_table(L);
    lua_setfield(L, -2, "__index");
    protect_table(L);
    protect_hide_as(L, lua_gettop(L) - 1);
    lua_pop(L, 3);
}

void sandbox_open(lua_State *L) {
    luaL_checkstack(L, LUA_MINSTACK, "no room to open a sandbox");
    protect_open(L);
    lua_pushvalue(L, LUA_GLOBALSINDEX);
    open_libraries(L);
    replace_unsafe(L);
    if (sandbox_deprecated) deprecated_open(L);
    make_globals(L);
    make_direct_globals(L);
    lua_pushvalue(L, LUA_GLOBALSINDEX);
    sandbox_set(L, "_G");
    allow(L, allowed);
    if (sandbox_deprecated) allow(L, allowed_if_deprecated);
    lua_pop(L, 1);
    protect_strings(L);
}

/* --- Environments ------------------------------------------------------------------------------ */

void sandbox_make_strict(lua_State *L) {
    sandbox_push_globals(L);
    lua_getmetatable(L, -1);
    lua_setmetatable(L, -3);
    lua_pop(L, 1);
}

void sandbox_narrow(lua_State *L) {
    sandbox_make_strict(L);
    protect_redirect(L, LUA_GLOBALSINDEX);
}

void sandbox_widen(lua_State *L) {
    sandbox_push_globals(L);
    protect_redirect(L, LUA_GLOBALSINDEX);
}

/* Chains of functions, each an upvalue of the next, are followed so far; what is beyond stays with the proxy. */
#define MAX_DEPTH 50

struct settling {
    int seen;         /* index of a table: the functions that were looked at */
    int open, direct; /* indexes of the tables of globals */
};

static bool first_visit(lua_State *L, const struct settling *s) {
    lua_pushvalue(L, -1);
    lua_rawget(L, s->seen);
    bool first = lua_isnil(L, -1);
    lua_pop(L, 1);
    if (!first) return false;
    lua_pushvalue(L, -1);
    lua_pushboolean(L, true);
    lua_rawset(L, s->seen);
    return true;
}

/* Settle the value on top, if it is a Lua function. */
static unsigned settle(lua_State *L, const struct settling *s, int depth) {
    if (!lua_isfunction(L, -1) || lua_iscfunction(L, -1) || depth == MAX_DEPTH || !first_visit(L, s)) return 0;
    luaL_checkstack(L, LUA_MINSTACK, "too many functions");
    struct code_facts facts = code_look(L);
    if (!facts.assigns) {
        lua_pushvalue(L, facts.holds_libraries ? s->open : s->direct);
        lua_setfenv(L, -2);
    }
    for (int i = 1; lua_getupvalue(L, -1, i); i++) {
        settle(L, s, depth + 1);
        lua_pop(L, 1);
    }
    return (facts.names_keys ? SANDBOX_KEYS : 0) | (facts.names_argv ? SANDBOX_ARGV : 0) |
           (facts.names_any ? SANDBOX_ANY : 0);
}

unsigned sandbox_settle(lua_State *L) {
    luaL_checkstack(L, LUA_MINSTACK, "too many functions");
    struct settling s = {.seen = lua_gettop(L) + 1, .open = lua_gettop(L) + 2, .direct = lua_gettop(L) + 3};
    lua_newtable(L);
    sandbox_push_globals(L);
    push_registered(L, &direct_globals);
    lua_pushvalue(L, s.seen - 1);
    unsigned names = settle(L, &s, 0);
    lua_pop(L, 4);
    return names;
}

/* --- The module ------------------------------------------------------------------------------ */

static const struct option sandbox_rows[] = {
    {"lua-enable-deprecated-api", .type = OPTION_BOOL, .flags = OPTION_IMMUTABLE | OPTION_HIDDEN,
     .address = &sandbox_deprecated, .initial = "no"},
    {NULL},
};

const struct module sandbox_module = {.options = sandbox_rows};
