/* What scripts see of `cjson`: the table with its functions, and those that set how it works. */
#include "script/lib_cjson.h"
#include "script/json_decode.h"
#include "script/json_encode.h"
#include "script/json_settings.h"
#include <limits.h>
#include <lua5.1/lauxlib.h>
#include <stddef.h>

static const struct json_settings initial = {
    .sparse_ratio = 2,
    .sparse_safe = 10,
    .encode_max_depth = 1000,
    .decode_max_depth = 1000,
    .precision = 14,
    .keep_buffer = 1,
    .encode_invalid = JSON_INVALID_REFUSED,
    .decode_invalid = 1,
};

/* --- Functions that read and change a setting ------------------------------------------------ */

/* Each takes up to so many values and returns those that hold afterwards. nil leaves a setting alone. A value that is
 * refused leaves those before it changed, as in Redis. */

static struct json_settings *begin(lua_State *L, int arguments) {
    luaL_argcheck(L, lua_gettop(L) <= arguments, arguments + 1, "found too many arguments");
    lua_settop(L, arguments);
    return json_settings_of(L);
}

/* Redis names argument 1 in the error, whichever it is. */
static void take_integer(lua_State *L, int index, int *setting, int min, int max) {
    if (!lua_isnil(L, index)) {
        int value = (int)luaL_checkinteger(L, index);
        if (value < min || value > max)
            luaL_argerror(L, 1, lua_pushfstring(L, "expected integer between %d and %d", min, max));
        *setting = value;
    }
    lua_pushinteger(L, *setting);
}

/* A boolean, or one of the names, which begin with "off", "on": their position is the setting. */
static int take_choice(lua_State *L, int index, int setting, const char *const names[]) {
    if (lua_isboolean(L, index))
        setting = lua_toboolean(L, index);
    else if (!lua_isnil(L, index))
        setting = luaL_checkoption(L, index, NULL, names);
    if (setting < 2)
        lua_pushboolean(L, setting);
    else
        lua_pushstring(L, names[setting]);
    return setting;
}

static const char *const switch_names[] = {"off", "on", NULL};
static const char *const invalid_names[] = {"off", "on", "null", NULL};

static int set_sparse_array(lua_State *L) {
    struct json_settings *s = begin(L, 3);
    s->sparse_convert = take_choice(L, 1, s->sparse_convert, switch_names);
    take_integer(L, 2, &s->sparse_ratio, 0, INT_MAX);
    take_integer(L, 3, &s->sparse_safe, 0, INT_MAX);
    return 3;
}

static int set_encode_max_depth(lua_State *L) {
    take_integer(L, 1, &begin(L, 1)->encode_max_depth, 1, INT_MAX);
    return 1;
}

static int set_decode_max_depth(lua_State *L) {
    take_integer(L, 1, &begin(L, 1)->decode_max_depth, 1, INT_MAX);
    return 1;
}

static int set_number_precision(lua_State *L) {
    take_integer(L, 1, &begin(L, 1)->precision, 1, 14);
    return 1;
}

static int set_keep_buffer(lua_State *L) {
    struct json_settings *s = begin(L, 1);
    s->keep_buffer = take_choice(L, 1, s->keep_buffer, switch_names);
    return 1;
}

static int set_encode_invalid(lua_State *L) {
    struct json_settings *s = begin(L, 1);
    s->encode_invalid = (enum json_invalid)take_choice(L, 1, (int)s->encode_invalid, invalid_names);
    return 1;
}

static int set_decode_invalid(lua_State *L) {
    struct json_settings *s = begin(L, 1);
    s->decode_invalid = take_choice(L, 1, s->decode_invalid, switch_names);
    return 1;
}

/* --- The table ------------------------------------------------------------------------------- */

static int make_instance(lua_State *L) {
    return lib_cjson_open(L);
}

/* The order decides in which order pairs(cjson) shows them. */
static const luaL_Reg functions[] = {
    {"encode", json_encode},
    {"decode", json_decode},
    {"encode_sparse_array", set_sparse_array},
    {"encode_max_depth", set_encode_max_depth},
    {"decode_max_depth", set_decode_max_depth},
    {"encode_number_precision", set_number_precision},
    {"encode_keep_buffer", set_keep_buffer},
    {"encode_invalid_numbers", set_encode_invalid},
    {"decode_invalid_numbers", set_decode_invalid},
    {"new", make_instance},
};

static void set_text(lua_State *L, const char *key, const char *text) {
    lua_pushstring(L, text);
    lua_setfield(L, -2, key);
}

int lib_cjson_open(lua_State *L) {
    lua_newtable(L);
    *(struct json_settings *)lua_newuserdata(L, sizeof initial) = initial;
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        lua_pushvalue(L, -1);
        lua_pushnil(L); /* the buffer */
        lua_pushcclosure(L, functions[i].func, JSON_UPVALUE_BUFFER);
        lua_setfield(L, -3, functions[i].name);
    }
    lua_pop(L, 1);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    set_text(L, "_NAME", "cjson");
    set_text(L, "_VERSION", "2.1.0");
    return 1;
}
