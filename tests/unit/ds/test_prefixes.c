/* ds/prefixes: random insertions, removals and look-ups compared with a list. Letters are few and strings short, so
 * that forks, splits and merges are frequent. To repeat a failed run, pass the SEED that it prints. */
#include "base/alloc.h"
#include "base/rand.h"
#include "ds/prefixes.h"
#include "seed.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define MOST 300
#define LONGEST 12

static struct model {
    char text[LONGEST];
    size_t len;
} model[MOST];
static size_t count;

static void choose_seed(void) {
    uint64_t seed = seed_of_run();
    print_message("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
}

static struct slice model_slice(size_t i) {
    return slice_of(model[i].text, model[i].len);
}

static struct slice random_text(char text[LONGEST], unsigned letters) {
    size_t len = rand_below(LONGEST + 1);
    for (size_t i = 0; i < len; i++)
        text[i] = (char)(rand_below(letters) ? 'a' + (int)rand_below(letters) : '\xff');
    return slice_of(text, len);
}

static size_t model_find(struct slice s) {
    for (size_t i = 0; i < count; i++)
        if (slice_eq(model_slice(i), s)) return i;
    return MOST;
}

/* Values are lengths plus one, disguised as pointers. That tells which strings were visited, since a text begins with
 * at most one string of each length. */
static void *value_of(struct slice s) {
    return (void *)(uintptr_t)(s.len + 1);
}

struct visited {
    bool of_len[LONGEST + 1];
    size_t count, last;
};

static void note(void *ctx, void *value) {
    struct visited *v = ctx;
    size_t len = (size_t)(uintptr_t)value - 1;
    assert_true(v->count == 0 || len > v->last); /* the shortest comes first */
    v->of_len[len] = true;
    v->last = len;
    v->count++;
}

static void ask(const struct prefixes *p, struct slice text) {
    struct visited v = {.count = 0};
    size_t expected = 0;
    prefixes_visit(p, text, note, &v);
    for (size_t i = 0; i < count; i++) {
        struct slice s = model_slice(i);
        if (s.len > text.len || memcmp(s.ptr, text.ptr, s.len) != 0) continue;
        assert_true(v.of_len[s.len]);
        expected++;
    }
    assert_int_equal(v.count, expected);
}

static void step(struct prefixes *p, unsigned letters) {
    char text[LONGEST];
    struct slice s = random_text(text, letters);
    size_t at = model_find(s);
    assert_ptr_equal(prefixes_find(p, s), at < MOST ? value_of(s) : NULL);
    if (at < MOST || rand_below(8) == 0) {
        assert_ptr_equal(prefixes_remove(p, s), at < MOST ? value_of(s) : NULL);
        if (at < MOST) model[at] = model[--count];
    } else if (count < MOST) {
        prefixes_insert(p, s, value_of(s));
        memcpy(model[count].text, s.ptr, s.len);
        model[count++].len = s.len;
    }
    assert_int_equal(p->count, count);
    ask(p, random_text(text, letters));
}

static void test_random(void **state) {
    (void)state;
    choose_seed();
    size_t used = alloc_used();
    for (int round = 0; round < 40; round++) {
        struct prefixes p = {0};
        unsigned letters = 1 + (unsigned)rand_below(4);
        count = 0;
        for (int i = 0; i < 3000; i++)
            step(&p, letters);
        while (count) {
            size_t i = rand_below(count);
            assert_ptr_equal(prefixes_remove(&p, model_slice(i)), value_of(model_slice(i)));
            model[i] = model[--count];
            if (count) ask(&p, model_slice(rand_below(count)));
        }
        assert_null(p.root);
        assert_int_equal(p.bytes, 0);
        assert_int_equal(alloc_used(), used);
    }
}

static void test_empty(void **state) {
    (void)state;
    struct prefixes p = {0};
    struct visited v = {.count = 0};
    prefixes_visit(&p, SLICE("text"), note, &v);
    assert_int_equal(v.count, 0);
    assert_null(prefixes_find(&p, SLICE("")));
    assert_null(prefixes_remove(&p, SLICE("")));
    prefixes_insert(&p, SLICE(""), value_of(SLICE("")));
    prefixes_visit(&p, SLICE(""), note, &v);
    assert_int_equal(v.count, 1);
    assert_non_null(prefixes_remove(&p, SLICE("")));
    assert_null(p.root);
}

/* Strings that differ only in NULs and length. */
static void test_bytes(void **state) {
    (void)state;
    struct prefixes p = {0};
    struct visited v = {.count = 0};
    static const char zeros[4];
    for (size_t len = 0; len <= 4; len++)
        prefixes_insert(&p, slice_of(zeros, len), value_of(slice_of(zeros, len)));
    prefixes_visit(&p, slice_of(zeros, 3), note, &v);
    assert_int_equal(v.count, 4);
    for (size_t len = 0; len <= 4; len++)
        assert_non_null(prefixes_remove(&p, slice_of(zeros, len)));
    assert_null(p.root);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
