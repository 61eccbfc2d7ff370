/* Inserts records into the table of a big collection in batches. While the records of a batch are made, its lines are
 * fetched, so that loading waits for memory once a batch. For the files of this folder. */
#pragma once
#include "base/slice.h"
#include "ds/table.h"

#define RDB_GATHER 16 /* records of a batch */

/* A kind of record. */
struct rdb_kind {
    struct slice (*name)(const void *record);
    table_equal_fn equal; /* with a struct slice */
    void (*drop)(void *record);
};
extern const struct rdb_kind rdb_member_records, rdb_field_records, rdb_zset_records;

struct rdb_gather {
    struct table *table;
    const struct rdb_kind *kind;
    unsigned n;
    bool twice; /* a name came twice; its second record was freed */
    void *records[RDB_GATHER];
    uint64_t hashes[RDB_GATHER];
};

void rdb_gather_begin(struct rdb_gather *g, struct table *table, const struct rdb_kind *kind);
/* Takes over the record. */
void rdb_gather_add(struct rdb_gather *g, uint64_t hash, void *record);
bool rdb_gather_end(struct rdb_gather *g); /* inserts the rest; false: a name came twice */
