/* Pending entries: XPENDING shows them, XCLAIM and XAUTOCLAIM give them to another consumer.
 *
 * Both walk the pending entries and the stream side by side, since both are sorted by id. An entry that the stream does
 * not have any more is dropped from the pending ones by the first claim that comes across it. Claims are propagated as
 * what came of them (stream_effect.h). */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/lookup.h"
#include "cmd/stream_effect.h"
#include "cmd/streams.h"
#include "exec/call.h"
#include "exec/propagate.h"

/* --- XPENDING -------------------------------------------------------------------------------- */

/* The consumers that have pending entries, in the order of their names. */
static void reply_holders(struct client *c, const struct stream_group *g) {
    size_t bytes, place = reply_hold(c), holders = 0;
    struct stream_consumer **consumers = stream_group_sorted_consumers(g, &bytes);
    for (uint32_t i = 0; i < stream_group_consumers(g); i++) {
        if (consumers[i]->pending == 0) continue;
        reply_array(c, 2);
        reply_bulk(c, stream_group_consumer_name(consumers[i]));
        reply_bulk_int(c, (int64_t)consumers[i]->pending);
        holders++;
    }
    reply_array_at(c, place, holders);
    alloc_put(consumers, bytes);
}

static void reply_summary(struct client *c, const struct stream_group *g) {
    struct stream_id min, max;
    reply_array(c, 4);
    reply_int(c, (int64_t)stream_group_pending(g));
    if (!stream_group_edges(g, &min, &max)) {
        reply_null(c);
        reply_null(c);
        reply_null_array(c);
        return;
    }
    streams_reply_id(c, min);
    streams_reply_id(c, max);
    reply_holders(c, g);
}

/* Which pending entries are asked for. */
struct pending_range {
    int64_t min_idle_ms, count;
    struct stream_id from, to;
    struct slice consumer;
    bool of_consumer;
};

/* As in Redis, up to two words too many are ignored. */
static bool parse_pending(struct request *r, struct pending_range *range) {
    struct client *c = r->client;
    int i = 3;
    *range = (struct pending_range){.min_idle_ms = 0};
    if (slice_is(r->argv[3], "idle")) {
        if (!args_i64(c, r->argv[4], &range->min_idle_ms)) return false;
        if (r->argc < 8) return args_syntax_error(c);
        i = 5;
    }
    if (!args_i64(c, r->argv[i + 2], &range->count)) return false;
    if (!args_first_id(c, r->argv[i], &range->from) || !args_last_id(c, r->argv[i + 1], &range->to)) return false;
    range->of_consumer = i + 3 < r->argc;
    if (range->of_consumer) range->consumer = r->argv[i + 3];
    return true;
}

/* How long ago an entry was delivered. */
static int64_t idle_ms(const struct stream_nack *nack) {
    return clock_now_ms() - nack->time_ms;
}

static void reply_pending(struct client *c, const struct stream_nack *nack) {
    int64_t idle = idle_ms(nack);
    reply_array(c, 4);
    streams_reply_id(c, nack->id);
    reply_bulk(c, stream_group_consumer_name(nack->consumer));
    reply_int(c, idle < 0 ? 0 : idle);
    reply_int(c, (int64_t)nack->deliveries);
}

static void reply_pending_range(struct client *c, struct stream_group *g, const struct pending_range *range) {
    struct stream_consumer *of = range->of_consumer ? stream_group_consumer(g, range->consumer) : NULL;
    struct stream_group_walk w;
    int64_t n = 0;
    if (range->of_consumer && !of) {
        reply_array(c, 0);
        return;
    }
    size_t place = reply_hold(c);
    stream_group_walk(&w, g, of, range->from);
    while (n < range->count && !reply_is_pointless(c) && stream_group_walk_next(&w)) {
        if (stream_id_compare(w.nack.id, range->to) > 0) break;
        if (range->min_idle_ms && idle_ms(&w.nack) < range->min_idle_ms) continue;
        reply_pending(c, &w.nack);
        n++;
    }
    reply_array_at(c, place, (size_t)n);
}

static void xpending(struct request *r) {
    struct pending_range range;
    struct stream *s;
    if (r->argc != 3 && (r->argc < 6 || r->argc > 9)) {
        reply_syntax_error(r->client);
        return;
    }
    if (r->argc > 3 && !parse_pending(r, &range)) return;
    if (!streams_read(r, &s)) return;
    struct stream_group *g = streams_need_group(r, s);
    if (!g) return;
    if (r->argc == 3)
        reply_summary(r->client, g);
    else
        reply_pending_range(r->client, g, &range);
}

/* --- Claiming -------------------------------------------------------------------------------- */

/* A claim, while it is carried out. */
struct claim {
    struct request *r;
    struct stream *stream;
    struct stream_group *group;
    struct stream_consumer *consumer;
    struct stream_effect effect;
    struct stream_iter it; /* shows the entry that is claimed */
    int64_t min_idle_ms;
    int64_t time_ms; /* of delivery, that the entries get */
    int64_t retries; /* RETRYCOUNT; negative: none */
    bool just_id, force;
    struct stream_id last_id; /* LASTID */
};

/* The group that the first words name. False: the value has another type, or there is no group; replied. */
static bool claim_find_group(struct claim *cl, const struct entry *e) {
    if (!lookup_is(cl->r->client, e, ENTRY_STREAM)) return false;
    cl->stream = e ? stream_of(e) : NULL;
    cl->group = streams_need_group(cl->r, cl->stream);
    return cl->group != NULL;
}

/* The consumer that claims; it is made if it is not there. */
static void claim_begin(struct claim *cl) {
    struct request *r = cl->r;
    struct slice name = r->argv[3];
    cl->effect = (struct stream_effect){r->client->db, r->key.name, r->argv[2], name};
    cl->consumer = stream_group_consumer(cl->group, name);
    if (!cl->consumer) {
        cl->consumer = stream_group_add_consumer(cl->group, name, clock_now_ms());
        streams_changed_beside(r->client->db, &r->key, "xgroup-createconsumer");
        stream_effect_new_consumer(&cl->effect, PROPAGATE_UNKNOWN);
    }
    cl->consumer->seen_ms = clock_now_ms();
    stream_iter_open(&cl->it, cl->stream);
    stream_effect_claims(&cl->effect, cl->group);
}

/* The pending entry, which `it` shows, changes hands: *nack becomes what is to be known of it. Reply it. */
static void claim_take(struct claim *cl, struct stream_nack *nack) {
    nack->consumer = cl->consumer;
    nack->time_ms = cl->time_ms;
    if (cl->retries >= 0)
        nack->deliveries = (uint64_t)cl->retries;
    else
        nack->deliveries += !cl->just_id;
    if (nack->deliveries > UINT32_MAX) nack->deliveries = UINT32_MAX;
    cl->consumer->active_ms = clock_now_ms();
    db_metrics.dirty++;
    stream_effect_claim(nack->id, nack->time_ms, nack->deliveries);
    if (cl->just_id)
        streams_reply_id(cl->r->client, nack->id);
    else
        streams_reply_entry(cl->r->client, &cl->it);
}

static bool is_idle(const struct claim *cl, const struct stream_nack *nack) {
    return cl->min_idle_ms == 0 || idle_ms(nack) >= cl->min_idle_ms;
}

/* --- XCLAIM ---------------------------------------------------------------------------------- */

static bool parse_claim_number(struct client *c, struct slice arg, const char *error, int64_t *out) {
    return args_at_least(c, arg, INT64_MIN, error, out);
}

/* Read an option at argument *i, and move *i to its last word. */
static bool parse_claim_option(struct claim *cl, int *i) {
    struct request *r = cl->r;
    struct client *c = r->client;
    struct slice word = r->argv[*i];
    bool has_value = *i + 1 < r->argc;
    if (slice_is(word, "force")) return cl->force = true;
    if (slice_is(word, "justid")) return cl->just_id = true;
    if (has_value && slice_is(word, "idle")) {
        if (!parse_claim_number(c, r->argv[++*i], "ERR Invalid IDLE option argument for XCLAIM", &cl->time_ms))
            return false;
        if (__builtin_sub_overflow(clock_now_ms(), cl->time_ms, &cl->time_ms)) cl->time_ms = -2;
        return true;
    }
    if (has_value && slice_is(word, "time"))
        return parse_claim_number(c, r->argv[++*i], "ERR Invalid TIME option argument for XCLAIM", &cl->time_ms);
    if (has_value && slice_is(word, "retrycount"))
        return parse_claim_number(c, r->argv[++*i], "ERR Invalid RETRYCOUNT option argument for XCLAIM", &cl->retries);
    if (has_value && slice_is(word, "lastid")) return args_id(c, r->argv[++*i], 0, &cl->last_id);
    reply_errorf(c, "ERR Unrecognized XCLAIM option '%.*s'", (int)word.len, word.ptr);
    return false;
}

/* The ids, up to the first word that is none, and the options. False: replied, and nothing is open. */
static bool parse_claim(struct claim *cl, struct streams_ids *ids) {
    struct request *r = cl->r;
    if (!parse_claim_number(r->client, r->argv[4], "ERR Invalid min-idle-time argument for XCLAIM", &cl->min_idle_ms))
        return false;
    if (cl->min_idle_ms < 0) cl->min_idle_ms = 0;
    streams_ids_open(ids, r->argc - 5);
    int i = 5;
    while (i < r->argc && args_is_id(r->argv[i], 0, &ids->at[ids->count])) {
        ids->count++;
        i++;
    }
    cl->time_ms = -1;
    for (; i < r->argc; i++) {
        if (parse_claim_option(cl, &i)) continue;
        streams_ids_close(ids);
        return false;
    }
    /* A time that cannot be is taken for a clock that differs. But a primary may be ahead of its replica. */
    int64_t now_ms = clock_now_ms();
    if (cl->time_ms < 0 || (cl->time_ms > now_ms && !call_is_replayed)) cl->time_ms = now_ms;
    return true;
}

/* False: it is not claimed. */
static bool claim_id(struct claim *cl, struct stream_id id) {
    struct stream_nack nack;
    bool pending = stream_group_nack(cl->group, id, &nack);
    if (!pending && !cl->force) return false;
    if (!stream_iter_find(&cl->it, id)) {
        if (pending) {
            stream_group_ack(cl->group, id);
            stream_effect_claim_gone(id);
            db_metrics.dirty++;
        }
        return false;
    }
    if (!pending)
        nack = (struct stream_nack){id, NULL, clock_now_ms(), 1};
    else if (!is_idle(cl, &nack))
        return false;
    claim_take(cl, &nack);
    stream_group_deliver(cl->group, &nack);
    return true;
}

static void claim_ids(struct claim *cl, const struct streams_ids *ids) {
    struct client *c = cl->r->client;
    bool moved = stream_id_compare(cl->last_id, cl->group->last_id) > 0;
    size_t claimed = 0;
    if (moved) stream_group_set_id(cl->group, cl->last_id, cl->group->entries_read);
    claim_begin(cl);
    size_t place = reply_hold(c);
    for (size_t i = 0; i < ids->count; i++)
        claimed += claim_id(cl, ids->at[i]);
    reply_array_at(c, place, claimed);
    if (moved) db_metrics.dirty++;
    if (stream_effect_has_claims())
        stream_effect_end_claims(PROPAGATE_END);
    else if (moved)
        stream_effect_position(&cl->effect, cl->group, PROPAGATE_END);
}

static void xclaim(struct request *r) {
    struct claim cl = {.r = r, .retries = -1};
    struct streams_ids ids;
    propagate_nothing();
    if (!claim_find_group(&cl, db_read(r->client->db, &r->key)) || !parse_claim(&cl, &ids)) return;
    claim_ids(&cl, &ids);
    streams_ids_close(&ids);
}

/* --- XAUTOCLAIM ------------------------------------------------------------------------------ */

#define LOOKS 10 /* at most so many times COUNT pending entries are looked at */

/* What XAUTOCLAIM is to do beside what all claims do. */
struct search {
    struct stream_id from;
    int64_t count;
    struct buf gone; /* ids of pending entries that the stream does not have */
    size_t claimed;
};

static bool parse_search(struct claim *cl, struct search *s) {
    struct request *r = cl->r;
    struct client *c = r->client;
    if (!parse_claim_number(c, r->argv[4], "ERR Invalid min-idle-time argument for XAUTOCLAIM", &cl->min_idle_ms))
        return false;
    if (cl->min_idle_ms < 0) cl->min_idle_ms = 0;
    if (!args_first_id(c, r->argv[5], &s->from)) return false;
    for (int i = 6; i < r->argc; i++) {
        if (slice_is(r->argv[i], "justid")) {
            cl->just_id = true;
        } else if (i + 1 < r->argc && slice_is(r->argv[i], "count")) {
            if (!args_at_least(c, r->argv[++i], 1, "ERR COUNT must be > 0", &s->count)) return false;
            if (s->count > INT64_MAX / 16) return args_refuse(c, "ERR COUNT must be > 0");
        } else {
            return args_syntax_error(c);
        }
    }
    return true;
}

/* Look at a pending entry. True: it is counted. */
static bool search_entry(struct claim *cl, struct search *s, struct stream_group_walk *w) {
    struct stream_id id = w->nack.id;
    if (!stream_iter_find(&cl->it, id)) {
        buf_append(&s->gone, &id, sizeof id);
        stream_group_walk_drop(w);
        stream_effect_claim_gone(id);
        db_metrics.dirty++;
        return true;
    }
    if (!is_idle(cl, &w->nack)) return false;
    claim_take(cl, &w->nack);
    stream_group_walk_assign(w);
    s->claimed++;
    return true;
}

/* Claim, and reply the entries. Returns where the next search is to go on; 0-0: at the start. */
static struct stream_id search_pending(struct claim *cl, struct search *s) {
    struct stream_group_walk w;
    int64_t left = s->count, looks = s->count * LOOKS;
    stream_group_walk(&w, cl->group, NULL, s->from);
    while (looks-- > 0 && left > 0 && !reply_is_pointless(cl->r->client)) {
        if (!stream_group_walk_next(&w)) return STREAM_ID_MIN;
        left -= search_entry(cl, s, &w);
    }
    return stream_group_walk_next(&w) ? w.nack.id : STREAM_ID_MIN;
}

static void reply_gone(struct client *c, const struct buf *gone) {
    size_t n = gone->len / sizeof(struct stream_id);
    reply_array(c, n);
    for (size_t i = 0; i < n; i++) {
        struct stream_id id;
        memcpy(&id, gone->data + i * sizeof id, sizeof id);
        streams_reply_id(c, id);
    }
}

static void xautoclaim(struct request *r) {
    struct client *c = r->client;
    struct claim cl = {.r = r, .retries = -1, .time_ms = clock_now_ms()};
    struct search s = {.count = 100};
    propagate_nothing();
    const struct entry *e = db_read(c->db, &r->key);
    if (!parse_search(&cl, &s) || !claim_find_group(&cl, e)) return;
    claim_begin(&cl);
    reply_array(c, 3);
    size_t place = reply_hold(c);
    struct stream_id next = search_pending(&cl, &s);
    reply_array_at(c, place, s.claimed);
    char text[STREAMS_ID_MAX];
    reply_bulk_at(c, place, streams_print_id(text, next));
    reply_gone(c, &s.gone);
    stream_effect_end_claims(PROPAGATE_END);
    buf_free(&s.gone);
}

static const struct command stream_claim_commands[] = {
    {"xautoclaim", xautoclaim, -6, .flags = CMD_WRITE | CMD_FAST, .first_key = 1, .group = GROUP_STREAM,
     .since = "6.2.0", .summary = "Look for pending entries that are idle, and give them to this consumer.",
     .complexity = "O(n) for a count of n",
     .syntax = "key:key group consumer min-idle-time start [COUNT count:integer] [JUSTID]",
     .tips = "nondeterministic_output",
     .history = "7.0.0|The reply names the pending entries that the stream no longer had.", .key_flags = "RW delete"},
    {"xclaim", xclaim, -6, .flags = CMD_WRITE | CMD_FAST, .first_key = 1, .group = GROUP_STREAM, .since = "5.0.0",
     .summary = "Give pending entries to this consumer.", .complexity = "O(log n) an id, for n pending entries",
     .syntax = "key:key group consumer min-idle-time id... [IDLE ms:integer] [TIME unix-time-milliseconds:unix-time] "
               "[RETRYCOUNT count:integer] [FORCE] [JUSTID] [LASTID lastid]",
     .tips = "nondeterministic_output"},
    {"xpending", xpending, -3, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_STREAM, .since = "5.0.0",
     .summary = "Show what is pending in a group: a summary, or entry by entry.",
     .complexity = "O(n) for n entries that are looked at, or for n consumers",
     .syntax = "key:key group [filters:([IDLE min-idle-time:integer@6.2.0] start end count:integer [consumer])]",
     .tips = "nondeterministic_output", .history = "6.2.0|`IDLE`, and ends of the interval that are excluded."},
    {NULL},
};

const struct module stream_claim_module = {.commands = stream_claim_commands};
