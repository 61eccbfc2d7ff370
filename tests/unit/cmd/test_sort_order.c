/* sort_order() against ranks that are counted: the rank of an item is the number of items before it. The sizes lie
 * around the borders between its algorithms. */
#include "cmd/sort_order.h"
#include "seed.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX = 700 };

struct data {
    int second[MAX]; /* compared where codes are equal */
    size_t ties;
};

static int tie(const void *ctx, size_t a, size_t b) {
    const struct data *d = ctx;
    ((struct data *)ctx)->ties++;
    return d->second[a] - d->second[b];
}

static int in_order(const struct data *d, const struct sort_item *a, const struct sort_item *b) {
    if (a->code != b->code) return a->code < b->code;
    if (d->second[a->index] != d->second[b->index]) return d->second[a->index] < d->second[b->index];
    return a->index < b->index;
}

/* The number of items that come before this one. */
static size_t rank_of(const struct data *d, const struct sort_item *items, size_t n, const struct sort_item *item) {
    size_t rank = 0;
    for (size_t i = 0; i < n; i++)
        rank += items[i].index != item->index && in_order(d, &items[i], item);
    return rank;
}

static void check(size_t n, size_t wanted, unsigned codes, unsigned seconds) {
    static struct data d;
    struct sort_item items[MAX], original[MAX], spare[MAX];
    d.ties = 0;
    for (size_t i = 0; i < n; i++) {
        items[i] = original[i] = (struct sort_item){(uint64_t)(rand() % (int)codes), i};
        d.second[i] = rand() % (int)seconds;
    }
    sort_order(items, n, wanted, spare, tie, &d);
    for (size_t i = 0; i < wanted; i++)
        assert_int_equal(rank_of(&d, original, n, &items[i]), i);
}

static void test_order(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 7, 8, 9, 15, 16, 17, 24, 31, 33, 64, 100, 257};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t n = sizes[i];
        check(n, n, 1000, 3);
        check(n, n, 3, 3);
        check(n, n, 1, 1);
        for (size_t wanted = 0; wanted <= n; wanted += 1 + wanted / 3)
            check(n, wanted, 50, 2);
    }
    check(MAX, MAX, 1000000, 1);
    check(MAX, 1, 10, 10);
}

static void test_codes_differ_mostly(void **state) {
    (void)state;
    static struct data d;
    struct sort_item items[MAX], spare[MAX];
    d.ties = 0;
    for (size_t i = 0; i < MAX; i++)
        items[i] = (struct sort_item){MAX - i, i};
    sort_order(items, MAX, MAX, spare, tie, &d);
    assert_int_equal(d.ties, 0);
    assert_int_equal(items[0].index, MAX - 1);
}

static void test_number_codes(void **state) {
    (void)state;
    static const double ascending[] = {-INFINITY, -1e300, -2, -1, -1e-300, 0, 1e-300, 1, 1.5, 2, 1e300, INFINITY};
    for (size_t i = 1; i < sizeof ascending / sizeof *ascending; i++)
        assert_true(sort_code_number(ascending[i - 1]) < sort_code_number(ascending[i]));
    assert_true(sort_code_number(-0.0) == sort_code_number(0.0));
}

static void test_text_codes(void **state) {
    (void)state;
    static const char *const ascending[] = {"", "\x01", "A", "a", "aa", "ab", "abcdefgh", "b", "\xff"};
    for (size_t i = 1; i < sizeof ascending / sizeof *ascending; i++)
        assert_true(sort_code_text(ascending[i - 1], strlen(ascending[i - 1])) <
                    sort_code_text(ascending[i], strlen(ascending[i])));
    assert_true(sort_code_text("abcdefgh1", 9) == sort_code_text("abcdefgh2", 9));
}

int main(void) {
    unsigned seed = (unsigned)seed_of_run();
    srand(seed);
    printf("seed %u\n", seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_codes_differ_mostly),
        cmocka_unit_test(test_number_codes),
        cmocka_unit_test(test_text_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
