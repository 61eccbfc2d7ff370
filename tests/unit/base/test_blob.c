/* Counted byte strings. */
#include "base/alloc.h"
#include "base/blob.h"
#include "base/worker.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void counts_holders(void **state) {
    (void)state;
    size_t before = alloc_used();
    struct blob *b = blob_from(SLICE("hello"));
    assert_true(slice_eq(blob_slice(b), SLICE("hello")));
    assert_ptr_equal(blob_share(b), b);
    blob_drop(b);
    assert_true(slice_eq(blob_slice(b), SLICE("hello")));
    assert_int_equal(alloc_used() - before, blob_size(b));
    blob_drop(b);
    assert_int_equal(alloc_used(), before);
}

static void resizes(void **state) {
    (void)state;
    size_t before = alloc_used();
    struct blob *b = blob_new(0);
    for (size_t cap = 1; cap < 3000000; cap = cap * 5 / 4 + 1) {
        if (cap < b->len) continue; /* it is still within the slack of its class */
        b = blob_try_resize(b, cap);
        assert_non_null(b);
        assert_true(b->cap >= cap);
        memset(b->data + b->len, 'x', b->cap - b->len); /* all of it may be used */
        b->len = b->cap;
        assert_int_equal(blob_size(b), alloc_class(blob_size(b)));
    }
    for (size_t i = 0; i < b->len; i++)
        assert_int_equal(b->data[i], 'x');
    b->len = 3;
    b = blob_try_resize(b, 3);
    assert_non_null(b);
    assert_true(b->cap < 100 && slice_eq(blob_slice(b), SLICE("xxx")));
    blob_drop(b);
    assert_int_equal(alloc_used(), before);
}

static void refuses_absurd_sizes(void **state) {
    (void)state;
    assert_null(blob_try_new(SIZE_MAX));
    assert_null(blob_try_new(SIZE_MAX - 24));
    assert_null(blob_try_new((size_t)1 << 60));
    struct blob *b = blob_try_new(BLOB_MIN);
    assert_true(b && b->cap >= BLOB_MIN && b->len == 0 && b->holders == 1);
    blob_drop(b);
}

static void large_ones_go_to_the_worker(void **state) {
    (void)state;
    size_t before = alloc_used();
    blob_drop(blob_new(16 << 20)); /* no worker runs: freed here */
    assert_int_equal(alloc_used(), before);
    worker_start();
    for (int i = 0; i < 20; i++)
        blob_drop(blob_new(16 << 20));
    worker_stop();
    assert_int_equal(alloc_used(), before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_holders),
        cmocka_unit_test(resizes),
        cmocka_unit_test(refuses_absurd_sizes),
        cmocka_unit_test(large_ones_go_to_the_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
