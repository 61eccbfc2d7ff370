/* What a command changed, handed to whoever repeats it: the append-only file (durability.c).
 *
 * After a command changed something, exec hands its request over once, in canonical
 * form: the request as it came where it is deterministic, or what the body gave
 * instead by propagate_as() (absolute times, effects of random choices). Nothing is
 * formatted or copied while no sink is attached: one load and one branch a write.
 *
 * What has to be applied as a whole is a unit: a command with the keys that expired under it, an EXEC with all
 * of its commands, one blocked client that is served. A unit of several commands reaches the sink between
 * MULTI and EXEC, one of a single command as it is, and one that changed nothing not at all. The sink hears of
 * a unit while it is going on: who forks in the middle of one must wait for propagate_in_unit() to end. */
#pragma once
#include "base/likely.h"
#include "base/slice.h"
#include "store/db.h"

/* `raw` is the RESP encoding of argv if it is at hand, else empty: append it as it is. SELECT is the sink's to add. */
typedef void (*propagate_sink_fn)(void *ctx, int db_id, const struct slice *argv, int argc, struct slice raw);
extern bool propagate_wanted;                             /* a sink is attached */
void propagate_attach(propagate_sink_fn sink, void *ctx); /* NULL detaches */

/* Called by a body: propagate this instead of the request. Several calls make several commands, in order. */
void propagate_as(const struct slice *argv, int argc);
/* Called by a body: the change needs no propagation (it was none, or was said already). */
void propagate_nothing(void);
/* Called by a body: propagate although the dataset has not changed. */
void propagate_always(void);
/* Called by a body that comes across keys at random (SCAN): what expires under it need not go together. */
void propagate_apart(void);
/* A command that no request stands behind: DEL of an expired or evicted key. */
void propagate_extra(struct db *db, const struct slice *argv, int argc);

/* Make one unit of all that is propagated in between. They nest: only the outermost counts. */
void propagate_unit_begin(void);
void propagate_unit_end(void);
bool propagate_in_unit(void);

/* For exec: around each call. While no sink is attached, that is a few instructions. */
struct propagate_call {
    int depth;     /* calls and units that are open */
    bool replaced; /* the request is not to be propagated as it came */
    bool always;   /* changed or not */
    bool apart;    /* no MULTI around what the unit says */
    bool pending;  /* something was kept or sent since the outermost was opened */
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
