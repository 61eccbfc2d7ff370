/* The hash type: fields with their values. (base/hash.h is the hash function, hence the other name.)
 *
 * A small hash is a pack (ds/pack.h) in its entry, in which names and values alternate; OBJECT ENCODING reports it as
 * listpack. A big one is a table of field records (ds/field.h). A hash becomes big when it exceeds the options or the
 * size of an entry, and never small again.
 *
 * Slices that come out point into the value, or into the given scratch for the digits of an integer, and are valid
 * until the next change. Slices that go in must not lie in the value. A field is found in O(1), in a pack in
 * O(fields). */
#pragma once
#include "base/num.h"
#include "ds/field.h"
#include "store/db.h"

enum fieldmap_encoding {
    FIELDMAP_LISTPACK = 0,              /* a pack inline; reported as listpack */
    FIELDMAP_TABLE = ENTRY_OUT_OF_LINE, /* struct table *; reported as hashtable */
};

struct fieldmap_options {
    int64_t max_entries; /* fields in a pack */
    int64_t max_value;   /* bytes of a name or a value in a pack */
};
extern struct fieldmap_options fieldmap_options;
extern const struct table_type fieldmap_table; /* for building a table of struct field */

size_t fieldmap_count(const struct entry *e); /* O(1) */
/* False: there is no such field. */
bool fieldmap_get(const struct entry *e, struct slice name, char scratch[NUM_I64_MAX], struct slice *value);

/* Set n >= 1 pairs: pairs[0] is the first name, pairs[1] its value. e may be NULL (creates the key). *created is the
 * number of new fields. Returns the entry, which may have moved. */
struct entry *fieldmap_set(struct db *db, const struct key *key, struct entry *e, const struct slice *pairs, size_t n,
                           size_t *created);
/* Remove n fields; *removed is the number that existed. The caller removes the key of an empty hash. Returns the entry,
 * which may have moved. */
struct entry *fieldmap_remove(struct db *db, struct entry *e, const struct slice *names, size_t n, size_t *removed);

/* All pairs, in no particular order. The hash must not change during the iteration. */
struct fieldmap_iter {
    const uint8_t *at, *end; /* in a pack; `at` is NULL for a table */
    struct table_iter records;
    char name_digits[NUM_I64_MAX], value_digits[NUM_I64_MAX];
};
void fieldmap_iter_init(struct fieldmap_iter *it, const struct entry *e);
bool fieldmap_iter_next(struct fieldmap_iter *it, struct field_pair *pair); /* false at the end */

/* One step of HSCAN through a hash that is a table, as table_scan(); `visit` gets struct field *. */
uint64_t fieldmap_scan(const struct entry *e, uint64_t cursor, table_visit_fn visit, void *ctx);

typedef void (*fieldmap_visit_fn)(void *ctx, const struct field_pair *pair);
/* Visit n fields, each drawn uniformly from all, so repetitions are possible. O(n), in a pack O(n + fields). */
void fieldmap_draw(const struct entry *e, size_t n, fieldmap_visit_fn visit, void *ctx);
/* Visit n different fields, or all if there are fewer. Every selection is equally likely. O(n), in a pack O(fields). */
void fieldmap_sample(const struct entry *e, size_t n, fieldmap_visit_fn visit, void *ctx);

extern const struct value_ops fieldmap_ops;
