/* Overlaps the cache misses of look-ups that follow one after the other.
 *
 * A look-up misses the cache twice: for a line of the table, then for the record to which the line points. Here the
 * first pass notes all look-ups and starts to fetch their lines; the second pass, when the first lines have arrived,
 * starts to fetch the records. Then the caller looks the keys up. Processors overlap short loops of independent loads
 * best.
 *
 *     struct prefetch ahead;
 *     prefetch_begin(&ahead);
 *     for (...) prefetch_key(&ahead, db, hash);
 *     prefetch_records(&ahead);
 *
 * The look-ups may be in different databases, which must not change between the two passes. */
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
/* Note a look-up in a big collection, whose table db_members() gives. There is room for PREFETCH_MAX look-ups. */
static inline void prefetch_member(struct prefetch *p, const struct table *members, uint64_t hash) {
    assert(p->n < PREFETCH_MAX);
    p->places[p->n++] = table_prefetch_line(members, hash);
}
/* Note a look-up of a key. */
static inline void prefetch_key(struct prefetch *p, const struct db *db, uint64_t hash) {
    prefetch_member(p, &db->keys, hash);
}
/* The second pass: fetch the records. */
static inline void prefetch_records(const struct prefetch *p) {
    for (size_t i = 0; i < p->n; i++)
        table_prefetch_place(p->places[i]);
}
