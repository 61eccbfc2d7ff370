/* The learned rank against a slow reference, and what it makes of some histories. */
#include "base/rand.h"
#include "store/rank.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define LESSONS 4
#define EVENTS 3000

/* One lesson after the other: what was counted in it. The factors are those of rank.c. */
static double hit[LESSONS][RANK_BUCKETS][RANK_CLASSES], gone[LESSONS][RANK_BUCKETS][RANK_CLASSES];

static double faded(double lesson[LESSONS][RANK_BUCKETS][RANK_CLASSES], int lessons, unsigned a, unsigned c) {
    double sum = 0;
    for (int i = 0; i < lessons; i++)
        sum += lesson[i][a][c] * pow(0.91, lessons - 1 - i);
    return sum;
}

static double mixed(double lesson[LESSONS][RANK_BUCKETS][RANK_CLASSES], int lessons, unsigned a, unsigned c,
                    double total) {
    double all = 0, near = 0;
    for (unsigned k = 0; k < RANK_CLASSES; k++) {
        all += faded(lesson, lessons, a, k);
        if (k + 1 == c || k == c + 1) near += faded(lesson, lessons, a, k);
    }
    return faded(lesson, lessons, a, c) + 0.3 * near + 50 / total * all;
}

/* Hits from this age on, over the time until their event of all that got so far. */
static double slow_rank(int lessons, unsigned class, unsigned bucket) {
    double total = 0, hits = 0, life = 0;
    for (unsigned a = 0; a < RANK_BUCKETS; a++) {
        for (unsigned c = 0; c < RANK_CLASSES; c++)
            total += faded(hit, lessons, a, c) + faded(gone, lessons, a, c);
    }
    for (unsigned a = bucket; a < RANK_BUCKETS; a++) {
        double h = mixed(hit, lessons, a, class, total), time = 0;
        for (unsigned b = bucket; b <= a; b++)
            time += (double)rank_width(b);
        hits += h;
        life += (h + mixed(gone, lessons, a, class, total)) * time;
    }
    return life > 1e-12 ? hits / life : 0;
}

static void ranks_are_those_of_the_reference(void **state) {
    (void)state;
    rank_reset();
    for (int lesson = 0; lesson < LESSONS; lesson++) {
        for (int i = 0; i < EVENTS; i++) {
            unsigned class = (unsigned)rand_below(1 + rand_below(RANK_CLASSES));
            uint32_t age = (uint32_t)rand_below((uint64_t)1 << rand_below(24));
            bool is_hit = rand_below(3) > 0;
            if (is_hit) {
                rank_hit(class, age);
            } else {
                rank_eviction(class, age);
            }
            (is_hit ? hit : gone)[lesson][rank_bucket(age)][class]++;
        }
        rank_learn();
        for (uint32_t age = 0; age < 1 << 20; age += age / 9 + 1) {
            for (unsigned class = 0; class < RANK_CLASSES; class ++) {
                double expected = slow_rank(lesson + 1, class, rank_bucket(age));
                assert_true(fabs((double)rank_of(class, age) - expected) <= 1e-3 * expected + 1e-9);
            }
        }
    }
}

static void buckets_are_quarters_of_octaves(void **state) {
    (void)state;
    double begin = 0;
    for (unsigned bucket = 0; bucket + 1 < RANK_BUCKETS; bucket++) {
        assert_int_equal(rank_bucket((uint32_t)begin), bucket);
        begin += (double)rank_width(bucket);
        assert_int_equal(rank_bucket((uint32_t)begin - 1), bucket);
    }
    assert_int_equal(rank_bucket(UINT32_MAX), RANK_BUCKETS - 1);
}

static void a_loop_is_kept_in_part_and_a_scan_sinks(void **state) {
    (void)state;
    rank_reset();
    for (int i = 0; i < 1000; i++) {
        rank_hit(3, 200);              /* returns after 200 ticks, always */
        rank_eviction(0, 100);         /* never returns */
        rank_hit(1, (uint32_t)i / 10); /* becomes less likely with age */
        rank_eviction(1, 500);
    }
    rank_learn();
    assert_true(rank_of(3, 190) > 2 * rank_of(3, 1)); /* about to be hit */
    assert_true(rank_of(0, 50) < rank_of(3, 1) && rank_of(0, 50) < rank_of(1, 50));
    assert_true(rank_of(1, 10) > rank_of(1, 90));
    rank_reset();
    assert_true(rank_of(3, 190) == 0);
}

int main(void) {
    const char *given = getenv("SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("SEED=%llu\n", (unsigned long long)seed);
    rand_seed(seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_are_those_of_the_reference),
        cmocka_unit_test(buckets_are_quarters_of_octaves),
        cmocka_unit_test(a_loop_is_kept_in_part_and_a_scan_sinks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
