/* The two encodings of a sorted set against each other, with random operations. */
#include "base/clock.h"
#include "base/rand.h"
#include "base/worker.h"
#include "seed.h"
#include "store/value.h"
#include "store/zset.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { STEPS = 20000, MEMBERS = 60 };

static struct db *db;
static struct key small_key, big_key;

/* A sorted set that became a skiplist by a member of 65 bytes. */
static struct entry *make_big(void) {
    struct entry *e = NULL;
    char name[65] = {0};
    double score = 0;
    assert_int_equal(zset_add(db, &big_key, &e, slice_of(name, sizeof name), &score, 0), ZSET_ADDED);
    assert_string_equal(entry_encoding_name(e), "skiplist");
    assert_true(zset_remove(db, &e, slice_of(name, sizeof name)));
    return e;
}

static void assert_same(const struct entry *small, const struct entry *big) {
    struct zset_walk a, b;
    size_t rank, n = 0;
    double score;
    assert_int_equal(zset_count(small), zset_count(big));
    zset_walk_from(&a, small, 0);
    zset_walk_from(&b, big, 0);
    for (; zset_walk_next(&a); n++) {
        assert_true(zset_walk_next(&b));
        assert_true(slice_eq(a.member, b.member));
        assert_true(a.score == b.score);
        assert_true(zset_rank(small, a.member, &rank, &score) && rank == n && score == a.score);
        assert_true(zset_rank(big, b.member, &rank, &score) && rank == n && score == a.score);
    }
    assert_false(zset_walk_next(&b));
    while (zset_walk_prev(&a)) {
        assert_true(zset_walk_prev(&b));
        assert_true(slice_eq(a.member, b.member));
        assert_true(a.score == b.score);
    }
    assert_false(zset_walk_prev(&b));
}

/* Walk to and fro: the members read ahead must not matter. */
static void assert_same_wander(const struct entry *small, const struct entry *big) {
    struct zset_walk a, b;
    size_t rank = rand_below(zset_count(small) + 1);
    zset_walk_from(&a, small, rank);
    zset_walk_from(&b, big, rank);
    for (int i = 0; i < 100; i++) {
        bool forward = rand_below(3) > 0;
        bool moved = forward ? zset_walk_next(&a) : zset_walk_prev(&a);
        assert_int_equal(moved, forward ? zset_walk_next(&b) : zset_walk_prev(&b));
        if (moved) assert_true(slice_eq(a.member, b.member) && a.score == b.score);
    }
}

static void assert_same_spans(const struct entry *small, const struct entry *big) {
    struct zset_score_range r = {(double)rand_below(12) - 6, (double)rand_below(12) - 6, rand_below(2), rand_below(2)};
    struct zset_span a = zset_span_by_score(small, &r), b = zset_span_by_score(big, &r);
    assert_int_equal(a.n, b.n);
    if (a.n) assert_int_equal(a.first, b.first);
}

static void both_encodings_agree(void **state) {
    (void)state;
    uint64_t seed = seed_of_run();
    printf("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    struct entry *small = NULL, *big = make_big();
    double zero = 0;
    zset_add(db, &small_key, &small, SLICE("first"), &zero, 0);
    zset_add(db, &big_key, &big, SLICE("first"), &zero, 0);
    for (int i = 0; i < STEPS; i++) {
        char text[32];
        int len = snprintf(text, sizeof text, rand_below(2) ? "%d" : "member:%d", (int)rand_below(MEMBERS));
        struct slice member = slice_of(text, (size_t)len);
        if (rand_below(4) == 0) {
            assert_int_equal(zset_remove(db, &small, member), zset_remove(db, &big, member));
        } else if (rand_below(40) == 0) {
            size_t first = rand_below(zset_count(small) + 1), n = rand_below(zset_count(small) - first + 1);
            zset_remove_span(db, &small, first, n);
            zset_remove_span(db, &big, first, n);
        } else {
            double a = (double)(rand_below(40)) / 4 - 5, b = a;
            unsigned conditions = (unsigned)rand_below(32);
            assert_int_equal(zset_add(db, &small_key, &small, member, &a, conditions),
                             zset_add(db, &big_key, &big, member, &b, conditions));
            assert_true(a == b);
        }
        assert_same_spans(small, big);
        if (i % 50 == 0) assert_same(small, big);
        if (i % 50 == 1) assert_same_wander(small, big);
    }
    assert_string_equal(entry_encoding_name(small), "listpack");
    struct zset *copy = zset_ops.copy(entry_pointer(big), ZSET_SKIPLIST);
    skiplist_check(&copy->order);
    table_check(&copy->members);
    zset_ops.drop(copy, ZSET_SKIPLIST);
}

/* Ranges of all lengths, which leave many members, few, or none. */
static void long_ranges_are_cut(void **state) {
    (void)state;
    enum { MOST = 3000 };
    for (int round = 0; round < 60; round++) {
        size_t count = 1 + rand_below(MOST), first = rand_below(count), n = 1 + rand_below(count - first);
        if (round % 10 == 0) first = 0, n = count;
        struct entry *e = make_big();
        for (size_t i = 0; i < count; i++) {
            double score = (double)i;
            zset_add(db, &big_key, &e, slice_of((char *)&i, sizeof i), &score, 0);
        }
        zset_remove_span(db, &e, first, n);
        struct zset *z = entry_pointer(e);
        skiplist_check(&z->order);
        table_check(&z->members);
        assert_int_equal(z->members.count, count - n);
        struct zset_walk w;
        zset_walk_from(&w, e, 0);
        for (size_t i = 0; i < count; i++) {
            double score;
            bool stays = i < first || i >= first + n;
            assert_int_equal(zset_score(e, slice_of((char *)&i, sizeof i), &score), stays);
            if (stays) assert_true(zset_walk_next(&w) && w.score == (double)i);
        }
        db_remove(db, &big_key, e);
    }
    worker_drain();
}

static int set_up(void **state) {
    (void)state;
    clock_init();
    rand_init();
    hash_init();
    db_init(1);
    db = db_at(0);
    worker_start();
    small_key = key_of(SLICE("small"));
    big_key = key_of(SLICE("big"));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    db_shutdown();
    worker_stop();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(long_ranges_are_cut), cmocka_unit_test(both_encodings_agree)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
