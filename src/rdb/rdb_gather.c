/* The kinds of records, and the batches. */
#include "rdb/rdb_gather.h"
#include "ds/field.h"
#include "ds/member.h"
#include "store/set_record.h"

static struct slice set_name(const void *record) {
    return set_record_slice(record);
}
static bool set_equal(const void *record, const void *name) {
    return set_record_equal(record, name);
}
static void set_drop(void *record) {
    set_record_free(record);
}
const struct rdb_kind rdb_member_records = {set_name, set_equal, set_drop};

static struct slice field_name(const void *record) {
    return field_pair(record).name;
}
static void field_drop(void *record) {
    field_free(record);
}
const struct rdb_kind rdb_field_records = {field_name, field_equal, field_drop};

static struct slice zset_name(const void *record) {
    return member_slice(record);
}
static void zset_drop(void *record) {
    member_free(record);
}
const struct rdb_kind rdb_zset_records = {zset_name, member_equal, zset_drop};

void rdb_gather_begin(struct rdb_gather *g, struct table *table, const struct rdb_kind *kind) {
    g->table = table;
    g->kind = kind;
    g->n = 0;
    g->twice = false;
}

static void flush_batch(struct rdb_gather *g) {
    for (unsigned i = 0; i < g->n; i++) {
        struct slice name = g->kind->name(g->records[i]);
        if (table_find(g->table, g->hashes[i], g->kind->equal, &name)) {
            g->kind->drop(g->records[i]);
            g->twice = true;
        } else {
            table_insert(g->table, g->hashes[i], g->records[i]);
        }
    }
    g->n = 0;
}

void rdb_gather_add(struct rdb_gather *g, uint64_t hash, void *record) {
    table_prefetch_line(g->table, hash);
    g->hashes[g->n] = hash;
    g->records[g->n++] = record;
    if (g->n == RDB_GATHER) flush_batch(g);
}

bool rdb_gather_end(struct rdb_gather *g) {
    flush_batch(g);
    return !g->twice;
}
