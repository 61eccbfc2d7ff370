/* Keys with any type of value: removing, counting, listing, renaming and copying them. */
#include "cmd/keys.h"
#include "base/glob.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/lookup.h"
#include "exec/propagate.h"
#include "session/client.h"
#include "session/reply.h"
#include "session/request.h"
#include "store/db.h"

/* DEL, and UNLINK too: the worker frees large values either way. */
static void del(struct request *r) {
    struct db *db = r->client->db;
    struct key keys[LOOKUP_AHEAD];
    int64_t removed = 0;
    for (int i = 1, n; i < r->argc; i += n) {
        n = lookup_ahead(db, r->argv + i, r->argc - i, 1, keys);
        for (int k = 0; k < n; k++) {
            struct entry *e = db_write(db, &keys[k]);
            if (!e) continue;
            keys_delete(db, &keys[k], e);
            removed++;
        }
    }
    reply_int(r->client, removed);
}

static void count_existing(struct request *r, bool touch) {
    struct db *db = r->client->db;
    struct key keys[LOOKUP_AHEAD];
    int64_t found = 0;
    for (int i = 1, n; i < r->argc; i += n) {
        n = lookup_ahead(db, r->argv + i, r->argc - i, 1, keys);
        for (int k = 0; k < n; k++)
            found += (touch ? db_read(db, &keys[k]) : lookup_untouched(db, &keys[k])) != NULL;
    }
    reply_int(r->client, found);
}

static void exists(struct request *r) {
    count_existing(r, false);
}

static void touch(struct request *r) {
    count_existing(r, true);
}

static void type(struct request *r) {
    struct entry *e = lookup_untouched(r->client->db, &r->key);
    reply_status(r->client, e ? entry_type_name(entry_type(e)) : "none");
}

static void randomkey(struct request *r) {
    propagate_apart();
    struct entry *e = db_random(r->client->db);
    if (e) {
        reply_bulk(r->client, entry_key(e));
    } else {
        reply_null(r->client);
    }
}

static void keys(struct request *r) {
    struct slice pattern = r->argv[1];
    bool all = glob_is_all(pattern);
    size_t place = reply_hold(r->client), found = 0;
    struct table_iter it;
    const struct entry *e;
    table_iter_init(&it, &r->client->db->keys);
    while ((e = table_iter_next(&it)) && !reply_is_pointless(r->client)) {
        struct slice name = entry_key(e);
        if ((!all && !glob_match(pattern, name)) || db_is_due(e)) continue;
        reply_bulk(r->client, name);
        found++;
    }
    reply_array_at(r->client, place, found);
}

/* Remove the key under whose name another is to be put. False: it exists, and must not be replaced. */
static bool make_way(struct db *db, const struct key *to, bool replace) {
    struct entry *e = db_write(db, to);
    if (!e) return true;
    if (replace) db_remove(db, to, e);
    return replace;
}

/* The source is looked up twice, because make_way() may move its entry. */
static void rename_key(struct request *r, bool replace) {
    struct client *c = r->client;
    struct db *db = c->db;
    struct key to = key_of(r->argv[2]);
    bool same = slice_eq(r->key.name, to.name), done = false;
    if (!db_write(db, &r->key)) {
        reply_no_key(c);
        return;
    }
    if (!same && make_way(db, &to, replace)) {
        db_attach(db, &to, db_detach(db, &r->key, db_peek(db, &r->key)));
        db_notify(db, &r->key, DB_GENERIC, "rename_from"); /* two events, but one change */
        db_changed(db, &to, DB_GENERIC, "rename_to");
        done = true;
    }
    if (replace) {
        reply_ok(c);
    } else {
        reply_int(c, done);
    }
}

static void rename_command(struct request *r) {
    rename_key(r, true);
}

static void renamenx(struct request *r) {
    rename_key(r, false);
}

static void reply_same(struct client *c) {
    reply_error(c, "ERR source and destination objects are the same");
}

static void move(struct request *r) {
    struct client *c = r->client;
    struct db *from = c->db, *to;
    if (!args_db(c, r->argv[2], &to)) return;
    if (from == to) {
        reply_same(c);
        return;
    }
    struct entry *e = db_write(from, &r->key);
    if (!e || !make_way(to, &r->key, false)) {
        reply_int(c, 0);
        return;
    }
    db_attach(to, &r->key, db_detach(from, &r->key, e));
    db_notify(from, &r->key, DB_GENERIC, "move_from"); /* two events, but one change */
    db_changed(to, &r->key, DB_GENERIC, "move_to");
    reply_int(c, 1);
}

static bool parse_copy(struct request *r, struct db **to, bool *replace) {
    for (int i = 3; i < r->argc; i++) {
        if (slice_is(r->argv[i], "replace")) {
            *replace = true;
        } else if (slice_is(r->argv[i], "db") && i + 1 < r->argc) {
            if (!args_db(r->client, r->argv[++i], to)) return false;
        } else {
            return args_syntax_error(r->client);
        }
    }
    return true;
}

static void copy(struct request *r) {
    struct client *c = r->client;
    struct db *from = c->db, *to = from;
    struct key name = key_of(r->argv[2]);
    bool replace = false;
    if (!parse_copy(r, &to, &replace)) return;
    if (from == to && slice_eq(r->key.name, name.name)) {
        reply_same(c);
        return;
    }
    if (!db_read(from, &r->key) || !make_way(to, &name, replace)) {
        reply_int(c, 0);
        return;
    }
    const struct entry *e = db_peek(from, &r->key);
    db_copy(to, &name, e, entry_deadline_ms(e));
    db_changed(to, &name, DB_GENERIC, "copy_to");
    reply_int(c, 1);
}

static const struct command_keys rename_command_keys[] = {
    {.flags = "RW access delete", .begin = 1, .step = 1, .keynum_at = -1},
    {.flags = "OW update", .begin = 2, .step = 1, .keynum_at = -1},
    {.flags = NULL},
};

static const struct command_keys renamenx_keys[] = {
    {.flags = "RW access delete", .begin = 1, .step = 1, .keynum_at = -1},
    {.flags = "OW insert", .begin = 2, .step = 1, .keynum_at = -1},
    {.flags = NULL},
};

static const struct command_keys copy_keys[] = {
    {.flags = "RO access", .begin = 1, .step = 1, .keynum_at = -1},
    {.flags = "OW update", .begin = 2, .step = 1, .keynum_at = -1},
    {.flags = NULL},
};

static const struct command keys_commands[] = {
    {"del", del, -2, .flags = CMD_WRITE, .first_key = 1, .last_key = -1, .since = "1.0.0",
     .summary = "Remove keys with their values.",
     .complexity = "O(n) for n keys; large values are freed in the background", .syntax = "key:key...",
     .tips = "request_policy:multi_shard,response_policy:agg_sum", .key_flags = "RM delete"},
    {"unlink", del, -2, .flags = CMD_WRITE | CMD_FAST, .first_key = 1, .last_key = -1, .since = "4.0.0",
     .summary = "Remove keys with their values, just as DEL does.",
     .complexity = "O(n) for n keys; large values are freed in the background", .syntax = "key:key...",
     .tips = "request_policy:multi_shard,response_policy:agg_sum", .key_flags = "RM delete"},
    {"exists", exists, -2, .flags = CMD_READONLY | CMD_FAST, .first_key = 1, .last_key = -1, .since = "1.0.0",
     .summary = "Count how many of these keys exist.", .complexity = "O(n) for n keys", .syntax = "key:key...",
     .tips = "request_policy:multi_shard,response_policy:agg_sum", .history = "3.0.3|Takes several keys.",
     .key_flags = "RO"},
    {"touch", touch, -2, .flags = CMD_READONLY | CMD_FAST | CMD_TOUCHES_ALWAYS, .first_key = 1, .last_key = -1,
     .since = "3.2.1", .summary = "Mark keys as used just now, and count those that exist.",
     .complexity = "O(n) for n keys", .syntax = "key:key...",
     .tips = "request_policy:multi_shard,response_policy:agg_sum", .key_flags = "RO"},
    {"type", type, 2, .flags = CMD_READONLY | CMD_FAST, .first_key = 1, .since = "1.0.0",
     .summary = "Tell the type of a value.", .syntax = "key:key", .key_flags = "RO"},
    {"randomkey", randomkey, 1, .flags = CMD_READONLY, .since = "1.0.0", .summary = "Draw a key at random.",
     .tips = "request_policy:all_shards,response_policy:special,nondeterministic_output"},
    {"keys", keys, 2, .flags = CMD_READONLY, .acl = ACL_KEYSPACE | ACL_DANGEROUS, .since = "1.0.0",
     .summary = "List the keys that match a pattern.", .complexity = "O(n) for n keys in the database",
     .syntax = "pattern:pattern", .tips = "request_policy:all_shards,nondeterministic_output_order"},
    {"rename", rename_command, 3, .flags = CMD_WRITE, .first_key = 1, .last_key = 2, .since = "1.0.0",
     .summary = "Give a value another key.", .syntax = "key:key newkey:key#1", .keys = rename_command_keys},
    {"renamenx", renamenx, 3, .flags = CMD_WRITE | CMD_FAST, .first_key = 1, .last_key = 2, .since = "1.0.0",
     .summary = "Give a value another key, if that is free.", .syntax = "key:key newkey:key#1",
     .history = "3.2.0|The same key twice is no error.", .keys = renamenx_keys},
    {"move", move, 3, .flags = CMD_WRITE | CMD_FAST, .first_key = 1, .since = "1.0.0",
     .summary = "Put a key into another database.", .syntax = "key:key db:integer", .key_flags = "RW access update"},
    {"copy", copy, -3, .flags = CMD_WRITE | CMD_DENYOOM, .first_key = 1, .last_key = 2, .since = "6.2.0",
     .summary = "Give another key the same value.",
     .complexity = "O(n) for n bytes of the value; long strings are shared",
     .syntax = "source:key destination:key#1 [DB destination-db:integer] [REPLACE]", .keys = copy_keys},
    {NULL},
};

const struct module keys_module = {.commands = keys_commands};
