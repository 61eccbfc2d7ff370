/* The set type: distinct strings.
 *
 * A set of few integers is an intset, a set of few short members a pack (ds/pack.h), both in the entry. Any other set
 * is a table of records. A set moves from intset to pack or table, and from pack to table, when it grows or gets a
 * member that does not fit, and never back; OBJECT ENCODING reports the same steps as in Redis 7.2.
 *
 * No key has an empty set: the caller that removes the last member removes the key. Functions that return an entry may
 * have moved it. */
#pragma once
#include "ds/listpack.h"
#include "ds/table.h"
#include "store/db.h"

enum set_encoding {
    SET_INTSET,        /* an intset inline; reported as intset */
    SET_LISTPACK,      /* a pack inline; reported as listpack */
    SET_HASHTABLE = 8, /* struct table * of records (set_record.h); reported as hashtable */
};

struct set_options {
    int64_t max_intset_entries, max_listpack_entries;
    int64_t max_listpack_value; /* bytes */
};
extern struct set_options set_options;
extern const struct value_ops set_ops;

/* --- Reading --------------------------------------------------------------------------------- */

size_t set_count(const struct entry *e);                  /* O(1) */
bool set_has(const struct entry *e, struct slice member); /* O(1), in an intset O(log n), in a pack O(n) */
/* The same for a member as an iteration gives it. */
bool set_has_value(const struct entry *e, struct listpack_value member);
/* Fetch the memory that look-ups of these members will touch, before several look-ups in a row. Takes the first 16. */
void set_prefetch(const struct entry *e, const struct slice *members, int n);

/* All members; those of an intset come in ascending order. The set must not change during the iteration. In an intset
 * or a pack a member may be an integer: its ptr is NULL, and listpack_value_text() prints it. */
struct set_iter {
    unsigned encoding;
    const uint8_t *block, *end; /* the intset, or the rest of the pack */
    size_t index;
    struct table_iter records;
};
void set_iter_init(struct set_iter *it, const struct entry *e);
bool set_iter_next(struct set_iter *it, struct listpack_value *member); /* false at the end */

/* One step of SSCAN, as table_scan(). A small set is visited in one step, which returns 0. */
typedef void (*set_visit_fn)(void *ctx, struct listpack_value member);
uint64_t set_scan(const struct entry *e, uint64_t cursor, set_visit_fn visit, void *ctx);

/* A random member, each being equally likely, and its place. Valid until the set changes. */
struct set_pick {
    struct listpack_value member;
    void *record; /* in a table */
    size_t index; /* in an intset or a pack */
};
struct set_pick set_random(const struct entry *e); /* O(1), in a pack O(n) */
/* Visit `wanted` different members, fewer than the set has. Every selection is equally likely. O(n). */
void set_sample(const struct entry *e, size_t wanted, set_visit_fn visit, void *ctx);

/* --- Changes --------------------------------------------------------------------------------- */

/* Add n >= 1 members; *added is the number of new ones. e may be NULL (creates the key). */
struct entry *set_add(struct db *db, const struct key *key, struct entry *e, const struct slice *members, int n,
                      int64_t *added);
/* Remove members; *removed is the number that existed. The set may be empty then. */
struct entry *set_remove(struct db *db, struct entry *e, const struct slice *members, int n, int64_t *removed);
struct entry *set_remove_pick(struct db *db, struct entry *e, struct set_pick pick);
/* Keep this many random members of a larger set; `gone` gets the others. O(n), but the worker frees most of a big
 * set. */
struct entry *set_keep_random(struct db *db, struct entry *e, size_t keep, set_visit_fn gone, void *ctx);

/* --- Results of set operations: a set without a key ------------------------------------------ */

struct set_draft {
    struct table members;
    size_t longest, bytes; /* of the members' texts */
    uint64_t most;         /* members of the set that set_draft_held() was given */
    bool integers;         /* all members so far were integers */
};
void set_draft_init(struct set_draft *d);
bool set_draft_add(struct set_draft *d, struct slice member); /* false: it is a member already */
bool set_draft_has(const struct set_draft *d, struct slice member);
void set_draft_each(const struct set_draft *d, set_visit_fn visit, void *ctx);
void set_draft_drop(struct set_draft *d);
/* Choose the encoding as if this set's members had been added and removed again, as Redis does. */
void set_draft_held(struct set_draft *d, const struct entry *e);
/* Set the key to the draft, which must not be empty and is empty afterwards. `old` is the key's entry or NULL. */
void set_draft_store(struct db *db, const struct key *key, struct entry *old, struct set_draft *d);
