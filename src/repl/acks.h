/* Clients that wait for a place in the log: until replicas have it (WAIT), until it is on disks (WAITAOF), or until this
 * server has applied it (WAITOFFSET). CLIENT TOKEN names such a place. And min-replicas-to-write, which counts replicas
 * that acknowledge in time.
 *
 * Waits with the same condition lie in one heap by offset, so that news cost those that they wake, and one look at each
 * condition. While nobody waits, news cost one branch. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* Offsets have moved: replicas acknowledged (feed_acked), the append-only file was synced, a batch of the primary's stream
 * was applied. Answers the clients that waited for it. O(conditions * replicas + woken * log waits). */
void acks_moved(void);
/* The history is another one, or the role has changed: all that wait for a token are looked at again. O(waits). */
void acks_history_changed(void);

/* min-replicas-to-write. */
struct acks_options {
    int min_replicas; /* 0: off */
    int max_lag_s;    /* a replica is good if its last acknowledgement is no older; 0: off */
};
extern struct acks_options acks_options;
int acks_good_replicas(void); /* as the last tick or change of a replica found them */
