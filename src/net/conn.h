/* A connection: a socket, its unfinished input and its unsent output.
 *
 * Idle, a connection owns no buffers. Input is read into an arena that all connections of a wave share;
 * only a request that has not come completely is moved to memory of its own (struct conn_input). A bulk
 * of BLOB_MIN bytes or more is received straight into a blob, which the command may adopt as the value.
 *
 * Output is written to the tail of one arena, whoever it is for: a range is opened, filled, and
 * closed. The range of a client that executes stays in the arena until the wave is flushed with one
 * send; any other range (a push to somebody else, a reply behind unsent output) is moved to the
 * connection's own chunks when it is closed. Ranges nest. Large values are referred to, not copied. */
#pragma once
#include "base/blob.h"
#include "base/likely.h"
#include "net/loop.h"
#include "net/resp.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONN_READ_MAX 65536 /* bytes read from one connection in one turn */

struct conn_input;
struct conn_chunk;

enum conn_flag {
    CONN_QUEUED = 1 << 0,      /* in the list of those with something to send */
    CONN_WAITS_WRITE = 1 << 1, /* the socket was full: waiting for EPOLLOUT */
    CONN_BROKEN = 1 << 2,      /* reading or sending failed, or the peer has gone */
};

struct conn {
    struct loop_source source; /* first: what the loop hands back */
    struct conn_input *input;  /* a request that has not come completely; usually NULL */
    struct conn_chunk *out_first, *out_last;
    size_t out_bytes;                /* unsent bytes in the chunks */
    uint32_t range_start, range_len; /* unsent range in the arena, sent before the chunks */
    uint32_t out_chunks;
    uint32_t flags;
};

struct conn_metrics {
    uint64_t bytes_in, bytes_out, reads, writes;
    size_t input_bytes, output_bytes; /* memory of unfinished input and unsent output of all connections */
};
extern struct conn_metrics conn_metrics;

void conn_init(struct conn *c, int fd, void (*ready)(struct loop_source *, uint32_t));
void conn_close(struct conn *c); /* drops input and output, removes from the loop, closes the fd */

/* --- output ---------------------------------------------------------------------------------- */

struct conn_arena {
    char *data;
    size_t len, cap;
};
extern struct conn_arena conn_arena;

/* Room for n bytes at the arena's tail: write there, then add what was written to conn_arena.len. */
char *conn_arena_grow(size_t n);
static inline char *conn_reserve(size_t n) {
    if (unlikely(conn_arena.cap - conn_arena.len < n)) return conn_arena_grow(n);
    return conn_arena.data + conn_arena.len;
}
static inline void conn_write(const void *bytes, size_t n) {
    memcpy(conn_reserve(n), bytes, n);
    conn_arena.len += n;
}
void conn_write_blob(struct blob *blob);                    /* by reference; takes a hold of its own */
size_t conn_mark(void);                                     /* the tail's place, for conn_truncate and conn_insert */
void conn_truncate(size_t mark);                            /* drop what was written since */
void conn_insert(size_t mark, const void *bytes, size_t n); /* put bytes before what was written since */

size_t conn_open(void);                      /* begin a range; returns its mark */
void conn_keep(struct conn *c, size_t mark); /* close: stays in the arena for the flush, if nothing older is unsent */
void conn_push(struct conn *c, size_t mark); /* close: move it to the connection's own chunks, behind all else */
/* Part of a range, which stays open: a copy of it goes to the connection's chunks as by conn_push(), or to the end of a
 * buffer. So a message that many get is written once. */
struct buf;
void conn_push_copy(struct conn *c, size_t start, size_t end);
void conn_copy(size_t start, size_t end, struct buf *to);
/* Send what is queued for all connections; resets the arena. Call outside of any open range. `sent` (may
 * be NULL) is called for each connection when it has been served, whether or not everything left. */
void conn_flush(void (*sent)(struct conn *c));
bool conn_flush_wanted(void);             /* something is queued */
size_t conn_unsent(const struct conn *c); /* bytes waiting: range and chunks */
/* Bytes of the large values that the range only refers to, which conn_unsent() leaves out. Linear in their number. */
size_t conn_unsent_referred(const struct conn *c);
void conn_writable(struct conn *c); /* EPOLLOUT: go on sending */

/* --- input ----------------------------------------------------------------------------------- */

enum conn_read {
    CONN_READ_SOME,    /* a region to parse */
    CONN_READ_NOTHING, /* nothing there, or only more of a large bulk */
    CONN_READ_CLOSED,  /* end of stream or an error */
    CONN_READ_FULL,    /* the input arena is full: finish the wave first */
};

/* Read once. On CONN_READ_SOME *parser is set to go on at the right place and *end is the region's end.
 * The region stays valid until conn_input_reset(), or if conn_region_is_own(), until conn_stash(). */
enum conn_read conn_read(struct conn *c, struct resp_parser **parser, const char **end);
bool conn_region_is_own(const struct conn *c);
/* As conn_read(), but of what was stashed although it could have been parsed on: no system call. */
enum conn_read conn_reread(struct conn *c, struct resp_parser **parser, const char **end);
/* What a read would find, without reading. */
enum conn_read conn_peek(const struct conn *c);
/* After each CONN_READ_SOME: keep what the parser has not finished (from its current request on) for the next read. */
void conn_stash(struct conn *c, struct resp_parser *parser, const char *end);
/* The connection's requests were executed: let go of what only they needed. */
void conn_release(struct conn *c);
/* All requests of the wave were executed: the input arena can be used again. */
void conn_input_reset(void);
size_t conn_arena_bytes(void); /* memory of the input and output arenas that all connections share */
/* If the argument at `ptr` arrived in a blob of its own, a hold of it, once; NULL otherwise. The bytes at ptr stay until the
 * request is released, whatever becomes of that hold: MSET k big1 k big2 drops it at once, and is still to be propagated. */
struct blob *conn_take_blob(struct conn *c, const char *ptr);
size_t conn_input_memory(const struct conn *c); /* bytes owned for unfinished input */
size_t conn_input_bytes(const struct conn *c);  /* bytes received and not executed */
