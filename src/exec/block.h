/* Clients that wait: for a key (BLPOP and others), for an event that a module owns (WAIT), or for a pause to end.
 *
 * A body that finds nothing calls block_on(). From then on the client has a waiter, which owns a copy of that request
 * and of all requests that were parsed behind it. While the client waits, CLIENT_WAITS is set, nothing is read from it,
 * and only its hang-up is noticed. When a key that it waits for may have become ready, the request is run again from
 * the start: a blocking command does the same when it is served as when it need not wait.
 *
 * When the wait is over, the client may still have a waiter, with the held requests that the wave has yet to run. */
#pragma once
#include "session/request.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLOCK_FOR_EVER 0

typedef void (*block_reply_fn)(struct client *c);

/* For a body that has replied nothing: wait until one of the n keys holds a value of this type, or until timeout_ms are
 * over; then `timed_out` replies. The keys may repeat. Where nothing may wait (call_is_nested), `timed_out` replies at
 * once. A request that is run again keeps its first deadline. O(n). */
void block_on(struct request *r, enum entry_type type, const struct slice *keys, int n, int64_t timeout_ms,
              block_reply_fn timed_out);

enum block_verdict {
    BLOCK_SKIP,         /* this client would wait on; the next may not */
    BLOCK_SERVE,        /* run its request */
    BLOCK_SERVE_NOBODY, /* no client with the same subject can be served now */
};
/* What a client remembers of a key, such as the id behind which it waits for entries. */
struct block_mark {
    uint64_t high, low;
};
/* A kind of wait: a constant. */
struct block_kind {
    enum entry_type type;
    bool also_gone; /* run the request also when the key is absent, or of another type */
    /* A look at a value of the type, before the request is run; it changes nothing. NULL: it is always run. O(1). */
    enum block_verdict (*judge)(const struct entry *e, struct slice subject, const struct block_mark *mark);
};
struct block_wish {
    const struct block_kind *kind;
    struct slice subject;           /* those with the same subject stand in one queue; it is copied */
    const struct block_mark *marks; /* one for each key, or NULL; they are copied */
};
/* As block_on(), for what the wish says. A request that is run in vain keeps its place in the queue. The body may have
 * put other words into argv, if it has cleared r->raw: the request is run again with these. */
void block_for(struct request *r, const struct block_wish *wish, const struct slice *keys, int n, int64_t timeout_ms,
               block_reply_fn timed_out);
/* Hold an admitted request, and all requests behind it, until block_resume_all() or block_answer(): CLIENT PAUSE,
 * SHUTDOWN, a long CLIENT LIST. Nothing was replied to it. */
void block_postpone(struct request *r);
/* End the waits of postponed requests: their clients are ready, in the order of their waits. O(clients). */
void block_resume_all(void);
/* Answer a postponed request with this reply instead of running it again. False: the client has no such request. */
bool block_answer(struct client *c, block_reply_fn reply);
/* CLIENT UNBLOCK: end the wait for keys or an event with this reply, or with that of a timeout if it is NULL. False:
 * the client does not wait for these. */
bool block_end(struct client *c, block_reply_fn error);
/* This server has become a replica, whose primary knows nothing of the clients here: end all these waits with this
 * reply, and close the clients behind it. Postponed requests wait on. O(clients). */
void block_end_all(block_reply_fn error);

/* --- Waits for an event that a module owns --------------------------------------------------- */

struct block_event {
    /* The wait is over: called once, behind the reply, or without one if the client is closed. ctx may be freed. */
    void (*ended)(struct client *c, void *ctx);
    bool stays; /* it makes sense whatever this server is: block_end_all() leaves it alone */
};
/* For a body that has replied nothing: wait until block_finish(), or until timeout_ms are over; then `timed_out`
 * replies. Where nothing may wait (call_is_nested), all of that happens at once. Nothing looks at such a wait until its
 * module finishes it. O(1), O(log waits) with a timeout. */
void block_wait(struct request *r, const struct block_event *event, void *ctx, int64_t timeout_ms,
                block_reply_fn timed_out);
/* For reply functions: the ctx of the wait that ends. NULL: the client does not wait for an event. */
void *block_context(const struct client *c);
/* End the wait for an event with this reply; the request is not run again. False: there is no such wait. */
bool block_finish(struct client *c, block_reply_fn reply);

/* Keys became ready: run the requests that wait for them, first come first served, until no key is ready. To be called
 * after the outermost command, so that the client that made a key ready gets its reply first. Does nothing when called
 * from one of those requests. */
extern bool block_ready; /* false: block_serve() has nothing to do */
void block_serve(void (*run)(struct request *r));

/* --- For the wave: requests of a client with a waiter go through the waiter ------------------ */

/* The socket of a client that waits has an event other than LOOP_WRITE. Input stays where it is; a hang-up closes the
 * client. */
void block_heard(struct client *c, uint32_t events);
/* Hold a copy of a request behind those that are held already. */
void block_hold(struct request *r);
/* Take the next of the held requests. NULL: the client waits, or none is left, which ends the waiter. The caller
 * releases it. */
struct held_request;
struct held_request *block_next(struct client *c);
struct request *block_request(struct held_request *held); /* valid until block_release() */
void block_release(struct held_request *held);

/* --- Metrics --------------------------------------------------------------------------------- */

struct block_metrics {
    size_t clients;   /* that wait for keys or an event */
    size_t postponed; /* clients that wait for the end of a pause */
    size_t deadlines; /* of these: waits that end by themselves */
    size_t keys;      /* with at least one client that waits for them */
    size_t keys_gone; /* of these: with a client that also wants to know when the key is gone */
};
extern struct block_metrics block_metrics;
