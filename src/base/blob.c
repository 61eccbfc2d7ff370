/* Invariant: the capacity fills the allocator's class, so sizeof(struct blob) + cap is always the size to free with. */
#include "base/blob.h"
#include "base/alloc.h"
#include "base/worker.h"
#include <assert.h>
#include <stdlib.h>

/* From this many bytes on, freeing takes the kernel long (it unmaps page by page, about 0.1 ms per megabyte), so the
 * worker does it. For less, handing it over would cost more than it saves. */
#define BLOB_FREE_ASYNC (4u << 20)

static size_t size_for(size_t cap) {
    size_t n;
    if (__builtin_add_overflow(cap, sizeof(struct blob), &n) || n > PTRDIFF_MAX / 2) return 0;
    return alloc_class(n);
}

static struct blob *blob_init(struct blob *b, size_t size) {
    *b = (struct blob){.holders = 1, .len = 0, .cap = size - sizeof(struct blob)};
    return b;
}

struct blob *blob_try_new(size_t cap) {
    size_t size = size_for(cap);
    struct blob *b = size ? alloc_try(size) : NULL;
    return b ? blob_init(b, size) : NULL;
}

struct blob *blob_new(size_t cap) {
    size_t size = size_for(cap);
    if (!size) abort(); /* a bug: sizes from outside have been checked */
    return blob_init(alloc_get(size), size);
}

struct blob *blob_from(struct slice bytes) {
    struct blob *b = blob_new(bytes.len);
    if (bytes.len) memcpy(b->data, bytes.ptr, bytes.len);
    b->len = bytes.len;
    return b;
}

struct blob *blob_try_resize(struct blob *b, size_t cap) {
    assert(b->holders == 1 && cap >= b->len);
    size_t size = size_for(cap);
    struct blob *moved = size ? alloc_try_resize(b, blob_size(b), size) : NULL;
    if (moved) moved->cap = size - sizeof(struct blob);
    return moved;
}

struct blob *blob_share(struct blob *b) {
    uint32_t before = __atomic_fetch_add(&b->holders, 1, __ATOMIC_RELAXED);
    assert(before > 0 && before < UINT32_MAX);
    (void)before;
    return b;
}

static void blob_free(void *arg) {
    struct blob *b = arg;
    alloc_put(b, blob_size(b));
}

void blob_drop(struct blob *b) {
    uint32_t before = __atomic_fetch_sub(&b->holders, 1, __ATOMIC_ACQ_REL);
    assert(before > 0);
    if (before > 1) return;
    if (b->cap >= BLOB_FREE_ASYNC)
        worker_submit_free(blob_free, b, blob_size(b));
    else
        blob_free(b);
}

size_t blob_size(const struct blob *b) {
    return sizeof(struct blob) + b->cap;
}
