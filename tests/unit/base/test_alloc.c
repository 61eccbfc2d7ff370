/* Counted allocation: classes compared with jemalloc's; the count stays balanced, also across threads. */
#include "base/alloc.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>
#include <sys/resource.h>

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(KURA_LIBC_ALLOC)
#define WITH_JEMALLOC 1
#include <jemalloc/jemalloc.h>
#endif

static void classes_are_jemallocs(void **state) {
    (void)state;
#ifdef WITH_JEMALLOC
    for (size_t n = 1; n <= 65536; n++) {
        if (alloc_class(n) != nallocx(n, 0)) fail_msg("class of %zu: %zu, not %zu", n, alloc_class(n), nallocx(n, 0));
    }
    uint64_t random = 42;
    for (int i = 0; i < 100000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        size_t n = 1 + (random >> 34) % ((size_t)1 << (10 + i % 21));
        if (alloc_class(n) != nallocx(n, 0)) fail_msg("class of %zu: %zu, not %zu", n, alloc_class(n), nallocx(n, 0));
    }
    for (size_t n = 64; n <= 1 << 20; n += 64)
        assert_int_equal(alloc_class(n), nallocx(n, MALLOCX_ALIGN(64)));
#endif
    for (size_t n = 1; n < 100000; n++) {
        size_t class = alloc_class(n);
        assert_true(class >= n && alloc_class(class) == class);
    }
}

static void arena_is_single(void **state) {
    (void)state;
#ifdef WITH_JEMALLOC
    unsigned arenas = 0;
    size_t len = sizeof arenas;
    assert_int_equal(mallctl("opt.narenas", &arenas, &len, NULL, 0), 0);
    assert_int_equal(arenas, 1); /* jemalloc has read malloc_conf */
#endif
}

static void count_balances(void **state) {
    (void)state;
    size_t before = alloc_used();
    void *a = alloc_get(100), *b = alloc_zero(5000), *c = alloc_lines(192), *d = alloc_try(1);
    assert_int_equal(alloc_used() - before, 112 + 5120 + 192 + 8);
    assert_int_equal((uintptr_t)c % 64, 0);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(((char *)b)[i], 0);
    memset(a, 7, 112); /* the slack may be used */
    a = alloc_resize(a, 100, 3000);
    assert_int_equal(((char *)a)[99], 7);
    assert_int_equal(alloc_used() - before, 3072 + 5120 + 192 + 8);
    alloc_put(a, 3072); /* any size of the class will do */
    alloc_put(b, 5000);
    alloc_put(c, 192);
    alloc_put(d, 8);
    alloc_put(NULL, 10);
    assert_int_equal(alloc_used(), before);
    void *e = alloc_resize(NULL, 0, 50);
    alloc_put(e, 50);
    assert_int_equal(alloc_used(), before);
}

static void texts_are_copied(void **state) {
    (void)state;
    size_t before = alloc_used();
    char *string = alloc_copy_string("12345678"), *text = alloc_copy_text("a\0b", 3), *empty = alloc_copy_text(NULL, 0);
    assert_int_equal(alloc_used() - before, 16 + 8 + 8);
    assert_string_equal(string, "12345678");
    assert_memory_equal(text, "a\0b", 4);
    assert_string_equal(empty, "");
    alloc_put_string(string);
    alloc_put(text, 4);
    alloc_put_string(empty);
    alloc_put_string(NULL);
    assert_int_equal(alloc_used(), before);
}

/* Sizes around the one from which an allocation has pages of its own. */
static void contents_survive_every_change_of_size(void **state) {
    (void)state;
    static const size_t sizes[] = {1 << 20, (7 << 20) + 1, 7 << 20, 40 << 20, 8 << 20, 100, 20 << 20};
    size_t before = alloc_used(), have = 1000;
    char *p = alloc_get(have);
    memset(p, 'x', have);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t kept = have < sizes[i] ? have : sizes[i];
        p = alloc_resize(p, have, sizes[i]);
        have = sizes[i];
        assert_int_equal(alloc_used() - before, alloc_class(have));
        for (size_t at = 0; at < kept; at += 997)
            assert_int_equal(p[at], 'x');
        memset(p, 'x', alloc_class(have)); /* the slack may be used */
    }
    alloc_put(p, have);
    char *zeros = alloc_zero(9 << 20), *lines = alloc_lines(9 << 20);
    for (size_t at = 0; at < 9 << 20; at += 997)
        assert_int_equal(zeros[at], 0);
    assert_int_equal((uintptr_t)lines % 64, 0);
    alloc_put(zeros, 9 << 20);
    alloc_put(lines, 9 << 20);
    assert_int_equal(alloc_used(), before);
}

#ifdef WITH_JEMALLOC

static long page_faults(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

/* A copy would touch each of its 16,384 pages. */
static void large_allocations_grow_without_a_copy(void **state) {
    (void)state;
    size_t have = 64 << 20;
    char *p = alloc_get(have);
    memset(p, 'x', have);
    long before = page_faults();
    p = alloc_resize(p, have, have * 2);
    p = alloc_resize(p, have * 2, have * 4);
    assert_true(page_faults() - before < 100);
    assert_true(p[0] == 'x' && p[have - 1] == 'x');
    alloc_put(p, have * 4);
}

#else

static void large_allocations_grow_without_a_copy(void **state) {
    (void)state;
    skip(); /* it is up to libc */
}

#endif

static void absurd_sizes_are_refused(void **state) {
    (void)state;
    size_t before = alloc_used();
    char *p = alloc_get(100), *large = alloc_get(10 << 20);
    p[99] = large[10 << 20 >> 1] = 'x';
    assert_null(alloc_try_resize(p, 100, (size_t)1 << 60));
    assert_null(alloc_try_resize(large, 10 << 20, (size_t)1 << 60));
    assert_null(alloc_try_resize(large, 10 << 20, SIZE_MAX));
    assert_true(p[99] == 'x' && large[10 << 20 >> 1] == 'x');
    alloc_put(p, 100);
    alloc_put(large, 10 << 20);
    assert_null(alloc_try(SIZE_MAX));
    assert_null(alloc_try((size_t)PTRDIFF_MAX + 1));
    assert_null(alloc_try((size_t)1 << 60));
    assert_int_equal(alloc_used(), before);
}

static void *allocate_many(void *arg) {
    void **out = arg;
    for (int i = 0; i < 1000; i++)
        out[i] = alloc_get(100);
    return NULL;
}

static void threads_that_end_stay_counted(void **state) {
    (void)state;
    static void *blocks[8][1000];
    size_t before = alloc_used();
    int64_t balance = alloc_balance();
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, allocate_many, blocks[i]);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(alloc_used() - before, 8 * 1000 * 112);
    assert_int_equal(alloc_balance(), balance); /* theirs is not this thread's */
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 1000; j++)
            alloc_put(blocks[i][j], 100); /* another thread frees it */
    assert_int_equal(alloc_used(), before);
    assert_int_equal(alloc_balance(), balance - 8 * 1000 * 112);
    assert_int_equal(alloc_main_balance(), alloc_balance());
}

static void peak_is_what_was_sampled(void **state) {
    (void)state;
    void *p = alloc_get(10 << 20);
    alloc_sample_peak();
    size_t high = alloc_used();
    alloc_put(p, 10 << 20);
    alloc_sample_peak();
    assert_int_equal(alloc_peak(), high);
}

static void statistics_are_plausible(void **state) {
    (void)state;
    void *p = alloc_zero(4 << 20);
    struct alloc_metrics metrics;
    alloc_read_metrics(&metrics);
#ifdef WITH_JEMALLOC
    assert_true(metrics.allocated >= 4 << 20);
    assert_true(metrics.active >= metrics.allocated && metrics.resident >= metrics.active);
    assert_int_equal(strncmp(alloc_library(), "jemalloc-5.", 11), 0);
#else
    assert_int_equal(metrics.allocated, 0);
    assert_string_equal(alloc_library(), "libc");
#endif
    alloc_put(p, 4 << 20);
    alloc_purge();
    alloc_background(1);
    alloc_background(0);
}

/* The heap of one owner after the other: its bytes are used memory, and in no thread's balance. */
static void a_cell_counts_a_heap_of_its_own(void **state) {
    (void)state;
    size_t used = alloc_used();
    int64_t balance = alloc_balance();
    for (int owner = 0; owner < 3; owner++) {
        struct alloc_cell *cell = alloc_cell_new(), *other = alloc_cell_new();
        assert_ptr_not_equal(cell, other);
        assert_int_equal(cell->live, 0);
        char *p = alloc_cell_resize(cell, NULL, 0, 100);
        memset(p, 'x', 100);
        assert_int_equal(cell->live, 112);
        p = alloc_cell_resize(cell, p, 100, 100000);
        assert_int_equal(p[99], 'x');
        assert_int_equal(cell->live, alloc_class(100000));
        assert_int_equal(alloc_used(), used + alloc_class(100000));
        assert_ptr_equal(alloc_cell_resize(cell, p, 100000, 99999), p);
        assert_null(alloc_cell_resize(cell, p, 99999, SIZE_MAX - 100));
        p = alloc_cell_resize(cell, p, 99999, 8);
        assert_int_equal(p[7], 'x');
        assert_int_equal(other->live, 0);
        assert_int_equal(alloc_balance(), balance);
        alloc_cell_put(cell, NULL, 0);
        alloc_cell_put(cell, p, 8);
        assert_int_equal(cell->live, 0);
        alloc_cell_free(cell);
        alloc_cell_free(other);
    }
    assert_int_equal(alloc_used(), used);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_are_jemallocs),
        cmocka_unit_test(arena_is_single),
        cmocka_unit_test(count_balances),
        cmocka_unit_test(texts_are_copied),
        cmocka_unit_test(contents_survive_every_change_of_size),
        cmocka_unit_test(large_allocations_grow_without_a_copy),
        cmocka_unit_test(absurd_sizes_are_refused),
        cmocka_unit_test(threads_that_end_stay_counted),
        cmocka_unit_test(a_cell_counts_a_heap_of_its_own),
        cmocka_unit_test(peak_is_what_was_sampled),
        cmocka_unit_test(statistics_are_plausible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
