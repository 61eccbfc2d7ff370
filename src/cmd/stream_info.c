/* XINFO: what is known of a stream, its groups and their consumers. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/streams.h"

static void reply_field_int(struct client *c, const char *name, int64_t value) {
    reply_bulk_cstr(c, name);
    reply_int(c, value);
}

static void reply_field_id(struct client *c, const char *name, struct stream_id id) {
    reply_bulk_cstr(c, name);
    streams_reply_id(c, id);
}

static void reply_field_name(struct client *c, struct slice name) {
    reply_bulk_cstr(c, "name");
    reply_bulk(c, name);
}

/* The stream that the request is about. NULL: there is none; replied. */
static struct stream *need_read(struct request *r) {
    struct stream *s;
    if (!streams_read(r, &s)) return NULL;
    if (!s) reply_no_key(r->client);
    return s;
}

/* --- The parts ------------------------------------------------------------------------------- */

/* Where the group is, and how much it has still to read. */
static void reply_progress(struct client *c, const struct stream *s, const struct stream_group *g) {
    uint64_t lag;
    reply_field_id(c, "last-delivered-id", g->last_id);
    reply_bulk_cstr(c, "entries-read");
    if (g->entries_read == STREAM_UNREAD)
        reply_null(c);
    else
        reply_int(c, g->entries_read);
    reply_bulk_cstr(c, "lag");
    if (stream_lag(s, g, &lag))
        reply_int(c, (int64_t)lag);
    else
        reply_null(c);
}

/* Pending entries of a group, or of one consumer, which is not named then; at most `count`, 0: all. */
static void reply_pending_list(struct client *c, struct stream_group *g, struct stream_consumer *of, uint64_t count) {
    struct stream_group_walk w;
    size_t place = reply_hold(c), n = 0;
    stream_group_walk(&w, g, of, STREAM_ID_MIN);
    while ((count == 0 || n < count) && !reply_is_pointless(c) && stream_group_walk_next(&w)) {
        reply_array(c, of ? 3 : 4);
        streams_reply_id(c, w.nack.id);
        if (!of) reply_bulk(c, stream_group_consumer_name(w.nack.consumer));
        reply_int(c, w.nack.time_ms);
        reply_int(c, (int64_t)w.nack.deliveries);
        n++;
    }
    reply_array_at(c, place, n);
}

/* --- XINFO STREAM ---------------------------------------------------------------------------- */

static void reply_full_consumer(struct client *c, struct stream_group *g, struct stream_consumer *consumer,
                                uint64_t count) {
    reply_map(c, 5);
    reply_field_name(c, stream_group_consumer_name(consumer));
    reply_field_int(c, "seen-time", consumer->seen_ms);
    reply_field_int(c, "active-time", consumer->active_ms);
    reply_field_int(c, "pel-count", (int64_t)consumer->pending);
    reply_bulk_cstr(c, "pending");
    reply_pending_list(c, g, consumer, count);
}

static void reply_full_group(struct client *c, const struct stream *s, struct stream_group *g, uint64_t count) {
    size_t bytes;
    struct stream_consumer **consumers = stream_group_sorted_consumers(g, &bytes);
    reply_map(c, 7);
    reply_field_name(c, stream_group_name(g));
    reply_progress(c, s, g);
    reply_field_int(c, "pel-count", (int64_t)stream_group_pending(g));
    reply_bulk_cstr(c, "pending");
    reply_pending_list(c, g, NULL, count);
    reply_bulk_cstr(c, "consumers");
    reply_array(c, stream_group_consumers(g));
    for (uint32_t i = 0; i < stream_group_consumers(g); i++)
        reply_full_consumer(c, g, consumers[i], count);
    alloc_put(consumers, bytes);
}

static void reply_full(struct client *c, const struct stream *s, uint64_t count) {
    struct stream_iter it;
    size_t bytes;
    struct stream_group **groups = stream_sorted_groups(s, &bytes);
    stream_iter_start(&it, s, STREAM_ID_MIN, STREAM_ID_MAX, false);
    reply_bulk_cstr(c, "entries");
    streams_reply_entries(c, &it, count);
    reply_bulk_cstr(c, "groups");
    reply_array(c, stream_groups(s));
    for (uint32_t i = 0; i < stream_groups(s); i++)
        reply_full_group(c, s, groups[i], count);
    alloc_put(groups, bytes);
}

static void reply_edge(struct client *c, const char *name, const struct stream *s, bool last) {
    struct stream_iter it;
    reply_bulk_cstr(c, name);
    stream_iter_start(&it, s, STREAM_ID_MIN, STREAM_ID_MAX, last);
    if (stream_iter_next(&it))
        streams_reply_entry(c, &it);
    else
        reply_null(c);
}

/* Redis has a radix tree whose leaves are the nodes. */
static void reply_state(struct client *c, const struct stream *s) {
    reply_field_int(c, "length", (int64_t)s->length);
    reply_field_int(c, "radix-tree-keys", s->used);
    reply_field_int(c, "radix-tree-nodes", (int64_t)s->used + 1);
    reply_field_id(c, "last-generated-id", s->last_id);
    reply_field_id(c, "max-deleted-entry-id", s->max_deleted);
    reply_field_int(c, "entries-added", (int64_t)s->entries_added);
    reply_field_id(c, "recorded-first-entry-id", stream_first_id(s));
}

/* FULL [COUNT n] behind the key. */
static bool parse_full(struct request *r, int64_t *count) {
    if (r->argc == 3) return true;
    bool counted = r->argc == 6;
    if ((r->argc != 4 && !counted) || !slice_is(r->argv[3], "full") || (counted && !slice_is(r->argv[4], "count"))) {
        reply_unknown_subcommand(r->client, r->argv[1], "XINFO");
        return false;
    }
    if (counted && !args_i64(r->client, r->argv[5], count)) return false;
    if (*count < 0) *count = 10;
    return true;
}

static void xinfo_stream(struct request *r) {
    struct client *c = r->client;
    int64_t count = 10;
    struct stream *s = need_read(r);
    if (!s || !parse_full(r, &count)) return;
    reply_map(c, r->argc > 3 ? 9 : 10);
    reply_state(c, s);
    if (r->argc > 3) {
        reply_full(c, s, (uint64_t)count);
        return;
    }
    reply_field_int(c, "groups", stream_groups(s));
    reply_edge(c, "first-entry", s, false);
    reply_edge(c, "last-entry", s, true);
}

/* --- XINFO GROUPS, XINFO CONSUMERS ----------------------------------------------------------- */

static void xinfo_groups(struct request *r) {
    struct client *c = r->client;
    struct stream *s = need_read(r);
    size_t bytes;
    if (!s) return;
    struct stream_group **groups = stream_sorted_groups(s, &bytes);
    reply_array(c, stream_groups(s));
    for (uint32_t i = 0; i < stream_groups(s); i++) {
        reply_map(c, 6);
        reply_field_name(c, stream_group_name(groups[i]));
        reply_field_int(c, "consumers", stream_group_consumers(groups[i]));
        reply_field_int(c, "pending", (int64_t)stream_group_pending(groups[i]));
        reply_progress(c, s, groups[i]);
    }
    alloc_put(groups, bytes);
}

static void reply_consumer(struct client *c, const struct stream_consumer *consumer) {
    int64_t now_ms = clock_now_ms(), idle = now_ms - consumer->seen_ms;
    int64_t inactive = consumer->active_ms == STREAM_NEVER ? -1 : now_ms - consumer->active_ms;
    reply_map(c, 4);
    reply_field_name(c, stream_group_consumer_name(consumer));
    reply_field_int(c, "pending", (int64_t)consumer->pending);
    reply_field_int(c, "idle", idle < 0 ? 0 : idle);
    reply_field_int(c, "inactive", inactive < -1 ? 0 : inactive);
}

static void xinfo_consumers(struct request *r) {
    struct client *c = r->client;
    struct stream *s = need_read(r);
    size_t bytes;
    if (!s) return;
    struct slice key = r->argv[2], name = r->argv[3];
    struct stream_group *g = stream_group(s, name);
    if (!g) {
        reply_errorf(c, "NOGROUP No such consumer group '%.*s' for key name '%.*s'", (int)name.len, name.ptr,
                     (int)key.len, key.ptr);
        return;
    }
    struct stream_consumer **consumers = stream_group_sorted_consumers(g, &bytes);
    reply_array(c, stream_group_consumers(g));
    for (uint32_t i = 0; i < stream_group_consumers(g); i++)
        reply_consumer(c, consumers[i]);
    alloc_put(consumers, bytes);
}

static void xinfo_help(struct request *r) {
    static const char *const lines[] = {
        "CONSUMERS <key> <group>",
        "    Show the consumers of a group.",
        "GROUPS <key>",
        "    Show the consumer groups of a stream.",
        "STREAM <key> [FULL [COUNT <n>]]",
        "    Show a stream. FULL adds entries, groups, consumers and what is pending: the first",
        "    10 of each list, or <n>; 0 is all.",
        NULL,
    };
    reply_help(r->client, "XINFO", lines);
}

static const struct command xinfo_subcommands[] = {
    {"consumers", xinfo_consumers, 4, .flags = CMD_READONLY, .first_key = 2, .group = GROUP_STREAM, .since = "5.0.0",
     .summary = "Show the consumers of a group.", .complexity = "O(n) for n consumers", .syntax = "key:key group",
     .tips = "nondeterministic_output", .history = "7.2.0|The field `inactive`."},
    {"groups", xinfo_groups, 3, .flags = CMD_READONLY, .first_key = 2, .group = GROUP_STREAM, .since = "5.0.0",
     .summary = "Show the consumer groups of a stream.", .complexity = "O(n) for n groups", .syntax = "key:key",
     .history = "7.0.0|The fields `entries-read` and `lag`."},
    {"help", xinfo_help, 2, .flags = CMD_LOADING | CMD_STALE, .group = GROUP_STREAM, .since = "5.0.0",
     .summary = "Describe the subcommands."},
    {"stream", xinfo_stream, -3, .flags = CMD_READONLY, .first_key = 2, .group = GROUP_STREAM, .since = "5.0.0",
     .summary = "Show a stream: its length, its ids, its first and its last entry.",
     .complexity = "O(1), with FULL O(n) for n lines of the reply",
     .syntax = "key:key [full-block:(full=FULL [COUNT count:integer])]",
     .history =
         "6.0.0|`FULL`.\n"
         "7.0.0|The fields `max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`, `entries-read` and "
         "`lag`.\n"
         "7.2.0|The field `active-time`; `seen-time` has another meaning."},
    {NULL},
};

static const struct command stream_info_commands[] = {
    {"xinfo", NULL, -2, .group = GROUP_STREAM, .since = "5.0.0",
     .summary = "Ask about a stream, its groups and their consumers.", .complexity = "Depends on the subcommand",
     .subcommands = xinfo_subcommands},
    {NULL},
};

const struct module stream_info_module = {.commands = stream_info_commands};
