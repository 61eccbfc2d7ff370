/* Reads bytes from a file descriptor, from a function (a source) or from memory, none of which is trusted.
 *
 * Each read is checked against the bytes that exist. A length that the input claims can be checked by reader_left()
 * before memory is allocated for it. disk/writer.h is the counterpart.
 *
 * After the first failure nothing is left to read, so a loop over a broken file ends. */
#pragma once
#include "base/likely.h"
#include "base/slice.h"
#include <stdint.h>
#include <sys/types.h>

#define READER_BLOCK ((size_t)1 << 20) /* bytes */

/* Called after each block was read, with the bytes read so far. A loading server answers INFO and PING in here. */
typedef void (*reader_progress_fn)(void *ctx, uint64_t bytes);

/* Write at least one byte and at most n to `to`, and return their number. 0: the input has ended. -1: errno. It may
 * wait for them, and turn the loop meanwhile. */
typedef ssize_t (*reader_source_fn)(void *ctx, void *to, size_t n);

struct reader {
    const uint8_t *at, *end; /* the next byte, and the end of the buffered ones */
    const uint8_t *summed;   /* bytes before this are in the checksum */
    uint8_t *block;          /* the buffer; NULL: reads the caller's memory */
    size_t room;             /* bytes of the buffer */
    int fd;
    reader_source_fn source; /* NULL: fd is read */
    void *source_ctx;
    int error;      /* errno of a failed read(2); 0 at the end of the input */
    bool failed;    /* a read wanted more bytes than there are */
    uint64_t start; /* offset of the block's first byte in the input */
    uint64_t size;  /* offset of the end of the input; UINT64_MAX: unknown (a socket) */
    uint64_t crc;
    bool checksum;
    reader_progress_fn progress; /* or NULL */
    void *progress_ctx;
};

/* Read from the current position of the descriptor, which counts as `offset`. `checksum`: compute one, for
 * reader_crc(). The caller keeps the descriptor. Its position is then behind the buffered bytes: seek to
 * reader_offset(). */
void reader_from_fd(struct reader *r, int fd, uint64_t offset, bool checksum);
/* Read what a source gives, `size` bytes of it: it is never asked for more. UINT64_MAX: up to its end. */
void reader_from_source(struct reader *r, reader_source_fn source, void *ctx, uint64_t size, bool checksum);
/* The bytes must stay valid. */
void reader_from_memory(struct reader *r, struct slice bytes, bool checksum);
void reader_free(struct reader *r); /* the buffer only */

/* The next n bytes in a row, valid until the next call. From a descriptor, n is at most READER_BLOCK / 2. NULL: there
 * are fewer. */
const uint8_t *reader_take_slowly(struct reader *r, size_t n);
static inline const uint8_t *reader_take(struct reader *r, size_t n) {
    if (unlikely((size_t)(r->end - r->at) < n)) return reader_take_slowly(r, n);
    const uint8_t *p = r->at;
    r->at += n;
    return p;
}
/* Wait until a source has given n bytes, before memory is spent on what they claim to be. Nothing is taken: the next
 * calls find them here. Costs up to twice their memory. False: there are fewer, or there is no memory. Where the bytes
 * are known to exist, it does nothing. */
bool reader_await(struct reader *r, size_t n);
/* Copy or skip n bytes, any number. False: there are fewer. */
bool reader_get(struct reader *r, void *to, size_t n);
bool reader_skip(struct reader *r, uint64_t n);

/* What was read from the descriptor or the source and not taken: it belongs to what follows. Valid until the reader is
 * used or freed. */
struct slice reader_rest(const struct reader *r);
/* Nothing is left to read from here on, for this reason. `progress` and the source may call it. */
void reader_stop(struct reader *r, int error);

/* The offset of the next byte. */
uint64_t reader_offset(const struct reader *r);
/* The number of bytes left; UINT64_MAX: unknown. A length in the input must not exceed it. */
uint64_t reader_left(const struct reader *r);
/* The same for a caller that makes room for what a length in the input announces: if the number is unknown, a block. */
uint64_t reader_foreseen(const struct reader *r);
uint64_t reader_crc(struct reader *r); /* of all bytes read so far; 0 without `checksum` */
