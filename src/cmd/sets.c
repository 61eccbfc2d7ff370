/* Members of sets, named: adding, removing, moving, asking. */
#include "cmd/sets.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/lookup.h"
#include "session/client.h"
#include "session/reply.h"
#include "store/set.h"

#define AHEAD 16 /* members that set_prefetch() takes at a time */

bool sets_read(struct request *r, struct entry **e) {
    *e = db_read(r->client->db, &r->key);
    return lookup_is(r->client, *e, ENTRY_SET);
}

bool sets_write(struct request *r, struct entry **e) {
    *e = db_write(r->client->db, &r->key);
    return lookup_is(r->client, *e, ENTRY_SET);
}

void sets_changed(struct db *db, const struct key *key, const char *event, int64_t members) {
    db_changed(db, key, DB_SET, event);
    db_metrics.dirty += members - 1; /* Redis counts members */
}

void sets_remove_if_empty(struct db *db, const struct key *key, struct entry *e) {
    if (set_count(e) > 0) return;
    db_remove(db, key, e);
    db_notify(db, key, DB_GENERIC, "del");
}

static void sadd(struct request *r) {
    struct db *db = r->client->db;
    struct entry *e;
    int64_t added;
    if (!sets_write(r, &e)) return;
    set_add(db, &r->key, e, r->argv + 2, r->argc - 2, &added);
    if (added) sets_changed(db, &r->key, "sadd", added);
    reply_int(r->client, added);
}

static void srem(struct request *r) {
    struct db *db = r->client->db;
    struct entry *e;
    int64_t removed = 0;
    if (!sets_write(r, &e)) return;
    if (e) e = set_remove(db, e, r->argv + 2, r->argc - 2, &removed);
    if (removed) {
        sets_changed(db, &r->key, "srem", removed);
        sets_remove_if_empty(db, &r->key, e);
    }
    reply_int(r->client, removed);
}

/* Take the member out of one set and put it into another one, which may not exist yet. */
static void move_member(struct db *db, const struct key *from, struct entry *source, const struct key *to,
                        struct entry *target, struct slice member) {
    int64_t n;
    source = set_remove(db, source, &member, 1, &n);
    sets_changed(db, from, "srem", 1);
    sets_remove_if_empty(db, from, source);
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
    if (!sets_read(r, &e)) return;
    reply_int(r->client, e && set_has(e, r->argv[2]));
}

static void smismember(struct request *r) {
    struct client *c = r->client;
    struct entry *e;
    if (!sets_read(r, &e)) return;
    reply_array(c, (size_t)r->argc - 2);
    for (int i = 2; i < r->argc; i++) {
        if (e && i % AHEAD == 2) set_prefetch(e, r->argv + i, r->argc - i);
        reply_int(c, e && set_has(e, r->argv[i]));
    }
}

static void scard(struct request *r) {
    struct entry *e;
    if (!sets_read(r, &e)) return;
    reply_int(r->client, e ? (int64_t)set_count(e) : 0);
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
