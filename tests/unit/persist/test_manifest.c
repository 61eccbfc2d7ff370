/* The manifest: what is written reads back, and what is hostile is refused with the words that Redis has for it. */
#include "base/buf.h"
#include "persist/manifest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *parse_error(struct slice text) {
    struct manifest m;
    struct manifest_error error;
    if (!manifest_parse(text, &m, &error)) return error.text;
    manifest_free(&m);
    return NULL;
}

static void assert_printed(const struct manifest *m, const char *expected) {
    struct buf out = {0};
    manifest_print(m, &out);
    buf_append(&out, "", 1);
    assert_string_equal(out.data, expected);
    buf_free(&out);
}

static void hostile_ones_are_refused(void **state) {
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", "Found an empty AOF manifest"},
        {"\n", "Invalid AOF manifest file format"},
        {"file a seq 1 type b", "The AOF manifest file contains too long line"},
        {"file a seq 1 type\n", "Invalid AOF manifest file format"},
        {"file a seq 1\n", "Invalid AOF manifest file format"},
        {"file a seq 0 type b\n", "Invalid AOF manifest file format"},
        {"file a seq x type b\n", "Invalid AOF manifest file format"},
        {"file a seq 99999999999999999999 type b\n", "Invalid AOF manifest file format"},
        {"file \"a seq 1 type b\n", "Invalid AOF manifest file format"},
        {"file \"\" seq 1 type b\n", "Invalid AOF manifest file format"},
        {"file .. seq 1 type b\n", "Invalid AOF manifest file format"},
        {"file ../a seq 1 type b\n", "File can't be a path, just a filename"},
        {"file a seq 1 type q\n", "Unknown AOF file type"},
        {"file a seq 1 type b\nfile b seq 2 type b\n", "Found duplicate base file information"},
        {"file a seq 2 type i\nfile b seq 2 type i\n", "Found a non-monotonic sequence number"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(parse_error(slice_cstr(cases[i].text)), cases[i].error);
}

static void long_lines_are_refused(void **state) {
    struct buf text = {0};
    (void)state;
    buf_append_cstr(&text, "file ");
    for (int i = 0; i < 2000; i++)
        buf_append_cstr(&text, "a");
    buf_append_cstr(&text, " seq 1 type b\n");
    assert_string_equal(parse_error(buf_slice(&text)), "The AOF manifest file contains too long line");
    buf_free(&text);
}

static void what_is_written_reads_back(void **state) {
    static const char text[] = "file a.2.base.rdb seq 2 type b\n"
                               "file a.1.incr.aof seq 1 type h\n"
                               "file \"with blank\" seq 3 type i\n"
                               "file a.7.incr.aof seq 7 type i\n";
    struct manifest m;
    struct manifest_error error;
    (void)state;
    assert_true(manifest_parse(slice_cstr(text), &m, &error));
    assert_printed(&m, text);
    assert_int_equal(manifest_live(&m), 3);
    assert_string_equal(manifest_last_incr(&m)->name, "a.7.incr.aof");
    manifest_free(&m);
}

static void comments_and_unknown_words_are_passed_over(void **state) {
    struct manifest m;
    struct manifest_error error;
    (void)state;
    assert_true(manifest_parse(SLICE("# hello\nfile a seq 1 type b color red\r\n"), &m, &error));
    assert_printed(&m, "file a seq 1 type b\n");
    manifest_free(&m);
}

static void a_rewrite_turns_files_into_history(void **state) {
    struct manifest m = {0}, copy;
    (void)state;
    manifest_new_base(&m, "a", true);
    manifest_new_incr(&m, "a");
    manifest_new_incr(&m, "a");
    manifest_copy(&copy, &m);
    assert_string_equal(manifest_new_base(&copy, "a", false), "a.2.base.aof");
    manifest_retire_incrs(&copy, 1);
    assert_printed(&copy, "file a.2.base.aof seq 2 type b\n"
                          "file a.1.base.rdb seq 1 type h\n"
                          "file a.1.incr.aof seq 1 type h\n"
                          "file a.2.incr.aof seq 2 type i\n");
    manifest_drop_history(&copy);
    assert_printed(&copy, "file a.2.base.aof seq 2 type b\nfile a.2.incr.aof seq 2 type i\n");
    assert_int_equal(manifest_live(&m), 3);
    manifest_free(&m);
    manifest_free(&copy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_ones_are_refused),
        cmocka_unit_test(long_lines_are_refused),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(comments_and_unknown_words_are_passed_over),
        cmocka_unit_test(a_rewrite_turns_files_into_history),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
