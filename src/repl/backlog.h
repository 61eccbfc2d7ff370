/* The backlog: the end of the log is kept although nobody reads it, so that replicas whose connection broke may go on.
 * It begins with the first replica, and ends when there has been none for repl-backlog-ttl seconds.
 *
 * A replica that was cut has a place in the log besides, which is kept as if the replica were merely slow: until
 * repl-timeout is over, or what follows it reaches the limits of class replica. Once repl-backlog-size is set, that
 * size alone decides who may go on, as in Redis. */
#pragma once
#include "oplog/oplog.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Keep a backlog from now on, if there is none. `renew`: the log begins here, under a new id; not where the history is
 * known, since it was read from files. */
void backlog_start(bool renew);
bool backlog_is_kept(void);
/* This server was promoted: the time without replicas starts again. */
void backlog_touch(void);
/* Each second: the number of replicas, and whether this server leads (else the backlog stays). */
void backlog_tick(size_t replicas, bool leads);
int64_t backlog_size(void); /* repl-backlog-size, in bytes */

/* The limits of class replica: never below the backlog's size. 0: none. */
struct backlog_limits {
    int64_t hard, soft, soft_ms;
};
struct backlog_limits backlog_limits(void);

/* --- Places of replicas that were cut -------------------------------------------------------- */

bool backlog_keeps_places(void); /* false: repl-backlog-size is set */
/* Keep the place of a cursor, which is nowhere then, for a replica of this name. O(log blocks). */
void backlog_keep_place(const char *name, struct oplog_cursor *cursor);
void backlog_drop_place(const char *name); /* the replica is back */
void backlog_drop_places(void);

size_t backlog_memory(void); /* of the kept places, the log apart */
