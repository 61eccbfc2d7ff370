/* Members of sets that are not named: all of them, some drawn at random, some at each call of SSCAN. */
#include "base/buf.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/effect.h"
#include "cmd/keys.h"
#include "cmd/lookup.h"
#include "cmd/scan_step.h"
#include "cmd/sets.h"
#include "exec/propagate.h"
#include "store/set.h"

static void reply_member(void *client, struct listpack_value member) {
    lookup_reply(client, member);
}

static void reply_members(struct client *c, const struct entry *e) {
    struct set_iter it;
    struct listpack_value member;
    set_iter_init(&it, e);
    while (set_iter_next(&it, &member) && !reply_is_pointless(c))
        lookup_reply(c, member);
}

static void smembers(struct request *r) {
    struct entry *e;
    if (!lookup_read(r, ENTRY_SET, &e)) return;
    reply_set(r->client, e ? set_count(e) : 0);
    if (e) reply_members(r->client, e);
}

/* --- SPOP ------------------------------------------------------------------------------------ */

/* Members that were popped, and that no SREM has propagated yet. Chance has chosen them, so replicas have to be told
 * which they are. */
struct popped {
    struct client *client;
    struct slice key;
    struct buf text; /* their lengths, each with the bytes of the member behind it */
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

static void pop_member(void *popped, struct listpack_value member) {
    struct popped *p = popped;
    char digits[NUM_I64_MAX];
    struct slice text = listpack_value_text(member, digits);
    reply_bulk(p->client, text);
    if (!propagate_wanted) return;
    buf_append(&p->text, &text.len, sizeof text.len);
    buf_append_slice(&p->text, text);
    if (++p->members == POPPED_MAX) propagate_popped(p);
}

static void popped_end(struct popped *p) {
    propagate_popped(p);
    buf_free(&p->text);
}

static void pop_one(struct request *r, struct entry *e) {
    struct db *db = r->client->db;
    struct popped p = {.client = r->client, .key = r->key.name};
    struct set_pick pick = set_random(e);
    pop_member(&p, pick.member);
    e = set_remove_pick(db, e, pick);
    sets_removed(db, &r->key, e, "spop", 1);
    popped_end(&p);
}

static void pop_all(struct request *r, struct entry *e) {
    struct db *db = r->client->db;
    size_t count = set_count(e);
    reply_set(r->client, count);
    reply_members(r->client, e);
    sets_changed(db, &r->key, "spop", (int64_t)count);
    keys_delete_empty(db, &r->key, e);
    effect_delete(r->key.name);
}

static void pop_some(struct request *r, struct entry *e, size_t count) {
    struct client *c = r->client;
    struct popped p = {.client = c, .key = r->key.name};
    reply_set(c, count);
    set_keep_random(c->db, e, set_count(e) - count, pop_member, &p);
    sets_changed(c->db, &r->key, "spop", (int64_t)count);
    popped_end(&p);
}

static void spop(struct request *r) {
    struct client *c = r->client;
    struct entry *e;
    int64_t count = 0;
    bool single = r->argc == 2;
    if (r->argc > 3) {
        reply_syntax_error(c);
        return;
    }
    if ((!single && !args_count(c, r->argv[2], &count)) || !lookup_write(r, ENTRY_SET, &e)) return;
    if (single && e) {
        pop_one(r, e);
    } else if (single) {
        reply_null(c);
    } else if (!e || count == 0) {
        reply_set(c, 0);
    } else if ((uint64_t)count >= set_count(e)) {
        pop_all(r, e);
    } else {
        pop_some(r, e, (size_t)count);
    }
}

/* --- SRANDMEMBER ----------------------------------------------------------------------------- */

/* A positive count asks for that many different members, a negative one for that many draws, each from all members. */
static void draw_from_set(struct client *c, const struct entry *e, int64_t count) {
    if (count < 0) {
        reply_array(c, (size_t)-count);
        while (count++ < 0 && !reply_is_pointless(c))
            lookup_reply(c, set_random(e).member);
    } else if ((uint64_t)count >= set_count(e)) {
        reply_array(c, set_count(e));
        reply_members(c, e);
    } else {
        reply_array(c, (size_t)count);
        set_sample(e, (size_t)count, reply_member, c);
    }
}

static void srandmember(struct request *r) {
    struct client *c = r->client;
    struct entry *e;
    int64_t count;
    bool single = r->argc == 2;
    if (r->argc > 3) {
        reply_syntax_error(c);
        return;
    }
    if ((!single && !args_signed(c, r->argv[2], &count)) || !lookup_read(r, ENTRY_SET, &e)) return;
    if (single && e) {
        lookup_reply(c, set_random(e).member);
    } else if (single) {
        reply_null(c);
    } else if (!e) {
        reply_array(c, 0);
    } else {
        draw_from_set(c, e, count);
    }
}

/* --- SSCAN ----------------------------------------------------------------------------------- */

static void visit_set_member(void *scan_step, struct listpack_value member) {
    char digits[NUM_I64_MAX];
    struct slice text = listpack_value_text(member, digits);
    if (scan_step_wants(scan_step, text)) scan_step_add(scan_step, text);
}

static uint64_t visit_set(struct scan_step *s, void *set, uint64_t cursor) {
    return set_scan(set, cursor, visit_set_member, s);
}

static void sscan(struct request *r) {
    scan_step_value(r, ENTRY_SET, visit_set);
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
