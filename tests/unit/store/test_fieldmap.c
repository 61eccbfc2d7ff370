/* Hashes against a model, in both encodings and at the change between them; and random fields. */
#include "base/clock.h"
#include "base/rand.h"
#include "ds/pack.h"
#include "seed.h"
#include "store/fieldmap.h"
#include "store/value.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NAMES 300

static struct db *db;
static struct key key;
static char text[70000];

/* The model: the lengths of the values, each of which repeats one letter; -1: no such field. */
static struct {
    int len;
    char letter;
} model[NAMES];

static struct slice name_of(int i, char to[300]) {
    int n = i % 3 == 0 ? sprintf(to, "%d", i * 1000003) : sprintf(to, "field:%d", i);
    if (i % 50 == 7) {
        memset(to + n, '.', 260); /* too long for a length of one byte */
        n += 260;
    }
    return slice_of(to, (size_t)n);
}

static void assert_field(const struct entry *e, int i) {
    char scratch[NUM_I64_MAX], name[300];
    struct slice value;
    bool found = fieldmap_get(e, name_of(i, name), scratch, &value);
    assert_int_equal(found, model[i].len >= 0);
    if (!found) return;
    assert_int_equal(value.len, model[i].len);
    for (size_t k = 0; k < value.len; k++)
        assert_int_equal(value.ptr[k], model[i].letter);
}

static size_t model_count(void) {
    size_t count = 0;
    for (int i = 0; i < NAMES; i++)
        count += model[i].len >= 0;
    return count;
}

static void assert_walk(const struct entry *e) {
    struct fieldmap_iter it;
    struct field_pair pair;
    char scratch[NUM_I64_MAX];
    struct slice value;
    size_t seen = 0;
    fieldmap_iter_init(&it, e);
    for (; fieldmap_iter_next(&it, &pair); seen++) {
        assert_true(fieldmap_get(e, pair.name, scratch, &value));
        assert_true(slice_eq(value, pair.value));
    }
    assert_int_equal(seen, model_count());
    assert_int_equal(fieldmap_count(e), model_count());
}

static struct entry *random_set(struct entry *e, int max_len) {
    int i = (int)rand_below(NAMES);
    int len = (int)rand_below((uint64_t)max_len + 1);
    char name[300], value[1000], letter = "17ax"[rand_below(4)]; /* repeated digits may be integers */
    memset(value, letter, (size_t)len);
    struct slice pair[] = {name_of(i, name), slice_of(value, (size_t)len)};
    size_t created;
    e = fieldmap_set(db, &key, e, pair, 1, &created);
    assert_int_equal(created, model[i].len < 0);
    model[i].len = len;
    model[i].letter = letter;
    assert_field(e, i);
    return e;
}

static struct entry *random_remove(struct entry *e) {
    int i = (int)rand_below(NAMES);
    char name[300];
    struct slice names[] = {name_of(i, name), name_of(i, name)}; /* it exists only the first time */
    size_t removed;
    e = fieldmap_remove(db, e, names, 2, &removed);
    assert_int_equal(removed, model[i].len >= 0);
    model[i].len = -1;
    assert_field(e, i);
    if (fieldmap_count(e) > 0) return e;
    db_remove(db, &key, e);
    return NULL;
}

/* The entry ends with the last element. */
static void assert_exact(const struct entry *e) {
    const uint8_t *pack = (uint8_t *)entry_value(e), *at = pack_first(pack);
    for (size_t left = pack_count(pack); left > 0; left--)
        at = pack_next(at);
    assert_ptr_equal(at, pack + e->value_len);
}

static void against_model(int64_t max_entries, int max_len, int steps) {
    fieldmap_options = (struct fieldmap_options){.max_entries = max_entries, .max_value = 1000};
    for (int i = 0; i < NAMES; i++)
        model[i].len = -1;
    struct entry *e = NULL;
    for (int step = 0; step < steps; step++) {
        bool growing = step / 1000 % 2 == 0;
        e = !e || rand_below(10) < (growing ? 7 : 3) ? random_set(e, max_len) : random_remove(e);
        if (e && !entry_owns_memory(e)) assert_exact(e);
        if (e && step % 100 == 0) assert_walk(e);
    }
    if (e) db_remove(db, &key, e);
}

static void random_changes(void **state) {
    (void)state;
    uint64_t seed = seed_of_run();
    print_message("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    against_model(100000, 30, 20000);  /* always a listpack */
    against_model(100000, 900, 20000); /* until an entry cannot hold it */
    against_model(0, 600, 20000);      /* a table from the beginning */
    against_model(50, 60, 20000);
}

static struct entry *make(size_t n) {
    char name[30];
    struct entry *e = NULL;
    for (size_t i = 0; i < n; i++) {
        struct slice pair[] = {slice_of(name, (size_t)sprintf(name, "field:%zu", i)), SLICE("value")};
        size_t created;
        e = fieldmap_set(db, &key, e, pair, 1, &created);
    }
    return e;
}

static void conversions(void **state) {
    (void)state;
    size_t created;
    struct entry *e = make(512);
    assert_string_equal(entry_encoding_name(e), "listpack");
    e = make(513); /* 512 of them exist already */
    assert_string_equal(entry_encoding_name(e), "hashtable");
    assert_int_equal(fieldmap_count(e), 513);
    db_remove(db, &key, e);

    struct slice pairs[] = {SLICE("a"), slice_of(text, 64), SLICE("a"), SLICE("b"), SLICE("c"), slice_of(text, 65)};
    e = fieldmap_set(db, &key, NULL, pairs, 2, &created);
    assert_int_equal(created, 1);
    assert_string_equal(entry_encoding_name(e), "listpack");
    e = fieldmap_set(db, &key, e, pairs, 3, &created);
    assert_int_equal(created, 1);
    assert_string_equal(entry_encoding_name(e), "hashtable");
    db_remove(db, &key, e);

    fieldmap_options.max_value = 100000; /* the options allow more than an entry can hold */
    struct slice large[] = {SLICE("a"), slice_of(text, 59000), SLICE("b"), slice_of(text, 2000)};
    e = fieldmap_set(db, &key, NULL, large, 1, &created);
    assert_string_equal(entry_encoding_name(e), "listpack");
    e = fieldmap_set(db, &key, e, large, 2, &created);
    assert_string_equal(entry_encoding_name(e), "hashtable");
    assert_int_equal(fieldmap_count(e), 2);
    large[1].len = sizeof text;
    e = fieldmap_set(db, &key, e, large, 1, &created);
    assert_int_equal(created, 0);
    db_remove(db, &key, e);
    large[1].len = 59000;
    e = fieldmap_set(db, &key, NULL, large, 2, &created); /* both pairs at once */
    assert_string_equal(entry_encoding_name(e), "hashtable");
    assert_int_equal(created, 2);
}

static void copies_are_independent(void **state) {
    (void)state;
    for (size_t n = 10; n <= 1000; n *= 10) {
        struct key other = key_of(SLICE("copy"));
        db_copy(db, &other, make(n), ENTRY_NO_TTL);
        struct entry *e = db_peek(db, &key), *copy = db_peek(db, &other);
        size_t removed;
        assert_int_equal(fieldmap_count(copy), n);
        assert_true(entry_memory(copy, 0) > n * 13);
        assert_in_range(entry_memory(copy, 5), entry_memory(copy, 0) * 9 / 10, entry_memory(copy, 0) * 11 / 10);
        fieldmap_remove(db, e, (struct slice[]){SLICE("field:1")}, 1, &removed);
        assert_int_equal(fieldmap_count(db_peek(db, &key)), n - 1);
        assert_int_equal(fieldmap_count(db_peek(db, &other)), n);
        db_remove(db, &key, db_peek(db, &key));
        db_remove(db, &other, db_peek(db, &other));
    }
}

static size_t tally[2000];

static void count_pick(void *ctx, const struct field_pair *pair) {
    ++*(size_t *)ctx;
    assert_memory_equal(pair->name.ptr, "field:", 6);
    size_t i = 0;
    for (size_t k = 6; k < pair->name.len; k++)
        i = 10 * i + (size_t)(pair->name.ptr[k] - '0');
    tally[i]++;
}

/* Each of n fields must be drawn about `mean` times: within 6.5 standard deviations. */
static void assert_even(size_t n, double mean) {
    for (size_t i = 0; i < n; i++) {
        double off = (double)tally[i] - mean;
        assert_true(off * off < 6.5 * 6.5 * mean);
        tally[i] = 0;
    }
}

static void picks_are_uniform(void **state) {
    (void)state;
    rand_seed(7);
    static const size_t sizes[] = {10, 400, 2000}; /* two listpacks and a table */
    for (size_t s = 0; s < 3; s++) {
        size_t n = sizes[s], visited = 0;
        struct entry *e = make(n);
        for (size_t i = 0; i < 100; i++)
            fieldmap_draw(e, 10 * n, count_pick, &visited);
        for (size_t i = 0; i < 100; i++)
            fieldmap_draw(e, 1, count_pick, &visited);
        assert_int_equal(visited, 1000 * n + 100);
        assert_even(n, 1000 + 100.0 / (double)n);
        for (size_t part = 10; part > 2; part -= 4) { /* by drawing, and by walking */
            for (size_t i = 0; i < 1000; i++)
                fieldmap_sample(e, n / part, count_pick, &visited);
            assert_even(n, 1000.0 * (double)(n / part) / (double)n);
        }
        fieldmap_sample(e, n + 5, count_pick, &visited);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(tally[i], 1);
        memset(tally, 0, sizeof tally);
        db_remove(db, &key, e);
    }
}

static void a_field_of_22_bytes_takes_46(void **state) {
    (void)state;
    char name[20], value[20];
    struct entry *e = NULL;
    for (int i = 0; i < 100000; i++) {
        struct slice pair[] = {slice_of(name, (size_t)sprintf(name, "f:%08d", i)),
                               slice_of(value, (size_t)sprintf(value, "value%07d", i))};
        size_t created;
        e = fieldmap_set(db, &key, e, pair, 1, &created);
    }
    assert_true(entry_memory(e, 0) < 100000 * 46);
}

static int setup(void **state) {
    (void)state;
    hash_seed(1);
    clock_update();
    memset(text, 'x', sizeof text);
    fieldmap_options = (struct fieldmap_options){.max_entries = 512, .max_value = 64};
    db_init(1);
    db = db_at(0);
    key = key_of(SLICE("hash"));
    return 0;
}

static int teardown(void **state) {
    (void)state;
    db_shutdown();
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(random_changes),
        TEST(conversions),
        TEST(copies_are_independent),
        TEST(picks_are_uniform),
        TEST(a_field_of_22_bytes_takes_46),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
