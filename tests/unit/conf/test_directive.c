/* Each type of option: what is read, how it is shown and written, what is refused, and that a refusal changes
 * nothing. */
#include "base/words.h"
#include "conf/directive.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct {
    bool yes;
    int small, unbounded, octal, mode, flags;
    int64_t big, size, share;
    char *text;
    struct slice bytes;
    int pair[2];
} values;

static bool set_pair(const char *const *words, int count, const char **error) {
    *error = "not two words of one letter";
    if (count != 2 || strlen(words[0]) != 1 || strlen(words[1]) != 1) return false;
    values.pair[0] = words[0][0];
    values.pair[1] = words[1][0];
    return true;
}

static void get_pair(struct buf *out) {
    buf_printf(out, "%c %c", values.pair[0], values.pair[1]);
}

static const struct option_name modes[] = {{"one", 1}, {"two", 2}, {"zwei", 2}, {NULL, 0}};
static const struct option_name flags[] = {{"none", 0}, {"a", 1}, {"b", 2}, {NULL, 0}};
static const struct option rows[] = {
    {.name = "bool", .type = OPTION_BOOL, .address = &values.yes, .initial = "no"},
    {.name = "int", .type = OPTION_INT, .address = &values.small, .initial = "5", .min = -1, .max = 9},
    {.name = "any-int", .type = OPTION_INT, .address = &values.unbounded, .initial = "0"},
    {.name = "i64", .type = OPTION_I64, .address = &values.big, .initial = "0", .min = INT64_MIN},
    {.name = "octal", .type = OPTION_OCTAL, .address = &values.octal, .initial = "0", .max = 0777},
    {.name = "size", .type = OPTION_MEMORY, .address = &values.size, .initial = "0"},
    {.name = "share",
     .type = OPTION_MEMORY,
     .flags = OPTION_PERCENT,
     .address = &values.share,
     .initial = "0",
     .min = -100},
    {.name = "mode", .type = OPTION_ENUM, .address = &values.mode, .initial = "two", .names = modes},
    {.name = "flags", .type = OPTION_FLAGS, .address = &values.flags, .initial = "none", .names = flags},
    {.name = "text", .type = OPTION_STRING, .address = &values.text, .initial = "x"},
    {.name = "bytes", .type = OPTION_BYTES, .address = &values.bytes, .initial = ""},
    {.name = "pair", .type = OPTION_CUSTOM, .flags = OPTION_MULTI, .initial = "x y", .set = set_pair, .get = get_pair},
    {NULL},
};

static const struct option *row(const char *name) {
    const struct option *o = rows;
    while (strcmp(o->name, name) != 0)
        o++;
    return o;
}

static bool read_text(const struct option *o, struct slice text, const char **error) {
    struct words w;
    (directive_takes_words(o) ? words_split_blanks : words_single)(&w, text);
    bool ok = directive_read(o, (const char *const *)w.at, w.count, error);
    words_free(&w);
    return ok;
}

static void assert_printed(const struct option *o, void (*print)(const struct option *, struct buf *), const char *as) {
    struct buf out = {0};
    print(o, &out);
    buf_append(&out, "", 1);
    assert_string_equal(out.data, as);
    buf_free(&out);
}

static void takes(const char *name, const char *given, const char *shown, const char *in_file) {
    const char *error;
    assert_true(read_text(row(name), slice_cstr(given), &error));
    assert_printed(row(name), directive_print, shown);
    assert_printed(row(name), directive_print_file, in_file);
    assert_true(read_text(row(name), slice_cstr(shown), &error)); /* what is printed can be read, and is the same */
    assert_printed(row(name), directive_print, shown);
}

static void every_type_is_read_shown_and_written(void **state) {
    (void)state;
    takes("bool", "YES", "yes", "yes");
    takes("int", "-1", "-1", "-1");
    takes("any-int", "2147483647", "2147483647", "2147483647");
    takes("i64", "-9223372036854775808", "-9223372036854775808", "-9223372036854775808");
    takes("i64", "9223372036854775807", "9223372036854775807", "9223372036854775807");
    takes("octal", "0755", "755", "755");
    takes("size", "1536MB", "1610612736", "1536mb");
    takes("size", "3g", "3000000000", "3000000000");
    takes("size", "0", "0", "0");
    takes("share", "5%", "5%", "5%");
    takes("share", "2kb", "2048", "2kb");
    takes("mode", "One", "one", "one");
    takes("mode", "zwei", "two", "two");
    takes("flags", "b a", "a b", "a b");
    takes("flags", "none", "none", "none");
    takes("text", "a \"b\"\n", "a \"b\"\n", "\"a \\\"b\\\"\\n\"");
    takes("text", "", "", "\"\"");
    takes("bytes", "secret", "secret", "\"secret\"");
    takes("pair", "p q", "p q", "p q");
}

static void refuses(const char *name, const char *given, const char *why) {
    const char *error = NULL;
    struct buf before = {0}, after = {0};
    directive_print(row(name), &before);
    assert_false(read_text(row(name), slice_cstr(given), &error));
    assert_string_equal(error, why);
    directive_print(row(name), &after);
    assert_true(slice_eq(buf_slice(&before), buf_slice(&after)));
    buf_free(&before);
    buf_free(&after);
}

static void a_bad_value_is_refused_and_changes_nothing(void **state) {
    (void)state;
    refuses("bool", "1", "argument must be 'yes' or 'no'");
    refuses("int", "10", "argument must be between -1 and 9 inclusive");
    refuses("int", "0x1", "argument couldn't be parsed into an integer");
    refuses("any-int", "2147483648", "argument must be between 0 and 2147483647 inclusive");
    refuses("any-int", "-1", "argument must be between 0 and 2147483647 inclusive");
    refuses("i64", "9223372036854775808", "argument couldn't be parsed into an integer");
    refuses("octal", "8", "argument couldn't be parsed as an octal number");
    refuses("octal", "1000", "argument must be between 0 and 777 inclusive");
    refuses("size", "9223372036854775808", "argument must be between 0 and 9223372036854775807 inclusive");
    refuses("size", "5%", "argument must be a memory value");
    refuses("share", "x", "argument must be a memory or percent value");
    refuses("share", "101%", "percentage argument must be less or equal to 100");
    refuses("mode", "three", "argument(s) must be one of the following: one, two, zwei");
    refuses("flags", "a c", "argument(s) must be one of the following: none, a, b");
    refuses("flags", "", "argument(s) must be one of the following: none, a, b");
    refuses("pair", "p", "not two words of one letter");
}

static void several_words_are_only_for_rows_that_take_them(void **state) {
    (void)state;
    struct words w;
    const char *error;
    words_split_blanks(&w, SLICE("1 2"));
    assert_false(directive_read(row("int"), (const char *const *)w.at, w.count, &error));
    assert_string_equal(error, "wrong number of arguments");
    words_free(&w);
    assert_true(directive_takes_words(row("flags")) && directive_takes_words(row("pair")));
    assert_false(directive_takes_words(row("text")));
}

static void only_bytes_may_hold_a_nul(void **state) {
    (void)state;
    const char *error;
    assert_true(read_text(row("bytes"), SLICE("a\0b"), &error));
    assert_true(slice_eq(values.bytes, SLICE("a\0b")));
    assert_printed(row("bytes"), directive_print_file, "\"a\\x00b\"");
    assert_false(read_text(row("text"), SLICE("a\0b"), &error));
    assert_string_equal(error, "argument holds a NUL byte");
}

static void reset_brings_the_default_back(void **state) {
    (void)state;
    const char *error;
    for (const struct option *o = rows; o->name; o++) {
        directive_reset(o);
        assert_true(directive_is_initial(o));
    }
    assert_int_equal(values.small, 5);
    assert_int_equal(values.mode, 2);
    assert_true(read_text(row("int"), SLICE("6"), &error));
    assert_false(directive_is_initial(row("int")));
    directive_reset(row("int"));
    assert_int_equal(values.small, 5);
}

static int set_up(void **state) {
    (void)state;
    for (const struct option *o = rows; o->name; o++) {
        directive_reset(o);
    }
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_read_shown_and_written),
        cmocka_unit_test(a_bad_value_is_refused_and_changes_nothing),
        cmocka_unit_test(several_words_are_only_for_rows_that_take_them),
        cmocka_unit_test(only_bytes_may_hold_a_nul),
        cmocka_unit_test(reset_brings_the_default_back),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
