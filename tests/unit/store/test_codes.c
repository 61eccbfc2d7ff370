/* Codes: the counters in them are those of Redis's LFU, and hits are counted right on average. */
#include "base/rand.h"
#include "store/codes.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static const int factors[] = {0, 1, 10, 100};
#define FACTORS (sizeof factors / sizeof *factors)

/* Hits that Redis's counter takes on average from 5 up. */
static double hits_to(unsigned counter, int factor) {
    double hits = 0;
    for (unsigned c = 5; c < counter; c++)
        hits += (double)(c - 5) * factor + 1;
    return hits;
}

static void counters_take_as_many_hits_as_in_redis(void **state) {
    (void)state;
    static const unsigned counters[] = {6, 7, 8, 10, 20, 40};
    for (size_t f = 0; f < FACTORS; f++) {
        codes_make(factors[f]);
        for (size_t i = 0; i < sizeof counters / sizeof *counters; i++) {
            double expected = hits_to(counters[i], factors[f]), sum = 0;
            int runs = expected > 2000 ? 100 : 1000;
            for (int run = 0; run < runs; run++) {
                for (unsigned code = CODES_NEW; code < CODES_OF(counters[i]); sum++)
                    code = codes_hit(code, (uint32_t)rand_u64());
            }
            assert_true(fabs(sum / runs - expected) < 0.05 * expected + 0.5);
        }
    }
}

static void every_counter_is_a_code_and_no_hit_leads_down(void **state) {
    (void)state;
    for (size_t f = 0; f < FACTORS; f++) {
        codes_make(factors[f]);
        for (unsigned code = 0; code <= CODES_MAX; code++) {
            unsigned least = codes_hit(code, UINT32_MAX), most = codes_hit(code, 0);
            assert_true(least >= code && most >= least && most <= least + 1 && most <= CODES_MAX);
            if (code < CODES_MAX) assert_true(most > code);
            if (code < CODES_NEW) assert_int_equal(least, code + CODES_OF(1));
            assert_int_equal(codes_fade(code, 0, 0), code);
            if (code > 0) assert_true(codes_left(code, 0) > codes_left(code - 1, 0));
        }
        for (unsigned counter = 6; counter <= 255; counter++) /* the logarithm of one hit is 0 */
            assert_true(fabs((double)codes_left(CODES_OF(counter), 0) - log2(1 + hits_to(counter, factors[f]))) < 1e-3);
    }
}

static void counts_fade_by_half_in_33_turnovers(void **state) {
    (void)state;
    codes_make(10);
    for (unsigned code = CODES_OF(8); code <= CODES_MAX; code += 37) {
        double sum = 0;
        for (int i = 0; i < 300; i++) {
            unsigned faded = code;
            for (int turnover = 0; turnover < 100; turnover++)
                faded = codes_fade(faded, 85, (uint32_t)rand_u64()); /* a third of a turnover */
            sum += (double)codes_left(faded, 0);
        }
        assert_true(fabs(sum / 300 - ((double)codes_left(code, 0) - 100 * 0.03 * 85 / 256)) < 0.15);
    }
    assert_int_equal(codes_fade(CODES_MAX, UINT32_MAX, 0), 0);
}

static void a_ghost_comes_back_as_what_it_was(void **state) {
    (void)state;
    codes_make(10);
    assert_int_equal(codes_for(0), CODES_NEW);
    for (unsigned log = 1; log < 16; log++) {
        double left = (double)codes_left(codes_for(log), 0);
        assert_true(left > log && left <= log + 0.5);
    }
}

int main(void) {
    const char *given = getenv("SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("SEED=%llu\n", (unsigned long long)seed);
    rand_seed(seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_take_as_many_hits_as_in_redis),
        cmocka_unit_test(every_counter_is_a_code_and_no_hit_leads_down),
        cmocka_unit_test(counts_fade_by_half_in_33_turnovers),
        cmocka_unit_test(a_ghost_comes_back_as_what_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
