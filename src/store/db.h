/* The keyspace: numbered databases, and the only door for changes to them.
 *
 * A lookup for reading (db_read) counts hits and misses, one for writing (db_write) does not. Both touch the
 * access clock, and both treat a key past its deadline as absent and remove it; db_look does only that. Who
 * changes a value calls db_changed() once, and everything that follows from a change happens there. */
#pragma once
#include "base/hash.h"
#include "base/slice.h"
#include "store/entry.h"
#include "store/keyspace.h"
#include <stdint.h>

/* A key's name with its hash, computed once and carried along. The hash does not depend on the database. */
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
    DB_MISS = 1 << 9,    /* m: a read that found nothing; changes nothing */
    DB_MODULE = 1 << 10, /* d */
    DB_NEW = 1 << 11,    /* n: a key that did not exist */
};

/* The seam to the server. All may be NULL. `event` is the name that subscribers see.
 * A hook must not change the database; the key's name is valid until it returns. */
struct db_hooks {
    void (*changed)(struct db *db, const struct key *key, unsigned class, const char *event);
    void (*expired)(struct db *db, const struct key *key); /* removed because its time had come: propagate a DEL */
    void (*evicted)(struct db *db, const struct key *key);
    void (*flushed)(struct db *db);                    /* about to be emptied: all its keys change */
    void (*emptied)(void);                             /* all databases have been emptied by one command */
    void (*swapped)(struct db *one, struct db *other); /* about to swap their contents */
};
extern struct db_hooks db_hooks;

struct db_metrics {
    uint64_t hits, misses, expired, expired_stale_permille;
    int64_t dirty; /* changes since the last save */
};
extern struct db_metrics db_metrics;

void db_init(int databases); /* once */
void db_shutdown(void);      /* frees everything: for leak checkers */
int db_count(void);
struct db *db_at(int id); /* 0 <= id < db_count() */

/* NULL if absent. The entry stays where it is until the next change to this database. */
struct entry *db_read(struct db *db, const struct key *key);
struct entry *db_write(struct db *db, const struct key *key);
struct entry *db_look(struct db *db, const struct key *key);
struct entry *db_peek(struct db *db, const struct key *key);       /* changes nothing at all */
struct entry *db_find(const struct db *db, const struct key *key); /* the same, and even one past its deadline */

/* Two steps of a wave: bring the table line, then the entry, into the cache ahead of the look-up. */
static inline void db_prefetch_line(const struct db *db, uint64_t hash) {
    table_prefetch_line(&db->keys, hash);
}
static inline void db_prefetch_entry(const struct db *db, uint64_t hash) {
    table_prefetch_record(&db->keys, hash);
}

/* The third step, for commands that look up a member of a big collection: the table it is in, to fetch from it in the
 * same way. NULL: there is none. Good until the next change to the database. */
const struct table *db_members(const struct db *db, const struct key *key);

/* db_set_string's and db_put's deadline: keep what the key has. */
#define DB_KEEP_TTL (-2)

/* Set key to a string, whatever was there. value is copied, and must not lie in this key's own entry;
 * `old` is what db_write said (may be NULL). An in-place rewrite where the memory fits. Returns the entry.
 * What parses as an integer of 64 bits becomes one, as in Redis. A new key is published as "new". */
struct entry *db_set_string(struct db *db, const struct key *key, struct entry *old, struct slice value,
                            int64_t deadline_ms);
/* The same for text that stays text ("3.0" less its zeros, after INCRBYFLOAT): never integer-encoded. */
struct entry *db_set_text(struct db *db, const struct key *key, struct entry *old, struct slice value,
                          int64_t deadline_ms);
/* The same with a blob: takes the caller's hold. */
struct entry *db_set_blob(struct db *db, const struct key *key, struct entry *old, struct blob *value,
                          int64_t deadline_ms);
struct entry *db_set_int(struct db *db, const struct key *key, struct entry *old, int64_t value, int64_t deadline_ms);
/* A value of another kind: encoding-specific inline bytes (value_len <= 65535; zeros if value is NULL). What was in
 * `old` is freed. */
struct entry *db_put(struct db *db, const struct key *key, struct entry *old, enum entry_type type, unsigned encoding,
                     const void *value, size_t value_len, int64_t deadline_ms);
/* Give the inline value of an entry another encoding and length; the first min(old, new) bytes are kept.
 * May move the entry: use what it returns. */
struct entry *db_resize_value(struct db *db, struct entry *e, unsigned encoding, size_t value_len);

/* Remove a key and free its entry; a large value goes to the worker. */
void db_remove(struct db *db, const struct key *key, struct entry *e);
/* Take the entry out of the database without freeing it: RENAME, MOVE. */
struct entry *db_detach(struct db *db, const struct key *key, struct entry *e);
/* Insert under another name a detached entry's value and TTL; frees `e`. The new key must be absent. */
struct entry *db_attach(struct db *db, const struct key *key, struct entry *e);
/* Insert an equal, independent value under a key that is absent, with this deadline. e may be in any database. */
struct entry *db_copy(struct db *to, const struct key *key, const struct entry *e, int64_t deadline_ms);

/* Insert an entry that was made elsewhere (in a snapshot being loaded), with the access clock that it has. No event.
 * NULL: done; else the entry that has its key already (past its deadline or not), and nothing was done. */
struct entry *db_insert_new(struct db *db, const struct key *key, struct entry *e);

/* TTL. deadline_ms ENTRY_NO_TTL removes it. May move the entry: use what it returns. */
struct entry *db_set_deadline(struct db *db, struct entry *e, uint64_t hash, int64_t deadline_ms);

/* A key was changed: bump dirty, tell hooks. `class` is one of db_class, or 0 for a change without an event; event is a
 * static name. */
void db_changed(struct db *db, const struct key *key, unsigned class, const char *event);
/* Only publish an event, without a change (keymiss, new, expired). */
void db_notify(struct db *db, const struct key *key, unsigned class, const char *event);

void db_empty(struct db *db, bool in_background); /* FLUSHDB; returns at once if in_background; dirty is the caller's */
void db_swap(int a, int b);                       /* SWAPDB: the numbers swap, the contents stay; dirty likewise */
size_t db_size(const struct db *db);
/* A random key; NULL if there is none. Those past their deadline are removed and do not count, but when
 * a thousand in a row are, the next one is returned even so: its time may as well have come just now. */
struct entry *db_random(struct db *db);
/* One step of SCAN: visit is called with struct entry *. Returns the next cursor, 0 at the end. */
uint64_t db_scan(struct db *db, uint64_t cursor, table_visit_fn visit, void *ctx);
bool db_is_due(const struct entry *e); /* past its deadline by the cached clock */
