/* The hooks are armed while anything is watched. A hook that makes the last watcher stop leaves them armed, since they
 * must not be changed from inside one; that watcher disarms them when it drops what it (no longer) has. */
#include "exec/watch.h"
#include "base/alloc.h"
#include "ds/table.h"
#include "store/changes.h"

/* One key, of one database. */
struct watched {
    struct watch *watches;
    size_t count; /* of those */
    uint64_t hash;
    uint32_t db_id, name_len;
    char name[];
};

/* One key of one watcher. */
struct watch {
    struct watched *key;
    struct watching *owner;
    struct watch *next_own;
    struct watch *next, **link; /* among the key's */
    bool stale;
};

static uint64_t hash_of(const void *record) {
    return ((const struct watched *)record)->hash;
}

static const struct table_type watched_type = {hash_of};
static struct table *tables; /* by database, up to the highest that had a watched key */
static int table_count;
static size_t total; /* watches */
static bool armed;

/* --- the table ------------------------------------------------------------------------------- */

static bool has_name(const void *record, const void *arg) {
    const struct watched *w = record;
    const struct slice *name = arg;
    return w->name_len == name->len && memcmp(w->name, name->ptr, name->len) == 0;
}

static struct watched *find(const struct db *db, const struct key *key) {
    if (db->id >= table_count) return NULL;
    return table_find(&tables[db->id], key->hash, has_name, &key->name);
}

static void reserve_tables(int count) {
    if (count <= table_count) return;
    tables = alloc_resize(tables, (size_t)table_count * sizeof *tables, (size_t)count * sizeof *tables);
    while (table_count < count)
        table_init(&tables[table_count++], &watched_type);
}

static size_t record_bytes(size_t name_len) {
    return sizeof(struct watched) + name_len;
}

static struct watched *find_or_add(const struct db *db, const struct key *key) {
    struct watched *w = find(db, key);
    if (w) return w;
    reserve_tables(db->id + 1);
    w = alloc_get(record_bytes(key->name.len));
    *w = (struct watched){.hash = key->hash, .db_id = (uint32_t)db->id, .name_len = (uint32_t)key->name.len};
    memcpy(w->name, key->name.ptr, key->name.len);
    table_insert(&tables[db->id], key->hash, w);
    return w;
}

static struct key key_of_watched(const struct watched *w) {
    return (struct key){slice_of(w->name, w->name_len), w->hash};
}

/* --- watches --------------------------------------------------------------------------------- */

static void drop(struct watch *watch) {
    struct watched *w = watch->key;
    *watch->link = watch->next;
    if (watch->next) watch->next->link = watch->link;
    if (--w->count == 0) {
        table_remove(&tables[w->db_id], w->hash, w);
        alloc_put(w, record_bytes(w->name_len));
    }
    alloc_put(watch, sizeof *watch);
    total--;
}

static void drop_all(struct watching *owner) {
    for (struct watch *watch = owner->first, *next; watch; watch = next) {
        next = watch->next_own;
        drop(watch);
    }
    owner->first = NULL;
    owner->count = 0;
}

static bool is_due(const struct watched *w) {
    struct key key = key_of_watched(w);
    const struct entry *e = db_find(db_at((int)w->db_id), &key);
    return e && db_is_due(e);
}

/* Looks where there is less to look through. */
static bool watches_already(const struct watching *owner, const struct watched *w) {
    if (w->count < owner->count) {
        for (const struct watch *watch = w->watches; watch; watch = watch->next)
            if (watch->owner == owner) return true;
        return false;
    }
    for (const struct watch *watch = owner->first; watch; watch = watch->next_own)
        if (watch->key == w) return true;
    return false;
}

static void arm(void);

void watch_add(struct watching *owner, struct db *db, const struct key *key) {
    struct watched *w = find_or_add(db, key);
    if (watches_already(owner, w)) return;
    struct watch *watch = alloc_get(sizeof *watch);
    *watch = (struct watch){w, owner, owner->first, w->watches, &w->watches, is_due(w)};
    if (w->watches) w->watches->link = &watch->next;
    w->watches = owner->first = watch;
    w->count++;
    owner->count++;
    total++;
    arm();
}

bool watch_any_due(const struct watching *owner) {
    for (const struct watch *watch = owner->first; watch; watch = watch->next_own)
        if (!watch->stale && is_due(watch->key)) return true;
    return false;
}

size_t watch_memory(const struct watching *owner) {
    return owner->count * alloc_class(sizeof(struct watch));
}

/* --- touches --------------------------------------------------------------------------------- */

/* The last watcher that drops its watches frees the record: nothing of it is read behind that. */
static void touch(struct watched *w, bool removed_by_time) {
    for (struct watch *watch = w->watches, *next; watch; watch = next) {
        next = watch->next;
        if (removed_by_time && watch->stale) {
            watch->stale = false;
            continue;
        }
        watch->owner->touched = true;
        drop_all(watch->owner);
    }
}

static void key_changed(struct db *db, const struct key *key, unsigned class, const char *event) {
    (void)event;
    if (class & (CHANGES_NONE | DB_EXPIRED | DB_EVICTED)) return; /* the latter two have hooks of their own */
    struct watched *w = find(db, key);
    if (w) touch(w, false);
}

static void key_expired(struct db *db, const struct key *key) {
    struct watched *w = find(db, key);
    if (w) touch(w, true);
}

static void key_evicted(struct db *db, const struct key *key) {
    struct watched *w = find(db, key);
    if (w) touch(w, false);
}

/* The key in its database gives way to `after`, what has its name in another one; either may be NULL. */
static void replace(struct watched *w, const struct entry *before, const struct entry *after) {
    bool due = after && db_is_due(after);
    for (struct watch *watch = w->watches; watch; watch = watch->next) {
        if (watch->stale) {
            watch->stale = after != NULL;
            if (after == NULL || due) continue;
        } else if (before == NULL && due) {
            watch->stale = true;
            continue;
        }
        watch->owner->touched = true; /* its watches stay until it asks: the table is being walked */
    }
}

/* Everything in db gives way to what is in `by`, or to nothing. */
static void replace_all(const struct db *db, const struct db *by) {
    if (db->id >= table_count) return;
    struct table_iter it;
    table_iter_init(&it, &tables[db->id]);
    for (struct watched *w; (w = table_iter_next(&it));) {
        struct key key = key_of_watched(w);
        const struct entry *before = db_find(db, &key), *after = by ? db_find(by, &key) : NULL;
        if (before || after) replace(w, before, after);
    }
}

static void flushed(struct db *db) {
    replace_all(db, NULL);
}

static void swapped(struct db *one, struct db *other) {
    replace_all(one, other);
    replace_all(other, one);
}

static const struct db_hooks hooks = {
    .changed = key_changed, .expired = key_expired, .evicted = key_evicted, .flushed = flushed, .swapped = swapped};

static void arm(void) {
    if (armed) return;
    armed = true;
    changes_listen(CHANGES_TX, &hooks);
}

void watch_drop_all(struct watching *owner) {
    drop_all(owner);
    if (total > 0 || !armed) return;
    armed = false;
    changes_listen(CHANGES_TX, NULL);
    for (int i = 0; i < table_count; i++)
        table_clear(&tables[i], NULL, NULL);
    alloc_put(tables, (size_t)table_count * sizeof *tables);
    tables = NULL;
    table_count = 0;
}
