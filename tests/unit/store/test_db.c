/* The keyspace against a model: random operations on three databases under a simulated clock, with keys and values at
 * all boundaries of the entry's layout. Then contracts that random operations do not show. */
#include "base/blob.h"
#include "base/clock.h"
#include "base/num.h"
#include "base/rand.h"
#include "base/worker.h"
#include "store/db.h"
#include "store/evict.h"
#include "store/expire.h"
#include "store/string.h"
#include "store/value.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define DATABASES 3
#define KEYS 300
#define START_MS 1700000000000

struct model_value {
    char *bytes; /* NULL: absent */
    size_t len;
    int64_t deadline_ms;
};

static struct key keys[KEYS];
static struct model_value model[DATABASES][KEYS];
static char noise[200000];
static uint64_t expired_calls, new_events, miss_events;

/* --- The model ------------------------------------------------------------------------------- */

static struct model_value *at(int d, int k) {
    struct model_value *m = &model[d][k];
    if (m->bytes && m->deadline_ms != ENTRY_NO_TTL && clock_cached_ms > m->deadline_ms) {
        free(m->bytes);
        m->bytes = NULL;
    }
    return m;
}

static void model_drop(struct model_value *m) {
    free(m->bytes);
    m->bytes = NULL;
}

static void model_set(struct model_value *m, struct slice value, int64_t deadline_ms) {
    if (deadline_ms == DB_KEEP_TTL) deadline_ms = m->bytes ? m->deadline_ms : ENTRY_NO_TTL;
    char *bytes = malloc(value.len + 1);
    memcpy(bytes, value.ptr, value.len);
    free(m->bytes);
    *m = (struct model_value){bytes, value.len, deadline_ms};
}

/* Overwrite from `offset`, which may be the end of the value. */
static void model_write(struct model_value *m, size_t offset, struct slice bytes) {
    if (!m->bytes) model_set(m, SLICE(""), ENTRY_NO_TTL);
    size_t len = offset + bytes.len > m->len ? offset + bytes.len : m->len;
    m->bytes = realloc(m->bytes, len + 1);
    memset(m->bytes + m->len, 0, len - m->len);
    memcpy(m->bytes + offset, bytes.ptr, bytes.len);
    m->len = len;
}

static void check_key(int d, int k) {
    struct model_value *m = at(d, k);
    struct entry *e = db_peek(db_at(d), &keys[k]);
    if (!m->bytes) {
        assert_null(e);
        return;
    }
    char scratch[NUM_I64_MAX];
    assert_non_null(e);
    struct slice value = string_bytes(e, scratch);
    assert_true(slice_eq(entry_key(e), keys[k].name));
    assert_int_equal(value.len, m->len);
    assert_int_equal(string_length(e), m->len);
    assert_memory_equal(value.ptr, m->bytes, m->len);
    assert_int_equal(entry_deadline_ms(e), m->deadline_ms);
}

static void check_all(void) {
    for (int d = 0; d < DATABASES; d++) {
        size_t live = 0, expiring = 0;
        struct db *db = db_at(d);
        for (int k = 0; k < KEYS; k++) {
            check_key(d, k);
            live += model[d][k].bytes != NULL;
        }
        struct table_iter it;
        table_iter_init(&it, &db->keys);
        for (struct entry *e; (e = table_iter_next(&it));) {
            expiring += entry_has_ttl(e);
            if (db_is_due(e)) live++;
        }
        assert_int_equal(db_size(db), live);
        assert_int_equal(db->expiring, expiring);
        table_check(&db->keys);
    }
}

/* --- Random operations ----------------------------------------------------------------------- */

static size_t random_length(void) {
    static const size_t edges[] = {BLOB_MIN - 1, BLOB_MIN, BLOB_MIN + 1, 65535, 65536, 70000, 44, 45};
    uint64_t pick = rand_below(100);
    if (pick < 8) return edges[rand_below(8)];
    if (pick < 30) return rand_below(1200);
    return rand_below(140);
}

static struct slice random_value(char *scratch) {
    if (rand_below(4) == 0) {
        int64_t n = (int64_t)(rand_u64() >> rand_below(64));
        return slice_of(scratch, (size_t)num_print_i64(scratch, rand_below(2) ? n : -(n >> 1)));
    }
    size_t len = random_length();
    return slice_of(noise + rand_below(sizeof noise - len), len);
}

static int64_t random_deadline(void) {
    switch (rand_below(6)) {
    case 0: return clock_cached_ms + (int64_t)rand_below(50);
    case 1: return clock_cached_ms + (int64_t)rand_below(100000);
    case 2: return clock_cached_ms + ((int64_t)1 << rand_below(50));
    case 3: return INT64_MAX - (int64_t)rand_below(2);
    default: return ENTRY_NO_TTL;
    }
}

static void do_set(int d, int k) {
    char scratch[NUM_I64_MAX];
    struct db *db = db_at(d);
    struct entry *old = db_write(db, &keys[k]);
    int64_t deadline_ms = rand_below(3) ? random_deadline() : DB_KEEP_TTL;
    struct slice value = random_value(scratch);
    struct model_value *m = at(d, k);
    int64_t n;
    if (rand_below(4) == 0) {
        db_set_blob(db, &keys[k], old, blob_from(value), deadline_ms);
    } else if (rand_below(4) == 0) {
        struct entry *e = db_set_text(db, &keys[k], old, value, deadline_ms);
        assert_int_not_equal(entry_encoding(e), STRING_INT);
    } else {
        struct entry *e = db_set_string(db, &keys[k], old, value, deadline_ms);
        unsigned expected = value.len <= STRING_EMBSTR_MAX ? STRING_EMBSTR : STRING_RAW;
        if (value.len >= BLOB_MIN) expected = STRING_BLOB;
        if (num_parse_i64(value, &n)) expected = STRING_INT;
        assert_int_equal(entry_encoding(e), expected);
    }
    model_set(m, value, deadline_ms);
}

static void do_append(int d, int k) {
    char scratch[NUM_I64_MAX];
    struct entry *e = db_write(db_at(d), &keys[k]);
    struct slice tail = random_value(scratch);
    struct model_value *m = at(d, k);
    bool existed = e != NULL;
    if (m->bytes && m->len > 300000) return;
    e = string_append(db_at(d), &keys[k], e, tail);
    if (existed) assert_string_equal(entry_encoding_name(e), "raw");
    model_write(m, m->bytes ? m->len : 0, tail);
}

static void do_set_range(int d, int k) {
    char scratch[NUM_I64_MAX];
    struct slice bytes = random_value(scratch);
    size_t offset = random_length();
    struct entry *e = string_set_range(db_at(d), &keys[k], db_write(db_at(d), &keys[k]), offset, bytes);
    assert_string_equal(entry_encoding_name(e), "raw");
    model_write(at(d, k), offset, bytes);
}

static void do_set_i64(int d, int k) {
    char scratch[NUM_I64_MAX];
    int64_t n = (int64_t)rand_u64();
    struct entry *e = string_set_i64(db_at(d), &keys[k], db_write(db_at(d), &keys[k]), n);
    assert_string_equal(entry_encoding_name(e), "int");
    model_set(at(d, k), slice_of(scratch, (size_t)num_print_i64(scratch, n)), DB_KEEP_TTL);
}

static void do_deadline(int d, int k) {
    struct entry *e = db_write(db_at(d), &keys[k]);
    if (!e) return;
    at(d, k)->deadline_ms = random_deadline();
    db_set_deadline(db_at(d), e, keys[k].hash, model[d][k].deadline_ms);
}

static void do_remove(int d, int k) {
    struct entry *e = db_write(db_at(d), &keys[k]);
    if (e) db_remove(db_at(d), &keys[k], e);
    model_drop(at(d, k));
}

/* RENAME, MOVE, or both at once. */
static void do_rename(int d, int k) {
    int to_d = (int)rand_below(DATABASES), to_k = (int)rand_below(KEYS);
    struct entry *e = db_write(db_at(d), &keys[k]);
    if (!e || (to_d == d && to_k == k)) return;
    do_remove(to_d, to_k);
    e = db_detach(db_at(d), &keys[k], e);
    db_attach(db_at(to_d), &keys[to_k], e);
    model[to_d][to_k] = *at(d, k);
    model[d][k].bytes = NULL;
    check_key(to_d, to_k);
}

static void do_copy(int d, int k) {
    int to_d = (int)rand_below(DATABASES), to_k = (int)rand_below(KEYS);
    struct entry *e = db_write(db_at(d), &keys[k]);
    if (!e || (to_d == d && to_k == k)) return;
    do_remove(to_d, to_k);
    e = db_write(db_at(d), &keys[k]);
    struct entry *copy = db_copy(db_at(to_d), &keys[to_k], e, entry_deadline_ms(e));
    assert_string_equal(entry_encoding_name(copy), entry_encoding_name(e));
    struct model_value *m = at(d, k);
    model_set(&model[to_d][to_k], slice_of(m->bytes, m->len), m->deadline_ms);
    check_key(to_d, to_k);
}

static void do_whole(int d) {
    int other = (int)rand_below(DATABASES);
    if (rand_below(3)) {
        struct model_value saved[KEYS];
        memcpy(saved, model[d], sizeof saved);
        memcpy(model[d], model[other], sizeof saved);
        memcpy(model[other], saved, sizeof saved);
        db_swap(d, other);
    } else {
        db_empty(db_at(d), rand_below(2));
        for (int k = 0; k < KEYS; k++)
            model_drop(&model[d][k]);
        assert_int_equal(db_size(db_at(d)), 0);
    }
}

/* Remove all keys that are due, also those that no look-up has met. */
static void run_expiry(void) {
    while (expire_run(clock_cached_ms) <= clock_cached_ms)
        continue;
    for (int d = 0; d < DATABASES; d++) {
        struct table_iter it;
        table_iter_init(&it, &db_at(d)->keys);
        for (struct entry *e; (e = table_iter_next(&it));)
            assert_false(db_is_due(e));
    }
}

static void do_look(int d, int k) {
    struct db *db = db_at(d);
    uint64_t hits = db_metrics.hits, misses = db_metrics.misses, events = miss_events;
    bool there = at(d, k)->bytes != NULL;
    assert_int_equal(db_read(db, &keys[k]) != NULL, there);
    assert_int_equal(db_metrics.hits, hits + there);
    assert_int_equal(db_metrics.misses, misses + !there);
    assert_int_equal(miss_events, events + !there);
    struct entry *e = db_random(db);
    if (e) assert_false(db_is_due(e));
    if (!e) assert_int_equal(db_size(db), 0);
}

static void step(int d, int k) {
    switch (rand_below(24)) {
    case 0:
    case 1: do_append(d, k); break;
    case 2: do_set_range(d, k); break;
    case 3:
    case 4: do_set_i64(d, k); break;
    case 5:
    case 6:
    case 7: do_deadline(d, k); break;
    case 8:
    case 9: do_remove(d, k); break;
    case 10: do_rename(d, k); break;
    case 11: do_copy(d, k); break;
    case 12: clock_cached_ms += (int64_t)rand_below(20); break;
    case 13: expire_run(clock_cached_ms); break;
    case 14: do_look(d, k); break;
    case 15:
        if (rand_below(200) == 0) do_whole(d);
        if (rand_below(200) == 0) clock_cached_ms += (int64_t)rand_below(200000);
        break;
    default: do_set(d, k);
    }
    check_key(d, k);
}

static void random_operations_agree_with_the_model(void **state) {
    (void)state;
    for (int i = 0; i < 60000; i++) {
        step((int)rand_below(DATABASES), (int)rand_below(KEYS));
        if (i % 1000 == 0) check_all();
        if (i % 5000 == 0) run_expiry();
    }
    check_all();
    for (int i = 0; i < 70; i++) { /* nearly to the largest time */
        clock_cached_ms += (int64_t)1 << (i < 50 ? i : 50);
        run_expiry();
        check_all();
    }
    assert_int_equal(expired_calls, db_metrics.expired);
    assert_true(expired_calls > 1000 && new_events > 1000);
}

/* --- Particular contracts -------------------------------------------------------------------- */

static void rewrites_in_place_when_the_class_allows(void **state) {
    (void)state;
    struct db *db = db_at(0);
    struct key key = key_of(SLICE("0123456789abcdef"));
    for (size_t old_len = 0; old_len < 600; old_len++) {
        size_t new_len = rand_below(600);
        bool old_ttl = rand_below(2), new_ttl = rand_below(2);
        struct entry *e = db_set_text(db, &key, db_write(db, &key), slice_of(noise, old_len),
                                      old_ttl ? clock_cached_ms + 1000 : ENTRY_NO_TTL);
        uintptr_t address = (uintptr_t)e;
        bool same_class = entry_class(entry_bytes(e)) == entry_class(entry_bytes_for(16, new_len, new_ttl));
        e = db_set_text(db, &key, e, slice_of(noise, new_len), new_ttl ? clock_cached_ms + 1000 : ENTRY_NO_TTL);
        if (same_class) assert_int_equal((uintptr_t)e, address);
        assert_ptr_equal(db_peek(db, &key), e);

        address = (uintptr_t)e; /* only the deadline is set and removed */
        same_class = entry_class(entry_bytes(e)) == entry_class(entry_bytes_for(16, new_len, !new_ttl));
        e = db_set_deadline(db, e, key.hash, new_ttl ? ENTRY_NO_TTL : clock_cached_ms + 5);
        if (same_class) assert_int_equal((uintptr_t)e, address);
        assert_memory_equal(entry_value(e), noise, new_len);
        assert_int_equal(db->expiring, !new_ttl);
    }
    struct entry *e = db_set_int(db, &key, db_write(db, &key), 1, ENTRY_NO_TTL);
    assert_ptr_equal(string_set_i64(db, &key, e, INT64_MIN), e);
    assert_int_equal(entry_int(e), INT64_MIN);
}

static void peek_leaves_no_trace(void **state) {
    (void)state;
    struct db *db = db_at(0);
    struct key key = key_of(SLICE("peeked"));
    db_set_text(db, &key, NULL, SLICE("v"), clock_cached_ms + 10);
    struct db_metrics before = db_metrics;
    assert_non_null(db_peek(db, &key));
    clock_cached_ms += 10; /* the key still exists in the millisecond of its deadline */
    assert_non_null(db_peek(db, &key));
    clock_cached_ms += 1;
    assert_null(db_peek(db, &key));
    assert_memory_equal(&before, &db_metrics, sizeof before);
    assert_int_equal(db_size(db), 1);
    assert_null(db_read(db, &key));
    assert_int_equal(db_size(db), 0);
    assert_int_equal(db_metrics.expired, before.expired + 1);
    assert_int_equal(db_metrics.misses, before.misses + 1);
    assert_int_equal(db_metrics.dirty, before.dirty);
}

static void fill(struct db *db, int n, int64_t deadline_ms) {
    char name[16];
    for (int i = 0; i < n; i++) {
        struct key key = key_of(slice_of(name, (size_t)snprintf(name, sizeof name, "%d", i)));
        db_set_int(db, &key, NULL, i, deadline_ms);
    }
}

/* No call takes long, however many keys are due, and none returns one that is. */
static void random_is_bounded(void **state) {
    (void)state;
    struct db *db = db_at(0);
    fill(db, 200000, START_MS + 1);
    clock_cached_ms = START_MS + 2;
    assert_null(db_random(db));
    assert_int_equal(db_size(db), 199000);
    for (int calls = 0; calls < 199; calls++)
        assert_null(db_random(db));
    assert_int_equal(db_size(db), 0);
}

/* One key in 10,000 is alive, and the others may not go. */
static void random_finds_the_one_that_lives(void **state) {
    (void)state;
    struct db *db = db_at(0);
    struct key key = key_of(SLICE("alive"));
    fill(db, 10000, START_MS + 1);
    db_set_int(db, &key, NULL, 1, ENTRY_NO_TTL);
    clock_cached_ms = START_MS + 2;
    expire_hold(EXPIRE_PAUSED, true);
    for (int calls = 0; calls < 100; calls++)
        assert_true(slice_eq(entry_key(db_random(db)), key.name));
    assert_int_equal(db_size(db), 10001);
    expire_hold(EXPIRE_PAUSED, false);
    for (int calls = 0; db_size(db) > 1; calls++)
        assert_true(calls < 10000 && slice_eq(entry_key(db_random(db)), key.name));
}

static void scan_promise(void *ctx, void *record) {
    (void)record;
    ++*(size_t *)ctx;
}

static void memory_returns_after_empty(void **state) {
    (void)state;
    worker_start();
    for (int background = 0; background < 2; background++) {
        size_t before = alloc_used();
        struct db *db = db_at(1);
        for (int i = 0; i < 20000; i++) {
            char name[32];
            struct key key = key_of(slice_of(name, (size_t)snprintf(name, sizeof name, "key:%d", i)));
            db_set_string(db, &key, NULL, slice_of(noise, i % 100 ? 30 : 20000), i % 3 ? START_MS * 2 : ENTRY_NO_TTL);
        }
        size_t seen = 0;
        for (uint64_t cursor = 0; (cursor = db_scan(db, cursor, scan_promise, &seen));)
            continue;
        assert_int_equal(seen, 20000);
        struct key big = key_of(SLICE("key:0")); /* an unsent reply shares a value of the flushed database */
        struct blob *b = blob_share(string_blob(db_read(db, &big)));
        uint64_t lazyfreed = entry_lazyfreed();
        db_empty(db, background);
        assert_true(entry_lazyfree_pending() + entry_lazyfreed() >= lazyfreed + (background ? 20000 : 0));
        assert_int_equal(db_size(db) + db->expiring + expire_stale_marks(db), 0);
        worker_drain();
        assert_int_equal(entry_lazyfree_pending(), 0);
        assert_int_equal(entry_lazyfreed(), lazyfreed + (background ? 20000 : 0));
        assert_memory_equal(b->data, noise, 20000);
        blob_drop(b);
        assert_null(db_read(db, &big));
        expire_run(clock_cached_ms);
        assert_in_range(alloc_used(), before, before + 512); /* the list of databases with a wheel stays */
    }
    worker_stop();
}

/* --- Sets of databases ----------------------------------------------------------------------- */

static struct entry *put(struct db *db, const char *name, const char *value, int64_t deadline_ms) {
    struct key key = key_of(slice_cstr(name));
    struct entry *e = entry_new(key.name, ENTRY_STRING, STRING_RAW, strlen(value), deadline_ms);
    memcpy(entry_value(e), value, strlen(value));
    assert_null(db_insert_new(db, &key, e));
    return e;
}

static bool holds(struct db *db, const char *name, const char *value) {
    struct key key = key_of(slice_cstr(name));
    const struct entry *e = db_look(db, &key);
    char scratch[NUM_I64_MAX];
    return value ? e && slice_eq(string_bytes(e, scratch), slice_cstr(value)) : e == NULL;
}

static char replaced_dbs[32];

static void on_replaced(struct db *db, const struct db *by) {
    assert_ptr_equal(db, db_at(db->id));
    assert_int_equal(by->id, db->id);
    assert_true(db_size(by) != db_size(db));
    snprintf(replaced_dbs + strlen(replaced_dbs), 8, "%d:%zu ", db->id, db_size(by));
}

static void a_spare_set_takes_over(void **state) {
    (void)state;
    db_hooks.replaced = on_replaced;
    replaced_dbs[0] = '\0';
    put(db_at(0), "old", "1", ENTRY_NO_TTL);
    put(db_at(0), "k", "1", START_MS + 10);
    put(db_at(2), "k", "1", ENTRY_NO_TTL);
    struct db *spare = db_spare_new();
    put(&spare[0], "k", "2", ENTRY_NO_TTL);
    put(&spare[1], "new", "2", START_MS + 5);
    put(&spare[1], "due", "2", START_MS - 5);
    expire_run(START_MS + 1);
    assert_int_equal(db_size(&spare[1]), 2); /* nothing expires there */
    assert_int_equal(db_expiring(), 1);      /* nor does it count */
    assert_true(holds(db_at(0), "k", "1") && holds(db_at(1), "new", NULL));
    db_spare_use(spare, false, NULL);
    assert_string_equal(replaced_dbs, "0:1 1:2 2:0 ");
    assert_int_equal(db_expiring(), 2);
    assert_true(holds(db_at(0), "old", NULL) && holds(db_at(0), "k", "2") && holds(db_at(2), "k", NULL));
    assert_true(holds(db_at(1), "new", "2"));
    assert_int_equal(db_at(1)->id, 1);
    assert_int_equal(expired_calls, 0);
    expire_run(START_MS + 1); /* it is a live one now */
    assert_int_equal(expired_calls, 1);
    clock_cached_ms = START_MS + 100;
    expire_run(clock_cached_ms);
    assert_int_equal(db_size(db_at(1)), 0);
    db_swap(0, 1);
    assert_true(holds(db_at(1), "k", "2"));
}

static void a_spare_set_is_dropped(void **state) {
    (void)state;
    size_t before = alloc_used();
    worker_start();
    for (int background = 0; background < 2; background++) {
        struct db *spare = db_spare_new();
        for (int i = 0; i < 3000; i++) {
            char name[32];
            snprintf(name, sizeof name, "key:%d", i);
            put(&spare[i % DATABASES], name, "value", i % 2 ? START_MS + i : ENTRY_NO_TTL);
        }
        db_spare_drop(spare, background);
    }
    worker_drain();
    worker_stop();
    assert_int_equal(db_expiring(), 0);
    assert_int_equal(alloc_used(), before);
}

static int meanwhiles;
static size_t used_last;

static void look_meanwhile(void) {
    size_t used = alloc_used();
    meanwhiles++;
    for (int d = 0; d < DATABASES; d++)
        assert_int_equal(db_size(db_at(d)), 0); /* all are empty, whatever is still to be freed */
    assert_true(used < used_last);
    used_last = used;
}

static void fill_all(int count) {
    for (int i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "key:%d", i);
        put(db_at(i % DATABASES), name, "some value that takes some bytes", i % 2 ? START_MS * 2 : ENTRY_NO_TTL);
    }
}

static void all_are_emptied_in_slices(void **state) {
    (void)state;
    size_t before = alloc_used();
    fill_all(600000); /* about 10 ms */
    meanwhiles = 0;
    used_last = alloc_used();
    db_empty_all(false, look_meanwhile);
    assert_true(meanwhiles > 1);
    fill_all(2);
    db_empty_all(false, NULL);
    for (int d = 0; d < DATABASES; d++)
        assert_int_equal(db_size(db_at(d)) + db_at(d)->expiring, 0);
    assert_int_equal(db_expiring(), 0);
    worker_start();
    fill_all(3000);
    uint64_t lazyfreed = entry_lazyfreed();
    db_empty_all(true, look_meanwhile); /* which has nothing to be told */
    worker_drain();
    assert_int_equal(entry_lazyfreed() - lazyfreed, 3000);
    worker_stop();
    expire_run(clock_cached_ms);
    assert_in_range(alloc_used(), before, before + 512);
}

/* --- Frame ----------------------------------------------------------------------------------- */

static void on_changed(struct db *db, const struct key *key, unsigned class, const char *event) {
    assert_true(db == db_at(db->id));
    assert_int_equal(key->hash, hash_bytes(key->name.ptr, key->name.len)); /* the name can still be read */
    new_events += class == DB_NEW && strcmp(event, "new") == 0;
    miss_events += class == DB_MISS && strcmp(event, "keymiss") == 0;
}

static void on_expired(struct db *db, const struct key *key) {
    assert_null(db_peek(db, key));
    expired_calls++;
}

static void make_keys(void) {
    static const size_t long_lengths[] = {253, 254, 255, 256, 257, 1000, 70000};
    for (int k = 0; k < KEYS; k++) {
        size_t len = k < 7 ? long_lengths[k] : k == 7 ? 0 : 1 + rand_below(40);
        char *name = malloc(len + 1);
        for (size_t i = 0; i < len; i++)
            name[i] = (char)rand_u64();
        if (len) name[0] = (char)k; /* distinct, unless the name is too short for this byte */
        if (len > 1) name[1] = (char)(k >> 8);
        keys[k] = key_of(slice_of(name, len));
        for (int j = 0; j < k; j++) {
            if (!slice_eq(keys[j].name, keys[k].name)) continue;
            free(name);
            k--;
            break;
        }
    }
}

static size_t used_at_start;

static int setup(void **state) {
    (void)state;
    used_at_start = alloc_used();
    clock_cached_ms = START_MS;
    evict_tick(START_MS);
    db_metrics = (struct db_metrics){0};
    expired_calls = 0;
    db_hooks = (struct db_hooks){.changed = on_changed, .expired = on_expired};
    db_init(DATABASES);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    db_shutdown();
    for (int d = 0; d < DATABASES; d++) {
        for (int k = 0; k < KEYS; k++)
            model_drop(&model[d][k]);
    }
    return alloc_used() == used_at_start ? 0 : -1;
}

int main(void) {
    const char *given = getenv("SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("SEED=%llu\n", (unsigned long long)seed);
    hash_seed(seed);
    rand_seed(seed);
    clock_init();
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (char)('A' + rand_below(50));
    make_keys();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(random_operations_agree_with_the_model, setup, teardown),
        cmocka_unit_test_setup_teardown(rewrites_in_place_when_the_class_allows, setup, teardown),
        cmocka_unit_test_setup_teardown(peek_leaves_no_trace, setup, teardown),
        cmocka_unit_test_setup_teardown(random_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(random_finds_the_one_that_lives, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_returns_after_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(a_spare_set_takes_over, setup, teardown),
        cmocka_unit_test_setup_teardown(a_spare_set_is_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(all_are_emptied_in_slices, setup, teardown),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (int k = 0; k < KEYS; k++)
        free((char *)keys[k].name.ptr);
    return failed;
}
