/* A large byte string with a count of holders. A value of BLOB_MIN bytes or more lives in one, a bulk of that size is
 * received straight into one, and a reply refers to it until it has been sent.
 *
 * Bytes may be written only while there is a single holder. Counts are atomic, since the worker frees whole databases
 * while replies still refer to blobs. */
#pragma once
#include "base/slice.h"
#include <stdint.h>

#define BLOB_MIN 16384 /* bytes from which a string is kept as a blob */

struct blob {
    uint32_t holders;
    size_t len; /* bytes in use */
    size_t cap; /* bytes that data can take */
    char data[];
};

struct blob *blob_new(size_t cap);          /* one holder, len 0 */
struct blob *blob_try_new(size_t cap);      /* NULL if there is no memory */
struct blob *blob_from(struct slice bytes); /* one holder, a copy */
/* For the only holder; may move; cap >= len. NULL if there is no memory: b stays. O(n). */
struct blob *blob_try_resize(struct blob *b, size_t cap);
struct blob *blob_share(struct blob *b); /* one holder more; returns b */
void blob_drop(struct blob *b);          /* one holder less; frees it with the last one */
size_t blob_size(const struct blob *b);  /* bytes of memory it takes */

static inline struct slice blob_slice(const struct blob *b) {
    return slice_of(b->data, b->len);
}
