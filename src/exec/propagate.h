/* The stream of changes for the append-only file (later also for replicas).
 *
 * After a command changed something, call.c hands its request over once, in canonical form: the request as it came
 * where it is deterministic, or what the body gave instead by propagate_as() (absolute times, effects of random
 * choices). While no sink is attached nothing is formatted or copied: a write costs one load and one branch.
 *
 * What must be applied as a whole is a unit: a command with the keys that expired under it, an EXEC with all of its
 * commands, a waiting client that is served. A unit of several commands reaches the sink between MULTI and EXEC, a unit
 * of one command as that command, and a unit that changed nothing not at all. The sink gets the commands of a unit
 * while the unit is open: do not fork inside a call. */
#pragma once
#include "base/likely.h"
#include "base/slice.h"

struct db;

/* `raw` is the RESP encoding of argv, to be appended as it is, or empty. The sink adds SELECT where db_id changes. All
 * slices are valid during the call only. */
typedef void (*propagate_sink_fn)(void *ctx, int db_id, const struct slice *argv, int argc, struct slice raw);
extern bool propagate_wanted;                             /* a sink is attached */
void propagate_attach(propagate_sink_fn sink, void *ctx); /* NULL detaches */

/* Called by a body: propagate this, which is copied, instead of the request. Several calls make several commands, in
 * order. Like the request, they are propagated only if the body changed something. */
void propagate_as(const struct slice *argv, int argc);
/* Called by a body: do not propagate the request, even if the dataset has changed. */
void propagate_nothing(void);
/* Called by a body: propagate although the dataset has not changed. */
void propagate_always(void);
/* Called by a body that comes across keys at random (SCAN): keys that expire during this call are propagated one by
 * one, without MULTI. Has no effect inside another call. */
void propagate_apart(void);
/* Propagate a command that no client asked for: DEL of an expired or evicted key. */
void propagate_extra(struct db *db, const struct slice *argv, int argc);

/* For call.c, around each body: propagate_begin(), propagate_end(). Pairs nest; the outermost pair is the unit. While
 * no sink is attached, both are a few instructions. */
struct propagate_call {
    int depth;     /* calls that are open; the outermost is the unit */
    bool replaced; /* the request itself is not propagated */
    bool always;   /* propagate even if nothing changed */
    bool apart;    /* the unit's commands are sent one by one, without MULTI */
    bool pending;  /* a command was kept or sent since the outermost call was opened */
};
extern struct propagate_call propagate_call;
void propagate_settle(struct db *db, const struct slice *argv, int argc, struct slice raw, bool changed);

static inline void propagate_begin(void) {
    propagate_call.replaced = propagate_call.always = false;
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
