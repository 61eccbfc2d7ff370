/* The capacity at least doubles and is rounded up to the allocator's class: no byte of an allocation is wasted, and n
 * appends cost O(n). */
#include "base/buf.h"
#include "base/alloc.h"
#include "base/num.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define BUF_FIRST 64 /* bytes of the first allocation */

static __attribute__((noinline)) void buf_grow(struct buf *b, size_t n) {
    size_t need;
    if (__builtin_add_overflow(b->len, n, &need) || need > PTRDIFF_MAX / 2) abort(); /* a bug: nothing is that large */
    size_t cap = b->cap ? b->cap * 2 : BUF_FIRST;
    if (cap < need) cap = need;
    cap = alloc_class(cap);
    b->data = alloc_resize(b->data, b->cap, cap);
    b->cap = cap;
}

char *buf_reserve(struct buf *b, size_t n) {
    if (!b->data || n > b->cap - b->len) buf_grow(b, n);
    return b->data + b->len;
}

void buf_append(struct buf *b, const void *bytes, size_t n) {
    if (n == 0) return; /* bytes may be NULL then */
    memcpy(buf_reserve(b, n), bytes, n);
    b->len += n;
}

void buf_append_slice(struct buf *b, struct slice s) {
    buf_append(b, s.ptr, s.len);
}

void buf_append_cstr(struct buf *b, const char *s) {
    buf_append(b, s, strlen(s));
}

void buf_append_i64(struct buf *b, int64_t value) {
    b->len += (size_t)num_print_i64(buf_reserve(b, NUM_I64_MAX), value);
}

void buf_vprintf(struct buf *b, const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    char *to = buf_reserve(b, 1);
    size_t room = b->cap - b->len;
    int len = vsnprintf(to, room, format, args);
    if (len > 0 && (size_t)len >= room)
        len = vsnprintf(buf_reserve(b, (size_t)len + 1), (size_t)len + 1, format, again);
    va_end(again);
    assert(len >= 0);
    if (len > 0) b->len += (size_t)len;
}

void buf_printf(struct buf *b, const char *format, ...) {
    va_list args;
    va_start(args, format);
    buf_vprintf(b, format, args);
    va_end(args);
}

/* The letter after the backslash, or 0 if c has no short escape. */
static char short_escape(unsigned char c) {
    switch (c) {
    case '\\':
    case '"': return (char)c;
    case '\n': return 'n';
    case '\r': return 'r';
    case '\t': return 't';
    case '\a': return 'a';
    case '\b': return 'b';
    default: return 0;
    }
}

void buf_append_quoted(struct buf *b, struct slice s) {
    static const char hex[] = "0123456789abcdef";
    buf_append(b, "\"", 1);
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        char *to = buf_reserve(b, 4);
        char letter = short_escape(c);
        if (letter) {
            to[0] = '\\';
            to[1] = letter;
            b->len += 2;
        } else if (c >= 0x20 && c < 0x7f) {
            to[0] = (char)c;
            b->len += 1;
        } else {
            to[0] = '\\';
            to[1] = 'x';
            to[2] = hex[c >> 4];
            to[3] = hex[c & 15];
            b->len += 4;
        }
    }
    buf_append(b, "\"", 1);
}

void buf_free(struct buf *b) {
    alloc_put(b->data, b->cap);
    *b = (struct buf){0};
}
