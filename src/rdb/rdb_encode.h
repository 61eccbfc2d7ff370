/* Writing the elements of the format. For the files of this folder. */
#pragma once
#include "disk/writer.h"
#include "store/entry.h"

#define RDB_SIZES 33 /* classes of string lengths, by powers of two */

struct rdb_out {
    struct writer *w;
    bool compress;
    bool patient; /* try to compress every string, so that a payload of DUMP depends on its own value only */
    /* Compression is tried where it has paid lately: in each class a failure doubles the number of strings that are not
     * tried afterwards, and a success halves it. */
    struct {
        uint8_t wait, left; /* strings to pass untried after a failure; those of them that are left */
    } tried[RDB_SIZES];
    uint8_t *lzf; /* scratch memory for compressed bytes */
    size_t lzf_room;
    uint8_t *listpack; /* scratch memory for the listpack of a pack */
    size_t listpack_room;
};

void rdb_put_length(struct writer *w, uint64_t n);
void rdb_put_string(struct rdb_out *out, struct slice s);
unsigned rdb_type_of(const struct entry *e); /* enum rdb_type */
void rdb_put_value(struct rdb_out *out, const struct entry *e);
void rdb_put_stream(struct rdb_out *out, const struct entry *e); /* rdb_stream.c */
void rdb_put_functions(struct rdb_out *out); /* rdb_functions.c: the live libraries, if there are any */
void rdb_put_footer(struct writer *w);       /* of a payload */
void rdb_out_free(struct rdb_out *out);      /* the scratch memory */
