/* A growable byte buffer in Lua's own memory, for the libraries that build strings.
 *
 * The bytes lie in a userdata that an upvalue of the running C function holds. So a Lua error may jump out of the
 * function at any place and nothing leaks, the memory limit of scripts covers the buffer, and a small buffer stays for
 * the next call. Each growth needs one free slot on the Lua stack. */
#pragma once
#include "base/likely.h"
#include <lua5.1/lua.h>
#include <stdbool.h>
#include <stddef.h>

struct lib_buf {
    lua_State *L;
    char *data;
    size_t len, cap;
    int anchor; /* which upvalue holds the userdata */
};

/* Begin an empty buffer in the userdata that upvalue `anchor` holds, if it holds one. */
void lib_buf_open(struct lib_buf *b, lua_State *L, int anchor);
/* Push the bytes as a string. The memory stays for the next call, if `keep` says so and it is not large. */
void lib_buf_push(struct lib_buf *b, bool keep);
void lib_buf_grow(struct lib_buf *b, size_t n); /* make cap - len at least n; raises a Lua error if it cannot */

/* Make room for n more bytes at data + len, and return that address; the caller adds to len. Amortised O(1). */
static inline char *lib_buf_reserve(struct lib_buf *b, size_t n) {
    if (unlikely(b->cap - b->len < n)) lib_buf_grow(b, n);
    return b->data + b->len;
}

static inline void lib_buf_put(struct lib_buf *b, char byte) {
    *lib_buf_reserve(b, 1) = byte;
    b->len++;
}
