/* The heap of waits against a sorted array: what is first, whatever is added and taken out in between. */
#include "base/alloc.h"
#include "base/clock.h"
#include "repl/offset_heap.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { WAITS = 300, STEPS = 20000 };

static struct offset_wait waits[WAITS];
static bool inside[WAITS];

static int64_t smallest(void) {
    int64_t min = INT64_MAX;
    for (int i = 0; i < WAITS; i++)
        if (inside[i] && waits[i].offset < min) min = waits[i].offset;
    return min;
}

static size_t count_inside(void) {
    size_t count = 0;
    for (int i = 0; i < WAITS; i++)
        count += inside[i];
    return count;
}

static void expect_agreement(const struct offset_heap *heap) {
    const struct offset_wait *first = offset_heap_first(heap);
    assert_int_equal(heap->count, count_inside());
    if (first == NULL) return;
    assert_int_equal(first->offset, smallest());
    assert_ptr_equal(heap->waits[first->index], first);
}

static void the_first_is_the_smallest(void **state) {
    (void)state;
    struct offset_heap heap = {0};
    uint64_t seed = (uint64_t)clock_mono_us();
    printf("seed %llu\n", (unsigned long long)seed);
    srand((unsigned)seed);
    for (int step = 0; step < STEPS; step++) {
        int i = rand() % WAITS;
        if (inside[i]) {
            offset_heap_remove(&heap, &waits[i]);
        } else {
            waits[i].offset = rand() % 50; /* many are equal */
            offset_heap_add(&heap, &waits[i]);
        }
        inside[i] = !inside[i];
        expect_agreement(&heap);
    }
    offset_heap_free(&heap);
    assert_int_equal(alloc_used(), 0);
}

static void they_leave_in_order(void **state) {
    (void)state;
    struct offset_heap heap = {0};
    for (int i = 0; i < WAITS; i++) {
        waits[i].offset = i * 7919 % WAITS;
        offset_heap_add(&heap, &waits[i]);
    }
    for (int i = 0; i < WAITS; i++) {
        struct offset_wait *first = offset_heap_first(&heap);
        assert_int_equal(first->offset, i);
        offset_heap_remove(&heap, first);
    }
    assert_null(offset_heap_first(&heap));
    offset_heap_free(&heap);
}

int main(void) {
    clock_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_is_the_smallest),
        cmocka_unit_test(they_leave_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
