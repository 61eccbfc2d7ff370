/* One key and its value in one allocation.
 *
 *      0      1        2            4       5          8
 *     +------+--------+------------+-------+----------+----------+---------------+-----+-------+
 *     | type | key    | value      | flags | access   | deadline | key length    | key | value |
 *     | enc. | length | length     |       |          | (8, if   | (4, if length |     |       |
 *     | 4+4  | 8      | 16         | 8     | 24       | HAS_TTL) | is 255)       |     |       |
 *     +------+--------+------------+-------+----------+----------+---------------+-----+-------+
 *
 * There is no reference count (a value has one owner, its key), no second allocation for the key, and no terminator. A
 * string below BLOB_MIN bytes and a small collection are inline, an integer is 8 inline bytes, any other value is the 8
 * bytes of a pointer. Fields behind the header are unaligned: read them by memcpy. A 16-byte key with a 32-byte value
 * takes 56 bytes, and 64 with a TTL: one size class for both. */
#pragma once
#include "base/alloc.h"
#include "base/likely.h"
#include "base/slice.h"
#include <assert.h>
#include <stdint.h>

/* The numbers are not part of any format. entry_type_name() gives the names for TYPE. */
enum entry_type { ENTRY_STRING, ENTRY_LIST, ENTRY_SET, ENTRY_ZSET, ENTRY_HASH, ENTRY_STREAM, ENTRY_TYPES };

/* Encodings from 8 on are out of line: the inline value is a pointer, and the entry owns what it points to. */
#define ENTRY_OUT_OF_LINE 8

/* Encodings of a string. Other types define theirs in their own modules. */
enum string_encoding {
    STRING_INT,      /* int64_t inline; OBJECT ENCODING says int */
    STRING_EMBSTR,   /* bytes inline, at most STRING_EMBSTR_MAX when they were set; says embstr */
    STRING_RAW,      /* bytes inline; says raw */
    STRING_BLOB = 8, /* struct blob *; says raw */
};
#define STRING_EMBSTR_MAX 44 /* bytes: a string that was set to no more than these reports "embstr" */

enum entry_flag {
    ENTRY_HAS_TTL = 1 << 0,
    ENTRY_SEQUENCE = 7 << 1, /* tells the valid mark in the timing wheel from stale ones: see expire.h */
    ENTRY_USES = 7 << 4,     /* belongs to the access field: see evict.h */
    ENTRY_COUNTED = 1 << 7,  /* the access field was written under an LFU policy */
};
#define ENTRY_SEQUENCE_SHIFT 1
#define ENTRY_USES_SHIFT 4
#define ENTRY_NO_TTL (-1)  /* the deadline of an entry that never expires */
#define ENTRY_LONG_KEY 255 /* key_len of longer keys, whose length follows in 4 bytes */

struct entry {
    uint8_t type_encoding;
    uint8_t key_len;
    uint16_t value_len;
    uint8_t flags;
    uint8_t access[3]; /* when or how often the entry was used: evict.h */
    char body[];
};

static inline enum entry_type entry_type(const struct entry *e) {
    return (enum entry_type)(e->type_encoding & 15);
}
static inline unsigned entry_encoding(const struct entry *e) {
    return e->type_encoding >> 4;
}
static inline bool entry_has_ttl(const struct entry *e) {
    return e->flags & ENTRY_HAS_TTL;
}
/* Bytes of the deadline in the body, 0 or 8. Behind them is the key, or the length field of a long key. */
static inline size_t entry_ttl_bytes(const struct entry *e) {
    return (size_t)(e->flags & ENTRY_HAS_TTL) * sizeof(int64_t);
}
/* Unix time in ms, or ENTRY_NO_TTL. */
static inline int64_t entry_deadline_ms(const struct entry *e) {
    if (!entry_has_ttl(e)) return ENTRY_NO_TTL;
    int64_t ms;
    memcpy(&ms, e->body, sizeof ms);
    return ms;
}
/* Valid until the entry moves. */
static inline struct slice entry_key(const struct entry *e) {
    const char *p = e->body + entry_ttl_bytes(e);
    if (likely(e->key_len != ENTRY_LONG_KEY)) return slice_of(p, e->key_len);
    uint32_t len;
    memcpy(&len, p, sizeof len);
    return slice_of(p + sizeof len, len);
}
/* The inline value: the bytes themselves, or the 8 bytes of an integer or a pointer. */
static inline char *entry_value(const struct entry *e) {
    struct slice key = entry_key(e);
    return (char *)key.ptr + key.len;
}
static inline void *entry_pointer(const struct entry *e) {
    void *p;
    memcpy(&p, entry_value(e), sizeof p);
    return p;
}
static inline void entry_set_pointer(struct entry *e, const void *p) {
    assert(e->value_len == sizeof p);
    memcpy(entry_value(e), &p, sizeof p);
}
static inline int64_t entry_int(const struct entry *e) {
    int64_t n;
    memcpy(&n, entry_value(e), sizeof n);
    return n;
}
/* Bytes that an entry needs; entry_class() of them are allocated. */
static inline size_t entry_bytes_for(size_t key_len, size_t value_len, bool ttl) {
    return sizeof(struct entry) + (ttl ? 8 : 0) + (key_len >= ENTRY_LONG_KEY ? 4 : 0) + key_len + value_len;
}
static inline size_t entry_bytes(const struct entry *e) {
    return (size_t)(entry_value(e) - (const char *)e) + e->value_len;
}

/* Bytes of the allocation for an entry of n bytes. At least 16, for the alignment: a table's slot drops the low four
 * bits of an address, and an empty string under an empty key would otherwise get 8 bytes. */
static inline size_t entry_class(size_t n) {
    return n <= 16 ? 16 : alloc_class(n);
}

/* A new entry with value_len uninitialised inline bytes (at most 65535). Sequence and access clock are 0. The caller
 * owns it, until a database takes it. */
struct entry *entry_new(struct slice key, enum entry_type type, unsigned encoding, size_t value_len,
                        int64_t deadline_ms);
/* Free the entry and its value. The worker frees a large value. */
void entry_free(struct entry *e);
/* The same without the worker, for callers that run on it. */
void entry_free_now(struct entry *e);
/* Free only the value, before the inline bytes are overwritten. */
void entry_drop_value(struct entry *e);
/* Free only the entry, whose value has moved elsewhere. */
static inline void entry_free_shell(struct entry *e) {
    alloc_put(e, entry_class(entry_bytes(e)));
}
/* True if the value is out of line, so that it must be freed. */
static inline bool entry_owns_memory(const struct entry *e) {
    return e->type_encoding & ENTRY_OUT_OF_LINE << 4;
}
/* Values and keys that the worker frees, for INFO. The main thread announces them when it submits the job, which counts
 * them when it is done. */
void entry_lazyfree_begins(size_t objects);
void entry_lazyfree_done(size_t objects);
size_t entry_lazyfree_pending(void);
uint64_t entry_lazyfreed(void); /* since the start or entry_lazyfreed_reset() */
void entry_lazyfreed_reset(void);
/* Bytes of memory, the value included. A collection is estimated from this many elements; 0: count all of them. */
size_t entry_memory(const struct entry *e, size_t samples);
const char *entry_type_name(enum entry_type type);      /* "string", ... */
const char *entry_encoding_name(const struct entry *e); /* "int", "embstr", ... */
uint64_t entry_hash(const void *entry);                 /* of the key: for struct table_type */
