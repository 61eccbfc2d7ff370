/* See roster.h. */
#include "store/roster.h"
#include "base/alloc.h"
#include "base/hash.h"
#include <assert.h>

#define ROOM_FIRST 1

/* --- Records --------------------------------------------------------------------------------- */

static size_t record_class(const struct roster_kind *kind, size_t len) {
    return alloc_class(kind->body + len);
}

void *roster_record(const struct roster_kind *kind, struct slice name) {
    assert(name.len <= UINT32_MAX && kind->body >= 16);
    struct roster_named *record = alloc_get(record_class(kind, name.len));
    memset(record, 0, kind->body);
    record->len = (uint32_t)name.len;
    if (name.len > 0) memcpy((char *)record + kind->body, name.ptr, name.len);
    return record;
}

void roster_free_record(const struct roster_kind *kind, void *record) {
    alloc_put(record, roster_record_memory(kind, record));
}

size_t roster_record_memory(const struct roster_kind *kind, const void *record) {
    return record_class(kind, ((const struct roster_named *)record)->len);
}

/* --- The table ------------------------------------------------------------------------------- */

struct needle {
    const struct roster_kind *kind;
    struct slice name;
};

static bool equals_needle(const void *record, const void *key) {
    const struct needle *n = key;
    return slice_eq(roster_name(n->kind, record), n->name);
}

static uint64_t record_hash(const struct roster_kind *kind, const void *record) {
    struct slice name = roster_name(kind, record);
    return hash_bytes(name.ptr, name.len);
}

static struct table *table_of_all(const struct roster *r, const struct roster_kind *kind) {
    struct table *t = alloc_get(sizeof *t);
    table_init(t, &kind->table);
    for (uint32_t i = 0; i < r->used; i++) {
        if (r->slots[i]) table_insert(t, record_hash(kind, r->slots[i]), r->slots[i]);
    }
    return t;
}

static void drop_table(struct roster *r) {
    if (!r->table) return;
    table_clear(r->table, NULL, NULL);
    alloc_put(r->table, sizeof *r->table);
    r->table = NULL;
}

/* --- The roster ------------------------------------------------------------------------------ */

static size_t bytes_for(size_t room) {
    return sizeof(struct roster) + room * sizeof(void *);
}

void *roster_find(const struct roster *r, const struct roster_kind *kind, struct slice name) {
    if (!r) return NULL;
    if (r->table) {
        struct needle needle = {kind, name};
        return table_find(r->table, hash_bytes(name.ptr, name.len), equals_needle, &needle);
    }
    for (uint32_t i = 0; i < r->used; i++) {
        if (r->slots[i] && slice_eq(roster_name(kind, r->slots[i]), name)) return r->slots[i];
    }
    return NULL;
}

static struct roster *with_room(struct roster *r) {
    if (!r) {
        r = alloc_get(bytes_for(ROOM_FIRST));
        *r = (struct roster){.room = ROOM_FIRST};
    } else if (r->used == r->room) {
        assert(r->room < UINT32_MAX / 2);
        r = alloc_resize(r, bytes_for(r->room), bytes_for(2 * (size_t)r->room));
        r->room *= 2;
    }
    return r;
}

void roster_add(struct roster **roster, const struct roster_kind *kind, void *record) {
    struct roster *r = *roster;
    if (!r || r->count == r->used) {
        *roster = r = with_room(r);
        r->slots[r->used] = NULL;
        r->hint = r->used++;
    }
    while (r->slots[r->hint])
        r->hint++;
    ((struct roster_named *)record)->index = r->hint;
    r->slots[r->hint++] = record;
    r->count++;
    if (r->table)
        table_insert(r->table, record_hash(kind, record), record);
    else if (r->count > ROSTER_ARRAY)
        r->table = table_of_all(r, kind);
}

void roster_remove(struct roster *r, const struct roster_kind *kind, void *record) {
    uint32_t index = ((const struct roster_named *)record)->index;
    assert(r->slots[index] == record);
    if (r->table) table_remove(r->table, record_hash(kind, record), record);
    r->slots[index] = NULL;
    r->count--;
    if (index < r->hint) r->hint = index;
    while (r->used > 0 && !r->slots[r->used - 1])
        r->used--;
    if (r->hint > r->used) r->hint = r->used;
    if (r->count <= ROSTER_ARRAY / 2 && r->used <= ROSTER_ARRAY) drop_table(r);
}

struct roster *roster_copy(const struct roster *r, const struct roster_kind *kind, void *(*copy_record)(const void *)) {
    if (!r) return NULL;
    struct roster *copy = alloc_get(bytes_for(r->room));
    *copy = (struct roster){.used = r->used, .room = r->room, .count = r->count, .hint = r->hint};
    for (uint32_t i = 0; i < r->used; i++) {
        copy->slots[i] = r->slots[i] ? copy_record(r->slots[i]) : NULL;
        if (copy->slots[i]) ((struct roster_named *)copy->slots[i])->index = i;
    }
    if (r->table) copy->table = table_of_all(copy, kind);
    return copy;
}

void roster_free(struct roster *r) {
    if (!r) return;
    drop_table(r);
    alloc_put(r, bytes_for(r->room));
}

size_t roster_memory(const struct roster *r) {
    if (!r) return 0;
    return alloc_class(bytes_for(r->room)) + (r->table ? alloc_class(sizeof *r->table) + table_memory(r->table) : 0);
}

/* --- The order of names ---------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b, void *kind) {
    return slice_compare(roster_name(kind, *(void *const *)a), roster_name(kind, *(void *const *)b));
}

void **roster_sorted(const struct roster *r, const struct roster_kind *kind, size_t *bytes) {
    size_t n = 0;
    *bytes = roster_count(r) * sizeof(void *);
    if (*bytes == 0) return NULL;
    void **sorted = alloc_get(*bytes);
    for (uint32_t i = 0; i < r->used; i++) {
        if (r->slots[i]) sorted[n++] = r->slots[i];
    }
    qsort_r(sorted, n, sizeof *sorted, compare_names, (void *)kind);
    return sorted;
}
