/* Which keys go: of each policy, in databases of all sizes, until none is left. */
#include "base/clock.h"
#include "base/rand.h"
#include "store/db.h"
#include "store/evict.h"
#include "store/evict_pool.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define KEYS 20000
#define NOW_MS 1700000000000

static uint32_t victim;
static int victim_db;

static void note_victim(struct db *db, const struct key *key) {
    assert_int_equal(key->name.len, sizeof victim);
    memcpy(&victim, key->name.ptr, sizeof victim);
    victim_db = db->id;
}

static void start(enum evict_policy policy, int databases) {
    clock_cached_ms = NOW_MS;
    clock_cached_steady_ms += 3600000;
    evict_options.policy = (int)policy;
    evict_tick(clock_steady_ms());
    db_init(databases);
    db_hooks.evicted = note_victim;
    evict_set_pressure(true);
}

static void stop(void) {
    evict_set_pressure(false);
    db_shutdown();
}

static void set(int db, uint32_t id, int64_t deadline_ms) {
    struct key key = key_of(slice_of((const char *)&id, sizeof id));
    struct entry *e = db_find(db_at(db), &key);
    db_set_text(db_at(db), &key, e, SLICE("v"), deadline_ms);
}

static void get(int db, uint32_t id) {
    struct key key = key_of(slice_of((const char *)&id, sizeof id));
    assert_non_null(db_read(db_at(db), &key));
}

/* Every so many keys have a deadline. */
static void all_that_may_go_goes(enum evict_policy policy, uint32_t every) {
    start(policy, 16);
    size_t left = 0;
    for (uint32_t id = 0; id < KEYS; id++) {
        bool has_ttl = id % every == 0;
        int64_t deadline_ms = id % 7 ? NOW_MS + 1000 + (int64_t)rand_below(10000000) : INT64_MAX - id;
        set((int)(id % 3 * 5), id, has_ttl ? deadline_ms : ENTRY_NO_TTL);
        left += has_ttl || !evict_is_volatile();
    }
    for (; left > 0; left--) {
        assert_true(evict_one());
        if (evict_is_volatile()) assert_int_equal(victim % every, 0);
        assert_int_equal(victim_db, victim % 3 * 5);
    }
    assert_false(evict_one());
    assert_int_equal(db_expiring(), 0);
    stop();
}

static void every_policy_goes_on_until_no_key_may_go(void **state) {
    (void)state;
    static const uint32_t every[] = {1, 2, 50, 5000}; /* the last ones are drawn from the wheel */
    for (size_t i = 0; i < sizeof every / sizeof *every; i++) {
        for (int policy = EVICT_VOLATILE_LRU; policy < EVICT_NOEVICTION; policy++)
            all_that_may_go_goes((enum evict_policy)policy, every[i]);
    }
    start(EVICT_NOEVICTION, 16);
    set(0, 1, NOW_MS + 1000);
    assert_false(evict_one());
    stop();
}

static void volatile_ttl_is_exact(void **state) {
    (void)state;
    start(EVICT_VOLATILE_TTL, 3);
    static int64_t deadlines[KEYS];
    int64_t latest_ms = 0;
    for (uint32_t id = 0; id < KEYS; id++) {
        for (int times = 0; times < 2; times++) { /* the second leaves a mark that is stale or early */
            deadlines[id] = NOW_MS + 1 + (int64_t)rand_below((uint64_t)1 << (10 + rand_below(26)));
            set((int)(id % 3), id, deadlines[id]);
        }
    }
    for (int i = 0; i < KEYS; i++) {
        assert_true(evict_one());
        assert_true(deadlines[victim] >= latest_ms);
        latest_ms = deadlines[victim];
        if (i % 100 != 0) continue;
        deadlines[victim] = latest_ms + (int64_t)rand_below(1000); /* a new one has the shortest time to live */
        set((int)(victim % 3), victim, deadlines[victim]);
    }
    stop();
}

static double ms_since(clock_t began) {
    return (double)(clock() - began) * 1000 / CLOCKS_PER_SEC;
}

static void without_a_deadline_the_answer_takes_no_search(void **state) {
    (void)state;
    start(EVICT_VOLATILE_LRU, 100000);
    for (int db = 0; db < 100000; db++)
        set(db, (uint32_t)db, ENTRY_NO_TTL);
    clock_t began = clock();
    for (int i = 0; i < 100000; i++)
        assert_false(evict_one());
    assert_true(ms_since(began) < 1000); /* to look at each database would take 10 s at least */
    stop();
}

static void a_key_in_each_of_many_databases_costs_no_search(void **state) {
    (void)state;
    static const enum evict_policy policies[] = {EVICT_ALLKEYS_LRU, EVICT_ALLKEYS_LFU, EVICT_ALLKEYS_RANDOM,
                                                 EVICT_VOLATILE_LRU, EVICT_VOLATILE_TTL};
    for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
        start(policies[i], 100000);
        for (int db = 0; db < 100000; db++)
            set(db, (uint32_t)db, NOW_MS + 1000 + db);
        clock_t began = clock();
        for (int n = 0; n < 2000; n++)
            assert_true(evict_one());
        double ms = ms_since(began);
        if (ms > 4000) fail_msg("policy %d: 2000 victims took %.0f ms", policies[i], ms);
        stop();
    }
}

/* Keys that were used lately stay, whichever database they are in and however they are drawn. */
/* The databases that are drawn from were counted before; another one has keys now, and no wheel. */
static void a_key_is_found_where_there_was_none_before(void **state) {
    (void)state;
    static const enum evict_policy policies[] = {EVICT_ALLKEYS_LRU, EVICT_ALLKEYS_LFU, EVICT_ALLKEYS_RANDOM};
    for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
        start(policies[i], 2);
        set(0, 1, ENTRY_NO_TTL);
        set(0, 2, ENTRY_NO_TTL);
        assert_true(evict_one());
        db_empty(db_at(0), false);
        set(1, 3, ENTRY_NO_TTL);
        assert_true(evict_one());
        assert_int_equal(victim, 3);
        assert_false(evict_one());
        stop();
    }
}

static void what_is_used_stays(void **state) {
    (void)state;
    static const enum evict_policy policies[] = {EVICT_ALLKEYS_LRU, EVICT_ALLKEYS_LFU, EVICT_VOLATILE_LRU,
                                                 EVICT_VOLATILE_LFU};
    for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
        for (uint32_t others = 0; others < 2; others++) { /* keys without a deadline: then the wheel is drawn from */
            start(policies[i], 16);
            evict_options.samples = 10;
            for (uint32_t id = 0; id < KEYS / 10; id++)
                set((int)(id % 7), id, NOW_MS + 1000000 + (int64_t)rand_below(1000000));
            for (uint32_t id = KEYS; others && evict_is_volatile() && id < 3 * KEYS; id++)
                set(0, id, ENTRY_NO_TTL);
            for (int round = 0; round < 5; round++) {
                for (uint32_t id = 0; id < KEYS / 10; id += 2)
                    get((int)(id % 7), id);
            }
            unsigned wrong = 0;
            for (int n = 0; n < KEYS / 40; n++) {
                assert_true(evict_one());
                wrong += victim % 2 == 0;
            }
            assert_true(wrong < KEYS / 40 / 20);
            stop();
        }
    }
    evict_options.samples = 5;
}

static void random_victims_are_uniform(void **state) {
    (void)state;
    enum { ROUNDS = 4000, FEW = 40 };
    static const enum evict_policy policies[] = {EVICT_ALLKEYS_RANDOM, EVICT_VOLATILE_RANDOM};
    for (size_t i = 0; i < 2; i++) {
        unsigned gone[FEW] = {0};
        start(policies[i], 16);
        for (uint32_t id = 0; id < FEW; id++)
            set(id < 5 ? 3 : 9, id, NOW_MS + 1000000);
        for (int round = 0; round < ROUNDS; round++) {
            assert_true(evict_one());
            gone[victim]++;
            set(victim_db, victim, NOW_MS + 1000000);
        }
        double chi = 0, mean = (double)ROUNDS / FEW;
        for (int id = 0; id < FEW; id++)
            chi += (gone[id] - mean) * (gone[id] - mean) / mean;
        assert_true(chi < FEW + 5 * sqrt(2.0 * FEW));
        stop();
    }
}

int main(void) {
    const char *given = getenv("SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("SEED=%llu\n", (unsigned long long)seed);
    rand_seed(seed);
    hash_seed(seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_policy_goes_on_until_no_key_may_go),
        cmocka_unit_test(volatile_ttl_is_exact),
        cmocka_unit_test(without_a_deadline_the_answer_takes_no_search),
        cmocka_unit_test(a_key_in_each_of_many_databases_costs_no_search),
        cmocka_unit_test(a_key_is_found_where_there_was_none_before),
        cmocka_unit_test(what_is_used_stays),
        cmocka_unit_test(random_victims_are_uniform),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
