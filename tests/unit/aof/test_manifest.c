/* Manifests: those that are written read back, and invalid ones are refused with the error texts of Redis. */
#include "aof/manifest.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/rand.h"
#include "seed.h"
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void invalid_manifests_are_refused(void **state) {
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

static void comments_and_unknown_keys_are_ignored(void **state) {
    struct manifest m;
    struct manifest_error error;
    (void)state;
    assert_true(manifest_parse(SLICE("# hello\nfile a seq 1 type b color red\r\n"), &m, &error));
    assert_printed(&m, "file a seq 1 type b\n");
    manifest_free(&m);
}

static bool is_third(const char *name) {
    return strstr(name, ".3.") != NULL;
}

/* The order is that of Redis: the newest rewrite first, and of one rewrite the increments before the base. */
static void a_rewrite_turns_files_into_history(void **state) {
    struct manifest m = {0}, copy;
    (void)state;
    manifest_new_base(&m, "a", true, NULL);
    manifest_new_incr(&m, "a", NULL);
    manifest_new_incr(&m, "a", NULL);
    assert_string_equal(manifest_new_incr(&m, "a", is_third), "a.4.incr.aof");
    manifest_copy(&copy, &m);
    assert_string_equal(manifest_new_base(&copy, "a", false, NULL), "a.2.base.aof");
    manifest_retire_incrs(&copy, 1);
    assert_printed(&copy, "file a.2.base.aof seq 2 type b\n"
                          "file a.1.incr.aof seq 1 type h\n"
                          "file a.2.incr.aof seq 2 type h\n"
                          "file a.1.base.rdb seq 1 type h\n"
                          "file a.4.incr.aof seq 4 type i\n");
    manifest_new_base(&copy, "a", false, NULL);
    manifest_retire_incrs(&copy, 0);
    assert_printed(&copy, "file a.3.base.aof seq 3 type b\n"
                          "file a.4.incr.aof seq 4 type h\n"
                          "file a.2.base.aof seq 2 type h\n"
                          "file a.1.incr.aof seq 1 type h\n"
                          "file a.2.incr.aof seq 2 type h\n"
                          "file a.1.base.rdb seq 1 type h\n");
    manifest_drop_history(&copy);
    assert_printed(&copy, "file a.3.base.aof seq 3 type b\n");
    assert_int_equal(manifest_live(&m), 4);
    manifest_free(&m);
    manifest_free(&copy);
}

/* --- Hostile bytes: tests/corpus/manifest holds them by hand, the rest is made of these ------ */

#define ROUNDS 20000
#define TEXT_MAX 8192

static size_t read_corpus_file(const char *name, char *to) {
    char path[512];
    snprintf(path, sizeof path, "tests/corpus/manifest/%s", name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t n = fread(to, 1, TEXT_MAX / 2, file);
    fclose(file);
    return n;
}

/* An accepted text prints as an equal manifest, and names no file outside the directory. */
static bool is_accepted(struct slice text) {
    struct manifest m, again;
    struct manifest_error error;
    struct buf out = {0}, printed = {0};
    size_t before = alloc_used();
    if (!manifest_parse(text, &m, &error)) {
        assert_non_null(error.text);
        assert_int_equal(alloc_used(), before);
        return false;
    }
    assert_true(alloc_used() - before <= 1024 + 16 * text.len);
    for (size_t i = 0; i < m.count; i++)
        assert_true(m.files[i].name[0] && !strchr(m.files[i].name, '/') && m.files[i].seq > 0);
    manifest_print(&m, &out);
    if (m.count) assert_true(manifest_parse(buf_slice(&out), &again, &error));
    if (m.count) {
        manifest_print(&again, &printed);
        assert_true(printed.len == out.len && memcmp(printed.data, out.data, out.len) == 0);
        manifest_free(&again);
    }
    manifest_free(&m);
    buf_free(&out);
    buf_free(&printed);
    assert_int_equal(alloc_used(), before);
    return true;
}

static void the_corpus_is_judged_right(void **state) {
    char text[TEXT_MAX];
    DIR *dir = opendir("tests/corpus/manifest");
    int files = 0;
    (void)state;
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)); files++) {
        if (entry->d_name[0] == '.') continue;
        size_t n = read_corpus_file(entry->d_name, text);
        if (is_accepted(slice_of(text, n)) != (strncmp(entry->d_name, "good", 4) == 0)) fail_msg("%s", entry->d_name);
    }
    closedir(dir);
    assert_true(files >= 10);
}

static size_t damage(char *p, size_t n) {
    static const char odd[] = "\"'\\\n\r\t /#0123456789bhi\0\xff", *const words[] = {"file ", " seq ", " type ",
                                                                                     "\\x00"};
    for (uint64_t changes = 1 + rand_below(3); changes > 0 && n > 1; changes--) {
        size_t at = rand_below(n), len = rand_below(n - at < 40 ? n - at : 40);
        const char *word = words[rand_below(4)];
        switch (rand_below(5)) {
        case 0: p[at] = odd[rand_below(sizeof odd)]; break;
        case 1: p[at] = (char)rand_u64(); break;
        case 2: memmove(p + at, p + rand_below(n - len), len); break;
        case 3:
            memmove(p + at, p + at + len, n - at - len);
            n -= len;
            break;
        default:
            len = strlen(word);
            memmove(p + at + len, p + at, n - at);
            memcpy(p + at, word, len);
            n += len;
        }
    }
    return n;
}

static void any_text_is_accepted_or_refused(void **state) {
    static const char *const seeds[] = {"good-redis", "good-history", "good-quoted", "good-crlf-comment-unknown"};
    char good[4][TEXT_MAX], copy[TEXT_MAX];
    size_t lens[4], accepted = 0;
    (void)state;
    for (int i = 0; i < 4; i++)
        lens[i] = read_corpus_file(seeds[i], good[i]);
    for (int i = 0; i < ROUNDS; i++) {
        memcpy(copy, good[i % 4], lens[i % 4]);
        accepted += is_accepted(slice_of(copy, damage(copy, lens[i % 4])));
    }
    assert_true(accepted > ROUNDS / 100 && accepted < ROUNDS);
}

int main(void) {
    uint64_t seed = seed_of_run();
    printf("seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    rand_seed(seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(invalid_manifests_are_refused),      cmocka_unit_test(long_lines_are_refused),
        cmocka_unit_test(what_is_written_reads_back),         cmocka_unit_test(comments_and_unknown_keys_are_ignored),
        cmocka_unit_test(a_rewrite_turns_files_into_history), cmocka_unit_test(the_corpus_is_judged_right),
        cmocka_unit_test(any_text_is_accepted_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
