/* The keyspace: numbered databases, and the only way to change them.
 *
 * db_read() counts hits and misses, db_write() does not. Both set the access clock. Both treat a key past its deadline
 * as absent and remove it; db_look() does only that. While expiry is held (expire.h) only db_write() removes it. After
 * changing a value call db_changed() once: it counts the change and calls the hooks.
 *
 * Look-ups, insertions and removals of a key are O(1), apart from freeing a small value. The database owns its entries.
 * A pointer to an entry is valid until the next change of its database; a function that returns an entry may have moved
 * it, so use the result. */
#pragma once
#include "base/hash.h"
#include "base/slice.h"
#include "store/entry.h"
#include "store/keyspace.h"
#include <stdint.h>

/* A key's name with its hash, which is computed once and passed along. All databases use the same hash. */
struct key {
    struct slice name;
    uint64_t hash;
};

static inline struct key key_of(struct slice name) {
    return (struct key){name, hash_bytes(name.ptr, name.len)};
}

struct blob;

/* Classes of keyspace events, as in notify-keyspace-events. */
enum db_class {
    DB_GENERIC = 1 << 0, /* g */
    DB_STRING = 1 << 1,  /* $ */
    DB_LIST = 1 << 2,    /* l */
    DB_SET = 1 << 3,     /* s */
    DB_HASH = 1 << 4,    /* h */
    DB_ZSET = 1 << 5,    /* z */
    DB_EXPIRED = 1 << 6, /* x */
    DB_EVICTED = 1 << 7, /* e */
    DB_STREAM = 1 << 8,  /* t */
    DB_MISS = 1 << 9,    /* m: a look-up for reading found nothing; no change */
    DB_MODULE = 1 << 10, /* d */
    DB_NEW = 1 << 11,    /* n: a key was created; its change is reported separately */
    DB_BESIDE = 1 << 12, /* beside a type: what hangs on the value has changed, but nothing that WATCH protects */
};

/* What the store reports upwards. Each hook may be NULL. `event` is the name that subscribers see. A hook must not
 * change the database. The key's name is valid until the hook returns. */
struct db_hooks {
    void (*changed)(struct db *db, const struct key *key, unsigned class, const char *event);
    void (*expired)(struct db *db, const struct key *key); /* removed at its deadline: propagate a DEL */
    void (*evicted)(struct db *db, const struct key *key);
    void (*flushed)(struct db *db);                    /* about to be emptied: all its keys change */
    void (*emptied)(void);                             /* all databases have been emptied by one command */
    void (*swapped)(struct db *one, struct db *other); /* about to swap their contents */
    /* About to get the contents of a spare one. */
    void (*replaced)(struct db *db, const struct db *by);
};
extern struct db_hooks db_hooks;

struct db_metrics {
    uint64_t hits, misses; /* of db_read() */
    uint64_t expired;      /* keys removed at their deadline */
    uint64_t evicted;      /* keys removed because memory was short */
    uint64_t expired_stale_permille;
    int64_t dirty; /* changes since the last save */
};
extern struct db_metrics db_metrics;

void db_init(int databases); /* call once */
void db_shutdown(void);      /* frees everything, for leak checkers */
int db_count(void);
struct db *db_at(int id); /* 0 <= id < db_count() */

/* The entry of a key; NULL if it is absent. */
struct entry *db_read(struct db *db, const struct key *key);
struct entry *db_write(struct db *db, const struct key *key);
struct entry *db_look(struct db *db, const struct key *key);
struct entry *db_peek(struct db *db, const struct key *key); /* absent if past its deadline, but nothing changes */
struct entry *db_find(const struct db *db, const struct key *key); /* present even past its deadline; nothing changes */

/* Fetch the line of the table in which a key is looked up, or into which it is inserted. */
static inline void db_prefetch_line(const struct db *db, uint64_t hash) {
    table_prefetch_line(&db->keys, hash);
}

/* The table in which members of the key's value are looked up, to be prefetched in the same way. NULL if the key is
 * absent or its value has no table. Valid until the next change of the database. */
const struct table *db_members(const struct db *db, const struct key *key);

/* The deadline for db_set_*() and db_put() that keeps the one that the key has. */
#define DB_KEEP_TTL (-2)

/* Set a key to a string, whatever its old value. The value is copied; it must not lie in the key's own entry. `old` is
 * the result of db_write(), NULL if the key is absent. In place if the memory fits. A value that reads as an integer of
 * 64 bits is stored as one. A new key is reported by the event "new". */
struct entry *db_set_string(struct db *db, const struct key *key, struct entry *old, struct slice value,
                            int64_t deadline_ms);
/* The same for text that must not become an integer, such as the result of INCRBYFLOAT. */
struct entry *db_set_text(struct db *db, const struct key *key, struct entry *old, struct slice value,
                          int64_t deadline_ms);
/* The same with a blob. Takes over the caller's share of it. */
struct entry *db_set_blob(struct db *db, const struct key *key, struct entry *old, struct blob *value,
                          int64_t deadline_ms);
struct entry *db_set_int(struct db *db, const struct key *key, struct entry *old, int64_t value, int64_t deadline_ms);
/* The same for any type: `value` is value_len (at most 65535) inline bytes of this encoding, NULL for zeros. The old
 * value is freed. */
struct entry *db_put(struct db *db, const struct key *key, struct entry *old, enum entry_type type, unsigned encoding,
                     const void *value, size_t value_len, int64_t deadline_ms);
/* Give an inline value another encoding and length. The first min(old, new) bytes are kept, new ones uninitialised. */
struct entry *db_resize_value(struct db *db, struct entry *e, unsigned encoding, size_t value_len);

/* Remove a key and free its entry. The worker frees a large value. */
void db_remove(struct db *db, const struct key *key, struct entry *e);
/* Remove a key because memory is short: the hook `evicted`, the event "evicted". */
void db_evict(struct db *db, const struct key *key, struct entry *e);
/* Remove a key but keep its entry, which the caller then owns: RENAME, MOVE. */
struct entry *db_detach(struct db *db, const struct key *key, struct entry *e);
/* Insert the value and the deadline of a detached entry under a key that is absent. Frees `e`. */
struct entry *db_attach(struct db *db, const struct key *key, struct entry *e);
/* Insert an equal, independent value under a key that is absent, with this deadline. `e` may be in any database. */
struct entry *db_copy(struct db *to, const struct key *key, const struct entry *e, int64_t deadline_ms);

/* Insert an entry from a snapshot as it is, with its access clock and without an event. NULL: done. Else the key exists
 * (perhaps past its deadline): the result is its entry, nothing has changed, and the caller still owns `e`. */
struct entry *db_insert_new(struct db *db, const struct key *key, struct entry *e);

/* Set the deadline, in Unix ms; ENTRY_NO_TTL removes it. */
struct entry *db_set_deadline(struct db *db, struct entry *e, uint64_t hash, int64_t deadline_ms);

/* A value has changed: add one to `dirty`, call the hook. `class` is an enum db_class, or 0 for a change that is no
 * event. `event` is a static string. */
void db_changed(struct db *db, const struct key *key, unsigned class, const char *event);
/* Report an event that is no change: keymiss, new, expired. */
void db_notify(struct db *db, const struct key *key, unsigned class, const char *event);

/* FLUSHDB. O(keys), or O(1) if in_background: the worker frees them. The caller counts the change. */
void db_empty(struct db *db, bool in_background);
/* Empty all databases. They are empty at once. If not in_background, their keys are freed before this returns; then
 * `meanwhile` is called about each millisecond. It may turn the loop; NULL: not called. */
void db_empty_all(bool in_background, void (*meanwhile)(void));

/* A spare set: as many empty databases as there are live ones, in an array. A snapshot is read into them
 * (db_insert_new()) while the live ones serve. Nothing expires in them, and no hook hears of them. */
struct db *db_spare_new(void);
void db_spare_drop(struct db *spare, bool in_background);
/* The live databases get the contents of the spare ones, all at once. Their former contents are freed as by
 * db_empty_all(), and the set is gone. The hook `replaced` hears of each database. */
void db_spare_use(struct db *spare, bool in_background, void (*meanwhile)(void));
/* SWAPDB: the databases swap their contents and keep their numbers. O(1). The caller counts the change. */
void db_swap(int a, int b);
size_t db_size(const struct db *db); /* keys, those past their deadline included */
size_t db_keys(void);                /* the same of all databases. O(databases) */
size_t db_expiring(void);            /* keys with a deadline in all databases; O(1) */
/* A random key; NULL if there is none. Keys past their deadline are removed on the way, a thousand at most. NULL may
 * also mean that after those some 20,000 others in a row are past their deadline. */
struct entry *db_random(struct db *db);
/* One step of SCAN: `visit` gets struct entry *. Returns the next cursor; 0 at the end. */
uint64_t db_scan(struct db *db, uint64_t cursor, table_visit_fn visit, void *ctx);
bool db_is_due(const struct entry *e); /* past its deadline by the cached clock */
