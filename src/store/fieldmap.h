/* Hashes: fields with their values. A small one is a pack (ds/pack.h) of names and values in turn, inside its entry,
 * and says listpack; a big one is a table of field records (ds/field.h). It becomes big by the options, or where an entry cannot hold
 * it, and never small again. No client, no reply.
 *
 * Slices that come out of here point into the value, or into the scratch that was given for an integer's digits, and
 * are good until the next change. Those that go in must not lie in the value. */
#pragma once
#include "base/num.h"
#include "ds/field.h"
#include "store/db.h"

enum fieldmap_encoding {
    FIELDMAP_LISTPACK = 0,              /* says listpack */
    FIELDMAP_TABLE = ENTRY_OUT_OF_LINE, /* struct table *; says hashtable */
};

struct fieldmap_options {
    int64_t max_entries; /* fields of a listpack */
    int64_t max_value;   /* bytes of a name or of a value in one */
};
extern struct fieldmap_options fieldmap_options;
extern const struct table_type fieldmap_table; /* of struct field, for who builds one from scratch */

size_t fieldmap_count(const struct entry *e);
/* False: there is no such field. O(1); in a listpack O(n). */
bool fieldmap_get(const struct entry *e, struct slice name, char scratch[NUM_I64_MAX], struct slice *value);

/* Set n pairs (n >= 1), pairs[0] being the first name; e may be NULL (creates the key). *created counts the fields
 * that are new. Both return the entry, which may have moved. */
struct entry *fieldmap_set(struct db *db, const struct key *key, struct entry *e, const struct slice *pairs, size_t n,
                           size_t *created);
/* Remove up to n fields; *removed counts those that were there. An empty hash is the caller's to remove. */
struct entry *fieldmap_remove(struct db *db, struct entry *e, const struct slice *names, size_t n, size_t *removed);

/* All pairs, in no particular order; the hash must not change meanwhile. */
struct fieldmap_iter {
    const uint8_t *at, *end; /* of a pack; at is NULL: it is a table */
    struct table_iter records;
    char name_digits[NUM_I64_MAX], value_digits[NUM_I64_MAX];
};
void fieldmap_iter_init(struct fieldmap_iter *it, const struct entry *e);
bool fieldmap_iter_next(struct fieldmap_iter *it, struct field_pair *pair); /* false at the end */

/* One step of HSCAN through a table: table_scan(), visit gets struct field *. */
uint64_t fieldmap_scan(const struct entry *e, uint64_t cursor, table_visit_fn visit, void *ctx);

typedef void (*fieldmap_visit_fn)(void *ctx, const struct field_pair *pair);
/* Visit n fields, each drawn uniformly from all of them: some may come again. O(n); in a listpack O(n + fields). */
void fieldmap_draw(const struct entry *e, size_t n, fieldmap_visit_fn visit, void *ctx);
/* Visit n different fields (all, if there are not more), every choice being equally likely. O(n). */
void fieldmap_sample(const struct entry *e, size_t n, fieldmap_visit_fn visit, void *ctx);

extern const struct value_ops fieldmap_ops;
