/* SCAN: a walk over the keyspace in many small steps, between which everything may change.
 *
 * The cursor is a place in the order of the keys' hashes, so that growing and
 * shrinking move nothing past it: see ds/table.h. A step visits at least COUNT keys
 * if there are so many, and at most 10 * COUNT lines of the table, full or not. */
#include "base/buf.h"
#include "base/glob.h"
#include "base/num.h"
#include "cmd/args.h"
#include "cmd/families.h"
#include "server/client.h"
#include "server/propagate.h"
#include "server/reply.h"

#define CURSOR_MASK ((UINT64_C(1) << 48) - 1)
#define ANY_TYPE (-1)
#define LINES_PER_COUNT 10

struct scan {
    struct slice pattern; /* ptr NULL: all keys */
    int type;             /* enum entry_type, ANY_TYPE, or ENTRY_TYPES for a name that no key has */
    int64_t count, visited;
    struct buf found; /* struct entry * of those to reply */
    struct buf due;   /* and of those past their deadline */
};

static int type_named(struct slice name) {
    int type = 0;
    while (type < ENTRY_TYPES && !slice_is(name, entry_type_name((enum entry_type)type)))
        type++;
    return type;
}

static bool parse_options(struct request *r, struct scan *s) {
    struct client *c = r->client;
    for (int i = 2; i < r->argc; i += 2) {
        struct slice value = i + 1 < r->argc ? r->argv[i + 1] : SLICE("");
        if (i + 1 == r->argc) goto syntax_error;
        if (slice_is(r->argv[i], "count")) {
            if (!args_i64(c, value, &s->count)) return false;
            if (s->count < 1) goto syntax_error;
        } else if (slice_is(r->argv[i], "match")) {
            s->pattern = glob_is_all(value) ? slice_of(NULL, 0) : value;
        } else if (slice_is(r->argv[i], "type")) {
            s->type = type_named(value);
        } else {
            goto syntax_error;
        }
    }
    return true;
syntax_error:
    reply_syntax_error(c);
    return false;
}

static void visit(void *ctx, void *record) {
    struct scan *s = ctx;
    struct entry *e = record;
    s->visited++;
    if (s->type != ANY_TYPE && (int)entry_type(e) != s->type) return;
    if (s->pattern.ptr && !glob_match(s->pattern, entry_key(e))) return;
    buf_append(db_is_due(e) ? &s->due : &s->found, &e, sizeof e);
}

static struct entry *entry_at(const struct buf *b, size_t i) {
    struct entry *e;
    memcpy(&e, b->data + i * sizeof e, sizeof e);
    return e;
}

/* A look-up removes what is past its deadline; the name is copied since it lives in the entry. */
static void remove_due(struct db *db, const struct buf *due) {
    for (size_t i = 0; i < due->len / sizeof(struct entry *); i++) {
        struct buf name = {0};
        buf_append_slice(&name, entry_key(entry_at(due, i)));
        struct key key = key_of(buf_slice(&name));
        db_look(db, &key);
        buf_free(&name);
    }
}

static void scan(struct request *r) {
    struct client *c = r->client;
    struct scan s = {.type = ANY_TYPE, .count = 10};
    uint64_t cursor;
    if (!args_cursor(c, r->argv[1], &cursor) || !parse_options(r, &s)) return;
    int64_t lines = s.count > INT64_MAX / LINES_PER_COUNT ? INT64_MAX : s.count * LINES_PER_COUNT;
    cursor &= CURSOR_MASK;
    do {
        cursor = db_scan(c->db, cursor, visit, &s);
    } while (cursor && --lines > 0 && s.visited < s.count);

    char digits[NUM_I64_MAX];
    size_t found = s.found.len / sizeof(struct entry *);
    reply_array(c, 2);
    reply_bulk(c, slice_of(digits, (size_t)num_print_u64(digits, cursor)));
    reply_array(c, found);
    for (size_t i = 0; i < found; i++)
        reply_bulk(c, entry_key(entry_at(&s.found, i)));
    propagate_apart();
    remove_due(c->db, &s.due);
    buf_free(&s.found);
    buf_free(&s.due);
}

const struct command scan_commands[] = {
    {.name = "scan",
     .body = scan,
     .arity = -2,
     .flags = CMD_READONLY,
     .acl = ACL_KEYSPACE,
     .group = GROUP_GENERIC,
     .since = "2.8.0",
     .summary = "Incrementally iterate the keys space",
     .complexity = "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor "
                   "to return back to 0. N is the number of elements inside the collection.",
     .syntax = "cursor:integer [MATCH pattern:pattern] [COUNT count:integer] [TYPE type@6.0.0]",
     .tips = "nondeterministic_output,request_policy:special",
     .history = "6.0.0|Added the `TYPE` subcommand."},
    {.name = NULL},
};
