/* A sorted array of distinct integers in one block of bytes, in exactly the format that Redis keeps in RDB files.
 *
 *     | bytes of an integer: 2, 4 or 8; 4 bytes | how many, 4 bytes | the smallest | ... | the largest |
 *
 * (little endian, no alignment). The width is that of the widest integer that was ever in it: an insert widens
 * all, a removal narrows nothing. Nothing here allocates: the block is the caller's, who makes room before an insert.
 * Bytes from outside must pass intset_check() before anything else here may see them. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define INTSET_HEAD 8 /* bytes of an empty one */

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
/* The integer of this index, in order of size; index < count. */
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

/* Is it in the set? *index, if not NULL, is where it is, or where it would have to be. O(log n). */
bool intset_find(const uint8_t *set, int64_t number, size_t *index);
static inline bool intset_has(const uint8_t *set, int64_t number) {
    return intset_find(set, number, NULL);
}
/* Bytes of the set after an insert of this number, which is not in it. */
size_t intset_bytes_with(const uint8_t *set, int64_t number);
/* False, and no change, if it is there. The block has intset_bytes_with() bytes. O(n). */
bool intset_insert(uint8_t *set, int64_t number);
bool intset_remove(uint8_t *set, int64_t number); /* false if it is not there. O(n) */
void intset_remove_at(uint8_t *set, size_t index, size_t n);
int64_t intset_random(const uint8_t *set); /* uniform; the set must not be empty */

/* Are these bytes, which may be anything, an intset? An empty one passes. O(n). */
bool intset_check(const uint8_t *set, size_t bytes);
