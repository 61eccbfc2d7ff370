/* SCAN: the keys of a database, some at each call (cmd/scan_step.h). */
#include "base/buf.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/scan_step.h"
#include "exec/propagate.h"
#include "session/client.h"
#include "session/request.h"

#define ANY_TYPE (-1)

struct scan {
    struct scan_step step;
    struct db *db;
    int type;       /* enum entry_type; ANY_TYPE; or ENTRY_TYPES for a name that is no type, which matches no key */
    struct buf due; /* struct entry * of the keys past their deadline: the visit itself must not remove them */
};

static int type_named(struct slice name) {
    int type = 0;
    while (type < ENTRY_TYPES && !slice_is(name, entry_type_name((enum entry_type)type)))
        type++;
    return type;
}

static bool parse_scan_options(struct request *r, struct scan *s) {
    struct slice type = {NULL, 0};
    if (!args_scan(r->client, r->argv + 2, r->argc - 2, &s->step.pattern, &s->step.count, &type)) return false;
    if (type.ptr) s->type = type_named(type);
    return true;
}

static void visit_key(void *ctx, void *record) {
    struct scan *s = ctx;
    struct entry *e = record;
    if (!scan_step_wants(&s->step, entry_key(e))) return;
    if (db_is_due(e)) {
        buf_append(&s->due, &e, sizeof e);
    } else if (s->type == ANY_TYPE || (int)entry_type(e) == s->type) {
        scan_step_add(&s->step, entry_key(e));
    }
}

static uint64_t visit_keys(struct scan_step *s, void *scan, uint64_t cursor) {
    (void)s;
    return db_scan(((struct scan *)scan)->db, cursor, visit_key, scan);
}

/* A look-up removes a key past its deadline. The name is copied, since it lies in the entry that goes. */
static void remove_due(struct db *db, const struct buf *due) {
    for (size_t at = 0; at < due->len; at += sizeof(struct entry *)) {
        struct entry *e;
        struct buf name = {0};
        memcpy(&e, due->data + at, sizeof e);
        buf_append_slice(&name, entry_key(e));
        struct key key = key_of(buf_slice(&name));
        db_look(db, &key);
        buf_free(&name);
    }
}

static void scan(struct request *r) {
    struct client *c = r->client;
    struct scan s = {.step = {.client = c, .count = SCAN_STEP_COUNT}, .db = c->db, .type = ANY_TYPE};
    uint64_t cursor;
    if (!args_cursor(c, r->argv[1], &cursor) || !parse_scan_options(r, &s)) return;
    scan_step_run(&s.step, &s, cursor, visit_keys);
    propagate_apart();
    remove_due(c->db, &s.due);
    buf_free(&s.due);
}

static const struct command scan_commands[] = {
    {"scan", scan, -2, .flags = CMD_READONLY, .since = "2.8.0",
     .summary = "Go through the keys of this database, some at each call.",
     .complexity = "O(1) a step, O(n) for all of n keys",
     .syntax = "cursor:integer [MATCH pattern:pattern] [COUNT count:integer] [TYPE type@6.0.0]",
     .tips = "nondeterministic_output,request_policy:special,response_policy:special", .history = "6.0.0|New: `TYPE`."},
    {NULL},
};

const struct module scan_module = {.commands = scan_commands};
