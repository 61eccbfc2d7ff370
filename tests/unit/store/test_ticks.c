/* Ticks to times and back, while the pace of the ticks changes. */
#include "base/rand.h"
#include "store/ticks.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define KEPT 200000

static int64_t now_ms = 5000000;
static int64_t began_ms[KEPT]; /* of the ticks since `first`: the model */
static uint64_t first, known;

static void note(void) {
    for (; known <= ticks_now; known++)
        if (known - first < KEPT) began_ms[known - first] = now_ms;
}

static void start_model(void) {
    first = known = ticks_now + 1;
}

/* A second in which so many ticks begin; the clock makes one at most. */
static void pass_second(int ticks) {
    int64_t began = now_ms;
    for (int i = 0; i < ticks; i++) {
        now_ms = began + 1000 * i / ticks;
        ticks_next(now_ms);
        note();
    }
    now_ms = began + 1000;
    ticks_follow_clock(now_ms, 1000);
    note();
}

static int64_t worst_error_ms(uint64_t since) {
    int64_t worst = 0;
    for (uint64_t tick = since; tick <= ticks_now; tick++) {
        int64_t error = llabs(ticks_began_ms(tick) - began_ms[tick - first]);
        if (error > worst) worst = error;
    }
    return worst;
}

static void the_clock_makes_ticks(void **state) {
    (void)state;
    ticks_follow_clock(now_ms, 1000);
    uint64_t before = ticks_now;
    for (int i = 1; i <= 100; i++) {
        ticks_follow_clock(now_ms += 250, 1000);
        assert_int_equal(ticks_now - before, i / 4);
        assert_int_equal(ticks_began_ms(ticks_now), now_ms - now_ms % 1000);
    }
    assert_int_equal(ticks_began_ms(before), 5000000);
    assert_int_equal(ticks_at(5000000 + 7500), before + 7);
    int64_t long_ago_ms = now_ms - (int64_t)86400000 * 100; /* before the first tick */
    assert_int_equal(ticks_began_ms(ticks_at(long_ago_ms)), long_ago_ms);
    ticks_follow_clock(now_ms += (int64_t)86400000 * 10000, 1000);
    assert_int_equal(ticks_now - before, 25 + 86400 * 10000);
}

/* The last second is as exact as the others: what an LFU counter loses depends on it. */
static void a_sudden_change_of_pace_is_known_at_once(void **state) {
    (void)state;
    start_model();
    static const int paces[] = {0, 0, 5000, 5000, 10, 0, 0, 20000, 1, 3};
    for (size_t i = 0; i < sizeof paces / sizeof *paces; i++) {
        uint64_t since = ticks_now + 1;
        pass_second(paces[i]);
        assert_in_range(worst_error_ms(first), 0, 1000);
        assert_in_range(worst_error_ms(since), 0, 1000);
    }
}

static void times_are_right_while_the_pace_changes(void **state) {
    (void)state;
    start_model();
    for (int phase = 0; phase < 25; phase++) {
        int ticks = 1 << rand_below(9);
        for (int s = 0; s < 20; s++)
            pass_second(ticks + (int)rand_below((uint64_t)ticks / 8 + 1)); /* up to an eighth more is the same pace */
    }
    assert_true(known - first <= KEPT);
    for (uint64_t tick = first; tick <= ticks_now; tick++) {
        int64_t age_ms = now_ms - began_ms[tick - first], told_ms = now_ms - ticks_began_ms(tick);
        assert_true(llabs(told_ms - age_ms) <= 2000 + age_ms / 8);
        if (tick > first) assert_true(ticks_began_ms(tick - 1) <= ticks_began_ms(tick));
    }
    for (int64_t ms = began_ms[0]; ms < now_ms; ms += 777) {
        int64_t told_ms = ticks_began_ms(ticks_at(ms));
        assert_true(told_ms <= ms + 1 && ms - told_ms <= 2000);
    }
}

int main(void) {
    const char *given = getenv("SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("SEED=%llu\n", (unsigned long long)seed);
    rand_seed(seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_clock_makes_ticks),
        cmocka_unit_test(a_sudden_change_of_pace_is_known_at_once),
        cmocka_unit_test(times_are_right_while_the_pace_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
