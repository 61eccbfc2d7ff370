/* cjson: against what redis-server answers, against printf and strtod, and against memory that ends. */
#include "script/cjson_lines.h"
#include "script/json_number.h"
#include "script/lib_cjson.h"
#include "script/protect.h"
#include <math.h>

static uint64_t seed;

static int open_state(void **state) {
    (void)state;
    lab_open("cjson", lib_cjson_open);
    return 0;
}

static void answers_as_redis_does(void **state) {
    (void)state;
    lab_compare(cjson_lines, sizeof cjson_lines / sizeof cjson_lines[0]);
}

static void lists_its_names_in_the_order_of_redis(void **state) {
    (void)state;
    static const char order[] = "_NAME encode decode_max_depth _VERSION decode_invalid_numbers encode_keep_buffer null "
                                "encode_number_precision new encode_max_depth encode_invalid_numbers decode "
                                "encode_sparse_array";
    assert_string_equal(lab_text("local r = {} for k in pairs(cjson) do r[#r + 1] = k end return table.concat(r, ' ')"),
                        order);
    assert_string_equal(
        lab_text("local r = {} for k in pairs(cjson.new()) do r[#r + 1] = k end return table.concat(r, ' ')"), order);
}

static void settings_belong_to_one_instance(void **state) {
    (void)state;
    lab_text("other = cjson.new() other.encode_max_depth(3) other.encode_number_precision(2)");
    assert_string_equal(lab_text("return cjson.encode_max_depth() .. ' ' .. other.encode_max_depth()"), "1000 3");
    assert_string_equal(lab_text("return cjson.encode(1.234) .. other.encode(1.234)"), "1.2341.2");
}

/* What scripts cannot change looks empty to Lua: {a = {1, 2}} behind a proxy. */
static void a_protected_table_is_written_as_it_is(void **state) {
    (void)state;
    protect_open(lab_lua);
    lab_text("t = {a = {1, 2}}");
    lua_getglobal(lab_lua, "t");
    protect_table(lab_lua);
    lua_setglobal(lab_lua, "t");
    assert_string_equal(lab_text("return tostring(next(t)) .. cjson.encode({t, 3})"), "nil[{\"a\":[1,2]},3]");
}

/* --- numbers --- */

static double random_number(void) {
    double sign = rand_u64() & 1 ? -1 : 1;
    switch (rand_below(6)) {
    case 0: return sign * (double)rand_below(1u << rand_below(32));
    case 1: return sign * (double)rand_below(1000000) / (double)(1u << rand_below(20));
    case 2: return sign * pow(10, (double)rand_below(40) - 20) * (double)rand_below(1000);
    case 3: return sign * (double)(rand_u64() >> rand_below(64));
    case 4: return sign * (double)rand_below(100000) * 0.001;
    default: {
        uint64_t bits = rand_u64();
        double value;
        memcpy(&value, &bits, sizeof value);
        return isfinite(value) ? value : 0.5;
    }
    }
}

static void compare_print(double value, int precision) {
    char ours[JSON_NUMBER_MAX + 1], expected[64];
    int len = json_print_number(ours, value, precision);
    assert_in_range(len, 1, JSON_NUMBER_MAX);
    ours[len] = '\0';
    snprintf(expected, sizeof expected, "%.*g", precision, value);
    if (strcmp(ours, expected)) fail_msg("%.17g with %d digits: %s, printf %s", value, precision, ours, expected);
}

static void prints_numbers_as_printf_does(void **state) {
    (void)state;
    static const double edges[] = {0.0,
                                   -0.0,
                                   0.5,
                                   0.0001,
                                   9.9999999999999995e-5,
                                   0.00012345678901234,
                                   0.001,
                                   0.01,
                                   0.1,
                                   0.2 + 0.1,
                                   1.0 / 3,
                                   99999999999999.5,
                                   1e14,
                                   1e14 - 1,
                                   1e14 + 1,
                                   99999999999999,
                                   9999999999999.95,
                                   0.99999999999999,
                                   2.5,
                                   25,
                                   0.95,
                                   0.45,
                                   1e15,
                                   0x1p53,
                                   5e-324,
                                   1e300,
                                   0.0009765625,
                                   0.5 + 0x1p-40,
                                   123456.5,
                                   1234567.25};
    for (int precision = 1; precision <= 14; precision++)
        for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
            compare_print(edges[i], precision);
            compare_print(-edges[i], precision);
            compare_print(nextafter(edges[i], 1e308), precision);
            compare_print(nextafter(edges[i], -1e308), precision);
        }
    for (int i = 0; i < 200000; i++)
        compare_print(random_number(), rand_below(3) ? 14 : 1 + (int)rand_below(14));
}

static void compare_read(const char *text) {
    double ours = 0;
    char *end;
    double expected = strtod(text, &end);
    const char *stop = json_read_number(text, &ours);
    if (stop != (end == text ? NULL : end) || (stop && memcmp(&ours, &expected, sizeof ours)))
        fail_msg("%s is %.17g, strtod %.17g", text, ours, expected);
}

static void reads_numbers_as_strtod_does(void **state) {
    (void)state;
    static const char *const edges[] = {"0",
                                        "-0",
                                        "-",
                                        "",
                                        ".5",
                                        "-.5",
                                        "1.",
                                        "1.e5",
                                        "0x10",
                                        "0X.8p3",
                                        "-0x",
                                        "1e",
                                        "1e+",
                                        "1e5",
                                        "1E-5",
                                        "00012",
                                        "1.5x",
                                        "-1.25",
                                        "inf",
                                        "-nan",
                                        "+5",
                                        "999999999999999",
                                        "9999999999999999",
                                        "0.000000000000001",
                                        "123456789.123456",
                                        "12345678.1234567890",
                                        "9007199254740993",
                                        "1e400",
                                        "0.1",
                                        "00000000000000000000001.5"};
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++)
        compare_read(edges[i]);
    for (int i = 0; i < 100000; i++) {
        char text[64];
        double value = random_number();
        if (rand_below(2))
            snprintf(text, sizeof text, "%.*g", 1 + (int)rand_below(17), value);
        else
            snprintf(text, sizeof text, "%.*f", (int)rand_below(12), fmod(value, 1e9));
        compare_read(text);
    }
}

/* --- random values --- */

static const char random_value[] = "function random_string() "
                                   "  local bytes = {} "
                                   "  for i = 1, math.random(0, 40) do bytes[i] = string.char(math.random(0, "
                                   "math.random(1, 3) == 1 and 255 or 122)) end "
                                   "  return table.concat(bytes) "
                                   "end "
                                   "function random_value(depth) "
                                   "  local kind = math.random(1, depth > 4 and 5 or 8) "
                                   "  if kind == 1 then return math.random(-1000, 1000) / 8 end "
                                   "  if kind == 2 then return math.random(1, 2) == 1 end "
                                   "  if kind == 3 then return null or false end "
                                   "  if kind <= 5 then return random_string() end "
                                   "  local t = {} "
                                   "  for i = 1, math.random(kind == 6 and 1 or 0, 20) do "
                                   "    t[kind == 6 and i or 'k' .. random_string()] = random_value(depth + 1) "
                                   "  end "
                                   "  return t "
                                   "end ";

/* Any bytes go through encode and decode unchanged: it does not look at UTF-8. */
static void random_values_survive_a_round_trip(void **state) {
    (void)state;
    lab_text(random_value);
    lua_pushfstring(lab_lua, "math.randomseed(%d) null = cjson.null", (int)(seed & 0xffffff));
    lab_text(lua_tostring(lab_lua, -1));
    for (int i = 0; i < 80; i++)
        assert_string_equal(lab_text("local v = random_value(0) local text = cjson.encode(v) "
                                     "local back = cjson.decode(text) "
                                     "if show(v) ~= show(back) then return text end return 'same'"),
                            "same");
}

/* Damaged text gives a value or an error, and reads nothing outside (under a sanitizer). */
static void damaged_text_is_an_error_at_most(void **state) {
    (void)state;
    static const char start[] = "{\"a\":[1,2.5,\"x\\u00e9\\ud83d\\ude00y\\n\",null,true,{}],\"long key \\\\\":-1.5e3}";
    static const char bytes[] = "{}[]\",:\\u0dDeE+-.x\x7f\0tfn";
    for (int i = 0; i < 50000; i++) {
        char text[sizeof start];
        memcpy(text, start, sizeof text);
        size_t len = 1 + rand_below(sizeof start - 1);
        for (unsigned n = (unsigned)rand_below(4); n; n--)
            text[rand_below(len)] = bytes[rand_below(sizeof bytes)];
        lua_settop(lab_lua, 0);
        lua_getglobal(lab_lua, "cjson");
        lua_getfield(lab_lua, 1, "decode");
        lua_pushlstring(lab_lua, text, len);
        lua_pcall(lab_lua, 1, 1, 0);
        assert_int_equal(lua_gettop(lab_lua), 2);
    }
    lua_settop(lab_lua, 0);
}

/* --- memory --- */

static void memory_that_ends_is_an_error(void **state) {
    (void)state;
    lab_starve("local t = {} for i = 1, 40 do t[i] = {i, 'text' .. i, x = {y = '\\1\\2\"'}} end "
               "return cjson.encode(t)");
    lab_starve("return cjson.decode('[1,2,3,{\"a\":\"' .. string.rep('\\\\n', 3000) .. '\",\"b\":[[],{}]}]')");
    lab_starve("return cjson.new().encode(string.rep('/', 5000))");
}

/* CVE-2022-24834 was a length in an int. Each byte becomes six. */
static void a_long_string_is_written_whole(void **state) {
    (void)state;
    assert_string_equal(lab_text("local n = 4000000 local s = string.rep('\\1', n) local text = cjson.encode(s) "
                                 "return #text == 6 * n + 2 and cjson.decode(text) == s and 'same' or #text"),
                        "same");
}

/* A large buffer is not kept. */
static void memory_is_given_back(void **state) {
    (void)state;
    lab_text("cjson.encode('x')");
    lab_collect();
    size_t before = lab_live;
    lab_text("cjson.encode(string.rep('x', 1000000)) cjson.decode('\"' .. string.rep('\\\\n', 1000000) .. '\"')");
    lab_collect();
    assert_true(lab_live < before + 20000);
}

int main(void) {
    seed = lab_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_as_redis_does, open_state, lab_teardown),
        cmocka_unit_test_setup_teardown(lists_its_names_in_the_order_of_redis, open_state, lab_teardown),
        cmocka_unit_test_setup_teardown(settings_belong_to_one_instance, open_state, lab_teardown),
        cmocka_unit_test_setup_teardown(a_protected_table_is_written_as_it_is, open_state, lab_teardown),
        cmocka_unit_test(prints_numbers_as_printf_does),
        cmocka_unit_test(reads_numbers_as_strtod_does),
        cmocka_unit_test_setup_teardown(random_values_survive_a_round_trip, open_state, lab_teardown),
        cmocka_unit_test_setup_teardown(damaged_text_is_an_error_at_most, open_state, lab_teardown),
        cmocka_unit_test_setup_teardown(memory_that_ends_is_an_error, open_state, lab_teardown),
        cmocka_unit_test_setup_teardown(a_long_string_is_written_whole, open_state, lab_teardown),
        cmocka_unit_test_setup_teardown(memory_is_given_back, open_state, lab_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
