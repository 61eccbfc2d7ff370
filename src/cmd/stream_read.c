/* XREAD and XREADGROUP: what is new in one or more streams, at once or as soon as there is any.
 *
 * A request that finds nothing waits (exec/block.h) and is run again from the start. Consumers of a group stand in one
 * queue, so that an entry costs one look at the group, however many wait; those of XREAD wait for entries behind an id.
 * XREADGROUP also ends when its key or group has gone: run again, it finds the error by itself.
 *
 * XREADGROUP is propagated as what it did (stream_effect.h). Reading the history counts deliveries; as in Redis, that
 * is not propagated. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/lookup.h"
#include "cmd/stream_effect.h"
#include "cmd/streams.h"
#include "exec/block.h"
#include "exec/propagate.h"

/* A stream to read. */
struct source {
    struct stream *stream; /* NULL: the key is absent */
    struct stream_group *group;
    struct stream_id after; /* entries with greater ids are wanted */
    bool unread;            /* instead: those that the group has not read, `>` */
};

#define SOURCES_NEAR 8

struct reading {
    struct request *r;
    bool grouped, no_ack, may_wait;
    struct slice group, consumer;
    uint64_t count; /* of entries for each stream; 0: all */
    int64_t timeout_ms;
    int keys_at, n; /* the first key among the arguments; streams */
    struct source *sources, near[SOURCES_NEAR];
    size_t place; /* of the reply's head */
    size_t served;
};

/* --- The request ----------------------------------------------------------------------------- */

static bool parse_streams(struct reading *rd, int i) {
    struct request *r = rd->r;
    int words = r->argc - i - 1;
    rd->keys_at = i + 1;
    rd->n = words / 2;
    if (words % 2 == 0) return true;
    reply_errorf(r->client, "ERR Unbalanced '%s' list of streams: for each stream key an ID or '%c' must be specified.",
                 r->command->name, rd->grouped ? '>' : '$');
    return false;
}

static bool parse_group(struct reading *rd, int *i) {
    if (!rd->grouped)
        return args_refuse(rd->r->client,
                           "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.");
    rd->group = rd->r->argv[++*i];
    rd->consumer = rd->r->argv[++*i];
    return true;
}

static bool parse_no_ack(struct reading *rd) {
    if (!rd->grouped)
        return args_refuse(rd->r->client,
                           "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.");
    return rd->no_ack = true;
}

static bool parse_read_count(struct reading *rd, struct slice arg) {
    int64_t count;
    if (!args_i64(rd->r->client, arg, &count)) return false;
    rd->count = count < 0 ? 0 : (uint64_t)count;
    return true;
}

/* Read an option at argument *i, which is not STREAMS, and move *i to its last word. */
static bool parse_read_option(struct reading *rd, int *i) {
    struct request *r = rd->r;
    struct slice word = r->argv[*i];
    int left = r->argc - *i - 1;
    if (left >= 1 && slice_is(word, "block"))
        return rd->may_wait = args_timeout_ms(r->client, r->argv[++*i], &rd->timeout_ms);
    if (left >= 1 && slice_is(word, "count")) return parse_read_count(rd, r->argv[++*i]);
    if (left >= 2 && slice_is(word, "group")) return parse_group(rd, i);
    if (slice_is(word, "noack")) return parse_no_ack(rd);
    return args_syntax_error(r->client);
}

static bool parse_reading(struct reading *rd) {
    struct request *r = rd->r;
    for (int i = 1; i < r->argc && rd->keys_at == 0; i++) {
        bool is_last = i + 1 == r->argc;
        if (!is_last && slice_is(r->argv[i], "streams")) {
            if (!parse_streams(rd, i)) return false;
        } else if (!parse_read_option(rd, &i)) {
            return false;
        }
    }
    if (rd->keys_at == 0) return args_syntax_error(r->client);
    return !rd->grouped || rd->group.ptr || args_refuse(r->client, "ERR Missing GROUP option for XREADGROUP");
}

/* --- Its streams ----------------------------------------------------------------------------- */

static struct slice source_key(const struct reading *rd, int i) {
    return rd->r->argv[rd->keys_at + i];
}

static struct slice source_id(const struct reading *rd, int i) {
    return rd->r->argv[rd->keys_at + rd->n + i];
}

static bool find_group(const struct reading *rd, int i, struct source *source) {
    source->group = source->stream ? stream_group(source->stream, rd->group) : NULL;
    if (source->group) return true;
    struct slice key = source_key(rd, i);
    reply_errorf(rd->r->client, "NOGROUP No such key '%.*s' or consumer group '%.*s' in XREADGROUP with GROUP option",
                 (int)key.len, key.ptr, (int)rd->group.len, rd->group.ptr);
    return false;
}

/* The id before the last entry: `+` asks for that one. */
static struct stream_id before_last(const struct stream *s) {
    struct stream_iter it;
    struct stream_id id = STREAM_ID_MIN;
    if (!s) return id;
    stream_iter_start(&it, s, STREAM_ID_MIN, STREAM_ID_MAX, true);
    if (!stream_iter_next(&it)) return id;
    id = it.id;
    stream_id_down(&id);
    return id;
}

static bool refuse_sign(struct client *c, char sign) {
    reply_errorf(c,
                 "ERR The %c ID is meaningless in the context of XREADGROUP: you want to read the history of this "
                 "consumer by specifying a proper ID, or use the > ID to get new messages. The %c ID would just return "
                 "an empty result set.",
                 sign, sign);
    return false;
}

/* What stands for an id. */
static bool parse_source_id(const struct reading *rd, int i, struct source *source) {
    struct client *c = rd->r->client;
    struct slice id = source_id(rd, i);
    char sign = id.len == 1 ? id.ptr[0] : '\0';
    if (sign == '>') {
        source->unread = rd->grouped;
        return rd->grouped || args_refuse(c, "ERR The > ID can be specified only when calling XREADGROUP using the "
                                             "GROUP <group> <consumer> option.");
    }
    if (sign != '$' && sign != '+') {
        if (!args_id(c, id, 0, &source->after)) return false;
        source->unread = rd->grouped && stream_id_equal(source->after, STREAM_ID_MAX); /* as in Redis */
        return true;
    }
    if (rd->grouped) return refuse_sign(c, sign);
    source->after = sign == '+'      ? before_last(source->stream)
                    : source->stream ? source->stream->last_id
                                     : STREAM_ID_MIN;
    return true;
}

static bool find_sources(struct reading *rd) {
    struct client *c = rd->r->client;
    for (int i = 0; i < rd->n; i++) {
        struct source *source = &rd->sources[i];
        struct key key = key_of(source_key(rd, i));
        const struct entry *e = db_read(c->db, &key);
        *source = (struct source){.stream = NULL};
        if (!lookup_is(c, e, ENTRY_STREAM)) return false;
        if (e) source->stream = stream_of(e);
        if (rd->grouped && !find_group(rd, i, source)) return false;
        if (!parse_source_id(rd, i, source)) return false;
    }
    return true;
}

/* --- The reply ------------------------------------------------------------------------------- */

/* The next stream of the reply. In RESP3 it is a map. The head of a reply for one stream needs no place. */
static void begin_stream(struct reading *rd, struct slice key) {
    struct client *c = rd->r->client;
    if (rd->served++ == 0) {
        if (rd->n > 1)
            rd->place = reply_hold(c);
        else if (c->resp > 2)
            reply_map(c, 1);
        else
            reply_array(c, 1);
    }
    if (c->resp == 2) reply_array(c, 2);
    reply_bulk(c, key);
}

static void end_streams(struct reading *rd) {
    if (rd->n == 1) return;
    if (rd->r->client->resp > 2)
        reply_map_at(rd->r->client, rd->place, rd->served);
    else
        reply_array_at(rd->r->client, rd->place, rd->served);
}

/* Start before the first entry behind an id. False: there is none. */
static bool start_behind(struct stream_iter *it, const struct stream *s, struct stream_id after) {
    if (s->length == 0 || stream_id_compare(s->last_id, after) <= 0) return false;
    stream_id_up(&after); /* last_id is greater */
    stream_iter_start(it, s, after, STREAM_ID_MAX, false);
    return stream_iter_next(it);
}

/* Reply the entry that the iterator shows, and those behind it. */
static void reply_new(struct reading *rd, struct stream_iter *it) {
    struct client *c = rd->r->client;
    size_t place = reply_hold(c), n = 0;
    do {
        streams_reply_entry(c, it);
        n++;
    } while (n != rd->count && !reply_is_pointless(c) && stream_iter_next(it));
    reply_array_at(c, place, n);
}

static void read_source(struct reading *rd, int i) {
    struct stream_iter it;
    const struct source *source = &rd->sources[i];
    if (!source->stream) {
        struct key key = key_of(source_key(rd, i));
        db_read(rd->r->client->db, &key); /* Redis looks twice, and tells of two misses */
        return;
    }
    if (!start_behind(&it, source->stream, source->after)) return;
    begin_stream(rd, source_key(rd, i));
    reply_new(rd, &it);
}

/* --- For a group ----------------------------------------------------------------------------- */

/* Does the stream have entries that the group has not read? The iterator shows the first then. */
static bool start_unread(struct stream_iter *it, const struct stream *s, const struct stream_group *g) {
    if (s->length == 0 || stream_id_compare(s->last_id, g->last_id) <= 0) return false;
    stream_iter_start_unread(it, s, g);
    return stream_iter_next(it);
}

/* Deliver the entry that the iterator shows, and those behind it. */
static void deliver_new(struct reading *rd, struct source *source, struct stream_consumer *consumer,
                        const struct stream_effect *effect, struct stream_iter *it) {
    struct client *c = rd->r->client;
    int64_t now_ms = clock_now_ms();
    size_t place = reply_hold(c), n = 0;
    stream_effect_claims(effect, source->group);
    do {
        streams_reply_entry(c, it);
        stream_advance(source->stream, source->group, it);
        n++;
        if (rd->no_ack) continue;
        stream_group_deliver(source->group, &(struct stream_nack){it->id, consumer, now_ms, 1});
        stream_effect_claim(it->id, now_ms, 1);
    } while (n != rd->count && !reply_is_pointless(c) && stream_iter_next(it));
    if (!rd->no_ack) consumer->active_ms = now_ms;
    stream_effect_end_claims(PROPAGATE_MORE);
    reply_array_at(c, place, n);
    db_metrics.dirty++;
}

/* What the consumer has not acknowledged. An entry that has been deleted has no fields, and is not delivered again. */
static void reply_history(struct reading *rd, struct source *source, struct stream_consumer *consumer) {
    struct client *c = rd->r->client;
    struct stream_group_walk w;
    struct stream_iter it;
    size_t place = reply_hold(c);
    uint64_t n = 0;
    bool any = stream_id_up(&source->after);
    stream_group_walk(&w, source->group, consumer, source->after);
    stream_iter_open(&it, source->stream);
    while (any && (rd->count == 0 || n < rd->count) && !reply_is_pointless(c) && stream_group_walk_next(&w)) {
        n++;
        if (!stream_iter_find(&it, w.nack.id)) {
            reply_array(c, 2);
            streams_reply_id(c, w.nack.id);
            reply_null_array(c);
            continue;
        }
        streams_reply_entry(c, &it);
        w.nack.time_ms = clock_now_ms();
        w.nack.deliveries++;
        stream_group_walk_assign(&w);
    }
    reply_array_at(c, place, n);
    db_metrics.dirty++;
}

/* What the group has in this stream for the consumer, who is made if it is not there. */
static void read_group_source(struct reading *rd, int i) {
    struct source *source = &rd->sources[i];
    struct client *c = rd->r->client;
    struct key key = key_of(source_key(rd, i));
    struct stream_effect effect = {c->db, key.name, rd->group, rd->consumer};
    enum propagate_rest rest = i + 1 < rd->n ? PROPAGATE_UNKNOWN : PROPAGATE_END;
    struct stream_iter it;
    bool has_new = source->unread && start_unread(&it, source->stream, source->group);
    struct stream_consumer *consumer = stream_group_consumer(source->group, rd->consumer);
    if (!consumer) {
        consumer = stream_group_add_consumer(source->group, rd->consumer, clock_now_ms());
        streams_changed_beside(c->db, &key, "xgroup-createconsumer");
        stream_effect_new_consumer(&effect, has_new ? PROPAGATE_MORE : rest);
    }
    consumer->seen_ms = clock_now_ms();
    if (source->unread && !has_new) return;
    begin_stream(rd, key.name);
    if (has_new) {
        deliver_new(rd, source, consumer, &effect, &it);
        stream_effect_position(&effect, source->group, rest);
    } else {
        reply_history(rd, source, consumer);
    }
}

/* --- Waiting --------------------------------------------------------------------------------- */

static enum block_verdict judge_reader(const struct entry *e, struct slice subject, const struct block_mark *mark) {
    (void)subject;
    struct stream_iter it;
    return start_behind(&it, stream_of(e), (struct stream_id){mark->high, mark->low}) ? BLOCK_SERVE : BLOCK_SKIP;
}

static enum block_verdict judge_consumer(const struct entry *e, struct slice subject, const struct block_mark *mark) {
    (void)mark;
    struct stream_iter it;
    const struct stream_group *g = stream_group(stream_of(e), subject);
    return !g || start_unread(&it, stream_of(e), g) ? BLOCK_SERVE : BLOCK_SERVE_NOBODY;
}

static const struct block_kind reader_kind = {.type = ENTRY_STREAM, .judge = judge_reader};
static const struct block_kind consumer_kind = {.type = ENTRY_STREAM, .also_gone = true, .judge = judge_consumer};

/* Wait behind what is there now: `$` becomes the id that it means, so that the request means the same when it is run
 * again. */
static void wait_behind(struct reading *rd, const struct block_wish *wish) {
    struct request *r = rd->r;
    struct slice raw = r->raw, *ids = r->argv + rd->keys_at + rd->n;
    size_t bytes = (size_t)rd->n * sizeof *ids, text_bytes = (size_t)rd->n * STREAMS_ID_MAX;
    struct slice *saved = alloc_get(bytes);
    char *text = alloc_get(text_bytes);
    memcpy(saved, ids, bytes);
    for (int i = 0; i < rd->n; i++)
        if (slice_eq(ids[i], SLICE("$"))) ids[i] = streams_print_id(text + i * STREAMS_ID_MAX, rd->sources[i].after);
    r->raw = slice_of(NULL, 0);
    block_for(r, wish, r->argv + rd->keys_at, rd->n, rd->timeout_ms, reply_null_array);
    memcpy(ids, saved, bytes);
    r->raw = raw;
    alloc_put(text, text_bytes);
    alloc_put(saved, bytes);
}

static void wait_for_entries(struct reading *rd) {
    struct request *r = rd->r;
    if (rd->grouped) {
        struct block_wish wish = {.kind = &consumer_kind, .subject = rd->group};
        block_for(r, &wish, r->argv + rd->keys_at, rd->n, rd->timeout_ms, reply_null_array);
        return;
    }
    size_t bytes = (size_t)rd->n * sizeof(struct block_mark);
    struct block_mark *marks = alloc_get(bytes);
    for (int i = 0; i < rd->n; i++)
        marks[i] = (struct block_mark){rd->sources[i].after.ms, rd->sources[i].after.seq};
    wait_behind(rd, &(struct block_wish){.kind = &reader_kind, .marks = marks});
    alloc_put(marks, bytes);
}

/* --- The commands ---------------------------------------------------------------------------- */

static void serve_reading(struct reading *rd) {
    if (!find_sources(rd)) return;
    for (int i = 0; i < rd->n; i++) {
        if (rd->grouped)
            read_group_source(rd, i);
        else
            read_source(rd, i);
    }
    if (rd->served)
        end_streams(rd);
    else if (rd->may_wait)
        wait_for_entries(rd);
    else
        reply_null_array(rd->r->client);
}

static void read_streams(struct request *r, bool grouped) {
    struct reading rd = {.r = r, .grouped = grouped};
    if (!parse_reading(&rd)) return;
    size_t bytes = (size_t)rd.n * sizeof *rd.sources;
    rd.sources = rd.n <= SOURCES_NEAR ? rd.near : alloc_get(bytes);
    serve_reading(&rd);
    if (rd.sources != rd.near) alloc_put(rd.sources, bytes);
}

static void xread(struct request *r) {
    read_streams(r, false);
}

static void xreadgroup(struct request *r) {
    propagate_nothing();
    read_streams(r, true);
}

static const struct command_keys xread_keys[] = {
    {.flags = "RO access", .keyword = "STREAMS", .from = 1, .last = -1, .step = 1, .limit = 2, .keynum_at = -1},
    {.flags = NULL},
};

static const struct command_keys xreadgroup_keys[] = {
    {.flags = "RO access", .keyword = "STREAMS", .from = 4, .last = -1, .step = 1, .limit = 2, .keynum_at = -1},
    {.flags = NULL},
};

static const struct command stream_read_commands[] = {
    {"xread", xread, -4, .flags = CMD_READONLY | CMD_BLOCKING | CMD_MOVABLE_KEYS, .group = GROUP_STREAM,
     .since = "5.0.0", .summary = "Read the entries of streams behind given ids, or wait for some.",
     .complexity = "O(log n + m) a stream, for m entries read out of n",
     .syntax = "[COUNT count:integer] [BLOCK milliseconds:integer] STREAMS streams:(key:key... id...)",
     .keys = xread_keys},
    {"xreadgroup", xreadgroup, -7, .flags = CMD_WRITE | CMD_BLOCKING | CMD_MOVABLE_KEYS, .group = GROUP_STREAM,
     .since = "5.0.0",
     .summary = "Read entries as a consumer of a group: new ones, or wait for some, or those that are pending.",
     .complexity = "O(m) a stream for m new entries; O(log n + m) for m pending ones out of n",
     .syntax = "GROUP group-block:(group consumer) [COUNT count:integer] [BLOCK milliseconds:integer] [NOACK] "
               "STREAMS streams:(key:key... id...)",
     .keys = xreadgroup_keys},
    {NULL},
};

const struct module stream_read_module = {.commands = stream_read_commands};
