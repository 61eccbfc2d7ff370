/* The changes, for the log (oplog/oplog.h): replicas read it, and the append-only file.
 *
 * After a command changed something, call.c hands its request over once, in canonical form: the request as it came
 * where it is deterministic, or what the body gave instead by propagate_as() (absolute times, effects of random
 * choices). While no target wants it, nothing is formatted or copied: a write costs one load and one branch.
 *
 * What must be applied as a whole is a unit: a command with the keys that expired under it, an EXEC with all of its
 * commands, a waiting client that is served. A unit of several commands reaches the log between MULTI and EXEC, a unit
 * of one command as that command, and a unit that changed nothing not at all. The log gets the commands of a unit
 * while the unit is open: do not fork inside a call.
 *
 * What exists goes both to the stream for replicas and to the file. Three things do not: messages (PUBLISH, PING) are
 * for the stream only; what is executed for the clients of a replica is for its file only, since its stream is its
 * primary's, byte for byte; and a script may say whom a call is for. */
#pragma once
#include "base/likely.h"
#include "base/slice.h"

struct db;

enum propagate_target {
    PROPAGATE_FILE = 1 << 0,   /* the append-only file */
    PROPAGATE_STREAM = 1 << 1, /* replicas */
    PROPAGATE_BOTH = PROPAGATE_FILE | PROPAGATE_STREAM,
};

extern bool propagate_wanted; /* a target wants the changes */
/* This target wants what changes from now on, or does not any more. For PROPAGATE_STREAM the log is kept as long
 * (OPLOG_BACKLOG); the append-only file has it kept by itself. */
void propagate_want(enum propagate_target target, bool wanted);
/* This server is a replica: what is executed here is not for the stream; only propagate_pass_on() is. */
void propagate_local_only(bool on);
void propagate_stop(void); /* in a child: nothing is wanted any more, and the log is left alone */

/* Enum propagate_target: those that hear of the calls, but of keys that no command removed all hear. A script may
 * choose for its calls (exec/inner.h); outside of scripts it is PROPAGATE_BOTH. */
extern unsigned propagate_targets;

/* Called by a body: propagate this, which is copied, instead of the request. Several calls make several commands, in
 * order. Like the request, they are propagated only if the body changed something. */
void propagate_as(const struct slice *argv, int argc);
/* What is known of the commands behind one. */
enum propagate_rest {
    PROPAGATE_END,     /* no other follows in this call */
    PROPAGATE_MORE,    /* another one follows */
    PROPAGATE_UNKNOWN, /* another one may follow; one that is the first of its unit is copied then */
};
/* As propagate_as(), for a body that has changed something: the command is not kept until the call ends but written at
 * once, so that many words are not copied. */
void propagate_now(struct db *db, const struct slice *argv, int argc, enum propagate_rest rest);
/* Called by a body: do not propagate the request, even if the dataset has changed. */
void propagate_nothing(void);
/* Called by a body: propagate although the dataset has not changed. */
void propagate_always(void);
/* Called by a body: the request is a message. It is propagated to the stream, and not to the file. */
void propagate_message(void);
/* Called by a body that comes across keys at random (SCAN): keys that expire during this call are propagated one by
 * one, without MULTI. Has no effect inside another call. */
void propagate_apart(void);
/* Propagate a command that no client asked for: DEL of an expired or evicted key. */
void propagate_extra(struct db *db, const struct slice *argv, int argc);
/* Outside of calls: a message of this server to its replicas, to the stream only (PING, REPLCONF GETACK). It works in
 * any database. Nothing happens if the stream is not wanted, or is a primary's. */
void propagate_to_replicas(const struct slice *argv, int argc);
/* On a replica: these bytes of the primary's stream have been executed. They are complete units, so not between MULTI
 * and EXEC; behind them this database is selected. They go to the stream as they are, and with PROPAGATE_BOTH to the
 * file, too; PING, REPLCONF and PUBLISH are PROPAGATE_STREAM. Neighbours of one target can be given in one call. */
void propagate_pass_on(struct slice bytes, int db_id, enum propagate_target target);

/* For call.c, around each body: propagate_begin(), propagate_end(). Pairs nest; the outermost pair is the unit. While
 * nothing is wanted, both are a few instructions. */
struct propagate_call {
    int depth;     /* calls that are open; the outermost is the unit */
    bool replaced; /* the request itself is not propagated */
    bool always;   /* propagate even if nothing changed */
    bool message;  /* the request is for the stream only */
    bool apart;    /* the unit's commands are sent one by one, without MULTI */
    bool pending;  /* a command was kept or sent since the outermost call was opened */
};
extern struct propagate_call propagate_call;
void propagate_settle(struct db *db, const struct slice *argv, int argc, struct slice raw, bool changed);

static inline void propagate_begin(void) {
    propagate_call.replaced = propagate_call.always = propagate_call.message = false;
    propagate_call.depth++;
}

static inline void propagate_end(struct db *db, const struct slice *argv, int argc, struct slice raw, bool changed) {
    if (unlikely(propagate_wanted | propagate_call.pending)) {
        propagate_settle(db, argv, argc, raw, changed);
        return;
    }
    propagate_call.depth--;
    propagate_call.apart = false;
}
