/* Strings as numbers: the ends of the ranges, the form of the sums, and what is propagated. */
#include "command_lab.h"

extern const struct module strings_module, counters_module;

static void integers_end_at_64_bits(void **state) {
    (void)state;
    const char *overflow = "-ERR increment or decrement would overflow";
    lab_run("SET n 9223372036854775806");
    assert_string_equal(lab_run("INCR n"), ":9223372036854775807");
    assert_string_equal(lab_run("INCR n"), overflow);
    assert_string_equal(lab_run("DECRBY n -1"), overflow);
    assert_string_equal(lab_run("GET n"), "$19 9223372036854775807");
    assert_string_equal(lab_run("INCRBY n -9223372036854775808"), ":-1");
    assert_string_equal(lab_run("DECRBY n 9223372036854775807"), ":-9223372036854775808");
    assert_string_equal(lab_run("DECR n"), overflow);
    assert_string_equal(lab_run("DECRBY n -9223372036854775808"), "-ERR decrement would overflow");
    assert_string_equal(lab_run("DECRBY new 5"), ":-5");
    lab_expect_propagated("DECRBY new 5");
}

static void only_integers_are_counted(void **state) {
    (void)state;
    static const char *const others[] = {"1.0", "01", "+1", " 1", "", "9223372036854775808", "abc"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct slice set[] = {SLICE("SET"), SLICE("n"), slice_cstr(others[i])};
        lab_call(set, 3);
        assert_string_equal(lab_run("INCR n"), "-ERR value is not an integer or out of range");
        lab_expect_propagated("");
    }
    lab_run("SET n -0");
    assert_string_equal(lab_run("INCR n"), "-ERR value is not an integer or out of range");
}

static void sums_of_decimals_are_plain_text(void **state) {
    (void)state;
    static const struct {
        const char *value, *by, *sum;
    } rows[] = {
        {"10.5", "0.1", "10.6"},
        {"5.0e3", "200", "5200"},
        {"3", "-3", "0"},
        {"0.1", "0.2", "0.3"},
        {"1", "0.00000000000000001", "1.00000000000000001"},
        {"1", "1e-20", "1"},
        {"1e19", "1", "10000000000000000001"},
        {"-1.50", "0.5", "-1"},
        {"0x10", "1", "17"},
        {"0", "-0", "0"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char expected[80];
        lab_run("SET n %s", rows[i].value);
        snprintf(expected, sizeof expected, "$%zu %s", strlen(rows[i].sum), rows[i].sum);
        assert_string_equal(lab_run("INCRBYFLOAT n %s", rows[i].by), expected);
        snprintf(expected, sizeof expected, "SET n %s KEEPTTL", rows[i].sum);
        lab_expect_propagated(expected);
    }
}

static void no_sum_is_infinite(void **state) {
    (void)state;
    const char *infinite = "-ERR increment would produce NaN or Infinity", *text = "-ERR value is not a valid float";
    lab_run("SET n 1");
    assert_string_equal(lab_run("INCRBYFLOAT n inf"), infinite);
    assert_string_equal(lab_run("INCRBYFLOAT n nan"), text);
    assert_string_equal(lab_run("INCRBYFLOAT n 1x"), text);
    assert_string_equal(lab_run("INCRBYFLOAT n "), text);
    lab_run("SET n 1.1e4932");
    assert_string_equal(lab_run("INCRBYFLOAT n 1.1e4932"), infinite);
    lab_run("SET n abc");
    assert_string_equal(lab_run("INCRBYFLOAT n 1"), text);
}

int main(void) {
    lab_start((const struct module *const[]){&strings_module, &counters_module, NULL});
    const struct CMUnitTest tests[] = {
        LAB_TEST(integers_end_at_64_bits),
        LAB_TEST(only_integers_are_counted),
        LAB_TEST(sums_of_decimals_are_plain_text),
        LAB_TEST(no_sum_is_infinite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
