/* The table of keys and the clients that have copies: a random history agrees with a model, no memory is lost, and a
 * key takes few bytes. */
#include "base/alloc.h"
#include "base/hash.h"
#include "base/rand.h"
#include "base/worker.h"
#include "publish/tracked.h"
#include "seed.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { KEYS = 200, CLIENTS = 64 };

static bool has[KEYS][CLIENTS + 1]; /* ids begin with 1 */
static bool alive[CLIENTS + 1];

static bool is_alive(uint64_t id) {
    return alive[id];
}

static struct key key_number(int i, char name[32]) {
    /* of many lengths, the empty one among them */
    int n = i == 0 ? 0 : snprintf(name, 32, "%.*s%d", i % 20, "abcdefghijklmnopqrstuvwxyz", i);
    return key_of(slice_of(name, (size_t)n));
}

struct seen {
    bool ids[CLIENTS + 1];
};

static void see(void *ctx, uint64_t id) {
    struct seen *seen = ctx;
    assert_in_range(id, 1, CLIENTS);
    assert_false(seen->ids[id]); /* once */
    seen->ids[id] = true;
}

/* All clients that have the key and are not closed are visited; closed ones may be. */
static void check_taken(struct tracked *k, int i) {
    struct seen seen = {0};
    bool any = false;
    for (int id = 1; id <= CLIENTS; id++)
        any = any || (has[i][id] && alive[id]);
    if (k == NULL) {
        assert_false(any);
        return;
    }
    tracked_each(k, see, &seen);
    for (int id = 1; id <= CLIENTS; id++) {
        if (alive[id])
            assert_int_equal(seen.ids[id], has[i][id]);
        else if (seen.ids[id])
            assert_true(has[i][id]);
    }
    memset(has[i], 0, sizeof has[i]);
    tracked_free(k);
}

static int number_of(struct slice wanted) {
    char name[32];
    for (int i = 0; i < KEYS; i++)
        if (slice_eq(key_number(i, name).name, wanted)) return i;
    fail();
    return -1;
}

static void a_random_history_agrees_with_a_model(void **state) {
    (void)state;
    uint64_t seed = seed_of_run();
    printf("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    hash_seed(seed);
    size_t used = alloc_used();
    struct tracked_table t = TRACKED_EMPTY;
    memset(alive, 1, sizeof alive);
    for (int step = 0; step < 300000; step++) {
        char name[32];
        int i = (int)rand_below(KEYS), id = 1 + (int)rand_below(CLIENTS);
        struct key key = key_number(i, name);
        switch (rand_below(20)) {
        case 0: check_taken(tracked_take(&t, &key), i); break;
        case 1: alive[id] = false; break; /* and never comes back */
        case 2:
            if (rand_below(2)) break;
            struct tracked *k = tracked_take_any(&t);
            if (k) check_taken(k, number_of(tracked_name(k)));
            break;
        case 3:
            if (rand_below(1000)) break;
            tracked_clear(&t);
            memset(has, 0, sizeof has);
            memset(alive, 1, sizeof alive);
            break;
        default:
            if (!alive[id]) break;
            tracked_add(&t, &key, (uint64_t)id, is_alive);
            has[i][id] = true;
        }
    }
    table_check(&t.keys);
    for (int i = 0; i < KEYS; i++) {
        char name[32];
        struct key key = key_number(i, name);
        check_taken(tracked_take(&t, &key), i);
    }
    assert_int_equal(t.keys.count, 0);
    assert_int_equal(t.ids, 0);
    tracked_clear(&t);
    assert_int_equal(alloc_used(), used);
}

static void ids_are_counted_once(void **state) {
    (void)state;
    struct tracked_table t = TRACKED_EMPTY;
    memset(alive, 1, sizeof alive);
    struct key key = key_of(SLICE("k"));
    for (int round = 0; round < 2; round++)
        for (uint64_t id = 1; id <= CLIENTS; id++)
            tracked_add(&t, &key, id, is_alive);
    assert_int_equal(t.ids, CLIENTS);
    tracked_free(tracked_take(&t, &key));
    assert_int_equal(t.ids, 0);
    /* A closed client makes room for the next one. */
    tracked_add(&t, &key, 1, is_alive);
    alive[1] = false;
    tracked_add(&t, &key, 2, is_alive);
    assert_int_equal(t.ids, 1);
    tracked_clear(&t);
}

/* When a set of ids has to grow, those of closed clients are left out. */
static void closed_clients_make_room(void **state) {
    (void)state;
    struct tracked_table t = TRACKED_EMPTY;
    memset(alive, 1, sizeof alive);
    struct key key = key_of(SLICE("k"));
    for (uint64_t id = 1; id <= 3; id++)
        tracked_add(&t, &key, id, is_alive);
    alive[1] = alive[3] = false;
    tracked_add(&t, &key, 4, is_alive);
    assert_int_equal(t.ids, 2);
    tracked_clear(&t);
}

static void a_key_of_one_client_is_small(void **state) {
    (void)state;
    struct tracked_table t = TRACKED_EMPTY;
    size_t before = alloc_used();
    for (int i = 0; i < 100000; i++) {
        char name[32];
        snprintf(name, sizeof name, "key:%012d", i);
        struct key key = key_of(slice_of(name, 16));
        tracked_add(&t, &key, 7, is_alive);
    }
    double each = (double)(alloc_used() - before) / 100000;
    printf("%.1f bytes a key\n", each);
    assert_true(each < 44);
    tracked_clear(&t); /* on the worker */
    worker_drain();
    assert_true(alloc_used() <= before);
    struct key key = key_of(SLICE("k"));
    tracked_add(&t, &key, 7, is_alive); /* the table is as good as new */
    assert_int_equal(t.keys.count, 1);
    tracked_free(tracked_take(&t, &key));
}

static int start_worker(void **state) {
    (void)state;
    worker_start();
    return 0;
}

static int stop_worker(void **state) {
    (void)state;
    worker_stop();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_random_history_agrees_with_a_model),
        cmocka_unit_test(ids_are_counted_once),
        cmocka_unit_test(closed_clients_make_room),
        cmocka_unit_test(a_key_of_one_client_is_small),
    };
    return cmocka_run_group_tests(tests, start_worker, stop_worker);
}
