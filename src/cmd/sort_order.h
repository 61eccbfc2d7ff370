/* The sorting of SORT. An item is a code and the index of an element. The code, which is made of a number or of the
 * first bytes of a text, decides nearly every comparison; for equal codes the caller compares the elements, which it
 * finds by their indexes. Elements that are equal even then keep the order of their indexes. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct sort_item {
    uint64_t code;
    size_t index;
};

/* Compares the elements of two items with equal codes: below 0, 0, or above 0. */
typedef int (*sort_tie_fn)(const void *ctx, size_t a, size_t b);

/* Bring the first `wanted` (at most n) of n items, in order, to the front; the others end up anywhere. `spare` has room
 * for n items. O(n log wanted), whatever the data. */
void sort_order(struct sort_item *items, size_t n, size_t wanted, struct sort_item *spare, sort_tie_fn tie,
                const void *ctx);

/* Codes have the order of the values that they are made of; different texts may have the same code. */
uint64_t sort_code_number(double value); /* not NaN; -0 and 0 have the same code */
uint64_t sort_code_text(const char *ptr, size_t len);
