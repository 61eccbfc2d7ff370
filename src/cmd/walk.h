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

struct walk {
    struct slice pattern; /* ptr NULL: everything */
    int64_t count, visited;
    size_t elements; /* of the reply, which can be put together only behind the cursor: */
    struct buf reply;
};
#define WALK_COUNT 10 /* unless the request says otherwise */

/* One step: visits what is at the cursor, and returns the next one, 0 at the end. */
typedef uint64_t (*walk_step_fn)(struct walk *w, void *subject, uint64_t cursor);

/* For a step's visitor: counts a visit. Is this one asked for? */
bool walk_wants(struct walk *w, struct slice name);
void walk_add(struct walk *w, struct slice element); /* to the reply; copied */

uint64_t walk_run(struct walk *w, void *subject, uint64_t cursor, walk_step_fn step);
void walk_reply(struct walk *w, struct client *c, uint64_t cursor); /* ends the walk */

/* The whole of HSCAN and its kin: the body for values of a type, which step() gets as its subject. */
void walk_value(struct request *r, enum entry_type type, walk_step_fn step);
