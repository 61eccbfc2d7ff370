/* A value that is a table of records: the big encoding of sets and hashes. The table is on the heap and owns its
 * records, each of which is an allocation of its own. */
#pragma once
#include "ds/table.h"

/* An empty table with room for this many records. The caller owns it. */
struct table *value_table_new(const struct table_type *type, size_t room);
/* Free the table, and each record by `free_record`. O(n). */
void value_table_free(struct table *t, void (*free_record)(void *ctx, void *record));
/* Bytes of the table and its records. `bytes_of` gives those of one; it is called for this many samples (0: for
 * all). */
size_t value_table_memory(const struct table *t, size_t samples, size_t (*bytes_of)(const void *record));
/* An independent table with copies of all records. O(n). */
struct table *value_table_copy(const struct table *from, void *(*copy_record)(const void *record));

/* Rows of struct value_ops. The encoding is ignored: these types have only one out of line. */
bool value_table_is_heavy(const void *value, unsigned encoding); /* O(1) */
const struct table *value_table_members(const void *value);
