/* The numbered databases: choosing one, swapping, counting and emptying them. */
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "exec/propagate.h"
#include "session/client.h"
#include "session/reply.h"
#include "session/request.h"
#include "store/db.h"

static void select_command(struct request *r) {
    if (args_db(r->client, r->argv[1], &r->client->db)) reply_ok(r->client);
}

static void swapdb(struct request *r) {
    struct client *c = r->client;
    int a, b;
    if (!args_is_int(r->argv[1], &a)) {
        reply_error(c, "ERR invalid first DB index");
    } else if (!args_is_int(r->argv[2], &b)) {
        reply_error(c, "ERR invalid second DB index");
    } else if (a < 0 || a >= db_count() || b < 0 || b >= db_count()) {
        reply_error(c, "ERR DB index is out of range");
    } else {
        db_swap(a, b);
        db_metrics.dirty++;
        reply_ok(c);
    }
}

static void dbsize(struct request *r) {
    reply_int(r->client, (int64_t)db_size(r->client->db));
}

/* The worker frees the keys, so that the server does not stand still meanwhile, unless SYNC asks to wait for it. */
static bool parse_flush(struct request *r, bool *in_background) {
    *in_background = true;
    if (r->argc == 1 || (r->argc == 2 && args_is_flush(r->argv[1], in_background))) return true;
    return args_syntax_error(r->client);
}

static void empty_db(struct db *db, bool in_background) {
    db_metrics.dirty += (int64_t)db_size(db);
    db_empty(db, in_background);
}

/* Propagated even if there was nothing to remove: a replica may have keys that this server has not. */
static void flushdb(struct request *r) {
    bool in_background;
    if (!parse_flush(r, &in_background)) return;
    empty_db(r->client->db, in_background);
    propagate_always();
    reply_ok(r->client);
}

static void flushall(struct request *r) {
    bool in_background;
    if (!parse_flush(r, &in_background)) return;
    for (int i = 0; i < db_count(); i++)
        empty_db(db_at(i), in_background);
    if (db_hooks.emptied) db_hooks.emptied();
    propagate_always();
    reply_ok(r->client);
}

static const struct command databases_commands[] = {
    {"select", select_command, 2, .flags = CMD_LOADING | CMD_STALE | CMD_FAST | CMD_IN_LOG, .group = GROUP_CONNECTION,
     .since = "1.0.0", .summary = "Choose the database for this connection.", .syntax = "index:integer"},
    {"swapdb", swapdb, 3, .flags = CMD_WRITE | CMD_FAST, .acl = ACL_KEYSPACE | ACL_DANGEROUS, .group = GROUP_SERVER,
     .since = "4.0.0", .summary = "Exchange the contents of two databases.",
     .complexity = "O(n) for n keys that clients watch or wait for", .syntax = "index1:integer index2:integer"},
    {"dbsize", dbsize, 1, .flags = CMD_READONLY | CMD_FAST, .acl = ACL_KEYSPACE, .group = GROUP_SERVER,
     .since = "1.0.0", .summary = "Count the keys of this database.",
     .tips = "request_policy:all_shards,response_policy:agg_sum"},
    {"flushdb", flushdb, -1, .flags = CMD_WRITE, .acl = ACL_KEYSPACE | ACL_DANGEROUS, .group = GROUP_SERVER,
     .since = "1.0.0", .summary = "Empty this database.", .complexity = "O(1), O(n) for n keys with SYNC",
     .syntax = "[flush-type:(ASYNC@4.0.0 | SYNC@6.2.0)]",
     .tips = "request_policy:all_shards,response_policy:all_succeeded",
     .history = "4.0.0|New: `ASYNC`.\n"
                "6.2.0|New: `SYNC`."},
    {"flushall", flushall, -1, .flags = CMD_WRITE, .acl = ACL_KEYSPACE | ACL_DANGEROUS, .group = GROUP_SERVER,
     .since = "1.0.0", .summary = "Empty all databases.",
     .complexity = "O(1) for each database, O(n) for n keys with SYNC",
     .syntax = "[flush-type:(ASYNC@4.0.0 | SYNC@6.2.0)]",
     .tips = "request_policy:all_shards,response_policy:all_succeeded",
     .history = "4.0.0|New: `ASYNC`.\n"
                "6.2.0|New: `SYNC`."},
    {NULL},
};

const struct module databases_module = {.commands = databases_commands};
