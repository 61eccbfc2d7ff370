/* A sorted array of distinct integers in one block of bytes, in exactly the format that Redis keeps in RDB files.
 *
 *     | bytes per integer: 2, 4 or 8; 4 bytes | count, 4 bytes | the smallest | ... | the largest |
 *
 * (little endian, no alignment). The width fits the widest integer that was ever in the set: an insert widens all, a
 * removal narrows nothing. Nothing here allocates: the block belongs to the caller, who makes room before an insert.
 * Bytes from outside must pass intset_check() before any other function here may see them. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define INTSET_HEAD 8 /* bytes of an empty set */

void intset_init(uint8_t *set); /* the empty set: INTSET_HEAD bytes */

static inline size_t intset_width(const uint8_t *set) {
    return *set;
}
static inline size_t intset_count(const uint8_t *set) {
    uint32_t n;
    memcpy(&n, set + 4, sizeof n);
    return n;
}
static inline size_t intset_bytes(const uint8_t *set) {
    return INTSET_HEAD + intset_count(set) * intset_width(set);
}
/* The integer with this index, in ascending order; index < count. */
static inline int64_t intset_get(const uint8_t *set, size_t index) {
    const uint8_t *at = set + INTSET_HEAD + index * intset_width(set);
    int16_t narrow;
    int32_t middle;
    int64_t wide;
    switch (intset_width(set)) {
    case 2: memcpy(&narrow, at, sizeof narrow); return narrow;
    case 4: memcpy(&middle, at, sizeof middle); return middle;
    default: memcpy(&wide, at, sizeof wide); return wide;
    }
}

/* True if the number is in the set. *index, unless index is NULL, is its place, or where it would be inserted. O(log
 * n). */
bool intset_find(const uint8_t *set, int64_t number, size_t *index);
static inline bool intset_has(const uint8_t *set, int64_t number) {
    return intset_find(set, number, NULL);
}
/* The bytes that the set will have after this number, which it does not hold, is inserted. */
size_t intset_bytes_with(const uint8_t *set, int64_t number);
/* False, and no change, if the number is there already. The block has intset_bytes_with() bytes. O(n). */
bool intset_insert(uint8_t *set, int64_t number);
bool intset_remove(uint8_t *set, int64_t number);            /* false if it is not there; O(n) */
void intset_remove_at(uint8_t *set, size_t index, size_t n); /* n numbers from index on; O(n) */

/* True if these bytes, which may be anything, are an intset; it may be empty. O(n). */
bool intset_check(const uint8_t *set, size_t bytes);
