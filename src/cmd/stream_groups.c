/* Consumer groups: XGROUP makes, moves and removes them and their consumers, XACK acknowledges what they have read. */
#include "base/clock.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/streams.h"
#include "session/client.h"

/* --- XGROUP ---------------------------------------------------------------------------------- */

/* What the options of CREATE and SETID say. */
struct group_options {
    bool make_stream;
    int64_t entries_read;
};

static bool refuse_subcommand(struct request *r) {
    reply_unknown_subcommand(r->client, r->argv[1], "XGROUP");
    return false;
}

static bool parse_entries_read(struct client *c, struct slice arg, int64_t *out) {
    if (!args_i64(c, arg, out)) return false;
    return *out >= 0 || *out == STREAM_UNREAD || args_refuse(c, "ERR value for ENTRIESREAD must be positive or -1");
}

/* Options begin behind the id. MKSTREAM is one of CREATE. */
static bool parse_group_options(struct request *r, bool creates, struct group_options *o) {
    *o = (struct group_options){.entries_read = STREAM_UNREAD};
    for (int i = 5; i < r->argc; i++) {
        if (creates && slice_is(r->argv[i], "mkstream")) {
            o->make_stream = true;
        } else if (i + 1 < r->argc && slice_is(r->argv[i], "entriesread")) {
            if (!parse_entries_read(r->client, r->argv[++i], &o->entries_read)) return false;
        } else {
            return refuse_subcommand(r);
        }
    }
    return true;
}

/* The stream that a subcommand is about. False: it is not there, or no stream; replied. */
static bool need_stream(struct request *r, bool may_make, struct stream **s) {
    if (!streams_write(r, s)) return false;
    return *s || may_make ||
           args_refuse(r->client,
                       "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want "
                       "to use the MKSTREAM option to create an empty stream automatically.");
}

static bool need_group(struct request *r, struct stream **s, struct stream_group **g) {
    struct slice key = r->argv[2], name = r->argv[3];
    if (!need_stream(r, false, s)) return false;
    *g = stream_group(*s, name);
    if (*g) return true;
    reply_errorf(r->client, "NOGROUP No such consumer group '%.*s' for key name '%.*s'", (int)name.len, name.ptr,
                 (int)key.len, key.ptr);
    return false;
}

static void changed_group(struct request *r, const char *event) {
    streams_changed_beside(r->client->db, &r->key, event);
}

/* `$` is the last id. */
static bool is_top(struct slice arg) {
    return slice_eq(arg, SLICE("$"));
}

/* Add the group that the request names, to a new stream if there is none. */
static void create_group(struct request *r, struct stream *s, struct stream_id id, int64_t entries_read) {
    struct db *db = r->client->db;
    bool is_new = !s;
    if (is_new) s = stream_of(stream_create(db, &r->key));
    stream_add_group(s, r->argv[3], id, entries_read);
    reply_ok(r->client);
    if (is_new)
        db_changed(db, &r->key, DB_STREAM, "xgroup-create");
    else
        changed_group(r, "xgroup-create");
}

static void xgroup_create(struct request *r) {
    struct client *c = r->client;
    struct group_options o;
    struct stream *s;
    struct stream_id id = STREAM_ID_MIN;
    if (!parse_group_options(r, true, &o) || !need_stream(r, o.make_stream, &s)) return;
    if (r->argc > 8) {
        refuse_subcommand(r);
        return;
    }
    if (is_top(r->argv[4])) {
        if (s) id = s->last_id;
    } else if (!args_id(c, r->argv[4], 0, &id)) {
        return;
    }
    if (s && stream_group(s, r->argv[3]))
        reply_error(c, "BUSYGROUP Consumer Group name already exists");
    else
        create_group(r, s, id, o.entries_read);
}

static void xgroup_setid(struct request *r) {
    struct client *c = r->client;
    struct group_options o;
    struct stream *s;
    struct stream_group *g;
    struct stream_id id;
    if (!parse_group_options(r, false, &o) || !need_group(r, &s, &g)) return;
    if (r->argc > 7) {
        refuse_subcommand(r);
        return;
    }
    if (is_top(r->argv[4]))
        id = s->last_id;
    else if (!args_edge_id(c, r->argv[4], 0, &id))
        return;
    stream_group_set_id(g, id, o.entries_read);
    reply_ok(c);
    changed_group(r, "xgroup-setid");
}

static void xgroup_destroy(struct request *r) {
    struct stream *s;
    if (!need_stream(r, false, &s)) return;
    struct stream_group *g = stream_group(s, r->argv[3]);
    reply_int(r->client, g != NULL);
    if (!g) return;
    stream_remove_group(s, g);
    changed_group(r, "xgroup-destroy");
}

static void xgroup_createconsumer(struct request *r) {
    struct stream *s;
    struct stream_group *g;
    if (!need_group(r, &s, &g)) return;
    bool is_new = !stream_group_consumer(g, r->argv[4]);
    reply_int(r->client, is_new);
    if (!is_new) return;
    stream_group_add_consumer(g, r->argv[4], clock_now_ms());
    changed_group(r, "xgroup-createconsumer");
}

static void xgroup_delconsumer(struct request *r) {
    struct stream *s;
    struct stream_group *g;
    if (!need_group(r, &s, &g)) return;
    struct stream_consumer *consumer = stream_group_consumer(g, r->argv[4]);
    reply_int(r->client, consumer ? (int64_t)stream_group_remove_consumer(g, consumer) : 0);
    if (consumer) changed_group(r, "xgroup-delconsumer");
}

static void xgroup_help(struct request *r) {
    static const char *const lines[] = {
        "CREATE <key> <group> <id|$> [MKSTREAM] [ENTRIESREAD <n>]",
        "    Make a consumer group that reads the entries behind <id>, or behind the last one ($).",
        "    MKSTREAM makes an empty stream if there is none; ENTRIESREAD tells how many entries",
        "    have been read up to there, from which the lag is computed.",
        "CREATECONSUMER <key> <group> <consumer>",
        "    Make a consumer. Reading or claiming makes one, too.",
        "DELCONSUMER <key> <group> <consumer>",
        "    Remove a consumer, and forget what is pending for it. Reply how much that is.",
        "DESTROY <key> <group>",
        "    Remove a consumer group.",
        "SETID <key> <group> <id|$> [ENTRIESREAD <n>]",
        "    Let the group go on reading behind <id>.",
        NULL,
    };
    reply_help(r->client, "XGROUP", lines);
}

/* --- XACK ------------------------------------------------------------------------------------ */

static void xack(struct request *r) {
    struct client *c = r->client;
    struct stream *s;
    struct streams_ids ids;
    if (!streams_read(r, &s)) return;
    struct stream_group *g = s ? stream_group(s, r->argv[2]) : NULL;
    if (!g) {
        reply_int(c, 0);
        return;
    }
    if (!streams_ids_read(c, r->argv + 3, r->argc - 3, &ids)) return;
    int64_t acked = 0;
    for (size_t i = 0; i < ids.count; i++)
        acked += stream_group_ack(g, ids.at[i]);
    streams_ids_close(&ids);
    reply_int(c, acked);
    db_metrics.dirty += acked; /* as in Redis, WATCH and client-side caches do not see it */
}

static const struct command xgroup_subcommands[] = {
    {"create", xgroup_create, -5, .flags = CMD_WRITE | CMD_DENYOOM, .first_key = 2, .group = GROUP_STREAM,
     .since = "5.0.0", .summary = "Make a consumer group.",
     .syntax = "key:key group id-selector:(id | new-id=$) [MKSTREAM] [ENTRIESREAD entriesread<entries-read>:integer]",
     .history = "7.0.0|`ENTRIESREAD`.", .key_flags = "RW insert"},
    {"createconsumer", xgroup_createconsumer, 5, .flags = CMD_WRITE | CMD_DENYOOM, .first_key = 2,
     .group = GROUP_STREAM, .since = "6.2.0", .summary = "Make a consumer in a group.",
     .syntax = "key:key group consumer", .key_flags = "RW insert"},
    {"delconsumer", xgroup_delconsumer, 5, .flags = CMD_WRITE, .first_key = 2, .group = GROUP_STREAM, .since = "5.0.0",
     .summary = "Remove a consumer, and what is pending for it.",
     .complexity = "O(n) for n pending entries of the group", .syntax = "key:key group consumer",
     .key_flags = "RW delete"},
    {"destroy", xgroup_destroy, 4, .flags = CMD_WRITE, .first_key = 2, .group = GROUP_STREAM, .since = "5.0.0",
     .summary = "Remove a consumer group.", .complexity = "O(n) for n pending entries of the group",
     .syntax = "key:key group", .key_flags = "RW delete"},
    {"help", xgroup_help, 2, .flags = CMD_LOADING | CMD_STALE, .group = GROUP_STREAM, .since = "5.0.0",
     .summary = "Describe the subcommands."},
    {"setid", xgroup_setid, -5, .flags = CMD_WRITE, .first_key = 2, .group = GROUP_STREAM, .since = "5.0.0",
     .summary = "Set the id behind which a group goes on reading.",
     .syntax = "key:key group id-selector:(id | new-id=$) [ENTRIESREAD entriesread<entries-read>:integer]",
     .history = "7.0.0|`ENTRIESREAD`."},
    {NULL},
};

static const struct command stream_groups_commands[] = {
    {"xack", xack, -4, .flags = CMD_WRITE | CMD_FAST, .first_key = 1, .group = GROUP_STREAM, .since = "5.0.0",
     .summary = "Acknowledge entries: they are pending no more. Reply how many were.",
     .complexity = "O(log n) an id, for n pending entries", .syntax = "key:key group id..."},
    {"xgroup", NULL, -2, .group = GROUP_STREAM, .since = "5.0.0", .summary = "Manage the consumer groups of a stream.",
     .complexity = "Depends on the subcommand", .subcommands = xgroup_subcommands},
    {NULL},
};

const struct module stream_groups_module = {.commands = stream_groups_commands};
