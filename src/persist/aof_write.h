/* The growing end of an append-only file.
 *
 * What a turn of the server changed is collected in memory and leaves with one write, before the replies of that turn
 * do. Each write begins with an annotation, a line that Redis and its tools pass over since it begins with '#':
 *
 *     #K:<CRC-64 of what follows, 16 hex digits> <its length, 10 hex digits> CR LF     (32 bytes)
 *
 * so that a reader can verify what it is about to apply: a write that did not reach the disk as a whole, or a bit that
 * has turned since, is found exactly, and everything in front of it is known to be sound. Large amounts are several
 * such frames. A frame never ends between MULTI and EXEC. Lines "#TS:<seconds>" stand between frames, and what lies
 * outside of frames (what Redis has appended) is legal, and not verified. */
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AOF_FRAME_LINE 32       /* bytes of the annotation */
#define AOF_FRAME_MAX (1 << 20) /* payload after which a frame ends, as soon as it may */

enum aof_fsync { AOF_FSYNC_NO, AOF_FSYNC_ALWAYS, AOF_FSYNC_EVERYSEC };

struct aof_write_options {
    int fsync;              /* enum aof_fsync: appendfsync */
    bool no_sync_meanwhile; /* no-appendfsync-on-rewrite: not while a child is writing */
    bool timestamps;        /* aof-timestamp-enabled */
};
extern struct aof_write_options aof_write_options;

struct aof_write_metrics {
    int64_t file_bytes;     /* of the file that is open */
    size_t buffered;        /* bytes that wait to be written */
    uint64_t delayed_syncs; /* times that the disk was still busy with the last one a second later */
    unsigned pending_syncs; /* under way on the worker */
    int write_errno;        /* of the last write if it failed, 0 if all is well again */
    int sync_errno;         /* the same for the sync in the background */
};
struct aof_write_metrics aof_write_metrics(void);
static inline bool aof_write_failing(struct aof_write_metrics m) {
    return m.write_errno != 0 || m.sync_errno != 0;
}

/* Go on with this file, which has so many bytes. Takes the descriptor; the one before was closed. */
void aof_write_begin(int fd, int64_t bytes);
/* Nothing is collected any more, and the file is closed. What waits is dropped, and nothing is synced: do that first. */
void aof_write_end(void);
bool aof_write_is_open(void);

/* Add a command. `raw`, if not empty, is its encoding; SELECT is added where the database changes. */
void aof_write_append(int db_id, const struct slice *argv, int argc, struct slice raw);
/* Write what waits, and sync as the policy says. Under AOF_FSYNC_ALWAYS an error ends the process. With `force`, errors are
 * reported, but nothing ends: the last attempt before the file is left. True if nothing is left to write. */
bool aof_write_flush(bool force);
bool aof_write_sync_now(void); /* errno if false */
/* Before aof_write_sync_now(), where that can wait: has most of the file been synced in the background? False: ask again
 * a little later. */
bool aof_write_sync_ahead(void);
void aof_write_forget_errors(void);

/* Used by the reader's side too: fill in a frame's annotation. `line` has AOF_FRAME_LINE bytes. */
void aof_write_frame_line(char *line, const char *payload, size_t len);
