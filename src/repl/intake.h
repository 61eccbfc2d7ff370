/* The snapshot that a replica is sent: its framing, where its bytes go, and how it becomes the data.
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
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum intake_load { INTAKE_FILE, INTAKE_ON_EMPTY, INTAKE_SWAP }; /* repl-diskless-load */

struct intake_options {
    int diskless_load;    /* enum intake_load */
    bool lazy_flush;      /* replica-lazy-flush: the worker frees the old data */
    int64_t buffer_limit; /* replica-full-sync-buffer-limit: bytes; 0: the hard limit of class replica */
    bool deletes_files;   /* rdb-del-sync-files, whose row repl/sync has: without persistence, no file is left */
};
extern struct intake_options intake_options;

struct intake_order {
    int fd;                 /* the socket, non-blocking; the caller's */
    bool same_history;      /* the snapshot continues the history of the data: swapdb serves these meanwhile */
    void (*replaces)(void); /* called once, when the old data are about to go */
};

struct replace_place;
struct intake_end {
    bool ok;                           /* the data are those of the snapshot */
    bool gave_up_data;                 /* not ok, and the data are gone */
    const char *why;                   /* it is not; valid during the call */
    struct slice left;                 /* bytes behind the snapshot: the stream's first ones; valid during the call */
    const struct replace_place *place; /* if it is ok; valid during the call */
};
/* A snapshot is about to arrive on this socket, which nobody else reads now. `ended` is called once, from the loop. */
void intake_begin(const struct intake_order *order, void (*ended)(const struct intake_end *end));
/* Give up. While it is loaded, that ends soon, and `ended` is called nevertheless; else it is not called. `why` must
 * live on. Does nothing without an intake. */
void intake_cancel(const char *why);
bool intake_is_active(void);
bool intake_is_loading(void); /* the data are being emptied or loaded */
bool intake_waits(void);      /* for bytes of the primary */

struct intake_status {
    int64_t total_bytes; /* 0: not told */
    int64_t read_bytes;
    int64_t heard_ms; /* clock_steady_ms() of the last bytes, newlines included */
};
extern struct intake_status intake_status;
