/* See watch.h. Invariants: a record is in its table while it has a watch. The hooks are armed while there is a watch.
 *
 * Hooks must not be changed from inside a hook: when a touch drops the last watch, they stay armed until some watcher
 * calls watch_drop_all(). */
#include "exec/watch.h"
#include "base/alloc.h"
#include "ds/table.h"
#include "store/changes.h"

/* A watched key of a database. */
struct watched {
    struct watch *watches; /* linked by next */
    size_t count;
    uint64_t hash;
    uint32_t db_id, name_len;
    char name[];
};

/* A key of a watcher. */
struct watch {
    struct watched *key;
    struct watching *owner;
    struct watch *next_own;     /* of the owner */
    struct watch *next, **link; /* of the key; link is the pointer that points here */
    bool stale;
};

static uint64_t watched_hash(const void *record) {
    return ((const struct watched *)record)->hash;
}

static const struct table_type watched_type = {watched_hash};
static struct table *tables; /* of struct watched, by the database's id */
static int table_count;      /* the highest id with a watched key, and 1 */
static size_t total;         /* watches of all watchers */
static bool armed;

/* --- The table ------------------------------------------------------------------------------- */

static bool has_name(const void *record, const void *arg) {
    const struct watched *w = record;
    const struct slice *name = arg;
    return w->name_len == name->len && memcmp(w->name, name->ptr, name->len) == 0;
}

static struct watched *find_watched(const struct db *db, const struct key *key) {
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

static struct watched *find_or_add_watched(const struct db *db, const struct key *key) {
    struct watched *w = find_watched(db, key);
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

/* --- Watches --------------------------------------------------------------------------------- */

static void drop_watch(struct watch *watch) {
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

static void drop_watches(struct watching *owner) {
    for (struct watch *watch = owner->first, *next; watch; watch = next) {
        next = watch->next_own;
        drop_watch(watch);
    }
    owner->first = NULL;
    owner->count = 0;
}

static bool is_due(const struct watched *w) {
    struct key key = key_of_watched(w);
    const struct entry *e = db_find(db_at((int)w->db_id), &key);
    return e && db_is_due(e);
}

/* Searches the shorter of both lists. */
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

static void arm_hooks(void);

void watch_add(struct watching *owner, struct db *db, const struct key *key) {
    struct watched *w = find_or_add_watched(db, key);
    if (watches_already(owner, w)) return;
    struct watch *watch = alloc_get(sizeof *watch);
    *watch = (struct watch){w, owner, owner->first, w->watches, &w->watches, is_due(w)};
    if (w->watches) w->watches->link = &watch->next;
    w->watches = owner->first = watch;
    w->count++;
    owner->count++;
    total++;
    arm_hooks();
}

bool watch_any_due(const struct watching *owner) {
    for (const struct watch *watch = owner->first; watch; watch = watch->next_own)
        if (!watch->stale && is_due(watch->key)) return true;
    return false;
}

size_t watch_memory(const struct watching *owner) {
    return owner->count * alloc_class(sizeof(struct watch));
}

/* --- Touches --------------------------------------------------------------------------------- */

/* The last watcher that drops its watches frees the record, so `next` is read before. */
static void touch_watched(struct watched *w, bool removed_by_time) {
    for (struct watch *watch = w->watches, *next; watch; watch = next) {
        next = watch->next;
        if (removed_by_time && watch->stale) {
            watch->stale = false;
            continue;
        }
        watch->owner->touched = true;
        drop_watches(watch->owner);
    }
}

static void watch_changed(struct db *db, const struct key *key, unsigned class, const char *event) {
    (void)event;
    if (class & (CHANGES_NONE | DB_EXPIRED | DB_EVICTED)) return; /* expired and evicted keys have hooks of their own */
    struct watched *w = find_watched(db, key);
    if (w) touch_watched(w, false);
}

static void watch_expired(struct db *db, const struct key *key) {
    struct watched *w = find_watched(db, key);
    if (w) touch_watched(w, true);
}

static void watch_evicted(struct db *db, const struct key *key) {
    struct watched *w = find_watched(db, key);
    if (w) touch_watched(w, false);
}

/* The key's entry in its database is replaced by `after`, the entry of that name in another one. Either may be NULL. */
static void replace_watched(struct watched *w, const struct entry *before, const struct entry *after) {
    bool due = after && db_is_due(after);
    for (struct watch *watch = w->watches; watch; watch = watch->next) {
        if (watch->stale) {
            watch->stale = after != NULL;
            if (after == NULL || due) continue;
        } else if (before == NULL && due) {
            watch->stale = true;
            continue;
        }
        watch->owner->touched = true; /* its watches are not dropped here, since the table is being walked */
    }
}

/* All entries of db are replaced by those of `by`, or removed if it is NULL. */
static void replace_all(const struct db *db, const struct db *by) {
    if (db->id >= table_count) return;
    struct table_iter it;
    table_iter_init(&it, &tables[db->id]);
    for (struct watched *w; (w = table_iter_next(&it));) {
        struct key key = key_of_watched(w);
        const struct entry *before = db_find(db, &key), *after = by ? db_find(by, &key) : NULL;
        if (before || after) replace_watched(w, before, after);
    }
}

static void watch_flushed(struct db *db) {
    replace_all(db, NULL);
}

static void watch_swapped(struct db *one, struct db *other) {
    replace_all(one, other);
    replace_all(other, one);
}

static const struct db_hooks hooks = {.changed = watch_changed,
                                      .expired = watch_expired,
                                      .evicted = watch_evicted,
                                      .flushed = watch_flushed,
                                      .swapped = watch_swapped};

static void arm_hooks(void) {
    if (armed) return;
    armed = true;
    changes_listen(CHANGES_TX, &hooks);
}

void watch_drop_all(struct watching *owner) {
    drop_watches(owner);
    if (total > 0 || !armed) return;
    armed = false;
    changes_listen(CHANGES_TX, NULL);
    for (int i = 0; i < table_count; i++)
        table_clear(&tables[i], NULL, NULL);
    alloc_put(tables, (size_t)table_count * sizeof *tables);
    tables = NULL;
    table_count = 0;
}
