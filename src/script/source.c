/* Source becomes functions.
 *
 * lua_load() takes a source for bytecode if its first byte is 27, and runs bytecode unchecked. A blank before that byte
 * makes the source text: the parser refuses the byte, in its own words. */
#include "script/source.h"
#include "script/catch.h"
#include <lua5.1/lauxlib.h>
#include <stdbool.h>

struct source {
    const char *held; /* the next piece, if it is there already */
    size_t held_bytes;
    size_t total_bytes; /* of all pieces that were given to the parser */
};

static const char *give_held(struct source *source, size_t *bytes) {
    const char *piece = source->held;
    source->held = NULL;
    *bytes = source->held_bytes;
    return piece;
}

/* Give this piece, or the blank that has to come before it. */
static const char *give(struct source *source, const char *piece, size_t *bytes) {
    bool first = source->total_bytes == 0;
    source->total_bytes += *bytes;
    if (!first || *bytes == 0 || *piece != LUA_SIGNATURE[0]) return piece;
    source->held = piece;
    source->held_bytes = *bytes;
    *bytes = 1;
    return " ";
}

/* Lua's readers return NULL at the end. */
static const char *read_text(lua_State *L, void *ctx, size_t *bytes) {
    (void)L;
    struct source *source = ctx;
    bool first = source->total_bytes == 0;
    const char *piece = give_held(source, bytes);
    return first && piece ? give(source, piece, bytes) : piece;
}

/* The parser makes a string of the name and forgets that the collector may run (CVE-2025-49844): the same string on the
 * stack keeps it alive. */
static int load_pieces(lua_State *L, lua_Reader read, struct source *source, const char *name) {
    lua_pushstring(L, name);
    int status = lua_load(L, read, source, name);
    lua_remove(L, -2);
    catch_pass(L, status);
    return status;
}

int source_load(lua_State *L, struct slice text, const char *name) {
    if (text.len > SOURCE_MAX_BYTES) {
        lua_pushliteral(L, "source is longer than 64 MB");
        return LUA_ERRSYNTAX;
    }
    struct source source = {.held = text.ptr, .held_bytes = text.len};
    return load_pieces(L, read_text, &source, name);
}

/* --- load and loadstring ---------------------------------------------------------------------- */

static int return_loaded(lua_State *L, int status) {
    if (status == 0) return 1;
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
}

/* loadstring(text [, name]) */
static int source_loadstring(lua_State *L) {
    struct slice text;
    text.ptr = luaL_checklstring(L, 1, &text.len);
    return return_loaded(L, source_load(L, text, luaL_optstring(L, 2, text.ptr)));
}

/* Blame the caller of load(), which has called load_function() in its turn. */
static void fail(lua_State *L, const char *why) {
    luaL_where(L, 2);
    lua_pushstring(L, why);
    lua_concat(L, 2);
    lua_error(L);
}

/* The next string of the function at index 1; index 3 keeps it alive until the one after. */
static const char *read_function(lua_State *L, void *ctx, size_t *bytes) {
    struct source *source = ctx;
    if (source->held) return give_held(source, bytes);
    luaL_checkstack(L, 2, "too many nested functions");
    lua_pushvalue(L, 1);
    lua_call(L, 0, 1);
    *bytes = 0;
    if (lua_isnil(L, -1)) return NULL;
    if (!lua_isstring(L, -1)) fail(L, "reader function must return a string");
    lua_replace(L, 3);
    const char *piece = lua_tolstring(L, 3, bytes);
    if (*bytes > SOURCE_MAX_BYTES - source->total_bytes) fail(L, "source is longer than 64 MB");
    return give(source, piece, bytes);
}

/* The work of load(), with its arguments: returns the function, or raises why not. */
static int load_function(lua_State *L) {
    struct source source = {0};
    lua_settop(L, 3);
    if (load_pieces(L, read_function, &source, lua_tostring(L, 2)) != 0) lua_error(L);
    return 1;
}

/* load(function [, name]). An error of the function is caught here, lest the message handler of what runs hears of it:
 * lua_load() does not hide it from that one. */
static int source_load_function(lua_State *L) {
    luaL_optstring(L, 2, NULL);
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 2);
    if (lua_isnil(L, 2)) {
        lua_pushliteral(L, "=(load)");
        lua_replace(L, 2);
    }
    lua_pushcfunction(L, load_function);
    lua_insert(L, 1);
    int status = lua_pcall(L, 2, 1, 0);
    catch_pass(L, status);
    return return_loaded(L, status);
}

void source_open(lua_State *L) {
    static const struct luaL_Reg functions[] = {
        {"load", source_load_function}, {"loadstring", source_loadstring}, {NULL, NULL}};
    luaL_register(L, NULL, functions);
}
