/* Forked children: a child sees the dataset as it was at the fork, and writes it out while the parent goes on.
 *
 * There is at most one, since two would copy every page twice. It talks back through a pipe: how many keys it has
 * done and how much memory has been copied on its account. The pipe's end is the news of its death, so that it is
 * reaped by the loop at once, however it died. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum child_kind { CHILD_NONE, CHILD_RDB, CHILD_AOF, CHILD_TRANSFER };

struct child_end {
    pid_t pid;
    int status; /* exit status; meaningless if it was killed */
    int signal; /* that killed it, or 0. SIGUSR1: child_kill() did */
};

struct child_job {
    enum child_kind kind;
    int (*run)(void *ctx);                                /* in the child; returns its exit status */
    void (*done)(void *ctx, const struct child_end *end); /* in the parent, when it has been reaped */
    void *ctx;
    size_t keys; /* how many run() will report */
};

struct child_metrics {
    size_t keys_done, keys_total;              /* of the child that lives; zeros without one */
    size_t cow_bytes, cow_peak;                /* of the child that lives */
    int64_t cow_us;                            /* monotonic time of that figure */
    size_t last_cow_bytes[CHILD_TRANSFER + 1]; /* of the last child of each kind */
    uint64_t forks;
    int64_t fork_us; /* the latest fork took this long */
};
extern struct child_metrics child_metrics;

/* Called in the child first of all (title, OOM score), and in the parent when a child was born or has died. May be NULL. */
extern void (*child_inside)(enum child_kind kind);
extern void (*child_changed)(bool lives);

/* False (errno) if there is no child: one lives already (EEXIST), or pipe or fork failed. */
bool child_start(const struct child_job *job);
enum child_kind child_running(void);
pid_t child_pid(void);
/* Kill it and wait for its end; done() has been called (signal SIGUSR1) when this returns. Without one, nothing. */
void child_kill(void);

/* In the child: this many keys have been written so far. Cheap; tells the parent about once a second. */
void child_report(size_t keys_done);
