/* The keyspace.
 *
 * A look-up compares the key inside the entry. A hit reads the header, the deadline if there is one, and the key, which
 * mostly lie in the 64 bytes that table_prefetch_place() fetches.
 *
 * Rewrites go through reshape_entry(), which changes an entry in place if its size class stays the same. So overwriting
 * a value, counting, and setting or removing a TTL mostly need no allocation and do not touch the table. */
#include "store/db.h"
#include "base/blob.h"
#include "base/clock.h"
#include "base/likely.h"
#include "base/num.h"
#include "base/rand.h"
#include "base/worker.h"
#include "ds/wheel.h"
#include "store/evict.h"
#include "store/expire.h"
#include "store/value.h"

#define INT_DIGITS_MAX 20 /* bytes of the longest integer, sign included */
#define RANDOM_TRIES 1000 /* keys past their deadline that one db_random() removes at most: less than 1 ms */
#define RANDOM_LINES 4096 /* lines of the table that it searches after that: about 1 ms */

struct db_hooks db_hooks;
struct db_metrics db_metrics;

static const struct table_type keyspace = {entry_hash};
static struct db *dbs;
static int n_dbs;
static size_t expiring; /* in all live databases */

int db_count(void) {
    return n_dbs;
}

struct db *db_at(int id) {
    assert(id >= 0 && id < n_dbs);
    return &dbs[id];
}

size_t db_size(const struct db *db) {
    return db->keys.count;
}

size_t db_keys(void) {
    size_t keys = 0;
    for (int i = 0; i < db_count(); i++)
        keys += db_size(db_at(i));
    return keys;
}

size_t db_expiring(void) {
    return expiring;
}

/* --- Look-up --------------------------------------------------------------------------------- */

/* memcmp(a, b, n) == 0 for n >= 8, without a call: nearly all keys have at most 32 bytes. */
static inline bool same_words(const char *a, const char *b, size_t n) {
    for (size_t i = 0; i + 8 < n; i += 8) {
        if (hash_load64(a + i) != hash_load64(b + i)) return false;
    }
    return hash_load64(a + n - 8) == hash_load64(b + n - 8);
}

static inline __attribute__((always_inline)) bool key_equal(const void *record, const void *arg) {
    const struct entry *e = record;
    const struct slice *name = arg;
    size_t len = name->len;
    if (unlikely(len >= ENTRY_LONG_KEY)) return slice_eq(entry_key(e), *name);
    if (e->key_len != len) return false;
    const char *key = e->body + entry_ttl_bytes(e);
    if (len >= 8 && len <= 32) return same_words(key, name->ptr, len);
    return memcmp(key, name->ptr, len) == 0;
}

static inline __attribute__((always_inline)) struct entry *find_entry(const struct db *db, const struct key *key) {
    return table_find(&db->keys, key->hash, key_equal, &key->name);
}

bool db_is_due(const struct entry *e) {
    return entry_has_ttl(e) && clock_now_ms() > entry_deadline_ms(e) && !expire_is_ignored();
}

static __attribute__((noinline)) struct entry *read_miss(struct db *db, const struct key *key) {
    db_metrics.misses++;
    db_notify(db, key, DB_MISS, "keymiss");
    return NULL;
}

static void remove_expired(struct db *db, struct entry *e, uint64_t hash) {
    struct key key = {entry_key(e), hash};
    db_detach(db, &key, e);
    db_metrics.expired++;
    if (db_hooks.expired) db_hooks.expired(db, &key);
    db_notify(db, &key, DB_EXPIRED, "expired");
    entry_free(e);
}

/* The one door for an entry that is due: whatever meets one brings it here, and it goes if nothing speaks against it.
 * Only a look-up for writing does not ask, as it needs the place. */
static void retire(struct db *db, struct entry *e, uint64_t hash) {
    if (expire_may_remove(db, hash)) remove_expired(db, e, hash);
}

static inline struct entry *find_live(struct db *db, const struct key *key) {
    struct entry *e = find_entry(db, key);
    if (e && entry_has_ttl(e) && unlikely(db_is_due(e))) {
        retire(db, e, key->hash);
        return NULL;
    }
    return e;
}

struct entry *db_read(struct db *db, const struct key *key) {
    struct entry *e = find_live(db, key);
    if (unlikely(!e)) return read_miss(db, key);
    db_metrics.hits++;
    evict_touch(e, key->hash);
    return e;
}

struct entry *db_write(struct db *db, const struct key *key) {
    struct entry *e = find_entry(db, key);
    if (e && entry_has_ttl(e) && unlikely(db_is_due(e))) {
        remove_expired(db, e, key->hash);
        return NULL;
    }
    if (e) evict_touch(e, key->hash);
    return e;
}

struct entry *db_look(struct db *db, const struct key *key) {
    return find_live(db, key);
}

struct entry *db_peek(struct db *db, const struct key *key) {
    struct entry *e = find_entry(db, key);
    return e && !db_is_due(e) ? e : NULL;
}

struct entry *db_find(const struct db *db, const struct key *key) {
    return find_entry(db, key);
}

const struct table *db_members(const struct db *db, const struct key *key) {
    const struct entry *e = find_entry(db, key);
    if (!e || !entry_owns_memory(e)) return NULL;
    const struct value_ops *ops = value_types[entry_type(e)];
    return ops->members ? ops->members(entry_pointer(e)) : NULL;
}

static void keep_live(void *ctx, void *record) {
    struct entry **live = ctx;
    if (!db_is_due(record)) *live = record;
}

/* Where hardly any entry is alive: search some lines of the table in their order, from a random one on. */
static struct entry *random_live(const struct db *db) {
    struct entry *live = NULL;
    uint64_t cursor = rand_u64() >> 16;
    for (int lines = 0; !live && lines < RANDOM_LINES; lines++)
        cursor = table_scan(&db->keys, cursor, keep_live, &live);
    return live;
}

struct entry *db_random(struct db *db) {
    for (int tries = 0; tries < RANDOM_TRIES; tries++) {
        struct entry *e = table_random(&db->keys);
        if (!e || !db_is_due(e)) return e;
        retire(db, e, entry_hash(e));
    }
    return random_live(db);
}

uint64_t db_scan(struct db *db, uint64_t cursor, table_visit_fn visit, void *ctx) {
    return table_scan(&db->keys, cursor, visit, ctx);
}

/* --- Changes --------------------------------------------------------------------------------- */

/* Bytes of the key in the entry, with the length field of a long key. */
static size_t key_field(const struct entry *e) {
    return e->key_len < ENTRY_LONG_KEY ? e->key_len : sizeof(uint32_t) + entry_key(e).len;
}

/* Give the entry room for value_len bytes of value, and for a deadline if `ttl`. The first `keep` bytes of the value
 * and an existing deadline are kept; the caller writes a new deadline. In place if the size class allows. */
static inline struct entry *reshape_entry(struct db *db, uint64_t hash, struct entry *e, bool ttl, size_t value_len,
                                          size_t keep) {
    bool had_ttl = entry_has_ttl(e);
    if (value_len == e->value_len && ttl == had_ttl) return e;
    assert(value_len <= UINT16_MAX);
    size_t from = had_ttl ? sizeof(int64_t) : 0, at = ttl ? sizeof(int64_t) : 0;
    size_t key_len = key_field(e), fixed = sizeof *e + key_len;
    size_t old_class = entry_class(fixed + from + e->value_len), class = entry_class(fixed + at + value_len);
    struct entry *to = e;
    if (class != old_class) {
        to = alloc_get(class);
        *to = *e;
        if (ttl && had_ttl) memcpy(to->body, e->body, sizeof(int64_t));
        memcpy(to->body + at, e->body + from, key_len + keep);
        table_replace(&db->keys, hash, e, to);
        alloc_put(e, old_class);
    } else if (at != from) {
        memmove(to->body + at, to->body + from, key_len + keep);
    }
    to->flags = (uint8_t)((to->flags & ~ENTRY_HAS_TTL) | (ttl ? ENTRY_HAS_TTL : 0));
    to->value_len = (uint16_t)value_len;
    return to;
}

static inline void add_expiring(struct db *db) {
    db->expiring++;
    if (likely(!db->spare)) expiring++;
}

static inline void drop_expiring(struct db *db, uint64_t hash) {
    db->expiring--;
    if (likely(!db->spare)) expiring--;
    if (unlikely(db->local)) expire_forget_local(db, hash);
}

/* Write the deadline that an entry was given and reshaped for; count and mark the entry for expiry. The deadline may be
 * the one that the entry had: its giver may be another, which a replica has to know. */
static inline void retime_entry(struct db *db, struct entry *e, uint64_t hash, int64_t old_ms, int64_t deadline_ms) {
    if (deadline_ms == ENTRY_NO_TTL) {
        if (old_ms != ENTRY_NO_TTL) drop_expiring(db, hash);
        return;
    }
    memcpy(e->body, &deadline_ms, sizeof deadline_ms);
    if (old_ms == ENTRY_NO_TTL) add_expiring(db);
    bool now_local = expire_note_deadline(db, hash);
    if (old_ms == ENTRY_NO_TTL || deadline_ms < old_ms || now_local) expire_mark(db, e, hash);
}

static void insert_entry(struct db *db, const struct key *key, struct entry *e) {
    table_insert(&db->keys, key->hash, e);
    if (entry_has_ttl(e)) {
        add_expiring(db);
        expire_note_deadline(db, key->hash);
        expire_mark(db, e, key->hash);
    }
}

struct entry *db_insert_new(struct db *db, const struct key *key, struct entry *e) {
    struct entry *other = find_entry(db, key);
    if (!other) insert_entry(db, key, e);
    return other;
}

/* An entry under this key with value_len uninitialised inline bytes: a new one, or `old` reshaped. */
static inline __attribute__((always_inline)) struct entry *place_entry(struct db *db, const struct key *key,
                                                                       struct entry *old, enum entry_type type,
                                                                       unsigned encoding, size_t value_len,
                                                                       int64_t deadline_ms) {
    struct entry *e;
    if (!old) {
        if (deadline_ms == DB_KEEP_TTL) deadline_ms = ENTRY_NO_TTL;
        e = entry_new(key->name, type, encoding, value_len, deadline_ms);
        evict_admit(e, key->hash);
        insert_entry(db, key, e);
        db_notify(db, key, DB_NEW, "new");
        return e;
    }
    if (unlikely(entry_owns_memory(old))) entry_drop_value(old);
    int64_t old_ms = entry_deadline_ms(old);
    bool keep_ttl = deadline_ms == DB_KEEP_TTL;
    if (keep_ttl) deadline_ms = old_ms;
    e = reshape_entry(db, key->hash, old, deadline_ms != ENTRY_NO_TTL, value_len, 0);
    e->type_encoding = (uint8_t)(type | encoding << 4);
    if (!keep_ttl) retime_entry(db, e, key->hash, old_ms, deadline_ms);
    return e;
}

struct entry *db_set_text(struct db *db, const struct key *key, struct entry *old, struct slice value,
                          int64_t deadline_ms) {
    if (unlikely(value.len >= BLOB_MIN)) return db_set_blob(db, key, old, blob_from(value), deadline_ms);
    unsigned encoding = value.len <= STRING_EMBSTR_MAX ? STRING_EMBSTR : STRING_RAW;
    struct entry *e = place_entry(db, key, old, ENTRY_STRING, encoding, value.len, deadline_ms);
    memcpy(entry_value(e), value.ptr, value.len);
    return e;
}

struct entry *db_set_string(struct db *db, const struct key *key, struct entry *old, struct slice value,
                            int64_t deadline_ms) {
    int64_t n;
    if (value.len <= INT_DIGITS_MAX && value.len > 0 && value.ptr[0] <= '9' && num_parse_i64(value, &n)) {
        return db_set_int(db, key, old, n, deadline_ms);
    }
    return db_set_text(db, key, old, value, deadline_ms);
}

struct entry *db_set_blob(struct db *db, const struct key *key, struct entry *old, struct blob *value,
                          int64_t deadline_ms) {
    struct entry *e = place_entry(db, key, old, ENTRY_STRING, STRING_BLOB, sizeof value, deadline_ms);
    entry_set_pointer(e, value);
    return e;
}

struct entry *db_set_int(struct db *db, const struct key *key, struct entry *old, int64_t value, int64_t deadline_ms) {
    struct entry *e = place_entry(db, key, old, ENTRY_STRING, STRING_INT, sizeof value, deadline_ms);
    memcpy(entry_value(e), &value, sizeof value);
    return e;
}

struct entry *db_put(struct db *db, const struct key *key, struct entry *old, enum entry_type type, unsigned encoding,
                     const void *value, size_t value_len, int64_t deadline_ms) {
    struct entry *e = place_entry(db, key, old, type, encoding, value_len, deadline_ms);
    if (value) {
        memcpy(entry_value(e), value, value_len);
    } else {
        memset(entry_value(e), 0, value_len);
    }
    return e;
}

struct entry *db_resize_value(struct db *db, struct entry *e, unsigned encoding, size_t value_len) {
    size_t keep = e->value_len < value_len ? e->value_len : value_len;
    e = reshape_entry(db, entry_hash(e), e, entry_has_ttl(e), value_len, keep);
    e->type_encoding = (uint8_t)(entry_type(e) | encoding << 4);
    return e;
}

struct entry *db_set_deadline(struct db *db, struct entry *e, uint64_t hash, int64_t deadline_ms) {
    int64_t old_ms = entry_deadline_ms(e);
    e = reshape_entry(db, hash, e, deadline_ms != ENTRY_NO_TTL, e->value_len, e->value_len);
    retime_entry(db, e, hash, old_ms, deadline_ms);
    return e;
}

struct entry *db_detach(struct db *db, const struct key *key, struct entry *e) {
    bool found = table_remove(&db->keys, key->hash, e);
    assert(found);
    (void)found;
    if (entry_has_ttl(e)) drop_expiring(db, key->hash);
    return e;
}

void db_remove(struct db *db, const struct key *key, struct entry *e) {
    entry_free(db_detach(db, key, e));
}

void db_evict(struct db *db, const struct key *key, struct entry *e) {
    struct key own = {entry_key(e), key->hash}; /* valid as long as the entry */
    db_detach(db, &own, e);
    db_metrics.evicted++;
    if (db_hooks.evicted) db_hooks.evicted(db, &own);
    db_notify(db, &own, DB_EVICTED, "evicted");
    entry_free(e);
}

struct entry *db_attach(struct db *db, const struct key *key, struct entry *e) {
    struct entry *to = entry_new(key->name, entry_type(e), entry_encoding(e), e->value_len, entry_deadline_ms(e));
    memcpy(entry_value(to), entry_value(e), e->value_len);
    evict_copy_access(to, e);
    entry_free_shell(e);
    insert_entry(db, key, to);
    db_notify(db, key, DB_NEW, "new");
    return to;
}

struct entry *db_copy(struct db *to, const struct key *key, const struct entry *e, int64_t deadline_ms) {
    enum entry_type type = entry_type(e);
    unsigned encoding = entry_encoding(e);
    if (!entry_owns_memory(e)) return db_put(to, key, NULL, type, encoding, entry_value(e), e->value_len, deadline_ms);
    void *value = value_types[type]->copy(entry_pointer(e), encoding);
    return db_put(to, key, NULL, type, encoding, &value, sizeof value, deadline_ms);
}

void db_changed(struct db *db, const struct key *key, unsigned class, const char *event) {
    db_metrics.dirty++;
    if (db_hooks.changed) db_hooks.changed(db, key, class, event);
}

void db_notify(struct db *db, const struct key *key, unsigned class, const char *event) {
    if (db_hooks.changed) db_hooks.changed(db, key, class, event);
}

/* --- Whole databases ------------------------------------------------------------------------- */

/* The contents of a flushed database, to be freed. */
struct remains {
    struct table keys;
    struct wheel *wheel;
    size_t keys_announced; /* to entry_lazyfree_begins() */
    struct remains *next;
};

static void free_entry(void *ctx, void *record) {
    (void)ctx;
    entry_free_now(record);
}

static void end_remains(struct remains *r) {
    size_t keys = r->keys_announced;
    wheel_free(r->wheel);
    alloc_put(r, sizeof *r);
    entry_lazyfree_done(keys);
}

static void free_remains(void *arg) {
    struct remains *r = arg;
    table_clear(&r->keys, free_entry, NULL);
    end_remains(r);
}

/* Estimated from some keys. */
static size_t remains_bytes(const struct remains *r) {
    size_t bytes = 0;
    for (int i = 0; i < VALUE_SAMPLES && r->keys.count > 0; i++)
        bytes += entry_memory(table_random(&r->keys), VALUE_SAMPLES);
    bytes = (size_t)((double)bytes / VALUE_SAMPLES * (double)r->keys.count);
    return sizeof *r + table_memory(&r->keys) + (r->wheel ? wheel_memory(r->wheel) : 0) + bytes;
}

static void begin_empty(struct db *db, int id, bool spare) {
    *db = (struct db){.id = id, .spare = spare};
    table_init(&db->keys, &keyspace);
}

/* Empty the database. Returns what was in it, or NULL: with `databases 100000` nearly all are empty. */
static struct remains *take_remains(struct db *db) {
    if (table_memory(&db->keys) == 0 && !db->wheel) return NULL;
    struct remains *r = alloc_get(sizeof *r);
    *r = (struct remains){.keys = db->keys, .wheel = db->wheel};
    if (!db->spare) expiring -= db->expiring;
    expire_forget_all_local(db);
    begin_empty(db, db->id, db->spare);
    return r;
}

static void free_in_background(struct remains *r) {
    r->keys_announced = r->keys.count;
    entry_lazyfree_begins(r->keys_announced);
    worker_submit_free(free_remains, r, remains_bytes(r));
}

static void empty_db(struct db *db, bool in_background) {
    struct remains *r = take_remains(db);
    if (r && in_background)
        free_in_background(r);
    else if (r)
        free_remains(r);
}

void db_empty(struct db *db, bool in_background) {
    if (db_hooks.flushed) db_hooks.flushed(db);
    empty_db(db, in_background);
}

/* --- All databases --------------------------------------------------------------------------- */

#define CLEARING_US 1000  /* between two calls of `meanwhile` */
#define CLEARING_KEYS 128 /* between two looks at the clock */

struct clearing {
    void (*meanwhile)(void);
    int64_t told_us;
    size_t keys;
};

/* A large value goes to the worker, as it alone may take longer than the time between two calls. */
static void clear_entry(void *ctx, void *record) {
    struct clearing *c = ctx;
    entry_free(record);
    if (++c->keys % CLEARING_KEYS != 0) return;
    int64_t now_us = clock_mono_us();
    if (now_us - c->told_us < CLEARING_US) return;
    c->meanwhile();
    c->told_us = clock_mono_us();
}

static void free_list(struct remains *list, bool in_background, void (*meanwhile)(void)) {
    struct clearing clearing = {.meanwhile = meanwhile, .told_us = clock_mono_us()};
    for (struct remains *r = list, *next; r; r = next) {
        next = r->next;
        if (in_background) {
            free_in_background(r);
        } else if (meanwhile) {
            table_clear(&r->keys, clear_entry, &clearing);
            end_remains(r);
        } else {
            free_remains(r);
        }
    }
}

static void empty_set(struct db *set, bool in_background, void (*meanwhile)(void)) {
    struct remains *list = NULL, **end = &list;
    for (int i = 0; i < n_dbs; i++) {
        struct remains *r = take_remains(&set[i]);
        if (!r) continue;
        *end = r;
        end = &r->next;
    }
    free_list(list, in_background, meanwhile);
}

void db_empty_all(bool in_background, void (*meanwhile)(void)) {
    for (int i = 0; db_hooks.flushed && i < n_dbs; i++)
        db_hooks.flushed(&dbs[i]);
    empty_set(dbs, in_background, meanwhile);
}

static struct db *set_new(int n, bool spare) {
    struct db *set = alloc_get((size_t)n * sizeof *set);
    for (int i = 0; i < n; i++)
        begin_empty(&set[i], i, spare);
    return set;
}

struct db *db_spare_new(void) {
    return set_new(n_dbs, true);
}

static void drop_spare(struct db *spare, bool in_background, void (*meanwhile)(void)) {
    empty_set(spare, in_background, meanwhile);
    alloc_put(spare, (size_t)n_dbs * sizeof *spare);
}

void db_spare_drop(struct db *spare, bool in_background) {
    drop_spare(spare, in_background, NULL);
}

static void swap_contents(struct db *one, struct db *other) {
    struct db saved = *one;
    *one = *other;
    one->id = saved.id;
    one->spare = saved.spare;
    saved.id = other->id;
    saved.spare = other->spare;
    *other = saved;
    if (one->wheel && !one->spare) expire_adopt(one);
    if (other->wheel && !other->spare) expire_adopt(other);
}

void db_spare_use(struct db *spare, bool in_background, void (*meanwhile)(void)) {
    for (int i = 0; i < n_dbs; i++) {
        if (db_hooks.replaced) db_hooks.replaced(&dbs[i], &spare[i]);
        expiring += spare[i].expiring - dbs[i].expiring;
        swap_contents(&dbs[i], &spare[i]);
    }
    drop_spare(spare, in_background, meanwhile);
}

void db_swap(int a, int b) {
    if (a == b) return;
    if (db_hooks.swapped) db_hooks.swapped(db_at(a), db_at(b));
    swap_contents(db_at(a), db_at(b));
}

void db_init(int databases) {
    assert(!dbs && databases > 0);
    expire_init(retire);
    n_dbs = databases;
    dbs = set_new(databases, false);
}

void db_shutdown(void) {
    for (int i = 0; i < n_dbs; i++)
        empty_db(&dbs[i], false);
    expire_shutdown();
    alloc_put(dbs, (size_t)n_dbs * sizeof *dbs);
    dbs = NULL;
    n_dbs = 0;
}
