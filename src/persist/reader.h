/* Bytes from a file descriptor or from memory, none of which can be trusted: every read is checked against what there
 * is, and a length that a file claims can be checked against what it still has (reader_left) before memory is
 * spent on it. The counterpart of persist/writer.h.
 *
 * The first failure is kept: from then on there is nothing left to read, so that a loop over a broken file ends. */
#pragma once
#include "base/likely.h"
#include "base/slice.h"
#include <stdint.h>

#define READER_BLOCK ((size_t)1 << 20)

/* Called each time a block has come in. The loading server lives on in here: INFO, PING, cron. */
typedef void (*reader_progress_fn)(void *ctx, uint64_t bytes);

struct reader {
    const uint8_t *at, *end; /* the next byte, and the end of those that are there */
    const uint8_t *summed;   /* bytes before this are in the checksum */
    uint8_t *block;          /* NULL: memory of the caller's */
    size_t room;
    int fd;
    int error;      /* errno of a read that failed; 0 also when the bytes have ended */
    bool failed;    /* a read wanted more than there is */
    uint64_t start; /* offset in the input of the block's first byte */
    uint64_t size;  /* offset of the end, UINT64_MAX if nobody knows (a socket) */
    uint64_t crc;
    bool checksum;
    reader_progress_fn progress; /* or NULL */
    void *progress_ctx;
};

/* From where the descriptor stands, which counts as `offset`. A regular file ends at its size. The descriptor stays the
 * caller's, and stands behind what was buffered afterwards: seek to reader_offset(). */
void reader_from_fd(struct reader *r, int fd, uint64_t offset, bool checksum);
void reader_from_memory(struct reader *r, struct slice bytes, bool checksum);
void reader_free(struct reader *r);

/* n bytes in a row, valid until the next call; n is at most READER_BLOCK / 2. NULL: there are not so many. */
const uint8_t *reader_take_slowly(struct reader *r, size_t n);
static inline const uint8_t *reader_take(struct reader *r, size_t n) {
    if (unlikely((size_t)(r->end - r->at) < n)) return reader_take_slowly(r, n);
    const uint8_t *p = r->at;
    r->at += n;
    return p;
}
bool reader_get(struct reader *r, void *to, size_t n); /* any n */
bool reader_skip(struct reader *r, uint64_t n);

/* Bytes passed so far, the offset of the next one. */
uint64_t reader_offset(const struct reader *r);
/* Bytes that can come at most: what a length must not exceed. */
uint64_t reader_left(const struct reader *r);
uint64_t reader_crc(struct reader *r); /* of all bytes passed so far */
