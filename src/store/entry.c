/* Making and releasing entries. An entry owns its value, so releasing one releases both; what takes the
 * allocator long (it gives pages back to the kernel) goes to the worker, whatever command drops it. */
#include "store/entry.h"
#include "base/blob.h"
#include "base/hash.h"
#include "base/worker.h"
#include "store/db.h"

#define LAZY_BYTES (64 * 1024) /* a value that takes more is released on the worker */
#define LONG_KEY 255           /* key_len from which a field of 4 bytes tells the length */

struct entry *entry_new(struct slice key, enum entry_type type, unsigned encoding, size_t value_len,
                        int64_t deadline_ms) {
    assert(value_len <= UINT16_MAX && key.len <= UINT32_MAX);
    bool ttl = deadline_ms != ENTRY_NO_TTL;
    struct entry *e = alloc_get(entry_class(entry_bytes_for(key.len, value_len, ttl)));
    *e = (struct entry){
        .type_encoding = (uint8_t)(type | encoding << 4),
        .key_len = (uint8_t)(key.len < LONG_KEY ? key.len : LONG_KEY),
        .value_len = (uint16_t)value_len,
        .flags = ttl ? ENTRY_HAS_TTL : 0,
    };
    char *p = e->body;
    if (ttl) {
        memcpy(p, &deadline_ms, sizeof deadline_ms);
        p += sizeof deadline_ms;
    }
    if (key.len >= LONG_KEY) {
        uint32_t len = (uint32_t)key.len;
        memcpy(p, &len, sizeof len);
        p += sizeof len;
    }
    memcpy(p, key.ptr, key.len);
    return e;
}

static void drop_blob(void *blob) {
    blob_drop(blob);
}

/* Only the main thread raises a count, so that a blob with one holder is this entry's alone. */
void entry_drop_value(struct entry *e) {
    if (!entry_owns_memory(e)) return;
    struct blob *b = entry_pointer(e);
    if (__atomic_load_n(&b->holders, __ATOMIC_ACQUIRE) == 1 && blob_size(b) > LAZY_BYTES) {
        db_metrics.lazyfreed++;
        worker_submit(drop_blob, b);
    } else {
        blob_drop(b);
    }
}

void entry_free(struct entry *e) {
    entry_drop_value(e);
    entry_free_shell(e);
}

void entry_free_now(struct entry *e) {
    if (entry_owns_memory(e)) blob_drop(entry_pointer(e));
    entry_free_shell(e);
}

size_t entry_memory(const struct entry *e, size_t samples) {
    (void)samples; /* for collections */
    size_t bytes = entry_class(entry_bytes(e));
    if (entry_owns_memory(e)) bytes += blob_size(entry_pointer(e));
    return bytes;
}

const char *entry_type_name(enum entry_type type) {
    static const char *const names[ENTRY_TYPES] = {
        [ENTRY_STRING] = "string", [ENTRY_LIST] = "list", [ENTRY_SET] = "set",
        [ENTRY_ZSET] = "zset",     [ENTRY_HASH] = "hash",
    };
    return (unsigned)type < ENTRY_TYPES ? names[type] : "unknown";
}

const char *entry_encoding_name(const struct entry *e) {
    if (entry_type(e) != ENTRY_STRING) return "unknown";
    switch ((enum string_encoding)entry_encoding(e)) {
    case STRING_INT: return "int";
    case STRING_EMBSTR: return "embstr";
    case STRING_RAW:
    case STRING_BLOB: return "raw";
    }
    return "unknown";
}

uint64_t entry_hash(const void *entry) {
    struct slice key = entry_key(entry);
    return hash_bytes(key.ptr, key.len);
}
