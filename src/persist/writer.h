/* Bytes on their way to a file descriptor or into memory, in blocks of 1 MB: one system call and one pass of the
 * checksum for each.
 *
 * Errors are kept: after one nothing is written any more, and who puts bytes need not look; writer_flush() tells in the
 * end. With a sync step the file is synced every so many bytes while it grows, so that the fsync at its
 * end finds little to do and the disk's queue stays short for everybody else. */
#pragma once
#include "base/likely.h"
#include "base/slice.h"
#include <stdint.h>

#define WRITER_BLOCK ((size_t)1 << 20)
#define WRITER_SYNC_STEP (4 << 20) /* bytes between two syncs, as Redis has it */

struct writer {
    uint8_t *at, *end; /* where the next byte goes; the end of the block */
    uint8_t *block;
    uint8_t *summed; /* bytes before this are in the checksum */
    size_t room;     /* bytes of the block */
    int fd;          /* -1: into memory, the block being all of it */
    int error;       /* errno of the first failure, 0 */
    uint64_t passed; /* bytes that have left the block */
    uint64_t crc;
    bool checksum;
    int64_t sync_step; /* 0: leave it to the kernel */
    uint64_t synced;
};

/* The descriptor stays the caller's. checksum: keep one, for writer_crc(). */
void writer_to_fd(struct writer *w, int fd, bool checksum, bool incremental_sync);
void writer_to_memory(struct writer *w, bool checksum);
void writer_free(struct writer *w); /* the block; writes nothing */

/* See to it that n bytes (at most WRITER_BLOCK) can be written at w->at; the caller moves it on. Room is always
 * given, also after an error. */
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

/* Bytes written so far, all in all. */
static inline uint64_t writer_bytes(const struct writer *w) {
    return w->passed + (uint64_t)(w->at - w->block);
}
uint64_t writer_crc(struct writer *w); /* of all bytes so far; 0 without a checksum */
bool writer_flush(struct writer *w);   /* false: w->error says what happened, now or earlier */
bool writer_sync(struct writer *w);    /* flush, and fsync a file */

/* What was written into memory; valid until the next byte. */
static inline struct slice writer_slice(const struct writer *w) {
    return slice_of((const char *)w->block, (size_t)(w->at - w->block));
}
