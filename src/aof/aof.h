/* The append-only file as a whole: its directory with the manifest, loading, writing, rewriting.
 *
 * A rewrite replaces all files by a new base. A forked child writes the dataset to a temporary file, while the parent
 * goes on in a new increment. When the child has succeeded, the base is renamed into the directory and the manifest is
 * replaced; only then the old files become history and are removed. Switching the file on at run time works in the same
 * way, except that the increment stays a temporary file until the base exists.
 *
 * The worker makes, syncs and renames the files (aof/aof_job.h), so the main thread waits for no disk. A rewrite
 * goes on in the next stage when the worker or the child has reported the end of one:
 *
 *     PREPARING   worker: makes the next increment, and syncs most of the log
 *     SWITCHING   worker: syncs the rest of the log, then names the increment in the manifest. Until then no command
 *                 may be logged, so writes wait (aof_holds_writes())
 *     WRITING     child: writes the base, beginning with the dataset as it is at the end of SWITCHING
 *     PLACING     worker: names the base in the manifest, and removes the history
 *
 * Without an increment that is being written (AOF_OFF, AOF_WAITING), a rewrite begins with WRITING. Where only a new
 * increment is wanted, it ends with SWITCHING.
 *
 * Invariant: at any moment the files that the manifest on disk names are a complete dataset, and all of them but the
 * last one are complete on disk. */
#pragma once
#include "aof/aof_load.h"
#include <stdbool.h>
#include <stdint.h>

/* AOF_WAITING: switched on at run time, before the base exists. */
enum aof_state { AOF_OFF, AOF_ON, AOF_WAITING };

struct aof_status {
    enum aof_state state;
    bool is_busy; /* the worker or a child works on the files: no rewrite can begin */
    bool rewrite_scheduled;
    bool rewrite_failed;             /* the last one */
    uint64_t rewrites, failures;     /* begun; failed in a row */
    int64_t rewrite_began_ms;        /* clock_steady_ms(); 0: no rewrite is running */
    int64_t rewrite_took_s;          /* the last one; -1: none so far */
    int64_t current_size, base_size; /* bytes: all live files; after the last rewrite or loading */
};
struct aof_status aof_status(void);

/* Load all files that the manifest names, in order. AOF_LOAD_FAILED: the reason is logged, and the process must end. */
enum aof_load aof_load(const struct aof_load_hooks *hooks);
bool aof_exists(void); /* after aof_load(): there are files */
/* At start-up, after loading: begin to write. If the disk refuses that, all commands are collected in memory, and
 * aof_refusal() is the reason, until it succeeds; but without any data, it ends the process (logged). */
void aof_open(void);

/* Switch on and off at run time. False: failed (logged). `later`: the rewrite must not begin now, inside EXEC. */
bool aof_start(bool later);
void aof_stop(void);
/* True if commands must be appended now. In AOF_WAITING that is only while the child runs. */
bool aof_collects(void);
bool aof_holds_writes(void); /* writes must wait for a moment */
int aof_refusal(void);       /* errno: why writes would not survive, although they are collected; 0: they would */
/* Called after one of these three, or the result of aof_rewrite_begun(), may have changed. NULL: nobody listens. */
extern void (*aof_changed)(void);
/* The offset of the log (oplog/oplog.h) up to which the files have all that is for them, on the disk; -1: they are not
 * complete. It grows by a sync, or when the first base is there: aof_write_synced() is called then. O(1). */
int64_t aof_synced_offset(void);

enum aof_begun {
    AOF_BEGUN,  /* the child runs */
    AOF_BEGINS, /* the worker prepares it: aof_rewrite_begun() will tell */
    AOF_FAILED, /* logged */
};
/* Begin a rewrite. AOF_FAILED without a log line: a child is running, or the worker is busy (check first). */
enum aof_begun aof_rewrite(void);
enum aof_begun aof_rewrite_begun(void);  /* the present state of the last aof_rewrite() */
void aof_schedule_rewrite(bool by_hand); /* as soon as possible; by_hand: earlier failures do not delay it */
/* Begin scheduled and automatic rewrites when no child is running. Call some times a second. */
void aof_tick(void);
/* aof-checksums was set: begin an increment for it, soon, if the present one has the other form. */
void aof_fit_increment(void);
/* aof-disable-auto-gc was set to no: remove the history, soon. */
void aof_remove_history(void);
/* At the end of the process: write and sync all that is buffered. */
void aof_end(void);
