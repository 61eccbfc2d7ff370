/* What every type of value can do, whatever its encoding: one row a type, kept by the module of the type. Inline values are
 * bytes of their entry and need none of it but the name; the rest is for values out of line (ENTRY_OUT_OF_LINE). */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct table;

struct value_ops {
    const char *(*encoding_name)(unsigned encoding); /* what OBJECT ENCODING says */
    /* Release all of it. May run on the worker: touches nothing that the main thread can see. */
    void (*drop)(void *value, unsigned encoding);
    /* Whether dropping takes so long (many allocations, many pages) that the worker should do it. O(1). */
    bool (*is_heavy)(const void *value, unsigned encoding);
    /* Bytes of memory; `samples` elements are looked at to estimate a large collection (0: all). */
    size_t (*memory)(const void *value, unsigned encoding, size_t samples);
    void *(*copy)(const void *value, unsigned encoding); /* for COPY: equal and independent */
    const struct table *(*members)(const void *value);   /* where one of its members is looked up; NULL: nowhere */
};

#define VALUE_HEAVY_PARTS 64 /* allocations from which a collection is heavy, as Redis's lazyfree has it */

/* One row for each enum entry_type; the table is in types.c. */
extern const struct value_ops *const value_types[];
