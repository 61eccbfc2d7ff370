/* Calls: a command's body and what follows from it.
 *
 * The order of events in a call:
 *   1. the body runs; the store tells its listeners of each change at once (store/changes.h)
 *   2. the request, or what the body gave instead, is propagated if anything changed (propagate.h)
 *   3. the time is taken
 *   4. the call listeners hear of it: the keys it read are remembered for client-side caches, monitors get their line
 *   5. the call is counted, unless the client waits now: then it is counted when the wait is over
 *   6. after a long call the cached clock is refreshed
 * The body of a command may call other commands in between: EXEC runs its queue (call_nest()). */
#pragma once
#include "net/conn.h"
#include "session/request.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Call the body of an admitted request. O(its body). */
void call(struct request *r);
/* Call the body and nothing else, for a log that is replayed (replay_prepare()): no gates, no reply, no propagation. */
void call_replay(struct request *r);
/* The same for the stream of a primary: it is counted and told to the listeners as by call(), and its reply is at the
 * tail of the output arena, to be dropped. CLIENT_FAILED tells that it was an error. */
void call_stream(struct request *r);
/* The body that runs was called by one of these two: it takes what a client may not say. */
extern bool call_is_replayed;
void call_noted(struct request *r); /* it was carried out elsewhere (MULTI of a stream): count it, tell the listeners */
/* The end of a request that waited and is answered without being called again: `reply` replies, and it is counted. */
void call_end(struct request *r, void (*reply)(struct client *c));

/* The time from here to the end of the next command counts as that command's. */
void call_start_clock(void);
uint64_t call_began(void); /* the start of the current command, in ticks: tells one command from the next */

/* Where a reply begins, for the next two. CALL_BROKEN: the open range has refused bytes of replies before it. That must
 * not be forgotten, since it closes the client; so nothing is dropped then. */
#define CALL_BROKEN SIZE_MAX
static inline size_t call_mark(void) {
    return conn_arena.refuses ? CALL_BROKEN : conn_mark();
}
/* CLIENT REPLY: drop the replies from mark on if the client wants none now. A command with CMD_EXEC does this itself,
 * piece by piece, since one of its commands may be CLIENT REPLY. */
void call_mute(const struct client *c, size_t mark);
/* The end of a request of a client that has one of these flags: mute it, then let SKIP concern the next request. Does
 * nothing while the client waits. */
#define CALL_REPLY_HIDDEN (CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP | CLIENT_REPLY_SKIP_NEXT)
void call_settle_reply(struct client *c, size_t mark);

/* --- Calls inside a call --------------------------------------------------------------------- */

extern bool call_is_nested; /* commands run inside EXEC: no client may wait now */
/* Around such calls, in which the clock stands still. call_unnest() takes the result of call_nest(), so that the outer
 * command is charged for all of its time. Pairs nest: a script runs inside EXEC. */
struct call_outer {
    uint64_t began;
    bool is_nested;
};
struct call_outer call_nest(void);
void call_unnest(struct call_outer outer);
/* Call a prepared request inside another one. It is not admitted again: that was done when it was queued. */
void call_nested(struct request *r);
/* Tell MONITOR of a request before its body calls others, so that its line comes before theirs. Its row has
 * CMD_SKIP_MONITOR, so that it is not told again. */
void call_announce(const struct request *r);

/* --- Listeners ------------------------------------------------------------------------------- */

/* The order in which listeners hear of a call. */
enum call_listener { CALL_TRACKING, CALL_MONITOR, CALL_LISTENERS };
/* `spent` is the time of the call in ticks; CALL_ANNOUNCED: see call_announce(). */
#define CALL_ANNOUNCED UINT64_MAX
typedef void (*call_listener_fn)(const struct request *r, uint64_t spent);
/* Listen to every call, or stop with NULL. While there is no listener, a call pays one branch. */
void call_listen(enum call_listener listener, call_listener_fn fn);
