/* The elements of the format, as they are written. For persist/rdb_*.c. */
#pragma once
#include "persist/rdb_format.h"
#include "persist/writer.h"
#include "store/entry.h"

/* LZF is tried where it has paid lately: for each size of strings (by powers of two) a failure doubles how many of them
 * go by untried before the next attempt, and a success halves it. */
#define RDB_SIZES 33

struct rdb_out {
    struct writer *w;
    bool compress;
    bool patient; /* try every string: for a single value, whose payload should not depend on others */
    struct {
        uint8_t wait, left; /* strings to let pass after a failure, and those that still have to */
    } tried[RDB_SIZES];
    uint8_t *lzf; /* scratch memory for the compressed bytes */
    size_t lzf_room;
    uint8_t *listpack; /* the same for a pack's listpack */
    size_t listpack_room;
};

void rdb_put_length(struct writer *w, uint64_t n);
void rdb_put_string(struct rdb_out *out, struct slice s);
void rdb_put_int(struct rdb_out *out, int64_t n); /* a string that is a number */
unsigned rdb_type_of(const struct entry *e);      /* enum rdb_type */
void rdb_put_value(struct rdb_out *out, const struct entry *e);
void rdb_out_free(struct rdb_out *out); /* the scratch memory */
