/* Writing values. Intsets and the listpacks of long lists are written as they are in memory, byte for byte; the packs
 * of entries are converted to listpacks. */
#include "rdb/rdb_encode.h"
#include "base/alloc.h"
#include "base/num.h"
#include "ds/intset.h"
#include "ds/pack.h"
#include "ds/quicklist.h"
#include "rdb/rdb_format.h"
#include "rdb/squeeze.h"
#include "store/fieldmap.h"
#include "store/list.h"
#include "store/set.h"
#include "store/string.h"
#include "store/zset.h"
#include <liblzf/lzf.h>

#define LZF_MIN 32                   /* bytes of a string to compress: most shorter ones do not shrink */
#define LZF_MAX ((size_t)1 << 30)    /* bytes: strings of this length and longer are not compressed */
#define LZF_SAMPLE ((size_t)1 << 14) /* bytes of a long string that are tried first */
#define LZF_WAIT_MAX 128
#define SHORT 256 /* bytes */

/* --- Lengths, strings, numbers --------------------------------------------------------------- */

static uint8_t *length_at(uint8_t *p, uint64_t n) {
    if (n < 64) {
        *p = (uint8_t)n;
        return p + 1;
    }
    if (n < 16384) {
        p[0] = (uint8_t)(0x40 | n >> 8);
        p[1] = (uint8_t)n;
        return p + 2;
    }
    if (n <= UINT32_MAX) {
        uint32_t big = __builtin_bswap32((uint32_t)n);
        *p = RDB_LENGTH_32;
        memcpy(p + 1, &big, sizeof big);
        return p + 1 + sizeof big;
    }
    uint64_t big = __builtin_bswap64(n);
    *p = RDB_LENGTH_64;
    memcpy(p + 1, &big, sizeof big);
    return p + 1 + sizeof big;
}

void rdb_put_length(struct writer *w, uint64_t n) {
    w->at = length_at(writer_reserve(w, RDB_LENGTH_MAX), n);
}

static void put_raw(struct writer *w, const void *bytes, size_t n) {
    if (n > WRITER_BLOCK / 2) {
        rdb_put_length(w, n);
        writer_put(w, bytes, n);
        return;
    }
    uint8_t *p = length_at(writer_reserve(w, RDB_LENGTH_MAX + n), n);
    if (n) memcpy(p, bytes, n);
    w->at = p + n;
}

/* As a string. */
static void put_int(struct rdb_out *out, int64_t n) {
    struct writer *w = out->w;
    if (n != (int32_t)n) {
        char digits[NUM_I64_MAX];
        size_t len = (size_t)num_print_i64(digits, n);
        writer_byte(w, (unsigned)len);
        writer_put(w, digits, len);
        return;
    }
    uint8_t *p = writer_reserve(w, 5);
    uint32_t bits = (uint32_t)n;
    unsigned kind = n == (int8_t)n ? RDB_STRING_INT8 : n == (int16_t)n ? RDB_STRING_INT16 : RDB_STRING_INT32;
    *p = (uint8_t)(RDB_LENGTH_ENCODED | kind);
    memcpy(p + 1, &bits, sizeof bits); /* little endian: the low bytes are first */
    w->at = p + 1 + ((size_t)1 << kind);
}

/* --- Compression ----------------------------------------------------------------------------- */

/* Scratch memory of at least n bytes, or NULL. */
static uint8_t *scratch_room(uint8_t **scratch, size_t *has, size_t n) {
    if (*has < n) {
        alloc_put(*scratch, *has);
        *has = n < 1024 ? 1024 : n;
        *scratch = alloc_try(*has);
        if (*scratch == NULL) *has = 0;
    }
    return *scratch;
}

/* The most compressed bytes that are worthwhile: seven eighths. For a short string three quarters, since each attempt
 * costs time. */
static size_t worthwhile_bytes(size_t n) {
    return n - n / (n < SHORT ? 4 : 8);
}

/* Compress into out->lzf. Returns the number of bytes; 0: not worthwhile. */
static size_t compress_string(struct rdb_out *out, struct slice s) {
    uint8_t *to = scratch_room(&out->lzf, &out->lzf_room, worthwhile_bytes(s.len));
    if (to == NULL) return 0;
    if (s.len <= SQUEEZE_MAX) return squeeze(s.ptr, s.len, to, worthwhile_bytes(s.len));
    if (s.len > 4 * LZF_SAMPLE && !lzf_compress(s.ptr, LZF_SAMPLE, to, (unsigned)worthwhile_bytes(LZF_SAMPLE)))
        return 0;
    return lzf_compress(s.ptr, (unsigned)s.len, to, (unsigned)worthwhile_bytes(s.len));
}

static bool put_compressed(struct rdb_out *out, struct slice s) {
    unsigned size = 64u - (unsigned)__builtin_clzl(s.len);
    if (!out->patient && out->tried[size].left > 0) {
        out->tried[size].left--;
        return false;
    }
    size_t n = compress_string(out, s);
    unsigned wait = out->tried[size].wait;
    wait = n ? wait / 2 : wait < LZF_WAIT_MAX ? 2 * wait + 1 : wait;
    out->tried[size].wait = (uint8_t)wait;
    out->tried[size].left = n ? 0 : (uint8_t)wait;
    if (n == 0) return false;
    writer_byte(out->w, RDB_LENGTH_ENCODED | RDB_STRING_LZF);
    rdb_put_length(out->w, n);
    rdb_put_length(out->w, s.len);
    writer_put(out->w, out->lzf, n);
    return true;
}

static inline void put_text(struct rdb_out *out, const void *bytes, size_t n) {
    if (n >= LZF_MIN && n < LZF_MAX && out->compress && put_compressed(out, slice_of(bytes, n))) return;
    put_raw(out->w, bytes, n);
}

void rdb_put_string(struct rdb_out *out, struct slice s) {
    enum { DIGITS = 11 }; /* bytes of the longest integer that has a short form */
    int64_t n;
    if (s.len <= DIGITS && s.len > 0 && (uint8_t)*s.ptr <= '9' && num_parse_i64(s, &n) && n == (int32_t)n) {
        put_int(out, n);
    } else {
        put_text(out, s.ptr, s.len);
    }
}

static void put_element(struct rdb_out *out, struct listpack_value v) {
    if (v.ptr) {
        put_text(out, v.ptr, v.len);
    } else {
        put_int(out, v.number);
    }
}

void rdb_out_free(struct rdb_out *out) {
    alloc_put(out->lzf, out->lzf_room);
    alloc_put(out->listpack, out->listpack_room);
    out->lzf = out->listpack = NULL;
    out->lzf_room = out->listpack_room = 0;
}

/* --- Values ---------------------------------------------------------------------------------- */

unsigned rdb_type_of(const struct entry *e) {
    unsigned encoding = entry_encoding(e);
    switch (entry_type(e)) {
    case ENTRY_STRING: return RDB_TYPE_STRING;
    case ENTRY_LIST: return RDB_TYPE_LIST_QUICKLIST_2;
    case ENTRY_SET: return encoding == SET_INTSET ? RDB_TYPE_SET_INTSET : RDB_TYPE_SET;
    case ENTRY_HASH: return encoding == FIELDMAP_LISTPACK ? RDB_TYPE_HASH_LISTPACK : RDB_TYPE_HASH;
    case ENTRY_ZSET: return encoding == ZSET_LISTPACK ? RDB_TYPE_ZSET_LISTPACK : RDB_TYPE_ZSET_2;
    case ENTRY_STREAM: return RDB_TYPE_STREAM_2;
    default: assert(!"a type that cannot be written"); return 0;
    }
}

/* Write the pack of an entry as a listpack. */
static void put_pack(struct rdb_out *out, const struct entry *e) {
    const uint8_t *pack = (const uint8_t *)entry_value(e);
    size_t n = pack_listpack_bytes(pack, e->value_len);
    uint8_t *listpack = scratch_room(&out->listpack, &out->listpack_room, n);
    pack_to_listpack(pack, e->value_len, listpack);
    put_text(out, listpack, n);
}

static void put_string(struct rdb_out *out, const struct entry *e) {
    char scratch[NUM_I64_MAX];
    if (entry_encoding(e) == STRING_INT) {
        put_int(out, entry_int(e));
    } else {
        struct slice s = string_bytes(e, scratch);
        put_text(out, s.ptr, s.len);
    }
}

/* A node that is compressed in memory is written as it is. */
static void put_node(struct rdb_out *out, const struct quicknode *n) {
    rdb_put_length(out->w, n->plain ? RDB_NODE_PLAIN : RDB_NODE_PACKED);
    if (n->compressed) {
        writer_byte(out->w, RDB_LENGTH_ENCODED | RDB_STRING_LZF);
        rdb_put_length(out->w, n->lzf);
        rdb_put_length(out->w, n->raw);
        writer_put(out->w, n->block, n->lzf);
    } else {
        put_text(out, n->plain ? n->block : quicknode_listpack(n), quicknode_bytes(n));
    }
}

static void put_list(struct rdb_out *out, const struct entry *e) {
    struct list_view view;
    const struct quicklist *q = list_read(e, &view);
    rdb_put_length(out->w, q->used);
    for (size_t i = 0; i < q->used; i++)
        put_node(out, quicklist_node(q, i));
}

static void put_set(struct rdb_out *out, const struct entry *e) {
    const uint8_t *block = (const uint8_t *)entry_value(e);
    if (entry_encoding(e) == SET_INTSET) {
        put_text(out, block, intset_bytes(block));
        return;
    }
    struct set_iter it;
    struct listpack_value member;
    rdb_put_length(out->w, set_count(e));
    for (set_iter_init(&it, e); set_iter_next(&it, &member);)
        put_element(out, member);
}

static void put_hash(struct rdb_out *out, const struct entry *e) {
    if (entry_encoding(e) == FIELDMAP_LISTPACK) {
        put_pack(out, e);
        return;
    }
    struct fieldmap_iter it;
    struct field_pair pair;
    rdb_put_length(out->w, fieldmap_count(e));
    for (fieldmap_iter_init(&it, e); fieldmap_iter_next(&it, &pair);) {
        rdb_put_string(out, pair.name);
        rdb_put_string(out, pair.value);
    }
}

/* The greatest member first: Redis inserts one by one, then always at the front of its skiplist. */
static void put_zset(struct rdb_out *out, const struct entry *e) {
    if (entry_encoding(e) == ZSET_LISTPACK) {
        put_pack(out, e);
        return;
    }
    struct zset_walk w;
    rdb_put_length(out->w, zset_count(e));
    for (zset_walk_from(&w, e, zset_count(e)); zset_walk_prev(&w);) {
        rdb_put_string(out, w.member);
        writer_put(out->w, &w.score, sizeof w.score);
    }
}

void rdb_put_value(struct rdb_out *out, const struct entry *e) {
    switch (entry_type(e)) {
    case ENTRY_STRING: put_string(out, e); return;
    case ENTRY_LIST: put_list(out, e); return;
    case ENTRY_SET: put_set(out, e); return;
    case ENTRY_HASH: put_hash(out, e); return;
    case ENTRY_ZSET: put_zset(out, e); return;
    case ENTRY_STREAM: rdb_put_stream(out, e); return;
    default: assert(!"a type that cannot be written");
    }
}
