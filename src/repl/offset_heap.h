/* Waits ordered by an offset: the one that is over first is found at once. A binary heap; a wait knows its index, so it
 * can be taken out from anywhere. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* A member of the struct that waits; the heap never frees it. */
struct offset_wait {
    int64_t offset;
    size_t index; /* in the heap */
};

struct offset_heap { /* zeroed: empty */
    struct offset_wait **waits;
    size_t count, cap;
};

void offset_heap_add(struct offset_heap *heap, struct offset_wait *wait);    /* O(log n) */
void offset_heap_remove(struct offset_heap *heap, struct offset_wait *wait); /* O(log n) */
/* The one with the smallest offset, or NULL. */
static inline struct offset_wait *offset_heap_first(const struct offset_heap *heap) {
    return heap->count ? heap->waits[0] : NULL;
}
void offset_heap_free(struct offset_heap *heap); /* not the waits */
