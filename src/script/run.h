/* A run: one call of a script or of a function, from the question whether it may start to its end. In between it is
 * `run_current`; what it calls starts no other run.
 *
 * A run that takes longer than busy-reply-threshold lets other clients be served (exec/busy.h). They may ask for its
 * end: run_tick() is true from then on, and whatever executes the run has to leave it at once. */
#pragma once
#include "base/slice.h"
#include "exec/inner.h"
#include <stdbool.h>
#include <stdint.h>

struct client;
struct module;
struct request;

/* What a script or a function says of itself: flags=. */
enum script_flag {
    SCRIPT_NO_WRITES = 1 << 0,        /* no-writes: calls nothing that writes; implies allow-oom */
    SCRIPT_ALLOW_OOM = 1 << 1,        /* allow-oom: runs although the limit on memory is exceeded */
    SCRIPT_ALLOW_STALE = 1 << 2,      /* allow-stale: runs on a replica that has lost its primary */
    SCRIPT_NO_CLUSTER = 1 << 3,       /* no-cluster: does not run in a cluster */
    SCRIPT_ALLOW_CROSS_SLOT = 1 << 4, /* allow-cross-slot-keys */
    SCRIPT_OLD_RULES = 1 << 5,        /* it says nothing: each of its calls is judged by itself */
};

struct script_run {
    /* Set by run_read_arguments(). */
    struct request *request; /* EVAL, FCALL and the like */
    bool is_ro_command;      /* it is EVAL_RO, EVALSHA_RO or FCALL_RO */
    int key_count, arg_count;
    const struct slice *keys, *args;
    /* Set by the caller of run_begin(). All of this is left alone until run_end(). */
    const char *name; /* the SHA1 in hex, or the name of the function */
    unsigned flags;   /* enum script_flag */
    bool is_function; /* else it is a script */
    /* Set by run_begin(). */
    struct inner inner; /* its calls */
    uint64_t began;     /* in ticks */
    bool is_replayed;   /* the request comes from a log, or from the primary */
    bool is_busy;       /* other clients are served meanwhile */
    bool killed;        /* it is to end */
};

extern struct script_run *run_current; /* the run that has begun and not ended; NULL: none */

extern size_t run_reply_limit; /* bytes that one call of a run may reply: what the engine has room for */

/* Read "<script> <number of keys> <key>... <other argument>..." of a request. False: the error is replied, which is
 * `bad_count` if the number is none. */
bool run_read_arguments(struct script_run *run, struct request *r, const char *bad_count);

/* May it start? Whether the gates let the request pass was asked before (gates_judge_scripts()). False: the error is
 * replied, and nothing has begun. */
bool run_begin(struct script_run *run);
void run_end(struct script_run *run);

/* To be called every RUN_TICK_INSTRUCTIONS of Lua: serves other clients if it is time. True: the run was killed, so
 * RUN_KILLED is to be raised, through all that could catch it. While the threshold is not over, this costs a few
 * nanoseconds. One call that takes long (a big SORT, string.rep) is over before others are served. */
#define RUN_TICK_INSTRUCTIONS 100000
#define RUN_KILLED "Script killed by user with SCRIPT KILL..."
bool run_tick(struct script_run *run);

int64_t run_threshold_us(void); /* busy-reply-threshold; INT64_MAX: never */

/* SCRIPT KILL, or FUNCTION KILL. Replies OK; NOTBUSY if nothing runs; UNKILLABLE if it has written; or which of the two
 * commands would be the right one. */
void run_kill(struct client *c, bool is_function);
int64_t run_duration_ms(const struct script_run *run); /* since it began */
