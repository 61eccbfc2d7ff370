/* What scripts see of `cmsgpack`. */
#include "script/lib_msgpack.h"
#include "script/msgpack_decode.h"
#include "script/msgpack_encode.h"

static void set_text(lua_State *L, const char *key, const char *text) {
    lua_pushstring(L, text);
    lua_setfield(L, -2, key);
}

static void set_function(lua_State *L, const char *key, lua_CFunction function) {
    lua_pushnil(L); /* the buffer, where there is one */
    lua_pushcclosure(L, function, 1);
    lua_setfield(L, -2, key);
}

/* The order decides in which order pairs(cmsgpack) shows them. */
int lib_msgpack_open(lua_State *L) {
    lua_newtable(L);
    set_function(L, "pack", msgpack_encode);
    set_function(L, "unpack", msgpack_decode);
    set_function(L, "unpack_one", msgpack_decode_one);
    set_function(L, "unpack_limit", msgpack_decode_limit);
    set_text(L, "_NAME", "cmsgpack");
    set_text(L, "_VERSION", "lua-cmsgpack 0.4.0");
    set_text(L, "_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo");
    set_text(L, "_DESCRIPTION", "MessagePack C implementation for Lua");
    return 1;
}
