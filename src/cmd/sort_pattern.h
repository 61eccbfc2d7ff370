/* The patterns of SORT's BY and GET, whose asterisk stands for the element: "weight_*" names a string, "user_*->age" a
 * field of a hash; "#" is the element itself. Look-ups are made in batches, so that their cache misses overlap. */
#pragma once
#include "base/buf.h"
#include "cmd/lookup.h"
#include "ds/listpack.h"

struct sort_pattern {
    enum {
        SORT_ELEMENT,
        SORT_NOTHING, /* the pattern has no asterisk, and finds nothing */
        SORT_KEY,
    } what;
    struct slice before, behind; /* the asterisk */
    struct slice field;          /* ptr NULL: the key is a string */
};
/* Its parts are slices of the text. */
struct sort_pattern sort_pattern_of(struct slice text);

/* Look-ups to be made together; {.db = db} is an empty batch. */
struct sort_batch {
    struct db *db;
    int count;
    struct {
        const struct sort_pattern *pattern;
        struct listpack_value element;
        size_t name_at, name_len; /* the key's name, in `names` */
        struct key key;
        struct slice found;       /* ptr NULL: nothing */
        char digits[NUM_I64_MAX]; /* into which an integer that was found is printed */
    } slots[LOOKUP_AHEAD];
    struct buf names;
};
/* Needs room for one more: count < LOOKUP_AHEAD. Keeps the pointers to the pattern and to the element's bytes. */
void sort_batch_add(struct sort_batch *b, const struct sort_pattern *p, struct listpack_value element);
/* Look all of them up. `found` is valid until the next sort_batch_add() or change of the database. */
void sort_batch_run(struct sort_batch *b);
static inline void sort_batch_reset(struct sort_batch *b) {
    b->count = 0;
    b->names.len = 0;
}
static inline void sort_batch_end(struct sort_batch *b) {
    buf_free(&b->names);
}
