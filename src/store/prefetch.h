/* Look-ups that are about to be made one after the other: their cache misses overlap.
 *
 * A look-up misses the cache twice, for a line of the table and then for the record that the line points to. Noting a
 * look-up here fetches its line at once; by the time all are noted the first lines have come, and a second pass over
 * them fetches the records. Only then does the caller look anything up. Short loops of independent loads are what a
 * processor overlaps best.
 *
 *     struct prefetch ahead;
 *     prefetch_begin(&ahead);
 *     for (...) prefetch_key(&ahead, db, hash);
 *     prefetch_records(&ahead);
 *
 * The databases may differ. They must not change between the two passes. */
#pragma once
#include "store/keyspace.h"
#include <assert.h>

#define PREFETCH_MAX 64 /* look-ups at a time */

struct prefetch {
    size_t n;
    struct table_place places[PREFETCH_MAX];
};

static inline void prefetch_begin(struct prefetch *p) {
    p->n = 0;
}
/* Note a look-up in a big collection: db_members() tells its table. At most PREFETCH_MAX in all. */
static inline void prefetch_member(struct prefetch *p, const struct table *members, uint64_t hash) {
    assert(p->n < PREFETCH_MAX);
    p->places[p->n++] = table_prefetch_line(members, hash);
}
/* Note a look-up of a key. */
static inline void prefetch_key(struct prefetch *p, const struct db *db, uint64_t hash) {
    prefetch_member(p, &db->keys, hash);
}
/* The second pass. */
static inline void prefetch_records(const struct prefetch *p) {
    for (size_t i = 0; i < p->n; i++)
        table_prefetch_place(p->places[i]);
}
