/* See offset_heap.h. Invariant: waits[i] is not before its parent, waits[(i - 1) / 2], and has i as its index. */
#include "repl/offset_heap.h"
#include "base/alloc.h"

#define FIRST_CAP 16

static void put(struct offset_heap *heap, size_t index, struct offset_wait *wait) {
    heap->waits[index] = wait;
    wait->index = index;
}

/* Bring a wait, whose place is `index`, up or down to where it belongs. */
static void sift_up(struct offset_heap *heap, size_t index, struct offset_wait *wait) {
    while (index > 0) {
        size_t parent = (index - 1) / 2;
        if (heap->waits[parent]->offset <= wait->offset) break;
        put(heap, index, heap->waits[parent]);
        index = parent;
    }
    put(heap, index, wait);
}

static void sift_down(struct offset_heap *heap, size_t index, struct offset_wait *wait) {
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= heap->count) break;
        if (child + 1 < heap->count && heap->waits[child + 1]->offset < heap->waits[child]->offset) child++;
        if (wait->offset <= heap->waits[child]->offset) break;
        put(heap, index, heap->waits[child]);
        index = child;
    }
    put(heap, index, wait);
}

void offset_heap_add(struct offset_heap *heap, struct offset_wait *wait) {
    if (heap->count == heap->cap)
        heap->waits = alloc_grow(heap->waits, &heap->cap, sizeof(struct offset_wait *), FIRST_CAP);
    sift_up(heap, heap->count++, wait);
}

void offset_heap_remove(struct offset_heap *heap, struct offset_wait *wait) {
    struct offset_wait *last = heap->waits[--heap->count];
    if (last == wait) return;
    if (last->offset < wait->offset)
        sift_up(heap, wait->index, last);
    else
        sift_down(heap, wait->index, last);
}

void offset_heap_free(struct offset_heap *heap) {
    alloc_put(heap->waits, heap->cap * sizeof(struct offset_wait *));
    *heap = (struct offset_heap){0};
}
