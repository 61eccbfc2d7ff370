/* Bits of a byte string. Bit 0 is the highest of byte 0, as SETBIT numbers them. Nothing here
 * knows of entries: a bitmap is the bytes of a string value, and what lies behind them is 0. */
#pragma once
#include "base/slice.h"
#include <stdint.h>

#define BITMAP_NONE UINT64_MAX /* no such bit */

/* How many bits are set. The fastest way that this processor has is chosen at run time. O(len). */
uint64_t bitmap_count(struct slice bytes);
/* For tests: all ways of counting that this processor has. Returns how many. */
typedef uint64_t (*bitmap_count_fn)(const char *bytes, size_t len);
#define BITMAP_COUNT_WAYS 4
size_t bitmap_count_ways(bitmap_count_fn ways[BITMAP_COUNT_WAYS]);
/* As bitmap_count(), of bits first to last, inclusive; first <= last, and both must be there. */
uint64_t bitmap_count_bits(const char *bytes, uint64_t first, uint64_t last);
/* The first of bits first to last (as above) that equals `bit`, or BITMAP_NONE. O(len). */
uint64_t bitmap_find(const char *bytes, uint64_t first, uint64_t last, bool bit);

enum bitmap_op { BITMAP_AND, BITMAP_OR, BITMAP_XOR, BITMAP_NOT };
/* Write `len` bytes: the sources combined, each taken to end in zeros. BITMAP_NOT uses the first only.
 * `to` overlaps none of them, len is not below any of theirs, and there is one at least. */
void bitmap_combine(enum bitmap_op op, char *to, size_t len, const struct slice *sources, size_t count);

/* An integer of 1 to 64 bits that begins at any bit; the highest bit comes first. */
struct bitmap_field {
    uint64_t offset;
    uint8_t bits;
    bool is_signed; /* else at most 63 bits, so that each value is an int64_t */
};
/* What to do with a value that the field cannot hold. */
enum bitmap_overflow { BITMAP_WRAP, BITMAP_SATURATE, BITMAP_FAIL };

int64_t bitmap_field_get(struct slice bytes, struct bitmap_field field);
/* All bytes of the field must be there; bits of value beyond the field are ignored. */
void bitmap_field_put(char *bytes, struct bitmap_field field, int64_t value);
/* value + increment (either may be out of the field's range), made to fit as `how` says. False: it
 * does not fit, and `how` is to fail. */
bool bitmap_field_add(struct bitmap_field field, int64_t value, int64_t increment, enum bitmap_overflow how,
                      int64_t *result);
