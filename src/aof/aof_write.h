/* The growing end of an append-only file.
 *
 * What is written lies in the log (oplog/oplog.h), of which the file is a reader; only what concerns the file alone is
 * kept here. It is written by one system call before the replies of a turn are sent. Each write consists of frames
 * (aof/aof_frame.h), a large one of several; or, without aof-checksums, of bare commands, as in the files of Redis. A
 * frame never ends between MULTI and EXEC, and it ends with its place in the history (aof/aof_place.h). Lines
 * "#TS:<seconds>" stand between frames. Commands outside frames, which Redis has appended, are legal but cannot be
 * verified. */
#pragma once
#include "base/likely.h"
#include "base/slice.h"
#include "oplog/oplog.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AOF_FRAME_MAX (1 << 20) /* bytes of payload after which a frame ends, outside MULTI */

enum aof_fsync { AOF_FSYNC_NO, AOF_FSYNC_ALWAYS, AOF_FSYNC_EVERYSEC };

struct aof_write_options {
    int fsync;              /* enum aof_fsync: appendfsync */
    bool no_sync_meanwhile; /* no-appendfsync-on-rewrite: no sync while a child is writing */
    bool timestamps;        /* aof-timestamp-enabled */
    bool checksums;         /* aof-checksums: frames; a file keeps the value that it began with */
    int64_t sleep_us;       /* before each write: DEBUG AOF-FLUSH-SLEEP */
};
extern struct aof_write_options aof_write_options;

struct aof_write_metrics {
    int64_t file_bytes;     /* of the open file */
    size_t buffered;        /* bytes to be written */
    size_t memory;          /* for them: of the log, too, if the file is all that keeps it */
    uint64_t delayed_syncs; /* syncs that were due while the previous one was still running */
    unsigned pending_syncs; /* given to the worker and not done */
    int write_errno;        /* of the last write; 0: it succeeded */
    int sync_errno;         /* of the last sync on the worker; 0: it succeeded */
};
struct aof_write_metrics aof_write_metrics(void);
static inline bool aof_write_failing(struct aof_write_metrics m) {
    return m.write_errno != 0 || m.sync_errno != 0;
}

/* Append to this file, which has this many bytes. Takes over the descriptor. No file may be open, but commands may have
 * been collected for this one, after aof_write_await() or aof_write_hold(). */
void aof_write_begin(int fd, int64_t bytes);
/* There is no file yet, for this reason (errno): collect commands for the one that aof_write_begin() will name. Until
 * then `write_errno` is the reason, and nothing is written. */
void aof_write_await(int reason);
/* The file is about to be left: collect commands for the next one, while the file itself is still open. What was
 * appended before must have been flushed. Ended by aof_write_replace(), or by aof_write_release(): go on with the same
 * file. */
void aof_write_hold(void);
void aof_write_release(void);
void aof_write_replace(int fd); /* by an empty file */
int aof_write_fd(void);         /* of the open file, for the worker; -1: none */
bool aof_write_is_synced(void); /* all that was written to the file was given to a sync that has ended well */
/* Before the last flush: if the log has got what is not for the file, the file's place in it is told again. */
void aof_write_tell_place(void);
/* The offset of the log up to which the file has all that is for it, and is synced; -1: nothing is collected. O(1). */
int64_t aof_write_synced_offset(void);
extern void (*aof_write_synced)(void); /* called when it has moved, on the main thread; may be NULL */
/* Close the file. Waiting bytes are dropped and nothing is synced: flush and sync before. */
void aof_write_end(void);
bool aof_write_is_open(void);    /* commands are collected */
bool aof_write_is_framed(void);  /* in frames */
bool aof_write_is_in_unit(void); /* a unit has begun and not ended */

/* What is appended to the log belongs to the file, or not. While the file follows the log, all that is appended does,
 * and nothing has to be done for a command. */
struct aof_write_follow {
    bool asks;   /* the file collects, but does not follow: aof_write_join() has to be called */
    int64_t cut; /* a unit that ends behind this offset of the log ends a frame, too: aof_write_cut() */
};
extern struct aof_write_follow aof_write_follow;

void aof_write_join(int db_id);
void aof_write_cut(void);
/* A command that is about to be appended to the log is for the file, too. It works in this database; -1: in any. */
static inline void aof_write_take(int db_id) {
    if (unlikely(aof_write_follow.asks | aof_write_options.timestamps)) aof_write_join(db_id);
}
/* What is about to be appended to the log is not for the file. `leads`: replicas get it from this server first, and are
 * ahead of the place that the file tells until it is told again, which therefore happens soon. */
void aof_write_skip(bool leads);
/* A command for the file only: not in the log. `raw`, if not empty, is the encoded command. */
void aof_write_own(int db_id, const struct slice *argv, int argc, struct slice raw);
/* After each oplog_end_unit(). */
static inline void aof_write_end_unit(void) {
    if (unlikely(oplog_unit_end() > aof_write_follow.cut)) aof_write_cut();
}

/* Write what is waiting, and sync by the policy. True: nothing is left to write. Errors are logged. Under
 * AOF_FSYNC_ALWAYS an error ends the process, except with `force`: the last attempt before the file is left. Inside a
 * unit nothing is written without `force`. */
bool aof_write_flush(bool force);
bool aof_write_sync_now(void);  /* false: errno */
void aof_write_sync_last(void); /* by the worker, before the file is closed by aof_write_end() */
/* For the worker: sync the file, and keep the result for the metrics. False: errno (logged). */
bool aof_write_sync_file(int fd);
void aof_write_forget_errors(void); /* as if the last write and sync had succeeded */
