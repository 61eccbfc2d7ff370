/* Members of sets, unnamed: all of them, some at random, some at a time. */
#include "base/buf.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/effect.h"
#include "cmd/sets.h"
#include "cmd/walk.h"
#include "exec/propagate.h"
#include "session/client.h"
#include "session/reply.h"
#include "store/set.h"

static void reply_member(void *client, struct listpack_value member) {
    if (member.ptr) {
        reply_bulk(client, slice_of(member.ptr, member.len));
    } else {
        reply_bulk_int(client, member.number);
    }
}

static void reply_all(struct client *c, const struct entry *e) {
    struct set_iter it;
    struct listpack_value member;
    set_iter_init(&it, e);
    while (set_iter_next(&it, &member))
        reply_member(c, member);
}

static void smembers(struct request *r) {
    struct entry *e;
    if (!sets_read(r, &e)) return;
    reply_set(r->client, e ? set_count(e) : 0);
    if (e) reply_all(r->client, e);
}

/* --- SPOP ------------------------------------------------------------------------------------ */

/* What is propagated for members that chance has chosen: SREM, with some of them at a time. Between two of
 * these the texts lie in `text`, each behind its length. */
struct popped {
    struct client *client;
    struct slice key;
    struct buf text;
    int members;
};

#define POPPED_MAX 1024 /* members of one SREM */

static void propagate_popped(struct popped *p) {
    if (p->members == 0) return;
    struct slice argv[POPPED_MAX + 2] = {SLICE("SREM"), p->key};
    const char *at = p->text.data;
    for (int i = 0; i < p->members; i++) {
        size_t len;
        memcpy(&len, at, sizeof len);
        argv[2 + i] = slice_of(at + sizeof len, len);
        at += sizeof len + len;
    }
    propagate_as(argv, p->members + 2);
    p->text.len = 0;
    p->members = 0;
}

static void pop(void *ctx, struct listpack_value member) {
    struct popped *p = ctx;
    char scratch[NUM_I64_MAX];
    struct slice text = listpack_value_text(member, scratch);
    reply_bulk(p->client, text);
    if (!propagate_wanted) return;
    buf_append(&p->text, &text.len, sizeof text.len);
    buf_append_slice(&p->text, text);
    if (++p->members == POPPED_MAX) propagate_popped(p);
}

static void end_pop(struct popped *p) {
    propagate_popped(p);
    buf_free(&p->text);
}

static void pop_one(struct request *r) {
    struct db *db = r->client->db;
    struct entry *e;
    if (!sets_write(r, &e)) return;
    if (!e) {
        reply_null(r->client);
        return;
    }
    struct popped p = {.client = r->client, .key = r->key.name};
    struct set_pick pick = set_random(e);
    pop(&p, pick.member);
    e = set_remove_pick(db, e, pick);
    sets_changed(db, &r->key, "spop", 1);
    sets_remove_if_empty(db, &r->key, e);
    end_pop(&p);
}

static void pop_all(struct request *r, struct entry *e) {
    struct db *db = r->client->db;
    size_t count = set_count(e);
    reply_set(r->client, count);
    reply_all(r->client, e);
    sets_changed(db, &r->key, "spop", (int64_t)count);
    db_remove(db, &r->key, e);
    db_notify(db, &r->key, DB_GENERIC, "del");
    effect_delete(r->key.name);
}

static void pop_many(struct request *r, struct entry *e, size_t count) {
    struct client *c = r->client;
    struct popped p = {.client = c, .key = r->key.name};
    reply_set(c, count);
    set_keep_random(c->db, e, set_count(e) - count, pop, &p);
    sets_changed(c->db, &r->key, "spop", (int64_t)count);
    end_pop(&p);
}

static void spop(struct request *r) {
    struct client *c = r->client;
    struct entry *e;
    int64_t count;
    if (r->argc == 2) {
        pop_one(r);
    } else if (r->argc > 3) {
        reply_syntax_error(c);
    } else if (args_count(c, r->argv[2], &count) && sets_write(r, &e)) {
        if (!e || count == 0) {
            reply_set(c, 0);
        } else if ((uint64_t)count >= set_count(e)) {
            pop_all(r, e);
        } else {
            pop_many(r, e, (size_t)count);
        }
    }
}

/* --- SRANDMEMBER ----------------------------------------------------------------------------- */

/* A count below zero asks for so many draws, each from all members. */
static void draw(struct client *c, const struct entry *e, uint64_t draws) {
    reply_array(c, draws);
    while (draws-- > 0)
        reply_member(c, set_random(e).member);
}

static void srandmember_many(struct request *r) {
    struct client *c = r->client;
    struct entry *e;
    int64_t count;
    if (!args_signed(c, r->argv[2], &count) || !sets_read(r, &e)) return;
    if (!e) {
        reply_array(c, 0);
    } else if (count < 0) {
        if (args_draws(c, count)) draw(c, e, (uint64_t)-count);
    } else if ((uint64_t)count >= set_count(e)) {
        reply_array(c, set_count(e));
        reply_all(c, e);
    } else {
        reply_array(c, (size_t)count);
        set_sample(e, (size_t)count, reply_member, c);
    }
}

static void srandmember(struct request *r) {
    struct client *c = r->client;
    struct entry *e;
    if (r->argc == 3) {
        srandmember_many(r);
    } else if (r->argc > 3) {
        reply_syntax_error(c);
    } else if (sets_read(r, &e)) {
        if (e) {
            reply_member(c, set_random(e).member);
        } else {
            reply_null(c);
        }
    }
}

/* --- SSCAN ----------------------------------------------------------------------------------- */

static void visit(void *walk, struct listpack_value member) {
    char digits[NUM_I64_MAX];
    struct slice text = listpack_value_text(member, digits);
    if (walk_wants(walk, text)) walk_add(walk, text);
}

static uint64_t step(struct walk *w, void *set, uint64_t cursor) {
    return set_scan(set, cursor, visit, w);
}

static void sscan(struct request *r) {
    walk_value(r, ENTRY_SET, step);
}

static const struct command set_walk_commands[] = {
    {"spop", spop, -2, .flags = CMD_WRITE | CMD_FAST, .first_key = 1, .group = GROUP_SET, .since = "1.0.0",
     .summary = "Draw members of a set at random, and take them out.", .complexity = "O(n) for n members taken",
     .syntax = "key:key [count:integer@3.2.0]", .tips = "nondeterministic_output", .history = "3.2.0|New: a count.",
     .key_flags = "RW access delete"},
    {"srandmember", srandmember, -2, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_SET, .since = "1.0.0",
     .summary = "Draw members of a set at random.", .complexity = "O(n) for n members drawn",
     .syntax = "key:key [count:integer@2.6.0]", .tips = "nondeterministic_output", .history = "2.6.0|New: a count."},
    {"smembers", smembers, 2, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_SET, .since = "1.0.0",
     .summary = "List the members of a set.", .complexity = "O(n) for n members", .syntax = "key:key",
     .tips = "nondeterministic_output_order"},
    {"sscan", sscan, -3, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_SET, .since = "2.8.0",
     .summary = "Go through the members of a set, some at each call.",
     .complexity = "O(1) a step, O(n) for all of n members",
     .syntax = "key:key cursor:integer [MATCH pattern:pattern] [COUNT count:integer]",
     .tips = "nondeterministic_output"},
    {NULL},
};

const struct module set_walk_module = {.commands = set_walk_commands};
