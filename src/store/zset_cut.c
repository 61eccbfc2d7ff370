/* Removing a range of ranks from a big sorted set.
 *
 * The smaller side is handled member by member: either the range is unlinked from the table and the skiplist, or the
 * other members move to a new value. The worker frees the rest. The cost of a member is the cache misses of its record
 * and of its line in the table, so members are handled in batches: first all records are fetched, then all lines. */
#include "base/worker.h"
#include "store/value.h"
#include "store/zset.h"

#define BATCH 16 /* members whose cache misses overlap */

/* Records that belong to no value. */
struct records {
    size_t n, room;
    struct member *items[];
};

static struct records *records_new(size_t room) {
    struct records *list = alloc_get(sizeof *list + room * sizeof *list->items);
    *list = (struct records){.room = room};
    return list;
}
static void records_put(struct records *list) {
    alloc_put(list, sizeof *list + list->room * sizeof *list->items);
}

/* Estimated from the first records. */
static size_t records_memory(const struct records *list) {
    size_t bytes = 0, n = list->n < VALUE_SAMPLES ? list->n : VALUE_SAMPLES;
    for (size_t i = 0; i < n; i++)
        bytes += member_memory(list->items[i]);
    if (n > 0) bytes = (size_t)((double)bytes / (double)n * (double)list->n);
    return sizeof *list + list->room * sizeof *list->items + bytes;
}

static void collect_record(void *list, struct member *m) {
    struct records *to = list;
    to->items[to->n++] = m;
}

static void free_records(void *arg) {
    struct records *list = arg;
    for (size_t i = 0; i < list->n; i++) {
        if (i + BATCH < list->n) __builtin_prefetch(list->items[i + BATCH]);
        member_free(list->items[i]);
    }
    records_put(list);
}

/* Compute the hashes of the batch that begins at this index and fetch its lines, and the records of the next batch.
 * Returns the size of the batch. */
static size_t hash_batch(const struct records *list, size_t from, const struct table *t, uint64_t hashes[BATCH]) {
    size_t n = list->n - from < BATCH ? list->n - from : BATCH;
    for (size_t i = from + n; i < from + n + BATCH && i < list->n; i++)
        __builtin_prefetch(list->items[i]);
    for (size_t i = 0; i < n; i++) {
        hashes[i] = member_hash(list->items[from + i]);
        table_prefetch_line(t, hashes[i]);
    }
    return n;
}

static void unlink_range(struct zset *z, size_t first, size_t n) {
    uint64_t hashes[BATCH];
    struct records *list = records_new(n);
    skiplist_remove_ranks(&z->order, first, n, collect_record, list);
    for (size_t i = 0, batch; i < list->n; i += batch) {
        batch = hash_batch(list, i, &z->members, hashes);
        for (size_t k = 0; k < batch; k++)
            table_remove(&z->members, hashes[k], list->items[i + k]);
    }
    if (n > VALUE_HEAVY_PARTS) {
        worker_submit_free(free_records, list, records_memory(list));
    } else {
        free_records(list);
    }
}

static void free_rest(void *z) {
    zset_free(z);
}

/* Move all members outside the range to a new value, which is returned. The old value keeps the range. */
static struct zset *move_others(struct zset *old, size_t first, size_t n) {
    uint64_t hashes[BATCH];
    struct records *list = records_new(old->order.count - n);
    skiplist_remove_ranks(&old->order, 0, first, collect_record, list);
    skiplist_remove_ranks(&old->order, n, list->room - first, collect_record, list);
    struct zset *z = zset_new();
    if (list->n > 0) {
        table_reserve(&z->members, list->n);
        skiplist_build(&z->order, list->items, list->n);
    }
    for (size_t i = 0, batch; i < list->n; i += batch) {
        batch = hash_batch(list, i, &z->members, hashes);
        for (size_t k = 0; k < batch; k++)
            table_insert(&z->members, hashes[k], list->items[i + k]);
    }
    records_put(list);
    size_t bytes = zset_ops.memory(old, ZSET_SKIPLIST, VALUE_SAMPLES);
    worker_submit_free(free_rest, old, bytes); /* its table still points to all records, but is not used again */
    return z;
}

struct zset *zset_cut(struct zset *z, size_t first, size_t n) {
    size_t others = z->order.count - n;
    if (others < n / 2 && n > VALUE_HEAVY_PARTS) return move_others(z, first, n);
    unlink_range(z, first, n);
    return z;
}
