/* The patterns of SORT's BY and GET: "weight_*" names a string key for each element, "user_*->age" a field of
 * a hash, and "#" is the element itself. Look-ups go in batches, so that their cache misses overlap. */
#pragma once
#include "base/buf.h"
#include "cmd/lookup.h"
#include "ds/listpack.h"

struct sort_pattern {
    enum { SORT_ELEMENT, SORT_NOTHING, SORT_KEY } what; /* SORT_NOTHING: no asterisk, so no key is found */
    struct slice before, behind;                        /* of the asterisk */
    struct slice field;                                 /* ptr NULL: the key is a string */
};
/* The parts are slices of the text. */
struct sort_pattern sort_pattern_of(struct slice text);

/* {.db = db} is an empty batch. */
struct sort_batch {
    struct db *db;
    int count;
    struct {
        const struct sort_pattern *pattern;
        struct listpack_value element;
        size_t name_at, name_len; /* in names */
        struct key key;
        struct slice found; /* ptr NULL: nothing */
        char digits[NUM_I64_MAX];
    } slots[LOOKUP_AHEAD];
    struct buf names;
};
/* Room for one more is required: count < LOOKUP_AHEAD. */
void sort_batch_add(struct sort_batch *b, const struct sort_pattern *p, struct listpack_value element);
/* Look all of them up: `found` is valid until the next add or change of the database. */
void sort_batch_run(struct sort_batch *b);
static inline void sort_batch_reset(struct sort_batch *b) {
    b->count = 0;
    b->names.len = 0;
}
static inline void sort_batch_end(struct sort_batch *b) {
    buf_free(&b->names);
}
