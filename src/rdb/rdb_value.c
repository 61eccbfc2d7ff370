/* Reading values: strings and lists, and the functions that all types share. A value gets the encoding that the present
 * options demand, whatever it was written with. */
#include "base/alloc.h"
#include "base/blob.h"
#include "base/crc64.h"
#include "base/log.h"
#include "base/num.h"
#include "ds/pack.h"
#include "ds/quicklist.h"
#include "rdb/rdb_decode.h"
#include "rdb/rdb_format.h"
#include "store/evict.h"
#include "store/list.h"
#include "store/value.h"

#define INT_DIGITS_MAX 20 /* bytes of the longest integer */

/* --- Making values --------------------------------------------------------------------------- */

void rdb_value_inline(struct rdb_value *v, enum entry_type type, unsigned encoding, const uint8_t *bytes, size_t n) {
    assert(n <= UINT16_MAX);
    *v = (struct rdb_value){.type = type, .encoding = encoding, .len = n, .bytes = bytes};
}

void rdb_value_pack(struct rdb_in *in, struct rdb_value *v, enum entry_type type, unsigned encoding,
                    const uint8_t *listpack) {
    uint8_t *pack = rdb_room(&in->name, listpack_bytes(listpack), 0);
    rdb_value_inline(v, type, encoding, pack, pack_from_listpack(pack, listpack));
}

void rdb_value_pointer(struct rdb_value *v, enum entry_type type, unsigned encoding, const void *pointer) {
    *v = (struct rdb_value){.type = type, .encoding = encoding, .len = sizeof pointer};
    memcpy(v->own, &pointer, sizeof pointer);
}

bool rdb_value_empty(struct rdb_value *v) {
    *v = (struct rdb_value){.empty = true};
    return true;
}

static void value_int(struct rdb_value *v, int64_t number) {
    *v = (struct rdb_value){.type = ENTRY_STRING, .encoding = STRING_INT, .len = sizeof number};
    memcpy(v->own, &number, sizeof number);
}

void rdb_value_drop(struct rdb_value *v) {
    void *pointer;
    if (v->empty || v->encoding < ENTRY_OUT_OF_LINE) return;
    memcpy(&pointer, v->own, sizeof pointer);
    value_types[v->type]->drop(pointer, v->encoding);
    v->empty = true;
}

struct entry *rdb_value_entry(const struct rdb_value *v, struct slice key, int64_t deadline_ms) {
    struct entry *e = entry_new(key, v->type, v->encoding, v->len, deadline_ms);
    const uint8_t *bytes = v->bytes ? v->bytes : v->own;
    if (v->len > 0) memcpy(entry_value(e), bytes, v->len);
    evict_init_access(e);
    return e;
}

/* --- Strings --------------------------------------------------------------------------------- */

static void value_text(struct rdb_value *v, struct slice s) {
    int64_t n;
    if (s.len > 0 && s.len <= INT_DIGITS_MAX && (uint8_t)*s.ptr <= '9' && num_parse_i64(s, &n)) {
        value_int(v, n);
    } else {
        unsigned encoding = s.len <= STRING_EMBSTR_MAX ? STRING_EMBSTR : STRING_RAW;
        rdb_value_inline(v, ENTRY_STRING, encoding, (const uint8_t *)s.ptr, s.len);
    }
}

static bool get_blob(struct rdb_in *in, const struct rdb_string_head *head, struct rdb_value *v) {
    struct blob *blob = blob_try_new(head->len);
    if (!blob) return rdb_refuse(in, RDB_CUT, "no memory for a string of %zu bytes", head->len);
    if (!rdb_get_body(in, head, blob->data)) {
        blob_drop(blob);
        return false;
    }
    blob->len = head->len;
    rdb_value_pointer(v, ENTRY_STRING, STRING_BLOB, blob);
    return true;
}

static bool get_string(struct rdb_in *in, struct rdb_value *v) {
    struct rdb_string_head head;
    if (!rdb_get_head(in, &head)) return false;
    if (head.kind == RDB_NUMBER) {
        value_int(v, head.number);
        return true;
    }
    if (head.len >= BLOB_MIN) return get_blob(in, &head, v);
    const uint8_t *bytes;
    if (head.kind == RDB_PLAIN) {
        bytes = reader_take(in->reader, head.len);
        if (!bytes) return rdb_in_cut(in);
    } else {
        uint8_t *room = rdb_room(&in->text, head.len, 0);
        if (!room || !rdb_get_body(in, &head, room)) return rdb_refuse(in, RDB_CUT, "no memory");
        bytes = room;
    }
    value_text(v, slice_of((const char *)bytes, head.len));
    return true;
}

/* --- Listpacks ------------------------------------------------------------------------------- */

static bool check_listpack(struct rdb_in *in, uint8_t *lp, size_t n) {
    enum listpack_state state = n <= LISTPACK_LIMIT ? listpack_check(lp, n, NULL, NULL) : LISTPACK_BROKEN;
    if (state == LISTPACK_BROKEN) return rdb_refuse(in, RDB_CORRUPT, "a broken listpack");
    if (state == LISTPACK_LOOSE) listpack_tidy(lp);
    return true;
}

bool rdb_get_listpack(struct rdb_in *in, uint8_t **lp) {
    size_t n;
    return rdb_get_block(in, &in->text, lp, &n) && check_listpack(in, *lp, n);
}

/* An open hash table of offsets with at least twice as many slots as entries. Equal entries have equal bytes. */
bool rdb_has_twins(const uint8_t *lp, unsigned stride) {
    enum { ON_STACK = 1024 };
    uint32_t few[ON_STACK], *seen = few;
    size_t count = listpack_count(lp) / stride, room = 16;
    while (room < 2 * count)
        room *= 2;
    if (room > ON_STACK) seen = alloc_get(room * sizeof *seen);
    memset(seen, 0, room * sizeof *seen);
    bool found = false;
    for (const uint8_t *at = listpack_first(lp), *next; !found && !listpack_at_end(at); at = next) {
        next = listpack_next(at);
        size_t n = (size_t)(next - at);
        size_t slot = (size_t)hash_bytes((const char *)at, n) & (room - 1);
        for (; seen[slot]; slot = (slot + 1) & (room - 1)) {
            const uint8_t *other = lp + seen[slot];
            if ((size_t)(listpack_next(other) - other) == n && memcmp(other, at, n) == 0) found = true;
        }
        seen[slot] = (uint32_t)(at - lp);
        for (unsigned i = 1; i < stride; i++)
            next = listpack_next(next);
    }
    if (seen != few) alloc_put(seen, room * sizeof *seen);
    return found;
}

/* --- Lists ----------------------------------------------------------------------------------- */

static struct quicklist *new_list(void) {
    return quicklist_new(list_options.max_listpack_size, list_options.compress_depth);
}

/* Make a listpack the value, if it is short enough for the entry. */
static bool take_inline(struct rdb_in *in, struct rdb_value *v, const uint8_t *lp) {
    size_t n = listpack_bytes(lp);
    if (n > LIST_INLINE_MAX || quicklist_exceeds(list_options.max_listpack_size, n, listpack_count(lp))) return false;
    rdb_value_pack(in, v, ENTRY_LIST, LIST_INLINE, lp);
    return true;
}

/* The list is complete: make it the value, in the encoding that fits. Takes over q. */
static bool finish_list(struct rdb_in *in, struct quicklist *q, struct rdb_value *v) {
    const uint8_t *lp = quicklist_only_listpack(q);
    if (q->count == 0) {
        quicklist_free(q);
        return rdb_value_empty(v);
    }
    size_t n = lp ? listpack_bytes(lp) : 0;
    if (!lp || quicklist_exceeds(list_options.max_listpack_size, n, q->count)) {
        rdb_value_pointer(v, ENTRY_LIST, LIST_QUICKLIST, q);
    } else if (n > LIST_INLINE_MAX) {
        rdb_value_pointer(v, ENTRY_LIST, LIST_PACKED, q);
    } else {
        rdb_value_pack(in, v, ENTRY_LIST, LIST_INLINE, lp);
        quicklist_free(q);
    }
    return true;
}

static bool get_elements(struct rdb_in *in, struct quicklist *q) {
    uint64_t count;
    struct slice s;
    if (!rdb_get_count(in, &count, 1)) return false;
    while (count-- > 0) {
        if (!rdb_get_string(in, &in->text, &s)) return false;
        quicklist_push(q, QUICKLIST_TAIL, s);
    }
    return true;
}

/* The next node of a quicklist as a listpack. *lp NULL: it is the plain element *element. */
static bool get_node(struct rdb_in *in, unsigned type, uint8_t **lp, struct slice *element) {
    uint64_t container = RDB_NODE_PACKED;
    uint8_t *block;
    size_t n;
    *lp = NULL;
    if (type == RDB_TYPE_LIST_QUICKLIST_2) {
        if (!rdb_get_length(in, &container)) return false;
        if (container == RDB_NODE_PLAIN) {
            if (!rdb_get_string(in, &in->text, element)) return false;
            return element->len > 0 || rdb_refuse(in, RDB_CORRUPT, "an empty plain node in a list");
        }
        if (container != RDB_NODE_PACKED) return rdb_refuse(in, RDB_CORRUPT, "a list's node of an unknown kind");
        return rdb_get_listpack(in, lp);
    }
    if (!rdb_get_block(in, &in->text, &block, &n) || !rdb_ziplist_to_pack(in, block, n)) return false;
    *lp = in->pack.bytes;
    return true;
}

static bool get_nodes(struct rdb_in *in, unsigned type, uint64_t count, struct quicklist *q) {
    while (count-- > 0) {
        uint8_t *lp;
        struct slice element;
        if (!get_node(in, type, &lp, &element)) return false;
        if (lp) {
            quicklist_append_listpack(q, lp);
        } else {
            quicklist_push(q, QUICKLIST_TAIL, element);
        }
    }
    return true;
}

/* Most lists are short, and are one listpack that fits into the entry. */
static bool get_only_node(struct rdb_in *in, unsigned type, struct rdb_value *v) {
    uint8_t *lp;
    struct slice element;
    if (!get_node(in, type, &lp, &element)) return false;
    if (lp && listpack_at_end(listpack_first(lp))) return rdb_value_empty(v);
    if (lp && take_inline(in, v, lp)) return true;
    struct quicklist *q = new_list();
    if (lp) {
        quicklist_append_listpack(q, lp);
    } else {
        quicklist_push(q, QUICKLIST_TAIL, element);
    }
    return finish_list(in, q, v);
}

static bool get_list(struct rdb_in *in, unsigned type, struct rdb_value *v) {
    uint64_t count = 1;
    bool nodes = type == RDB_TYPE_LIST_QUICKLIST || type == RDB_TYPE_LIST_QUICKLIST_2;
    if (nodes && !rdb_get_count(in, &count, 1)) return false;
    if (type != RDB_TYPE_LIST && count == 1) return get_only_node(in, type, v);
    struct quicklist *q = new_list();
    if (nodes ? get_nodes(in, type, count, q) : get_elements(in, q)) return finish_list(in, q, v);
    quicklist_free(q);
    return false;
}

/* --- All types ------------------------------------------------------------------------------- */

static bool refuse_type(struct rdb_in *in, unsigned type) {
    switch (type) {
    case RDB_TYPE_MODULE_OLD:
    case RDB_TYPE_MODULE: return rdb_refuse(in, RDB_UNSUPPORTED, "a value of a module, which kura cannot load");
    default: return rdb_refuse(in, RDB_CORRUPT, "unknown type %u", type);
    }
}

bool rdb_get_value(struct rdb_in *in, unsigned type, struct rdb_value *v) {
    switch (type) {
    case RDB_TYPE_STRING: return get_string(in, v);
    case RDB_TYPE_LIST:
    case RDB_TYPE_LIST_ZIPLIST:
    case RDB_TYPE_LIST_QUICKLIST:
    case RDB_TYPE_LIST_QUICKLIST_2: return get_list(in, type, v);
    case RDB_TYPE_SET:
    case RDB_TYPE_SET_INTSET:
    case RDB_TYPE_SET_LISTPACK: return rdb_get_set(in, type, v);
    case RDB_TYPE_HASH:
    case RDB_TYPE_HASH_ZIPMAP:
    case RDB_TYPE_HASH_ZIPLIST:
    case RDB_TYPE_HASH_LISTPACK: return rdb_get_hash(in, type, v);
    case RDB_TYPE_ZSET:
    case RDB_TYPE_ZSET_2:
    case RDB_TYPE_ZSET_ZIPLIST:
    case RDB_TYPE_ZSET_LISTPACK: return rdb_get_zset(in, type, v);
    case RDB_TYPE_STREAM_1:
    case RDB_TYPE_STREAM_2:
    case RDB_TYPE_STREAM_3: return rdb_get_stream(in, type, v);
    default: return refuse_type(in, type);
    }
}

/* The structure in a string that a type consists of, as messages name it. NULL: its elements come one by one. */
static const char *structure_of(unsigned type) {
    switch (type) {
    case RDB_TYPE_HASH_ZIPMAP: return "Zipmap";
    case RDB_TYPE_LIST_ZIPLIST: return "List ziplist";
    case RDB_TYPE_SET_INTSET: return "Intset";
    case RDB_TYPE_ZSET_ZIPLIST: return "Zset ziplist";
    case RDB_TYPE_HASH_ZIPLIST: return "Hash ziplist";
    case RDB_TYPE_LIST_QUICKLIST: return "Ziplist";
    case RDB_TYPE_HASH_LISTPACK: return "Hash listpack";
    case RDB_TYPE_ZSET_LISTPACK: return "Zset listpack";
    case RDB_TYPE_LIST_QUICKLIST_2: return "Listpack";
    case RDB_TYPE_SET_LISTPACK: return "Set listpack";
    case RDB_TYPE_STREAM_1:
    case RDB_TYPE_STREAM_2:
    case RDB_TYPE_STREAM_3: return "Stream";
    default: return NULL;
    }
}

void rdb_log_broken(const struct rdb_in *in, unsigned type) {
    const char *structure = structure_of(type);
    if (structure && in->result == RDB_CORRUPT) log_warning("%s integrity check failed: %s.", structure, in->message);
}

/* --- Payloads -------------------------------------------------------------------------------- */

bool rdb_payload_ok(struct slice payload) {
    uint16_t version;
    uint64_t crc;
    if (payload.len < RDB_FOOTER) return false;
    const char *footer = payload.ptr + payload.len - RDB_FOOTER;
    memcpy(&version, footer, sizeof version);
    memcpy(&crc, footer + sizeof version, sizeof crc);
    if (version > RDB_VERSION_READ) return false;
    return rdb_options.skip_checksum || crc == crc64(0, payload.ptr, payload.len - sizeof crc);
}

enum rdb_result rdb_restore(struct slice payload, struct rdb_value *v) {
    static struct rdb_in in;
    struct reader reader;
    uint8_t type;
    reader_from_memory(&reader, slice_of(payload.ptr, payload.len - RDB_FOOTER), false);
    rdb_in_trim(&in);
    in.reader = &reader;
    in.result = RDB_OK;
    if (!rdb_get_bytes(&in, &type, 1)) return in.result;
    if (!rdb_get_value(&in, type, v)) {
        rdb_log_broken(&in, type);
        return in.result;
    }
    return v->empty ? RDB_CORRUPT : RDB_OK;
}
