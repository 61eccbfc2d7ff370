/* The ordered part of a big sorted set: members by (score, member's bytes), with ranks.
 *
 * It answers to what Redis uses a skiplist for, and OBJECT ENCODING says so. What it is: a skiplist over
 * blocks in which the towers are blocked as well, so that instead of a random height every level is cut into
 * blocks of bounded size. That is a B+ tree that counts.
 *
 *     inner:  | count, room | keys[room] | firsts[room] | counts[room] | children[room] |   up to 63 children
 *     leaf:   | base, shift, count, room | slots[room] |                                    up to 62 members
 *     slot:   | 63..44 the score's code | 43..0 the record's address / 16 |
 *
 * A key is the bits of a score as an unsigned number of the same order. An inner block holds the key and the
 * record of the first member below each child, so that the way down reads no record but where scores tie.
 *
 * A leaf has 8 bytes a member, and yet is searched without reading records: the 20 bits that an address does not
 * need hold the member's score relative to the leaf's own window, (key >> shift) - base. Such a code never puts
 * two members in the wrong order; where it makes them equal, their records decide. The window follows the
 * scores: it is widened by arithmetic on the codes alone, and narrowed (which reads the leaf's records) when
 * splits have left the scores in a small part of it. So 62 members are told apart wherever their scores are, but
 * for ties.
 *
 * Blocks grow by jemalloc's size classes, so that they are 85 % full: 9.5 bytes a member for leaves under random
 * insertion, 8.3 under ascending, and 0.7 for the rest. There are no links between leaves: who iterates comes
 * down from the root once in 50 members. Records with whole scores and members of 8 to 11 bytes are 16 bytes, so
 * that a member of a big sorted set takes 36 bytes with its share of the table, or 41 of RSS.
 *
 * A skiplist never owns its records (ds/member.h) and may be moved in memory by whoever holds it.
 * Scores are not NaN; -0 and 0 are equal. All is O(log n) where nothing else is said. */
#pragma once
#include "ds/member.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct skiplist {
    void *root;     /* NULL: empty; a leaf where height is 0 */
    size_t count;   /* members; public, the rest is private */
    size_t bytes;   /* of all blocks */
    uint8_t height; /* levels of inner blocks */
};

typedef void (*skiplist_visit_fn)(void *ctx, struct member *m);

void skiplist_init(struct skiplist *s); /* allocates nothing */
/* Back to the empty state; drop, if not NULL, gets every record in order and may free it. O(n). */
void skiplist_clear(struct skiplist *s, skiplist_visit_fn drop, void *ctx);
/* An empty skiplist from n records in strictly ascending order. O(n). */
void skiplist_build(struct skiplist *s, struct member *const *sorted, size_t n);
size_t skiplist_memory(const struct skiplist *s); /* bytes of the blocks, without the records; O(1) */

void skiplist_insert(struct skiplist *s, struct member *m); /* its member must not be present */
void skiplist_remove(struct skiplist *s, struct member *m); /* must be present; the record is not read afterwards */
/* Give a record that is present another score, for which member_fits(). Where the order of its leaf's
 * neighbours allows, within the leaf. */
void skiplist_update(struct skiplist *s, struct member *m, double score);
/* The record is about to move in memory: `to` has the same score and member. Both are readable. */
void skiplist_replace(struct skiplist *s, const struct member *m, struct member *to);
/* Take out n members (as many as there are) from rank first on; visit, if not NULL, gets each in order, may free it
 * and must leave the skiplist alone. Returns how many. Some 3 ns a member, and visit:
 * the caller slices a long range. */
size_t skiplist_remove_ranks(struct skiplist *s, size_t first, size_t n, skiplist_visit_fn visit, void *ctx);

size_t skiplist_rank(const struct skiplist *s, const struct member *m); /* members before it, which must be present */

/* A place is a gap: rank members are before it. So the members from one gap to another are the
 * difference of their ranks, and a range is walked from either end until rank reaches the other's.
 * Any change of the skiplist invalidates its places. */
struct skiplist_place {
    const struct skiplist *list;
    const void *leaf; /* NULL: the skiplist is empty */
    size_t rank;
    uint16_t index;                    /* in the leaf */
    uint16_t fetched_to, fetched_from; /* records that have been prefetched, as indexes in the leaf */
};
struct skiplist_place skiplist_at(const struct skiplist *s, size_t rank); /* rank <= count */
/* The gap before (after: behind) all members of this score. */
struct skiplist_place skiplist_at_score(const struct skiplist *s, double score, bool after);
/* The gap before (after: behind) where (score, member) is or would be. For ranges by member, where all
 * scores are the same, give that score. */
struct skiplist_place skiplist_at_member(const struct skiplist *s, double score, struct slice member, bool after);
/* Step over the next member, forward or backward, and return it; NULL at the end. O(1) mostly. Records
 * are prefetched some members ahead. */
struct member *skiplist_next(struct skiplist_place *p);
/* Step forward over up to max members at once, as far as their block reaches; they are being prefetched then.
 * Returns how many, 0 at the end. */
unsigned skiplist_run(struct skiplist_place *p, struct member **out, unsigned max);
struct member *skiplist_prev(struct skiplist_place *p);

/* For tests: asserts every invariant, O(n). Returns the number of blocks. */
size_t skiplist_check(const struct skiplist *s);
