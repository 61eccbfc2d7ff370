/* Arguments: what each reader accepts, the value that it makes of it, and the error of everything else. */
#include "base/num.h"
#include "cmd/args.h"
#include "command_lab.h"
#include <errno.h>
#include <limits.h>
#include <math.h>

static const char *error_of(size_t mark) {
    return lab_lines(lab_take_reply(mark));
}

#define ACCEPTS(call) assert_true(call)
#define REFUSES(call, error)                        \
    do {                                            \
        size_t mark = conn_mark();                  \
        assert_false(call);                         \
        assert_string_equal(error_of(mark), error); \
    } while (0)

#define NOT_INTEGER "-ERR value is not an integer or out of range"

static struct client *const c = &lab_client;

static void integers_have_their_ranges(void **state) {
    (void)state;
    int64_t n;
    ACCEPTS(args_i64(c, SLICE("-9223372036854775808"), &n));
    assert_true(n == INT64_MIN);
    REFUSES(args_i64(c, SLICE("9223372036854775808"), &n), NOT_INTEGER);
    REFUSES(args_i64(c, SLICE(" 1"), &n), NOT_INTEGER);
    ACCEPTS(args_signed(c, SLICE("-9223372036854775807"), &n));
    REFUSES(args_signed(c, SLICE("-9223372036854775808"), &n),
            "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807");
    REFUSES(args_signed(c, SLICE("x"), &n), NOT_INTEGER);
    ACCEPTS(args_at_least(c, SLICE("3"), 3, "ERR few", &n));
    REFUSES(args_at_least(c, SLICE("2"), 3, "ERR few", &n), "-ERR few");
    REFUSES(args_at_least(c, SLICE("x"), 3, "ERR few", &n), "-ERR few");
    ACCEPTS(args_count(c, SLICE("0"), &n));
    REFUSES(args_count(c, SLICE("-1"), &n), "-ERR value is out of range, must be positive");
}

static void timeouts_are_milliseconds_that_fit_the_clock(void **state) {
    (void)state;
    static const struct {
        const char *arg;
        int64_t ms;
    } seconds[] = {{"0", 0}, {"1", 1000}, {"0.0001", 1}, {"1.2345", 1235}, {"-0.0004", 0}, {"1e3", 1000000}};
    int64_t ms;
    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
        ACCEPTS(args_timeout(c, slice_cstr(seconds[i].arg), &ms));
        assert_int_equal(ms, seconds[i].ms);
    }
    REFUSES(args_timeout(c, SLICE("x"), &ms), "-ERR timeout is not a float or out of range");
    REFUSES(args_timeout(c, SLICE("-1"), &ms), "-ERR timeout is negative");
    REFUSES(args_timeout(c, SLICE("inf"), &ms), "-ERR timeout is out of range");
    REFUSES(args_timeout(c, SLICE("9223372036854775.807"), &ms), "-ERR timeout is out of range");
    ACCEPTS(args_timeout_ms(c, SLICE("20"), &ms));
    assert_int_equal(ms, 20);
    REFUSES(args_timeout_ms(c, SLICE("0.5"), &ms), "-ERR timeout is not an integer or out of range");
    REFUSES(args_timeout_ms(c, SLICE("-1"), &ms), "-ERR timeout is negative");
    char text[NUM_I64_MAX];
    int64_t most = INT64_MAX - clock_now_ms();
    ACCEPTS(args_timeout_ms(c, slice_of(text, (size_t)num_print_i64(text, most)), &ms));
    assert_int_equal(ms, most);
    REFUSES(args_timeout_ms(c, slice_of(text, (size_t)num_print_i64(text, most + 1)), &ms),
            "-ERR timeout is out of range");
}

static void strtod_reads_all_of_any_text(void **state) {
    (void)state;
    double d;
    ACCEPTS(args_strtod(SLICE(""), &d) && d == 0);
    ACCEPTS(args_strtod(SLICE("  2.5"), &d) && d == 2.5);
    ACCEPTS(args_strtod(SLICE("-inf"), &d) && d == -INFINITY);
    ACCEPTS(args_strtod(slice_of("12345", 2), &d) && d == 12); /* it stops at the end of the slice */
    assert_false(args_strtod(SLICE("1 "), &d));
    assert_false(args_strtod(SLICE("nan"), &d));
    ACCEPTS(args_strtod(SLICE("1"), &d) && errno == 0);
    ACCEPTS(args_strtod(SLICE("1e999"), &d) && errno == ERANGE);
    for (size_t len = 250; len < 260; len++) { /* around the copy that is on the stack */
        char zeros[300];
        memset(zeros, '0', sizeof zeros);
        zeros[len - 1] = '7';
        ACCEPTS(args_strtod(slice_of(zeros, len), &d) && d == 7);
    }
}

/* The elements of a sequence between two indexes, by asking of each whether it is. */
static void indexes_are_clipped_to_the_sequence(void **state) {
    (void)state;
    for (int length = 0; length < 5; length++) {
        for (int first = -7; first <= 7; first++) {
            for (int last = -7; last <= 7; last++) {
                int64_t from = first, to = last, expected[2] = {0, -1};
                int low = first < 0 ? first + length : first, high = last < 0 ? last + length : last, n = 0;
                for (int i = 0; i < length; i++) {
                    if (i < low || i > high) continue;
                    if (n++ == 0) expected[0] = i;
                    expected[1] = i;
                }
                assert_int_equal(args_clip(&from, &to, length), n > 0);
                if (n == 0) continue;
                assert_int_equal(from, expected[0]);
                assert_int_equal(to, expected[1]);
            }
        }
    }
    int64_t first = INT64_MIN, last = INT64_MAX;
    assert_true(args_clip(&first, &last, 3) && first == 0 && last == 2);
}

static void databases_are_numbered(void **state) {
    (void)state;
    struct db *db;
    int n;
    ACCEPTS(args_db(c, SLICE("15"), &db));
    assert_ptr_equal(db, db_at(15));
    REFUSES(args_db(c, SLICE("16"), &db), "-ERR DB index is out of range");
    REFUSES(args_db(c, SLICE("-1"), &db), "-ERR DB index is out of range");
    REFUSES(args_db(c, SLICE("2147483648"), &db),
            "-ERR value is out of range, value must between -2147483648 and 2147483647");
    REFUSES(args_db(c, SLICE("x"), &db), NOT_INTEGER);
    assert_true(args_is_int(SLICE("2147483647"), &n) && n == INT_MAX);
    assert_false(args_is_int(SLICE("2147483648"), &n));
    assert_false(args_is_int(SLICE("-2147483649"), &n));
}

static void cursors_are_read_as_strtoul_does(void **state) {
    (void)state;
    uint64_t n;
    ACCEPTS(args_cursor(c, SLICE(""), &n) && n == 0);
    ACCEPTS(args_cursor(c, SLICE("+017"), &n) && n == 17);
    ACCEPTS(args_cursor(c, SLICE("-1"), &n) && n == UINT64_MAX);
    ACCEPTS(args_cursor(c, SLICE("18446744073709551615"), &n) && n == UINT64_MAX);
    REFUSES(args_cursor(c, SLICE("18446744073709551616"), &n), "-ERR invalid cursor");
    REFUSES(args_cursor(c, SLICE("-"), &n), "-ERR invalid cursor");
    REFUSES(args_cursor(c, SLICE("1:"), &n), "-ERR invalid cursor");
    REFUSES(args_cursor(c, SLICE("1/"), &n), "-ERR invalid cursor");
}

#define WORDS(...) \
    (const struct slice[]){__VA_ARGS__}, (int)(sizeof(struct slice[]){__VA_ARGS__} / sizeof(struct slice))

static void scan_options(void **state) {
    (void)state;
    struct slice pattern = SLICE("old"), type = SLICE("old");
    int64_t count = 10;
    ACCEPTS(args_scan(c, NULL, 0, &pattern, &count, &type));
    assert_true(slice_eq(pattern, SLICE("old")) && slice_eq(type, SLICE("old")) && count == 10);
    ACCEPTS(args_scan(c, WORDS(SLICE("COUNT"), SLICE("3"), SLICE("match"), SLICE("a*"), SLICE("Type"), SLICE("set")),
                      &pattern, &count, &type));
    assert_true(slice_eq(pattern, SLICE("a*")) && slice_eq(type, SLICE("set")) && count == 3);
    ACCEPTS(args_scan(c, WORDS(SLICE("match"), SLICE("*")), &pattern, &count, NULL));
    assert_null(pattern.ptr);
    REFUSES(args_scan(c, WORDS(SLICE("type"), SLICE("set")), &pattern, &count, NULL), "-ERR syntax error");
    REFUSES(args_scan(c, WORDS(SLICE("count")), &pattern, &count, &type), "-ERR syntax error");
    REFUSES(args_scan(c, WORDS(SLICE("count"), SLICE("0")), &pattern, &count, &type), "-ERR syntax error");
    REFUSES(args_scan(c, WORDS(SLICE("count"), SLICE("x")), &pattern, &count, &type), NOT_INTEGER);
}

static void draws_have_limits(void **state) {
    (void)state;
    int64_t n;
    ACCEPTS(args_draw_options(c, WORDS(SLICE("-5")), "withvalues", &n) && n == -5);
    ACCEPTS(args_draw_options(c, WORDS(SLICE("9223372036854775807")), "withvalues", &n));
    REFUSES(args_draw_options(c, WORDS(SLICE("9223372036854775807"), SLICE("withvalues")), "withvalues", &n),
            "-ERR value is out of range");
    ACCEPTS(args_draw_options(c, WORDS(SLICE("4611686018427387903"), SLICE("WithValues")), "withvalues", &n));
    REFUSES(args_draw_options(c, WORDS(SLICE("1"), SLICE("x")), "withvalues", &n), "-ERR syntax error");
    REFUSES(args_draw_options(c, WORDS(SLICE("1"), SLICE("withvalues"), SLICE("x")), "withvalues", &n),
            "-ERR syntax error");
}

static void ids_are_read_as_redis_reads_them(void **state) {
    (void)state;
    static const struct {
        struct slice text;
        struct stream_id id;
    } good[] = {{SLICE("5"), {5, 77}},
                {SLICE("5-6"), {5, 6}},
                {SLICE(" 1-1"), {1, 1}},
                {SLICE("+1-2"), {1, 2}},
                {SLICE("01-05"), {1, 5}},
                {SLICE("1- 5"), {1, 5}},
                {SLICE("1--01"), {1, UINT64_MAX}},
                {SLICE("3-1\0x"), {3, 1}},
                {SLICE("18446744073709551615-18446744073709551615"), {UINT64_MAX, UINT64_MAX}}};
    static const struct slice bad[] = {SLICE(""),
                                       SLICE("-1"),
                                       SLICE("1-"),
                                       SLICE("0x10"),
                                       SLICE("5-1-1"),
                                       SLICE("1--1"),
                                       SLICE("abc"),
                                       SLICE("1 -1"),
                                       SLICE("-"),
                                       SLICE("+"),
                                       SLICE("1-*"),
                                       SLICE("*"),
                                       SLICE("\0001-1"),
                                       SLICE("1-1 "),
                                       SLICE("18446744073709551616"),
                                       SLICE("1-18446744073709551616")};
    struct stream_id id;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ACCEPTS(args_id(c, good[i].text, 77, &id));
        assert_true(stream_id_equal(id, good[i].id));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(args_is_id(bad[i], 0, &id));
        REFUSES(args_id(c, bad[i], 0, &id), "-ERR Invalid stream ID specified as stream command argument");
    }
    static char zeros[129];
    memset(zeros, '0', sizeof zeros - 1);
    assert_true(args_is_id(slice_of(zeros, 127), 0, &id));
    assert_false(args_is_id(slice_of(zeros, 128), 0, &id));
}

static void some_words_stand_for_ids(void **state) {
    (void)state;
    struct stream_id id;
    bool find_seq;
    ACCEPTS(args_edge_id(c, SLICE("-"), 1, &id) && stream_id_is_zero(id));
    ACCEPTS(args_edge_id(c, SLICE("+"), 1, &id) && stream_id_equal(id, STREAM_ID_MAX));
    ACCEPTS(args_new_id(c, SLICE("7-*"), &id, &find_seq) && find_seq && id.ms == 7);
    ACCEPTS(args_new_id(c, SLICE("7"), &id, &find_seq) && !find_seq && id.seq == 0);
    ACCEPTS(args_first_id(c, SLICE("(5"), &id) && id.ms == 5 && id.seq == 1);
    ACCEPTS(args_last_id(c, SLICE("(5-0"), &id) && id.ms == 4 && id.seq == UINT64_MAX);
    ACCEPTS(args_last_id(c, SLICE("5"), &id) && id.ms == 5 && id.seq == UINT64_MAX);
    REFUSES(args_first_id(c, SLICE("(18446744073709551615-18446744073709551615"), &id),
            "-ERR invalid start ID for the interval");
    REFUSES(args_last_id(c, SLICE("(0-0"), &id), "-ERR invalid end ID for the interval");
    REFUSES(args_first_id(c, SLICE("(-"), &id), "-ERR Invalid stream ID specified as stream command argument");
    REFUSES(args_first_id(c, SLICE("("), &id), "-ERR Invalid stream ID specified as stream command argument");
}

int main(void) {
    lab_start((const struct module *const[]){NULL});
    const struct CMUnitTest tests[] = {
        LAB_TEST(integers_have_their_ranges),
        LAB_TEST(timeouts_are_milliseconds_that_fit_the_clock),
        LAB_TEST(strtod_reads_all_of_any_text),
        LAB_TEST(indexes_are_clipped_to_the_sequence),
        LAB_TEST(databases_are_numbered),
        LAB_TEST(cursors_are_read_as_strtoul_does),
        LAB_TEST(scan_options),
        LAB_TEST(draws_have_limits),
        LAB_TEST(ids_are_read_as_redis_reads_them),
        LAB_TEST(some_words_stand_for_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
