/* A slice names bytes that somebody else owns: a pointer and a length, never a terminator. Arguments, keys and values
 * travel through the server as slices of the buffer they arrived in. A slice is valid as long as those bytes stay where
 * they are; code that keeps one beyond its request copies it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
    const char *ptr;
    size_t len;
};

/* The slice of a string literal. */
#define SLICE(literal) ((struct slice){(literal), sizeof(literal) - 1})

static inline struct slice slice_of(const char *ptr, size_t len) {
    return (struct slice){ptr, len};
}

/* The slice of a C string; NULL gives an empty slice. */
static inline struct slice slice_cstr(const char *s) {
    return (struct slice){s ? s : "", s ? strlen(s) : 0};
}

static inline bool slice_eq(struct slice a, struct slice b) {
    return a.len == b.len && memcmp(a.ptr, b.ptr, a.len) == 0;
}

static inline bool slice_begins_with(struct slice s, struct slice beginning) {
    return s.len >= beginning.len && memcmp(s.ptr, beginning.ptr, beginning.len) == 0;
}

/* Without the CR and LF at its end. */
static inline struct slice slice_without_line_end(struct slice s) {
    while (s.len && (s.ptr[s.len - 1] == '\r' || s.ptr[s.len - 1] == '\n'))
        s.len--;
    return s;
}

/* The order of bytes, as memcmp(): a slice comes before those that it begins. */
static inline int slice_compare(struct slice a, struct slice b) {
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len ? memcmp(a.ptr, b.ptr, len) : 0; /* an empty slice's pointer may be NULL */
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* Equal to `word` if ASCII case is ignored. `word` must be all lower case. */
static inline bool slice_is(struct slice a, const char *word) {
    for (size_t i = 0; i < a.len; i++) {
        unsigned char c = (unsigned char)a.ptr[i];
        if (c >= 'A' && c <= 'Z') c |= 0x20;
        if (c != (unsigned char)word[i] || c == '\0') return false;
    }
    return word[a.len] == '\0';
}
