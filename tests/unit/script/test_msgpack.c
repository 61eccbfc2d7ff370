/* cmsgpack: against what redis-server answers, random values both ways, damaged input, and memory that ends. */
#include "script/lib_msgpack.h"
#include "script/msgpack_lines.h"

static uint64_t seed;

static int open_state(void **state) {
    (void)state;
    lab_open("cmsgpack", lib_msgpack_open);
    return 0;
}

static void answers_as_redis_does(void **state) {
    (void)state;
    lab_compare(msgpack_lines, sizeof msgpack_lines / sizeof msgpack_lines[0]);
}

static void lists_its_names_in_the_order_of_redis(void **state) {
    (void)state;
    assert_string_equal(
        lab_text("local r = {} for k in pairs(cmsgpack) do r[#r + 1] = k end return table.concat(r, ' ')"),
        "_DESCRIPTION pack _NAME unpack _COPYRIGHT _VERSION unpack_one unpack_limit");
}

static const char random_value[] =
    "function random_string() return string.rep(string.char(math.random(0, 255)), "
    "  math.random(1, 50) == 1 and math.random(0, 70000) or math.random(0, 300)) end "
    "function random_value(depth) "
    "  local kind = math.random(1, depth > 4 and 6 or 8) "
    "  if kind == 1 then return math.random(-1000, 1000) / 8 end "
    "  if kind == 2 then return math.random() * 10 ^ math.random(-50, 50) end "
    "  if kind == 3 then return math.floor((math.random() - 0.5) * 2 ^ math.random(0, 64)) end "
    "  if kind == 4 then return math.random(1, 2) == 1 end "
    "  if kind <= 6 then return random_string() end "
    "  local t = {} "
    "  for i = 1, math.random(0, math.random(1, 20) == 1 and 100 or 20) do "
    "    t[kind == 7 and i or random_string()] = random_value(depth + 1) "
    "  end "
    "  return t "
    "end ";

static void random_values_survive_a_round_trip(void **state) {
    (void)state;
    lab_text(random_value);
    lua_pushfstring(lab_lua, "math.randomseed(%d)", (int)(seed & 0xffffff));
    lab_text(lua_tostring(lab_lua, -1));
    for (int i = 0; i < 20; i++)
        assert_string_equal(lab_text("local a, b = random_value(0), random_value(2) "
                                     "local x, y, z = cmsgpack.unpack(cmsgpack.pack(a, b)) "
                                     "return show(a) == show(x) and show(b) == show(y) and z == nil and 'same'"),
                            "same");
}

/* A head with one byte of length grows to three and to five when the pairs have been counted. */
static void maps_of_all_sizes_have_the_right_head(void **state) {
    (void)state;
    assert_string_equal(lab_text("for _, n in ipairs{0, 1, 15, 16, 17, 200, 65535, 65536, 65537} do "
                                 "  local t = {x = 'last'} "
                                 "  for i = 2, n do t['k' .. i] = i end "
                                 "  local text = cmsgpack.pack({t}, 'behind') "
                                 "  local back, behind = cmsgpack.unpack(text) "
                                 "  if show(back) ~= show({t}) or behind ~= 'behind' then return n end "
                                 "end return 'same'"),
                        "same");
}

static void damaged_input_is_an_error_at_most(void **state) {
    (void)state;
    static const char *const calls[] = {"unpack", "unpack_one"};
    for (int i = 0; i < 50000; i++) {
        char text[24];
        size_t len = rand_below(sizeof text);
        for (size_t j = 0; j < len; j++)
            text[j] = (char)(rand_below(3) ? 0x80 | rand_below(128) : rand_below(8));
        lua_settop(lab_lua, 0);
        lua_getglobal(lab_lua, "cmsgpack");
        lua_getfield(lab_lua, 1, calls[i & 1]);
        lua_pushlstring(lab_lua, text, len);
        lua_pcall(lab_lua, 1, LUA_MULTRET, 0);
    }
    lua_settop(lab_lua, 0);
}

/* Lengths that nothing follows: they cost an error, not gigabytes. */
static void a_length_beyond_the_input_takes_no_memory(void **state) {
    (void)state;
    lua_gc(lab_lua, LUA_GCCOLLECT, 0);
    size_t before = lab_live;
    static const char *const inputs[] = {"\\219\\255\\255\\255\\255", "\\221\\255\\255\\255\\255\\1",
                                         "\\223\\255\\255\\255\\255\\1", "\\220\\255\\255", "\\222\\255\\255"};
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        lua_settop(lab_lua, 0);
        lua_pushfstring(lab_lua, "return select(2, pcall(cmsgpack.unpack, '%s'))", inputs[i]);
        char *chunk = strdup(lua_tostring(lab_lua, -1));
        assert_string_equal(lab_text(chunk), "Missing bytes in input.");
        free(chunk);
        assert_true(lab_live < before + 10000);
    }
    lua_settop(lab_lua, 0);
}

static void memory_that_ends_is_an_error(void **state) {
    (void)state;
    lab_starve("local t = {} for i = 1, 40 do t[i] = {i, 'text' .. i, x = {y = string.rep('z', 300)}} end "
               "return cmsgpack.pack(t)");
    lab_starve("return cmsgpack.unpack('\\148\\1\\2\\3\\131\\161a\\144\\161b\\128\\161c\\167abcdefg')");
}

static void memory_is_given_back(void **state) {
    (void)state;
    lab_text("cmsgpack.pack('x')");
    lab_collect();
    size_t before = lab_live;
    lab_text("cmsgpack.pack(string.rep('x', 1000000))");
    lab_collect();
    assert_true(lab_live < before + 20000);
}

int main(void) {
    seed = lab_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_as_redis_does, open_state, lab_teardown),
        cmocka_unit_test_setup_teardown(lists_its_names_in_the_order_of_redis, open_state, lab_teardown),
        cmocka_unit_test_setup_teardown(random_values_survive_a_round_trip, open_state, lab_teardown),
        cmocka_unit_test_setup_teardown(maps_of_all_sizes_have_the_right_head, open_state, lab_teardown),
        cmocka_unit_test_setup_teardown(damaged_input_is_an_error_at_most, open_state, lab_teardown),
        cmocka_unit_test_setup_teardown(a_length_beyond_the_input_takes_no_memory, open_state, lab_teardown),
        cmocka_unit_test_setup_teardown(memory_that_ends_is_an_error, open_state, lab_teardown),
        cmocka_unit_test_setup_teardown(memory_is_given_back, open_state, lab_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
