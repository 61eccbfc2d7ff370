/* One call of SCAN, HSCAN, SSCAN or ZSCAN: a piece of a walk over a table, which may change in any way between two
 * calls.
 *
 * The cursor is a place in the order of the hashes, so that no record can move past it when the table grows or shrinks:
 * see ds/table.h. A call visits COUNT records or more, if there are so many, but at most ten lines of the table, full
 * or empty, for each of them. A value that is no table is visited as a whole. */
#pragma once
#include "base/slice.h"
#include "store/entry.h"

struct client;
struct request;

struct scan_step {
    struct client *client;
    struct slice pattern;   /* MATCH; ptr NULL matches everything */
    int64_t count, visited; /* COUNT, and the records visited until now */
    size_t elements;        /* that were replied */
};
#define SCAN_STEP_COUNT 10 /* the COUNT of a request without one */

/* Visit what is at the cursor. Returns the next cursor, 0 at the end. */
typedef uint64_t (*scan_step_fn)(struct scan_step *s, void *subject, uint64_t cursor);

/* For the visitor of a record: count it. Returns whether the pattern matches. */
bool scan_step_wants(struct scan_step *s, struct slice name);
void scan_step_add(struct scan_step *s, struct slice element); /* to the reply */

/* Visit until the call has done its share, and reply the elements behind the cursor for the next call, which is
 * returned. If `subject` is NULL, there is nothing to visit. */
uint64_t scan_step_run(struct scan_step *s, void *subject, uint64_t cursor, scan_step_fn visit);

/* The whole body of HSCAN, SSCAN and ZSCAN: `subject` is the entry of the request's key, which has this type. */
void scan_step_value(struct request *r, enum entry_type type, scan_step_fn visit);
