/* string.rep, and a guard before the functions that match patterns. */
#include "script/lib_string.h"
#include "base/likely.h"
#include <lua5.1/lauxlib.h>
#include <string.h>

/* --- rep -------------------------------------------------------------------------------------- */

#define SMALL_BYTES 1024

static void repeat(char *out, const char *text, size_t len, size_t total) {
    memcpy(out, text, len);
    for (size_t done = len; done < total; done += done)
        memcpy(out + done, out, done < total - done ? done : total - done);
}

/* Lua's own appends one copy after the other, in seconds, until the memory ends. This one asks for all of it first. A
 * userdata holds the bytes, since Lua may leave by longjmp. */
static int string_rep(lua_State *L) {
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    int count = (int)luaL_checkinteger(L, 2);
    if (count <= 0 || len == 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    size_t total;
    if (__builtin_mul_overflow(len, (size_t)count, &total)) return luaL_error(L, "not enough memory");
    char small[SMALL_BYTES];
    char *out = total <= sizeof small ? small : lua_newuserdata(L, total);
    repeat(out, text, len, total);
    lua_pushlstring(L, out, total);
    return 1;
}

/* --- Patterns --------------------------------------------------------------------------------- */

/* Lua's matcher calls itself for each item of a pattern that may repeat or be left out, and for each capture: a pattern
 * of some 100,000 of them overflows the C stack. This many take less than a megabyte of it. */
#define MAX_ITEMS 5000

/* Argument 2 is a pattern of more than MAX_ITEMS bytes: refuse it if that many of them are items. */
static void check_long_pattern(lua_State *L) {
    size_t len, items = 0;
    const char *pattern = lua_tolstring(L, 2, &len);
    for (size_t i = 0; pattern && i < len; i++)
        items += memchr("?*+-()", pattern[i], 6) != NULL;
    if (items > MAX_ITEMS) luaL_error(L, "pattern too complex");
}

/* Lua's own functions, the same in each state. They check the arguments. */
static lua_CFunction lua_find, lua_match, lua_gmatch, lua_gsub;

/* With a true argument 4 it is plain text. */
static int string_find(lua_State *L) {
    if (unlikely(lua_objlen(L, 2) > MAX_ITEMS) && !lua_toboolean(L, 4)) check_long_pattern(L);
    return lua_find(L);
}

#define GUARDED(name, function)                                            \
    static int name(lua_State *L) {                                        \
        if (unlikely(lua_objlen(L, 2) > MAX_ITEMS)) check_long_pattern(L); \
        return function(L);                                                \
    }
GUARDED(string_match, lua_match)
GUARDED(string_gmatch, lua_gmatch)
GUARDED(string_gsub, lua_gsub)

static lua_CFunction find_function(lua_State *L, const char *name) {
    lua_getfield(L, -1, name);
    lua_CFunction function = lua_tocfunction(L, -1);
    lua_pop(L, 1);
    return function;
}

void lib_string_open(lua_State *L) {
    static const struct luaL_Reg functions[] = {
        {"rep", string_rep},       {"find", string_find}, {"match", string_match},
        {"gmatch", string_gmatch}, {"gsub", string_gsub}, {NULL, NULL},
    };
    lua_find = find_function(L, "find");
    lua_match = find_function(L, "match");
    lua_gmatch = find_function(L, "gmatch");
    lua_gsub = find_function(L, "gsub");
    luaL_register(L, NULL, functions);
    lua_getfield(L, -1, "gmatch"); /* gfind is its former name */
    lua_setfield(L, -2, "gfind");
}
