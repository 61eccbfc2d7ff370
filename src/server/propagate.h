/* The seam to the propagation log (AOF and replicas, which come with persist/ and repl/).
 *
 * After a command changed something, exec hands its request over once, in canonical
 * form: the request as it came where it is deterministic, or what the body gave
 * instead by propagate_as() (absolute times, effects of random choices). Nothing is
 * formatted or copied while no sink is attached: one load and one branch a write. */
#pragma once
#include "base/slice.h"
#include "store/db.h"

/* `raw` is the RESP encoding of argv if it is at hand, else empty. */
typedef void (*propagate_sink_fn)(void *ctx, int db_id, const struct slice *argv, int argc, struct slice raw);
extern bool propagate_wanted;                             /* a sink is attached */
void propagate_attach(propagate_sink_fn sink, void *ctx); /* NULL detaches */

/* Called by a body: propagate this instead of the request. Several calls make several commands, in order. */
void propagate_as(const struct slice *argv, int argc);
/* Called by a body: the change needs no propagation (it was none, or was said already). */
void propagate_nothing(void);
/* Called by a body: propagate although the dataset has not changed. */
void propagate_always(void);
/* A command that no request stands behind: DEL of an expired or evicted key. */
void propagate_extra(struct db *db, const struct slice *argv, int argc);

/* For exec: around each call. */
void propagate_begin(void);
void propagate_end(struct db *db, const struct slice *argv, int argc, struct slice raw, bool changed);
