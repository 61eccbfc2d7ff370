/* Making and freeing entries. An entry owns its value, so freeing the entry frees both. A value that the allocator
 * takes long to free (it returns pages to the kernel) goes to the worker, whichever command removed the key. */
#include "store/entry.h"
#include "base/hash.h"
#include "base/worker.h"
#include "store/value.h"
#include <stdatomic.h>

static atomic_size_t lazyfree_pending;
static atomic_uint_least64_t lazyfreed;

struct entry *entry_new(struct slice key, enum entry_type type, unsigned encoding, size_t value_len,
                        int64_t deadline_ms) {
    assert(value_len <= UINT16_MAX && key.len <= UINT32_MAX);
    bool ttl = deadline_ms != ENTRY_NO_TTL;
    struct entry *e = alloc_get(entry_class(entry_bytes_for(key.len, value_len, ttl)));
    *e = (struct entry){
        .type_encoding = (uint8_t)(type | encoding << 4),
        .key_len = (uint8_t)(key.len < ENTRY_LONG_KEY ? key.len : ENTRY_LONG_KEY),
        .value_len = (uint16_t)value_len,
        .flags = ttl ? ENTRY_HAS_TTL : 0,
    };
    char *p = e->body;
    if (ttl) {
        memcpy(p, &deadline_ms, sizeof deadline_ms);
        p += sizeof deadline_ms;
    }
    if (key.len >= ENTRY_LONG_KEY) {
        uint32_t len = (uint32_t)key.len;
        memcpy(p, &len, sizeof len);
        p += sizeof len;
    }
    memcpy(p, key.ptr, key.len);
    return e;
}

struct dropped {
    void *value;
    uint8_t type, encoding;
};

static void drop_later(void *arg) {
    struct dropped *d = arg;
    value_types[d->type]->drop(d->value, d->encoding);
    alloc_put(d, sizeof *d);
    entry_lazyfree_done(1);
}

void entry_lazyfree_begins(size_t objects) {
    atomic_fetch_add(&lazyfree_pending, objects);
}

void entry_lazyfree_done(size_t objects) {
    atomic_fetch_add(&lazyfreed, objects);
    atomic_fetch_sub(&lazyfree_pending, objects);
}

size_t entry_lazyfree_pending(void) {
    return atomic_load(&lazyfree_pending);
}

uint64_t entry_lazyfreed(void) {
    return atomic_load(&lazyfreed);
}

void entry_lazyfreed_reset(void) {
    atomic_store(&lazyfreed, 0);
}

void entry_drop_value(struct entry *e) {
    if (!entry_owns_memory(e)) return;
    struct dropped d = {entry_pointer(e), entry_type(e), (uint8_t)entry_encoding(e)};
    const struct value_ops *ops = value_types[d.type];
    if (!ops->is_heavy(d.value, d.encoding)) {
        ops->drop(d.value, d.encoding);
        return;
    }
    struct dropped *job = alloc_get(sizeof *job);
    *job = d;
    entry_lazyfree_begins(1);
    worker_submit_free(drop_later, job, sizeof *job + ops->memory(d.value, d.encoding, VALUE_SAMPLES));
}

void entry_free(struct entry *e) {
    entry_drop_value(e);
    entry_free_shell(e);
}

void entry_free_now(struct entry *e) {
    if (entry_owns_memory(e)) value_types[entry_type(e)]->drop(entry_pointer(e), entry_encoding(e));
    entry_free_shell(e);
}

size_t entry_memory(const struct entry *e, size_t samples) {
    size_t bytes = entry_class(entry_bytes(e));
    if (!entry_owns_memory(e)) return bytes;
    return bytes + value_types[entry_type(e)]->memory(entry_pointer(e), entry_encoding(e), samples);
}

const char *entry_type_name(enum entry_type type) {
    static const char *const names[ENTRY_TYPES] = {
        [ENTRY_STRING] = "string", [ENTRY_LIST] = "list", [ENTRY_SET] = "set",
        [ENTRY_ZSET] = "zset",     [ENTRY_HASH] = "hash", [ENTRY_STREAM] = "stream",
    };
    return (unsigned)type < ENTRY_TYPES ? names[type] : "unknown";
}

const char *entry_encoding_name(const struct entry *e) {
    return value_types[entry_type(e)]->encoding_name(entry_encoding(e));
}

uint64_t entry_hash(const void *entry) {
    struct slice key = entry_key(entry);
    return hash_bytes(key.ptr, key.len);
}
