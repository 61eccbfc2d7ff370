/* Members of sets by name: adding, removing, moving, and asking for them. */
#include "cmd/sets.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/keys.h"
#include "cmd/lookup.h"
#include "store/set.h"

#define AHEAD 16 /* members that set_prefetch() takes at a time */

void sets_changed(struct db *db, const struct key *key, const char *event, int64_t members) {
    db_changed(db, key, DB_SET, event);
    db_metrics.dirty += members - 1;
}

void sets_removed(struct db *db, const struct key *key, struct entry *e, const char *event, int64_t members) {
    sets_changed(db, key, event, members);
    if (set_count(e) == 0) keys_delete_empty(db, key, e);
}

static void sadd(struct request *r) {
    struct db *db = r->client->db;
    struct entry *e;
    int64_t added;
    if (!lookup_write(r, ENTRY_SET, &e)) return;
    set_add(db, &r->key, e, r->argv + 2, r->argc - 2, &added);
    if (added) sets_changed(db, &r->key, "sadd", added);
    reply_int(r->client, added);
}

static void srem(struct request *r) {
    struct db *db = r->client->db;
    struct entry *e;
    int64_t removed = 0;
    if (!lookup_write(r, ENTRY_SET, &e)) return;
    if (e) e = set_remove(db, e, r->argv + 2, r->argc - 2, &removed);
    if (removed) sets_removed(db, &r->key, e, "srem", removed);
    reply_int(r->client, removed);
}

/* Take the member out of one set and put it into another, which may not exist yet. */
static void move_member(struct db *db, const struct key *from, struct entry *source, const struct key *to,
                        struct entry *target, struct slice member) {
    int64_t n;
    source = set_remove(db, source, &member, 1, &n);
    sets_removed(db, from, source, "srem", 1);
    set_add(db, to, target, &member, 1, &n);
    if (n) sets_changed(db, to, "sadd", 1);
}

static void smove(struct request *r) {
    struct client *c = r->client;
    struct db *db = c->db;
    struct key to = key_of(r->argv[2]);
    struct slice member = r->argv[3];
    struct entry *source = db_write(db, &r->key), *target = db_write(db, &to);
    if (!source) {
        reply_int(c, 0);
        return;
    }
    if (!lookup_is(c, source, ENTRY_SET) || !lookup_is(c, target, ENTRY_SET)) return;
    bool found = set_has(source, member);
    if (found && source != target) move_member(db, &r->key, source, &to, target, member);
    reply_int(c, found);
}

static void sismember(struct request *r) {
    struct entry *e;
    if (lookup_read(r, ENTRY_SET, &e)) reply_int(r->client, e && set_has(e, r->argv[2]));
}

static void smismember(struct request *r) {
    struct client *c = r->client;
    struct entry *e;
    if (!lookup_read(r, ENTRY_SET, &e)) return;
    reply_array(c, (size_t)r->argc - 2);
    for (int i = 2; i < r->argc; i++) {
        if (e && i % AHEAD == 2) set_prefetch(e, r->argv + i, r->argc - i);
        reply_int(c, e && set_has(e, r->argv[i]));
    }
}

static void scard(struct request *r) {
    struct entry *e;
    if (lookup_read(r, ENTRY_SET, &e)) reply_int(r->client, e ? (int64_t)set_count(e) : 0);
}

static const struct command_keys smove_keys[] = {
    {.flags = "RW access delete", .begin = 1, .step = 1, .keynum_at = -1},
    {.flags = "RW insert", .begin = 2, .step = 1, .keynum_at = -1},
    {.flags = NULL},
};

static const struct command sets_commands[] = {
    {"sadd", sadd, -3, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .first_key = 1, .member = 2, .group = GROUP_SET,
     .since = "1.0.0", .summary = "Put members into a set.", .complexity = "O(n) for n members put",
     .syntax = "key:key member...", .history = "2.4.0|Takes several members.", .key_flags = "RW insert"},
    {"srem", srem, -3, .flags = CMD_WRITE | CMD_FAST, .first_key = 1, .member = 2, .group = GROUP_SET, .since = "1.0.0",
     .summary = "Take members out of a set.", .complexity = "O(n) for n members taken", .syntax = "key:key member...",
     .history = "2.4.0|Takes several members.", .key_flags = "RW delete"},
    {"smove", smove, 4, .flags = CMD_WRITE | CMD_FAST, .first_key = 1, .last_key = 2, .group = GROUP_SET,
     .since = "1.0.0", .summary = "Take a member out of one set and put it into another.",
     .syntax = "source:key destination:key#1 member", .keys = smove_keys},
    {"sismember", sismember, 3, .flags = CMD_READONLY | CMD_FAST, .first_key = 1, .member = 2, .group = GROUP_SET,
     .since = "1.0.0", .summary = "Ask whether a set has a member.", .syntax = "key:key member", .key_flags = "RO"},
    {"smismember", smismember, -3, .flags = CMD_READONLY | CMD_FAST, .first_key = 1, .group = GROUP_SET,
     .since = "6.2.0", .summary = "Ask which of several members a set has.",
     .complexity = "O(n) for n members asked for", .syntax = "key:key member..."},
    {"scard", scard, 2, .flags = CMD_READONLY | CMD_FAST, .first_key = 1, .group = GROUP_SET, .since = "1.0.0",
     .summary = "Count the members of a set.", .syntax = "key:key", .key_flags = "RO"},
    {NULL},
};

const struct module sets_module = {.commands = sets_commands};
