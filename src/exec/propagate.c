/* See propagate.h. A body may replace its request by other commands; they are kept until the call ends, since only then
 * it is known whether anything changed.
 *
 * Whether a unit needs MULTI is known when its second command comes. So the first one is held, as a copy, and all
 * others go to the log at once. The usual unit, one request without anything else, is copied once: into the log.
 *
 * What is for both targets is written to the log, which the file follows as long as nothing else comes in between
 * (aof/aof_write.h). What is for the file only is not in the log, but in the file's own memory.
 *
 * Invariant: while no call is open, no command is kept or held. */
#include "exec/propagate.h"
#include "aof/aof_write.h"
#include "base/alloc.h"
#include "base/blob.h"
#include "base/likely.h"
#include "base/module.h"
#include "base/option.h"
#include "net/conn.h"
#include "oplog/oplog.h"
#include "session/client.h"
#include "session/request.h"
#include "store/changes.h"
#include <assert.h>

#define REFER_ARGS 32 /* a request with more arguments is copied: a blob is looked for in all of its blobs */

bool propagate_wanted;
unsigned propagate_targets = PROPAGATE_BOTH;
struct propagate_call propagate_call;

static unsigned wanting; /* enum propagate_target: those that want the changes */
static bool local_only;  /* the stream is a primary's */
/* Keys that no command removed are propagated as UNLINK, not as DEL: lazyfree-lazy-expire, lazyfree-lazy-eviction. */
static bool unlink_expired, unlink_evicted;

/* A command with a copy of its arguments (request_copy_args()). */
struct copied {
    struct slice *argv; /* `bytes` in one allocation; NULL: none */
    size_t bytes;
    struct slice raw; /* in the same allocation, or empty */
    int argc;
    int db_id;
    enum propagate_target target;
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

/* --- The log and the file -------------------------------------------------------------------- */

/* Large arguments that have come in blobs of their own are not copied. False: there are none, or it is not worth it. */
static __attribute__((noinline)) bool send_large(int db_id, const struct slice *argv, int argc) {
    struct blob *blobs[REFER_ARGS];
    int found = 0;
    if (client_current == NULL || argc > REFER_ARGS) return false;
    for (int i = 0; i < argc; i++) {
        bool is_large = argv[i].len >= BLOB_MIN;
        blobs[i] = is_large ? conn_find_blob(&client_current->conn, argv[i].ptr) : NULL;
        found += blobs[i] != NULL;
    }
    if (found) oplog_append_large(db_id, argv, argc, blobs);
    return found > 0;
}

static inline void send_to_log(int db_id, const struct slice *argv, int argc, struct slice raw) {
    if (unlikely(raw.len == 0) && send_large(db_id, argv, argc)) return;
    oplog_append(db_id, argv, argc, raw);
}

/* A command that is not for both, or not on this server. */
static __attribute__((noinline)) void send_apart(enum propagate_target target, int db_id, const struct slice *argv,
                                                 int argc, struct slice raw) {
    if (local_only || target == PROPAGATE_FILE) {
        if (target & wanting & PROPAGATE_FILE) aof_write_own(db_id, argv, argc, raw);
    } else if (wanting & PROPAGATE_STREAM) {
        aof_write_skip(true);
        send_to_log(db_id, argv, argc, raw);
    }
}

static void send_command(enum propagate_target target, int db_id, const struct slice *argv, int argc,
                         struct slice raw) {
    if (unlikely(target != PROPAGATE_BOTH || local_only)) {
        send_apart(target, db_id, argv, argc, raw);
        return;
    }
    aof_write_take(db_id);
    send_to_log(db_id, argv, argc, raw);
}

/* WAIT asks whether replicas have all that its client wrote. */
static void end_unit(void) {
    oplog_end_unit();
    aof_write_end_unit();
    if (client_current) client_current->written = oplog_end();
}

/* --- Units ----------------------------------------------------------------------------------- */

static void send_word(int db_id, struct slice word, struct slice raw) {
    send_command(PROPAGATE_BOTH, db_id, &word, 1, raw);
}

static void send_held(void) {
    const struct copied *c = &unit.held;
    send_command(c->target, c->db_id, c->argv, c->argc, c->raw);
    drop_copy(&unit.held);
}

static void send_multi(int db_id) {
    send_word(db_id, SLICE("MULTI"), SLICE("*1\r\n$5\r\nMULTI\r\n"));
}

/* Give the unit a command. */
static void emit_command(enum propagate_target target, int db_id, const struct slice *argv, int argc, struct slice raw,
                         enum propagate_rest rest) {
    if (propagate_call.apart || (unit.count == 0 && rest == PROPAGATE_END)) {
        send_command(target, db_id, argv, argc, raw);
        end_unit();
        return;
    }
    if (unit.count == 0 && rest == PROPAGATE_MORE) {
        send_multi(db_id);
        unit.count++; /* nothing is held */
    }
    unit.count++;
    propagate_call.pending = true;
    unit.last_db = db_id;
    if (unit.count == 1) {
        unit.held = copy_command(db_id, argv, argc, raw);
        unit.held.target = target;
        return;
    }
    if (unit.count == 2 && unit.held.argv) {
        send_multi(unit.held.db_id);
        send_held();
    }
    send_command(target, db_id, argv, argc, raw);
}

/* Close a call; the outermost one sends the command that is held, or EXEC. */
static void leave_call(void) {
    assert(propagate_call.depth > 0);
    if (--propagate_call.depth > 0) return;
    propagate_call.apart = propagate_call.pending = false;
    if (likely(unit.count == 0)) return;
    if (!propagate_wanted) { /* not any more, since a command of the unit */
        if (unit.count == 1) drop_copy(&unit.held);
        unit.count = 0;
        return;
    }
    if (unit.count == 1) {
        send_held();
    } else {
        send_word(unit.last_db, SLICE("EXEC"), SLICE("*1\r\n$4\r\nEXEC\r\n"));
    }
    unit.count = 0;
    end_unit();
}

/* --- Calls ----------------------------------------------------------------------------------- */

void propagate_nothing(void) {
    propagate_call.replaced = true;
}

void propagate_always(void) {
    propagate_call.always = true;
}

/* As long as there are no replicas, it is as if nothing had happened. */
void propagate_message(void) {
    propagate_call.message = true;
    propagate_call.always = wanting & PROPAGATE_STREAM && !local_only;
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
    if (propagate_wanted)
        emit_command(PROPAGATE_BOTH, db->id, argv, argc, slice_of(NULL, 0),
                     propagate_call.depth == 0 ? PROPAGATE_END : PROPAGATE_UNKNOWN);
}

void propagate_now(struct db *db, const struct slice *argv, int argc, enum propagate_rest rest) {
    propagate_call.replaced = true;
    if (!propagate_wanted || propagate_targets == 0) return;
    if (rest == PROPAGATE_END && propagate_call.depth > 1) rest = PROPAGATE_UNKNOWN;
    emit_command(propagate_targets, db->id, argv, argc, slice_of(NULL, 0), rest);
}

static __attribute__((noinline)) void settle_kept(struct db *db, const struct slice *argv, int argc, struct slice raw,
                                                  bool changed) {
    if (propagate_wanted || replacements.count) {
        unsigned target = propagate_call.message ? propagate_targets & PROPAGATE_STREAM : propagate_targets;
        bool outermost = propagate_call.depth == 1;
        bool wanted = propagate_wanted && target && (changed || propagate_call.always);
        enum propagate_rest end = outermost ? PROPAGATE_END : PROPAGATE_UNKNOWN;
        if (wanted && !propagate_call.replaced) emit_command(target, db->id, argv, argc, raw, end);
        for (size_t i = 0; i < replacements.count; i++) {
            struct copied *c = &replacements.items[i];
            enum propagate_rest rest = i + 1 < replacements.count ? PROPAGATE_UNKNOWN : end;
            if (wanted) emit_command(target, db->id, c->argv, c->argc, c->raw, rest);
            drop_copy(c);
        }
        replacements.count = 0;
    }
    leave_call();
}

/* A request by itself, and nothing that was kept or has been sent before. */
static inline bool is_usual(void) {
    const struct propagate_call *call = &propagate_call;
    return call->depth == 1 && !(call->pending | call->replaced | call->message | call->always);
}

void propagate_settle(struct db *db, const struct slice *argv, int argc, struct slice raw, bool changed) {
    if (likely(is_usual())) { /* and a target wants it */
        propagate_call.depth = 0;
        propagate_call.apart = false;
        if (!changed) return;
        send_command(PROPAGATE_BOTH, db->id, argv, argc, raw);
        end_unit();
        return;
    }
    settle_kept(db, argv, argc, raw, changed);
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

/* --- Targets --------------------------------------------------------------------------------- */

static void fit_wanted(void) {
    unsigned targets = local_only ? wanting & PROPAGATE_FILE : wanting;
    if (propagate_wanted == (targets != 0)) return;
    propagate_wanted = targets != 0;
    changes_listen(CHANGES_PROPAGATE, propagate_wanted ? &hooks : NULL);
}

void propagate_want(enum propagate_target target, bool wanted) {
    wanting = wanted ? wanting | target : wanting & ~(unsigned)target;
    if (target & PROPAGATE_STREAM) oplog_want(OPLOG_BACKLOG, wanted);
    fit_wanted();
}

void propagate_local_only(bool on) {
    local_only = on;
    fit_wanted();
}

void propagate_stop(void) {
    wanting = 0;
    fit_wanted();
}

/* --- Streams --------------------------------------------------------------------------------- */

void propagate_to_replicas(const struct slice *argv, int argc) {
    assert(propagate_call.depth == 0);
    if (local_only || !(wanting & PROPAGATE_STREAM)) return;
    send_apart(PROPAGATE_STREAM, -1, argv, argc, slice_of(NULL, 0));
    oplog_end_unit();
}

void propagate_pass_on(struct slice bytes, int db_id, enum propagate_target target) {
    if (target & wanting & PROPAGATE_FILE)
        aof_write_take(oplog_db());
    else
        aof_write_skip(false);
    oplog_pass_on(bytes, db_id);
    oplog_end_unit();
    aof_write_end_unit();
}

static const struct option propagate_rows[] = {
    {"lazyfree-lazy-expire", .type = OPTION_BOOL, .address = &unlink_expired, .initial = "no"},
    {"lazyfree-lazy-eviction", .type = OPTION_BOOL, .address = &unlink_evicted, .initial = "no"},
    {NULL},
};

const struct module propagate_module = {.options = propagate_rows};
