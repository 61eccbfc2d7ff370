/* Clients that wait for a place in the log: until replicas have it (WAIT), until it is on disks (WAITAOF), or until
 * this server has applied it (WAITOFFSET, which takes a token: token.h).
 *
 * Waits with the same condition lie in one heap by offset, so that news cost those that they wake, and one look at each
 * condition. While no client waits, news cost one branch. */
#pragma once

/* Offsets have moved: replicas acknowledged (feed_acked), the append-only file was synced, a batch of the primary's
 * stream was applied. Answers the clients that waited for it. O(conditions + replicas log replicas +
 * woken log waits). */
void acks_moved(void);

/* Hook, called by acks_moved(): a failover waits for acknowledgements. NULL: it does not. */
extern void (*acks_news)(void);
