/* Active expiry is on time, however many keys are not due; it is bounded in time and in stale marks; and colliding
 * marks do no harm. */
#include "base/clock.h"
#include "base/rand.h"
#include "ds/wheel.h"
#include "store/db.h"
#include "store/evict.h"
#include "store/expire.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define START_MS 1700000000000
#define FAR_MS (START_MS + 86400000)
#define PREFIX_SHIFT 27 /* the number of hash bits that are not in a mark */

static char name_memory[64];
static uint64_t events;

static struct key key_n(int n) {
    return key_of(slice_of(name_memory, (size_t)snprintf(name_memory, sizeof name_memory, "key:%d", n)));
}

static struct entry *set(int d, int n, int64_t deadline_ms) {
    struct key key = key_n(n);
    return db_set_text(db_at(d), &key, db_write(db_at(d), &key), SLICE("value"), deadline_ms);
}

static bool exists(int d, int n) {
    struct key key = key_n(n);
    struct table *keys = &db_at(d)->keys;
    int64_t now_ms = clock_cached_ms;
    clock_cached_ms = 0; /* so that a key that is due is found */
    bool found = db_peek(db_at(d), &key) != NULL;
    clock_cached_ms = now_ms;
    return found && keys->count > 0;
}

/* Run all turns of the loop in this millisecond. */
static void run(int64_t now_ms) {
    clock_cached_ms = now_ms;
    while (expire_run(now_ms) <= now_ms)
        continue;
}

static void deadlines_are_kept_among_far_ones(void **state) {
    (void)state;
    for (int i = 0; i < 100000; i++)
        set(0, i, FAR_MS + i);
    for (int i = 0; i < 2000; i++)
        set(0, 200000 + i, START_MS + 100 + 2 * i);
    for (int64_t ms = 0; ms < 4200; ms++) {
        run(START_MS + ms);
        int64_t gone = ms <= 100 ? 0 : (ms - 101) / 2 + 1; /* a key still exists in the millisecond of its deadline */
        assert_int_equal(db_metrics.expired, gone < 2000 ? gone : 2000);
    }
    assert_int_equal(events, 2000);
    assert_int_equal(db_size(db_at(0)), 100000);
    assert_int_equal(expire_stale_marks(db_at(0)), 0);
}

/* Deadlines move to and fro, more often than there are sequences. Each key is removed at the last one. */
static void moved_deadlines_are_kept(void **state) {
    (void)state;
    enum { n = 500 };
    int64_t deadline[n];
    for (int i = 0; i < n; i++) {
        for (int moves = 0; moves < 30; moves++) {
            bool none = rand_below(5) == 0 && moves < 29;
            deadline[i] = START_MS + 1 + (int64_t)rand_below(3000);
            set(0, i, none ? ENTRY_NO_TTL : deadline[i]);
        }
    }
    for (int64_t now_ms = START_MS; now_ms < START_MS + 3010; now_ms++) {
        run(now_ms);
        for (int i = 0; i < n; i++)
            assert_int_equal(exists(0, i), now_ms <= deadline[i]);
    }
    assert_int_equal(db_at(0)->expiring, 0);
    assert_int_equal(expire_stale_marks(db_at(0)), 0);
}

static void stale_marks_are_bounded(void **state) {
    (void)state;
    struct db *db = db_at(0);
    for (int i = 0; i < 1000; i++)
        set(0, i, FAR_MS);
    size_t most = 0;
    for (int i = 0; i < 300000; i++) {
        int n = i % 3 ? 5000 : 5001 + i; /* one key over and over, and others that occur once */
        set(0, n, FAR_MS + i);
        struct key key = key_n(n);
        db_remove(db, &key, db_write(db, &key));
        if (i % 50 == 0) {
            clock_cached_ms += 1;
            expire_run(clock_cached_ms);
        }
        if (expire_stale_marks(db) > most) most = expire_stale_marks(db);
    }
    assert_in_range(most, 1000, 20000);
    clock_cached_ms += 1000;
    for (int i = 0; i < 1000; i++)
        expire_run(clock_cached_ms++);
    assert_in_range(expire_stale_marks(db), 0, 5000);
    assert_int_equal(db_size(db), 1000);
    run(FAR_MS + 400000);
    assert_int_equal(db_size(db), 0);
    assert_int_equal(wheel_marks(db->wheel), 0);
}

/* One key gets many marks, all of which fit it: only one of equal marks is kept. */
static void marks_that_fit_a_later_life_are_bounded(void **state) {
    (void)state;
    struct db *db = db_at(0);
    for (int i = 0; i < 400000; i++) {
        struct entry *e = set(0, 1, FAR_MS + 1000);
        set(0, 1, i % 2 ? FAR_MS : ENTRY_NO_TTL);
        (void)e;
        if (i % 50 == 0) expire_run(++clock_cached_ms);
    }
    assert_in_range(wheel_marks(db->wheel), 1, 20000);
    set(0, 1, FAR_MS);
    run(FAR_MS);
    assert_true(exists(0, 1));
    run(FAR_MS + 1);
    assert_false(exists(0, 1));
}

struct named {
    uint64_t hash;
    int n;
};

static int by_hash(const void *a, const void *b) {
    uint64_t x = ((const struct named *)a)->hash, y = ((const struct named *)b)->hash;
    return (x > y) - (x < y);
}

static unsigned sequence_of(int n) {
    struct key key = key_n(n);
    return db_peek(db_at(0), &key)->flags & ENTRY_SEQUENCE;
}

/* Two keys with equal marks: each is removed at its own deadline, in any order, and also if the other was deleted. */
static void colliding_marks(void **state) {
    (void)state;
    enum { n = 2000000 };
    struct named *all = malloc(n * sizeof *all);
    for (int i = 0; i < n; i++)
        all[i] = (struct named){key_n(i).hash, i};
    qsort(all, n, sizeof *all, by_hash);
    int pairs = 0;
    for (int i = 1; i < n && pairs < 8; i++) {
        if (all[i].hash >> PREFIX_SHIFT != all[i - 1].hash >> PREFIX_SHIFT) continue;
        int a = all[i - 1].n, b = all[i].n, variant = pairs++ % 4;
        int64_t now_ms = clock_cached_ms, first_ms = now_ms + 300, second_ms = now_ms + (variant == 3 ? 300 : 900);
        set(0, a, variant == 1 ? second_ms : first_ms);
        do { /* set and remove the deadline until the sequences agree */
            set(0, b, ENTRY_NO_TTL);
            set(0, b, variant == 1 ? first_ms : second_ms);
        } while (sequence_of(a) != sequence_of(b));
        if (variant == 2) {
            struct key key = key_n(a);
            db_remove(db_at(0), &key, db_write(db_at(0), &key));
        }
        run(first_ms);
        assert_int_equal(db_size(db_at(0)), variant == 2 ? 1 : 2);
        run(first_ms + 1);
        assert_int_equal(db_size(db_at(0)), variant == 3 ? 0 : 1);
        run(second_ms);
        assert_int_equal(db_size(db_at(0)), variant == 3 ? 0 : 1);
        run(second_ms + 1);
        assert_int_equal(db_size(db_at(0)), 0);
    }
    free(all);
    assert_true(pairs > 0);
}

static void work_is_sliced_and_fair(void **state) {
    (void)state;
    enum { n = 40000 };
    for (int d = 0; d < 3; d++) {
        for (int i = 0; i < n; i++)
            set(d, i, START_MS + 50);
    }
    clock_cached_ms = START_MS + 51;
    int turns = 0;
    while (expire_run(clock_cached_ms) <= clock_cached_ms) {
        if (++turns != 6) continue; /* after two rounds every database has had a turn, and none is finished */
        for (int d = 0; d < 3; d++)
            assert_in_range(db_size(db_at(d)), 0, n - 1);
    }
    assert_int_equal(db_metrics.expired, 3 * n);
    for (int d = 0; d < 3; d++)
        assert_int_equal(db_size(db_at(d)), 0);
    assert_true(turns > 0);
}

static void swapped_and_emptied(void **state) {
    (void)state;
    set(0, 1, START_MS + 100);
    set(2, 1, START_MS + 5000);
    db_swap(0, 1);
    db_swap(2, 1);
    assert_true(exists(1, 1) && exists(2, 1));
    run(START_MS + 101);
    assert_true(exists(1, 1) && !exists(2, 1));
    db_empty(db_at(1), false);
    assert_int_equal(expire_run(START_MS + 6000), INT64_MAX);
    set(1, 2, START_MS + 7000);
    run(START_MS + 7001);
    assert_false(exists(1, 2));
    assert_int_equal(db_metrics.expired, 2);
}

static void extremes(void **state) {
    (void)state;
    set(0, 1, INT64_MAX);
    set(0, 2, INT64_MAX - 1);
    set(0, 3, 0);
    run(START_MS);
    assert_int_equal(db_size(db_at(0)), 2);
    run(START_MS + ((int64_t)1 << 45));
    run(INT64_MAX / 2);
    run(INT64_MAX - 1000);
    assert_int_equal(db_size(db_at(0)), 2);
}

/* The clock was in the future at first: deadlines that are set after it was corrected must not wait for that time. */
static void clock_set_back(void **state) {
    (void)state;
    run(FAR_MS);
    for (int i = 0; i < 3000; i++)
        set(0, i, FAR_MS + 1 + i % 500 * 60000);
    run(FAR_MS + 10);
    size_t left = db_size(db_at(0));
    clock_cached_ms = START_MS;
    set(0, 3000, START_MS + 1500);
    set(0, 3001, START_MS + 700000);
    for (int64_t ms = 0; ms <= 1500; ms++) {
        run(START_MS + ms);
        assert_int_equal(db_size(db_at(0)), left + 2);
    }
    run(START_MS + 1501);
    assert_false(exists(0, 3000));
    run(START_MS + 700001);
    assert_int_equal(db_size(db_at(0)), left);
    for (int64_t now_ms; wheel_marks(db_at(0)->wheel) > 0; clock_cached_ms = now_ms) {
        now_ms = wheel_next_ms(db_at(0)->wheel);
        run(now_ms);
    }
    assert_int_equal(db_size(db_at(0)), 0);
}

static void can_be_disabled(void **state) {
    (void)state;
    set(0, 1, START_MS + 10);
    expire_enable(false);
    assert_int_equal(expire_run(START_MS + 100), INT64_MAX);
    assert_true(exists(0, 1));
    expire_enable(true);
    run(START_MS + 100);
    assert_false(exists(0, 1));
}

static void says_when_to_come_back(void **state) {
    (void)state;
    assert_int_equal(expire_run(START_MS), INT64_MAX);
    set(0, 1, START_MS + 40);
    int64_t next_ms = expire_run(START_MS);
    assert_in_range(next_ms, START_MS + 1, START_MS + 41);
    set(0, 2, START_MS + 20);
    assert_in_range(expire_run(START_MS), START_MS + 1, START_MS + 21);
}

static void mean_ttl(void **state) {
    (void)state;
    assert_int_equal(expire_mean_ttl_ms(db_at(0)), 0);
    for (int i = 0; i < 1000; i++)
        set(0, i, i % 2 ? START_MS + 60000 : ENTRY_NO_TTL);
    assert_int_equal(expire_mean_ttl_ms(db_at(0)), 60000);
    for (int i = 0; i < 1000; i++)
        set(0, i, INT64_MAX);
    assert_true(expire_mean_ttl_ms(db_at(0)) > INT64_MAX / 2);
}

static void on_expired(struct db *db, const struct key *key) {
    (void)db;
    assert_int_equal(key->hash, hash_bytes(key->name.ptr, key->name.len));
    events++;
}

/* What any look-up sees of a key. */
static void assert_seen(int d, int n, bool seen) {
    struct key key = key_n(n);
    assert_int_equal(db_peek(db_at(d), &key) != NULL, seen);
    assert_int_equal(db_look(db_at(d), &key) != NULL, seen);
    assert_int_equal(db_read(db_at(d), &key) != NULL, seen);
    assert_int_equal(db_random(db_at(d)) != NULL, seen);
}

/* While it is held nothing is removed and nothing is told, except by the look-up for writing. */
static void can_be_held(void **state) {
    (void)state;
    struct db *db = db_at(0);
    struct key key = key_n(1);
    set(0, 1, START_MS);
    set(0, 2, START_MS);
    expire_hold(EXPIRE_PAUSED, true);
    clock_cached_ms = START_MS + 1;
    assert_int_equal(expire_run(clock_cached_ms), INT64_MAX);
    assert_seen(0, 1, false);
    assert_int_equal(db_size(db), 2);
    assert_int_equal(db_metrics.expired + events, 0);
    assert_null(db_write(db, &key));
    assert_int_equal(db_size(db), 1);
    assert_int_equal(db_metrics.expired, 1);

    expire_hold(EXPIRE_LOADING, true);
    assert_seen(0, 2, true);
    expire_hold(EXPIRE_PAUSED, false);
    assert_seen(0, 2, true);
    assert_int_equal(db_size(db), 1);
    expire_hold(EXPIRE_LOADING, false);
    assert_seen(0, 2, false);
    assert_int_equal(db_size(db), 0);
    assert_int_equal(events, 2);
}

/* --- A replica ------------------------------------------------------------------------------- */

static void set_by_stream(int d, int n, int64_t deadline_ms) {
    expire_hold(EXPIRE_STREAM, true);
    set(d, n, deadline_ms);
    expire_hold(EXPIRE_STREAM, false);
}

static void only_the_primary_removes_its_keys(void **state) {
    (void)state;
    struct db *db = db_at(0);
    expire_hold(EXPIRE_REPLICA, true);
    for (int i = 0; i < 1000; i++)
        set_by_stream(0, i, START_MS + i);
    for (int64_t ms = 0; ms < 10000000; ms += ms < 3000 ? 1 : 50000)
        run(START_MS + ms);
    assert_int_equal(db_size(db), 1000);
    assert_int_equal(db_metrics.expired + events, 0);
    assert_int_equal(expire_tracked_keys(), 0);
    assert_seen(0, 1, false);
    expire_hold(EXPIRE_STREAM, true);
    struct key key = key_n(1);
    assert_seen(0, 1, true);
    db_remove(db, &key, db_write(db, &key));
    expire_hold(EXPIRE_STREAM, false);
    key = key_n(2);
    assert_null(db_write(db, &key)); /* a writable replica needs its place */
    assert_int_equal(db_size(db), 998);
    assert_int_equal(events, 1);
    expire_hold(EXPIRE_REPLICA, false);
    run(clock_cached_ms); /* however long ago they were due */
    assert_int_equal(db_size(db), 0);
}

static void waiting_for_the_primary_costs_little(void **state) {
    (void)state;
    expire_hold(EXPIRE_REPLICA, true);
    set_by_stream(0, 1, START_MS);
    int turns = 0;
    for (int64_t now_ms = START_MS + 1, next_ms; now_ms < START_MS + 3600000; now_ms = next_ms, turns++) {
        clock_cached_ms = now_ms;
        next_ms = expire_run(now_ms);
        if (next_ms <= now_ms) next_ms = now_ms + 1;
    }
    assert_int_equal(wheel_marks(db_at(0)->wheel), 1);
    assert_true(turns < 40000); /* nearly all for other reasons: STALE_CHECK_MS */
    assert_true(exists(0, 1));
    expire_hold(EXPIRE_REPLICA, false);
}

static void a_replica_removes_what_its_clients_wrote(void **state) {
    (void)state;
    struct db *db = db_at(0);
    expire_hold(EXPIRE_REPLICA, true);
    set_by_stream(0, 1, START_MS + 10);
    set(0, 2, START_MS + 10);
    set_by_stream(0, 3, START_MS + 10);
    set(0, 3, START_MS + 20); /* taken over */
    set(0, 4, START_MS + 10);
    set_by_stream(0, 4, START_MS + 20); /* taken back */
    set(0, 5, START_MS + 10);
    set(0, 5, ENTRY_NO_TTL);
    set_by_stream(0, 7, START_MS + 10);
    set(0, 7, START_MS + 10); /* taken over with the deadline that it has */
    set(0, 8, START_MS + 10);
    set_by_stream(0, 8, START_MS + 10);
    set(0, 6, START_MS + 10);
    struct key six = key_n(6);
    char name[] = "new name";
    struct key new_name = key_of(slice_cstr(name));
    db_attach(db, &new_name, db_detach(db, &six, db_write(db, &six)));
    assert_int_equal(expire_tracked_keys(), 4); /* 2, 3, 7 and the new name */
    run(START_MS + 11);
    assert_false(exists(0, 2) || exists(0, 7));
    assert_true(exists(0, 1) && exists(0, 3) && exists(0, 4) && exists(0, 5) && exists(0, 8));
    assert_int_equal(expire_tracked_keys(), 1);
    run(START_MS + 100);
    assert_false(exists(0, 3));
    assert_true(exists(0, 1) && exists(0, 4) && exists(0, 8));
    assert_int_equal(events, 4);
    assert_int_equal(expire_tracked_keys(), 0);
    set(1, 1, START_MS + 1000);
    db_swap(1, 2);
    assert_int_equal(expire_tracked_keys(), 1);
    db_empty(db_at(2), false);
    assert_int_equal(expire_tracked_keys(), 0);
    expire_hold(EXPIRE_REPLICA, false);
}

/* What was local before a promotion belongs to the history since, also on the replica that this server becomes. */
static void after_a_promotion_nothing_is_local(void **state) {
    (void)state;
    expire_hold(EXPIRE_REPLICA, true);
    for (int i = 0; i < 100; i++)
        set(0, i, FAR_MS);
    set(0, 100, START_MS + 10);
    set_by_stream(0, 101, START_MS + 10);
    assert_int_equal(expire_tracked_keys(), 101);
    expire_hold(EXPIRE_REPLICA, false);
    run(START_MS + 1);
    assert_int_equal(expire_tracked_keys(), 0);
    run(START_MS + 11);
    assert_false(exists(0, 100) || exists(0, 101));
    expire_hold(EXPIRE_REPLICA, true);
    run(FAR_MS + 10);
    assert_int_equal(db_size(db_at(0)), 100);
    expire_hold(EXPIRE_REPLICA, false);
}

static void a_pause_holds_local_keys_too(void **state) {
    (void)state;
    expire_hold(EXPIRE_REPLICA, true);
    set(0, 1, START_MS);
    expire_hold(EXPIRE_PAUSED, true);
    clock_cached_ms = START_MS + 1;
    assert_int_equal(expire_run(START_MS + 1), INT64_MAX);
    assert_seen(0, 1, false);
    assert_true(exists(0, 1));
    expire_hold(EXPIRE_PAUSED, false);
    run(START_MS + 1);
    assert_false(exists(0, 1));
    expire_hold(EXPIRE_REPLICA, false);
}

static void stale_marks_are_bounded_on_a_replica(void **state) {
    (void)state;
    struct db *db = db_at(0);
    expire_hold(EXPIRE_REPLICA, true);
    for (int i = 0; i < 100000; i++) {
        set_by_stream(0, 1, FAR_MS + i);
        struct key key = key_n(1);
        db_remove(db, &key, db_find(db, &key));
        if (i % 50 == 0) expire_run(++clock_cached_ms);
    }
    assert_in_range(expire_stale_marks(db), 0, 20000);
    expire_hold(EXPIRE_REPLICA, false);
}

static void only_the_first_databases_are_looked_after(void **state) {
    (void)state;
    db_shutdown();
    db_init(EXPIRE_LOCAL_DBS + 1);
    expire_hold(EXPIRE_REPLICA, true);
    set(EXPIRE_LOCAL_DBS - 1, 1, START_MS);
    set(EXPIRE_LOCAL_DBS, 1, START_MS);
    assert_int_equal(expire_tracked_keys(), 1);
    run(START_MS + 1);
    assert_false(exists(EXPIRE_LOCAL_DBS - 1, 1));
    assert_true(exists(EXPIRE_LOCAL_DBS, 1));
    expire_hold(EXPIRE_REPLICA, false);
    run(START_MS + 1);
    assert_false(exists(EXPIRE_LOCAL_DBS, 1));
}

/* Random writes of clients and of the primary: what goes by itself is exactly what clients gave its deadline. */
static void random_writes_on_a_replica(void **state) {
    enum { n = 300 };
    struct {
        int64_t deadline_ms;
        bool exists, local;
    } model[n] = {0};
    (void)state;
    expire_hold(EXPIRE_REPLICA, true);
    for (int64_t now_ms = START_MS; now_ms < START_MS + 4000; now_ms++) {
        run(now_ms);
        size_t local = 0;
        for (int i = 0; i < n; i++) {
            if (model[i].local && model[i].deadline_ms < now_ms) model[i].exists = model[i].local = false;
            assert_int_equal(exists(0, i), model[i].exists);
            local += model[i].local;
        }
        assert_int_equal(expire_tracked_keys(), local);
        for (int writes = 0; writes < 3; writes++) {
            int i = (int)rand_below(n);
            bool stream = rand_below(2);
            int64_t deadline_ms = rand_below(4) ? now_ms + (int64_t)rand_below(500) : ENTRY_NO_TTL;
            stream ? set_by_stream(0, i, deadline_ms) : (void)set(0, i, deadline_ms);
            model[i].exists = true;
            model[i].deadline_ms = deadline_ms;
            model[i].local = !stream && deadline_ms != ENTRY_NO_TTL;
        }
    }
    expire_hold(EXPIRE_REPLICA, false);
}

static int setup(void **state) {
    *state = (void *)alloc_used();
    clock_cached_ms = START_MS;
    db_metrics = (struct db_metrics){0};
    events = 0;
    db_hooks = (struct db_hooks){.expired = on_expired};
    db_init(3);
    return 0;
}

static int teardown(void **state) {
    db_shutdown();
    return alloc_used() == (size_t)*state ? 0 : -1;
}

int main(void) {
    const char *given = getenv("SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    printf("SEED=%llu\n", (unsigned long long)seed);
    hash_seed(seed);
    rand_seed(seed);
    clock_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(deadlines_are_kept_among_far_ones, setup, teardown),
        cmocka_unit_test_setup_teardown(moved_deadlines_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(stale_marks_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(marks_that_fit_a_later_life_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(colliding_marks, setup, teardown),
        cmocka_unit_test_setup_teardown(work_is_sliced_and_fair, setup, teardown),
        cmocka_unit_test_setup_teardown(swapped_and_emptied, setup, teardown),
        cmocka_unit_test_setup_teardown(extremes, setup, teardown),
        cmocka_unit_test_setup_teardown(clock_set_back, setup, teardown),
        cmocka_unit_test_setup_teardown(can_be_disabled, setup, teardown),
        cmocka_unit_test_setup_teardown(can_be_held, setup, teardown),
        cmocka_unit_test_setup_teardown(says_when_to_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(mean_ttl, setup, teardown),
        cmocka_unit_test_setup_teardown(only_the_primary_removes_its_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(waiting_for_the_primary_costs_little, setup, teardown),
        cmocka_unit_test_setup_teardown(a_replica_removes_what_its_clients_wrote, setup, teardown),
        cmocka_unit_test_setup_teardown(after_a_promotion_nothing_is_local, setup, teardown),
        cmocka_unit_test_setup_teardown(a_pause_holds_local_keys_too, setup, teardown),
        cmocka_unit_test_setup_teardown(stale_marks_are_bounded_on_a_replica, setup, teardown),
        cmocka_unit_test_setup_teardown(only_the_first_databases_are_looked_after, setup, teardown),
        cmocka_unit_test_setup_teardown(random_writes_on_a_replica, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
