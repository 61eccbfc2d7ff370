/* Lines of "name:value", and the fixed-point numbers in them. */
#include "base/num.h"
#include "base/rand.h"
#include "base/report.h"
#include "seed.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect(struct buf *out, const char *text) {
    assert_int_equal(out->len, strlen(text));
    assert_memory_equal(out->data, text, out->len);
    out->len = 0;
}

static void lines_are_as_info_has_them(void **state) {
    (void)state;
    struct buf out = {0};
    report_int(&out, "a", 0);
    report_int(&out, "bytes", INT64_MIN);
    expect(&out, "a:0\r\nbytes:-9223372036854775808\r\n");
    report_text(&out, "role", "master");
    report_text(&out, "config_file", "");
    expect(&out, "role:master\r\nconfig_file:\r\n");
    report_fixed(&out, "cpu", 1000042, 6, "");
    report_fixed(&out, "whole", 7, 0, "");
    report_fixed(&out, "perc", 5, 2, "%");
    report_fixed(&out, "most", UINT64_MAX, 19, "");
    expect(&out, "cpu:1.000042\r\nwhole:7\r\nperc:0.05%\r\nmost:1.8446744073709551615\r\n");
    report_ratio(&out, "share", 1, 3, "");
    report_ratio(&out, "nothing", 5, 0, "%");
    report_ratio(&out, "more", 200, 3, "");
    expect(&out, "share:0.33\r\nnothing:0.00%\r\nmore:66.67\r\n");
    buf_free(&out);
}

static void fixed_point_is_what_printf_prints(void **state) {
    (void)state;
    for (int i = 0; i < 100000; i++) {
        uint64_t value = rand_u64() >> rand_below(64);
        char text[64], expected[64];
        text[num_print_fixed(text, value, 3)] = '\0';
        snprintf(expected, sizeof expected, "%llu.%03llu", (unsigned long long)value / 1000,
                 (unsigned long long)value % 1000);
        assert_string_equal(text, expected);
    }
}

static void sizes_round_as_printf_does(void **state) {
    (void)state;
    for (int i = 0; i < 100000; i++) {
        uint64_t bytes = rand_u64() >> (11 + rand_below(43));       /* up to here a double is exact */
        if (rand_below(2)) bytes &= ~(uint64_t)0 << rand_below(53); /* ties are among these */
        if (bytes < 1024) continue;
        int step = 0;
        for (uint64_t rest = bytes; rest >= 1024; rest >>= 10)
            step++;
        char text[64], expected[64];
        text[num_print_memory(text, bytes)] = '\0';
        snprintf(expected, sizeof expected, "%.2f%c", (double)bytes / (double)(UINT64_C(1) << 10 * step),
                 "BKMGTP"[step]);
        assert_string_equal(text, expected);
    }
}

int main(void) {
    uint64_t seed = seed_of_run();
    printf("test_report: seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_as_info_has_them),
        cmocka_unit_test(fixed_point_is_what_printf_prints),
        cmocka_unit_test(sizes_round_as_printf_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
