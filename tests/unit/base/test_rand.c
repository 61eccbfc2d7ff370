/* Pseudo-random numbers. */
#include "base/rand.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void repeats_from_a_seed(void **state) {
    (void)state;
    uint64_t first[8];
    rand_seed(5);
    for (int i = 0; i < 8; i++)
        first[i] = rand_u64();
    rand_seed(5);
    for (int i = 0; i < 8; i++)
        assert_true(first[i] == rand_u64());
    rand_seed(6);
    assert_true(first[0] != rand_u64());
    rand_init();
    uint64_t x = rand_u64();
    rand_init();
    assert_true(x != rand_u64());
}

static void below_is_uniform(void **state) {
    (void)state;
    rand_seed(7);
    for (uint64_t limit = 1; limit <= 20; limit++) {
        unsigned count[20] = {0};
        for (int i = 0; i < 20000; i++) {
            uint64_t x = rand_below(limit);
            assert_true(x < limit);
            count[x]++;
        }
        double mean = 20000.0 / (double)limit;
        for (uint64_t i = 0; i < limit; i++)
            assert_true(count[i] > mean * 0.8 && count[i] < mean * 1.2);
    }
    for (int i = 0; i < 1000; i++)
        assert_true(rand_below(UINT64_MAX) < UINT64_MAX);
    unsigned upper = 0;
    uint64_t limit = (UINT64_C(1) << 63) + 1; /* half of the draws must be rejected */
    for (int i = 0; i < 1000; i++)
        upper += rand_below(limit) >= limit / 2;
    assert_true(upper > 400 && upper < 600);
}

static void unit_is_in_range(void **state) {
    (void)state;
    double sum = 0;
    for (int i = 0; i < 100000; i++) {
        double x = rand_unit();
        assert_true(x >= 0 && x < 1);
        sum += x;
    }
    assert_true(sum > 49000 && sum < 51000);
}

static void hex_is_hex(void **state) {
    (void)state;
    char id[102], other[101];
    id[100] = '#';
    id[101] = 0;
    rand_hex(id, 100);
    assert_int_equal(strspn(id, "0123456789abcdef"), 100);
    assert_int_equal(id[100], '#');
    rand_hex(other, 100);
    assert_memory_not_equal(id, other, 100);
    assert_memory_not_equal(id, id + 32, 32);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repeats_from_a_seed),
        cmocka_unit_test(below_is_uniform),
        cmocka_unit_test(unit_is_in_range),
        cmocka_unit_test(hex_is_hex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
