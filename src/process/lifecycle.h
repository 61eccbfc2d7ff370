/* Signals and the end in good order. */
#pragma once
#include <stdbool.h>

enum lifecycle_flag {
    LIFECYCLE_SAVE = 1 << 0,
    LIFECYCLE_NOSAVE = 1 << 1,
    LIFECYCLE_NOW = 1 << 2,   /* do not wait for replicas */
    LIFECYCLE_FORCE = 1 << 3, /* even if saving fails */
};

/* SIGTERM and SIGINT ask for a shutdown, a second SIGINT gets it at once; SIGHUP and SIGPIPE are ignored. */
void lifecycle_watch_signals(void);

/* Ask for a shutdown: it comes at the end of this turn, when what was executed has been answered. If it fails, or is taken
 * back, whoever was put off (block_postpone) goes on. */
void lifecycle_shutdown(unsigned flags);
/* Take a request back. False if there is none. */
bool lifecycle_abort(void);
bool lifecycle_is_ending(void);

/* Persistence saves here what has to be saved. False: it failed; the server goes on unless LIFECYCLE_FORCE is set. */
extern bool (*lifecycle_before_end)(unsigned flags);

/* At the end of every turn: carries out what was asked for, by stopping the loop. */
void lifecycle_turn(void);
/* After the loop: close the sockets, remove the pid file, say good-bye. */
void lifecycle_end(void);
