/* A sandboxed Lua state for tests, and what a script gives in it, as text. */
#pragma once
#include "base/rand.h"
#include "script/catch.h"
#include "script/protect.h"
#include "script/sandbox.h"
#include "script/source.h"
#include "seed.h"
#include <lua5.1/lauxlib.h>
#include <lua5.1/lua.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A script and what redis-server 7.0.15 gives for it. */
struct lab_line {
    const char *script, *expected;
};

/* In front of each script, in its first line: show(...) makes text of values, hex(s) of a string. */
#define LAB_PRELUDE                                                                                                 \
    "local function show(...) local o={} for i=1,select('#',...) do local v=select(i,...) "                         \
    "o[i]=type(v)=='number' and string.format('%.17g',v) or (type(v)=='table' or type(v)=='function') and type(v) " \
    "or tostring(v) end return table.concat(o,' ') end "                                                            \
    "local function hex(s) return (s:gsub('.',function(c) return string.format('%02x',c:byte()) end)) end "         \
    "return show(pcall(function() "

/* Seed random numbers, and print the seed. */
static inline void lab_seed(void) {
    uint64_t seed = seed_of_run();
    print_message("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
}

/* The state's memory. Only while a script runs (`armed`) are demands refused. */
static struct {
    bool armed;
    size_t used, limit; /* bytes; limit 0: none */
    long fail_after;    /* so many demands are met; negative: all */
} lab_memory = {.fail_after = -1};

static bool lab_refuses(size_t more) {
    if (!lab_memory.armed) return false;
    if (lab_memory.fail_after >= 0 && lab_memory.fail_after-- == 0) {
        lab_memory.fail_after = 0;
        return true;
    }
    return lab_memory.limit && lab_memory.used + more > lab_memory.limit;
}

static void *lab_realloc(void *ctx, void *old, size_t old_bytes, size_t bytes) {
    (void)ctx;
    if (bytes > old_bytes && lab_refuses(bytes - old_bytes)) return NULL;
    lab_memory.used += bytes - old_bytes;
    if (bytes) return realloc(old, bytes);
    free(old);
    return NULL;
}

static int lab_open_protected(lua_State *L) {
    sandbox_open(L);
    return 0;
}

static lua_State *lab_open(void) {
    lab_memory.used = 0;
    lua_State *L = lua_newstate(lab_realloc, NULL);
    assert_non_null(L);
    assert_int_equal(lua_cpcall(L, lab_open_protected, NULL), 0);
    assert_int_equal(lua_gettop(L), 0);
    return L;
}

static inline void lab_close(lua_State *L) {
    lua_close(L);
    assert_int_equal(lab_memory.used, 0);
}

static int lab_call_protected(lua_State *L) {
    struct slice *text = lua_touserdata(L, 1);
    if (source_load(L, *text, "@user_script") != 0) return lua_error(L);
    sandbox_settle(L);
    lua_call(L, 0, 1);
    return 1;
}

/* Run a script: its result, or its error behind "ERR ". Valid until the next call. */
static struct slice lab_run_slice(lua_State *L, struct slice text) {
    lua_settop(L, 0);
    lua_pushcfunction(L, lab_call_protected);
    lua_pushlightuserdata(L, &text);
    lab_memory.armed = true;
    int status = lua_pcall(L, 1, 1, 0);
    lab_memory.armed = catch_ending = false;
    if (status == LUA_ERRMEM) lua_gc(L, LUA_GCCOLLECT, 0);
    if (status != 0) {
        lua_pushliteral(L, "ERR ");
        if (!lua_isstring(L, 1))
            lua_pushstring(L, luaL_typename(L, 1));
        else
            lua_pushvalue(L, 1);
        lua_concat(L, 2);
    }
    struct slice out = {.ptr = ""};
    if (lua_isstring(L, -1)) out.ptr = lua_tolstring(L, -1, &out.len);
    return out;
}

static const char *lab_run(lua_State *L, const char *script) {
    return lab_run_slice(L, slice_cstr(script)).ptr;
}

static inline void lab_expect(lua_State *L, const char *script, const char *expected) {
    const char *got = lab_run(L, script);
    if (strcmp(got, expected) != 0) fail_msg("%s\n  gives    %s\n  expected %s", script, got, expected);
}

/* Each script of the table stands in a function whose results are shown behind pcall()'s true or false. */
static inline void lab_compare(const struct lab_line *lines, size_t count) {
    lua_State *L = lab_open();
    int bad = 0;
    for (size_t i = 0; i < count; i++) {
        char script[4096];
        assert_true(snprintf(script, sizeof script, "%s%s end))", LAB_PRELUDE, lines[i].script) < (int)sizeof script);
        const char *got = lab_run(L, script);
        if (strcmp(got, lines[i].expected) == 0) continue;
        print_message("%s\n  gives    %s\n  expected %s\n", lines[i].script, got, lines[i].expected);
        bad++;
    }
    lab_close(L);
    assert_int_equal(bad, 0);
}
