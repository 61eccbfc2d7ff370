/* The limit on memory: maxmemory.
 *
 * Before each command the memory in use is compared with the limit. If it is above, keys are evicted by the policy; if
 * nothing may be evicted, commands that need memory (CMD_DENYOOM) are refused. Without a limit this costs nothing but
 * the branch of session/gates.h.
 *
 *     evicting         how much at most
 *     a command        twice what was allocated since the last check, so that an excess shrinks under any load
 *     a turn of the    what maxmemory-eviction-tenacity allows: this is for an excess that no command has caused, as
 *     loop             when the limit was lowered. The loop does not sleep while there is one.
 *
 * A victim is propagated as a command of its own, before the command that made it necessary. So nothing is evicted
 * inside a transaction, whose flags are judged when it is queued and when EXEC comes; nor while the data stand still
 * (CLIENT PAUSE) or are being loaded. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memory_options {
    uint64_t limit;  /* maxmemory, in bytes; 0: none */
    int64_t clients; /* maxmemory-clients: bytes, or per cent of the limit if negative; 0: none */
    int tenacity;    /* maxmemory-eviction-tenacity: 0 to 100 */
};
extern struct memory_options memory_options;

struct memory_status {
    size_t uncounted;             /* memory in use that is not held against the limit: see memory.c */
    int64_t exceeded_us;          /* how long the limit has been exceeded, now */
    int64_t exceeded_us_in_total; /* the same, with all earlier times since memory_reset_metrics() */
};
struct memory_status memory_status(void);
void memory_reset_metrics(void);

/* The limit is ignored while this is a replica that keeps what its primary keeps: nothing is evicted or refused. */
void memory_ignore_limit(bool ignored);

/* Once in a turn of the loop, when the wave has run and its replies are sent: evict for a slice of time. True: there is
 * an excess left, so the loop should not sleep. */
bool memory_turn(void);
