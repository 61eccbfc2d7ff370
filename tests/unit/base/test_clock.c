/* Clocks: the counter compared with the kernel's clocks. */
#include "base/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

static void wait_us(int64_t us) {
    struct timespec pause = {us / 1000000, us % 1000000 * 1000};
    nanosleep(&pause, NULL);
}

static void ticks_agree_with_the_kernel(void **state) {
    (void)state;
    clock_init();
    int64_t start_us = clock_mono_us();
    uint64_t start = clock_ticks();
    wait_us(200000);
    uint64_t ticks = clock_ticks() - start;
    int64_t us = clock_mono_us() - start_us;
    clock_update(); /* refines */
    int64_t by_ticks = (int64_t)clock_ticks_to_ns(ticks) / 1000;
    assert_in_range(by_ticks, us - us / 500 - 50, us + us / 500 + 50); /* loose: the machine is shared */
}

static void conversions_are_inverse_and_wide(void **state) {
    (void)state;
    for (uint64_t ns = 1000; ns < UINT64_C(1) << 60; ns *= 7) {
        uint64_t back = clock_ticks_to_ns(clock_ns_to_ticks(ns));
        assert_true(back <= ns + ns / 1000000 + 2 && back + ns / 1000000 + 2 >= ns);
    }
    assert_int_equal(clock_ticks_to_ns(0), 0);
}

static void wall_time_is_cached(void **state) {
    (void)state;
    clock_update();
    int64_t cached = clock_now_ms();
    int64_t real = (int64_t)time(NULL);
    assert_in_range(cached / 1000, real - 2, real + 2);
    wait_us(3000);
    assert_int_equal(clock_now_ms(), cached);
    assert_true(clock_wall_us() / 1000 - cached >= 2);
    clock_update();
    assert_true(clock_now_ms() > cached);
}

/* Whatever the wall clock does. */
static void steady_time_is_cached(void **state) {
    (void)state;
    clock_update();
    int64_t cached = clock_steady_ms();
    assert_true(cached > 0);
    wait_us(30000);
    assert_int_equal(clock_steady_ms(), cached);
    clock_update();
    assert_in_range(clock_steady_ms() - cached, 15, 10000); /* the kernel's coarse clock: 10 ms or better */
}

static void the_wall_clock_can_be_held(void **state) {
    (void)state;
    clock_update();
    clock_hold(clock_ticks());
    int64_t held_us = clock_time_us(), steady_ms = clock_steady_ms();
    assert_int_equal(held_us / 1000, clock_now_ms());
    wait_us(30000);
    clock_hold(clock_ticks()); /* they nest */
    clock_update();
    clock_release();
    clock_update();
    assert_int_equal(clock_time_us(), held_us);
    assert_int_equal(clock_now_ms(), held_us / 1000);
    assert_true(clock_steady_ms() > steady_ms);
    clock_release();
    assert_int_equal(clock_now_ms(), held_us / 1000);
    assert_true(clock_time_us() >= held_us + 30000);
    assert_true(clock_now_ms() >= held_us / 1000 + 30); /* TIME is not ahead of the others */
}

/* A wave takes a while, and what is held is not the time of its beginning. */
static void an_old_time_is_refreshed_before_it_is_held(void **state) {
    (void)state;
    clock_update();
    int64_t cached_ms = clock_now_ms();
    wait_us(5000);
    clock_hold(clock_ticks());
    assert_true(clock_now_ms() >= cached_ms + 5);
    clock_release();
    clock_update();
    uint64_t ticks = clock_ticks();
    cached_ms = clock_now_ms();
    wait_us(5000);
    clock_hold(ticks); /* it was recent at these ticks */
    assert_int_equal(clock_now_ms(), cached_ms);
    clock_release();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticks_agree_with_the_kernel), cmocka_unit_test(conversions_are_inverse_and_wide),
        cmocka_unit_test(wall_time_is_cached),         cmocka_unit_test(steady_time_is_cached),
        cmocka_unit_test(the_wall_clock_can_be_held),  cmocka_unit_test(an_old_time_is_refreshed_before_it_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
