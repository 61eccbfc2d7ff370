/* Percentiles of the time of calls: each is in the bucket of the exact one, which the sorted durations give. */
#include "base/alloc.h"
#include "base/rand.h"
#include "catalog/command_metrics.h"
#include "seed.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MANY 1000

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
    struct command_metrics s = {0};
    assert_int_equal(command_metrics_percentile(&s, 50), 0);
    for (int round = 0; round < 20; round++) {
        int count = 1 + (int)rand_below(MANY);
        for (int i = 0; i < count; i++) {
            ticks[i] = rand_u64() >> (30 + rand_below(34));
            command_metrics_add(&s, ticks[i], false);
        }
        qsort(ticks, (size_t)count, sizeof *ticks, compare);
        for (int percent = 0; percent <= 100; percent++) {
            uint64_t exact = exact_percentile(ticks, count, percent), bound = command_metrics_percentile(&s, percent);
            assert_int_equal(command_metrics_bucket(bound), command_metrics_bucket(exact));
            assert_true(bound >= exact);
        }
        command_metrics_reset(&s);
    }
    alloc_put(s.histogram, COMMAND_METRICS_BUCKETS * sizeof *s.histogram);
}

/* After 2^32 calls in one bucket. */
static void counters_do_not_wrap(void **state) {
    (void)state;
    struct command_metrics s = {0};
    command_metrics_add(&s, 5, false);
    s.histogram[command_metrics_bucket(5)] += UINT32_MAX;
    s.calls += UINT32_MAX;
    command_metrics_add(&s, 5000, false);
    assert_int_equal(command_metrics_percentile(&s, 50), 5);
    assert_int_equal(command_metrics_percentile(&s, 99.9), 5);
    assert_int_equal(command_metrics_bucket(command_metrics_percentile(&s, 100)), command_metrics_bucket(5000));
    alloc_put(s.histogram, COMMAND_METRICS_BUCKETS * sizeof *s.histogram);
}

int main(void) {
    uint64_t seed = seed_of_run();
    printf("test_command_percentiles: seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_are_bounds_of_the_exact_ones),
        cmocka_unit_test(counters_do_not_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
