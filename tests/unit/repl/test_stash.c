/* The stash: bytes come out as they went in, and no more of them wait than the limit allows. */
#include "base/alloc.h"
#include "repl/stash.h"
#include "seed.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static unsigned put_next, take_next; /* the stash holds the numbers between them, one byte each */

static size_t put(size_t limit, size_t n) {
    size_t room;
    char *to = stash_room(limit, &room);
    if (!to) return 0;
    assert_true(room > 0);
    if (n > room) n = room;
    for (size_t i = 0; i < n; i++)
        to[i] = (char)(put_next++ * 31);
    stash_add(n);
    return n;
}

static void take(size_t n) {
    static char bytes[1 << 20];
    size_t there = stash_bytes(), got = stash_take(bytes, n);
    assert_int_equal(got, there < n ? there : n);
    assert_int_equal(stash_bytes(), there - got);
    for (size_t i = 0; i < got; i++)
        assert_int_equal(bytes[i], (char)(take_next++ * 31));
}

static void bytes_come_out_in_their_order(void **state) {
    (void)state;
    unsigned seed = (unsigned)seed_of_run();
    printf("seed %u\n", seed);
    srand(seed);
    put_next = take_next = 0;
    for (int i = 0; i < 2000; i++) {
        if (rand() % 3)
            put(0, (size_t)(rand() % 60000 + 1));
        else
            take((size_t)(rand() % 200000));
    }
    while (stash_bytes())
        take(100000);
    assert_int_equal(put_next, take_next);
    stash_drop();
}

static void no_more_than_the_limit_waits(void **state) {
    (void)state;
    put_next = take_next = 0;
    while (put(1000000, 300000)) {
    }
    assert_int_equal(stash_bytes(), 1000000);
    assert_int_equal(stash_peak(), 1000000);
    take(1);
    assert_int_equal(put(1000000, 100), 1);
    assert_int_equal(put(1000000, 100), 0);
    size_t used = alloc_used();
    assert_true(used >= 1000000 && used < 1600000);
    stash_drop();
    assert_int_equal(stash_bytes() + stash_peak(), 0);
    assert_true(alloc_used() < 100000);
    assert_int_equal(stash_take(NULL, 10), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_out_in_their_order),
        cmocka_unit_test(no_more_than_the_limit_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
