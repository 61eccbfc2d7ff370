/* The busy turn: other clients are served from inside a command that takes long.
 *
 * New connections are accepted, input is read, and requests that the busy gate passes are executed; all others are
 * refused with its text. Timers, the cron, a primary's stream, full syncs and children wait, and so do the clients for
 * which the command is executed. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct gate;
struct loop_source;

/* The running command is busy from now on: this gate is closed (GATES_BUSY). It must live on. */
void busy_begin(const struct gate *gate);
void busy_end(void);
/* In between: serve the clients that have something, without waiting. Not from inside another turn. */
void busy_turn(void);
/* The text of the closed gate; NULL: no command is busy. */
const char *busy_error(void);

/* Hooks of upper layers; may be NULL. The ready() of sockets that listen: they accept meanwhile. */
extern void (*busy_accepts)(struct loop_source *source, uint32_t events);
/* Called in each turn, before clients are served: the process may have been told to end. */
extern void (*busy_looks)(void);
