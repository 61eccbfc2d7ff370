/* Parts of a hash: HRANDFIELD and HSCAN.
 *
 * HSCAN's cursor is SCAN's: a point in the order of the names' hashes, so that a field that is there from the
 * first call to the last is seen exactly once, whatever else comes and goes. A listpack comes all at once. */
#include "base/buf.h"
#include "base/glob.h"
#include "cmd/args.h"
#include "cmd/families.h"
#include "cmd/hashes.h"
#include "server/client.h"
#include "server/reply.h"

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

#define CURSOR_MASK ((UINT64_C(1) << 48) - 1)
#define LINES_PER_COUNT 10

struct scan {
    struct slice pattern; /* ptr NULL: all fields */
    int64_t count, visited;
    struct buf found; /* struct field * of those to reply */
};

static bool is_wanted(const struct scan *s, struct slice name) {
    return !s->pattern.ptr || glob_match(s->pattern, name);
}

static void visit(void *ctx, void *record) {
    struct scan *s = ctx;
    s->visited++;
    if (is_wanted(s, field_pair(record).name)) buf_append(&s->found, &record, sizeof record);
}

static void scan_table(struct client *c, const struct entry *e, uint64_t cursor, struct scan *s) {
    int64_t lines = s->count > INT64_MAX / LINES_PER_COUNT ? INT64_MAX : s->count * LINES_PER_COUNT;
    cursor &= CURSOR_MASK;
    do {
        cursor = fieldmap_scan(e, cursor, visit, s);
    } while (cursor && --lines > 0 && s->visited < s->count);

    size_t found = s->found.len / sizeof(struct field *);
    reply_array(c, 2);
    reply_bulk_int(c, (int64_t)cursor);
    reply_array(c, 2 * found);
    for (size_t i = 0; i < found; i++) {
        const struct field *f;
        memcpy(&f, s->found.data + i * sizeof f, sizeof f);
        struct field_pair pair = field_pair(f);
        reply_bulk(c, pair.name);
        reply_bulk(c, pair.value);
    }
    buf_free(&s->found);
}

static void scan_listpack(struct client *c, const struct entry *e, const struct scan *s) {
    struct fieldmap_iter it;
    struct field_pair pair;
    size_t found = 0;
    reply_array(c, 2);
    reply_bulk(c, SLICE("0"));
    size_t place = reply_hold(c);
    fieldmap_iter_init(&it, e);
    while (fieldmap_iter_next(&it, &pair)) {
        if (!is_wanted(s, pair.name)) continue;
        reply_bulk(c, pair.name);
        reply_bulk(c, pair.value);
        found += 2;
    }
    reply_array_at(c, place, found);
}

static void hscan(struct request *r) {
    struct client *c = r->client;
    struct scan s = {.count = 10};
    struct entry *e;
    uint64_t cursor;
    if (!args_cursor(c, r->argv[2], &cursor) || !hashes_find(r, &e)) return;
    if (!e) { /* what the options say is not looked at then */
        reply_array(c, 2);
        reply_bulk(c, SLICE("0"));
        reply_array(c, 0);
        return;
    }
    if (!args_scan(r->client, r->argv + 3, r->argc - 3, &s.pattern, &s.count)) return;
    if (entry_owns_memory(e)) {
        scan_table(c, e, cursor, &s);
    } else {
        scan_listpack(c, e, &s);
    }
}

const struct command hash_walk_commands[] = {
    {.name = "hrandfield",
     .body = hrandfield,
     .arity = -2,
     .flags = CMD_READONLY,
     .acl = ACL_HASH,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .group = GROUP_HASH,
     .since = "6.2.0",
     .summary = "Get one or multiple random fields from a hash",
     .complexity = "O(N) where N is the number of fields returned",
     .syntax = "key:key [options:(count:integer [WITHVALUES])]",
     .tips = "nondeterministic_output"},
    {.name = "hscan",
     .body = hscan,
     .arity = -3,
     .flags = CMD_READONLY,
     .acl = ACL_HASH,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .group = GROUP_HASH,
     .since = "2.8.0",
     .summary = "Incrementally iterate hash fields and associated values",
     .complexity = "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor "
                   "to return back to 0. N is the number of elements inside the collection..",
     .syntax = "key:key cursor:integer [MATCH pattern:pattern] [COUNT count:integer]",
     .tips = "nondeterministic_output"},
    {.name = NULL},
};
