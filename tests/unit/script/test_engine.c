/* The engine: scripts whose memory ends at each of their allocations, limits on memory, what a script leaves behind,
 * and how its errors are counted. */
#include "script/engine_lab.h"
#include "script/functions.h"
#include "session/server_metrics.h"

/* --- An allocator that fails ----------------------------------------------------------------- */

static struct {
    lua_Alloc real;
    long left; /* allocations that still succeed; below 0: all do */
    bool once; /* only one fails, else all behind it */
    bool failed;
} faulty = {.left = -1};

static void *faulty_allocate(void *ctx, void *p, size_t old, size_t n) {
    if (n > old && faulty.left >= 0 && faulty.left-- == 0) {
        faulty.left = faulty.once ? -1 : 0;
        faulty.failed = true;
        return NULL;
    }
    return faulty.real(ctx, p, old, n);
}

static lua_State *scripts_state(void) {
    return cache_engine()->lua;
}

static void arm(lua_State *L, long calls, bool once) {
    void *ctx;
    if (lua_getallocf(L, &ctx) != faulty_allocate) {
        faulty.real = lua_getallocf(L, &ctx);
        lua_setallocf(L, faulty_allocate, ctx);
    }
    faulty.left = calls;
    faulty.once = once;
    faulty.failed = false;
}

static void disarm(void) {
    faulty.left = -1;
}

/* --- Memory ends ----------------------------------------------------------------------------- */

#define MANY "local t = {} for i = 1, 50 do t[i] = 'item' .. i end "

/* Each ends, whatever fails, with its reply or with an error. */
static const char *const hungry[] = {
    "return {KEYS[1], ARGV[1]}",
    "return redis.call('SET', KEYS[1], ARGV[1])",
    "return redis.call('HGETALL', KEYS[1])",
    "return redis.pcall('LPUSH', KEYS[1], 'a')",
    "redis.setresp(3) return redis.call('HGETALL', KEYS[1])",
    "return redis.call('RAW', '*3\r\n+OK\r\n*2\r\n:1\r\n$3\r\nabc\r\n$-1\r\n')",
    "return redis.call('BLOBS', 2)",
    "return {{1, 'two', {3}}, {ok = 'fine'}, {double = 1.5}, {map = {a = 1}}, {set = {b = true}}}",
    "error('no')",
    "error({err = 'NO way'})",
    "return redis.call('NOSUCH')",
    "return redis.error_reply('MY error')",
    "return {pcall(error, 'x')}",
    "return {xpcall(function() error('x') end, function(e) return e .. 'y' end)}",
    "local c = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) return {c(), c(), c()}",
    "return redis.sha1hex(KEYS[1])",
    "return cjson.encode(cjson.decode('{\"a\":[1,2,{\"b\":\"c\"}]}'))",
    "return cmsgpack.unpack(cmsgpack.pack({1, 'b', {c = 3}}))",
    "return struct.pack('>I4s', 7, 'abc')",
    "return loadstring('return 1 + ...')(2)",
    MANY "return table.concat(t, ',')",
    MANY "table.sort(t) return #t",
    MANY "return (string.gsub(table.concat(t), 'item', '%0x'))",
    "local s = {} for k in pairs(redis) do s[#s + 1] = k end table.sort(s) return s",
    "return string.rep('abc', 1000)",
    "local function f(n) return n == 0 and 0 or 1 + f(n - 1) end return f(150)",
    "return tostring(nil) .. tostring(12.5) .. string.format('%5.1f|%q', 3, 'a\\nb')",
    "return {_G.KEYS[1], unpack({1, 2, 3})}",
};

static void prepare_key(void) {
    lab_run("DEL h");
    lab_run("HSET h f v g w");
}

/* Run a script with `left` allocations. False: it needs no more than these. */
static bool try_script_bytes(struct slice script, long left, bool once) {
    prepare_key();
    arm(scripts_state(), left, once);
    struct slice reply = lab_eval(script, "h", SLICE("argument"));
    disarm();
    assert_true(reply.len >= 3);
    assert_memory_equal(reply.ptr + reply.len - 2, "\r\n", 2);
    return faulty.failed;
}

static bool try_script(const char *script, long left, bool once) {
    return try_script_bytes(slice_cstr(script), left, once);
}

static void expect_works(void) {
    assert_string_equal(lab_script("local t = {} for i = 1, 3 do t[i] = i end return t"), "*3 :1 :2 :3");
}

/* The script is compiled anew each time, since that may fail as well. */
static void fail_everywhere(const char *script, bool once) {
    long left = 0;
    for (; left < 5000; left++) {
        cache_flush(false);
        cache_engine();
        if (!try_script(script, left, once)) break;
        expect_works();
    }
    if (left == 5000) fail_msg("%s: no end", script);
}

static void a_script_survives_each_single_allocation_that_fails(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof hungry / sizeof *hungry; i++)
        fail_everywhere(hungry[i], true);
}

static void a_script_survives_the_end_of_memory_at_each_allocation(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof hungry / sizeof *hungry; i++)
        fail_everywhere(hungry[i], false);
}

/* The same in one state, which has garbage of those before. */
static void a_state_stays_usable_after_many_failures(void **state) {
    (void)state;
    for (int round = 0; round < 2000; round++) {
        const char *script = hungry[lab_below(sizeof hungry / sizeof *hungry)];
        try_script(script, lab_below(200), lab_below(2));
        if (round % 10 == 0) expect_works();
    }
}

#define LIBRARY                                                                       \
    "#!lua name=lib\n"                                                                \
    "local function helper(x) return string.upper(x) end\n"                           \
    "redis.register_function('f', function(keys, args) return helper(args[1]) end)\n" \
    "redis.register_function{function_name = 'g', callback = function() return 1 end, flags = {'no-writes'}}"

static struct slice load_library(const char *code) {
    struct slice words[] = {SLICE("FUNCTION"), SLICE("LOAD"), SLICE("REPLACE"), slice_cstr(code)};
    return lab_call(words, 4);
}

static void a_library_that_fails_to_load_leaves_the_old_one(void **state) {
    (void)state;
    assert_string_equal(lab_lines(load_library(LIBRARY)), "$3 lib");
    for (int once = 0; once < 2; once++) {
        for (long left = 0; left < 5000; left++) {
            arm(functions_engine()->lua, left, once);
            struct slice reply = load_library(LIBRARY);
            disarm();
            assert_int_equal(reply.ptr[0], faulty.failed ? '-' : '$');
            assert_string_equal(lab_run("FCALL f 0 text"), "$4 TEXT");
            if (!faulty.failed) break;
        }
        assert_false(faulty.failed);
    }
    functions_flush(false);
}

/* Words that programs are made of, but for those that make loops. */
static const char *const words[] = {
    "local",
    "a",
    "b",
    "=",
    "==",
    "..",
    "function",
    "end",
    "if",
    "then",
    "else",
    "return",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ",",
    ";",
    ".",
    ":",
    "nil",
    "true",
    "1",
    "2.5",
    "1e300",
    "'x'",
    "'a\\0b'",
    "[[y]]",
    "KEYS",
    "ARGV",
    "#",
    "-",
    "+",
    "*",
    "/",
    "%",
    "^",
    "<",
    "not",
    "and",
    "or",
    "do",
    "...",
    "redis.call",
    "redis.pcall",
    "'SET'",
    "'GET'",
    "'HGETALL'",
    "redis.error_reply",
    "error",
    "pcall",
    "tostring",
    "type",
    "unpack",
    "string.rep",
    "string.format",
    "table.concat",
    "cjson.encode",
    "cjson.decode",
    "cmsgpack.pack",
    "cmsgpack.unpack",
    "struct.pack",
    "bit.tohex",
    "setmetatable",
    "getmetatable",
    "rawset",
    "coroutine.wrap",
    "coroutine.yield",
    "loadstring",
    "load",
    "select",
    "next",
    "_G",
    "math.random",
    "--",
    "\n",
    "\"",
    "\\",
    "\033Lua",
    "\xff",
    "xpcall",
    "redis",
    "redis.setresp(3)",
    "collectgarbage()",
};

static void make_program(struct buf *text) {
    text->len = 0;
    if (lab_below(4) == 0) {
        for (int i = lab_below(60); i > 0; i--)
            buf_append(text, &(char){(char)lab_below(256)}, 1);
        return;
    }
    if (lab_below(2)) buf_append_cstr(text, "local a, b = {}, 'two' return ");
    for (int i = lab_below(25); i >= 0; i--) {
        buf_append_cstr(text, words[lab_below(sizeof words / sizeof *words)]);
        buf_append_cstr(text, " ");
    }
}

static void random_programs_do_no_harm(void **state) {
    (void)state;
    struct buf text = {0};
    engine_options.memory_limit = 16 << 20;
    for (int round = 0; round < 20000; round++) {
        make_program(&text);
        try_script_bytes(buf_slice(&text), lab_below(3) ? -1 : lab_below(300), lab_below(2));
        if (round % 100 == 0) expect_works();
    }
    engine_options.memory_limit = 0;
    buf_free(&text);
}

/* --- Limits ---------------------------------------------------------------------------------- */

static void expect_no_memory(const char *script) {
    const char *reply = lab_script(script);
    if (strncmp(reply, "-ERR ", 5) != 0 || !strstr(reply, ", not enough memory")) fail_msg("%s: %s", script, reply);
}

static void a_script_beyond_the_limit_fails_and_the_next_one_has_memory(void **state) {
    (void)state;
    engine_options.memory_limit = 4 << 20;
    expect_no_memory("local t = {} for i = 1, 1e7 do t[i] = i end return #t");
    assert_true(engine_memory(cache_engine()) < 2 << 20);
    expect_no_memory("return string.rep('x', 1e9)");
    expect_no_memory("local s = 'x' while true do s = s .. s end");
    expect_works();
    engine_options.memory_limit = 0;
}

static void garbage_does_not_count_against_the_limit(void **state) {
    (void)state;
    engine_options.memory_limit = 4 << 20;
    assert_string_equal(lab_script("for i = 1, 2000 do local s = string.rep('x', 10000) .. i end return 1"), ":1");
    assert_string_equal(lab_script("local n = 0 for i = 1, 20000 do local t = {i, i, i} n = n + #t end return n"),
                        ":60000");
    engine_options.memory_limit = 0;
}

static void a_reply_is_limited_as_the_memory_is(void **state) {
    (void)state;
    engine_options.memory_limit = 1 << 20;
    const char *reply = lab_script("local t = {} for i = 1, 8 do t[i] = t end return t");
    assert_memory_equal(reply, "-ERR the reply of the script takes too much memory", 50);
    engine_options.memory_limit = 0;
    expect_works();
}

static void the_heap_is_used_memory_but_nobodys_balance(void **state) {
    (void)state;
    cache_engine();
    int64_t balance = alloc_balance();
    size_t used = alloc_used(), memory = engine_memory(cache_engine());
    lua_State *L = scripts_state();
    lua_newuserdata(L, 1 << 20);
    assert_true(engine_memory(cache_engine()) >= memory + (1 << 20));
    assert_true(alloc_used() >= used + (1 << 20));
    assert_int_equal(alloc_balance(), balance);
    lua_pop(L, 1);
    lua_gc(L, LUA_GCCOLLECT, 0);
    assert_true(engine_memory(cache_engine()) < memory + (1 << 20));
    cache_flush(false);
    assert_true(alloc_used() < used);
}

/* --- What a script leaves -------------------------------------------------------------------- */

static void a_script_finds_neither_keys_nor_arguments_of_another(void **state) {
    (void)state;
    lab_eval(SLICE("return KEYS[1] .. ARGV[1]"), "secret-key", SLICE("secret-argument"));
    lab_eval(SLICE("error(KEYS[1] .. ARGV[1])"), "secret-key", SLICE("secret-argument"));
    lua_State *L = scripts_state();
    lua_rawgeti(L, LUA_REGISTRYINDEX, ENGINE_OPEN_GLOBALS);
    for (int i = 0; i < 2; i++) {
        lua_pushstring(L, i ? "KEYS" : "ARGV");
        lua_rawget(L, -2);
        assert_true(lua_isnil(L, -1));
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static void the_stack_does_not_grow(void **state) {
    (void)state;
    int top = lua_gettop(scripts_state());
    for (size_t i = 0; i < sizeof hungry / sizeof *hungry; i++) {
        prepare_key();
        lab_eval(slice_cstr(hungry[i]), "h", SLICE("a"));
        lab_script("x x");
        assert_int_equal(lua_gettop(scripts_state()), top);
    }
}

static void setresp_lasts_until_the_script_ends(void **state) {
    (void)state;
    prepare_key();
    assert_string_equal(lab_script("redis.setresp(3) return redis.call('HGETALL', 'h').map.f"), "$1 v");
    assert_string_equal(lab_script("return redis.call('HGETALL', 'h')[2]"), "$1 v");
    assert_int_equal(lab_client.resp, 2);
}

static void a_key_brings_its_hash_however_it_is_called(void **state) {
    (void)state;
    lab_client.resp = 3;
    struct slice reply = lab_eval(SLICE("redis.setresp(3) local k = KEYS[1] KEYS[1] = 'other' "
                                        "return {redis.call('hashed', k)[2], redis.call('hashed', KEYS[1])[2], "
                                        "redis.call('hashed', 'a' .. 'b')[2], redis.call('hashed', ARGV[1])[2]}"),
                                  "key", SLICE("key"));
    assert_string_equal(lab_lines(reply), "*4 #t #t #t #t");
}

/* A name in the cache of commands is another string soon, if nothing keeps it. */
static void names_of_commands_stay_what_they_are(void **state) {
    (void)state;
    for (int i = 0; i < 300; i++) {
        char script[256];
        snprintf(script, sizeof script,
                 "local set, get = string.%s('sEt'), string.%s('gEt') collectgarbage() "
                 "redis.call(set, 'k%d', %d) return redis.call(get, 'k%d')",
                 i % 2 ? "upper" : "lower", i % 3 ? "upper" : "lower", i, i, i);
        char expected[32];
        int len = snprintf(expected, sizeof expected, "%d", i);
        assert_string_equal(lab_script(script), (snprintf(expected, sizeof expected, "$%d %d", len, i), expected));
        if (i % 50 == 0)
            assert_memory_equal(lab_script("return redis.call('nosuch' .. #redis.REDIS_VERSION)"), "-ERR Unknown", 12);
    }
}

/* --- Errors ---------------------------------------------------------------------------------- */

static void errors_are_counted_once(void **state) {
    (void)state;
    static const char *const failing[] = {
        "return redis.call('LPUSH', 'h', 'a')",
        "return redis.pcall('LPUSH', 'h', 'a')",
        "local e = redis.pcall('LPUSH', 'h', 'a') error(e)",
        "error('x')",
        "return {err = 'MY error'}",
        "return redis.call('NOSUCH')",
        "return redis.call()",
    };
    prepare_key();
    for (size_t i = 0; i < sizeof failing / sizeof *failing; i++) {
        uint64_t before = server_metrics.errors;
        assert_int_equal(lab_script(failing[i])[0], '-');
        assert_int_equal(server_metrics.errors, before + 1);
    }
}

static void an_error_ends_its_line(void **state) {
    (void)state;
    struct slice reply = lab_eval(SLICE("error(ARGV[1], 0)"), "k", SLICE("a\r\n+OK\r\nb"));
    assert_ptr_equal(memchr(reply.ptr, '\r', reply.len), reply.ptr + reply.len - 2);
    assert_memory_equal(reply.ptr, "-ERR a  +OK  b script: ", 23);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        LAB_TEST(a_script_survives_each_single_allocation_that_fails),
        LAB_TEST(a_script_survives_the_end_of_memory_at_each_allocation),
        LAB_TEST(a_state_stays_usable_after_many_failures),
        LAB_TEST(random_programs_do_no_harm),
        LAB_TEST(a_library_that_fails_to_load_leaves_the_old_one),
        LAB_TEST(a_script_beyond_the_limit_fails_and_the_next_one_has_memory),
        LAB_TEST(garbage_does_not_count_against_the_limit),
        LAB_TEST(a_reply_is_limited_as_the_memory_is),
        LAB_TEST(the_heap_is_used_memory_but_nobodys_balance),
        LAB_TEST(a_script_finds_neither_keys_nor_arguments_of_another),
        LAB_TEST(the_stack_does_not_grow),
        LAB_TEST(setresp_lasts_until_the_script_ends),
        LAB_TEST(a_key_brings_its_hash_however_it_is_called),
        LAB_TEST(names_of_commands_stay_what_they_are),
        LAB_TEST(errors_are_counted_once),
        LAB_TEST(an_error_ends_its_line),
    };
    lab_start_scripts();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cache_flush(false);
    return failed;
}
