/* The functions of big sets and hashes, which differ only in their records. */
#include "store/value_table.h"
#include "base/alloc.h"
#include "store/value.h"

struct table *value_table_new(const struct table_type *type, size_t room) {
    struct table *t = alloc_get(sizeof *t);
    table_init(t, type);
    table_reserve(t, room);
    return t;
}

void value_table_free(struct table *t, void (*free_record)(void *ctx, void *record)) {
    table_clear(t, free_record, NULL);
    alloc_put(t, sizeof *t);
}

size_t value_table_memory(const struct table *t, size_t samples, size_t (*bytes_of)(const void *record)) {
    const void *record;
    struct table_iter it;
    size_t seen = 0, bytes = 0;
    table_iter_init(&it, t);
    while ((samples == 0 || seen < samples) && (record = table_iter_next(&it))) {
        bytes += bytes_of(record);
        seen++;
    }
    if (seen > 0 && seen < t->count) bytes = (size_t)((double)bytes / (double)seen * (double)t->count);
    return alloc_class(sizeof *t) + table_memory(t) + bytes;
}

struct table *value_table_copy(const struct table *from, void *(*copy_record)(const void *record)) {
    struct table *to = value_table_new(from->type, from->count);
    const void *record;
    struct table_iter it;
    table_iter_init(&it, from);
    while ((record = table_iter_next(&it)))
        table_insert(to, from->type->hash(record), copy_record(record));
    return to;
}

bool value_table_is_heavy(const void *value, unsigned encoding) {
    (void)encoding;
    return ((const struct table *)value)->count > VALUE_HEAVY_PARTS;
}

const struct table *value_table_members(const void *value) {
    return value;
}
