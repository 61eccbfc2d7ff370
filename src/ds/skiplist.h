/* The ordered part of a big sorted set: members by (score, bytes of the member), with ranks.
 *
 * It does what a skiplist does in Redis, and OBJECT ENCODING says so. In fact it is a skiplist over blocks whose towers
 * are blocked as well: instead of towers of random height, every level is cut into blocks of bounded size. That is a B+
 * tree that counts.
 *
 *     inner:  | count, room | keys[room] | firsts[room] | counts[room] | children[room] |   up to 63 children
 *     leaf:   | base, shift, count, room | slots[room] |                                    up to 62 members
 *     slot:   | 63..44 the score's code | 43..0 the record's address / 16 |
 *
 * A key is the bits of a score as an unsigned number in the same order. An inner block holds the key and the record of
 * the first member below each child, so that the way down reads records only if scores tie.
 *
 * A leaf takes 8 bytes per member, and yet is searched without reading records: the 20 bits that an address does not
 * need hold the member's score relative to the leaf's own window, (key >> shift) - base. Such codes never put two
 * members in the wrong order; if two codes are equal, the records decide. The window follows the scores: it is widened
 * by arithmetic on the codes alone, and narrowed (which reads the leaf's records) when splits have left the scores in a
 * small part of it. So the codes tell 62 members apart wherever their scores are, except for ties.
 *
 * Blocks grow by jemalloc's size classes, so that they are 85 % full: 9.5 bytes per member for leaves under random
 * insertion, 8.3 under ascending insertion, and 0.7 for the rest. Leaves are not linked: an iteration descends from the
 * root once in 50 members. Records with whole scores and members of 8 to 11 bytes take 16 bytes, so that a member of a
 * big sorted set takes 36 bytes including its share of the table, or 41 of RSS.
 *
 * A skiplist never owns its records (ds/member.h), and its struct may be moved in memory. Scores are not NaN; -0 and 0
 * are equal. Functions are O(log n) unless they say otherwise. */
#pragma once
#include "ds/member.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct skiplist {
    void *root;     /* NULL: empty; a leaf if height is 0 */
    size_t count;   /* members; public, the rest is private */
    size_t bytes;   /* of all blocks */
    uint8_t height; /* levels of inner blocks */
};

typedef void (*skiplist_visit_fn)(void *ctx, struct member *m);

void skiplist_init(struct skiplist *s); /* allocates nothing */
/* Back to the empty state; drop (may be NULL) gets every record in order and may free it. O(n). */
void skiplist_clear(struct skiplist *s, skiplist_visit_fn drop, void *ctx);
/* Fill an empty skiplist with n records in strictly ascending order. O(n). */
void skiplist_build(struct skiplist *s, struct member *const *sorted, size_t n);
size_t skiplist_memory(const struct skiplist *s); /* bytes of the blocks without the records; O(1) */

void skiplist_insert(struct skiplist *s, struct member *m); /* its member must not be present */
void skiplist_remove(struct skiplist *s, struct member *m); /* must be present; is not read afterwards */
/* Give a record that is present another score, for which member_fits(). If the order allows, it stays in its leaf. */
void skiplist_update(struct skiplist *s, struct member *m, double score);
/* Remove up to n members from rank `first` on. visit (may be NULL) gets each in order, may free it and must leave the
 * skiplist alone. Returns how many. About 3 ns per member, plus visit: the caller slices a long range. */
size_t skiplist_remove_ranks(struct skiplist *s, size_t first, size_t n, skiplist_visit_fn visit, void *ctx);

size_t skiplist_rank(const struct skiplist *s, const struct member *m); /* members before m, which is present */

/* A place is a gap: `rank` members are before it. So the number of members between two gaps is the difference of their
 * ranks, and a range is walked from either end until the rank reaches that of the other. Any change of the skiplist
 * invalidates its places. */
struct skiplist_place {
    const struct skiplist *list;
    const void *leaf; /* NULL: the skiplist is empty */
    size_t rank;
    uint16_t index;                    /* in the leaf */
    uint16_t fetched_to, fetched_from; /* records that have been prefetched, as indexes in the leaf */
};
struct skiplist_place skiplist_at(const struct skiplist *s, size_t rank); /* rank <= count */
/* The gap before (after: behind) all members with this score. */
struct skiplist_place skiplist_at_score(const struct skiplist *s, double score, bool after);
/* The gap before (after: behind) the place where (score, member) is or would be. For ranges by member, when all scores
 * are equal, pass that score. */
struct skiplist_place skiplist_at_member(const struct skiplist *s, double score, struct slice member, bool after);
/* Step over the next member, forward or backward, and return it; NULL at the end. Mostly O(1). Records are prefetched
 * some members ahead. */
struct member *skiplist_next(struct skiplist_place *p);
/* Step forward over up to max members at once, within one block, and start to prefetch them. Returns how many; 0 at the
 * end. */
unsigned skiplist_run(struct skiplist_place *p, struct member **out, unsigned max);
struct member *skiplist_prev(struct skiplist_place *p);

/* For tests: asserts every invariant. Returns the number of blocks. O(n). */
size_t skiplist_check(const struct skiplist *s);
