/* Conversions both ways. What a script sees of a reply is told by a script, which writes values as text; what it
 * returns is compared with what redis-server sends. */
#include "script/engine_lab.h"

/* show(v): a value with its type. */
#define SHOW                                                                         \
    "local function show(v) "                                                        \
    "  if type(v) == 'string' then return '\"' .. v .. '\"' end "                    \
    "  if type(v) ~= 'table' then return tostring(v) end "                           \
    "  local keys, parts = {}, {} "                                                  \
    "  for k in pairs(v) do keys[#keys + 1] = k end "                                \
    "  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end) "       \
    "  for i, k in ipairs(keys) do parts[i] = tostring(k) .. '=' .. show(v[k]) end " \
    "  return '{' .. table.concat(parts, ',') .. '}' "                               \
    "end "

/* --- Replies to Lua -------------------------------------------------------------------------- */

static const char *seen(const char *protocol, int resp) {
    char script[2048];
    snprintf(script, sizeof script, SHOW "redis.setresp(%d) return show(redis.pcall('RAW', ARGV[1]))", resp);
    const char *lines = lab_lines(lab_eval(slice_cstr(script), "k", slice_cstr(protocol)));
    const char *text = strchr(lines, ' ');
    return text ? text + 1 : lines;
}

static void a_script_sees_each_type(void **state) {
    (void)state;
    static const struct {
        const char *protocol, *seen;
    } cases[] = {
        {"+OK\r\n", "{ok=\"OK\"}"},
        {"+\r\n", "{ok=\"\"}"},
        {"+QUEUED\r\n", "{ok=\"QUEUED\"}"},
        {"-WRONG kind\r\n", "{err=\"WRONG kind\",ignore_error_stats_update=true}"},
        {"-LONELY\r\n", "{err=\"ERR LONELY\",ignore_error_stats_update=true}"},
        {":0\r\n", "0"},
        {":-17\r\n", "-17"},
        {":9007199254740992\r\n", "9.007199254741e+15"},
        {":-9223372036854775808\r\n", "-9.2233720368548e+18"},
        {"$0\r\n\r\n", "\"\""},
        {"$3\r\nabc\r\n", "\"abc\""},
        {"$-1\r\n", "false"},
        {"*-1\r\n", "false"},
        {"*0\r\n", "{}"},
        {"*3\r\n:1\r\n$-1\r\n*1\r\n+a\r\n", "{1=1,2=false,3={1={ok=\"a\"}}}"},
        {"*2\r\n*-1\r\n-E x\r\n", "{1=false,2={err=\"E x\",ignore_error_stats_update=true}}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int resp = 2; resp <= 3; resp++)
            assert_string_equal(seen(cases[i].protocol, resp), cases[i].seen);
    }
}

static void a_script_sees_the_types_of_resp3(void **state) {
    (void)state;
    static const struct {
        const char *protocol, *seen;
    } cases[] = {
        {"_\r\n", "nil"},
        {"#t\r\n", "true"},
        {"#f\r\n", "false"},
        {",1.5\r\n", "{double=1.5}"},
        {",inf\r\n", "{double=inf}"},
        {",-inf\r\n", "{double=-inf}"},
        {"(12345678901234567890\r\n", "{big_number=\"12345678901234567890\"}"},
        {"=8\r\ntxt:some\r\n", "{verbatim_string={format=\"txt\",string=\"some\"}}"},
        {"=4\r\nmkd:\r\n", "{verbatim_string={format=\"mkd\",string=\"\"}}"},
        {"%0\r\n", "{map={}}"},
        {"%2\r\n$1\r\na\r\n:1\r\n:7\r\n%1\r\n$1\r\nx\r\n#t\r\n", "{map={7={map={x=true}},a=1}}"},
        {"%1\r\n_\r\n:1\r\n", "{map={}}"},
        {"~2\r\n$1\r\na\r\n:2\r\n", "{set={2=true,a=true}}"},
        {"~1\r\n_\r\n", "{set={}}"},
        {"|1\r\n$1\r\nk\r\n*2\r\n:1\r\n:2\r\n$5\r\nvalue\r\n", "\"value\""},
        {"*2\r\n|1\r\n+a\r\n+b\r\n:1\r\n:2\r\n", "{1=1,2=2}"},
        {"*3\r\n_\r\n:1\r\n_\r\n", "{2=1}"},
        {">2\r\n+message\r\n:1\r\n", "{1={ok=\"message\"},2=1}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(seen(cases[i].protocol, 3), cases[i].seen);
}

static void large_strings_are_read_where_they_are(void **state) {
    (void)state;
    assert_string_equal(lab_script("local t = redis.call('BLOBS', 3) local s = {} for i, v in ipairs(t) do "
                                   "s[i] = type(v) == 'string' and v:sub(1, 1) .. #v or v end return s"),
                        "*6 $6 a16384 :0 $6 b16385 :1 $6 c16386 :2");
    assert_string_equal(lab_script("return #redis.call('BLOBS', 9)[17]"), ":16392");
    assert_string_equal(lab_script("return #redis.call('BLOBS', 0)"), ":0");
}

/* --- Lua to replies -------------------------------------------------------------------------- */

struct returned {
    const char *script, *resp2, *resp3; /* NULL: as in RESP2 */
};

static const struct returned returned[] = {
    {"return 'text'", "$4 text", NULL},
    {"return ''", "$0 ", NULL},
    {"return 1", ":1", NULL},
    {"return -3.99", ":-3", NULL},
    {"return 3.99", ":3", NULL},
    {"return 1e300", ":-9223372036854775808", NULL},
    {"return -1e300", ":-9223372036854775808", NULL},
    {"return 2^63", ":-9223372036854775808", NULL},
    {"return -2^63", ":-9223372036854775808", NULL},
    {"return 2^62", ":4611686018427387904", NULL},
    {"return 0/0", ":-9223372036854775808", NULL},
    {"return true", ":1", NULL},
    {"return false", "$-1", "_"},
    {"return nil", "$-1", "_"},
    {"return", "$-1", "_"},
    {"redis.setresp(3) return true", ":1", "#t"},
    {"redis.setresp(3) return false", ":0", "#f"},
    {"redis.setresp(3) return nil", "$-1", "_"},
    {"redis.setresp(3) redis.setresp(2) return false", "$-1", "_"},
    {"return function() end", "$-1", "_"},
    {"return {}", "*0", NULL},
    {"return {1, 'a', true, false}", "*4 :1 $1 a :1 $-1", "*4 :1 $1 a :1 _"},
    {"return {1, 2, nil, 4}", "*2 :1 :2", NULL},
    {"return {nil, 2}", "*0", NULL},
    {"local t = {} for i = 1, 20 do t[i] = i end t[3] = nil return t", "*2 :1 :2", NULL},
    {"local t = {} for i = 1, 20 do t[i] = i end t[12] = nil return {t, 5}",
     "*2 *11 :1 :2 :3 :4 :5 :6 :7 :8 :9 :10 :11 :5", NULL},
    {"return {1, 2, x = 3}", "*2 :1 :2", NULL},
    {"return {x = 3}", "*0", NULL},
    {"return {[0] = 1, [1] = 2, [-1] = 3}", "*1 :2", NULL},
    {"return {{{}}, {{1}}}", "*2 *1 *0 *1 *1 :1", NULL},
    {"return {ok = 'fine'}", "+fine", NULL},
    {"return {ok = 'a\\r\\nb'}", "+a  b", NULL},
    {"return {ok = 'a\\0b'}", "+a", NULL},
    {"return {ok = 1}", "*0", NULL},
    {"return {err = 'MY error'}", "-MY error", NULL},
    {"return {err = 'a\\r\\nb'}", "-a  b", NULL},
    {"return {err = 'E x', ok = 'y'}", "-E x", NULL},
    {"return {'a', ok = 'y'}", "+y", NULL},
    {"return {{err = 'E x'}, {ok = 'y'}}", "*2 -E x +y", NULL},
    {"return {double = 1.5}", "$3 1.5", ",1.5"},
    {"return {double = 1/0}", "$3 inf", ",inf"},
    {"return {double = '1.5'}", "*0", NULL},
    {"return {map = {a = 1}}", "*2 $1 a :1", "%1 $1 a :1"},
    {"return {map = {}}", "*0", "%0"},
    {"return {map = {[1.5] = {set = {x = 1}}}}", "*2 :1 *1 $1 x", "%1 :1 ~1 $1 x"},
    {"return {map = 1}", "*0", NULL},
    {"return {set = {a = true}}", "*1 $1 a", "~1 $1 a"},
    {"return {set = {a = false}}", "*1 $1 a", "~1 $1 a"},
    {"return {set = {}}", "*0", "~0"},
    {"return {big_number = '12\\r\\n3'}", "$5 12  3", "(12  3"},
    {"return {big_number = 12}", "*0", NULL},
    {"return {verbatim_string = {format = 'txt', string = 'abc'}}", "$3 abc", "=7 txt:abc"},
    {"return {verbatim_string = {format = 'markdown', string = 'abc'}}", "$3 abc", "=7 mar:abc"},
    {"return {verbatim_string = {format = 'x', string = 'abc'}}", "$3 abc", "=7 x  :abc"},
    {"return {verbatim_string = {string = 'abc'}}", "*0", NULL},
    {"return {verbatim_string = {format = 'txt'}}", "*0", NULL},
    {"return setmetatable({}, {__index = {ok = 'x', 1, 2}})", "*0", NULL},
    {"return setmetatable({1}, {__index = function() error('asked') end})", "*1 :1", NULL},
    {"return redis.status_reply('x')", "+x", NULL},
    {"return redis", "*0", NULL},
    {"return {string, 1}", "*2 *0 :1", NULL},
    {"return redis.call('RAW', '$-1\\r\\n')", "$-1", "_"},
    {"redis.setresp(3) return redis.call('RAW', '_\\r\\n')", "$-1", "_"},
    {"redis.setresp(3) return redis.call('RAW', '#t\\r\\n')", ":1", "#t"},
    {"redis.setresp(3) return redis.call('RAW', ',2.5\\r\\n')", "$3 2.5", ",2.5"},
    {"redis.setresp(3) return redis.call('RAW', '(99\\r\\n')", "$2 99", "(99"},
    {"redis.setresp(3) return redis.call('RAW', '=7\\r\\ntxt:abc\\r\\n')", "$3 abc", "=7 txt:abc"},
};

static void expect_returned(const struct returned *r, int resp) {
    lab_client.resp = (uint8_t)resp;
    const char *expected = resp == 3 && r->resp3 ? r->resp3 : r->resp2, *reply = lab_script(r->script);
    if (strcmp(reply, expected) != 0) fail_msg("RESP%d: %s\n got %s\n not %s", resp, r->script, reply, expected);
}

static void what_a_script_returns_is_replied_as_redis_does(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof returned / sizeof *returned; i++) {
        expect_returned(&returned[i], 2);
        expect_returned(&returned[i], 3);
    }
}

/* A protected table has its pairs behind a proxy. */
static void a_protected_table_is_a_map_of_what_it_has(void **state) {
    (void)state;
    lab_client.resp = 3;
    const char *reply = lab_script("return {map = redis}");
    assert_memory_equal(reply, "%23 ", 4);
    assert_non_null(strstr(reply, "$11 LOG_WARNING :3"));
}

static void nested_tables_end_at_the_stacks_limit(void **state) {
    (void)state;
    static const char *const endless[] = {
        "local t = {} for i = 1, 10000 do t = {t} end return t",
        "local t = {} t[1] = t return t",
    };
    for (size_t i = 0; i < sizeof endless / sizeof *endless; i++) {
        struct slice words[] = {SLICE("EVAL"), slice_cstr(endless[i]), SLICE("0")};
        struct slice reply = lab_call(words, 3);
        static const char end[] = "-ERR reached lua stack limit\r\n";
        assert_int_equal(reply.len, 7995 * 4 + sizeof end - 1);
        for (int level = 0; level < 7995; level++)
            assert_memory_equal(reply.ptr + 4 * level, "*1\r\n", 4);
        assert_memory_equal(reply.ptr + 7995 * 4, end, sizeof end - 1);
    }
    assert_non_null(strstr(lab_script("local t = {} t.map = {a = t} return t"), "-ERR reached lua stack limit"));
    assert_non_null(strstr(lab_script("local t = {} t.set = {[t] = 1} return t"), "-ERR reached lua stack limit"));
}

static void a_deep_reply_is_read_or_is_an_error(void **state) {
    (void)state;
    struct buf deep = {0};
    for (int i = 0; i < 20000; i++)
        buf_append_cstr(&deep, "*1\r\n");
    buf_append_cstr(&deep, ":1\r\n");
    struct slice reply = lab_eval(SLICE("return type(redis.call('RAW', ARGV[1]))"), "k", buf_slice(&deep));
    assert_memory_equal(reply.ptr, "-ERR ", 5);
    reply = lab_eval(SLICE("return type(redis.call('RAW', ARGV[1]))"), "k",
                     slice_of(deep.data + deep.len - 4 - 4 * 1000, 4 * 1000 + 4));
    assert_string_equal(lab_lines(reply), "$5 table");
    buf_free(&deep);
}

/* --- Arguments ------------------------------------------------------------------------------- */

static void numbers_are_arguments_as_redis_prints_them(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"1", "1"},
        {"1.5", "1.5"},
        {"0.1", "0.10000000000000001"},
        {"1e15", "1000000000000000"},
        {"-7", "-7"},
        {"1e20", "1e+20"},
        {"1e16", "10000000000000000"},
        {"2^53", "9007199254740992"},
        {"-0", "-0"},
        {"1/0", "inf"},
        {"-1/0", "-inf"},
        {"99999999999999999", "1e+17"},
        {"1e-7", "9.9999999999999995e-08"},
        {"2^63", "9.2233720368547758e+18"},
        {"123456789012345678", "1.2345678901234568e+17"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char script[128], expected[64];
        snprintf(script, sizeof script, "redis.call('SET', 'k', %s) return redis.call('GET', 'k')", cases[i][0]);
        snprintf(expected, sizeof expected, "$%zu %s", strlen(cases[i][1]), cases[i][1]);
        assert_string_equal(lab_script(script), expected);
    }
}

static void many_arguments_reach_the_command(void **state) {
    (void)state;
    assert_string_equal(lab_script("local a = {} for i = 1, 7000 do a[i] = i % 2 == 0 and i or 'w' .. i end "
                                   "redis.call('DEL', 'many') redis.call('RPUSH', 'many', unpack(a)) "
                                   "local r = redis.call('LRANGE', 'many', 0, -1) "
                                   "for i = 1, 7000 do if r[i] ~= tostring(a[i]) then return i end end return #r"),
                        ":7000");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        LAB_TEST(a_script_sees_each_type),
        LAB_TEST(a_script_sees_the_types_of_resp3),
        LAB_TEST(large_strings_are_read_where_they_are),
        LAB_TEST(what_a_script_returns_is_replied_as_redis_does),
        LAB_TEST(a_protected_table_is_a_map_of_what_it_has),
        LAB_TEST(nested_tables_end_at_the_stacks_limit),
        LAB_TEST(a_deep_reply_is_read_or_is_an_error),
        LAB_TEST(numbers_are_arguments_as_redis_prints_them),
        LAB_TEST(many_arguments_reach_the_command),
    };
    lab_start_scripts();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cache_flush(false);
    return failed;
}
