/* Lines cut into words: the quoting rules, words with NULs, and what buf_append_quoted() writes reads back. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/rand.h"
#include "base/words.h"
#include "seed.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* The words of `line` with a bar behind each; "unbalanced" if the quotes are. */
static void expect(const char *line, const char *expected) {
    struct words w;
    struct buf out = {0};
    if (words_split(&w, slice_cstr(line))) {
        for (int i = 0; i < w.count; i++)
            buf_printf(&out, "%s|", w.at[i]);
        assert_null(w.at[w.count]);
    } else {
        buf_append_cstr(&out, "unbalanced");
    }
    words_free(&w);
    buf_append(&out, "", 1);
    assert_string_equal(out.data, expected);
    buf_free(&out);
}

static void quoting(void **state) {
    (void)state;
    expect("", "");
    expect(" \t\r\n\v\f", "");
    expect("  a \"b c\" 'd'", "a|b c|d|");
    expect("\"\" ''", "||");
    expect("'c\\'d' \"\\x41\\n\\\"\"", "c'd|A\n\"|");
    expect("\"\\t\\b\\a\\r\\z\\xzz\"", "\t\b\a\rzxzz|");
    expect("'\\n' a\\nb", "\\n|a\\nb|");
    expect("a\"b\" c'd e'", "ab|cd e|");
}

static void unbalanced_quotes(void **state) {
    (void)state;
    expect("a \"b", "unbalanced");
    expect("'a", "unbalanced");
    expect("\"a\"b", "unbalanced");
    expect("'a'\"b\"", "unbalanced");
    expect("\"a\\\"", "unbalanced");
}

static void words_that_hold_nuls(void **state) {
    (void)state;
    struct words w;
    assert_true(words_split(&w, SLICE("a \"b\\x00c\" d")));
    assert_int_equal(w.count, 3);
    assert_true(slice_eq(words_slice(w.at[1]), SLICE("b\0c")));
    assert_string_equal(w.at[2], "d");
    assert_true(words_hold_nul((const char *const *)w.at, 3));
    assert_false(words_hold_nul((const char *const *)w.at, 1));
    words_free(&w);
    assert_true(words_split(&w, SLICE("a b\0c \"d")));
    assert_int_equal(w.count, 2);
    assert_string_equal(w.at[1], "b");
    words_free(&w);
}

static void cut_at_blanks(void **state) {
    (void)state;
    struct words w;
    words_split_blanks(&w, SLICE("a  b "));
    assert_int_equal(w.count, 4);
    assert_string_equal(w.at[1], "");
    assert_string_equal(w.at[2], "b");
    assert_string_equal(w.at[3], "");
    words_free(&w);
    words_split_blanks(&w, SLICE(""));
    assert_int_equal(w.count, 0);
    assert_null(w.at[0]);
    words_free(&w);
    words_single(&w, SLICE("a \"b"));
    assert_int_equal(w.count, 1);
    assert_string_equal(w.at[0], "a \"b");
    words_free(&w);
}

/* Random words are quoted, joined and cut again; the memory is kept between the lines. */
static void what_is_quoted_reads_back(void **state) {
    (void)state;
    size_t before = alloc_used();
    struct slice *list = NULL, made[40];
    uint32_t cap = 0;
    char *storage = NULL, bytes[40][20];
    size_t storage_cap = 0;
    struct buf line = {0};
    for (int round = 0; round < 2000; round++) {
        int count = (int)rand_below(41);
        line.len = 0;
        for (int i = 0; i < count; i++) {
            made[i] = slice_of(bytes[i], rand_below(sizeof bytes[i] + 1));
            for (size_t k = 0; k < made[i].len; k++)
                bytes[i][k] = (char)rand_below(256);
            buf_append_quoted(&line, made[i]);
            buf_append_cstr(&line, " ");
        }
        assert_int_equal(words_cut(buf_slice(&line), &list, &cap, &storage, &storage_cap), count);
        for (int i = 0; i < count; i++)
            assert_true(slice_eq(list[i], made[i]));
    }
    alloc_put(list, cap * sizeof *list);
    alloc_put(storage, storage_cap);
    buf_free(&line);
    assert_int_equal(alloc_used(), before);
}

int main(void) {
    uint64_t seed = seed_of_run();
    printf("test_words: seed %" PRIu64 "\n", seed);
    rand_seed(seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quoting),
        cmocka_unit_test(unbalanced_quotes),
        cmocka_unit_test(words_that_hold_nuls),
        cmocka_unit_test(cut_at_blanks),
        cmocka_unit_test(what_is_quoted_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
