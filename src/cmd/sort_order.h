/* The sorting of SORT: items of a code and an index. The code (a number, the first bytes of a text) decides nearly
 * always and is compared in the item itself; only equal codes ask the caller, who finds the rest by the index. What is
 * equal even then keeps the order of the indexes. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct sort_item {
    uint64_t code;
    size_t index;
};

/* How two items of equal codes compare: below 0, 0, above 0. */
typedef int (*sort_tie_fn)(const void *ctx, size_t a, size_t b);

/* Brings the first `wanted` of n items, in order, to the front; the others end up anywhere. `spare` has room for n
 * items. O(n log wanted), whatever the data. */
void sort_order(struct sort_item *items, size_t n, size_t wanted, struct sort_item *spare, sort_tie_fn tie,
                const void *ctx);

/* Codes in the order of what they are made of. A text's code and that of a prefix of it may be equal. */
uint64_t sort_code_number(double value); /* not NaN; -0 and 0 are equal */
uint64_t sort_code_text(const char *ptr, size_t len);
