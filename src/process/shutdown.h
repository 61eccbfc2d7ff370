/* The end of the process in good order: the signals that ask for it, the command SHUTDOWN, and what has to be done.
 *
 * A shutdown is asked for first, and carried out at the end of the turn, when everything that was executed has been
 * answered. It may fail, since the dataset may have to be saved; then the server goes on. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum shutdown_flag {
    SHUTDOWN_SAVE = 1 << 0,   /* save a snapshot even if there are no save points */
    SHUTDOWN_NOSAVE = 1 << 1, /* save none even if there are some */
    SHUTDOWN_NOW = 1 << 2,    /* do not wait for replicas, not any longer */
    SHUTDOWN_FORCE = 1 << 3,  /* end even if saving fails */
};

/* SIGTERM and SIGINT ask for a shutdown, a second SIGINT ends the process at once. SIGHUP, SIGUSR1, SIGUSR2, SIGALRM,
 * SIGPIPE and SIGXFSZ are ignored. */
void shutdown_watch_signals(void);

/* Ask for a shutdown at the end of this turn. If it fails or is taken back, the clients that were postponed for it
 * (block_postpone) go on. */
void shutdown_request(unsigned flags);
bool shutdown_is_requested(void);
bool shutdown_is_near(void); /* it is requested, or will be since a signal has come */

/* Hook of the durable layer: save what has to be saved. False: that failed, and the log says why. The server goes on
 * then, unless SHUTDOWN_FORCE is set. NULL: there is nothing to save. */
extern bool (*shutdown_before_end)(unsigned flags);

/* Hooks of replication; NULL: there are no replicas. May the process end now, as far as they are concerned? Asked when
 * the end is asked for (`first`), then once a turn until it says yes or shutdown-timeout is over; not if that is 0 or
 * under SHUTDOWN_NOW. */
extern bool (*shutdown_is_ready)(bool first);
/* No longer: the process is about to end, whether the replicas are ready or not. Or it goes on, perhaps after all: the
 * shutdown was taken back, or saving has failed. */
extern void (*shutdown_waited)(bool ends);
/* The time until a shutdown that waits for replicas is carried out; -1: none waits. */
int64_t shutdown_left_ms(void);

/* At the end of every turn: carry out what was asked for. It ends the loop; the caller of loop_run() does the rest. */
void shutdown_turn(void);
/* After the loop: close the listening sockets, remove the pid file, say good-bye in the log. */
void shutdown_finish(void);
