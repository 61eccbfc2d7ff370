/* From a request to the call of its command: look up the row (catalog.c), pass the gates (gates.c), call the body, and
 * then what follows from a call: propagation, MONITOR, statistics, messages that were kept back, and the clients that
 * waited for what the command did. */
#include "server/exec.h"
#include "base/clock.h"
#include "base/likely.h"
#include "server/block.h"
#include "server/catalog.h"
#include "server/client.h"
#include "server/gates.h"
#include "server/monitor.h"
#include "server/propagate.h"
#include "server/push.h"
#include "server/stats.h"
#include "server/tracking.h"
#include "server/tx.h"
#include "store/evict.h"

bool exec_nested;
static uint64_t call_began; /* ticks: where the time of the next command starts */

/* --- the call -------------------------------------------------------------------------------- */

void exec_prepare(struct request *r) {
    struct catalog_found found = catalog_resolve(r->argv, r->argc);
    const struct command *command = found.command;
    r->command = command;
    r->stats = found.stats;
    r->redacted = 0;
    if (command == NULL || command->first_key == 0 || command->first_key >= r->argc) {
        r->key = (struct key){.hash = 0};
        return;
    }
    r->key = key_of(r->argv[command->first_key]);
}

void exec_start_clock(void) {
    call_began = clock_ticks();
}

uint64_t exec_began(void) {
    return call_began;
}

static void call(struct request *r) {
    struct client *c = r->client;
    int64_t dirty = db_metrics.dirty;
    propagate_begin();
    r->command->body(r);
    if (unlikely(c->flags & CLIENT_TRACKS) && (r->command->flags & CMD_READONLY)) tracking_remember(r);
    propagate_end(c->db, r->argv, r->argc, r->raw, db_metrics.dirty > dirty);
    if (unlikely(monitor_wanted) && !(r->command->flags & (CMD_SKIP_MONITOR | CMD_ADMIN))) monitor_feed(r);
    uint64_t now = clock_ticks(), spent = now - call_began;
    call_began = now;
    if (unlikely(c->waiter != NULL) && block_is_waiting(c)) return; /* it counts when it is over */
    command_stats_add(r->stats, spent, c->flags & CLIENT_FAILED);
    stats.commands++;
    static uint64_t long_ticks;
    if (unlikely(long_ticks == 0)) long_ticks = clock_ns_to_ticks(1000000);
    if (unlikely(spent > long_ticks)) clock_update(); /* what follows must not live in the past */
}

/* A command of a client that wants to leave no traces: CLIENT NO-TOUCH. */
static __attribute__((noinline)) void call_untouching(struct request *r) {
    evict_hold(!(r->command->flags & CMD_TOUCHES_ALWAYS));
    call(r);
    evict_hold(false);
}

bool exec_replay(struct request *r) {
    int arity = r->command->arity;
    if (arity > 0 ? r->argc != arity : r->argc < -arity) return false;
    size_t mark = conn_open();
    propagate_begin();
    r->command->body(r);
    propagate_end(r->client->db, r->argv, r->argc, r->raw, false);
    conn_truncate(mark);
    conn_keep(&r->client->conn, mark);
    return true;
}

static inline void call_as_client_wants(struct request *r) {
    if (unlikely(r->client->flags & CLIENT_NO_TOUCH)) {
        call_untouching(r);
    } else {
        call(r);
    }
}

void exec_mute(const struct client *c, size_t mark) {
    if (c->flags & (CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP)) conn_truncate(mark);
}

/* CLIENT REPLY: drop what was written since, if it is not wanted; SKIP is for one request. */
static __attribute__((noinline)) void hide_reply(struct client *c, size_t mark) {
    if (block_is_waiting(c)) return; /* the reply is still to come */
    exec_mute(c, mark);
    bool skip_next = c->flags & CLIENT_REPLY_SKIP_NEXT;
    c->flags &= ~(unsigned)(CLIENT_REPLY_SKIP | CLIENT_REPLY_SKIP_NEXT);
    if (skip_next) c->flags |= CLIENT_REPLY_SKIP;
}

#define REPLY_HIDDEN (CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP | CLIENT_REPLY_SKIP_NEXT)

/* CLIENT CACHING is about the next command that is not one of CLIENT's, or the next transaction. */
static __attribute__((noinline)) void end_caching(const struct request *r) {
    if (block_is_waiting(r->client) || r->client->flags & CLIENT_MULTI) return;
    const struct command *container = r->command ? catalog_container(r->command) : NULL;
    if (container && (container->flags & CMD_KEEPS_CACHING)) return;
    r->client->flags &= ~(unsigned)CLIENT_CACHING;
}

void exec_end(struct request *r, void (*reply)(struct client *c)) {
    struct client *c = r->client;
    size_t mark = conn_mark();
    c->flags &= ~(unsigned)CLIENT_FAILED;
    reply(c);
    command_stats_add(r->stats, 0, c->flags & CLIENT_FAILED);
    stats.commands++;
    if (c->flags & REPLY_HIDDEN) hide_reply(c, mark);
}

void exec_run(struct request *r) {
    struct client *c = r->client;
    size_t mark = conn_mark();
    c->flags &= ~(unsigned)CLIENT_FAILED;
    bool admitted = gates_admit(r);
    if (admitted) {
        c->last_command = r->command;
        if (unlikely((c->flags & CLIENT_MULTI) && !(r->command->flags & CMD_UNQUEUED))) {
            tx_queue(r);
        } else {
            call_as_client_wants(r);
        }
    }
    if (unlikely(c->flags & (REPLY_HIDDEN | CLIENT_CACHING))) {
        bool is_settled = admitted && (r->command->flags & CMD_EXEC);
        if (c->flags & REPLY_HIDDEN) hide_reply(c, is_settled ? conn_mark() : mark);
        if (c->flags & CLIENT_CACHING) end_caching(r);
    }
    if (unlikely(push_kept)) push_settle(c);
    if (unlikely(block_ready) && !exec_nested) {
        block_serve();
        if (push_kept) push_settle(c);
    }
}

/* --- commands inside commands ---------------------------------------------------------------- */

uint64_t exec_nest(void) {
    uint64_t began = call_began;
    exec_nested = true;
    evict_hold(false);
    exec_start_clock();
    return began;
}

void exec_unnest(uint64_t began) {
    exec_nested = false;
    call_began = began;
}

void exec_run_nested(struct request *r) {
    struct client *c = r->client;
    size_t mark = conn_mark();
    call_as_client_wants(r);
    c->flags &= ~(unsigned)CLIENT_FAILED; /* that was this command's failure, not EXEC's */
    exec_mute(c, mark);
}
