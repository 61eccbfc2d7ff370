/* Sets against a model, in all encodings; random members are drawn fairly. */
#include "base/clock.h"
#include "base/rand.h"
#include "base/worker.h"
#include "seed.h"
#include "store/set.h"
#include "store/value.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MODEL 1500 /* possible members, by number */

static struct db *db;
static struct key key;
static uint64_t seed;
static bool model[MODEL];

/* The text of member n of a kind: integers of all widths, short texts, or texts some of which are long. */
static struct slice member(int kind, int n, char text[400]) {
    int64_t number = n % 3 == 0 ? n - 700 : n % 3 == 1 ? (int64_t)n * 70000 : INT64_MIN + n;
    if (kind == 0) return slice_of(text, (size_t)num_print_i64(text, number));
    int len = sprintf(text, "m%d", n);
    if (kind == 2 && n % 50 == 0) len = sprintf(text, "%0*d", 60 + n % 300, n);
    return slice_of(text, (size_t)len);
}

static void remove_key(void) {
    struct entry *e = db_peek(db, &key);
    if (e) db_remove(db, &key, e);
    memset(model, 0, sizeof model);
}

static struct entry *add(struct entry *e, struct slice text) {
    int64_t added;
    return set_add(db, &key, e, &text, 1, &added);
}

static void assert_encoding(const struct entry *e, const char *name) {
    assert_string_equal(entry_encoding_name(e), name);
}

static void check(const struct entry *e, int kind) {
    size_t count = 0, seen = 0;
    char text[400], scratch[NUM_I64_MAX];
    for (int n = 0; n < MODEL; n++) {
        count += model[n];
        assert_int_equal(e && set_has(e, member(kind, n, text)), model[n]);
    }
    if (!e) {
        assert_int_equal(count, 0);
        return;
    }
    struct set_iter it;
    struct listpack_value value;
    assert_int_equal(set_count(e), count);
    set_iter_init(&it, e);
    while (set_iter_next(&it, &value)) {
        assert_true(set_has(e, listpack_value_text(value, scratch)) && set_has_value(e, value));
        seen++;
    }
    assert_int_equal(seen, count);
}

/* Add and remove random members, several at a time, so that the set grows and shrinks in turn. */
static void random_changes(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        remove_key();
        for (int round = 0; round < 4000; round++) {
            struct entry *e = db_peek(db, &key);
            char text[24][400];
            struct slice members[24];
            int n = 1 + (int)rand_below(round % 5 ? 3 : 24), range = round % 1000 < 200 ? 20 : MODEL;
            bool adding = rand_below(100) < (round / 500 % 2 ? 30 : 70);
            int64_t expected = 0, done = 0;
            for (int i = 0; i < n; i++) {
                int which = (int)rand_below((uint64_t)range);
                members[i] = member(kind, which, text[i]);
                expected += model[which] != adding;
                if (adding || e) model[which] = adding;
            }
            if (!adding && !e) continue;
            e = adding ? set_add(db, &key, e, members, n, &done) : set_remove(db, e, members, n, &done);
            assert_int_equal(done, expected);
            if (set_count(e) == 0) remove_key();
            if (round % 50 == 0) check(db_peek(db, &key), kind);
        }
        check(db_peek(db, &key), kind);
    }
}

static void thresholds(void **state) {
    (void)state;
    char text[400];
    struct entry *e = NULL;
    remove_key();
    for (int n = 0; n < 512; n++)
        e = add(e, member(0, n, text));
    assert_encoding(e, "intset");
    assert_encoding(add(e, SLICE("513")), "hashtable");
    remove_key();
    e = NULL;
    for (int n = 0; n < 127; n++)
        e = add(e, member(0, n, text));
    e = add(e, SLICE("a"));
    assert_encoding(e, "listpack");
    assert_encoding(add(e, SLICE("a")), "listpack");
    assert_encoding(add(e, SLICE("b")), "hashtable");
    remove_key();
    memset(text, 'x', sizeof text);
    e = add(NULL, slice_of(text, 64));
    assert_encoding(e, "listpack");
    assert_encoding(add(e, slice_of(text, 65)), "hashtable");
}

/* An entry holds 65535 bytes of value, even if the options allow more. */
static void an_entry_limits_small_sets(void **state) {
    (void)state;
    struct set_options saved = set_options;
    set_options = (struct set_options){INT64_MAX, INT64_MAX, INT64_MAX};
    for (int kind = 0; kind < 2; kind++) {
        struct entry *e = NULL;
        remove_key();
        for (int n = 0; n < 20000; n++) {
            char text[400];
            e = add(e, member(kind, n, text));
        }
        assert_int_equal(set_count(e), 20000);
        assert_encoding(e, "hashtable");
    }
    remove_key();
    char *huge = malloc(100000);
    memset(huge, 'h', 100000);
    struct entry *e = add(add(NULL, SLICE("7")), slice_of(huge, 100000));
    assert_true(set_has(e, slice_of(huge, 100000)) && set_has(e, SLICE("7")));
    assert_encoding(e, "hashtable");
    free(huge);
    set_options = saved;
}

static void count_draw(void *ctx, struct listpack_value value) {
    unsigned *draws = ctx;
    char scratch[NUM_I64_MAX];
    int64_t n;
    struct slice text = listpack_value_text(value, scratch);
    if (text.ptr[0] == 'm') text = slice_of(text.ptr + 1, text.len - 1);
    assert_true(num_parse_i64(text, &n));
    draws[n]++;
}

static struct entry *make(int kind, int count) {
    struct entry *e = NULL;
    remove_key();
    for (int n = 0; n < count; n++) {
        char text[400];
        e = add(e, kind ? member(1, n, text) : slice_of(text, (size_t)sprintf(text, "%d", n)));
    }
    return e;
}

/* Chi squared of draws that should be equally frequent. With n degrees of freedom it is nearly always below n + 6
 * sqrt(2n). */
static void assert_fair(const unsigned *draws, int n, double expected) {
    double chi = 0, bound = n + 6 * 1.4143 * __builtin_sqrt(n);
    for (int i = 0; i < n; i++)
        chi += (draws[i] - expected) * (draws[i] - expected) / expected;
    assert_true(chi < bound);
}

static void random_members_are_fair(void **state) {
    (void)state;
    static const struct {
        int kind, count, wanted;
    } cases[] = {{0, 100, 7}, {1, 100, 7}, {1, 100, 60}, {1, 400, 7}, {1, 400, 300}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum { ROUNDS = 20000 };
        unsigned one[400] = {0}, some[400] = {0};
        int count = cases[i].count;
        struct entry *e = make(cases[i].kind, count);
        for (int round = 0; round < ROUNDS; round++) {
            count_draw(one, set_random(e).member);
            if (round % 10 == 0) set_sample(e, (size_t)cases[i].wanted, count_draw, some);
        }
        assert_fair(one, count, (double)ROUNDS / count);
        /* The spread is smaller without replacement. */
        assert_fair(some, count, (double)ROUNDS / 10 * cases[i].wanted / count);
    }
}

/* Each member was either reported as removed or is still in the set. */
static void keeping_some(void **state) {
    (void)state;
    static const struct {
        int kind, count, keep;
    } cases[] = {{0, 100, 1},    {1, 100, 40},   {1, 1000, 1},     {1, 1000, 150},
                 {1, 1000, 900}, {1, 50000, 17}, {1, 50000, 30000}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int count = cases[i].count;
        unsigned *seen = calloc((size_t)count, sizeof *seen);
        struct entry *e = make(cases[i].kind, count);
        e = set_keep_random(db, e, (size_t)cases[i].keep, count_draw, seen);
        assert_int_equal(set_count(e), cases[i].keep);
        struct set_iter it;
        struct listpack_value value;
        set_iter_init(&it, e);
        unsigned *kept = calloc((size_t)count, sizeof *kept);
        while (set_iter_next(&it, &value))
            count_draw(kept, value);
        int stayed = 0;
        for (int n = 0; n < count; n++) {
            assert_int_equal(seen[n] + kept[n], 1);
            stayed += (int)kept[n];
        }
        assert_int_equal(stayed, cases[i].keep);
        free(kept);
        free(seen);
    }
    worker_drain();
}

static void drafts_choose_their_encoding(void **state) {
    (void)state;
    static const struct {
        int kind, count;
        const char *encoding;
    } cases[] = {{0, 512, "intset"},    {0, 513, "hashtable"}, {1, 128, "listpack"},
                 {1, 129, "hashtable"}, {2, 60, "hashtable"},  {1, 1000, "hashtable"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct set_draft draft;
        char text[400];
        set_draft_init(&draft);
        for (int pass = 0; pass < 2; pass++)
            for (int n = 0; n < cases[i].count; n++)
                assert_int_equal(set_draft_add(&draft, member(cases[i].kind, n, text)), pass == 0);
        set_draft_store(db, &key, db_peek(db, &key), &draft);
        struct entry *e = db_peek(db, &key);
        assert_encoding(e, cases[i].encoding);
        for (int n = 0; n < MODEL; n++)
            model[n] = n < cases[i].count;
        check(e, cases[i].kind);
    }
}

static void copies_are_independent(void **state) {
    (void)state;
    struct key other = key_of(SLICE("copy"));
    for (int count = 50; count <= 1000; count += 950) {
        struct entry *e = make(1, count);
        struct entry *copy = db_copy(db, &other, e, ENTRY_NO_TTL);
        remove_key();
        assert_int_equal(set_count(copy), count);
        assert_true(set_has(copy, SLICE("m0")));
        assert_true(entry_memory(copy, 0) > (size_t)count);
        db_remove(db, &other, copy);
    }
}

static int set_up(void **state) {
    (void)state;
    seed = seed_of_run();
    printf("SEED=%llu\n", (unsigned long long)seed);
    clock_init();
    rand_seed(seed);
    hash_seed(seed);
    worker_start();
    db_init(1);
    db = db_at(0);
    key = key_of(SLICE("set"));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    db_shutdown();
    worker_stop();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_changes),
        cmocka_unit_test(thresholds),
        cmocka_unit_test(an_entry_limits_small_sets),
        cmocka_unit_test(random_members_are_fair),
        cmocka_unit_test(keeping_some),
        cmocka_unit_test(drafts_choose_their_encoding),
        cmocka_unit_test(copies_are_independent),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
