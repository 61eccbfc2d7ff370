/* One member of a big sorted set with its score, in one allocation.
 *
 *      0      1                5 or 9
 *     +------+----------------+---------------+--------+
 *     | head | score          | length        | member |
 *     |      | (4: int32, or  | (4, if the    |        |
 *     |      | 8: double)     | head has 127) |        |
 *     +------+----------------+---------------+--------+
 *     head: bit 7: the score is an int32 | bits 6..0: the length; 127: it follows the score
 *
 * Two structures point to a record: a table (by member) and a skiplist (by score, then member); neither owns it. Most
 * scores are whole numbers, and 4 bytes hold most of those: a member of 8 to 11 bytes then takes 16 bytes in jemalloc,
 * not 32. The short form is used only if it saves a size class. So only a later score that does not fit it
 * (member_fits) needs a new record.
 *
 * Records are 16-byte aligned, since both structures use the low four bits of an address. O(bytes). */
#pragma once
#include "base/alloc.h"
#include "base/hash.h"
#include "base/likely.h"
#include "base/slice.h"
#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define MEMBER_SHORT 0x80u /* head: the score is an int32 */
#define MEMBER_LONG 0x7fu  /* head: the length follows the score */

struct member {
    uint8_t head;
    char rest[];
};

/* True if an int32 gives back exactly this score. It would not give back -0. */
static inline bool member_is_short(double score) {
    return score >= INT32_MIN && score <= INT32_MAX && score == (double)(int32_t)score &&
           !(score == 0 && signbit(score));
}
static inline double member_score(const struct member *m) {
    if (m->head & MEMBER_SHORT) {
        int32_t n;
        memcpy(&n, m->rest, sizeof n);
        return n;
    }
    double score;
    memcpy(&score, m->rest, sizeof score);
    return score;
}
/* The bytes of the member; valid as long as the record. */
static inline struct slice member_slice(const struct member *m) {
    const char *p = m->rest + (m->head & MEMBER_SHORT ? 4 : 8);
    uint32_t len = m->head & MEMBER_LONG;
    if (unlikely(len == MEMBER_LONG)) {
        memcpy(&len, p, sizeof len);
        p += sizeof len;
    }
    return slice_of(p, len);
}

/* Bytes of the allocation for a member of len bytes; at least 16, for the alignment. */
static inline size_t member_class(size_t len, bool is_short) {
    size_t n = 1 + (is_short ? 4 : 8) + (len >= MEMBER_LONG ? 4 : 0) + len;
    return n <= 16 ? 16 : alloc_class(n);
}
static inline size_t member_memory(const struct member *m) {
    return member_class(member_slice(m).len, m->head & MEMBER_SHORT);
}

/* True if member_set_score() can write this score into the record. */
static inline bool member_fits(const struct member *m, double score) {
    return !(m->head & MEMBER_SHORT) || member_is_short(score);
}
/* Not for a record in a skiplist: use skiplist_update(). */
static inline void member_set_score(struct member *m, double score) {
    assert(member_fits(m, score));
    if (m->head & MEMBER_SHORT) {
        int32_t n = (int32_t)score;
        memcpy(m->rest, &n, sizeof n);
    } else {
        memcpy(m->rest, &score, sizeof score);
    }
}

/* A new record with a copy of the member, which is below 4 GB; the caller owns it. */
static inline struct member *member_new(struct slice member, double score) {
    assert(member.len <= UINT32_MAX);
    bool is_short = member_is_short(score) && member_class(member.len, true) < member_class(member.len, false);
    struct member *m = alloc_get(member_class(member.len, is_short));
    uint32_t len = (uint32_t)member.len;
    m->head = (uint8_t)((is_short ? MEMBER_SHORT : 0) | (len < MEMBER_LONG ? len : MEMBER_LONG));
    member_set_score(m, score);
    char *p = m->rest + (is_short ? 4 : 8);
    if (len >= MEMBER_LONG) {
        memcpy(p, &len, sizeof len);
        p += sizeof len;
    }
    if (len) memcpy(p, member.ptr, len);
    return m;
}
static inline void member_free(struct member *m) {
    alloc_put(m, member_memory(m));
}

/* For the table: its hash, and equality with a struct slice. */
static inline uint64_t member_hash(const void *m) {
    struct slice s = member_slice(m);
    return hash_bytes(s.ptr, s.len);
}
static inline bool member_equal(const void *m, const void *slice) {
    return slice_eq(member_slice(m), *(const struct slice *)slice);
}
