/* One field of a big hash with its value, in one allocation.
 *
 *      0       1 or 8 bytes each            (8, if
 *     +-------+-------------+--------------+ FIELD_TTL) -+-------+-------+
 *     | flags | name length | value length | deadline    | name  | value |
 *     +-------+-------------+--------------+-------------+-------+-------+
 *
 * Lengths are a byte each while both are below 256: a name of 10 bytes with a value of 12 is then 25 bytes and
 * jemalloc's class of 32. Nothing sets FIELD_TTL yet; readers honour it all the same, so that deadlines of
 * fields, when they come, change no layout.
 *
 * Records are 16-byte aligned, as the table keeps other things in the low four bits of an address. */
#pragma once
#include "base/alloc.h"
#include "base/hash.h"
#include "base/likely.h"
#include "base/slice.h"
#include <stdint.h>

enum field_flag {
    FIELD_WIDE = 1 << 0, /* lengths are 8 bytes each */
    FIELD_TTL = 1 << 1,  /* the absolute deadline in ms stands before the name */
};

struct field {
    uint8_t flags;
    char rest[];
};

struct field_pair {
    struct slice name, value;
};

static inline struct field_pair field_pair(const struct field *f) {
    const char *p = f->rest;
    size_t name_len, value_len;
    if (unlikely(f->flags & FIELD_WIDE)) {
        memcpy(&name_len, p, sizeof name_len);
        memcpy(&value_len, p + sizeof name_len, sizeof value_len);
        p += sizeof name_len + sizeof value_len;
    } else {
        name_len = (uint8_t)p[0];
        value_len = (uint8_t)p[1];
        p += 2;
    }
    if (unlikely(f->flags & FIELD_TTL)) p += sizeof(int64_t);
    return (struct field_pair){slice_of(p, name_len), slice_of(p + name_len, value_len)};
}

static inline unsigned field_flags_for(size_t name_len, size_t value_len) {
    return name_len > UINT8_MAX || value_len > UINT8_MAX ? FIELD_WIDE : 0;
}
/* Bytes of the allocation: not below 16, for the alignment. */
static inline size_t field_class(unsigned flags, size_t name_len, size_t value_len) {
    size_t n = sizeof(struct field) + (flags & FIELD_WIDE ? 2 * sizeof(size_t) : 2);
    if (flags & FIELD_TTL) n += sizeof(int64_t);
    n += name_len + value_len;
    return n <= 16 ? 16 : alloc_class(n);
}
static inline size_t field_memory(const struct field *f) {
    struct field_pair p = field_pair(f);
    return field_class(f->flags, p.name.len, p.value.len);
}

/* A new record of copies of both. */
static inline struct field *field_new(struct slice name, struct slice value) {
    unsigned flags = field_flags_for(name.len, value.len);
    struct field *f = alloc_get(field_class(flags, name.len, value.len));
    f->flags = (uint8_t)flags;
    char *p = f->rest;
    if (flags & FIELD_WIDE) {
        memcpy(p, &name.len, sizeof name.len);
        memcpy(p + sizeof name.len, &value.len, sizeof value.len);
        p += sizeof name.len + sizeof value.len;
    } else {
        *p++ = (char)name.len;
        *p++ = (char)value.len;
    }
    if (name.len) memcpy(p, name.ptr, name.len);
    if (value.len) memcpy(p + name.len, value.ptr, value.len);
    return f;
}
/* Give the record another value where it stands. False: it would need another allocation. */
static inline bool field_assign(struct field *f, struct slice value) {
    struct field_pair p = field_pair(f);
    unsigned wide = f->flags & FIELD_WIDE;
    if (field_flags_for(p.name.len, value.len) != wide) return false;
    if (field_class(f->flags, p.name.len, value.len) != field_class(f->flags, p.name.len, p.value.len)) return false;
    if (wide) {
        memcpy(f->rest + sizeof(size_t), &value.len, sizeof value.len);
    } else {
        f->rest[1] = (char)value.len;
    }
    if (value.len) memcpy((char *)p.value.ptr, value.ptr, value.len);
    return true;
}
static inline void field_free(struct field *f) {
    alloc_put(f, field_memory(f));
}

/* For the table: its hash, and equality with a struct slice. */
static inline uint64_t field_hash(const void *f) {
    struct slice name = field_pair(f).name;
    return hash_bytes(name.ptr, name.len);
}
static inline bool field_equal(const void *f, const void *name) {
    return slice_eq(field_pair(f).name, *(const struct slice *)name);
}
