/* Parts of a hash: HRANDFIELD and HSCAN. */
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/hashes.h"
#include "cmd/walk.h"
#include "session/client.h"
#include "session/reply.h"
#include "store/fieldmap.h"

/* --- HRANDFIELD ------------------------------------------------------------------------------ */

struct picks {
    struct client *client;
    bool with_values;
};

static void reply_pick(void *ctx, const struct field_pair *pair) {
    struct picks *p = ctx;
    if (p->with_values && p->client->resp > 2) reply_array(p->client, 2);
    reply_bulk(p->client, pair->name);
    if (p->with_values) reply_bulk(p->client, pair->value);
}

static void pick_many(struct request *r, int64_t count, bool with_values) {
    struct client *c = r->client;
    struct entry *e;
    if (!hashes_find(r, &e)) return;
    if (!e || count == 0) {
        reply_array(c, 0);
        return;
    }
    if (!args_draws(c, count)) return;
    size_t all = fieldmap_count(e), n = count < 0 ? (size_t)-count : (size_t)count;
    if (count > 0 && n > all) n = all;
    struct picks p = {c, with_values};
    reply_array(c, with_values && c->resp == 2 ? 2 * n : n);
    (count < 0 ? fieldmap_draw : fieldmap_sample)(e, n, reply_pick, &p);
}

static void hrandfield(struct request *r) {
    struct client *c = r->client;
    struct entry *e;
    struct picks p = {c, false};
    int64_t count;
    if (r->argc == 2) {
        if (!hashes_find(r, &e)) return;
        if (e) {
            fieldmap_draw(e, 1, reply_pick, &p);
        } else {
            reply_null(c);
        }
        return;
    }
    if (!args_signed(c, r->argv[2], &count)) return;
    bool with_values = r->argc == 4 && slice_is(r->argv[3], "withvalues");
    if (r->argc > 3 && !with_values) {
        reply_syntax_error(c);
        return;
    }
    if (with_values && (count < -INT64_MAX / 2 || count > INT64_MAX / 2)) {
        reply_error(c, "ERR value is out of range");
        return;
    }
    pick_many(r, count, with_values);
}

/* --- HSCAN ----------------------------------------------------------------------------------- */

static void visit(void *walk, void *record) {
    struct field_pair pair = field_pair(record);
    if (!walk_wants(walk, pair.name)) return;
    walk_add(walk, pair.name);
    walk_add(walk, pair.value);
}

static uint64_t step(struct walk *w, void *hash, uint64_t cursor) {
    struct fieldmap_iter it;
    struct field_pair pair;
    if (entry_owns_memory(hash)) return fieldmap_scan(hash, cursor, visit, w);
    fieldmap_iter_init(&it, hash);
    while (fieldmap_iter_next(&it, &pair)) {
        if (!walk_wants(w, pair.name)) continue;
        walk_add(w, pair.name);
        walk_add(w, pair.value);
    }
    return 0;
}

static void hscan(struct request *r) {
    walk_value(r, ENTRY_HASH, step);
}

static const struct command hash_walk_commands[] = {
    {"hrandfield", hrandfield, -2, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_HASH, .since = "6.2.0",
     .summary = "Draw fields of a hash at random.", .complexity = "O(n) for n fields drawn",
     .syntax = "key:key [options:(count:integer [WITHVALUES])]", .tips = "nondeterministic_output"},
    {"hscan", hscan, -3, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_HASH, .since = "2.8.0",
     .summary = "Go through the fields of a hash, some at each call.",
     .complexity = "O(1) a step, O(n) for all of n fields",
     .syntax = "key:key cursor:integer [MATCH pattern:pattern] [COUNT count:integer]",
     .tips = "nondeterministic_output"},
    {NULL},
};

const struct module hash_walk_module = {.commands = hash_walk_commands};
