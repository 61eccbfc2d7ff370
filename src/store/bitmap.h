/* Bits of a byte string. Bit 0 is the highest bit of byte 0, as in SETBIT. A bitmap is the bytes of a string value; all
 * bits behind them count as 0. Nothing here knows entries or allocates memory. */
#pragma once
#include "base/slice.h"
#include <stdint.h>

#define BITMAP_NONE UINT64_MAX /* no such bit */

/* The number of set bits, by the fastest method of this processor. O(len). */
uint64_t bitmap_count(struct slice bytes);
/* For tests: fills in every method that this processor can run, and returns their number. */
typedef uint64_t (*bitmap_count_fn)(const char *bytes, size_t len);
#define BITMAP_COUNT_WAYS 4
size_t bitmap_count_ways(bitmap_count_fn ways[BITMAP_COUNT_WAYS]);
/* The number of set bits from `first` to `last`, inclusive. Requires first <= last, and both within the bytes. */
uint64_t bitmap_count_bits(const char *bytes, uint64_t first, uint64_t last);
/* The position of the first bit in the same range that equals `bit`, or BITMAP_NONE. O(len). */
uint64_t bitmap_find(const char *bytes, uint64_t first, uint64_t last, bool bit);

enum bitmap_op { BITMAP_AND, BITMAP_OR, BITMAP_XOR, BITMAP_NOT };
/* Write `len` bytes to `to`: the sources combined, as if each was padded with zeros. BITMAP_NOT reads only the first.
 * There is at least one source, none is longer than len, and none overlaps `to`. O(len * count). */
void bitmap_combine(enum bitmap_op op, char *to, size_t len, const struct slice *sources, size_t count);

/* An integer of 1 to 64 bits at any position; its highest bit comes first. */
struct bitmap_field {
    uint64_t offset; /* of the highest bit */
    uint8_t bits;
    bool is_signed; /* an unsigned field has at most 63 bits, so an int64_t holds every value */
};
/* What happens to a value that does not fit the field. */
enum bitmap_overflow { BITMAP_WRAP, BITMAP_SATURATE, BITMAP_FAIL };

/* Bits behind the end of `bytes` are read as 0. */
int64_t bitmap_field_get(struct slice bytes, struct bitmap_field field);
/* The field must lie within the bytes. Higher bits of `value` are ignored. */
void bitmap_field_put(char *bytes, struct bitmap_field field, int64_t value);
/* *result = value + increment, made to fit as `how` says. Either operand may be out of the field's range. False: the
 * sum does not fit and `how` is BITMAP_FAIL; *result is unchanged. */
bool bitmap_field_add(struct bitmap_field field, int64_t value, int64_t increment, enum bitmap_overflow how,
                      int64_t *result);
