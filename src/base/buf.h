/* A growable byte buffer that owns its memory. {0} is a valid empty one. Running out of memory is fatal.
 *
 * Bytes are at data[0] to data[len - 1]; there is no terminator. Every append may move them. */
#pragma once
#include "base/slice.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data;
    size_t len, cap;
};

/* Make room for n more bytes at data + len, and return that address; the caller adds to len. Amortised O(1). */
char *buf_reserve(struct buf *b, size_t n);
void buf_append(struct buf *b, const void *bytes, size_t n);
void buf_append_slice(struct buf *b, struct slice s);
void buf_append_cstr(struct buf *b, const char *s);
void buf_append_i64(struct buf *b, int64_t value);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *format, va_list args);
/* Append s in double quotes with the escapes of words.h; bytes that are not printable become \xHH (as Redis does). */
void buf_append_quoted(struct buf *b, struct slice s);
void buf_free(struct buf *b); /* back to {0} */

/* The bytes; valid until the next append. */
static inline struct slice buf_slice(const struct buf *b) {
    return slice_of(b->data ? b->data : "", b->len);
}
