/* Digests, encodings and tables of keys. The texts have the layout of Redis's, since tools pick numbers out of them.
 * Where kura's structures differ from Redis's, a number is the nearest that kura has. Nothing here changes a key:
 * expired ones stay, and access times too. */
#include "admin/debug_values.h"
#include "admin/digest.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/num.h"
#include "cmd/args.h"
#include "ds/pack.h"
#include "rdb/rdb.h"
#include "session/client.h"
#include "session/reply.h"
#include "store/evict.h"
#include "store/list.h"
#include "store/set.h"
#include "store/string.h"
#include "store/zset.h"
#include <stdio.h>

/* The entry of the key in DEBUG's second argument. NULL: there is none, replied. */
static struct entry *debug_entry(struct request *r) {
    struct key key = key_of(r->argv[2]);
    struct entry *e = db_peek(r->client->db, &key);
    if (!e) reply_no_key(r->client);
    return e;
}

/* --- DIGEST ---------------------------------------------------------------------------------- */

static void reply_digest(struct client *c, const struct digest *d) {
    char hex[2 * DIGEST_BYTES + 1];
    for (int i = 0; i < DIGEST_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", d->bytes[i]);
    reply_status(c, hex);
}

void debug_values_digest(struct request *r) {
    struct digest d = digest_everything();
    reply_digest(r->client, &d);
}

void debug_values_digest_value(struct request *r) {
    reply_array(r->client, (size_t)r->argc - 2);
    for (int i = 2; i < r->argc && !reply_is_pointless(r->client); i++) {
        struct key key = key_of(r->argv[i]);
        struct digest d = digest_value(db_look(r->client->db, &key));
        reply_digest(r->client, &d);
    }
}

/* --- OBJECT ---------------------------------------------------------------------------------- */

/* Bytes that DUMP adds to a value: type, version, checksum. */
#define PAYLOAD_FRAME (1 + 2 + 8)

/* Bytes of the value in an RDB file. */
static size_t serialized_length(const struct entry *e) {
    struct writer w;
    writer_to_memory(&w, true);
    rdb_dump(&w, e);
    size_t bytes = writer_slice(&w).len - PAYLOAD_FRAME;
    writer_free(&w);
    return bytes;
}

/* The number of nodes, their bytes and the like, as Redis shows them for quicklists. */
static void append_quicklist(struct buf *text, const struct quicklist *q) {
    size_t bytes = 0;
    for (size_t i = 0; i < q->used; i++)
        bytes += quicknode_bytes(quicklist_node(q, i));
    buf_printf(text, " ql_nodes:%u ql_avg_node:%.2f ql_listpack_max:%d ql_compressed:%d ql_uncompressed_size:%zu",
               q->used, (double)q->count / q->used, list_options.max_listpack_size, q->depth > 0, bytes);
}

void debug_values_object(struct request *r) {
    struct entry *e = debug_entry(r);
    struct buf text = {0};
    if (!e) return;
    uint32_t access = (uint32_t)e->access[0] | (uint32_t)e->access[1] << 8 | (uint32_t)e->access[2] << 16;
    buf_printf(&text, "Value at:%p refcount:1 encoding:%s serializedlength:%zu lru:%u lru_seconds_idle:%llu", (void *)e,
               entry_encoding_name(e), serialized_length(e), access, (unsigned long long)evict_idle_s(e));
    if (entry_type(e) == ENTRY_LIST && entry_encoding(e) == LIST_QUICKLIST) append_quicklist(&text, entry_pointer(e));
    reply_status_slice(r->client, buf_slice(&text));
    buf_free(&text);
}

/* A string has no spare room in kura: a key and its value are one allocation. */
void debug_values_sdslen(struct request *r) {
    struct entry *e = debug_entry(r);
    if (!e) return;
    if (entry_type(e) != ENTRY_STRING || entry_encoding(e) == STRING_INT) {
        reply_error(r->client, "ERR Not an sds encoded string.");
        return;
    }
    char text[192];
    snprintf(text, sizeof text,
             "key_sds_len:%zu, key_sds_avail:0, key_zmalloc: %zu, val_sds_len:%zu, val_sds_avail:0, "
             "val_zmalloc: %zu",
             entry_key(e).len, entry_class(entry_bytes(e)), string_length(e),
             entry_memory(e, 0) - entry_class(entry_bytes(e)));
    reply_status(r->client, text);
}

/* --- LISTPACK -------------------------------------------------------------------------------- */

/* Log the elements of a listpack. */
static void log_listpack(const uint8_t *lp) {
    log_notice("listpack: %zu bytes, %zu elements", listpack_bytes(lp), listpack_count(lp));
    for (const uint8_t *at = listpack_first(lp); !listpack_at_end(at); at = listpack_next(at)) {
        char digits[NUM_I64_MAX];
        struct buf text = {0};
        buf_append_quoted(&text, listpack_text(at, digits));
        buf_append(&text, "", 1);
        log_notice("listpack: at %zu, %zu bytes: %.100s", (size_t)(at - lp), (size_t)(listpack_next(at) - at),
                   text.data);
        buf_free(&text);
    }
}

static bool is_pack(const struct entry *e) {
    switch (entry_type(e)) {
    case ENTRY_LIST: return entry_encoding(e) == LIST_INLINE;
    case ENTRY_SET: return entry_encoding(e) == SET_LISTPACK;
    case ENTRY_ZSET:
    case ENTRY_HASH: return !entry_owns_memory(e);
    default: return false;
    }
}

/* Redis prints to its standard output; kura writes to the log, which operators read. The entry of a small value holds a
 * pack (ds/pack.h), of which a listpack is made first. */
void debug_values_listpack(struct request *r) {
    struct entry *e = debug_entry(r);
    if (!e) return;
    if (is_pack(e)) {
        const uint8_t *pack = (const uint8_t *)entry_value(e);
        size_t bytes = pack_listpack_bytes(pack, e->value_len);
        uint8_t *lp = alloc_get(bytes);
        pack_to_listpack(pack, e->value_len, lp);
        log_listpack(lp);
        alloc_put(lp, bytes);
    } else if (entry_type(e) == ENTRY_LIST && entry_encoding(e) == LIST_PACKED) {
        log_listpack(quicklist_only_listpack(entry_pointer(e)));
    } else {
        reply_error(r->client, "ERR Not a listpack encoded object.");
        return;
    }
    reply_status(r->client, "Listpack structure printed on stdout");
}

static void log_node(const struct quicknode *n, size_t index, bool elements) {
    log_notice("quicklist: node %zu: %u elements, %zu bytes%s%s", index, n->count, quicknode_bytes(n),
               n->plain ? ", plain" : "", n->compressed ? ", compressed" : "");
    if (!elements || n->plain) return;
    struct quicknode_scratch scratch = {0};
    log_listpack(n->compressed ? quicknode_read(n, &scratch) : quicknode_listpack(n));
    quicknode_scratch_free(&scratch);
}

void debug_values_quicklist(struct request *r) {
    struct entry *e = debug_entry(r);
    if (!e) return;
    if (entry_type(e) != ENTRY_LIST || entry_encoding(e) != LIST_QUICKLIST) {
        reply_error(r->client, "ERR Not a quicklist encoded object.");
        return;
    }
    const struct quicklist *q = entry_pointer(e);
    log_notice("quicklist: %zu elements, %u nodes", q->count, q->used);
    for (size_t i = 0; i < q->used; i++)
        log_node(quicklist_node(q, i), i, r->argc > 3 && slice_is(r->argv[3], "1"));
    reply_status(r->client, "Quicklist structure printed on stdout");
}

/* --- HTSTATS --------------------------------------------------------------------------------- */

/* Redis counts how long the chains of its slots are; kura counts how full its lines of eight records are, and uses the
 * same words. */
static void append_table(struct buf *text, const struct table *t, bool full) {
    size_t lines[9] = {0}, all = 0, longest = 0;
    buf_append_cstr(text, "Hash table 0 stats (main hash table):\n");
    if (t->count == 0) {
        buf_append_cstr(text, "No stats available for empty dictionaries\n");
        return;
    }
    table_count_lines(t, lines);
    for (size_t i = 0; i < 9; i++) {
        all += lines[i];
        if (lines[i]) longest = i;
    }
    buf_printf(text, " table size: %zu\n number of elements: %zu\n", 8 * all, t->count);
    if (!full) return;
    buf_printf(text, " different slots: %zu\n max chain length: %zu\n", all - lines[0], longest);
    buf_printf(text, " avg chain length (counted): %.2f\n avg chain length (computed): %.2f\n",
               (double)t->count / (double)(all - lines[0]), (double)t->count / (double)(all - lines[0]));
    buf_append_cstr(text, " Chain length distribution:\n");
    for (size_t i = 0; i < 9; i++) {
        if (lines[i]) buf_printf(text, "   %zu: %zu (%.2f%%)\n", i, lines[i], 100.0 * (double)lines[i] / (double)all);
    }
}

/* The word FULL adds details; any other word is ignored. */
static bool wants_full(const struct request *r) {
    return r->argc > 3 && slice_is(r->argv[3], "full");
}

/* Redis keeps deadlines in a second table. kura has a timing wheel: only the number of deadlines is worth showing. */
static void append_deadlines(struct buf *text, const struct db *db) {
    buf_append_cstr(text, "[Expires HT]\n");
    append_table(text, &(struct table){.count = 0}, false);
    if (db->expiring) {
        text->len -= strlen("No stats available for empty dictionaries\n");
        buf_printf(text, " table size: %zu\n number of elements: %zu\n", db->expiring, db->expiring);
    }
}

void debug_values_htstats(struct request *r) {
    int64_t id;
    struct buf text = {0};
    if (!args_i64(r->client, r->argv[2], &id)) return;
    if (id < 0 || id >= db_count()) {
        reply_error(r->client, "ERR Out of range database");
        return;
    }
    struct db *db = db_at((int)id);
    buf_append_cstr(&text, "[Dictionary HT]\n");
    append_table(&text, &db->keys, wants_full(r));
    append_deadlines(&text, db);
    reply_verbatim(r->client, buf_slice(&text), "txt");
    buf_free(&text);
}

static const struct table *table_of(const struct entry *e) {
    if (!entry_owns_memory(e)) return NULL;
    switch (entry_type(e)) {
    case ENTRY_SET:
    case ENTRY_HASH: return entry_pointer(e);
    case ENTRY_ZSET: return &((const struct zset *)entry_pointer(e))->members;
    default: return NULL;
    }
}

void debug_values_htstats_key(struct request *r) {
    struct entry *e = debug_entry(r);
    struct buf text = {0};
    if (!e) return;
    const struct table *t = table_of(e);
    if (!t) {
        reply_error(r->client, "ERR The value stored at the specified key is not represented using an hash table");
        return;
    }
    append_table(&text, t, wants_full(r));
    reply_verbatim(r->client, buf_slice(&text), "txt");
    buf_free(&text);
}
