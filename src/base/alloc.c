/* Counted memory over jemalloc.
 *
 * Each thread has a counter of its own, so that the hot path has no locked instruction: an allocation is malloc's fast
 * path and one addition to a cell that only this thread writes. The cells form a list that only grows. A thread takes a
 * cell at its first allocation and gives it back, with its balance, when it ends; the next thread continues from that
 * balance. So a reader walks the list without a lock, and a fork in the middle of a walk is harmless.
 *
 * Invariant: the sum of all cells is the number of live bytes. A single cell may be negative (the worker frees what the
 * main thread allocated); only the sum has a meaning.
 *
 * Sizes are counted in jemalloc's classes, which alloc_class() computes without asking jemalloc;
 * tests/unit/base/test_alloc.c compares the two.
 *
 * What is larger than MAPPED_ABOVE has pages of its own, without jemalloc: where such an allocation grows, the kernel
 * moves its pages, and no byte is copied. So a value, a reply or a table that doubles holds the main thread for a
 * millisecond or two, however large it is. jemalloc gains nothing here, since it returns what is that large at once.
 *
 * Under a sanitizer, or with -DKURA_LIBC_ALLOC, libc's malloc is used instead. It is asked for the whole class, since
 * callers may use the slack. */
#include "base/alloc.h"
#include "base/likely.h"
#include "base/log.h"
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define USE_LIBC 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(KURA_LIBC_ALLOC)
#define USE_LIBC 1
#endif

#define LINE 64

/* --- The count ------------------------------------------------------------------------------- */

struct alloc_cell alloc_first_cell;
static struct alloc_cell *cells = &alloc_first_cell; /* newest first; never shrinks */
static __thread struct alloc_cell *my_cell __attribute__((tls_model("initial-exec")));
static pthread_key_t end_key; /* its destructor runs when a thread ends */
static pthread_once_t end_once = PTHREAD_ONCE_INIT;

static void cell_give_back(void *arg) {
    struct alloc_cell *cell = arg;
    my_cell = NULL;
    __atomic_store_n(&cell->taken, 0, __ATOMIC_RELEASE);
}

static void cell_make_end_key(void) {
    if (pthread_key_create(&end_key, cell_give_back) != 0) abort();
}

static void *lines_raw(size_t n);
static void out_of_memory(size_t n) __attribute__((noreturn, cold));

static struct alloc_cell *cell_add(void) {
    struct alloc_cell *cell = lines_raw(sizeof *cell);
    if (!cell) out_of_memory(sizeof *cell);
    *cell = (struct alloc_cell){.taken = 1, .next = __atomic_load_n(&cells, __ATOMIC_RELAXED)};
    while (!__atomic_compare_exchange_n(&cells, &cell->next, cell, 1, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
    }
    return cell;
}

/* A cell that was given back, or a new one. `empty`: its balance is 0. */
static struct alloc_cell *cell_find(bool empty) {
    struct alloc_cell *cell = __atomic_load_n(&cells, __ATOMIC_ACQUIRE);
    for (; cell; cell = cell->next) {
        int free_cell = 0;
        if (!__atomic_compare_exchange_n(&cell->taken, &free_cell, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) continue;
        if (!empty || cell->live == 0) return cell;
        __atomic_store_n(&cell->taken, 0, __ATOMIC_RELEASE);
    }
    return cell_add();
}

/* A cell for this thread. */
static __attribute__((noinline, cold)) struct alloc_cell *cell_take(void) {
    struct alloc_cell *cell = cell_find(false);
    my_cell = cell;
    pthread_once(&end_once, cell_make_end_key);
    pthread_setspecific(end_key, cell);
    return cell;
}

static inline void count_in(struct alloc_cell *cell, int64_t delta) {
    /* A load and a store, not an atomic add: no other thread writes here. */
    __atomic_store_n(&cell->live, __atomic_load_n(&cell->live, __ATOMIC_RELAXED) + delta, __ATOMIC_RELAXED);
}

static inline void count_bytes(int64_t delta) {
    struct alloc_cell *cell = my_cell;
    if (unlikely(!cell)) cell = cell_take();
    count_in(cell, delta);
}

struct alloc_cell *alloc_cell_new(void) {
    return cell_find(true);
}

void alloc_cell_free(struct alloc_cell *cell) {
    assert(cell->live == 0);
    __atomic_store_n(&cell->taken, 0, __ATOMIC_RELEASE);
}

size_t alloc_used(void) {
    int64_t sum = 0;
    for (struct alloc_cell *cell = __atomic_load_n(&cells, __ATOMIC_ACQUIRE); cell; cell = cell->next)
        sum += __atomic_load_n(&cell->live, __ATOMIC_RELAXED);
    return sum > 0 ? (size_t)sum : 0; /* below 0: a free was seen before its allocation */
}

int64_t alloc_balance(void) {
    struct alloc_cell *cell = my_cell;
    if (unlikely(!cell)) cell = cell_take(); /* it may have a balance already */
    return __atomic_load_n(&cell->live, __ATOMIC_RELAXED);
}

static size_t peak_bytes;

void alloc_sample_peak(void) {
    size_t used = alloc_used();
    if (used > peak_bytes) peak_bytes = used;
}

size_t alloc_peak(void) {
    return peak_bytes;
}

/* --- The allocator below --------------------------------------------------------------------- */

#ifdef USE_LIBC

#define LIBC_LIMIT ((size_t)1 << 38) /* the sanitizers abort at absurd sizes instead of returning NULL */

static void *get_raw(size_t n) {
    return n <= LIBC_LIMIT ? malloc(alloc_class(n)) : NULL;
}

static void *zero_raw(size_t n) {
    return n <= LIBC_LIMIT ? calloc(1, alloc_class(n)) : NULL;
}

static void *lines_raw(size_t n) {
    return n <= LIBC_LIMIT ? aligned_alloc(LINE, alloc_class(n)) : NULL;
}

static void *resize_raw(void *p, size_t old, size_t n) {
    (void)old;
    return n <= LIBC_LIMIT ? realloc(p, alloc_class(n)) : NULL;
}

static void put_raw(void *p, size_t n) {
    (void)n;
    free(p);
}

void alloc_read_metrics(struct alloc_metrics *out) {
    *out = (struct alloc_metrics){0};
}

const char *alloc_library(void) {
    return "libc";
}

bool alloc_report(void (*write)(void *ctx, const char *text), void *ctx) {
    (void)write;
    (void)ctx;
    return false;
}

int alloc_get_setting(const char *name, int64_t *value) {
    (void)name;
    (void)value;
    return ENOENT;
}

int alloc_set_setting(const char *name, int64_t value) {
    (void)name;
    (void)value;
    return ENOENT;
}

void alloc_purge(void) {}

void alloc_decay(void) {}

void alloc_background(int enabled) {
    (void)enabled;
}

#else

#include <jemalloc/jemalloc.h>

/* jemalloc reads this before main() runs.
 *
 *   narenas:1   One thread does nearly all the allocating and the worker mostly frees. More arenas would gain nothing,
 *               and each keeps its own half-filled slabs. Thread caches absorb the contention.
 *   background_thread:false   No thread may exist before the server has gone to the background; see alloc_background().
 *   dirty_decay_ms:1000   Freed pages return to the kernel within a second (default: 10 s), driven by alloc_decay(). So
 *               RSS follows what is stored, and a workload that reuses its pages still finds them.
 *   slab_sizes  Classes of 32 to 128 bytes, which hold most entries, are cut from slabs of 32 KB, not of one to seven
 *               pages: jemalloc keeps 128 bytes of metadata per slab, which is 2 bytes per 64-byte entry in a slab
 *               of 4 KB. Measured with 2M keys: metadata 6.8 MB before, 3.6 MB after.
 *
 * Huge pages are not mentioned: main() turns them off for the process, and thp:never here would cost an madvise(2) per
 * mapping. */
__attribute__((used, visibility("default"))) const char *malloc_conf =
    "narenas:1,background_thread:false,dirty_decay_ms:1000,slab_sizes:32-128:8";

#define ALL_ARENAS "4096" /* MALLCTL_ARENAS_ALL as text, for names of controls */

/* Make the compiler forget where the pointer comes from. It takes malloc(n) for an object of n bytes, and with
 * link-time optimisation it sees into the callers, which may use the slack of the class. */
static inline void *launder(void *p) {
    __asm__("" : "+r"(p));
    return p;
}

/* The largest class that jemalloc serves: n and alloc_class(n) are on the same side of it. */
#define MAPPED_ABOVE ((size_t)7 << 20)
#define UNMAP_SLICE ((size_t)8 << 20)

static size_t mapped_bytes; /* of all that is larger */

static __attribute__((noinline)) void *map_pages(size_t n) {
    size_t size = alloc_class(n);
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return NULL;
    __atomic_fetch_add(&mapped_bytes, size, __ATOMIC_RELAXED);
    return p;
}

/* The pages go in slices: munmap(2) of all would take 0.1 ms per megabyte, and for that long no other thread could map
 * anything. */
static __attribute__((noinline)) void unmap_pages(void *p, size_t n) {
    size_t size = alloc_class(n);
    for (size_t at = 0; at < size; at += UNMAP_SLICE)
        madvise((char *)p + at, at + UNMAP_SLICE < size ? UNMAP_SLICE : size - at, MADV_DONTNEED);
    munmap(p, size); /* may fail if there are too many mappings, and one would be split: only addresses are lost */
    __atomic_fetch_sub(&mapped_bytes, size, __ATOMIC_RELAXED);
}

static void *remap_pages(void *p, size_t old, size_t n) {
    size_t before = alloc_class(old), after = alloc_class(n);
    void *moved = mremap(p, before, after, MREMAP_MAYMOVE);
    if (moved == MAP_FAILED) return NULL;
    __atomic_fetch_add(&mapped_bytes, after - before, __ATOMIC_RELAXED);
    return moved;
}

/* malloc and calloc, not mallocx: only those two have jemalloc's short path without flags. */
static inline void *get_raw(size_t n) {
    return unlikely(n > MAPPED_ABOVE) ? map_pages(n) : launder(malloc(n));
}

static inline void *zero_raw(size_t n) {
    return unlikely(n > MAPPED_ABOVE) ? map_pages(n) : launder(calloc(1, n));
}

static void *lines_raw(size_t n) {
    return n > MAPPED_ABOVE ? map_pages(n) : mallocx(n, MALLOCX_ALIGN(LINE));
}

static inline void put_raw(void *p, size_t n) {
    if (unlikely(n > MAPPED_ABOVE))
        unmap_pages(p, n);
    else
        sdallocx(p, n, 0);
}

static void *resize_raw(void *p, size_t old, size_t n) {
    if (old <= MAPPED_ABOVE && n <= MAPPED_ABOVE) return launder(realloc(p, n));
    if (old > MAPPED_ABOVE && n > MAPPED_ABOVE) return remap_pages(p, old, n);
    void *moved = get_raw(n);
    if (moved == NULL) return NULL;
    memcpy(moved, p, old < n ? old : n);
    put_raw(p, old);
    return moved;
}

static size_t read_size(const char *name) {
    size_t value = 0, len = sizeof value;
    return mallctl(name, &value, &len, NULL, 0) == 0 ? value : 0;
}

void alloc_read_metrics(struct alloc_metrics *out) {
    uint64_t epoch = 1; /* any write refreshes the numbers */
    mallctl("epoch", NULL, NULL, &epoch, sizeof epoch);
    size_t mapped = __atomic_load_n(&mapped_bytes, __ATOMIC_RELAXED);
    *out = (struct alloc_metrics){
        .allocated = read_size("stats.allocated") + mapped,
        .active = read_size("stats.active") + mapped,
        .resident = read_size("stats.resident") + mapped,
        .retained = read_size("stats.retained"),
        .muzzy = read_size("stats.arenas." ALL_ARENAS ".pmuzzy") * read_size("arenas.page"),
    };
}

#define TEXT(x) #x
#define VERSION(major, minor, fix) "jemalloc-" TEXT(major) "." TEXT(minor) "." TEXT(fix)

const char *alloc_library(void) {
    return VERSION(JEMALLOC_VERSION_MAJOR, JEMALLOC_VERSION_MINOR, JEMALLOC_VERSION_BUGFIX);
}

bool alloc_report(void (*write)(void *ctx, const char *text), void *ctx) {
    malloc_stats_print(write, ctx, NULL);
    return true;
}

/* Settings have 8, 4 or 1 bytes: jemalloc refuses a wrong size with EINVAL. Their bytes are little-endian. */
int alloc_get_setting(const char *name, int64_t *value) {
    int error = EINVAL;
    for (size_t bytes = sizeof *value; bytes > 0 && error == EINVAL; bytes /= 2) {
        *value = 0;
        error = mallctl(name, value, &(size_t){bytes}, NULL, 0);
    }
    return error;
}

int alloc_set_setting(const char *name, int64_t value) {
    int error = EINVAL;
    for (size_t bytes = sizeof value; bytes > 0 && error == EINVAL; bytes /= 2)
        error = mallctl(name, NULL, NULL, &value, bytes);
    return error;
}

void alloc_purge(void) {
    mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
    mallctl("arena." ALL_ARENAS ".purge", NULL, NULL, NULL, 0);
}

void alloc_decay(void) {
    mallctl("arena." ALL_ARENAS ".decay", NULL, NULL, NULL, 0);
}

void alloc_background(int enabled) {
    bool on = enabled != 0;
    mallctl("background_thread", NULL, NULL, &on, sizeof on);
}

#endif

/* --- The public functions -------------------------------------------------------------------- */

static void out_of_memory(size_t n) {
    log_warning("Out Of Memory allocating %zu bytes!", n);
    if (log_crash_fd() != STDOUT_FILENO) dprintf(STDERR_FILENO, "kura: out of memory allocating %zu bytes\n", n);
    abort();
}

void *alloc_get(size_t n) {
    void *p = get_raw(n);
    if (unlikely(!p)) out_of_memory(n);
    count_bytes((int64_t)alloc_class(n));
    return p;
}

void *alloc_zero(size_t n) {
    void *p = zero_raw(n);
    if (unlikely(!p)) out_of_memory(n);
    count_bytes((int64_t)alloc_class(n));
    return p;
}

void *alloc_try(size_t n) {
    if (n > PTRDIFF_MAX) return NULL;
    void *p = get_raw(n);
    if (p) count_bytes((int64_t)alloc_class(n));
    return p;
}

void *alloc_lines(size_t n) {
    assert(n > 0 && n % LINE == 0);
    void *p = lines_raw(n);
    if (unlikely(!p)) out_of_memory(n);
    count_bytes((int64_t)alloc_class(n));
    return p;
}

void *alloc_try_resize(void *p, size_t old, size_t n) {
    assert(n > 0);
    if (!p) return alloc_try(n);
    if (n > PTRDIFF_MAX) return NULL;
    if (alloc_class(old) == alloc_class(n)) return p;
    void *moved = resize_raw(p, old, n);
    if (moved) count_bytes((int64_t)alloc_class(n) - (int64_t)alloc_class(old));
    return moved;
}

void *alloc_resize(void *p, size_t old, size_t n) {
    void *moved = alloc_try_resize(p, old, n);
    if (unlikely(!moved)) out_of_memory(n);
    return moved;
}

void *alloc_cell_resize(struct alloc_cell *cell, void *p, size_t old, size_t n) {
    if (unlikely(n > PTRDIFF_MAX)) return NULL;
    size_t before = p ? alloc_class(old) : 0, after = alloc_class(n);
    if (before == after) return p;
    void *moved = p ? resize_raw(p, old, n) : get_raw(n);
    if (likely(moved != NULL)) count_in(cell, (int64_t)after - (int64_t)before);
    return moved;
}

void alloc_cell_put(struct alloc_cell *cell, void *p, size_t n) {
    if (!p) return;
    count_in(cell, -(int64_t)alloc_class(n));
    put_raw(p, n);
}

void *alloc_grow(void *items, size_t *cap, size_t item_bytes, size_t first) {
    size_t old = *cap;
    *cap = old ? old * 2 : first;
    return alloc_resize(items, old * item_bytes, *cap * item_bytes);
}

void alloc_put(void *p, size_t n) {
    if (!p) return;
    count_bytes(-(int64_t)alloc_class(n));
    put_raw(p, n);
}

char *alloc_copy_text(const char *text, size_t n) {
    char *copy = alloc_get(n + 1);
    if (n) memcpy(copy, text, n);
    copy[n] = '\0';
    return copy;
}

char *alloc_copy_string(const char *s) {
    return alloc_copy_text(s, strlen(s));
}

void alloc_put_string(char *s) {
    if (s) alloc_put(s, strlen(s) + 1);
}
