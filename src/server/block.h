/* Clients that wait: for a key (BLPOP and its kin), or for a pause to end.
 *
 * A body that finds nothing calls block_on(). From then on the client has a waiter, which owns a copy of that request
 * and of whatever was parsed behind it; nothing more is read from the client, and only its hang-up is noticed. When a
 * key that it waits for may have become ready, the request is run again from the start: what a blocking command does
 * when it is served is exactly what it does when it need not wait. */
#pragma once
#include "server/client.h"
#include <stdbool.h>
#include <stdint.h>

#define BLOCK_FOR_EVER 0

typedef void (*block_reply_fn)(struct client *c);

/* Called by a body that has replied nothing: wait until one of the keys (the same one may be there twice) holds a value
 * of this type, or until timeout_ms are over, which `timed_out` answers. Where nothing may block (exec_nested) it is
 * answered at once. A request that is run again keeps its first deadline. O(n). */
void block_on(struct request *r, enum entry_type type, const struct slice *keys, int n, int64_t timeout_ms,
              block_reply_fn timed_out);
/* Put off a request, and everything behind it, until block_resume_all(): CLIENT PAUSE. For a gate, which has replied
 * nothing and whose command then does not run. */
void block_postpone(struct request *r);
void block_resume_all(void);
/* CLIENT UNBLOCK: end the wait with this reply, or if it is NULL, as if its time were over. False: it waits for no key. */
bool block_end(struct client *c, block_reply_fn error);

/* Keys became ready: serve who waits for them, first come first served, until nothing is ready. Called by exec_run()
 * after the outermost command, so that clients see what they are served behind the reply of who made it possible. */
extern bool block_ready;
void block_serve(void);

/* --- For the wave: a client with a waiter executes nothing but through it --------------------- */

/* Its socket is ready, for more than writing, while it waits. Input stays where it is; a hang-up closes the client. */
void block_heard(struct client *c, uint32_t events);
/* Is it waiting now? Else a client with a waiter has requests that came behind the one it waited with. */
bool block_is_waiting(const struct client *c);
void block_hold(struct request *r); /* keep a copy, behind the others */
/* The next of the requests that were held, once it no longer waits; NULL, and no waiter any more, after the last. Valid
 * until block_release(). */
struct held_request;
struct held_request *block_next(struct client *c);
struct request *block_request(struct held_request *held);
void block_release(struct held_request *held);

/* --- For the others --------------------------------------------------------------------------- */

void block_forget(struct client *c); /* the client goes */
size_t block_memory(const struct client *c);

struct block_metrics {
    size_t clients;   /* that wait for keys */
    size_t postponed; /* that wait for the end of a pause */
    size_t deadlines; /* of them, those that will not wait for ever */
    size_t keys;      /* that somebody waits for */
};
extern struct block_metrics block_metrics;
