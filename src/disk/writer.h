/* Writes bytes to a file descriptor, to a function (a sink), or into memory. Blocks of 1 MB take one system call and
 * one pass of the checksum each.
 *
 * After an error nothing more is written; callers that put bytes need not check, writer_flush() reports it in the end.
 * With a sync step the file is synced in steps while it grows, so the fsync at the end has little to do, and the queue
 * of the disk stays short for other processes. */
#pragma once
#include "base/likely.h"
#include "base/slice.h"
#include <stdint.h>

#define WRITER_BLOCK ((size_t)1 << 20) /* bytes */
#define WRITER_SYNC_STEP (4 << 20)     /* bytes between two syncs, as in Redis */

/* Take all n bytes: a block, or more. Returns 0, or the errno why it did not. */
typedef int (*writer_sink_fn)(void *ctx, const void *bytes, size_t n);

struct writer {
    uint8_t *at, *end; /* the place of the next byte, and the end of the block */
    uint8_t *block;
    uint8_t *summed; /* bytes before this are in the checksum */
    size_t room;     /* bytes of the block */
    bool may_fail;   /* memory that ends is an error, and more than `most` bytes are one */
    size_t most;
    int fd;              /* -1 without a sink: the block is the memory written to, and grows */
    writer_sink_fn sink; /* NULL: fd is written to */
    void *sink_ctx;
    int error;       /* errno of the first failure, or 0 */
    uint64_t passed; /* bytes written from the block */
    uint64_t crc;
    bool checksum;
    int64_t sync_step; /* bytes between two syncs; 0: none */
    uint64_t synced;   /* bytes whose sync has begun */
};

/* The caller keeps the descriptor. `checksum`: compute one, for writer_crc(). */
void writer_to_fd(struct writer *w, int fd, bool checksum, bool incremental_sync);
void writer_to_sink(struct writer *w, writer_sink_fn sink, void *ctx, bool checksum);
void writer_to_memory(struct writer *w, bool checksum);
/* The same, for a size that comes from outside: more than `most` bytes are the error EFBIG, and more than there is
 * memory for is ENOMEM. */
void writer_to_some_memory(struct writer *w, bool checksum, size_t most);
void writer_free(struct writer *w); /* the block only; writes nothing */

/* Make room for n bytes (at most WRITER_BLOCK) at w->at, also after an error. The caller writes them there and advances
 * w->at. */
void writer_make_room(struct writer *w, size_t n);
void writer_put_long(struct writer *w, const void *bytes, size_t n);

static inline uint8_t *writer_reserve(struct writer *w, size_t n) {
    if (unlikely((size_t)(w->end - w->at) < n)) writer_make_room(w, n);
    return w->at;
}
static inline void writer_put(struct writer *w, const void *bytes, size_t n) {
    if (unlikely((size_t)(w->end - w->at) < n)) {
        writer_put_long(w, bytes, n);
        return;
    }
    if (n) memcpy(w->at, bytes, n);
    w->at += n;
}
static inline void writer_byte(struct writer *w, unsigned byte) {
    *writer_reserve(w, 1) = (uint8_t)byte;
    w->at++;
}

/* All bytes written so far, those in the block included. */
static inline uint64_t writer_bytes(const struct writer *w) {
    return w->passed + (uint64_t)(w->at - w->block);
}
uint64_t writer_crc(struct writer *w); /* of all bytes so far; 0 without `checksum` */
bool writer_flush(struct writer *w);   /* false: w->error, of this or an earlier call */
bool writer_sync(struct writer *w);    /* flush, then fsync; for a sink just flush */

/* The bytes written into memory; valid until the next one is written. */
static inline struct slice writer_slice(const struct writer *w) {
    return slice_of((const char *)w->block, (size_t)(w->at - w->block));
}
