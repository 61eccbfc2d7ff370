/* A member of a set that is a table, for store/set*.c alone: its length and its bytes.
 *
 *      0      1
 *     +------+-------------+-------+
 *     | head | length      | bytes |        head: the length, or 255: it follows in 4 bytes
 *     +------+-------------+-------+
 *
 * A member of up to 15 bytes takes 16 of memory, and 9.5 of table. */
#pragma once
#include "base/alloc.h"
#include "base/hash.h"
#include "base/likely.h"
#include "ds/table.h"
#include <assert.h>

#define RECORD_LONG 255u

struct record {
    uint8_t head;
    char rest[];
};

extern const struct table_type record_table;

static inline __attribute__((always_inline)) struct slice record_slice(const struct record *r) {
    uint32_t len = r->head;
    if (likely(len != RECORD_LONG)) return slice_of(r->rest, len);
    memcpy(&len, r->rest, sizeof len);
    return slice_of(r->rest + sizeof len, len);
}
/* Bytes of the allocation: not below 16, for the alignment that a table's slots need. */
static inline size_t record_class(size_t len) {
    size_t n = sizeof(struct record) + (len >= RECORD_LONG ? sizeof(uint32_t) : 0) + len;
    return n <= 16 ? 16 : alloc_class(n);
}
static inline struct record *record_new(struct slice member) {
    assert(member.len <= UINT32_MAX);
    struct record *r = alloc_get(record_class(member.len));
    char *p = r->rest;
    uint32_t len = (uint32_t)member.len;
    r->head = (uint8_t)(len < RECORD_LONG ? len : RECORD_LONG);
    if (len >= RECORD_LONG) {
        memcpy(p, &len, sizeof len);
        p += sizeof len;
    }
    if (len) memcpy(p, member.ptr, len);
    return r;
}
static inline void record_free(struct record *r) {
    alloc_put(r, record_class(record_slice(r).len));
}
static inline uint64_t record_hash(const void *record) {
    struct slice s = record_slice(record);
    return hash_bytes(s.ptr, s.len);
}
static inline __attribute__((always_inline)) bool record_equal(const void *record, const void *arg) {
    const struct record *r = record;
    const struct slice *s = arg;
    if (unlikely(s->len >= RECORD_LONG)) return slice_eq(record_slice(r), *s);
    return r->head == s->len && memcmp(r->rest, s->ptr, s->len) == 0;
}
static inline __attribute__((always_inline)) struct record *record_find(const struct table *t, struct slice member,
                                                                        uint64_t hash) {
    return table_find(t, hash, record_equal, &member);
}
/* False: it is there already. */
static inline bool record_add(struct table *t, struct slice member, uint64_t hash) {
    if (record_find(t, member, hash)) return false;
    table_insert(t, hash, record_new(member));
    return true;
}
void record_clear(struct table *t); /* all of them */
