/* Forked children: a child sees the dataset as it was at the fork, and writes it out while the parent goes on.
 *
 * There is at most one child, since two would copy every page twice. It reports through a pipe how many keys it has
 * done and how much memory was copied since the fork. When the child ends, in whatever way, the pipe closes, so the
 * loop reaps it at once. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum child_kind { CHILD_NONE, CHILD_RDB, CHILD_AOF, CHILD_TRANSFER };

struct child_end {
    pid_t pid;
    int status; /* exit status; meaningless if it was killed */
    int signal; /* the signal that killed it, or 0; SIGUSR1: child_kill() */
};

struct child_job {
    enum child_kind kind;
    int (*run)(void *ctx);                                /* called in the child; returns its exit status */
    void (*done)(void *ctx, const struct child_end *end); /* called in the parent, after the child was reaped */
    void *ctx;
    size_t keys; /* that run() will report in the end */
};

struct child_metrics {
    size_t keys_done, keys_total;              /* of the running child; 0 without one */
    size_t cow_bytes, cow_peak;                /* copied memory of the running child; 0 without one */
    int64_t cow_us;                            /* monotonic time at which cow_bytes was reported */
    size_t last_cow_bytes[CHILD_TRANSFER + 1]; /* of the last child, by enum child_kind */
    uint64_t forks;
    int64_t fork_us; /* duration of the last fork */
};
extern struct child_metrics child_metrics;

/* Hooks, may be NULL: called first in the child (title, OOM score); called in the parent after a child was born or has
 * ended. */
extern void (*child_inside)(enum child_kind kind);
extern void (*child_changed)(bool lives);

/* Fork a child. *job is copied. False (errno): a child is running already (EEXIST), or pipe or fork failed. */
bool child_start(const struct child_job *job);
enum child_kind child_running(void); /* CHILD_NONE: no child */
pid_t child_pid(void);               /* -1: no child */
/* Kill the child, if there is one, and wait for its end. done() is called (with SIGUSR1) before this returns. */
void child_kill(void);

/* In the child: report the number of keys written so far. Cheap: the parent gets a report about once a second. In the
 * parent it does nothing. */
void child_report(size_t keys_done);
