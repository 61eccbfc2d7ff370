/* One field of a big hash with its value, in one allocation.
 *
 *      0       1 or 8 bytes each            (8, if
 *     +-------+-------------+--------------+ FIELD_TTL) -+-------+-------+
 *     | flags | name length | value length | deadline    | name  | value |
 *     +-------+-------------+--------------+-------------+-------+-------+
 *
 * Lengths take a byte each while both are below 256: a name of 10 bytes with a value of 12 takes 25 bytes, and 32 in
 * jemalloc. Nothing sets FIELD_TTL yet. Readers honour it already, so that deadlines of fields will not change the
 * layout.
 *
 * Records are 16-byte aligned, since the table uses the low four bits of an address. All functions are O(bytes). */
#pragma once
#include "base/alloc.h"
#include "base/hash.h"
#include "base/likely.h"
#include "base/slice.h"
#include <stdint.h>

enum field_flag {
    FIELD_WIDE = 1 << 0, /* lengths are 8 bytes each */
    FIELD_TTL = 1 << 1,  /* the deadline (absolute, ms) is before the name */
};

struct field {
    uint8_t flags;
    char rest[];
};

struct field_pair {
    struct slice name, value;
};

/* The name and the value; valid until the record changes. */
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
/* Bytes of the allocation; at least 16, for the alignment. */
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

/* A new record with copies of both; the caller owns it. */
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
/* Overwrite the value in place. False, and no change, if the record would need another size. */
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
