/* Sets of distinct strings.
 *
 * A set of integers is an intset, a set of few short members a pack (ds/pack.h), both inside the key's entry; any other is a
 * table of records. It goes from the first to the last as it grows or takes in what does not fit, and
 * never back, in the steps of Redis 7.2 (OBJECT ENCODING shows them).
 *
 * An empty set does not exist: whoever takes the last member away removes the key. What may move the
 * entry returns where it is. */
#pragma once
#include "ds/listpack.h"
#include "ds/table.h"
#include "store/db.h"

enum set_encoding {
    SET_INTSET,        /* an intset inline */
    SET_LISTPACK,      /* a pack inline */
    SET_HASHTABLE = 8, /* struct table * of records */
};

struct set_options {
    int64_t max_intset_entries, max_listpack_entries, max_listpack_value;
};
extern struct set_options set_options;
extern const struct value_ops set_ops;

/* --- Reading --------------------------------------------------------------------------------- */

size_t set_count(const struct entry *e);                  /* O(1) */
bool set_has(const struct entry *e, struct slice member); /* O(1), O(log n) for an intset */
bool set_has_value(const struct entry *e, struct listpack_value member);
/* Fetch what looking these members up will touch: before several look-ups in a row. */
void set_prefetch(const struct entry *e, const struct slice *members, int n);

/* All members, those of an intset in order. The set must not change meanwhile. A member is given as it is kept:
 * ptr is NULL for an integer of the small encodings, and listpack_value_text() makes text of it. */
struct set_iter {
    unsigned encoding;
    const uint8_t *block, *end; /* the intset, or the next element of the pack and its end */
    size_t index;
    struct table_iter records;
};
void set_iter_init(struct set_iter *it, const struct entry *e);
bool set_iter_next(struct set_iter *it, struct listpack_value *member); /* false at the end */

/* One step of SSCAN, as table_scan; a small set is one step, which returns 0. */
typedef void (*set_visit_fn)(void *ctx, struct listpack_value member);
uint64_t set_scan(const struct entry *e, uint64_t cursor, set_visit_fn visit, void *ctx);

/* A member drawn at random, each with the same probability, and its place, until the set changes. */
struct set_pick {
    struct listpack_value member;
    void *record; /* of a table */
    size_t index; /* of a small one */
};
struct set_pick set_random(const struct entry *e);
/* `wanted` different members, fewer than there are, each choice of them being equally likely. */
void set_sample(const struct entry *e, size_t wanted, set_visit_fn visit, void *ctx);

/* --- Changes --------------------------------------------------------------------------------- */

/* Add those that are not there, to a new set if e is NULL. n > 0. */
struct entry *set_add(struct db *db, const struct key *key, struct entry *e, const struct slice *members, int n,
                      int64_t *added);
/* Remove those that are there. The set may be empty then: the caller removes it. */
struct entry *set_remove(struct db *db, struct entry *e, const struct slice *members, int n, int64_t *removed);
struct entry *set_remove_pick(struct db *db, struct entry *e, struct set_pick pick);
/* Keep so many members, drawn at random, of a larger set and tell of the others. O(n), but most of what a big set
 * leaves is freed on the worker. */
struct entry *set_keep_random(struct db *db, struct entry *e, size_t keep, set_visit_fn gone, void *ctx);

/* --- Results: a set that has no key yet ------------------------------------------------------ */

struct set_draft {
    struct table members;
    size_t longest, bytes; /* of the members' texts */
    uint64_t most;         /* members that set_draft_held() tells of */
    bool integers;         /* nothing else is in it, nor has been */
};
void set_draft_init(struct set_draft *d);
bool set_draft_add(struct set_draft *d, struct slice member); /* false: it is there already */
bool set_draft_has(const struct set_draft *d, struct slice member);
void set_draft_each(const struct set_draft *d, set_visit_fn visit, void *ctx);
void set_draft_drop(struct set_draft *d);
/* What it becomes goes by all the members of this set too: they would have been in it, and have gone again. */
void set_draft_held(struct set_draft *d, const struct entry *e);
/* Make it the value of the key, over whatever was there (`old`, may be NULL); not for an empty one. Takes all of it. */
void set_draft_store(struct db *db, const struct key *key, struct entry *old, struct set_draft *d);
