/* What a command says to the propagation log. A body may replace its request by other commands; they
 * are kept until exec closes the call, since only then it is known whether anything changed.
 *
 * Whether a unit needs MULTI is known when its second command comes. So the first one is held, as a copy, and all
 * others go straight to the sink. The usual unit, one request without anything else, is never copied. */
#include "exec/propagate.h"
#include "base/alloc.h"
#include "base/likely.h"
#include "base/module.h"
#include "base/option.h"
#include "store/changes.h"
#include <assert.h>

bool propagate_wanted;
struct propagate_call propagate_call;

static propagate_sink_fn sink;
static void *sink_ctx;
static bool unlink_expired; /* lazyfree-lazy-expire: replicas and the file are told by UNLINK */

/* A command with its arguments copied, one after another. */
struct copied {
    struct slice *argv; /* one allocation: the slices, the raw bytes or those of the arguments */
    int argc;
    int db_id;
    struct slice raw; /* its bytes are where the arguments are, if there are any */
    size_t bytes;
};

/* The commands that stand for the request of the call at hand. */
static struct {
    struct copied *items;
    size_t count, cap;
} call;

static struct {
    size_t count;       /* commands since the outermost was opened */
    int last_db;        /* database of the last one */
    struct copied held; /* the first one, until there is a second */
} unit;

/* --- copies ---------------------------------------------------------------------------------- */

static struct copied copy(int db_id, const struct slice *argv, int argc, struct slice raw) {
    size_t slices = (size_t)argc * sizeof *argv, bytes = slices + raw.len;
    for (int i = 0; raw.len == 0 && i < argc; i++)
        bytes += argv[i].len;
    struct copied c = {.argv = alloc_get(bytes), .argc = argc, .db_id = db_id, .bytes = bytes};
    char *to = (char *)c.argv + slices;
    if (raw.len) {
        memcpy(to, raw.ptr, raw.len);
        c.raw = slice_of(to, raw.len);
    }
    for (int i = 0; i < argc; i++) {
        if (raw.len) {
            c.argv[i] = slice_of(to + (argv[i].ptr - raw.ptr), argv[i].len);
            continue;
        }
        memcpy(to, argv[i].ptr, argv[i].len);
        c.argv[i] = slice_of(to, argv[i].len);
        to += argv[i].len;
    }
    return c;
}

static void drop(struct copied *c) {
    alloc_put(c->argv, c->bytes);
    *c = (struct copied){.argv = NULL};
}

static void send(int db_id, const struct slice *argv, int argc, struct slice raw) {
    if (sink) sink(sink_ctx, db_id, argv, argc, raw);
}

/* --- units ----------------------------------------------------------------------------------- */

static void send_word(int db_id, struct slice word, struct slice raw) {
    send(db_id, &word, 1, raw);
}

static void send_held(void) {
    const struct copied *c = &unit.held;
    send(c->db_id, c->argv, c->argc, c->raw);
    drop(&unit.held);
}

/* `last`: nothing can follow in this unit. */
static void emit(int db_id, const struct slice *argv, int argc, struct slice raw, bool last) {
    if (propagate_call.apart || (unit.count == 0 && last)) {
        send(db_id, argv, argc, raw);
        return;
    }
    unit.count++;
    propagate_call.pending = true;
    unit.last_db = db_id;
    if (unit.count == 1) {
        unit.held = copy(db_id, argv, argc, raw);
        return;
    }
    if (unit.count == 2) {
        send_word(unit.held.db_id, SLICE("MULTI"), SLICE("*1\r\n$5\r\nMULTI\r\n"));
        send_held();
    }
    send(db_id, argv, argc, raw);
}

static void leave(void) {
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

void propagate_unit_begin(void) {
    propagate_call.depth++;
}

void propagate_unit_end(void) {
    leave();
}

bool propagate_in_unit(void) {
    return propagate_call.depth > 0;
}

/* --- calls ----------------------------------------------------------------------------------- */

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
    if (call.count == call.cap) call.items = alloc_grow(call.items, &call.cap, sizeof *call.items, 4);
    call.items[call.count++] = copy(0, argv, argc, slice_of(NULL, 0));
}

void propagate_extra(struct db *db, const struct slice *argv, int argc) {
    if (propagate_wanted) emit(db->id, argv, argc, slice_of(NULL, 0), propagate_call.depth == 0);
}

void propagate_settle(struct db *db, const struct slice *argv, int argc, struct slice raw, bool changed) {
    if (propagate_wanted || call.count) {
        bool told = propagate_wanted && (changed || propagate_call.always), outermost = propagate_call.depth == 1;
        if (told && !propagate_call.replaced) emit(db->id, argv, argc, raw, outermost);
        for (size_t i = 0; i < call.count; i++) {
            struct copied *c = &call.items[i];
            if (told) emit(db->id, c->argv, c->argc, c->raw, outermost && i + 1 == call.count);
            drop(c);
        }
        call.count = 0;
    }
    leave();
}

/* --- keys that go without a command ---------------------------------------------------------- */

static void key_expired(struct db *db, const struct key *key) {
    struct slice argv[] = {unlink_expired ? SLICE("UNLINK") : SLICE("DEL"), key->name};
    propagate_extra(db, argv, 2);
}

static void key_evicted(struct db *db, const struct key *key) {
    struct slice argv[] = {SLICE("DEL"), key->name};
    propagate_extra(db, argv, 2);
}

static const struct db_hooks hooks = {.expired = key_expired, .evicted = key_evicted};

void propagate_attach(propagate_sink_fn fn, void *ctx) {
    sink = fn;
    sink_ctx = ctx;
    propagate_wanted = fn != NULL;
    changes_listen(CHANGES_PROPAGATE, fn ? &hooks : NULL);
}

static const struct option propagate_rows[] = {
    {"lazyfree-lazy-expire", .type = OPTION_BOOL, .address = &unlink_expired, .initial = "no"},
    {NULL},
};

const struct module propagate_module = {.options = propagate_rows};
