/* Records on their way into the table of a big collection, a dozen at a time: the lines of a batch are fetched while
 * the records of it are made, so that loading waits for memory once a batch. For persist/rdb_*.c. */
#pragma once
#include "base/slice.h"
#include "ds/table.h"

#define RDB_GATHER 16

struct rdb_kind {
    struct slice (*name)(const void *record);
    table_equal_fn equal; /* to a struct slice */
    void (*drop)(void *record);
};
extern const struct rdb_kind rdb_member_records, rdb_field_records, rdb_zset_records;

struct rdb_gather {
    struct table *table;
    const struct rdb_kind *kind;
    unsigned n;
    bool twice; /* one was there already; it has been dropped */
    void *records[RDB_GATHER];
    uint64_t hashes[RDB_GATHER];
};

void rdb_gather_begin(struct rdb_gather *g, struct table *table, const struct rdb_kind *kind);
void rdb_gather_add(struct rdb_gather *g, uint64_t hash, void *record);
bool rdb_gather_end(struct rdb_gather *g); /* false: one came twice */
