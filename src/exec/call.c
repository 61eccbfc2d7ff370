/* See call.h. Invariant: `began` is the end of the command before, so the times of the commands of a batch add up to
 * the time of the batch, without two readings of the clock for each. */
#include "exec/call.h"
#include "base/clock.h"
#include "base/likely.h"
#include "catalog/command_metrics.h"
#include "exec/propagate.h"
#include "session/client.h"
#include "session/server_metrics.h"
#include "store/evict.h"

bool call_is_nested, call_is_replayed;

static uint64_t began; /* in ticks: the time of the current command starts here */
static call_listener_fn listeners[CALL_LISTENERS];
static bool any_listener;

void call_start_clock(void) {
    began = clock_ticks();
}

uint64_t call_began(void) {
    return began;
}

void call_listen(enum call_listener listener, call_listener_fn fn) {
    listeners[listener] = fn;
    any_listener = false;
    for (int i = 0; i < CALL_LISTENERS; i++)
        if (listeners[i]) any_listener = true;
}

static __attribute__((noinline)) uint64_t tell_listeners(const struct request *r, uint64_t spent) {
    for (int i = 0; i < CALL_LISTENERS; i++)
        if (listeners[i]) listeners[i](r, spent);
    return clock_ticks();
}

void call_announce(const struct request *r) {
    if (unlikely(listeners[CALL_MONITOR] != NULL)) listeners[CALL_MONITOR](r, CALL_ANNOUNCED);
}

/* Refresh the cached clock after a command of more than a millisecond, so that the next one does not get its time. */
static void catch_up(uint64_t spent) {
    static uint64_t long_ticks;
    if (unlikely(long_ticks == 0)) long_ticks = clock_ns_to_ticks(1000000);
    if (unlikely(spent > long_ticks)) clock_update(); /* inside EXEC and scripts, the steady one */
}

/* What follows when a call has been propagated. */
static inline void finish_call(struct request *r) {
    struct client *c = r->client;
    uint64_t now = clock_ticks(), spent = now - began;
    began = now;
    if (unlikely(any_listener)) began = tell_listeners(r, spent);
    if (unlikely(c->flags & CLIENT_WAITS)) return;
    command_metrics_add(r->metrics, spent, c->flags & CLIENT_FAILED);
    server_metrics.commands++;
    catch_up(spent);
}

static inline void call_body(struct request *r) {
    int64_t dirty = db_metrics.dirty;
    propagate_begin();
    r->command->body(r);
    propagate_end(r->client->db, r->argv, r->argc, r->raw, db_metrics.dirty > dirty);
    finish_call(r);
}

/* CLIENT NO-TOUCH: the command leaves the access clocks of its keys alone, unless it is TOUCH. */
static __attribute__((noinline)) void call_untouching(struct request *r) {
    evict_hold(!(r->command->flags & CMD_TOUCHES_ALWAYS));
    call_body(r);
    evict_hold(false);
}

/* Inline in exec_run(), which the linker's optimizer does not do by itself once the program has grown. */
inline void call(struct request *r) {
    if (unlikely(r->client->flags & CLIENT_NO_TOUCH)) {
        call_untouching(r);
    } else {
        call_body(r);
    }
}

/* The log that the command comes from has it already. */
static inline void call_unpropagated(struct request *r) {
    propagate_begin();
    call_is_replayed = true;
    r->command->body(r);
    call_is_replayed = false;
    propagate_call.always = false;
    propagate_end(r->client->db, r->argv, r->argc, r->raw, false);
}

void call_replay(struct request *r) {
    struct conn_range range;
    conn_open(&range, CONN_NO_LIMIT);
    call_unpropagated(r);
    conn_take_back(&range);
}

void call_stream(struct request *r) {
    client_clear(r->client, CLIENT_FAILED);
    r->client->last_command = r->command;
    call_unpropagated(r);
    finish_call(r);
}

void call_noted(struct request *r) {
    client_clear(r->client, CLIENT_FAILED);
    finish_call(r);
}

void call_mute(const struct client *c, size_t mark) {
    if (mark != CALL_BROKEN && c->flags & (CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP)) conn_truncate(mark);
}

void call_settle_reply(struct client *c, size_t mark) {
    if (c->flags & CLIENT_WAITS) return; /* its reply comes later: call_end(), or another call */
    call_mute(c, mark);
    bool skip_next = c->flags & CLIENT_REPLY_SKIP_NEXT;
    client_clear(c, CLIENT_REPLY_SKIP | CLIENT_REPLY_SKIP_NEXT);
    if (skip_next) c->flags |= CLIENT_REPLY_SKIP;
}

void call_end(struct request *r, void (*reply)(struct client *c)) {
    struct client *c = r->client;
    size_t mark = call_mark();
    client_clear(c, CLIENT_FAILED);
    reply(c);
    command_metrics_add(r->metrics, 0, c->flags & CLIENT_FAILED);
    server_metrics.commands++;
    if (c->flags & CALL_REPLY_HIDDEN) call_settle_reply(c, mark);
}

/* --- Calls inside a call --------------------------------------------------------------------- */

struct call_outer call_nest(void) {
    struct call_outer outer = {began, call_is_nested};
    call_is_nested = true;
    evict_hold(false);
    clock_hold(began);
    call_start_clock();
    return outer;
}

void call_unnest(struct call_outer outer) {
    clock_release();
    call_is_nested = outer.is_nested;
    began = outer.began;
}

void call_nested(struct request *r) {
    struct client *c = r->client;
    size_t mark = call_mark();
    call(r);
    client_clear(c, CLIENT_FAILED); /* that the queued command failed does not make EXEC a failed command */
    call_mute(c, mark);
}
