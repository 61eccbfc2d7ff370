/* What an entry remembers: idle times under both kinds of ticks, the LFU counter, changes of policy. */
#include "base/clock.h"
#include "base/rand.h"
#include "store/evict.h"
#include "store/evict_pool.h"
#include "store/ticks.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MINUTE_MS 60000

static struct entry *e;
static int64_t now_ms = 1700000040000; /* a minute begins; it never goes back */

static void pass(int64_t ms) {
    clock_cached_steady_ms = now_ms += ms;
    evict_tick(now_ms);
}

static void pass_look_ups(size_t n) {
    struct entry *other = entry_new(SLICE("other"), ENTRY_STRING, STRING_RAW, 0, ENTRY_NO_TTL);
    for (; n > 0; n--)
        evict_admit(other, n);
    entry_free(other);
}

static void set_policy(enum evict_policy policy) {
    evict_options.policy = (int)policy;
    pass(0);
}

static int setup(void **state) {
    (void)state;
    rand_seed(42);
    e = entry_new(SLICE("key"), ENTRY_STRING, STRING_RAW, 0, ENTRY_NO_TTL);
    evict_options = (struct evict_options){.policy = EVICT_NOEVICTION, .lfu_log_factor = 10, .lfu_decay_min = 1};
    now_ms += 1000 * MINUTE_MS;
    now_ms -= now_ms % MINUTE_MS;
    pass(0);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    entry_free(e);
    evict_learn(false, 0);
    set_policy(EVICT_NOEVICTION);
    return 0;
}

static void idle_time_is_in_seconds(void **state) {
    (void)state;
    evict_init_access(e);
    assert_int_equal(evict_idle_s(e), 0);
    for (int i = 1; i <= 100; i++) {
        pass(990);
        assert_int_equal(evict_idle_s(e), 990 * i / 1000);
    }
    evict_touch(e, 1);
    assert_int_equal(evict_idle_s(e), 0);
    pass(100 * (int64_t)86400000);
    assert_int_equal(evict_idle_s(e), 100 * 86400);
}

static void idle_time_is_kept_as_it_is_set(void **state) {
    (void)state;
    static const uint64_t times_s[] = {0, 1, 59, 3600, 86400, 10000000};
    for (size_t i = 0; i < sizeof times_s / sizeof *times_s; i++) {
        evict_set_idle(e, times_s[i]);
        assert_int_equal(evict_idle_s(e), times_s[i]);
        pass(5000);
        assert_int_equal(evict_idle_s(e), times_s[i] + 5);
    }
    evict_set_idle(e, UINT64_MAX);
    assert_true(evict_idle_s(e) >= 190 * 86400); /* as far back as a stamp goes */
}

/* A tick lasts as long as a 256th of the keys is looked up, but no more than a second. */
static void idle_time_is_in_seconds_while_memory_is_short(void **state) {
    (void)state;
    set_policy(EVICT_ALLKEYS_LRU);
    evict_init_access(e);
    pass(10000);
    evict_learn(true, 2560);
    for (int s = 1; s <= 60; s++) {
        uint64_t before = ticks_now;
        pass_look_ups(s < 30 ? 1000 : 3);
        pass(1000);
        assert_in_range(ticks_now - before, s < 30 ? 90 : 1, s < 30 ? 100 : 2);
        assert_in_range(evict_idle_s(e), 9 + s, 11 + s);
    }
    evict_touch(e, 1);
    assert_int_equal(evict_idle_s(e), 0);
    evict_learn(false, 0);
    pass(30000);
    assert_int_equal(evict_idle_s(e), 30);
}

static void nothing_is_touched_while_held(void **state) {
    (void)state;
    evict_init_access(e);
    evict_hold(true);
    pass(50000);
    evict_touch(e, 1);
    assert_int_equal(evict_idle_s(e), 50);
    evict_init_access(e); /* a new entry gets the time nevertheless */
    assert_int_equal(evict_idle_s(e), 0);
    pass(10000);
    evict_hold(false);
    evict_touch(e, 1);
    assert_int_equal(evict_idle_s(e), 0);
}

static bool is_written_by_use(void) {
    struct entry before = *e;
    evict_touch(e, 1);
    evict_order(e);
    return memcmp(&before, e, sizeof before) != 0;
}

static void nothing_is_written_and_learned_while_a_child_lives(void **state) {
    (void)state;
    static const enum evict_policy policies[] = {EVICT_ALLKEYS_LRU, EVICT_ALLKEYS_LFU};
    for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
        evict_init_access(e); /* foreign under the next policy, as some are */
        set_policy(policies[i]);
        evict_learn(true, 1000);
        evict_freeze(true);
        pass(1000 * MINUTE_MS);
        uint64_t before = ticks_now;
        assert_false(is_written_by_use());
        pass_look_ups(100);
        assert_int_equal(ticks_now, before);
        evict_freeze(false);
        pass_look_ups(100);
        assert_true(ticks_now > before);
        assert_true(is_written_by_use());
    }
}

static void a_counter_starts_at_five_and_decays(void **state) {
    (void)state;
    set_policy(EVICT_ALLKEYS_LFU);
    evict_init_access(e);
    assert_int_equal(evict_frequency(e), 5);
    evict_touch(e, 1); /* at or below 5 every hit counts */
    assert_int_equal(evict_frequency(e), 6);
    pass(3 * MINUTE_MS - 1);
    assert_int_equal(evict_frequency(e), 4);
    pass(1);
    assert_int_equal(evict_frequency(e), 3);
    evict_touch(e, 1);
    assert_int_equal(evict_frequency(e), 4);
    pass(100 * MINUTE_MS);
    assert_int_equal(evict_frequency(e), 0);
    evict_options.lfu_decay_min = 0;
    pass(0);
    assert_int_equal(evict_frequency(e), 4);
    evict_options.lfu_decay_min = 50;
    pass(0);
    assert_int_equal(evict_frequency(e), 2);
    evict_options.lfu_decay_min = INT32_MAX;
    pass(0);
    assert_int_equal(evict_frequency(e), 4);
}

static void a_counter_is_kept_as_it_is_set(void **state) {
    (void)state;
    static const int factors[] = {0, 1, 10, 100, INT32_MAX};
    set_policy(EVICT_VOLATILE_LFU);
    for (size_t i = 0; i < sizeof factors / sizeof *factors; i++) {
        evict_options.lfu_log_factor = factors[i];
        pass(0);
        for (unsigned counter = 0; counter <= 255; counter++) {
            evict_set_frequency(e, counter);
            assert_int_equal(evict_frequency(e), counter);
        }
        evict_touch(e, 1);
        assert_int_equal(evict_frequency(e), 255);
    }
}

/* The documentation of Redis: with factor 10 a thousand hits give about 18, a hundred thousand about 142. */
static void a_counter_grows_logarithmically(void **state) {
    (void)state;
    set_policy(EVICT_ALLKEYS_LFU);
    evict_init_access(e);
    for (int i = 0; i < 1000; i++)
        evict_touch(e, 1);
    assert_in_range(evict_frequency(e), 16, 22);
    for (int i = 1000; i < 100000; i++)
        evict_touch(e, 1);
    assert_in_range(evict_frequency(e), 138, 152);
    evict_options.lfu_log_factor = 0;
    pass(0);
    for (int i = 0; i < 300; i++)
        evict_touch(e, 1);
    assert_int_equal(evict_frequency(e), 255);
}

static void after_a_change_of_policy_all_are_as_new(void **state) {
    (void)state;
    set_policy(EVICT_ALLKEYS_LRU);
    evict_init_access(e);
    pass(100000);
    assert_int_equal(evict_idle_s(e), 100);
    set_policy(EVICT_ALLKEYS_LFU);
    assert_int_equal(evict_frequency(e), 5);
    evict_touch(e, 1);
    assert_int_equal(evict_frequency(e), 6);
    set_policy(EVICT_VOLATILE_LRU);
    assert_int_equal(evict_idle_s(e), 0);
    pass(100000);
    assert_int_equal(evict_idle_s(e), 0); /* of its age nothing is known */
    evict_touch(e, 1);
    pass(2000);
    assert_int_equal(evict_idle_s(e), 2);
    set_policy(EVICT_ALLKEYS_RANDOM); /* stamps mean the same as under LRU */
    assert_int_equal(evict_idle_s(e), 2);
}

/* An entry whose stamp is about to come round again gets an age that it can tell. */
static void an_age_that_was_sampled_never_becomes_young(void **state) {
    (void)state;
    static const enum evict_policy policies[] = {EVICT_ALLKEYS_LRU, EVICT_ALLKEYS_LFU};
    for (size_t i = 0; i < 2; i++) {
        set_policy(policies[i]);
        struct entry *fresh = entry_new(SLICE("fresh"), ENTRY_STRING, STRING_RAW, 0, ENTRY_NO_TTL);
        evict_init_access(e);
        int64_t unit_ms = i ? MINUTE_MS : 1000, quarter = i ? 1 << 14 : 1 << 22;
        for (int turn = 0; turn < 9; turn++) {
            pass(quarter * unit_ms);
            evict_init_access(fresh);
            assert_true(evict_order(e) < evict_order(fresh));
        }
        entry_free(fresh);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(idle_time_is_in_seconds, setup, teardown),
        cmocka_unit_test_setup_teardown(idle_time_is_kept_as_it_is_set, setup, teardown),
        cmocka_unit_test_setup_teardown(idle_time_is_in_seconds_while_memory_is_short, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_touched_while_held, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_written_and_learned_while_a_child_lives, setup, teardown),
        cmocka_unit_test_setup_teardown(a_counter_starts_at_five_and_decays, setup, teardown),
        cmocka_unit_test_setup_teardown(a_counter_is_kept_as_it_is_set, setup, teardown),
        cmocka_unit_test_setup_teardown(a_counter_grows_logarithmically, setup, teardown),
        cmocka_unit_test_setup_teardown(after_a_change_of_policy_all_are_as_new, setup, teardown),
        cmocka_unit_test_setup_teardown(an_age_that_was_sampled_never_becomes_young, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
