/* Counts of a command: calls, failures and time, and the histogram of times. */
#include "base/clock.h"
#include "base/rand.h"
#include "catalog/command_stats.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static void histogram_buckets(void **state) {
    (void)state;
    for (unsigned i = 1; i < COMMAND_STATS_BUCKETS; i++)
        assert_true(command_stats_ticks(i) > command_stats_ticks(i - 1));
    for (unsigned i = 0; i < COMMAND_STATS_BUCKETS - 1; i++) {
        assert_int_equal(command_stats_bucket(command_stats_ticks(i)), i); /* a bound is in its bucket */
        assert_int_equal(command_stats_bucket(command_stats_ticks(i) + 1), i + 1);
    }
    assert_int_equal(command_stats_bucket(0), 0);
    assert_int_equal(command_stats_bucket(UINT64_MAX), COMMAND_STATS_BUCKETS - 1);
    for (int round = 0; round < 100000; round++) {
        uint64_t ticks = rand_u64() >> (30 + rand_below(34));
        uint64_t bound = command_stats_ticks(command_stats_bucket(ticks));
        assert_true(bound >= ticks && bound - ticks <= ticks / 8);
    }
}

static void a_call_is_counted(void **state) {
    (void)state;
    struct command_stats s = {0};
    command_stats_add(&s, 1000, false);
    command_stats_add(&s, 500, true);
    command_stats_add(&s, 1000, false);
    assert_int_equal(s.calls, 3);
    assert_int_equal(s.failed, 1);
    assert_int_equal(s.ticks, 2500);
    assert_int_equal(s.histogram[command_stats_bucket(1000)], 2);
    assert_int_equal(s.histogram[command_stats_bucket(500)], 1);
    command_stats_reset(&s);
    assert_int_equal(s.calls + s.failed + s.ticks, 0);
    assert_true(s.histogram == NULL || s.histogram[command_stats_bucket(1000)] == 0);
}

int main(void) {
    const char *given = getenv("SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("SEED=%llu\n", (unsigned long long)seed);
    clock_init();
    rand_seed(seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(histogram_buckets),
        cmocka_unit_test(a_call_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
