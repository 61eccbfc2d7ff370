/* Ziplists and zipmaps, in which Redis kept small collections before listpacks. They are converted to listpacks, and
 * every byte is checked on the way.
 *
 *     ziplist:  | bytes, 4 | offset of the last entry, 4 | count, 2 | entry | ... | 0xff |         (little endian)
 *     entry:    | length of the entry before: 1 byte, or 0xfe and 4 bytes | head | data |
 *     head:     00llllll a string | 01llllll llllllll (big endian) | 10000000 + 4 bytes (big endian)
 *               0xc0, 0xd0, 0xe0: 2, 4, 8 bytes of integer | 0xf0: 3 | 0xfe: 1 | 0xf1 to 0xfd: 0 to 12 itself
 *
 *     zipmap:   | count or 0xfe | name | value | ... | 0xff |
 *     name:     | length: 1 byte, or 0xfe and 4 bytes | bytes |
 *     value:    | length | free bytes, 1 | bytes | this many free bytes |
 *
 * A ziplist is valid if and only if (1) its first field is its length, (2) it ends with 0xff, (3) each entry has the
 * form above and tells the length of the entry before it (0 in the first), (4) the second field is the offset of its
 * last entry, and (5) the third is the number of entries, or 0xffff. A zipmap is valid if and only if (1) it ends with
 * 0xff, (2) its names and values have the form above, and (3) its first byte is the number of pairs, or 0xfe and
 * above. */
#include "rdb/rdb_decode.h"
#include <stdarg.h>

#define ZIPLIST_HEAD 10
#define WIDE 0xfe /* a length of four bytes follows */
#define END 0xff

struct bytes {
    const uint8_t *at, *end; /* without the end byte */
};

static bool refuse_broken(struct rdb_in *in, const char *what) {
    return rdb_refuse(in, RDB_CORRUPT, "%s", what);
}

static uint32_t load32(const uint8_t *p) {
    uint32_t n;
    memcpy(&n, p, sizeof n);
    return n;
}

static const uint8_t *take_bytes(struct bytes *b, size_t n) {
    if ((size_t)(b->end - b->at) < n) return NULL;
    const uint8_t *p = b->at;
    b->at += n;
    return p;
}

void rdb_pack_begin(struct rdb_in *in) {
    listpack_init(rdb_room(&in->pack, LISTPACK_EMPTY, 0));
}

bool rdb_pack_append(struct rdb_in *in, const struct listpack_item *item) {
    size_t used = listpack_bytes(in->pack.bytes), more = listpack_item_bytes(item);
    if (used + more > LISTPACK_LIMIT) return rdb_refuse(in, RDB_CORRUPT, "a collection of more than 1 GB in a string");
    if (!rdb_room(&in->pack, used + more, used)) return rdb_refuse(in, RDB_CUT, "no memory");
    listpack_append(in->pack.bytes, item);
    return true;
}

/* --- Ziplists -------------------------------------------------------------------------------- */

/* A string of n bytes. False: there are fewer. */
static bool take_text(struct bytes *b, size_t n, struct listpack_item *item) {
    const uint8_t *p = take_bytes(b, n);
    if (p) *item = listpack_item(slice_of((const char *)p, n));
    return p != NULL;
}

static bool take_integer(struct bytes *b, size_t n, struct listpack_item *item) {
    const uint8_t *p = take_bytes(b, n);
    if (!p) return false;
    uint64_t bits = 0;
    for (size_t i = 0; i < n; i++)
        bits |= (uint64_t)p[i] << 8 * i;
    unsigned unused = 64 - 8 * (unsigned)n;
    *item = listpack_item_int((int64_t)(bits << unused) >> unused);
    return true;
}

static bool take_head_and_data(struct bytes *b, struct listpack_item *item) {
    const uint8_t *p = take_bytes(b, 1);
    if (!p) return false;
    unsigned head = *p;
    switch (head >> 6) {
    case 0: return take_text(b, head, item);
    case 1: p = take_bytes(b, 1); return p && take_text(b, (head & 63) << 8 | *p, item);
    case 2: p = take_bytes(b, 4); return p && take_text(b, __builtin_bswap32(load32(p)), item);
    }
    switch (head) {
    case 0xc0: return take_integer(b, 2, item);
    case 0xd0: return take_integer(b, 4, item);
    case 0xe0: return take_integer(b, 8, item);
    case 0xf0: return take_integer(b, 3, item);
    case 0xfe: return take_integer(b, 1, item);
    }
    if (head < 0xf1 || head > 0xfd) return false;
    *item = listpack_item_int((int64_t)(head & 15) - 1);
    return true;
}

/* An entry behind one of `before` bytes. */
static bool take_entry(struct bytes *b, size_t before, struct listpack_item *item) {
    const uint8_t *p = take_bytes(b, 1);
    if (!p || *p == END) return false;
    size_t told = *p;
    if (told == WIDE) {
        p = take_bytes(b, 4);
        if (!p) return false;
        told = load32(p);
    }
    return told == before && take_head_and_data(b, item);
}

bool rdb_ziplist_to_pack(struct rdb_in *in, const uint8_t *ziplist, size_t n) {
    uint16_t told;
    if (n < ZIPLIST_HEAD + 1 || load32(ziplist) != n || ziplist[n - 1] != END)
        return refuse_broken(in, "not a ziplist");
    memcpy(&told, ziplist + 8, sizeof told);
    struct bytes b = {ziplist + ZIPLIST_HEAD, ziplist + n - 1};
    const uint8_t *last = b.at;
    size_t count = 0, before = 0;
    rdb_pack_begin(in);
    for (; b.at < b.end; count++) {
        struct listpack_item item;
        const uint8_t *from = b.at;
        if (!take_entry(&b, before, &item)) return refuse_broken(in, "a broken entry in a ziplist");
        if (!rdb_pack_append(in, &item)) return false;
        last = from;
        before = (size_t)(b.at - from);
    }
    if (load32(ziplist + 4) != (size_t)(last - ziplist))
        return refuse_broken(in, "a ziplist whose last entry is elsewhere");
    if (told != UINT16_MAX && told != count) return refuse_broken(in, "a ziplist with another number of entries");
    return true;
}

/* --- Zipmaps --------------------------------------------------------------------------------- */

static bool take_length(struct bytes *b, size_t *n) {
    const uint8_t *p = take_bytes(b, 1);
    if (!p || *p == END) return false;
    *n = *p;
    if (*n < WIDE) return true;
    p = take_bytes(b, 4);
    if (p) *n = load32(p);
    return p != NULL;
}

static bool take_pair(struct bytes *b, struct listpack_item *name, struct listpack_item *value) {
    size_t n;
    if (!take_length(b, &n) || !take_text(b, n, name) || !take_length(b, &n)) return false;
    const uint8_t *unused = take_bytes(b, 1);
    return unused && take_text(b, n, value) && take_bytes(b, *unused);
}

bool rdb_zipmap_to_pack(struct rdb_in *in, const uint8_t *zipmap, size_t n) {
    if (n < 2 || zipmap[n - 1] != END) return refuse_broken(in, "not a zipmap");
    struct bytes b = {zipmap + 1, zipmap + n - 1};
    size_t count = 0;
    rdb_pack_begin(in);
    for (; b.at < b.end; count++) {
        struct listpack_item name, value;
        if (!take_pair(&b, &name, &value)) return refuse_broken(in, "a broken entry in a zipmap");
        if (!rdb_pack_append(in, &name) || !rdb_pack_append(in, &value)) return false;
    }
    if (*zipmap < WIDE && *zipmap != count) return refuse_broken(in, "a zipmap with another number of entries");
    return true;
}
