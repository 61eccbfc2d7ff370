/* What SCAN, HSCAN, SSCAN and ZSCAN have in common: a walk over a table in many small steps, between which everything may
 * change.
 *
 * The cursor is a place in the order of the hashes, so that growing and shrinking move nothing past it: see
 * ds/table.h. A call visits COUNT records at least, if there are so many, and at most ten lines of the
 * table, full or not, for each of these. A value that is no table is one step. */
#pragma once
#include "base/buf.h"
#include "store/entry.h"

struct client;
struct request;

struct scan_step {
    struct slice pattern; /* ptr NULL: everything */
    int64_t count, visited;
    size_t elements; /* of the reply, which can be put together only behind the cursor: */
    struct buf reply;
};
#define SCAN_STEP_COUNT 10 /* unless the request says otherwise */

/* One step: visits what is at the cursor, and returns the next one, 0 at the end. */
typedef uint64_t (*scan_step_fn)(struct scan_step *w, void *subject, uint64_t cursor);

/* For a step's visitor: counts a visit. Is this one asked for? */
bool scan_step_wants(struct scan_step *w, struct slice name);
void scan_step_add(struct scan_step *w, struct slice element); /* to the reply; copied */

uint64_t scan_step_run(struct scan_step *w, void *subject, uint64_t cursor, scan_step_fn step);
void scan_step_reply(struct scan_step *w, struct client *c, uint64_t cursor); /* ends the walk */

/* The whole of HSCAN and its kin: the body for values of a type, which step() gets as its subject. */
void scan_step_value(struct request *r, enum entry_type type, scan_step_fn step);
