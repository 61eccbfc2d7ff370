/* A member of a set that is a table: its length and its bytes. For store/set*.c and for the loading of snapshots.
 *
 *      0      1
 *     +------+-------------+-------+
 *     | head | length      | bytes |        head: the length; 255: it follows in 4 bytes
 *     +------+-------------+-------+
 *
 * A member of up to 15 bytes takes 16 bytes, and about 9.5 bytes of the table. */
#pragma once
#include "base/alloc.h"
#include "base/hash.h"
#include "base/likely.h"
#include "ds/table.h"
#include <assert.h>

#define SET_RECORD_LONG 255u

struct set_record {
    uint8_t head;
    char rest[];
};

extern const struct table_type set_record_table;

static inline __attribute__((always_inline)) struct slice set_record_slice(const struct set_record *r) {
    uint32_t len = r->head;
    if (likely(len != SET_RECORD_LONG)) return slice_of(r->rest, len);
    memcpy(&len, r->rest, sizeof len);
    return slice_of(r->rest + sizeof len, len);
}
/* Bytes of the allocation: at least 16, for the alignment that a table's slots need. */
static inline size_t set_record_class(size_t len) {
    size_t n = sizeof(struct set_record) + (len >= SET_RECORD_LONG ? sizeof(uint32_t) : 0) + len;
    return n <= 16 ? 16 : alloc_class(n);
}
static inline struct set_record *set_record_new(struct slice member) {
    assert(member.len <= UINT32_MAX);
    struct set_record *r = alloc_get(set_record_class(member.len));
    char *p = r->rest;
    uint32_t len = (uint32_t)member.len;
    r->head = (uint8_t)(len < SET_RECORD_LONG ? len : SET_RECORD_LONG);
    if (len >= SET_RECORD_LONG) {
        memcpy(p, &len, sizeof len);
        p += sizeof len;
    }
    if (len) memcpy(p, member.ptr, len);
    return r;
}
static inline void set_record_free(struct set_record *r) {
    alloc_put(r, set_record_class(set_record_slice(r).len));
}
static inline uint64_t set_record_hash(const void *record) {
    struct slice s = set_record_slice(record);
    return hash_bytes(s.ptr, s.len);
}
static inline __attribute__((always_inline)) bool set_record_equal(const void *record, const void *arg) {
    const struct set_record *r = record;
    const struct slice *s = arg;
    if (unlikely(s->len >= SET_RECORD_LONG)) return slice_eq(set_record_slice(r), *s);
    return r->head == s->len && memcmp(r->rest, s->ptr, s->len) == 0;
}
static inline __attribute__((always_inline)) struct set_record *set_record_find(const struct table *t,
                                                                                struct slice member, uint64_t hash) {
    return table_find(t, hash, set_record_equal, &member);
}
/* False: it is a member already. */
static inline bool set_record_add(struct table *t, struct slice member, uint64_t hash) {
    if (set_record_find(t, member, hash)) return false;
    table_insert(t, hash, set_record_new(member));
    return true;
}
void set_record_clear(struct table *t); /* free all records; the table is empty then */
