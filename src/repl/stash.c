/* See stash.h. A list of chunks, so that it grows without moving what it has. */
#include "repl/stash.h"
#include "base/alloc.h"
#include <string.h>

#define CHUNK_BYTES (256 << 10)

struct chunk {
    struct chunk *next;
    size_t begin, end; /* of its bytes that wait */
    char data[];
};

static struct {
    struct chunk *first, *last;
    size_t bytes, peak;
} stash;

char *stash_room(size_t limit, size_t *room) {
    if (limit && stash.bytes >= limit) return NULL;
    if (!stash.last || stash.last->end == CHUNK_BYTES) {
        struct chunk *chunk = alloc_get(sizeof *chunk + CHUNK_BYTES);
        *chunk = (struct chunk){.next = NULL};
        *(stash.last ? &stash.last->next : &stash.first) = chunk;
        stash.last = chunk;
    }
    *room = CHUNK_BYTES - stash.last->end;
    if (limit && *room > limit - stash.bytes) *room = limit - stash.bytes;
    return stash.last->data + stash.last->end;
}

void stash_add(size_t n) {
    if (stash.bytes == 0) stash.peak = 0;
    stash.last->end += n;
    stash.bytes += n;
    if (stash.bytes > stash.peak) stash.peak = stash.bytes;
}

static void drop_first(void) {
    struct chunk *chunk = stash.first;
    stash.first = chunk->next;
    if (!stash.first) stash.last = NULL;
    alloc_put(chunk, sizeof *chunk + CHUNK_BYTES);
}

size_t stash_take(char *to, size_t n) {
    size_t taken = 0;
    while (stash.first && taken < n) {
        struct chunk *chunk = stash.first;
        size_t there = chunk->end - chunk->begin, some = there < n - taken ? there : n - taken;
        memcpy(to + taken, chunk->data + chunk->begin, some);
        chunk->begin += some;
        taken += some;
        if (chunk->begin == chunk->end) drop_first();
    }
    stash.bytes -= taken;
    return taken;
}

size_t stash_bytes(void) {
    return stash.bytes;
}

size_t stash_peak(void) {
    return stash.peak;
}

void stash_drop(void) {
    while (stash.first)
        drop_first();
    stash.bytes = stash.peak = 0;
}
