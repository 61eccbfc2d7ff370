/* Statistics of a command: the buckets of the histogram, percentiles against the sorted durations, reset. */
#include "base/alloc.h"
#include "base/rand.h"
#include "catalog/command_stats.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define MANY 1000

static void buckets_grow_and_meet(void **state) {
    (void)state;
    for (unsigned i = 1; i < COMMAND_STATS_BUCKETS; i++)
        assert_true(command_stats_ticks(i) > command_stats_ticks(i - 1));
    for (unsigned i = 0; i < COMMAND_STATS_BUCKETS - 1; i++) {
        assert_int_equal(command_stats_bucket(command_stats_ticks(i)), i);
        assert_int_equal(command_stats_bucket(command_stats_ticks(i) + 1), i + 1);
    }
    assert_int_equal(command_stats_bucket(0), 0);
    assert_int_equal(command_stats_bucket(UINT64_MAX), COMMAND_STATS_BUCKETS - 1);
}

static void a_bound_exceeds_a_duration_by_an_eighth_at_most(void **state) {
    (void)state;
    for (int round = 0; round < 100000; round++) {
        uint64_t ticks = rand_u64() >> (30 + rand_below(34)), bound = command_stats_ticks(command_stats_bucket(ticks));
        assert_true(bound >= ticks && bound - ticks <= ticks / 8);
    }
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The smallest duration that so many per cent of the sorted durations do not exceed. */
static uint64_t exact_percentile(const uint64_t *sorted, int count, int percent) {
    int wanted = (percent * count + 99) / 100;
    return sorted[wanted > 0 ? wanted - 1 : 0];
}

static void percentiles_are_bounds_of_the_exact_ones(void **state) {
    (void)state;
    static uint64_t ticks[MANY];
    struct command_stats s = {0};
    assert_int_equal(command_stats_percentile(&s, 50), 0);
    for (int round = 0; round < 20; round++) {
        int count = 1 + (int)rand_below(MANY);
        for (int i = 0; i < count; i++) {
            ticks[i] = rand_u64() >> (30 + rand_below(34));
            command_stats_add(&s, ticks[i], false);
        }
        qsort(ticks, (size_t)count, sizeof *ticks, compare);
        for (int percent = 0; percent <= 100; percent++) {
            uint64_t exact = exact_percentile(ticks, count, percent), bound = command_stats_percentile(&s, percent);
            assert_int_equal(command_stats_bucket(bound), command_stats_bucket(exact));
            assert_true(bound >= exact);
        }
        command_stats_reset(&s);
    }
    alloc_put(s.histogram, COMMAND_STATS_BUCKETS * sizeof *s.histogram);
}

static void a_reset_forgets_all_but_the_memory(void **state) {
    (void)state;
    struct command_stats s = {0};
    command_stats_add(&s, 100, false);
    command_stats_add(&s, 200, true);
    s.rejected = 3;
    assert_int_equal(s.calls, 2);
    assert_int_equal(s.ticks, 300);
    assert_int_equal(s.failed, 1);
    assert_int_equal(s.histogram[command_stats_bucket(100)], 1);
    const uint32_t *histogram = s.histogram;
    command_stats_reset(&s);
    assert_ptr_equal(s.histogram, histogram);
    assert_int_equal(s.calls + s.ticks + s.failed + s.rejected, 0);
    for (unsigned i = 0; i < COMMAND_STATS_BUCKETS; i++)
        assert_int_equal(s.histogram[i], 0);
    alloc_put(s.histogram, COMMAND_STATS_BUCKETS * sizeof *s.histogram);
}

int main(int argc, char **argv) {
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)time(NULL);
    printf("test_command_stats: seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_grow_and_meet),
        cmocka_unit_test(a_bound_exceeds_a_duration_by_an_eighth_at_most),
        cmocka_unit_test(percentiles_are_bounds_of_the_exact_ones),
        cmocka_unit_test(a_reset_forgets_all_but_the_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
