/* Parts of strings against plain C: every pair of indexes around a short string, and random writes. */
#include "command_lab.h"

extern const struct module strings_module, ranges_module;

/* The bytes that GETRANGE replies, by the rules of Redis: an index before the beginning is 0. */
static struct slice cut(struct slice s, int64_t first, int64_t last) {
    int64_t len = (int64_t)s.len;
    if (first < 0 && last < 0 && first > last) return SLICE("");
    if (first < 0) first = first + len < 0 ? 0 : first + len;
    if (last < 0) last = last + len < 0 ? 0 : last + len;
    if (last >= len) last = len - 1;
    return first > last || len == 0 ? SLICE("") : slice_of(s.ptr + first, (size_t)(last - first + 1));
}

static void getrange_cuts_at_any_index(void **state) {
    (void)state;
    static const char *const texts[] = {"a", "ab", "-120", "abcdefg"};
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
        lab_run("SET s %s", texts[t]);
        for (int first = -10; first <= 10; first++) {
            for (int last = -10; last <= 10; last++) {
                char expected[32];
                struct slice part = cut(slice_cstr(texts[t]), first, last);
                snprintf(expected, sizeof expected, "$%zu %.*s", part.len, (int)part.len, part.ptr);
                assert_string_equal(lab_run("GETRANGE s %d %d", first, last), part.len ? expected : "$0 ");
            }
        }
        assert_int_equal(strlen(lab_run("GETRANGE s -9223372036854775808 9223372036854775807")), 3 + strlen(texts[t]));
    }
    assert_string_equal(lab_run("GETRANGE none 0 -1"), "$0 ");
    assert_string_equal(lab_run("GETRANGE none 0 x"), "-ERR value is not an integer or out of range");
}

static void writes_are_those_of_an_array(void **state) {
    (void)state;
    char model[200];
    size_t len = 0;
    for (int round = 0; round < 2000; round++) {
        char bytes[8];
        size_t n = (size_t)lab_below(8), offset = (size_t)lab_below(150);
        bool append = lab_below(4) == 0;
        if (len > 180 || lab_below(100) == 0) {
            lab_run("SET s 0");
            model[0] = '0';
            len = 1;
        }
        if (append) offset = len;
        for (size_t i = 0; i < n; i++)
            bytes[i] = (char)('0' + lab_below(10));
        if (n > 0 && offset > len) memset(model + len, '\0', offset - len);
        memcpy(model + offset, bytes, n);
        if (n > 0 && offset + n > len) len = offset + n;
        char digits[16], expected[16];
        struct slice at = slice_of(digits, (size_t)snprintf(digits, sizeof digits, "%zu", offset));
        struct slice write[] = {SLICE("SETRANGE"), SLICE("s"), at, slice_of(bytes, n)};
        struct slice tail[] = {SLICE("APPEND"), SLICE("s"), slice_of(bytes, n)};
        snprintf(expected, sizeof expected, ":%zu", len);
        assert_string_equal(lab_lines(append ? lab_call(tail, 3) : lab_call(write, 4)), expected);
        struct slice reply = lab_call((struct slice[]){SLICE("GETRANGE"), SLICE("s"), SLICE("0"), SLICE("-1")}, 4);
        assert_true(reply.len >= len + 2);
        assert_memory_equal(reply.ptr + reply.len - len - 2, model, len);
        assert_string_equal(lab_run("STRLEN s"), expected);
    }
}

static void a_string_does_not_exceed_the_limit(void **state) {
    (void)state;
    const char *error = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    limits_options.max_bulk = 10;
    assert_string_equal(lab_run("SETRANGE s 6 abcd"), ":10");
    assert_string_equal(lab_run("SETRANGE s 7 abcd"), error);
    assert_string_equal(lab_run("SETRANGE s 9223372036854775807 a"), error);
    assert_string_equal(lab_run("SETRANGE s -1 a"), "-ERR offset is out of range");
    assert_string_equal(lab_run("APPEND s a"), error);
    assert_string_equal(lab_run("APPEND s "), ":10");
    lab_expect_propagated("APPEND s ");
    lab_run("SETRANGE s 20 ");
    lab_expect_propagated("");
}

int main(void) {
    lab_start((const struct module *const[]){&strings_module, &ranges_module, NULL});
    const struct CMUnitTest tests[] = {
        LAB_TEST(getrange_cuts_at_any_index),
        LAB_TEST(writes_are_those_of_an_array),
        LAB_TEST(a_string_does_not_exceed_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
