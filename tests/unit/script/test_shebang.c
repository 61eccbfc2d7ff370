/* The first lines of scripts and libraries: what redis-server 7.0.15 took, and what it answered to the others. */
#include "base/buf.h"
#include "script/run.h"
#include "script/shebang.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* --- Scripts --------------------------------------------------------------------------------- */

static void takes(struct slice text, unsigned flags, const char *code) {
    unsigned got;
    struct slice rest;
    struct buf error = {0};
    assert_true(shebang_read_script(text, &got, &rest, &error));
    assert_int_equal(got, flags);
    assert_true(slice_eq(rest, slice_cstr(code)));
    assert_int_equal(error.len, 0);
}

static void refuses(struct slice text, const char *why) {
    unsigned flags;
    struct slice rest;
    struct buf error = {0};
    assert_false(shebang_read_script(text, &flags, &rest, &error));
    buf_append(&error, "", 1);
    assert_string_equal(error.data, why);
    buf_free(&error);
}

static void a_script_without_the_line_has_the_old_rules(void **state) {
    (void)state;
    takes(SLICE("return 1"), SCRIPT_OLD_RULES, "return 1");
    takes(SLICE(""), SCRIPT_OLD_RULES, "");
    takes(SLICE("#"), SCRIPT_OLD_RULES, "#");
    takes(SLICE(" #!lua\nreturn 1"), SCRIPT_OLD_RULES, " #!lua\nreturn 1");
}

static void the_line_gives_a_script_its_flags(void **state) {
    (void)state;
    takes(SLICE("#!lua\nreturn 1"), 0, "\nreturn 1");
    takes(SLICE("#!lua \t\n"), 0, "\n");
    takes(SLICE("#!lua\r\nreturn 1"), 0, "\nreturn 1");
    takes(SLICE("#!lua flags=\nreturn 1"), 0, "\nreturn 1");
    takes(SLICE("#!lua flags=no-writes\r\n\n"), SCRIPT_NO_WRITES, "\n\n");
    takes(SLICE("#!lua \"flags=no-writes\"\n"), SCRIPT_NO_WRITES, "\n");
    takes(SLICE("#!lua flags=no-writes,no-writes flags=allow-oom\n"), SCRIPT_NO_WRITES | SCRIPT_ALLOW_OOM, "\n");
    takes(SLICE("#!lua flags=no-writes,allow-oom,allow-stale,no-cluster,allow-cross-slot-keys\n"),
          SCRIPT_NO_WRITES | SCRIPT_ALLOW_OOM | SCRIPT_ALLOW_STALE | SCRIPT_NO_CLUSTER | SCRIPT_ALLOW_CROSS_SLOT, "\n");
}

static void a_script_with_a_bad_line_is_refused(void **state) {
    (void)state;
    refuses(SLICE("#!"), "Invalid script shebang");
    refuses(SLICE("#!lua flags=x"), "Invalid script shebang");
    refuses(SLICE("#!lua\0\n"), "Invalid script shebang");
    refuses(SLICE("#!\n"), "Unexpected engine in script shebang: #!");
    refuses(SLICE("#!\r\nreturn 1"), "Unexpected engine in script shebang: #!");
    refuses(SLICE("#! lua\n"), "Unexpected engine in script shebang: #!");
    refuses(SLICE("#!LUA\n"), "Unexpected engine in script shebang: #!LUA");
    refuses(SLICE("#!lua \"flags=no-writes\n"), "Invalid engine in script shebang");
    refuses(SLICE("#!''lua\n"), "Invalid engine in script shebang");
    refuses(SLICE("#!lua name=x\n"), "Unknown lua shebang option: name=x");
    refuses(SLICE("#!lua FLAGS=no-writes\n"), "Unknown lua shebang option: FLAGS=no-writes");
    refuses(SLICE("#!lua flags= no-writes\n"), "Unknown lua shebang option: no-writes");
}

static void a_script_with_a_bad_flag_is_refused(void **state) {
    (void)state;
    refuses(SLICE("#!lua flags=NO-WRITES\n"), "Unexpected flag in script shebang: NO-WRITES");
    refuses(SLICE("#!lua flags=no-writes\tflags=x\n"), "Unexpected flag in script shebang: x");
    refuses(SLICE("#!lua flags=\"a b\"\n"), "Unexpected flag in script shebang: a b");
    refuses(SLICE("#!lua flags=\"a\\x00b\"\n"), "Unexpected flag in script shebang: a");
    refuses(SLICE("#!lua flags=,\n"), "Unexpected flag in script shebang: ");
    refuses(SLICE("#!lua flags=no-writes,\n"), "Unexpected flag in script shebang: ");
    refuses(SLICE("#!lua flags=,no-writes\n"), "Unexpected flag in script shebang: ");
    refuses(SLICE("#!lua flags=no-writes,,allow-oom\n"), "Unexpected flag in script shebang: ");
}

static void a_flag_is_found_by_its_exact_name(void **state) {
    (void)state;
    assert_int_equal(shebang_flag(SLICE("no-writes")), SCRIPT_NO_WRITES);
    assert_int_equal(shebang_flag(SLICE("allow-cross-slot-keys")), SCRIPT_ALLOW_CROSS_SLOT);
    assert_int_equal(shebang_flag(SLICE("")), 0);
    assert_int_equal(shebang_flag(SLICE("no-write")), 0);
    assert_int_equal(shebang_flag(SLICE("no-writes ")), 0);
}

/* --- Libraries ------------------------------------------------------------------------------- */

static void takes_library(struct slice text, const char *name, const char *code) {
    struct slice rest;
    struct buf got = {0}, error = {0};
    assert_true(shebang_read_library(text, &got, &rest, &error));
    assert_true(slice_eq(buf_slice(&got), slice_cstr(name)));
    assert_true(slice_eq(rest, slice_cstr(code)));
    assert_int_equal(error.len, 0);
    buf_free(&got);
}

static void refuses_library(struct slice text, const char *why) {
    struct slice rest;
    struct buf name = {0}, error = {0};
    assert_false(shebang_read_library(text, &name, &rest, &error));
    assert_int_equal(name.len, 0);
    buf_append(&error, "", 1);
    assert_string_equal(error.data, why);
    buf_free(&error);
}

static void the_line_names_a_library(void **state) {
    (void)state;
    takes_library(SLICE("#!lua name=a_B9\nreturn 1"), "a_B9", "\nreturn 1");
    takes_library(SLICE("#!LUA NAME=abc\r\n"), "abc", "\n");
    takes_library(SLICE("#!lua 'name=abc'\n"), "abc", "\n");
}

#define BAD_NAME \
    "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long"

static void a_library_with_a_bad_line_is_refused(void **state) {
    (void)state;
    refuses_library(SLICE("return 1"), "Missing library metadata");
    refuses_library(SLICE(""), "Missing library metadata");
    refuses_library(SLICE("#!lua name=a"), "Invalid library metadata");
    refuses_library(SLICE("#!lua name=\"a\n"), "Invalid library metadata");
    refuses_library(SLICE("#!lua\n"), "Library name was not given");
    refuses_library(SLICE("#!js\n"), "Library name was not given");
    refuses_library(SLICE("#!\n"), "Library name was not given");
    refuses_library(SLICE("#!lua name=a name=b\n"), "Invalid metadata value, name argument was given multiple times");
    refuses_library(SLICE("#!lua name=a b\n"), "Invalid metadata value given: b");
    refuses_library(SLICE("#!lua flags=x name=a\n"), "Invalid metadata value given: flags=x");
    refuses_library(SLICE("#!lua name=\n"), BAD_NAME);
    refuses_library(SLICE("#!lua 'name=a b'\n"), BAD_NAME);
    refuses_library(SLICE("#!lua name=\"a\\x00\"\n"), BAD_NAME);
    refuses_library(SLICE("#!lua name=a\xc3\xa9\n"), BAD_NAME);
    refuses_library(SLICE("#!js name=a-c\n"), BAD_NAME);
    refuses_library(SLICE("#!js name=abc\n"), "Engine 'js' not found");
    refuses_library(SLICE("#! name=abc\n"), "Engine '' not found");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_script_without_the_line_has_the_old_rules),
        cmocka_unit_test(the_line_gives_a_script_its_flags),
        cmocka_unit_test(a_script_with_a_bad_line_is_refused),
        cmocka_unit_test(a_script_with_a_bad_flag_is_refused),
        cmocka_unit_test(a_flag_is_found_by_its_exact_name),
        cmocka_unit_test(the_line_names_a_library),
        cmocka_unit_test(a_library_with_a_bad_line_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
