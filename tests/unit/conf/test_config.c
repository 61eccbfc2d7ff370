/* The register: options are found and set by their rules, a change of several is all or nothing. */
#include "base/log.h"
#include "base/module.h"
#include "base/option.h"
#include "base/words.h"
#include "conf/config.h"
#include "conf/directive.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

extern const struct module config_module;

static struct {
    bool yes;
    int small;
    int64_t big;
    char *text;
    int applied;
    bool refuse;
} values;

static bool apply(const char **error) {
    values.applied++;
    *error = "refused";
    return !values.refuse;
}

static const struct option rows[] = {
    {.name = "t-bool", .type = OPTION_BOOL, .address = &values.yes, .initial = "no"},
    {.name = "t-int",
     .alias = "t-old",
     .type = OPTION_INT,
     .address = &values.small,
     .initial = "5",
     .max = 9,
     .apply = apply},
    {.name = "t-i64", .type = OPTION_I64, .address = &values.big, .initial = "0"},
    {.name = "t-text", .type = OPTION_STRING, .address = &values.text, .initial = "x", .apply = apply},
    {.name = "t-fixed", .type = OPTION_BOOL, .flags = OPTION_IMMUTABLE, .address = &(bool){0}, .initial = "no"},
    {.name = "t-guarded", .type = OPTION_INT, .flags = OPTION_PROTECTED, .initial = "0"},
    {.name = "t-kept-int", .type = OPTION_INT, .initial = "7"},
    {.name = "t-kept-text", .type = OPTION_STRING, .initial = "some"},
    {.name = "t-kept-bytes", .type = OPTION_BYTES, .initial = ""},
    {.name = "t-missing", .type = OPTION_I64, .flags = OPTION_MISSING, .initial = "0"},
    {.name = "t-missing-text", .type = OPTION_STRING, .flags = OPTION_MISSING, .initial = "x"},
    {NULL},
};

static const struct option *find(const char *name) {
    return config_find(slice_cstr(name));
}

static bool set(const char *name, const char *value, struct config_error *error) {
    struct slice pair[2] = {slice_cstr(name), slice_cstr(value)};
    return config_set(pair, 1, true, error);
}

static bool set_at_start(const char *name, const char *value) {
    struct words w;
    const char *error;
    words_single(&w, slice_cstr(value));
    bool ok = config_set_at_start(find(name), (const char *const *)w.at, w.count, &error);
    words_free(&w);
    return ok;
}

static void assert_shown(const char *name, const char *value) {
    struct buf out = {0};
    directive_print(find(name), &out);
    assert_true(slice_eq(buf_slice(&out), slice_cstr(value)));
    buf_free(&out);
}

static void options_are_found_by_name_and_by_alias_in_any_case(void **state) {
    (void)state;
    assert_ptr_equal(find("t-int"), find("T-Old"));
    assert_string_equal(find("T-INT")->name, "t-int");
    assert_null(find("t-in"));
    assert_null(find("t-int2"));
    assert_null(find(""));
    for (size_t i = 0; i < config_count(); i++) {
        assert_ptr_equal(find(config_at(i)->name), config_at(i));
        assert_int_equal(config_index(config_at(i)), i);
    }
}

static void a_row_without_an_address_keeps_its_value_in_the_register(void **state) {
    (void)state;
    struct config_error error = {0};
    assert_shown("t-kept-int", "7");
    assert_shown("t-kept-text", "some");
    assert_shown("t-kept-bytes", "");
    assert_true(set("t-kept-int", "8", &error) && set("t-kept-text", "other", &error));
    assert_true(set("t-kept-bytes", "b", &error));
    assert_shown("t-kept-int", "8");
    assert_shown("t-kept-text", "other");
    assert_shown("t-kept-bytes", "b");
    assert_false(set("t-kept-int", "-1", &error));
    assert_shown("t-kept-int", "8");
}

static void what_may_not_be_set_is_refused_with_the_reason(void **state) {
    (void)state;
    struct config_error error = {0};
    assert_false(set("t-none", "1", &error));
    assert_true(error.unknown);
    assert_true(slice_eq(error.argument, SLICE("t-none")));
    assert_false(set("t-fixed", "yes", &error));
    assert_false(error.unknown);
    assert_string_equal(error.text, "can't set immutable config");
    assert_false(set("t-int", "10", &error));
    assert_string_equal(error.text, "argument must be between 0 and 9 inclusive");
    struct slice twice[] = {SLICE("t-int"), SLICE("1"), SLICE("T-Int"), SLICE("2")};
    assert_false(config_set(twice, 2, true, &error));
    assert_string_equal(error.text, "duplicate parameter");
}

static void a_protected_option_needs_permission(void **state) {
    (void)state;
    struct slice pair[] = {SLICE("t-guarded"), SLICE("1")};
    struct config_error error = {0};
    assert_false(config_set(pair, 1, true, &error));
    assert_string_equal(error.text, "can't set protected config");
    assert_true(set_at_start("enable-protected-configs", "local"));
    assert_true(config_set(pair, 1, true, &error));
    assert_false(config_set(pair, 1, false, &error));
    assert_true(set_at_start("enable-protected-configs", "yes"));
    assert_true(config_set(pair, 1, false, &error));
}

static void a_change_of_several_is_all_or_nothing(void **state) {
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
}

static void an_option_set_under_both_names_gets_its_former_value_back(void **state) {
    (void)state;
    struct config_error error = {0};
    assert_true(set("t-int", "3", &error));
    struct slice pairs[] = {SLICE("t-int"), SLICE("4"), SLICE("t-old"), SLICE("5"), SLICE("t-bool"), SLICE("maybe")};
    assert_false(config_set(pairs, 3, true, &error));
    assert_int_equal(values.small, 3);
}

/* How often the log has this text. */
static int count_in_log(const char *path, const char *text) {
    static char all[16384];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    all[fread(all, 1, sizeof all - 1, file)] = '\0';
    fclose(file);
    int found = 0;
    for (char *at = all; (at = strstr(at, text)); at++)
        found++;
    return found;
}

static void what_has_no_effect_is_logged_once(void **state) {
    (void)state;
    char path[] = "/tmp/kura-config-XXXXXX";
    struct config_error error = {0};
    close(mkstemp(path));
    assert_true(log_open(path));
    log_set_level(LOG_WARNING);
    assert_true(set_at_start("t-missing", "1"));
    assert_true(set_at_start("t-missing-text", ""));
    assert_true(config_is_starting());
    assert_int_equal(count_in_log(path, "WARNING"), 0);
    config_started();
    assert_false(config_is_starting());
    assert_int_equal(count_in_log(path, "WARNING: the option 't-missing' is accepted, but has no effect"), 1);
    assert_true(set("t-missing", "2", &error));
    assert_int_equal(count_in_log(path, "WARNING"), 1);
    assert_true(set("t-missing-text", "y", &error));
    assert_int_equal(count_in_log(path, "'t-missing-text'"), 1);
    assert_true(log_open(""));
    unlink(path);
}

static void the_path_is_copied(void **state) {
    (void)state;
    char path[] = "/a/b";
    assert_string_equal(config_path(), "");
    config_set_path(path);
    path[1] = 'x';
    assert_string_equal(config_path(), "/a/b");
    config_set_path("/c");
    assert_string_equal(config_path(), "/c");
}

int main(void) {
    log_set_level(LOG_NOTHING);
    config_register(config_module.options);
    config_register(rows);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_found_by_name_and_by_alias_in_any_case),
        cmocka_unit_test(a_row_without_an_address_keeps_its_value_in_the_register),
        cmocka_unit_test(what_may_not_be_set_is_refused_with_the_reason),
        cmocka_unit_test(a_protected_option_needs_permission),
        cmocka_unit_test(a_change_of_several_is_all_or_nothing),
        cmocka_unit_test(an_option_set_under_both_names_gets_its_former_value_back),
        cmocka_unit_test(what_has_no_effect_is_logged_once),
        cmocka_unit_test(the_path_is_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
