/* Forked children: a child sees the dataset as it was at the fork, and writes it out while the parent goes on.
 *
 * There is at most one child, since two would copy every page twice. It reports through a pipe how many keys it has
 * done and how much memory was copied since the fork. When the child ends, in whatever way, the pipe closes, so the
 * loop reaps it at once.
 *
 * Nothing waits for a child. One that is killed may take long to die, if the disk hangs: it is no longer the child from
 * then on, and is reaped when its pipe closes. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum child_kind { CHILD_NONE, CHILD_RDB, CHILD_AOF, CHILD_TRANSFER };

struct child_end {
    pid_t pid;
    int status; /* exit status; meaningless if it was killed */
    int signal; /* the signal that killed it, or 0; SIGUSR1: it was not wanted any more, as after child_kill() */
};

struct child_job {
    enum child_kind kind;
    int (*run)(void *ctx); /* called in the child; returns its exit status */
    void (*done)(void *ctx,
                 const struct child_end *end); /* called in the parent, after the child ended or was killed */
    void *ctx;
    size_t keys; /* that run() will report in the end */
    /* Descriptors that the child keeps open besides the standard ones; read in the child only. */
    const int *keep;
    int keep_count;
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

/* For a process that was forked without child_start(): what every child does first. It dies with its parent, ends at
 * the signals that the server handles, and closes all descriptors except the standard ones, fd, and those to keep. */
void child_become(pid_t parent, int fd, const int *keep, int keep_count);

/* Hooks, may be NULL: called first in the child (title, OOM score); called in the parent after a child was born or has
 * ended. */
extern void (*child_inside)(enum child_kind kind);
extern void (*child_changed)(bool lives);

/* Fork a child. *job is copied. False (errno): a child is running or another kind is reserved (EEXIST), or pipe or fork
 * failed. */
bool child_start(const struct child_job *job);
enum child_kind child_running(void); /* CHILD_NONE: no child, and nothing is reserved */
pid_t child_pid(void);               /* -1: no child */
/* Kill the child, if there is one. done() is called (with SIGUSR1) before this returns, although the process may live
 * on for a while in a system call. What it still writes is lost if done() removes the name of its file. */
void child_kill(void);

/* A job may go on without a child, before the fork or after its end. While a kind is reserved, child_running() is that
 * kind, and no child of another kind can be started. CHILD_NONE: not reserved any more. */
void child_reserve(enum child_kind kind);

/* In the child: report the number of keys written so far. Cheap: the parent gets a report about once a second. In the
 * parent it does nothing. */
void child_report(size_t keys_done);
