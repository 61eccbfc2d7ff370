/* See propagate.h. A body may replace its request by other commands; they are kept until the call ends, since only then
 * it is known whether anything changed.
 *
 * Whether a unit needs MULTI is known when its second command comes. So the first one is held, as a copy, and all
 * others go to the sink at once. The usual unit, one request without anything else, is never copied.
 *
 * Invariant: while no call is open, no command is kept or held. */
#include "exec/propagate.h"
#include "base/alloc.h"
#include "base/likely.h"
#include "base/module.h"
#include "base/option.h"
#include "session/request.h"
#include "store/changes.h"
#include <assert.h>

bool propagate_wanted;
struct propagate_call propagate_call;

static propagate_sink_fn sink;
static void *sink_ctx;
/* Keys that no command removed are propagated as UNLINK, not as DEL: lazyfree-lazy-expire, lazyfree-lazy-eviction. */
static bool unlink_expired, unlink_evicted;

/* A command with a copy of its arguments (request_copy_args()). */
struct copied {
    struct slice *argv; /* `bytes` in one allocation; NULL: none */
    size_t bytes;
    struct slice raw; /* in the same allocation, or empty */
    int argc;
    int db_id;
};

/* The commands that replace the request of the current call. */
static struct {
    struct copied *items;
    size_t count, cap;
} replacements;

static struct {
    size_t count;       /* commands since the outermost call was opened */
    int last_db;        /* database of the last of them */
    struct copied held; /* the first of them, until there is a second */
} unit;

/* --- Copies ---------------------------------------------------------------------------------- */

static struct copied copy_command(int db_id, const struct slice *argv, int argc, struct slice raw) {
    size_t bytes = request_args_size(argv, argc, raw);
    struct copied c = {.argv = alloc_get(bytes), .bytes = bytes, .argc = argc, .db_id = db_id};
    c.raw = request_copy_args(c.argv, argv, argc, raw);
    return c;
}

static void drop_copy(struct copied *c) {
    alloc_put(c->argv, c->bytes);
    *c = (struct copied){.argv = NULL};
}

static void send_command(int db_id, const struct slice *argv, int argc, struct slice raw) {
    if (sink) sink(sink_ctx, db_id, argv, argc, raw);
}

/* --- Units ----------------------------------------------------------------------------------- */

static void send_word(int db_id, struct slice word, struct slice raw) {
    send_command(db_id, &word, 1, raw);
}

static void send_held(void) {
    const struct copied *c = &unit.held;
    send_command(c->db_id, c->argv, c->argc, c->raw);
    drop_copy(&unit.held);
}

/* Give the unit a command. `last`: no other can follow in this unit. */
static void emit_command(int db_id, const struct slice *argv, int argc, struct slice raw, bool last) {
    if (propagate_call.apart || (unit.count == 0 && last)) {
        send_command(db_id, argv, argc, raw);
        return;
    }
    unit.count++;
    propagate_call.pending = true;
    unit.last_db = db_id;
    if (unit.count == 1) {
        unit.held = copy_command(db_id, argv, argc, raw);
        return;
    }
    if (unit.count == 2) {
        send_word(unit.held.db_id, SLICE("MULTI"), SLICE("*1\r\n$5\r\nMULTI\r\n"));
        send_held();
    }
    send_command(db_id, argv, argc, raw);
}

/* Close a call; the outermost sends what the unit still lacks. */
static void leave_call(void) {
    assert(propagate_call.depth > 0);
    if (--propagate_call.depth > 0) return;
    propagate_call.apart = propagate_call.pending = false;
    if (likely(unit.count == 0)) return;
    if (unit.count == 1) {
        send_held();
    } else {
        send_word(unit.last_db, SLICE("EXEC"), SLICE("*1\r\n$4\r\nEXEC\r\n"));
    }
    unit.count = 0;
}

/* --- Calls ----------------------------------------------------------------------------------- */

void propagate_nothing(void) {
    propagate_call.replaced = true;
}

void propagate_always(void) {
    propagate_call.always = true;
}

void propagate_apart(void) {
    propagate_call.apart = propagate_call.depth == 1 && unit.count == 0;
}

void propagate_as(const struct slice *argv, int argc) {
    propagate_call.replaced = true;
    if (!propagate_wanted) return;
    propagate_call.pending = true;
    if (replacements.count == replacements.cap)
        replacements.items = alloc_grow(replacements.items, &replacements.cap, sizeof *replacements.items, 4);
    replacements.items[replacements.count++] = copy_command(0, argv, argc, slice_of(NULL, 0));
}

void propagate_extra(struct db *db, const struct slice *argv, int argc) {
    if (propagate_wanted) emit_command(db->id, argv, argc, slice_of(NULL, 0), propagate_call.depth == 0);
}

void propagate_settle(struct db *db, const struct slice *argv, int argc, struct slice raw, bool changed) {
    if (propagate_wanted || replacements.count) {
        bool wanted = propagate_wanted && (changed || propagate_call.always), outermost = propagate_call.depth == 1;
        if (wanted && !propagate_call.replaced) emit_command(db->id, argv, argc, raw, outermost);
        for (size_t i = 0; i < replacements.count; i++) {
            struct copied *c = &replacements.items[i];
            if (wanted) emit_command(db->id, c->argv, c->argc, c->raw, outermost && i + 1 == replacements.count);
            drop_copy(c);
        }
        replacements.count = 0;
    }
    leave_call();
}

/* --- Keys that no command removed ------------------------------------------------------------ */

static void propagate_removal(struct db *db, const struct key *key, bool unlink) {
    struct slice argv[] = {unlink ? SLICE("UNLINK") : SLICE("DEL"), key->name};
    propagate_extra(db, argv, 2);
}

static void propagate_expired(struct db *db, const struct key *key) {
    propagate_removal(db, key, unlink_expired);
}

static void propagate_evicted(struct db *db, const struct key *key) {
    propagate_removal(db, key, unlink_evicted);
}

static const struct db_hooks hooks = {.expired = propagate_expired, .evicted = propagate_evicted};

void propagate_attach(propagate_sink_fn fn, void *ctx) {
    sink = fn;
    sink_ctx = ctx;
    propagate_wanted = fn != NULL;
    changes_listen(CHANGES_PROPAGATE, fn ? &hooks : NULL);
}

static const struct option propagate_rows[] = {
    {"lazyfree-lazy-expire", .type = OPTION_BOOL, .address = &unlink_expired, .initial = "no"},
    {"lazyfree-lazy-eviction", .type = OPTION_BOOL, .address = &unlink_evicted, .initial = "no"},
    {NULL},
};

const struct module propagate_module = {.options = propagate_rows};
