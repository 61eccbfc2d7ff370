/* The operations that every type of value has. Each type's module provides one row.
 *
 * `encoding_name` is asked for all values. The other operations are for values out of line (ENTRY_OUT_OF_LINE): an
 * inline value consists of bytes in its entry, which owns no other memory. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct table;

struct value_ops {
    const char *(*encoding_name)(unsigned encoding); /* for OBJECT ENCODING */
    /* Free the value. May run on the worker thread, so it must touch nothing that the main thread can see. */
    void (*drop)(void *value, unsigned encoding);
    /* True if freeing takes long (many allocations or pages), so that the worker should do it. O(1). */
    bool (*is_heavy)(const void *value, unsigned encoding);
    /* Bytes of memory. A large collection is estimated from this many elements; 0: count all of them. */
    size_t (*memory)(const void *value, unsigned encoding, size_t samples);
    void *(*copy)(const void *value, unsigned encoding); /* an equal, independent value: COPY */
    const struct table *(*members)(
        const void *value); /* the table in which members are looked up; the row is NULL if the type has none */
};

#define VALUE_SAMPLES 32 /* elements from which the bytes of a collection are estimated that the worker will free */

#define VALUE_HEAVY_PARTS 64 /* a collection of more allocations than this is heavy, as in Redis's lazyfree */

/* One row for each enum entry_type; the table is in types.c. */
extern const struct value_ops *const value_types[];
