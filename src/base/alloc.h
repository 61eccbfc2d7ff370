/* Counted memory over jemalloc (libc's malloc under sanitizers). Any thread may call.
 *
 * Every caller knows the size of what it frees, so no header is stored and jemalloc's sdallocx skips its size look-up.
 * The live bytes are counted in size classes, per thread; their sum is used_memory in INFO. Running out of memory is
 * fatal: the process logs and aborts. All calls are O(1) unless they say otherwise. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes that an allocation of n takes: 8, then steps of 16 up to 128, then four steps per doubling. n and
 * alloc_class(n) are interchangeable in every call below. */
static inline size_t alloc_class(size_t n) {
    if (n <= 128) return n <= 8 ? 8 : (n + 15) & ~(size_t)15;
    unsigned shift = 63u - (unsigned)__builtin_clzl(n - 1) - 2u;
    size_t step = (size_t)1 << shift;
    return (n + step - 1) & ~(step - 1);
}

void *alloc_get(size_t n);   /* uninitialised; never NULL; n > 0 */
void *alloc_zero(size_t n);  /* zeroed */
void *alloc_try(size_t n);   /* NULL if there is no memory: for sizes that come from outside */
void *alloc_lines(size_t n); /* aligned to 64 bytes; n is a multiple of 64; freed with alloc_put */
/* Grow or shrink; old is the size it was allocated with. p may be NULL if old is 0. O(n) if it moves, but from 8 MB on
 * only page-table entries move. */
void *alloc_resize(void *p, size_t old, size_t n);
void *alloc_try_resize(void *p, size_t old, size_t n); /* NULL if there is no memory: p stays as it is */
void alloc_put(void *p, size_t n);                     /* p may be NULL */
/* Double the room of a full array, or make room for `first` items if it has none. Returns where it is now; sets
 * *cap. */
void *alloc_grow(void *items, size_t *cap, size_t item_bytes, size_t first);

/* Copies of text, with a NUL behind them: to be freed with the length plus 1. */
char *alloc_copy_string(const char *s);
char *alloc_copy_text(const char *text, size_t n);
void alloc_put_string(char *s); /* for a copy that holds no NUL; s may be NULL */

/* Live bytes of all threads. The share of another thread may lag by its current operation. O(threads). */
size_t alloc_used(void);
size_t alloc_peak(void); /* the largest alloc_used() that alloc_sample_peak() has seen */
void alloc_sample_peak(void);
/* What this thread has allocated less what it has freed, in bytes; below 0 if it frees for others. It continues from
 * the balance of an ended thread. O(1). */
int64_t alloc_balance(void);

/* Where a thread counts its bytes. */
struct alloc_cell {
    int64_t live; /* written by the owner, read by all threads */
    int taken;    /* a running thread owns it */
    struct alloc_cell *next;
} __attribute__((aligned(64)));
extern struct alloc_cell alloc_first_cell; /* of the first thread that allocated: the main thread */

/* alloc_balance() of the main thread. Any thread may call. */
static inline int64_t alloc_main_balance(void) {
    return __atomic_load_n(&alloc_first_cell.live, __ATOMIC_RELAXED);
}

/* A cell that is no thread's: for a heap that alloc_used() counts, but alloc_balance() of no thread. One thread at a
 * time allocates and frees with it. cell->live, which begins with 0, is what the heap has. */
struct alloc_cell *alloc_cell_new(void);
void alloc_cell_free(struct alloc_cell *cell); /* the heap is empty */
/* As alloc_try_resize(), with n > 0. */
void *alloc_cell_resize(struct alloc_cell *cell, void *p, size_t old, size_t n);
void alloc_cell_put(struct alloc_cell *cell, void *p, size_t n); /* p may be NULL */

/* The allocator's own figures, in bytes; zeros under libc. O(arenas). */
struct alloc_metrics {
    size_t allocated, active, resident, retained, muzzy;
};
void alloc_read_metrics(struct alloc_metrics *out);
const char *alloc_library(void); /* "jemalloc-5.3.0" or "libc" */
/* The allocator's own report, written part by part. False: libc has none. It walks all arenas: milliseconds. */
bool alloc_report(void (*write)(void *ctx, const char *text), void *ctx);
/* A number among jemalloc's settings, by the name that its manual gives it. 0, or an errno value; ENOENT under libc. */
int alloc_get_setting(const char *name, int64_t *value);
int alloc_set_setting(const char *name, int64_t value);
void alloc_purge(void); /* give unused pages back to the kernel */
void alloc_decay(void); /* the same for pages unused for a second; call it some times per second */
/* Let a background thread of jemalloc return pages too: the option jemalloc-bg-thread. */
void alloc_background(int enabled);
