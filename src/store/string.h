/* String values in their encodings: integer, inline bytes, blob.
 *
 * Functions that return an entry may have moved it: use the result. Slices that go in must not lie in the same
 * entry. */
#pragma once
#include "store/db.h"

#define STRING_MAX_DEFAULT (512LL * 1024 * 1024) /* proto-max-bulk-len */

/* The text of the value. That of an integer is printed into `scratch` (NUM_I64_MAX bytes). Valid until the next
 * change. */
struct slice string_bytes(const struct entry *e, char *scratch);
size_t string_length(const struct entry *e);
/* The blob of a string in this encoding, else NULL. The entry owns it: call blob_share() to keep it. */
struct blob *string_blob(const struct entry *e);
/* The value as a number. False: it is not a number in the form that Redis accepts. */
bool string_to_i64(const struct entry *e, int64_t *out);
bool string_to_ld(const struct entry *e, long double *out);

/* The next three return NULL if there is no memory for so long a string; then nothing has changed. A new length below
 * BLOB_MIN always succeeds. */

/* Append; e may be NULL (creates the key). The caller checks that the new length is at most proto-max-bulk-len. Room
 * grows geometrically: O(tail.len) amortised. The value becomes raw. */
struct entry *string_append(struct db *db, const struct key *key, struct entry *e, struct slice tail);
/* Overwrite from `offset` on, and fill a gap with zeros; e may be NULL. The value becomes raw. */
struct entry *string_set_range(struct db *db, const struct key *key, struct entry *e, size_t offset,
                               struct slice bytes);
/* Make the value raw and extend it with zeros to `length` bytes, if it is shorter, so that the caller can write into
 * it: SETRANGE, SETBIT, BITFIELD. *bytes is valid until the next change of the database. */
struct entry *string_make_mutable(struct db *db, const struct key *key, struct entry *e, size_t length, char **bytes);
/* Set an integer, in place if the value is one already; keeps the TTL. e may be NULL. */
struct entry *string_set_i64(struct db *db, const struct key *key, struct entry *e, int64_t value);

extern const struct value_ops string_ops;
