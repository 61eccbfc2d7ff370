/* The access clock: idle times before and after it wraps; growth and decay of the LFU counter. */
#include "base/rand.h"
#include "store/evict.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct entry *e;

static int setup(void **state) {
    (void)state;
    rand_seed(42);
    e = entry_new(SLICE("key"), ENTRY_STRING, STRING_RAW, 0, ENTRY_NO_TTL);
    evict_options = (struct evict_options){.policy = EVICT_NOEVICTION, .lfu_log_factor = 10, .lfu_decay_min = 1};
    return 0;
}

static int teardown(void **state) {
    (void)state;
    entry_free(e);
    evict_options.policy = EVICT_NOEVICTION;
    evict_tick(1000);
    return 0;
}

static void lru_idle_time(void **state) {
    (void)state;
    evict_tick(1700000000123);
    evict_init_access(e);
    assert_int_equal(evict_idle_s(e), 0);
    evict_tick(1700000099999);
    assert_int_equal(evict_idle_s(e), 99);
    evict_touch(e);
    assert_int_equal(evict_idle_s(e), 0);
}

static void lru_clock_turns_round_without_zero(void **state) {
    (void)state;
    int64_t turn_s = (int64_t)1 << 24;
    evict_tick((100 * turn_s - 10) * 1000);
    evict_touch(e);
    evict_tick(100 * turn_s * 1000);
    assert_int_not_equal(evict_clock, 0);
    evict_tick((100 * turn_s + 30) * 1000);
    assert_in_range(evict_idle_s(e), 39, 40);
}

static void nothing_is_touched_while_held(void **state) {
    (void)state;
    evict_tick(1700000000000);
    evict_init_access(e);
    evict_hold(true);
    evict_tick(1700000050000);
    evict_touch(e);
    assert_int_equal(evict_idle_s(e), 50);
    evict_init_access(e); /* a new entry gets the time nevertheless */
    assert_int_equal(evict_idle_s(e), 0);
    evict_tick(1700000060000);
    evict_hold(false);
    evict_touch(e);
    assert_int_equal(evict_idle_s(e), 0);
}

static void lfu_starts_at_five_and_decays(void **state) {
    (void)state;
    evict_options.policy = EVICT_ALLKEYS_LFU;
    evict_tick(1700000000000);
    assert_int_equal(evict_clock, 0);
    evict_init_access(e);
    assert_int_equal(evict_frequency(e), 5);
    evict_touch(e); /* at or below 5 every hit counts */
    assert_int_equal(evict_frequency(e), 6);
    evict_tick(1700000000000 + 3 * 60000);
    assert_int_equal(evict_frequency(e), 3);
    evict_tick(1700000000000 + 100 * 60000);
    assert_int_equal(evict_frequency(e), 0);
    evict_options.lfu_decay_min = 0;
    assert_int_equal(evict_frequency(e), 6);
}

static void lfu_minutes_turn_round(void **state) {
    (void)state;
    evict_options.policy = EVICT_VOLATILE_LFU;
    int64_t last_minute_ms = 65535LL * 60000;
    evict_tick(last_minute_ms);
    evict_init_access(e);
    evict_tick(last_minute_ms + 2 * 60000);
    assert_int_equal(evict_frequency(e), 3);
}

/* The documentation of Redis: with factor 10 a thousand hits give about 18, a hundred thousand about 142. */
static void lfu_grows_logarithmically(void **state) {
    (void)state;
    evict_options.policy = EVICT_ALLKEYS_LFU;
    evict_tick(1700000000000);
    evict_init_access(e);
    for (int i = 0; i < 1000; i++)
        evict_touch(e);
    assert_in_range(evict_frequency(e), 12, 26);
    for (int i = 1000; i < 100000; i++)
        evict_touch(e);
    assert_in_range(evict_frequency(e), 125, 160);
    evict_options.lfu_log_factor = 0;
    for (int i = 0; i < 300; i++)
        evict_touch(e);
    assert_int_equal(evict_frequency(e), 255);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lru_idle_time, setup, teardown),
        cmocka_unit_test_setup_teardown(lru_clock_turns_round_without_zero, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_touched_while_held, setup, teardown),
        cmocka_unit_test_setup_teardown(lfu_starts_at_five_and_decays, setup, teardown),
        cmocka_unit_test_setup_teardown(lfu_minutes_turn_round, setup, teardown),
        cmocka_unit_test_setup_teardown(lfu_grows_logarithmically, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
