/* Reading and printing numbers, at all limits. */
#include "base/num.h"
#include "base/rand.h"
#include "seed.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t seed;

static void reads_i64(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {
        {"0", 0},
        {"1", 1},
        {"-1", -1},
        {"10", 10},
        {"-10", -10},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
        {"9223372036854775806", INT64_MAX - 1},
        {"999999999999999999", 999999999999999999},
    };
    static const char *const bad[] = {
        "",
        "-",
        "+1",
        "-0",
        "00",
        "01",
        "-01",
        " 1",
        "1 ",
        "1a",
        "0x1",
        "--1",
        "1-",
        "1.0",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999",
        "100000000000000000000",
        "92233720368547758070",
        "-",
        "a",
        "/",
        ":",
    };
    int64_t value;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(num_parse_i64(slice_cstr(good[i].text), &value));
        assert_true(value == good[i].value);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        value = 77;
        if (num_parse_i64(slice_cstr(bad[i]), &value)) fail_msg("took \"%s\"", bad[i]);
        assert_int_equal(value, 77);
    }
    assert_false(num_parse_i64(SLICE("1\0"), &value));
}

static void reads_u64(void **state) {
    (void)state;
    uint64_t value;
    assert_true(num_parse_u64(SLICE("18446744073709551615"), &value) && value == UINT64_MAX);
    assert_true(num_parse_u64(SLICE("10000000000000000000"), &value) && value == UINT64_C(10000000000000000000));
    assert_true(num_parse_u64(SLICE("0"), &value) && value == 0);
    assert_false(num_parse_u64(SLICE("18446744073709551616"), &value));
    assert_false(num_parse_u64(SLICE("20000000000000000000"), &value));
    assert_false(num_parse_u64(SLICE("99999999999999999999"), &value));
    assert_false(num_parse_u64(SLICE("000"), &value));
    assert_false(num_parse_u64(SLICE("-1"), &value));
    assert_false(num_parse_u64(SLICE(""), &value));
}

static void check_integer(uint64_t bits) {
    char ours[NUM_I64_MAX], theirs[32];
    int n = num_print_u64(ours, bits), m = snprintf(theirs, sizeof theirs, "%" PRIu64, bits);
    assert_int_equal(n, m);
    assert_int_equal(num_digits_u64(bits), m);
    assert_memory_equal(ours, theirs, (size_t)n);
    n = num_print_i64(ours, (int64_t)bits);
    m = snprintf(theirs, sizeof theirs, "%" PRId64, (int64_t)bits);
    assert_int_equal(n, m);
    assert_memory_equal(ours, theirs, (size_t)n);
    int64_t back;
    assert_true(num_parse_i64(slice_of(ours, (size_t)n), &back) && back == (int64_t)bits);
}

static void integers_go_round(void **state) {
    (void)state;
    for (uint64_t i = 0; i < 20000; i++)
        check_integer(i);
    for (int bit = 0; bit < 64; bit++)
        for (int around = -2; around <= 2; around++)
            check_integer((UINT64_C(1) << bit) + (uint64_t)around);
    uint64_t power = 1;
    for (int i = 0; i < 20; i++, power *= 10)
        for (int around = -1; around <= 1; around++)
            check_integer(power + (uint64_t)around);
    for (int i = 0; i < 100000; i++)
        check_integer(rand_u64() >> rand_below(64));
}

static void reads_f64(void **state) {
    (void)state;
    static const char *const good[] = {
        "0",
        "-0",
        "1",
        "1.5",
        "-1.5",
        ".5",
        "5.",
        "+5",
        "1e10",
        "1E-3",
        "inf",
        "+inf",
        "-inf",
        "Infinity",
        "0x10",
        "0x1p-3",
        "123456789012345",
        "1234567890123456",
        "0.000000000000001",
        "1.7976931348623157e308",
        "5e-324",
        "00012",
        "3.14159265358979",
    };
    static const char *const bad[] = {
        "",       " 1",  "1 ", "\t1",   "\n1", "nan", "-nan", "1e400", "-1e400",
        "1e-400", "abc", "1a", "1.2.3", ".",   "-",   "--1",  "1e",    "- 1",
    };
    double value;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (!num_parse_f64(slice_cstr(good[i]), &value)) fail_msg("refused \"%s\"", good[i]);
        double expected = strtod(good[i], NULL);
        assert_memory_equal(&value, &expected, sizeof value);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (num_parse_f64(slice_cstr(bad[i]), &value)) fail_msg("took \"%s\"", bad[i]);
    assert_false(num_parse_f64(SLICE("1\0"), &value));
    assert_true(num_parse_f64(slice_of("1.5xyz", 3), &value) && value == 1.5);

    char zeros[NUM_LD_MAX];
    memset(zeros, '0', sizeof zeros);
    zeros[sizeof zeros - 1] = '7';
    assert_true(num_parse_f64(slice_of(zeros, sizeof zeros), &value) && value == 7);

    long double wide;
    assert_true(num_parse_ld(SLICE("3.0e3"), &wide) && wide == 3000);
    assert_true(num_parse_ld(SLICE("1e4000"), &wide));
    assert_false(num_parse_ld(SLICE("1e5000"), &wide));
    assert_false(num_parse_ld(SLICE(" 1"), &wide));
    assert_false(num_parse_ld(SLICE("1\0"), &wide));
    assert_false(num_parse_ld(SLICE("nan"), &wide));
    assert_true(num_parse_ld(slice_of(zeros + 1, sizeof zeros - 1), &wide) && wide == 7);
    assert_false(num_parse_ld(slice_of(zeros, sizeof zeros), &wide));
}

static void prints_f64_as_redis_does(void **state) {
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {3, "3"},
        {-3, "-3"},
        {0, "0"},
        {-0.0, "-0"},
        {0.1, "0.1"},
        {-0.1, "-0.1"},
        {1.5, "1.5"},
        {1e30, "1e+30"},
        {1e18, "1000000000000000000"},
        {1e19, "1e+19"},
        {0x1p62, "4611686018427387904"},
        {0x1p63, "9223372036854776000"},
        {1e100, "1e+100"},
        {1.5e-7, "1.5e-7"},
        {1e-6, "0.000001"},
        {1e-7, "1e-7"},
        {0.00015, "0.00015"},
        {0.0001234567, "1.234567e-4"},
        {0.001234567, "0.001234567"},
        {0.3, "0.3"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.0 / 3, "0.3333333333333333"},
        {1234.5678, "1234.5678"},
        {123456.789012, "123456.789012"},
        {12345.123456789, "1.2345123456789e+4"},
        {DBL_MAX, "1.7976931348623157e+308"},
        {DBL_MIN, "2.2250738585072014e-308"},
        {4.9406564584124654e-324, "5e-324"},
        {INFINITY, "inf"},
        {-INFINITY, "-inf"},
        {NAN, "nan"},
        {1234567.1234567, "1.2345671234567e+6"},
        {3.0000000000000004, "3.0000000000000004"},
        {1e-10, "1e-10"},
        {1e-9, "1e-9"},
    };
    char text[NUM_F64_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int n = num_print_f64(text, cases[i].value);
        text[n] = '\0';
        assert_string_equal(text, cases[i].text);
    }
}

static void f64_go_round(void **state) {
    (void)state;
    for (int i = 0; i < 300000; i++) {
        uint64_t bits = rand_u64();
        double value, back;
        memcpy(&value, &bits, sizeof value);
        if (i % 3 == 1) value = (double)(int64_t)rand_below(10000000) / 1000.0;
        if (i % 3 == 2) value = rand_unit();
        if (isnan(value) || isinf(value)) continue;
        char text[NUM_F64_MAX];
        int n = num_print_f64(text, value);
        assert_true(n > 0 && n <= 25);
        if (!num_parse_f64(slice_of(text, (size_t)n), &back) || back != value)
            fail_msg("%a printed as %.*s", value, n, text);
        char longer[40]; /* never longer than %.17g, except for the layout */
        int digits = 0, theirs = 0;
        snprintf(longer, sizeof longer, "%.16e", value);
        for (int j = 0; j < n && text[j] != 'e'; j++)
            digits += text[j] >= '0' && text[j] <= '9' && (digits || text[j] != '0');
        for (char *p = longer; *p != 'e'; p++)
            theirs += *p >= '0' && *p <= '9';
        if (fabs(value) < 0x1p53) assert_true(digits <= theirs);
    }
}

static void prints_ld(void **state) {
    (void)state;
    static const struct {
        long double value;
        const char *text;
    } cases[] = {
        {3, "3"},      {0, "0"},       {-0.0L, "0"},      {10.5L, "10.5"},     {-10.5L, "-10.5"},
        {0.1L, "0.1"}, {5000, "5000"}, {100, "100"},      {3.0e3L, "3000"},    {1e-17L, "0.00000000000000001"},
        {1e-18L, "0"}, {-1e-18L, "0"}, {INFINITY, "inf"}, {-INFINITY, "-inf"}, {10.6L, "10.6"},
    };
    char text[NUM_LD_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int n = num_print_ld(text, cases[i].value);
        text[n] = '\0';
        assert_string_equal(text, cases[i].text);
    }
    int n = num_print_ld(text, -LDBL_MAX);
    assert_int_equal(n, 4934);
}

static void memory_sizes(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"0", 0},
        {"100", 100},
        {"1b", 1},
        {"1k", 1000},
        {"1kb", 1024},
        {"2M", 2000000},
        {"2mB", 2 << 20},
        {"1g", 1000000000},
        {"1GB", 1 << 30},
        {"007", 7},
        {"", 0},
        {"kb", 0},
        {"18446744073709551615", UINT64_MAX},
        {"18446744073709551616", UINT64_MAX},
        {"18446744073709551609999999999999kb", UINT64_MAX},
        {"17179869183gb", (uint64_t)17179869183 << 30},
        {"17179869184gb", UINT64_MAX},
        {"17179869185gb", UINT64_MAX},
    };
    static const char *const bad[] = {"-1", "1tb", "1 kb", "1.5mb", "18446744073709551616x", "1kbb", "+1"};
    uint64_t bytes;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(num_parse_memory(slice_cstr(good[i].text), &bytes));
        assert_int_equal(bytes, good[i].bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (num_parse_memory(slice_cstr(bad[i]), &bytes)) fail_msg("took \"%s\"", bad[i]);

    static const struct {
        uint64_t bytes;
        const char *text;
    } printed[] = {
        {0, "0B"},
        {1023, "1023B"},
        {1024, "1.00K"},
        {1536, "1.50K"},
        {1048575, "1024.00K"},
        {1048576, "1.00M"},
        {UINT64_C(3) << 29, "1.50G"},
        {UINT64_C(1) << 40, "1.00T"},
        {UINT64_C(1) << 50, "1.00P"},
        {(UINT64_C(1) << 60) - 1, "1024.00P"},
        {UINT64_C(1) << 60, "1152921504606846976B"},
        {UINT64_MAX, "18446744073709551615B"},
    };
    char text[NUM_F64_MAX];
    for (size_t i = 0; i < sizeof printed / sizeof *printed; i++) {
        int n = num_print_memory(text, printed[i].bytes);
        text[n] = '\0';
        assert_string_equal(text, printed[i].text);
    }
}

int main(void) {
    seed = seed_of_run();
    printf("test_num: seed %" PRIu64 "\n", seed);
    rand_seed(seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_i64),
        cmocka_unit_test(reads_u64),
        cmocka_unit_test(integers_go_round),
        cmocka_unit_test(reads_f64),
        cmocka_unit_test(prints_f64_as_redis_does),
        cmocka_unit_test(f64_go_round),
        cmocka_unit_test(prints_ld),
        cmocka_unit_test(memory_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
