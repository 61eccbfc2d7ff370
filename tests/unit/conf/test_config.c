/* Option rows: every type is read, printed and refused as it should, and a change of several is all or nothing. */
#include "conf/config.h"
#include "conf/directive.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct {
    bool yes;
    int small, octal, mode, flags;
    int64_t big, size, share;
    char *text;
    int applied;
    bool refuse;
} values;

static bool apply(const char **error) {
    values.applied++;
    *error = "refused";
    return !values.refuse;
}

static const struct option_name modes[] = {{"one", 1}, {"two", 2}, {NULL, 0}};
static const struct option_name flags[] = {{"none", 0}, {"a", 1}, {"b", 2}, {NULL, 0}};
static const struct option rows[] = {
    {.name = "t-bool", .type = OPTION_BOOL, .address = &values.yes, .initial = "no"},
    {.name = "t-int",
     .alias = "t-old",
     .type = OPTION_INT,
     .address = &values.small,
     .initial = "5",
     .min = -1,
     .max = 9,
     .apply = apply},
    {.name = "t-i64", .type = OPTION_I64, .address = &values.big, .initial = "0", .min = INT64_MIN, .max = INT64_MAX},
    {.name = "t-octal", .type = OPTION_OCTAL, .address = &values.octal, .initial = "0", .max = 0777},
    {.name = "t-size", .type = OPTION_MEMORY, .address = &values.size, .initial = "0", .max = INT64_MAX},
    {.name = "t-share",
     .type = OPTION_MEMORY,
     .flags = OPTION_PERCENT,
     .address = &values.share,
     .initial = "0",
     .min = -100,
     .max = INT64_MAX},
    {.name = "t-mode", .type = OPTION_ENUM, .address = &values.mode, .initial = "two", .names = modes},
    {.name = "t-flags", .type = OPTION_FLAGS, .address = &values.flags, .initial = "none", .names = flags},
    {.name = "t-text", .type = OPTION_STRING, .address = &values.text, .initial = "x", .apply = apply},
    {.name = "t-fixed", .type = OPTION_BOOL, .flags = OPTION_IMMUTABLE, .address = &(bool){0}, .initial = "no"},
    {.name = NULL},
};

static bool set(const char *name, const char *value, struct config_error *error) {
    struct slice pair[2] = {slice_cstr(name), slice_cstr(value)};
    return config_set(pair, 1, true, error);
}

static void check(const char *name, const char *given, const char *shown, const char *in_file) {
    struct config_error error = {0};
    struct buf out = {0};
    assert_true(set(name, given, &error));
    directive_print(config_find(slice_cstr(name)), &out);
    buf_append(&out, "", 1);
    assert_string_equal(out.data, shown);
    out.len = 0;
    directive_print_file(config_find(slice_cstr(name)), &out);
    buf_append(&out, "", 1);
    assert_string_equal(out.data, in_file);
    buf_free(&out);
}

static void check_refused(const char *name, const char *given, const char *why) {
    struct config_error error = {0};
    assert_false(set(name, given, &error));
    assert_string_equal(error.text, why);
}

static void types(void **state) {
    (void)state;
    check("t-bool", "YES", "yes", "yes");
    check("T-INT", "-1", "-1", "-1");
    check("t-old", "9", "9", "9");
    check("t-i64", "-9223372036854775808", "-9223372036854775808", "-9223372036854775808");
    check("t-octal", "0755", "755", "755");
    check("t-size", "1536MB", "1610612736", "1536mb");
    check("t-size", "3g", "3000000000", "3000000000");
    check("t-size", "0", "0", "0");
    check("t-share", "5%", "5%", "5%");
    check("t-share", "2kb", "2048", "2kb");
    check("t-mode", "One", "one", "one");
    check("t-flags", "b a", "a b", "a b");
    check("t-flags", "none", "none", "none");
    check("t-text", "a \"b\"\n", "a \"b\"\n", "\"a \\\"b\\\"\\n\"");
    check("t-text", "", "", "\"\"");
}

static void refusals(void **state) {
    (void)state;
    check_refused("t-bool", "1", "argument must be 'yes' or 'no'");
    check_refused("t-int", "10", "argument must be between -1 and 9 inclusive");
    check_refused("t-int", "0x1", "argument couldn't be parsed into an integer");
    check_refused("t-i64", "9223372036854775808", "argument couldn't be parsed into an integer");
    check_refused("t-octal", "8", "argument couldn't be parsed as an octal number");
    check_refused("t-octal", "1000", "argument must be between 0 and 777 inclusive");
    check_refused("t-size", "9223372036854775808", "argument must be between 0 and 9223372036854775807 inclusive");
    check_refused("t-size", "5%", "argument must be a memory value");
    check_refused("t-share", "101%", "percentage argument must be less or equal to 100");
    check_refused("t-mode", "three", "argument(s) must be one of the following: one, two");
    check_refused("t-flags", "a c", "argument(s) must be one of the following: none, a, b");
    check_refused("t-fixed", "yes", "can't set immutable config");
    struct config_error error = {0};
    assert_false(set("t-none", "1", &error));
    assert_true(error.unknown);
}

static void all_or_nothing(void **state) {
    (void)state;
    struct config_error error = {0};
    assert_true(set("t-int", "5", &error) && set("t-text", "before", &error) && set("t-bool", "no", &error));
    struct slice pairs[] = {SLICE("t-bool"), SLICE("yes"),   SLICE("t-text"), SLICE("after"),
                            SLICE("t-int"),  SLICE("wrong"), SLICE("t-i64"),  SLICE("1")};
    values.applied = 0;
    assert_false(config_set(pairs, 4, true, &error));
    assert_true(slice_eq(error.argument, SLICE("t-int")));
    assert_false(values.yes);
    assert_string_equal(values.text, "before");
    assert_int_equal(values.applied, 0);
    pairs[5] = SLICE("6");
    values.refuse = true; /* what fails when it is applied, fails as a whole, too */
    assert_false(config_set(pairs, 4, true, &error));
    assert_string_equal(error.text, "refused");
    assert_int_equal(values.small, 5);
    assert_string_equal(values.text, "before");
    values.refuse = false;
    values.applied = 0;
    assert_true(config_set(pairs, 4, true, &error));
    assert_int_equal(values.applied, 1); /* shared by two options: once */
    assert_true(config_set(pairs, 4, true, &error));
    assert_int_equal(values.applied, 1); /* nothing changed */
    assert_int_equal(values.small, 6);
    struct slice twice[] = {SLICE("t-int"), SLICE("1"), SLICE("T-Int"), SLICE("2")};
    assert_false(config_set(twice, 2, true, &error));
    assert_string_equal(error.text, "duplicate parameter");
}

int main(void) {
    config_register(rows);
    const struct CMUnitTest tests[] = {cmocka_unit_test(types), cmocka_unit_test(refusals),
                                       cmocka_unit_test(all_or_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
