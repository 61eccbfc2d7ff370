/* For tests of the Lua libraries: a Lua state with one library, in which chunks run and print what they return.
 *
 * The state's allocator counts its bytes, to show that nothing leaks, and can fail after so many calls. */
#pragma once
#include "base/rand.h"
#include "seed.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <lua5.1/lauxlib.h>
#include <lua5.1/lua.h>
#include <lua5.1/lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lua_line {
    const char *chunk;
    size_t len; /* of the answer */
    const char *answer;
};

static lua_State *lab_lua;
static size_t lab_live;          /* bytes that the state holds */
static long lab_calls_left = -1; /* calls of the allocator that still get memory; below 0: all do */

/* show(v) is a value as text, tables with their keys in order; answer(pcall(...)) is what a chunk gave. */
static const char lab_prelude[] =
    "local function before(a, b) "
    "  if type(a) == type(b) and type(a) ~= 'boolean' then return a < b end "
    "  return type(a) < type(b) "
    "end "
    "function show(v, depth) "
    "  depth = depth or 0 "
    "  if type(v) == 'number' then return string.format('%.17g', v) end "
    "  if type(v) == 'string' then return '\"' .. v .. '\"' end "
    "  if type(v) == 'function' then return 'function' end "
    "  if type(v) ~= 'table' or depth > 5 then return tostring(v) end "
    "  local keys, items = {}, {} "
    "  for k in pairs(v) do keys[#keys + 1] = k end "
    "  table.sort(keys, before) "
    "  for i, k in ipairs(keys) do items[i] = '[' .. show(k, depth + 1) .. ']=' .. show(v[k], depth + 1) end "
    "  return '{' .. table.concat(items, ',') .. '}' "
    "end "
    "function answer(ok, ...) "
    "  local items = {} "
    "  for i = 1, select('#', ...) do items[i] = show((select(i, ...))) end "
    "  return (ok and 'ok ' or 'error ') .. table.concat(items, '; ') "
    "end ";

static void *lab_alloc(void *ctx, void *p, size_t old, size_t n) {
    (void)ctx;
    if (n > old) { /* Lua relies on it that shrinking works */
        if (!lab_calls_left) return NULL;
        if (lab_calls_left > 0) lab_calls_left--;
    }
    lab_live += n - old;
    if (n) return realloc(p, n);
    free(p);
    return NULL;
}

static void lab_open(const char *name, int (*open)(lua_State *L)) {
    lab_lua = lua_newstate(lab_alloc, NULL);
    assert_non_null(lab_lua);
    luaL_openlibs(lab_lua);
    assert_int_equal(open(lab_lua), 1);
    lua_setglobal(lab_lua, name);
    assert_int_equal(luaL_dostring(lab_lua, lab_prelude), 0);
    assert_int_equal(lua_gettop(lab_lua), 0);
}

static void lab_close(void) {
    lua_close(lab_lua);
    assert_int_equal(lab_live, 0);
}

static inline int lab_teardown(void **state) {
    (void)state;
    lab_close();
    return 0;
}

/* Seed random numbers with the seed of the run, which is printed. */
static inline uint64_t lab_seed(void) {
    uint64_t seed = seed_of_run();
    printf("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    return seed;
}

/* Compile and call a chunk. 0, or Lua's status; its first value, or its error, is on the stack. */
static int lab_call(const char *chunk) {
    int status = luaL_loadbuffer(lab_lua, chunk, strlen(chunk), "@user_script");
    return status ? status : lua_pcall(lab_lua, 0, 1, 0);
}

/* Call a chunk that has to succeed, and return its value as text: valid until the next call of lab_text(). */
static const char *lab_text(const char *chunk) {
    lua_settop(lab_lua, 0);
    int status = lab_call(chunk);
    const char *text = lua_tostring(lab_lua, -1);
    if (status) fail_msg("%s: %s", chunk, text);
    return text;
}

static inline void lab_compare(const struct lua_line *lines, size_t count) {
    for (size_t i = 0; i < count; i++) {
        lua_pushfstring(lab_lua, "return answer(pcall(function() %s end))", lines[i].chunk);
        char *chunk = strdup(lua_tostring(lab_lua, -1));
        lab_text(chunk);
        free(chunk);
        size_t len;
        const char *text = lua_tolstring(lab_lua, -1, &len);
        if (len != lines[i].len || memcmp(text, lines[i].answer, len))
            fail_msg("%s\n  gives    %s\n  in Redis %s", lines[i].chunk, text, lines[i].answer);
    }
    lua_settop(lab_lua, 0);
}

/* Collect all garbage. Lua's own scratch buffer loses half of its size at each collection. */
static inline void lab_collect(void) {
    lua_settop(lab_lua, 0);
    for (int i = 0; i < 25; i++)
        lua_gc(lab_lua, LUA_GCCOLLECT, 0);
}

/* Call a chunk while the allocator fails at its first call, then at its second, and so on, until it succeeds. Each
 * failure is a plain error of Lua, after which the state works as before. */
static inline void lab_starve(const char *chunk) {
    int failures = 0;
    for (;; failures++) {
        lua_settop(lab_lua, 0);
        lua_gc(lab_lua, LUA_GCCOLLECT, 0);
        assert_int_equal(luaL_loadstring(lab_lua, chunk), 0);
        lab_calls_left = failures;
        int status = lua_pcall(lab_lua, 0, 1, 0);
        lab_calls_left = -1;
        if (!status) break;
        assert_int_equal(status, LUA_ERRMEM);
        assert_string_equal(lua_tostring(lab_lua, -1), "not enough memory");
    }
    assert_true(failures > 1);
    lua_settop(lab_lua, 0);
}
