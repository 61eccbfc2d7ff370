/* A merge sort: it is stable, never quadratic, and reads memory from front to back. If there are many items, a radix
 * sort, which compares nothing, puts them into the order of their codes before, and only runs of equal codes are
 * merge-sorted. If few items are wanted (LIMIT), a heap of that many picks them first; it turns most of the others away
 * after one comparison. */
#include "cmd/sort_order.h"
#include "base/likely.h"
#include <endian.h>
#include <stdbool.h>
#include <string.h>

enum {
    RUN = 8,          /* items that an insertion sort puts in order, before runs are merged */
    PICK_BELOW = 8,   /* the heap picks if less than one of this many items is wanted */
    CODE_BYTES = 8,   /* of a code */
    RADIX_FROM = 512, /* items from which on a radix sort pays */
};

struct order {
    sort_tie_fn tie;
    const void *ctx;
};

static inline bool is_before(const struct order *o, const struct sort_item *a, const struct sort_item *b) {
    if (likely(a->code != b->code)) return a->code < b->code;
    int tie = o->tie(o->ctx, a->index, b->index);
    return tie < 0 || (tie == 0 && a->index < b->index);
}

/* --- Picking: a heap whose top is the last of the items wanted until now --------------------- */

static void sift_down(const struct order *o, struct sort_item *heap, size_t n, size_t at) {
    struct sort_item item = heap[at];
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && is_before(o, &heap[child], &heap[child + 1])) child++;
        if (!is_before(o, &item, &heap[child])) break;
        heap[at] = heap[child];
    }
    heap[at] = item;
}

static void pick_first(const struct order *o, struct sort_item *items, size_t n, size_t wanted) {
    for (size_t at = wanted / 2; at-- > 0;)
        sift_down(o, items, wanted, at);
    for (size_t i = wanted; i < n; i++) {
        if (!is_before(o, &items[i], &items[0])) continue;
        struct sort_item out = items[0];
        items[0] = items[i];
        items[i] = out;
        sift_down(o, items, wanted, 0);
    }
}

/* --- Merging --------------------------------------------------------------------------------- */

static void insertion_sort(const struct order *o, struct sort_item *items, size_t n) {
    for (size_t i = 1; i < n; i++) {
        struct sort_item item = items[i];
        size_t at = i;
        for (; at > 0 && is_before(o, &item, &items[at - 1]); at--)
            items[at] = items[at - 1];
        items[at] = item;
    }
}

/* Merge two neighbouring runs, of which the second may be empty: from[0] to middle, and on to end. */
static void merge_runs(const struct order *o, const struct sort_item *from, size_t middle, size_t end,
                       struct sort_item *to) {
    size_t a = 0, b = middle;
    if (b < end && is_before(o, &from[b], &from[b - 1])) {
        while (a < middle && b < end)
            *to++ = is_before(o, &from[b], &from[a]) ? from[b++] : from[a++];
    }
    memcpy(to, from + a, (middle - a) * sizeof *to);
    memcpy(to + (middle - a), from + b, (end - b) * sizeof *to);
}

static void merge_sort(const struct order *o, struct sort_item *items, size_t n, struct sort_item *spare) {
    struct sort_item *from = items, *to = spare;
    for (size_t i = 0; i < n; i += RUN)
        insertion_sort(o, items + i, n - i < RUN ? n - i : RUN);
    for (size_t run = RUN; run < n; run *= 2) {
        for (size_t i = 0; i < n; i += 2 * run) {
            size_t left = n - i;
            merge_runs(o, from + i, left < run ? left : run, left < 2 * run ? left : 2 * run, to + i);
        }
        struct sort_item *swap = from;
        from = to;
        to = swap;
    }
    if (from != items) memcpy(items, from, n * sizeof *items);
}

/* --- By codes alone -------------------------------------------------------------------------- */

static inline unsigned byte_of(const struct sort_item *item, unsigned byte) {
    return (uint8_t)(item->code >> 8 * byte);
}

/* From the least significant byte on. A byte that is the same in all codes costs no pass; most are. */
static void radix_sort(struct sort_item *items, size_t n, struct sort_item *spare) {
    size_t counts[CODE_BYTES][256] = {{0}};
    struct sort_item *from = items, *to = spare;
    for (size_t i = 0; i < n; i++) {
        for (unsigned byte = 0; byte < CODE_BYTES; byte++)
            counts[byte][byte_of(&items[i], byte)]++;
    }
    for (unsigned byte = 0; byte < CODE_BYTES; byte++) {
        size_t *at = counts[byte], next = 0;
        if (at[byte_of(from, byte)] == n) continue;
        for (unsigned value = 0; value < 256; value++) {
            size_t count = at[value];
            at[value] = next;
            next += count;
        }
        for (size_t i = 0; i < n; i++)
            to[at[byte_of(&from[i], byte)]++] = from[i];
        struct sort_item *swap = from;
        from = to;
        to = swap;
    }
    if (from != items) memcpy(items, from, n * sizeof *items);
}

static void sort_equal_codes(const struct order *o, struct sort_item *items, size_t n, struct sort_item *spare) {
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && items[end].code == items[i].code; end++)
            continue;
        if (end > i + 1) merge_sort(o, items + i, end - i, spare);
    }
}

void sort_order(struct sort_item *items, size_t n, size_t wanted, struct sort_item *spare, sort_tie_fn tie,
                const void *ctx) {
    struct order o = {tie, ctx};
    if (wanted == 0) return;
    if (wanted < n / PICK_BELOW) {
        pick_first(&o, items, n, wanted);
        n = wanted;
    }
    if (n < RADIX_FROM) {
        merge_sort(&o, items, n, spare);
        return;
    }
    /* The heap may have mixed up the indexes: ties compare them, so the order within a run does not matter. */
    radix_sort(items, n, spare);
    sort_equal_codes(&o, items, n, spare);
}

/* --- Codes ----------------------------------------------------------------------------------- */

uint64_t sort_code_number(double value) {
    uint64_t bits;
    if (value == 0) value = 0; /* -0 */
    memcpy(&bits, &value, sizeof bits);
    return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}

uint64_t sort_code_text(const char *ptr, size_t len) {
    uint64_t code = 0;
    if (len) memcpy(&code, ptr, len < CODE_BYTES ? len : CODE_BYTES);
    return be64toh(code);
}
