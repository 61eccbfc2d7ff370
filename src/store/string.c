/* Strings in their four encodings.
 *
 * A string below BLOB_MIN bytes lies in its entry. An APPEND that fits the size class writes the tail and the length;
 * one that does not moves the entry to the next class, which is at most a quarter larger. From BLOB_MIN bytes on the
 * string is a blob, whose room grows geometrically. Unsent replies and copies of the key may share a blob, so it is
 * written only while the entry is its only holder. */
#include "store/string.h"
#include "base/blob.h"
#include "base/num.h"
#include "store/value.h"

#define HEAVY_BYTES (64 * 1024)       /* the worker frees larger blobs */
#define GROW_DOUBLE_MAX (1024 * 1024) /* bytes: smaller blobs double, larger ones grow by a quarter, at least by this */

static unsigned encoding_of(const struct entry *e) {
    assert(entry_type(e) == ENTRY_STRING);
    return entry_encoding(e);
}

struct slice string_bytes(const struct entry *e, char *scratch) {
    switch (encoding_of(e)) {
    case STRING_INT: return slice_of(scratch, (size_t)num_print_i64(scratch, entry_int(e)));
    case STRING_BLOB: return blob_slice(entry_pointer(e));
    default: return slice_of(entry_value(e), e->value_len);
    }
}

size_t string_length(const struct entry *e) {
    char scratch[NUM_I64_MAX];
    return string_bytes(e, scratch).len;
}

struct blob *string_blob(const struct entry *e) {
    return encoding_of(e) == STRING_BLOB ? entry_pointer(e) : NULL;
}

bool string_to_i64(const struct entry *e, int64_t *out) {
    if (encoding_of(e) == STRING_INT) {
        *out = entry_int(e);
        return true;
    }
    char scratch[NUM_I64_MAX];
    return num_parse_i64(string_bytes(e, scratch), out);
}

bool string_to_ld(const struct entry *e, long double *out) {
    char scratch[NUM_I64_MAX];
    return num_parse_ld(string_bytes(e, scratch), out);
}

/* The new room of a blob that has `cap` bytes and needs `need`. A jump gets exactly what it needs: only growth in small
 * steps suggests that more will follow. */
static size_t blob_room_for(size_t cap, size_t need) {
    if (need / 2 > cap) return need;
    if (need < GROW_DOUBLE_MAX) return need * 2;
    return need + (need / 4 > GROW_DOUBLE_MAX ? need / 4 : GROW_DOUBLE_MAX);
}

/* With more room than is needed, if there is memory for that. NULL: there is not enough. */
static struct blob *enlarge_blob(struct blob *b, size_t need) {
    struct blob *larger = blob_try_resize(b, blob_room_for(b->cap, need));
    return larger ? larger : blob_try_resize(b, need);
}

/* Make the value a blob with room for `need` bytes (no less than its length), of which e is the only holder. NULL:
 * there is no memory, and nothing has changed. */
static struct entry *own_blob(struct db *db, const struct key *key, struct entry *e, size_t need) {
    struct blob *b = string_blob(e);
    if (b && __atomic_load_n(&b->holders, __ATOMIC_ACQUIRE) == 1) {
        if (b->cap >= need) return e;
        b = enlarge_blob(b, need);
        if (b) entry_set_pointer(e, b);
        return b ? e : NULL;
    }
    char scratch[NUM_I64_MAX];
    struct slice old = string_bytes(e, scratch);
    struct blob *copy = blob_try_new(need > old.len ? blob_room_for(old.len, need) : need);
    if (copy == NULL) return NULL;
    memcpy(copy->data, old.ptr, old.len);
    copy->len = old.len;
    return db_set_blob(db, key, e, copy, DB_KEEP_TTL);
}

/* Make the value raw and inline, and extend it to `length` bytes. */
static struct entry *own_inline(struct db *db, struct entry *e, size_t length) {
    if (encoding_of(e) == STRING_RAW && e->value_len == length) return e;
    if (encoding_of(e) != STRING_INT) return db_resize_value(db, e, STRING_RAW, length);
    char digits[NUM_I64_MAX];
    size_t len = (size_t)num_print_i64(digits, entry_int(e));
    e = db_resize_value(db, e, STRING_RAW, length);
    memcpy(entry_value(e), digits, len);
    return e;
}

/* Make the value raw and extend it to `length` bytes; *bytes is where they are. NULL: there is no memory. */
static struct entry *extend_string(struct db *db, const struct key *key, struct entry *e, size_t length, char **bytes) {
    if (length < BLOB_MIN && encoding_of(e) != STRING_BLOB) {
        e = own_inline(db, e, length);
        *bytes = entry_value(e);
    } else {
        e = own_blob(db, key, e, length);
        if (e == NULL) return NULL;
        struct blob *b = entry_pointer(e);
        b->len = length;
        *bytes = b->data;
    }
    return e;
}

struct entry *string_append(struct db *db, const struct key *key, struct entry *e, struct slice tail) {
    if (!e) return db_set_string(db, key, NULL, tail, ENTRY_NO_TTL);
    size_t old_len = string_length(e);
    char *bytes;
    e = extend_string(db, key, e, old_len + tail.len, &bytes);
    if (e) memcpy(bytes + old_len, tail.ptr, tail.len);
    return e;
}

/* A new key with `length` zeros, too many for an entry. */
static struct entry *create_zeros(struct db *db, const struct key *key, size_t length, char **bytes) {
    struct blob *b = blob_try_new(length);
    if (b == NULL) return NULL;
    memset(b->data, 0, length);
    b->len = length;
    *bytes = b->data;
    return db_set_blob(db, key, NULL, b, ENTRY_NO_TTL);
}

struct entry *string_make_mutable(struct db *db, const struct key *key, struct entry *e, size_t length, char **bytes) {
    if (!e && length >= BLOB_MIN) return create_zeros(db, key, length, bytes);
    if (!e) e = db_put(db, key, NULL, ENTRY_STRING, STRING_RAW, NULL, 0, ENTRY_NO_TTL);
    size_t old_len = string_length(e);
    if (length < old_len) length = old_len;
    e = extend_string(db, key, e, length, bytes);
    if (e) memset(*bytes + old_len, 0, length - old_len);
    return e;
}

struct entry *string_set_range(struct db *db, const struct key *key, struct entry *e, size_t offset,
                               struct slice bytes) {
    char *to;
    e = string_make_mutable(db, key, e, offset + bytes.len, &to);
    if (e) memcpy(to + offset, bytes.ptr, bytes.len);
    return e;
}

struct entry *string_set_i64(struct db *db, const struct key *key, struct entry *e, int64_t value) {
    if (e && e->type_encoding == (ENTRY_STRING | STRING_INT << 4)) {
        memcpy(entry_value(e), &value, sizeof value);
        return e;
    }
    return db_set_int(db, key, e, value, DB_KEEP_TTL);
}

/* --- The type -------------------------------------------------------------------------------- */

static const char *string_encoding_name(unsigned encoding) {
    switch ((enum string_encoding)encoding) {
    case STRING_INT: return "int";
    case STRING_EMBSTR: return "embstr";
    case STRING_RAW:
    case STRING_BLOB: return "raw";
    }
    return "unknown";
}

static void drop_string(void *value, unsigned encoding) {
    (void)encoding;
    blob_drop(value);
}

/* Only the main thread adds holders, so a blob with one holder belongs to this entry alone. */
static bool string_is_heavy(const void *value, unsigned encoding) {
    (void)encoding;
    const struct blob *b = value;
    return __atomic_load_n(&b->holders, __ATOMIC_ACQUIRE) == 1 && blob_size(b) > HEAVY_BYTES;
}

static size_t string_memory(const void *value, unsigned encoding, size_t samples) {
    (void)encoding;
    (void)samples;
    return blob_size(value);
}

/* The copy shares the blob: own_blob() unshares it before a write. */
static void *copy_string(const void *value, unsigned encoding) {
    (void)encoding;
    return blob_share((struct blob *)value);
}

const struct value_ops string_ops = {.encoding_name = string_encoding_name,
                                     .drop = drop_string,
                                     .is_heavy = string_is_heavy,
                                     .memory = string_memory,
                                     .copy = copy_string};
