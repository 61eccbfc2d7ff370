/* A connection: a socket, its unfinished input and its unsent output.
 *
 * An idle connection owns no buffers. Input is read into an arena that all connections of a wave share; only a request
 * that has not arrived completely moves to memory of its own (struct conn_input). A bulk of BLOB_MIN bytes or more is
 * received directly into a blob, which the command may adopt as the value.
 *
 * Output for all connections is written to the tail of one arena: a range is opened, filled, and closed. The range of a
 * client that executes stays in the arena until the wave is flushed with one send; any other range (a push to another
 * client, a reply behind unsent output) moves to the connection's own chunks when it is closed. Ranges nest. Large
 * values are referred to, not copied.
 *
 * All functions are for the main thread. Those that read or send report failure as CONN_BROKEN in flags. */
#pragma once
#include "base/blob.h"
#include "base/likely.h"
#include "net/loop.h"
#include "net/resp.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#define CONN_READ_MAX 65536 /* the most bytes read from one connection in one turn */

struct conn_input;
struct conn_chunk;

enum conn_flag {
    CONN_QUEUED = 1 << 0,      /* in the list of connections with something to send */
    CONN_WAITS_WRITE = 1 << 1, /* the socket is full: the loop waits for EPOLLOUT */
    CONN_BROKEN = 1 << 2,      /* reading or sending has failed, or the peer has closed */
    CONN_SHARED = 1 << 3,      /* a child has the socket too: conn_close() ends the connection for it as well */
    CONN_ASIDE = 1 << 4,       /* it is in the list that conn_set_aside() has taken away */
};

struct conn {
    struct loop_source source; /* first, since the loop passes its address to ready() */
    struct conn_input *input;  /* a request that is not complete yet; usually NULL */
    struct conn_chunk *out_first, *out_last;
    size_t out_bytes;                /* unsent bytes in the chunks */
    uint32_t range_start, range_len; /* unsent range in the arena, sent before the chunks */
    uint32_t out_chunks;
    uint32_t flags;
};

struct conn_metrics {
    uint64_t bytes_in, bytes_out, reads, writes;
    size_t input_bytes, output_bytes; /* memory of unfinished input and unsent output of all connections */
    /* The same of one connection, the largest of those that have grown or were noted since this was set to 0. */
    size_t largest_input, largest_output;
};
extern struct conn_metrics conn_metrics;

void conn_init(struct conn *c, int fd, void (*ready)(struct loop_source *, uint32_t));
/* Allocate the arenas that all connections share. Without it, they come with the first input and output. */
void conn_prepare(void);
void conn_close(struct conn *c); /* drops input and output, closes the fd; c stays the caller's */

/* --- Output ---------------------------------------------------------------------------------- */

struct conn_arena {
    char *data;
    size_t len, cap; /* up to cap, bytes may be written without a question */
    size_t refs_end; /* behind the place of the last reference to a blob; 0: there is none */
    bool refuses;    /* the open range takes no more */
};
extern struct conn_arena conn_arena;

/* Why a range takes no more bytes. What was written before is still there, but incomplete. */
enum conn_refusal {
    CONN_REFUSES_NOTHING,
    CONN_OVER_LIMIT, /* the range would exceed its limit */
    CONN_NO_MEMORY,  /* the arena cannot grow */
};

/* An open range: the bytes from `start` to the arena's tail. It is the caller's, and stays where it is until closed. */
struct conn_range {
    size_t start;
    size_t limit;    /* bytes that it may have, those of its blobs included */
    size_t referred; /* bytes of its blobs */
    struct conn_range *outer;
    enum conn_refusal refusal;
};

#define CONN_NO_LIMIT SIZE_MAX

void conn_open(struct conn_range *range, size_t limit); /* begins a range, inside of the one that is open */
/* Close a range: it stays in the arena for the flush, or, if older output is unsent, goes the way of conn_push(). A
 * range that refused bytes is dropped, and its connection breaks. */
void conn_keep(struct conn *c, struct conn_range *range);
/* Close a range: it moves to the connection's own chunks, behind all other output. O(bytes). The same for one that
 * refused bytes. */
void conn_push(struct conn *c, struct conn_range *range);
void conn_take_back(struct conn_range *range); /* close a range: nothing of it is sent */

/* Is there room for n bytes at the arena's tail? Then write them there, and add their number to conn_arena.len. If not,
 * the open range refuses them and all that follows: write nothing. Amortised O(1). */
bool conn_arena_grow(size_t n);
static inline bool conn_has_room(size_t n) {
    return likely(conn_arena.cap - conn_arena.len >= n) || conn_arena_grow(n);
}
static inline char *conn_tail(void) {
    return conn_arena.data + conn_arena.len;
}
/* Most replies are short constants, for which a call would cost more than the copy. */
static inline __attribute__((always_inline)) void conn_write(const void *bytes, size_t n) {
    if (!conn_has_room(n)) return;
    memcpy(conn_tail(), bytes, n);
    conn_arena.len += n;
}
/* Bytes that the open range may still have. */
size_t conn_room(void);
void conn_refuse(enum conn_refusal why); /* the open range takes nothing from here on */
void conn_write_blob(struct blob *blob); /* by reference: becomes one more holder */
size_t conn_range_written(void);         /* bytes in the open range. O(1) */
size_t conn_mark(void);                  /* the tail's position, for the next two */
void conn_truncate_slowly(size_t mark);  /* for conn_truncate() */
/* Drops what was written since, and what was refused: the range takes bytes again. */
static inline void conn_truncate(size_t mark) {
    if (likely(conn_arena.refs_end <= mark && !conn_arena.refuses))
        conn_arena.len = mark;
    else
        conn_truncate_slowly(mark);
}
void conn_insert(size_t mark, const void *bytes, size_t n); /* puts bytes before what was written since */

/* What the open range has from a mark on, for a script that reads the reply to its call. Slices are valid until the
 * next write or conn_truncate(). */
static inline bool conn_is_plain(size_t mark) { /* it refers to no blob */
    return likely(conn_arena.refs_end <= mark);
}
static inline struct slice conn_written(size_t mark) { /* all of it, if it is plain */
    return slice_of(conn_arena.data + mark, conn_arena.len - mark);
}
/* A walk over pieces of the arena: bytes, cut at each reference to a blob, and the blobs. */
struct conn_walk {
    size_t at, end, ref;
};
struct conn_piece {
    struct slice bytes; /* never empty, but for an empty blob */
    struct blob *blob;  /* holds the bytes; NULL: they are in the arena */
};
struct conn_walk conn_walk(size_t start, size_t end);                  /* O(log references) */
bool conn_walk_next(struct conn_walk *walk, struct conn_piece *piece); /* false: the end */

/* Copy a part of an open range to the connection's chunks, as conn_push() does, or to the end of a buffer. So a message
 * for many connections is written once. */
struct buf;
void conn_push_copy(struct conn *c, size_t start, size_t end);
void conn_copy(size_t start, size_t end, struct buf *to);
size_t conn_range_bytes(size_t start, size_t end); /* of that part, those of blobs included */
/* What the connection has to be sent is lost: it counts as CONN_BROKEN from now on, and the next flush passes it to
 * `sent`. */
void conn_break(struct conn *c);
/* Send what is queued for all connections and reset the arena; no range may be open. `sent` (may be NULL) is called for
 * each connection that was served, even if the socket did not take everything; it may close connections. */
void conn_flush(void (*sent)(struct conn *c));
/* Send in the same way, although ranges are open: the arena stays as it is. */
void conn_send_queued(void (*sent)(struct conn *c));
void conn_requeue(struct conn *c);        /* the next flush passes it to `sent`, whatever there is to send */
bool conn_flush_wanted(void);             /* something is queued for a flush */
size_t conn_unsent(const struct conn *c); /* unsent bytes: range and chunks; O(1) */
/* Bytes of the large values to which the range refers; conn_unsent() leaves them out. O(their number). */
size_t conn_unsent_referred(const struct conn *c);
void conn_writable(struct conn *c); /* to be called at EPOLLOUT: continues to send */

/* --- Output that lies elsewhere -------------------------------------------------------------- */

#define CONN_PIECES_MAX 64

/* The connection takes nothing now: its socket is full, it is broken, or other output is to be sent first. */
static inline bool conn_is_busy(const struct conn *c) {
    return (c->flags & (CONN_WAITS_WRITE | CONN_BROKEN)) || c->range_len || c->out_first;
}
/* Write pieces, at most CONN_PIECES_MAX, straight to the socket with one system call. Returns the bytes taken. If these
 * are fewer than were offered, the connection is busy until conn_writable(), which the loop's LOOP_WRITE brings. 0: it
 * is busy, or an error has broken it. */
size_t conn_send_pieces(struct conn *c, const struct iovec *pieces, int n);
/* The same for n bytes of a file from *offset on, which moves on: they are not copied. The connection breaks if the
 * file has none there. */
size_t conn_send_file(struct conn *c, int fd, off_t *offset, size_t n);

/* --- Input ----------------------------------------------------------------------------------- */

enum conn_read {
    CONN_READ_SOME,    /* a region to parse */
    CONN_READ_NOTHING, /* nothing arrived, or only more of a large bulk */
    CONN_READ_CLOSED,  /* end of stream or an error */
    CONN_READ_FULL,    /* the input arena is full: finish the wave first */
};

/* Read once. On CONN_READ_SOME, *parser is ready to continue at the right place, and *end is the end of the region. The
 * region is valid until conn_input_reset(), or if conn_region_is_own(), until conn_stash(). */
enum conn_read conn_read(struct conn *c, struct resp_parser **parser, const char **end);
bool conn_region_is_own(const struct conn *c);
/* As conn_read(), for stashed input that may still hold complete requests; no system call. */
enum conn_read conn_reread(struct conn *c, struct resp_parser **parser, const char **end);
/* What a read would find, without reading. */
enum conn_read conn_peek(const struct conn *c);
/* To be called after each CONN_READ_SOME: keeps the input from the parser's unfinished request on for the next read. */
void conn_stash(struct conn *c, struct resp_parser *parser, const char *end);
/* The requests of the connection have been executed: drop what only they needed. */
void conn_release(struct conn *c);
/* All requests of the wave have been executed: the input arena can be used again. */
void conn_input_reset(void);
size_t conn_arena_bytes(void); /* memory of the input and output arenas that all connections share */
void conn_arena_shrink(void);  /* between waves: what large replies have made of the output arena is freed */
/* If the argument at `ptr` arrived in a blob of its own: that blob, with one more holder, which is the caller; only
 * once. Else NULL. The bytes at ptr stay until the request is released, even if the caller drops the blob: MSET k big1
 * k big2 drops one at once, and must still be propagated. */
struct blob *conn_take_blob(struct conn *c, const char *ptr);
/* The same while the request is not released, whether it was taken or not, and without a hold. O(large arguments). */
struct blob *conn_find_blob(const struct conn *c, const char *ptr);
size_t conn_input_memory(const struct conn *c); /* memory for unfinished input */
void conn_note_size(const struct conn *c);      /* for conn_metrics.largest_input and largest_output. O(1) */
size_t conn_input_bytes(const struct conn *c);  /* bytes received but not executed, without the next */
size_t conn_input_args(const struct conn *c);   /* bytes of large arguments received for an unfinished request */

/* --- Other clients meanwhile ----------------------------------------------------------------- */

/* In the middle of a request, with ranges open, others are to be read and answered. Put the arenas aside, with all that
 * is in them and with the list of what is to be sent. Until conn_put_back(), reading and writing use arenas of their
 * own. What is written for a connection that is in the list follows what it has there (CONN_ASIDE); the caller sees to
 * it that such a one is not sent to by conn_writable(). Not twice. O(connections in the list). */
void conn_set_aside(void);
/* Nothing may be open or unsent: after conn_flush(). */
void conn_put_back(void);
