/* Watched keys: a touch concerns those who watch that key in that database, once; what they watched is let go at once;
 * a random history agrees with a model that remembers everything. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/rand.h"
#include "exec/watch.h"
#include "seed.h"
#include "store/changes.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define START_MS 1700000000000

static struct key named(const char *name) {
    return key_of(slice_cstr(name));
}

static void watch(struct watching *w, int db, const char *name) {
    struct key key = named(name);
    watch_add(w, db_at(db), &key);
}

static void set(int db, const char *name, int64_t deadline_ms) {
    struct key key = named(name);
    db_set_string(db_at(db), &key, db_write(db_at(db), &key), SLICE("v"), deadline_ms);
    db_changed(db_at(db), &key, DB_STRING, "set");
}

static void look(int db, const char *name) {
    struct key key = named(name);
    db_look(db_at(db), &key);
}

static int setup(void **state) {
    (void)state;
    clock_cached_ms = START_MS;
    db_init(4);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    assert_null(db_hooks.changed); /* nobody watches: nobody listens */
    db_shutdown();
    return 0;
}

static void a_touch_concerns_its_watchers(void **state) {
    (void)state;
    size_t used = alloc_used();
    struct watching a = {0}, b = {0}, c = {0};
    watch(&a, 0, "k");
    watch(&a, 0, "j");
    watch(&b, 0, "k");
    watch(&c, 1, "k");
    assert_non_null(db_hooks.changed);
    set(0, "other", ENTRY_NO_TTL);
    assert_false(a.touched || b.touched || c.touched);
    set(0, "k", ENTRY_NO_TTL);
    assert_true(a.touched && b.touched && !c.touched);
    assert_true(a.count == 0 && b.count == 0 && c.count == 1);
    watch_drop_all(&c);
    db_empty(db_at(0), false);
    assert_int_equal(alloc_used(), used);
}

static void a_key_twice_is_a_key_once(void **state) {
    (void)state;
    struct watching a = {0}, b = {0};
    for (int i = 0; i < 3; i++) {
        watch(&a, 0, "k");
        watch(&b, 0, "k");
        watch(&b, 0, "j");
    }
    assert_true(a.count == 1 && b.count == 2);
    watch_drop_all(&a);
    watch_drop_all(&b);
}

static void time_touches_what_it_had_not_taken_yet(void **state) {
    (void)state;
    struct watching early = {0}, late = {0};
    set(0, "k", START_MS + 10);
    watch(&early, 0, "k");
    clock_cached_ms += 20;
    watch(&late, 0, "k");
    assert_true(watch_any_due(&early));
    assert_false(watch_any_due(&late)); /* for this one it has never been there */
    look(0, "k");
    assert_true(early.touched && !late.touched);
    set(0, "k", ENTRY_NO_TTL);
    assert_true(late.touched);
    watch_drop_all(&early);
    watch_drop_all(&late);
}

static void events_without_a_change_touch_nothing(void **state) {
    (void)state;
    struct watching w = {0};
    struct key key = named("k");
    watch(&w, 0, "k");
    db_notify(db_at(0), &key, DB_MISS, "keymiss");
    assert_false(w.touched);
    watch_drop_all(&w);
}

static void eviction_is_a_touch(void **state) {
    (void)state;
    struct watching w = {0}, late = {0};
    struct key key = named("k");
    set(0, "k", START_MS + 10);
    watch(&w, 0, "k");
    clock_cached_ms += 20;
    watch(&late, 0, "k"); /* evicted or not: for this one it has never been there */
    db_hooks.evicted(db_at(0), &key);
    assert_true(w.touched);
    watch_drop_all(&w);
    watch_drop_all(&late);
}

/* The removal of a key that was due already happens once; what comes then is a touch. */
static void a_stale_watch_is_stale_once(void **state) {
    (void)state;
    struct watching w = {0};
    set(0, "k", START_MS + 10);
    clock_cached_ms += 20;
    watch(&w, 0, "k");
    look(0, "k"); /* removes it */
    assert_false(w.touched);
    set(0, "j", ENTRY_NO_TTL);
    set(0, "k", clock_cached_ms + 10);
    assert_true(w.touched);
    watch_drop_all(&w);
    w.touched = false;
    watch(&w, 0, "k");
    clock_cached_ms += 20;
    look(0, "k");
    assert_true(w.touched); /* it was not due when it was watched */
    watch_drop_all(&w);
}

static void a_flush_touches_keys_that_exist(void **state) {
    (void)state;
    struct watching there = {0}, absent = {0}, elsewhere = {0}, stale = {0};
    set(0, "k", ENTRY_NO_TTL);
    set(0, "due", START_MS + 10);
    set(1, "k", ENTRY_NO_TTL);
    clock_cached_ms += 20;
    watch(&there, 0, "k");
    watch(&absent, 0, "j");
    watch(&elsewhere, 1, "k");
    watch(&stale, 0, "due");
    db_empty(db_at(0), false);
    assert_true(there.touched);
    assert_false(absent.touched || elsewhere.touched || stale.touched);
    set(0, "due", ENTRY_NO_TTL);
    assert_true(stale.touched); /* the flush has removed what was stale */
    struct watching *all[] = {&there, &absent, &elsewhere, &stale};
    for (size_t i = 0; i < 4; i++)
        watch_drop_all(all[i]);
}

static void a_swap_touches_keys_of_either_database(void **state) {
    (void)state;
    struct watching here = {0}, there = {0}, both = {0}, neither = {0}, far = {0};
    set(0, "here", ENTRY_NO_TTL);
    set(1, "there", ENTRY_NO_TTL);
    set(0, "both", ENTRY_NO_TTL);
    set(1, "both", ENTRY_NO_TTL);
    set(2, "here", ENTRY_NO_TTL);
    watch(&here, 0, "here");
    watch(&there, 0, "there");
    watch(&both, 1, "both");
    watch(&neither, 0, "neither");
    watch(&far, 2, "here");
    db_swap(0, 1);
    assert_true(here.touched && there.touched && both.touched);
    assert_false(neither.touched || far.touched);
    struct watching *all[] = {&here, &there, &both, &neither, &far};
    for (size_t i = 0; i < 5; i++)
        watch_drop_all(all[i]);
}

static void a_replacement_touches_keys_of_either(void **state) {
    (void)state;
    struct watching before = {0}, after = {0}, both = {0}, neither = {0}, due = {0};
    struct db *spare = db_spare_new();
    set(0, "before", ENTRY_NO_TTL);
    set(0, "both", ENTRY_NO_TTL);
    static const char *const names[] = {"after", "both", "due"};
    for (int i = 0; i < 3; i++) {
        struct key key = key_of(slice_cstr(names[i]));
        db_insert_new(&spare[0], &key, entry_new(key.name, ENTRY_STRING, STRING_RAW, 0, i < 2 ? -1 : START_MS - 1));
    }
    watch(&before, 0, "before");
    watch(&after, 0, "after");
    watch(&both, 0, "both");
    watch(&neither, 0, "neither");
    watch(&due, 0, "due");
    db_spare_use(spare, false, NULL);
    assert_true(before.touched && after.touched && both.touched);
    assert_false(neither.touched || due.touched);
    look(0, "due"); /* removes it, which is no touch */
    assert_false(due.touched);
    struct watching *all[] = {&before, &after, &both, &neither, &due};
    for (size_t i = 0; i < 5; i++)
        watch_drop_all(all[i]);
}

/* A key that is past its deadline is as good as absent, on both sides of a swap. */
static void a_swap_with_keys_that_are_due(void **state) {
    (void)state;
    struct watching stale = {0}, absent = {0}, to_due = {0};
    set(0, "stale", START_MS + 10);
    set(1, "stale", START_MS + 10);
    set(1, "absent", START_MS + 10);
    set(0, "alive", ENTRY_NO_TTL);
    set(1, "alive", START_MS + 10);
    clock_cached_ms += 20;
    watch(&stale, 0, "stale");
    watch(&absent, 0, "absent");
    watch(&to_due, 0, "alive");
    db_swap(0, 1);
    assert_false(stale.touched || absent.touched);
    assert_true(to_due.touched);
    assert_false(watch_any_due(&stale) || watch_any_due(&absent));
    look(0, "stale"); /* removes them, which is no touch */
    look(0, "absent");
    assert_false(stale.touched || absent.touched);
    set(0, "stale", ENTRY_NO_TTL);
    set(0, "absent", ENTRY_NO_TTL);
    assert_true(stale.touched && absent.touched);
    watch_drop_all(&stale);
    watch_drop_all(&absent);
    watch_drop_all(&to_due);
}

static void memory_is_that_of_the_watches(void **state) {
    (void)state;
    struct watching w = {0};
    assert_int_equal(watch_memory(&w), 0);
    watch(&w, 0, "a");
    size_t one = watch_memory(&w);
    watch(&w, 0, "b");
    assert_true(one > 0 && watch_memory(&w) == 2 * one);
    watch_drop_all(&w);
    assert_int_equal(watch_memory(&w), 0);
}

/* For each of a few watchers and keys: watched or not, touched or not. */
static void a_random_history(void **state) {
    (void)state;
    enum { WATCHERS = 8, KEYS = 30, DBS = 2 };
    static struct watching watchers[WATCHERS];
    static bool watched[WATCHERS][DBS][KEYS], touched[WATCHERS];
    for (int step = 0; step < 50000; step++) {
        int who = (int)rand_below(WATCHERS), db = (int)rand_below(DBS), k = (int)rand_below(KEYS);
        char name[8];
        snprintf(name, sizeof name, "k%d", k);
        switch (rand_below(10)) {
        case 0:
            watch_drop_all(&watchers[who]);
            watchers[who].touched = touched[who] = false;
            memset(watched[who], 0, sizeof watched[who]);
            break;
        case 1:
        case 2:
            set(db, name, ENTRY_NO_TTL);
            for (int w = 0; w < WATCHERS; w++) {
                if (!watched[w][db][k]) continue;
                touched[w] = true;
                memset(watched[w], 0, sizeof watched[w]);
            }
            break;
        default:
            if (touched[who]) break;
            watch(&watchers[who], db, name);
            watched[who][db][k] = true;
        }
        for (int w = 0; w < WATCHERS; w++) {
            size_t count = 0;
            for (int i = 0; i < DBS * KEYS; i++)
                count += watched[w][i / KEYS][i % KEYS];
            assert_int_equal(watchers[w].touched, touched[w]);
            assert_int_equal(watchers[w].count, count);
        }
    }
    for (int w = 0; w < WATCHERS; w++)
        watch_drop_all(&watchers[w]);
}

int main(void) {
    clock_init();
    hash_init();
    uint64_t seed = seed_of_run();
    printf("SEED=%llu\n", (unsigned long long)seed);
    rand_seed(seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_touch_concerns_its_watchers, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_twice_is_a_key_once, setup, teardown),
        cmocka_unit_test_setup_teardown(time_touches_what_it_had_not_taken_yet, setup, teardown),
        cmocka_unit_test_setup_teardown(events_without_a_change_touch_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(eviction_is_a_touch, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stale_watch_is_stale_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_flush_touches_keys_that_exist, setup, teardown),
        cmocka_unit_test_setup_teardown(a_swap_touches_keys_of_either_database, setup, teardown),
        cmocka_unit_test_setup_teardown(a_swap_with_keys_that_are_due, setup, teardown),
        cmocka_unit_test_setup_teardown(a_replacement_touches_keys_of_either, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_is_that_of_the_watches, setup, teardown),
        cmocka_unit_test_setup_teardown(a_random_history, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
