/* See acks.h.
 *
 *     condition (WAIT 1)  -> heap of waits by offset
 *     condition (WAIT 2)  -> heap
 *     condition (applied) -> heap
 *
 * A condition says by one number up to which offset its waits are over: for "two replicas have it" the second largest
 * of the acknowledged offsets. WAITAOF has two conditions, and waits for one after the other; when the first has become
 * true, both are looked at.
 *
 * Invariant: a wait is in the heap of its condition or, while its client is about to be answered, in the list `due`. A
 * condition without waits does not exist. */
#include "repl/acks.h"
#include "aof/aof.h"
#include "aof/aof_write.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "exec/block.h"
#include "exec/call.h"
#include "oplog/oplog.h"
#include "process/cron.h"
#include "repl/apply.h"
#include "repl/feed.h"
#include "repl/good_replicas.h"
#include "repl/history.h"
#include "repl/offset_heap.h"
#include "repl/role.h"
#include "repl/token.h"
#include "session/client.h"
#include "session/reply.h"
#include "session/request.h"
#include <stdlib.h>
#include <string.h>

#define TICK_MS 1000

void (*acks_news)(void);

/* --- Waits ----------------------------------------------------------------------------------- */

enum goal {
    GOAL_APPLIED,   /* here */
    GOAL_SYNCED,    /* on the disk, here */
    GOAL_ACKED,     /* applied by so many replicas */
    GOAL_ACKED_AOF, /* on the disks of so many replicas */
    GOAL_KNOWN,     /* its history: no offset makes it true */
};

struct condition {
    enum goal goal;
    int64_t replicas; /* with GOAL_ACKED and GOAL_ACKED_AOF */
    struct offset_heap heap;
};

struct wait {
    struct offset_wait place; /* first: a place's address is its wait's */
    struct client *client;
    struct condition *on;     /* NULL: in the list `due` */
    struct wait *prev, *next; /* in that list */
    int64_t replicas, local;  /* as WAIT and WAITAOF want it */
    bool is_aof;              /* WAITAOF */
    struct token token;       /* WAITOFFSET; id[0] is 0: another command */
};

static struct {
    struct condition **items; /* in the order of compare_conditions() */
    size_t count, cap;
} conditions;
static struct wait *due;

static int compare_conditions(enum goal goal, int64_t replicas, const struct condition *other) {
    if (goal != other->goal) return goal < other->goal ? -1 : 1;
    return replicas < other->replicas ? -1 : replicas > other->replicas;
}

/* The index at which this condition is, or would be. */
static size_t find_condition(enum goal goal, int64_t replicas) {
    size_t from = 0, to = conditions.count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (compare_conditions(goal, replicas, conditions.items[middle]) > 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static struct condition *condition_for(enum goal goal, int64_t replicas) {
    size_t i = find_condition(goal, replicas);
    if (i < conditions.count && compare_conditions(goal, replicas, conditions.items[i]) == 0)
        return conditions.items[i];
    if (conditions.count == conditions.cap)
        conditions.items = alloc_grow(conditions.items, &conditions.cap, sizeof(struct condition *), 8);
    struct condition *condition = alloc_zero(sizeof *condition);
    condition->goal = goal;
    condition->replicas = replicas;
    memmove(&conditions.items[i + 1], &conditions.items[i], (conditions.count++ - i) * sizeof condition);
    conditions.items[i] = condition;
    return condition;
}

static void drop_condition(struct condition *condition) {
    size_t i = find_condition(condition->goal, condition->replicas);
    memmove(&conditions.items[i], &conditions.items[i + 1], (--conditions.count - i) * sizeof condition);
    offset_heap_free(&condition->heap);
    alloc_put(condition, sizeof *condition);
}

static void wait_on(struct wait *wait, enum goal goal, int64_t replicas) {
    wait->on = condition_for(goal, replicas);
    offset_heap_add(&wait->on->heap, &wait->place);
}

/* The wait leaves its condition for the list of those that are looked at. The condition stays, even if empty. */
static void make_due(struct wait *wait) {
    offset_heap_remove(&wait->on->heap, &wait->place);
    wait->on = NULL;
    wait->prev = NULL;
    wait->next = due;
    if (due) due->prev = wait;
    due = wait;
}

static void leave_due(struct wait *wait) {
    *(wait->prev ? &wait->prev->next : &due) = wait->next;
    if (wait->next) wait->next->prev = wait->prev;
    wait->prev = wait->next = NULL;
}

/* The wait is over: it was answered, or its client has gone. */
static void wait_ended(struct client *c, void *ctx) {
    (void)c;
    struct wait *wait = ctx;
    if (wait->on) {
        offset_heap_remove(&wait->on->heap, &wait->place);
        if (wait->on->heap.count == 0) drop_condition(wait->on);
    } else {
        leave_due(wait);
    }
    alloc_put(wait, sizeof *wait);
}

/* --- Replies --------------------------------------------------------------------------------- */

static bool log_is_on(void) {
    return aof_status().state != AOF_OFF;
}

static bool is_synced(int64_t offset) {
    return log_is_on() && aof_synced_offset() >= offset;
}

static void reply_count(struct client *c, const struct wait *wait) {
    if (!wait->is_aof) {
        reply_int(c, feed_count_acked(wait->place.offset));
        return;
    }
    reply_array(c, 2);
    reply_int(c, is_synced(wait->place.offset));
    reply_int(c, feed_count_acked_aof(wait->place.offset));
}

static void reply_counts(struct client *c) {
    reply_count(c, block_context(c));
}

static void reply_log_is_off(struct client *c) {
    reply_error(c, "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.");
}

static void reply_behind(struct client *c) {
    if (c->flags & CLIENT_REDIRECTS)
        reply_errorf(c, "REDIRECT %s:%d", role_host(), role_port());
    else
        reply_errorf(c, "BEHIND %s:%lld primary %s:%d", history.id, (long long)oplog_end(), role_host(), role_port());
}

static void reply_diverged(struct client *c) {
    reply_errorf(c, "DIVERGED %s:%lld is another history", history.id, (long long)oplog_end());
}

/* --- Waking ---------------------------------------------------------------------------------- */

static bool enough_replicas(const struct wait *wait) {
    int64_t offset = wait->place.offset;
    return (wait->is_aof ? feed_count_acked_aof(offset) : feed_count_acked(offset)) >= wait->replicas;
}

static bool lacks_sync(const struct wait *wait) {
    return wait->local && !is_synced(wait->place.offset);
}

static void wait_for_lack(struct wait *wait) {
    if (lacks_sync(wait))
        wait_on(wait, GOAL_SYNCED, 0);
    else
        wait_on(wait, wait->is_aof ? GOAL_ACKED_AOF : GOAL_ACKED, wait->replicas);
}

/* Answer a wait for replicas or disks, or let it wait for what it lacks. */
static void settle_counts(struct wait *wait) {
    if (lacks_sync(wait) && !log_is_on()) {
        block_finish(wait->client, reply_log_is_off);
    } else if (!lacks_sync(wait) && enough_replicas(wait)) {
        block_finish(wait->client, reply_counts);
    } else {
        leave_due(wait);
        wait_for_lack(wait);
    }
}

static void settle_token(struct wait *wait) {
    switch (token_judge(&wait->token)) {
    case TOKEN_REACHED: block_finish(wait->client, reply_ok); break;
    case TOKEN_DIVERGED: block_finish(wait->client, reply_diverged); break;
    case TOKEN_AHEAD:
        leave_due(wait);
        wait_on(wait, GOAL_APPLIED, 0);
        break;
    case TOKEN_UNKNOWN:
        leave_due(wait);
        wait_on(wait, GOAL_KNOWN, 0);
        break;
    }
}

static void drop_empty_conditions(void) {
    for (size_t i = conditions.count; i-- > 0;)
        if (conditions.items[i]->heap.count == 0) drop_condition(conditions.items[i]);
}

static void settle_due(void) {
    drop_empty_conditions();
    while (due) {
        if (due->token.id[0])
            settle_token(due);
        else
            settle_counts(due);
    }
}

/* The offsets that online replicas have acknowledged, the largest first. */
static struct {
    int64_t *offsets;
    size_t count, cap;
} acked;

static int compare_falling(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

static void collect_acked(bool on_disk) {
    acked.count = 0;
    for (const struct feed *feed = feed_first; feed; feed = feed->next) {
        if (!feed_is_online(feed) || (feed->flags & FEED_IS_CHANNEL)) continue;
        if (acked.count == acked.cap) acked.offsets = alloc_grow(acked.offsets, &acked.cap, sizeof(int64_t), 16);
        acked.offsets[acked.count++] = on_disk ? feed->acked_aof : feed->acked;
    }
    if (acked.count > 1) qsort(acked.offsets, acked.count, sizeof(int64_t), compare_falling);
}

/* Up to here the waits of the condition are over. -1: none is. */
static int64_t reached(const struct condition *condition) {
    switch (condition->goal) {
    case GOAL_APPLIED: return oplog_end();
    case GOAL_SYNCED: return log_is_on() ? aof_synced_offset() : INT64_MAX;
    case GOAL_ACKED:
    case GOAL_ACKED_AOF:
        if (condition->replicas > (int64_t)acked.count) return -1;
        return acked.offsets[condition->replicas - 1];
    case GOAL_KNOWN: break;
    }
    return -1;
}

static void make_reached_due(const struct condition *condition) {
    int64_t end = reached(condition);
    struct offset_wait *first;
    while ((first = offset_heap_first(&condition->heap)) && first->offset <= end)
        make_due((struct wait *)first);
}

static void wake_reached(void) {
    enum goal collected = GOAL_APPLIED;
    for (size_t i = 0; i < conditions.count; i++) {
        const struct condition *condition = conditions.items[i];
        bool counts = condition->goal == GOAL_ACKED || condition->goal == GOAL_ACKED_AOF;
        if (counts && collected != condition->goal) {
            collected = condition->goal;
            collect_acked(collected == GOAL_ACKED_AOF);
        }
        make_reached_due(condition);
    }
    if (due) settle_due();
}

/* --- News ------------------------------------------------------------------------------------ */

void acks_moved(void) {
    if (good_replicas_options.min) good_replicas_fit();
    if (conditions.count) wake_reached();
    if (acks_news) acks_news();
}

/* All that wait for a token are judged again. */
static void acks_history_changed(void) {
    good_replicas_fit();
    for (size_t i = 0; i < conditions.count; i++) {
        const struct condition *condition = conditions.items[i];
        if (condition->goal != GOAL_APPLIED && condition->goal != GOAL_KNOWN) continue;
        while (condition->heap.count)
            make_due((struct wait *)offset_heap_first(&condition->heap));
    }
    if (due) settle_due();
}

static void acks_tick(void) {
    static int64_t last_ms;
    int64_t now_ms = clock_steady_ms();
    if (now_ms - last_ms < TICK_MS) return;
    last_ms = now_ms;
    acks_moved();
}

static void acks_start(void) {
    feed_acked = acks_moved;
    apply_moved = acks_moved;
    aof_write_synced = acks_moved;
    role_history_changed = acks_history_changed;
    cron_add(acks_tick);
    good_replicas_fit();
}

/* --- WAIT, WAITAOF --------------------------------------------------------------------------- */

static const struct block_event counts_event = {.ended = wait_ended};
static const struct block_event token_event = {.ended = wait_ended, .stays = true};

static struct wait *wait_new(struct client *c, int64_t offset) {
    struct wait *wait = alloc_zero(sizeof *wait);
    wait->client = c;
    wait->place.offset = offset;
    return wait;
}

/* Wait for what this client has written. The replicas are asked at once, and not by each client of this turn. */
static void wait_for_counts(struct request *r, const struct wait *wanted, int64_t timeout_ms) {
    struct wait *wait = wait_new(r->client, wanted->place.offset);
    wait->replicas = wanted->replicas;
    wait->local = wanted->local;
    wait->is_aof = wanted->is_aof;
    wait_for_lack(wait);
    if (!call_is_nested && wait->replicas) feed_ask_for_acks();
    block_wait(r, &counts_event, wait, timeout_ms, reply_counts);
}

static void reply_or_wait(struct request *r, const struct wait *wanted, int64_t timeout_ms) {
    if (!lacks_sync(wanted) && enough_replicas(wanted))
        reply_count(r->client, wanted);
    else
        wait_for_counts(r, wanted, timeout_ms);
}

/* What a client has written in a history that was replaced since is no place in this one. */
static int64_t written_by(const struct client *c) {
    return c->written < oplog_end() ? c->written : oplog_end();
}

/* WAIT numreplicas timeout */
static void wait_command(struct request *r) {
    struct client *c = r->client;
    struct wait wanted = {.place.offset = written_by(c)};
    int64_t timeout_ms;
    if (role_is_replica()) {
        reply_error(c, "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a "
                       "replica is configured to be writable (which is not the default) writes to replicas are just "
                       "local and are not propagated.");
        return;
    }
    if (!args_i64(c, r->argv[1], &wanted.replicas) || !args_timeout_ms(c, r->argv[2], &timeout_ms)) return;
    reply_or_wait(r, &wanted, timeout_ms);
}

/* WAITAOF numlocal numreplicas timeout */
static void waitaof(struct request *r) {
    struct client *c = r->client;
    struct wait wanted = {.place.offset = written_by(c), .is_aof = true};
    int64_t timeout_ms;
    if (!args_i64(c, r->argv[1], &wanted.local)) return;
    if (wanted.local < 0 || wanted.local > 1)
        reply_error(c, "ERR value is out of range, must be between 0 and 1");
    else if (!args_count(c, r->argv[2], &wanted.replicas) || !args_timeout_ms(c, r->argv[3], &timeout_ms))
        return;
    else if (role_is_replica())
        reply_error(c,
                    "ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas are "
                    "just local and are not propagated.");
    else if (wanted.local && !log_is_on())
        reply_log_is_off(c);
    else
        reply_or_wait(r, &wanted, timeout_ms);
}

/* --- WAITOFFSET ------------------------------------------------------------------------------ */

static void wait_for_token(struct request *r, const struct token *token, enum token_verdict verdict,
                           int64_t timeout_ms) {
    struct wait *wait = wait_new(r->client, token->offset);
    wait->token = *token;
    wait_on(wait, verdict == TOKEN_AHEAD ? GOAL_APPLIED : GOAL_KNOWN, 0);
    block_wait(r, &token_event, wait, timeout_ms, reply_behind);
}

/* WAITOFFSET token [timeout-ms] */
static void waitoffset(struct request *r) {
    struct client *c = r->client;
    struct token token;
    int64_t timeout_ms = 0;
    if (r->argc > 3) {
        reply_syntax_error(c);
        return;
    }
    if (!token_parse(r->argv[1], &token)) {
        reply_error(c, "ERR Invalid token");
        return;
    }
    if (r->argc == 3 && !args_timeout_ms(c, r->argv[2], &timeout_ms)) return;
    enum token_verdict verdict = token_judge(&token);
    if (verdict == TOKEN_REACHED)
        reply_ok(c);
    else if (verdict == TOKEN_DIVERGED)
        reply_diverged(c);
    else if (r->argc == 2)
        reply_behind(c);
    else
        wait_for_token(r, &token, verdict, timeout_ms);
}

/* --- Rows ------------------------------------------------------------------------------------ */

static const struct command acks_commands[] = {
    {"wait", wait_command, 3, .flags = CMD_NOSCRIPT, .acl = ACL_CONNECTION, .since = "3.0.0",
     .summary = "Wait until so many replicas have what this connection has written.",
     .complexity = "O(n) for n replicas", .syntax = "numreplicas:integer timeout:integer",
     .tips = "request_policy:all_shards,response_policy:agg_min"},
    {"waitaof", waitaof, 4, .flags = CMD_NOSCRIPT | CMD_BLOCKING, .acl = ACL_CONNECTION, .since = "7.2.0",
     .summary = "Wait until what this connection has written is on the disk here, and on those of so many replicas.",
     .complexity = "O(n) for n replicas", .syntax = "numlocal:integer numreplicas:integer timeout:integer",
     .tips = "request_policy:all_shards,response_policy:agg_min"},
    {"waitoffset", waitoffset, -2, .flags = CMD_NOSCRIPT | CMD_BLOCKING | CMD_STALE | CMD_FAST, .acl = ACL_CONNECTION,
     .since = "7.2.0", .summary = "Wait until this server has what the owner of a token has written or read.",
     .complexity = "O(log n) for n clients that wait", .syntax = "token [timeout:integer]"},
    {NULL},
};

const struct module acks_module = {.commands = acks_commands, .start = acks_start};
