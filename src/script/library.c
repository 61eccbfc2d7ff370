/* redis.register_function(name, callback), or with a table of named arguments: function_name, callback, flags,
 * description. Whatever is wrong with them is an error of the library's code, which nothing there can catch.
 *
 * Strings are slices of Lua's own: the arguments on the stack keep them alive until the call returns. */
#include "script/library.h"
#include "script/lua_engine.h"
#include "script/shebang.h"
#include <lua5.1/lauxlib.h>

/* Numbers are strings here, as in Redis. */
static bool read_string(lua_State *L, int index, struct slice *out) {
    if (!lua_isstring(L, index)) return false;
    out->ptr = lua_tolstring(L, index, &out->len);
    return true;
}

/* In any case, unlike those of a script. */
static unsigned flag_of(struct slice name) {
    for (const struct shebang_flag_name *at = shebang_flag_names; at->name; at++)
        if (slice_is(name, at->name)) return at->flag;
    return 0;
}

/* The flags are the table's elements up to the first nil. */
static bool read_flags(lua_State *L, int index, unsigned *flags) {
    struct slice name;
    for (int i = 1;; i++) {
        lua_rawgeti(L, index, i);
        bool is_end = lua_isnil(L, -1);
        unsigned flag = !is_end && read_string(L, -1, &name) ? flag_of(name) : 0;
        lua_pop(L, 1);
        if (is_end) return true;
        if (!flag) return false;
        *flags |= flag;
    }
}

/* Where named arguments are kept on the stack, from which they come. */
enum place { TABLE = 1, CALLBACK, NAME, DESCRIPTION, PLACES = DESCRIPTION };

/* Keep the value on top of the stack as a string. */
static bool keep_string(lua_State *L, enum place place, struct slice *out) {
    if (!read_string(L, -1, out)) return false;
    lua_pushvalue(L, -1);
    lua_replace(L, place);
    return true;
}

/* The named argument whose value is on top of the stack. Returns what is wrong with it, or NULL. */
static const char *read_named(lua_State *L, struct slice key, struct engine_function *entry) {
    if (slice_is(key, "function_name")) {
        if (keep_string(L, NAME, &entry->name)) return NULL;
        return "function_name argument given to redis.register_function must be a string";
    }
    if (slice_is(key, "description")) {
        if (keep_string(L, DESCRIPTION, &entry->description)) return NULL;
        return "description argument given to redis.register_function must be a string";
    }
    if (slice_is(key, "callback")) {
        if (!lua_isfunction(L, -1)) return "callback argument given to redis.register_function must be a function";
        lua_pushvalue(L, -1);
        lua_replace(L, CALLBACK);
        return NULL;
    }
    if (slice_is(key, "flags")) {
        if (!lua_istable(L, -1)) {
            return "flags argument to redis.register_function must be a table representing function flags";
        }
        return read_flags(L, lua_gettop(L), &entry->flags) ? NULL : "unknown flag given";
    }
    return "unknown argument given to redis.register_function";
}

static const char *read_table(lua_State *L, struct engine_function *entry) {
    struct slice key;
    const char *why;
    if (!lua_istable(L, TABLE)) {
        return "calling redis.register_function with a single argument is only applicable to Lua table (representing "
               "named arguments).";
    }
    lua_settop(L, PLACES);
    lua_pushnil(L);
    while (lua_next(L, TABLE)) {
        if (lua_type(L, -2) == LUA_TNUMBER) return "unknown argument given to redis.register_function";
        if (!read_string(L, -2, &key)) return "named argument key given to redis.register_function is not a string";
        if ((why = read_named(L, key, entry))) return why;
        lua_pop(L, 1);
    }
    if (!entry->name.ptr) return "redis.register_function must get a function name argument";
    if (lua_isnil(L, CALLBACK)) return "redis.register_function must get a callback argument";
    return NULL;
}

static const char *read_pair(lua_State *L, struct engine_function *entry) {
    if (!read_string(L, 1, &entry->name)) return "first argument to redis.register_function must be a string";
    if (!lua_isfunction(L, CALLBACK)) return "second argument to redis.register_function must be a function";
    return NULL;
}

/* The arguments are in order. What loads the library may refuse the function nevertheless. */
static const char *tell(lua_State *L, struct engine_function *entry) {
    const struct engine_loading *loading = engine_loading_of(L);
    lua_pushvalue(L, CALLBACK);
    entry->function = engine_keep(L);
    const char *why = loading->found(loading->ctx, entry);
    if (why) engine_forget(L, entry->function);
    return why;
}

int library_register(lua_State *L) {
    struct engine_function entry = {.flags = 0};
    int count = lua_gettop(L);
    if (!engine_loading_of(L)) {
        return engine_raise(L, "redis.register_function can only be called on FUNCTION LOAD command");
    }
    if (count < 1 || count > 2) return engine_raise(L, "wrong number of arguments to redis.register_function");
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    const char *why = count == 1 ? read_table(L, &entry) : read_pair(L, &entry);
    if (!why) why = tell(L, &entry);
    return why ? engine_raise(L, why) : 0;
}
