/* A value that is a table of records, each an allocation of its own: the big encoding of sets and hashes.
 *
 * The table lies on the heap, and it owns its records. Functions that take an encoding fit struct value_ops; they
 * ignore it, as such a type has only one encoding out of line. */
#pragma once
#include "ds/table.h"

/* An empty table with room for this many records. The caller owns it. */
struct table *value_table_new(const struct table_type *type, size_t room);
/* Free the table and, by `free_record`, each record. O(n). */
void value_table_free(struct table *t, void (*free_record)(void *ctx, void *record));
/* Bytes of the table and its records. `bytes_of` tells of one; `samples` of them are asked (0: all). */
size_t value_table_memory(const struct table *t, size_t samples, size_t (*bytes_of)(const void *record));
/* An independent table with copies of all records. O(n). */
struct table *value_table_copy(const struct table *from, void *(*copy_record)(const void *record));

bool value_table_is_heavy(const void *value, unsigned encoding); /* O(1) */
const struct table *value_table_members(const void *value);
