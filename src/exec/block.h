/* Clients that wait: for a key (BLPOP and others), or for a pause to end.
 *
 * A body that finds nothing calls block_on(). From then on the client has a waiter, which owns a copy of that request
 * and of all requests that were parsed behind it. Nothing more is read from the client, and only its hang-up is noticed.
 * When a key that it waits for may have become ready, the request is run again from the start: a blocking command does
 * the same when it is served as when it need not wait.
 *
 * CLIENT_WAITS is set while the client waits. Afterwards it may still have a waiter, with the held requests that the
 * wave has yet to run. */
#pragma once
#include "session/request.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLOCK_FOR_EVER 0

typedef void (*block_reply_fn)(struct client *c);

/* Called by a body that has replied nothing: wait until one of the keys (the same one may be there twice) holds a value
 * of this type, or until timeout_ms are over; then `timed_out` replies. Where nothing may block (call_is_nested), it
 * replies at once. A request that is run again keeps its first deadline. O(n). */
void block_on(struct request *r, enum entry_type type, const struct slice *keys, int n, int64_t timeout_ms,
              block_reply_fn timed_out);
/* Hold a request, and everything behind it, until block_resume_all(): CLIENT PAUSE. Nothing was replied to it yet, and
 * its command must not run now. */
void block_postpone(struct request *r);
void block_resume_all(void);
/* CLIENT UNBLOCK: end the wait with this reply, or with that of a timeout if it is NULL. False: it waits for no key. */
bool block_end(struct client *c, block_reply_fn error);

/* Keys became ready: run the requests that wait for them, first come first served, until nothing is ready. To be called
 * after the outermost command, so that the client that made a key ready gets its reply first. */
extern bool block_ready;
void block_serve(void (*run)(struct request *r));

/* --- For the wave: a client with a waiter executes nothing but through it --------------------- */

/* Its socket is ready, for more than writing, while it waits. Input stays where it is; a hang-up closes the client. */
void block_heard(struct client *c, uint32_t events);
void block_hold(struct request *r); /* keep a copy, behind the others */
/* The next of the held requests, once the client no longer waits. NULL after the last, which ends the waiter. Valid until
 * block_release(). */
struct held_request;
struct held_request *block_next(struct client *c);
struct request *block_request(struct held_request *held);
void block_release(struct held_request *held);

/* --- For the others --------------------------------------------------------------------------- */

struct block_metrics {
    size_t clients;   /* that wait for keys */
    size_t postponed; /* that wait for the end of a pause */
    size_t deadlines; /* waits for keys that end by themselves */
    size_t keys;      /* with at least one client that waits for them */
};
extern struct block_metrics block_metrics;
