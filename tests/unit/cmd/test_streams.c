/* Entries that are too large, whose bytes a test cannot send: only their lengths are looked at. */
#include "command_lab.h"

extern const struct module streams_module, keys_module;

enum { MB = 1 << 20, MOST = 6 };

/* XADD of names and values of these sizes. */
static const char *add(const size_t *megabytes, int n) {
    struct slice words[3 + MOST] = {SLICE("XADD"), SLICE("s"), SLICE("1-1")};
    for (int i = 0; i < n; i++)
        words[3 + i] = slice_of("x", megabytes[i] * MB);
    return lab_lines(lab_call(words, 3 + n));
}

static void an_entry_above_a_gigabyte_is_refused(void **state) {
    (void)state;
    static const size_t sizes[][MOST] = {{0, 512, 0, 512}, {512, 512, 0, 0}, {0, 400, 0, 400, 0, 400}, {342, 342, 342}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_string_equal(add(sizes[i], i < 2 ? 4 : MOST), "-ERR Elements are too large to be stored");
        assert_string_equal(lab_run("EXISTS s"), ":0");
        lab_expect_propagated("");
    }
}

static void the_first_error_is_that_of_the_id(void **state) {
    (void)state;
    lab_run("XADD s 1-1 f v");
    assert_string_equal(add((size_t[]){0, 512, 0, 512}, 4),
                        "-ERR The ID specified in XADD is equal or smaller than the target stream top item");
    assert_string_equal(lab_run("XLEN s"), ":1");
}

int main(void) {
    const struct module *modules[] = {&streams_module, &keys_module, NULL};
    lab_start(modules);
    const struct CMUnitTest tests[] = {
        LAB_TEST(an_entry_above_a_gigabyte_is_refused),
        LAB_TEST(the_first_error_is_that_of_the_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
