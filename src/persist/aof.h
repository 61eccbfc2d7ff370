/* The append-only file as a whole: its directory with the manifest, loading, writing, rewriting.
 *
 * A rewrite replaces all files by a new base. A forked child writes the dataset to a temporary file, while the parent
 * goes on in a new increment. When the child has succeeded, the base is renamed into the directory and the manifest is
 * replaced; only then the old files become history and are removed. Switching the file on at run time works in the same
 * way, except that the increment stays a temporary file until the base exists.
 *
 * Invariant: at any moment the files that the manifest on disk names are a complete dataset. */
#pragma once
#include "persist/aof_load.h"
#include <stdbool.h>
#include <stdint.h>

/* AOF_WAITING: switched on at run time, before the base exists. */
enum aof_state { AOF_OFF, AOF_ON, AOF_WAITING };

struct aof_status {
    enum aof_state state;
    bool rewrite_scheduled;
    bool rewrite_failed;             /* the last one */
    uint64_t rewrites, failures;     /* begun; failed in a row */
    int64_t rewrite_began_s;         /* wall clock; 0: no rewrite is running */
    int64_t rewrite_took_s;          /* the last one; -1: none so far */
    int64_t current_size, base_size; /* bytes: all live files; after the last rewrite or loading */
};
struct aof_status aof_status(void);

/* Load all files that the manifest names, in order. AOF_LOAD_FAILED: the reason is logged, and the process must end. */
enum aof_load aof_load(const struct aof_load_hooks *hooks);
/* At start-up, after loading: begin to write. Ends the process if that is impossible (logged). */
void aof_open(void);

/* Switch on and off at run time. False: failed (logged). `later`: the rewrite must not begin now, inside EXEC. */
bool aof_start(bool later);
void aof_stop(void);
/* True if commands must be appended now. In AOF_WAITING that is only while the child runs. */
bool aof_collects(void);

/* Begin a rewrite now. False: failed (logged), or a child is running (not logged: check first). */
bool aof_rewrite(void);
void aof_schedule_rewrite(bool by_hand); /* as soon as possible; by_hand: earlier failures do not delay it */
/* Begin scheduled and automatic rewrites when no child is running. Call some times a second. */
void aof_tick(void);
/* At the end of the process: write and sync all that is buffered. */
void aof_end(void);
