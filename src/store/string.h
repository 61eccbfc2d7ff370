/* Operations on a string value across its encodings: integer, inline bytes, blob. No client, no reply. */
#pragma once
#include "base/num.h"
#include "store/db.h"

#define STRING_MAX_DEFAULT (512LL * 1024 * 1024) /* proto-max-bulk-len */

/* The bytes of a string entry; an integer is printed into scratch (NUM_I64_MAX bytes). */
struct slice string_bytes(const struct entry *e, char *scratch);
size_t string_length(const struct entry *e);
/* The blob of a blob-encoded string, else NULL. The caller shares it if it keeps it. */
struct blob *string_blob(const struct entry *e);
/* The value as a strict 64-bit integer. False if it is not one. */
bool string_to_i64(const struct entry *e, int64_t *out);
bool string_to_ld(const struct entry *e, long double *out);

/* Append; e may be NULL (creates the key). The new length is at most 512 MB, checked by the caller.
 * Grows geometrically so that repeated APPENDs are amortised O(n). The value becomes raw. */
struct entry *string_append(struct db *db, const struct key *key, struct entry *e, struct slice tail);
/* Overwrite from offset, zero-filling a gap; e may be NULL. The result becomes raw. */
struct entry *string_set_range(struct db *db, const struct key *key, struct entry *e, size_t offset,
                               struct slice bytes);
/* A mutable, raw (or blob) value of at least `length` bytes, zero-extended: what SETRANGE, SETBIT,
 * BITFIELD need. *bytes points at its first byte until the next change of the database. */
struct entry *string_make_mutable(struct db *db, const struct key *key, struct entry *e, size_t length, char **bytes);
/* Put value into an int-encoded entry in place, or re-encode; keeps the TTL. e may be NULL. */
struct entry *string_set_i64(struct db *db, const struct key *key, struct entry *e, int64_t value);

extern const struct value_ops string_ops;
