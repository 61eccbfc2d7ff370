/* The snapshot that a replica is sent: its framing, where its bytes go, and how the data are replaced by it.
 *
 *     $<bytes>\r\n<snapshot>               the length is known
 *     $EOF:<40 bytes>\r\n<snapshot><mark>  it ends with the same 40 bytes
 *
 * With repl-diskless-load disabled, it becomes a file first, and the old data stay until that is complete; a replica
 * without data loads it while it is stored. The others load it from the socket: on-empty-db, or beside the old data
 * (swapdb), which are served meanwhile. Whatever the bytes are, what ends is this one sync.
 *
 * The data are loaded from the end of a turn (cron_later()), as the loop is turned meanwhile. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum intake_load { INTAKE_FILE, INTAKE_ON_EMPTY, INTAKE_SWAP }; /* repl-diskless-load */

struct intake_options {
    int diskless_load;    /* enum intake_load */
    bool lazy_flush;      /* replica-lazy-flush: the worker frees the old data */
    int64_t buffer_limit; /* replica-full-sync-buffer-limit; 0: the hard limit of class replica */
};
extern struct intake_options intake_options;

/* What the snapshot belongs to. */
struct intake_order {
    int fd;        /* the socket, non-blocking; the caller's */
    char id[41];   /* the primary's history; "": not told (SYNC) */
    int64_t offset; /* the log's place at which the snapshot was made; -1: not told */
};

/* A snapshot is about to arrive on this socket, which nobody else reads now. `ended` is called once, from the end of a
 * turn, unless intake_cancel() comes before. ok: the data are those of the snapshot, the history and the log's end
 * too, and what is left over are the first bytes of the stream. Otherwise `why` says why not (logged); the data are as
 * they were, or empty if they had been given up. */
struct intake_end {
    bool ok;
    const char *why;
    const char *left; /* bytes behind the snapshot; valid during the call */
    size_t left_len;
};
void intake_begin(const struct intake_order *order, void (*ended)(const struct intake_end *end));
/* Give up, from anywhere. While it is loading, this ends the load soon, and `ended` is called nevertheless. */
void intake_cancel(void);
bool intake_is_active(void);
bool intake_is_async(void); /* the old data are served while the new ones are loaded beside them */

struct intake_status {
    int64_t total_bytes; /* 0: not told */
    int64_t read_bytes;
    int64_t heard_ms; /* clock_steady_ms() */
};
extern struct intake_status intake_status;
/* Called when loading or emptying has taken a while, at most once a second: send the primary a newline. */
extern void (*intake_busy)(void);
/* Called once, when the old data are about to go and the new ones are about to be loaded in their place. */
extern void (*intake_replaces)(void);
