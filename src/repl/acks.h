/* Clients that wait for a place in the log: until replicas have it (WAIT), until it is on disks (WAITAOF), or until
 * this server has applied it (WAITOFFSET). CLIENT TOKEN names such a place. And min-replicas-to-write, which counts
 * replicas that acknowledge in time.
 *
 * A token is "<id of the history>:<offset>". All that its connection has written or read lies before that place; so a
 * server that has the place shows nothing older. It costs nothing to whom does not ask for one.
 *
 * Waits with the same condition lie in one heap by offset, so that news cost those that they wake, and one look at each
 * condition. While nobody waits, news cost one branch. */
#pragma once
#include <stdbool.h>

struct request;

/* Offsets have moved: replicas acknowledged (feed_acked), the append-only file was synced, a batch of the primary's
 * stream was applied. Answers the clients that waited for it. O(conditions + replicas log replicas +
 * woken log waits). */
void acks_moved(void);

/* Hook, called by acks_moved(): a failover waits for acknowledgements. NULL: it does not. */
extern void (*acks_news)(void);

struct acks_options {
    int min_replicas; /* min-replicas-to-write; 0: off */
    int max_lag_s;    /* min-replicas-max-lag: the age of the last acknowledgement of a good replica; 0: off */
};
extern struct acks_options acks_options;
int acks_good_replicas(void); /* as they were when a replica acknowledged, came or went last, or a second ago */

void acks_command_token(struct request *r); /* CLIENT TOKEN */
