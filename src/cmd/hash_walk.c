/* Parts of a hash: HRANDFIELD and HSCAN. */
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/lookup.h"
#include "cmd/scan_step.h"
#include "store/fieldmap.h"

/* --- HRANDFIELD ------------------------------------------------------------------------------ */

struct drawing {
    struct client *client;
    bool with_values;
};

static void reply_drawn_field(void *ctx, const struct field_pair *pair) {
    struct drawing *d = ctx;
    if (d->with_values && d->client->resp > 2) reply_array(d->client, 2);
    reply_bulk(d->client, pair->name);
    if (d->with_values) reply_bulk(d->client, pair->value);
}

#define DRAWS 1024 /* between two looks at whether the reply is still wanted */

/* Each field is drawn from all. */
static void draw_repeated(const struct entry *e, size_t n, struct drawing *d) {
    for (size_t some; n > 0 && !reply_is_pointless(d->client); n -= some) {
        some = n < DRAWS ? n : DRAWS;
        fieldmap_draw(e, some, reply_drawn_field, d);
    }
}

/* A positive count asks for that many different fields, a negative one for that many draws, each from all fields. */
static void draw_fields(struct client *c, const struct entry *e, int64_t count, bool with_values) {
    size_t all = fieldmap_count(e), n = count < 0 ? (size_t)-count : (size_t)count;
    if (count > 0 && n > all) n = all;
    struct drawing d = {c, with_values};
    reply_array(c, with_values && c->resp == 2 ? 2 * n : n);
    if (count < 0) {
        draw_repeated(e, n, &d);
    } else {
        fieldmap_sample(e, n, reply_drawn_field, &d);
    }
}

static void hrandfield(struct request *r) {
    struct client *c = r->client;
    struct entry *e;
    int64_t count;
    bool single = r->argc == 2;
    if (!single && !args_draw_options(c, r->argv + 2, r->argc - 2, "withvalues", &count)) return;
    if (!lookup_read(r, ENTRY_HASH, &e)) return;
    if (single && e) {
        fieldmap_draw(e, 1, reply_drawn_field, &(struct drawing){c, false});
    } else if (single) {
        reply_null(c);
    } else if (!e || count == 0) {
        reply_array(c, 0);
    } else {
        draw_fields(c, e, count, r->argc == 4);
    }
}

/* --- HSCAN ----------------------------------------------------------------------------------- */

static void visit_pair(struct scan_step *s, struct field_pair pair) {
    if (!scan_step_wants(s, pair.name)) return;
    scan_step_add(s, pair.name);
    scan_step_add(s, pair.value);
}

static void visit_field(void *scan_step, void *record) {
    visit_pair(scan_step, field_pair(record));
}

static uint64_t visit_fields(struct scan_step *s, void *hash, uint64_t cursor) {
    struct fieldmap_iter it;
    struct field_pair pair;
    if (entry_owns_memory(hash)) return fieldmap_scan(hash, cursor, visit_field, s);
    fieldmap_iter_init(&it, hash);
    while (fieldmap_iter_next(&it, &pair))
        visit_pair(s, pair);
    return 0;
}

static void hscan(struct request *r) {
    scan_step_value(r, ENTRY_HASH, visit_fields);
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
