/* Counted memory over jemalloc (libc's malloc under sanitizers).
 *
 * Every caller knows the size of what it frees, so no header is stored and jemalloc's sdallocx
 * skips its size look-up. The count of live bytes is kept in size classes, per thread, and is
 * what INFO calls used_memory. Running out of memory is fatal: the process logs and aborts. */
#pragma once
#include <stddef.h>

/* The bytes that an allocation of n really takes: 16-byte steps up to 128, then four steps a
 * doubling. n and alloc_class(n) are interchangeable in every call below. O(1), inline. */
static inline size_t alloc_class(size_t n) {
    if (n <= 128) return n <= 8 ? 8 : (n + 15) & ~(size_t)15;
    unsigned shift = 63u - (unsigned)__builtin_clzl(n - 1) - 2u;
    size_t step = (size_t)1 << shift;
    return (n + step - 1) & ~(step - 1);
}

void *alloc_get(size_t n);   /* uninitialised; never NULL; n > 0 */
void *alloc_zero(size_t n);  /* zeroed */
void *alloc_try(size_t n);   /* NULL when there is no memory: for sizes that come from outside */
void *alloc_lines(size_t n); /* aligned to 64 bytes; n is a multiple of 64; freed with alloc_put */
/* Grow or shrink; old is the size it was allocated with. p may be NULL when old is 0. */
void *alloc_resize(void *p, size_t old, size_t n);
void alloc_put(void *p, size_t n); /* p may be NULL */
/* A full array gets twice the room, or `first` items if it has none; returns where it is, and sets *cap. */
void *alloc_grow(void *items, size_t *cap, size_t item_bytes, size_t first);

/* C strings. A text may hold NULs; its copy of n + 1 bytes ends in one more. */
char *alloc_copy_string(const char *s);
char *alloc_copy_text(const char *text, size_t n);
void alloc_put_string(char *s); /* a copy without NULs inside; s may be NULL */

/* Live bytes of all threads. A thread other than the main one may lag by its current operation. */
size_t alloc_used(void);
size_t alloc_peak(void); /* the largest alloc_used() that alloc_sample_peak() has seen */
void alloc_sample_peak(void);

/* What the allocator itself says, in bytes; zeros where it cannot tell. O(arenas). */
struct alloc_stats {
    size_t allocated, active, resident, retained, muzzy;
};
void alloc_read_stats(struct alloc_stats *out);
const char *alloc_library(void); /* "jemalloc-5.3.0" or "libc" */
void alloc_purge(void);          /* give unused pages back to the kernel */
void alloc_decay(void); /* the same for those that have been unused for long enough: call some times a second */
/* Allow a background thread of jemalloc to return pages (Redis: jemalloc-bg-thread). */
void alloc_background(int enabled);
