/* The groups of a stream, and the consumers of a group: records with names. They are an array, in which a name is
 * looked for one by one; above ROSTER_ARRAY records a hash table finds them. A record has an index, which stays as long
 * as it is there; the next new record gets the index of one that was removed.
 *
 * A record begins with a struct roster_named, and its name lies behind its other fields. The roster does not own the
 * records. It is one allocation that moves when it grows. NULL is an empty roster. */
#pragma once
#include "base/slice.h"
#include "ds/table.h"

#define ROSTER_ARRAY 16

struct roster_named {
    uint32_t index, len; /* its place in slots; bytes of the name */
};

/* What differs between groups and consumers. */
struct roster_kind {
    struct table_type table; /* the hash of a record's name */
    size_t body;             /* bytes of a record before its name */
};

/* The fields are for reading only. */
struct roster {
    struct table *table; /* NULL: there are few */
    uint32_t used, room; /* slots that are or were taken; slots that there are */
    uint32_t count;      /* records */
    uint32_t hint;       /* no slot below this one is free */
    void *slots[];       /* by index; NULL: free */
};

static inline uint32_t roster_count(const struct roster *r) {
    return r ? r->count : 0;
}
/* The record with this index, which must be below `used`; NULL if there is none. */
static inline void *roster_at(const struct roster *r, uint32_t index) {
    return r->slots[index];
}
static inline struct slice roster_name(const struct roster_kind *kind, const void *record) {
    return slice_of((const char *)record + kind->body, ((const struct roster_named *)record)->len);
}

/* A record with this name, whose other fields are zeros; 16-byte aligned. The caller owns it. */
void *roster_record(const struct roster_kind *kind, struct slice name);
void roster_free_record(const struct roster_kind *kind, void *record);
size_t roster_record_memory(const struct roster_kind *kind, const void *record);

void *roster_find(const struct roster *r, const struct roster_kind *kind, struct slice name); /* NULL: there is none */
/* Add a record whose name is not there, and give it an index. */
void roster_add(struct roster **r, const struct roster_kind *kind, void *record);
void roster_remove(struct roster *r, const struct roster_kind *kind, void *record);
/* The records in the order of their names, in an array of *bytes that the caller frees. NULL: there are none.
 * O(n log n). */
void **roster_sorted(const struct roster *r, const struct roster_kind *kind, size_t *bytes);
/* The same indexes, with copies of the records; their indexes need not be set. */
struct roster *roster_copy(const struct roster *r, const struct roster_kind *kind, void *(*copy_record)(const void *));
void roster_free(struct roster *r); /* not the records */
size_t roster_memory(const struct roster *r);
