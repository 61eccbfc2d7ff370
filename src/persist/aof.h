/* The append-only file as a whole: its directory, the manifest in it, loading, writing, rewriting.
 *
 * A rewrite replaces what there is by a base: a forked child writes the dataset to a temporary file while the parent
 * goes on in a new increment; when the child has succeeded, the base is renamed into the directory and the manifest
 * replaced, and only then are the former files history, which is removed. Switching the file on at run time is the
 * same, but for an increment that stays a temporary file until the base is there. */
#pragma once
#include "persist/aof_load.h"
#include "persist/aof_write.h"
#include <stdbool.h>
#include <stdint.h>

/* Waiting: switched on at run time, and the base is not there yet. */
enum aof_state { AOF_OFF, AOF_ON, AOF_WAITING };

struct aof_status {
    enum aof_state state;
    bool rewrite_scheduled;
    bool rewrite_failed;         /* the last one */
    uint64_t rewrites, failures; /* begun; failed in a row */
    int64_t rewrite_began_s;     /* wall clock; 0: none runs */
    int64_t rewrite_took_s;      /* the last one; -1: there was none */
    int64_t current_size, base_size;
};
struct aof_status aof_status(void);

/* Read all files that the manifest names, in order. AOF_LOAD_FAILED has been logged: at start-up, the process must end. */
enum aof_load aof_load(const struct aof_load_hooks *hooks);
/* At start-up, after loading: go on writing. Ends the process if that is impossible. */
void aof_open(void);

/* Switch on and off while the server runs. False has been logged. `later`: the rewrite cannot begin now (inside EXEC). */
bool aof_start(bool later);
void aof_stop(void);
/* Is there a reason to collect commands now? While waiting, only as long as the child lives. */
bool aof_collects(void);

/* Begin a rewrite now. False has been logged, unless a child is running: ask first. */
bool aof_rewrite(void);
void aof_schedule_rewrite(bool by_hand); /* as soon as it can be; by hand: former failures do not delay it */
/* Some times a second: begins scheduled and automatic rewrites, when no child is running. */
void aof_tick(void);
/* At the end of the process: write and sync what there is. */
void aof_end(void);
