/* Listpacks: many short strings and integers in one block of bytes, in exactly the published format (antirez,
 * listpack.md), byte for byte as Redis 7 writes it, so that RDB and DUMP carry them unchanged.
 *
 *     | total bytes, 4 | count, 2 | entry | entry | ... | 0xff |         (little endian, no alignment)
 *     entry:  | head | data | backlen: the length of head and data, to be read backwards |
 *
 *     head  0xxxxxxx             an integer, 0 to 127       11110001 + 2 bytes   16-bit integer
 *           10xxxxxx             a string, below 64 bytes   11110010 + 3 bytes   24-bit integer
 *           110xxxxx xxxxxxxx    13-bit integer             11110011 + 4 bytes   32-bit integer
 *           1110xxxx xxxxxxxx    a string, below 4096       11110100 + 8 bytes   64-bit integer
 *           11110000 + 4 bytes   a string, any length       11111111             the end
 *
 * A count of 65535 means that many or more: the entries must be counted. Text that reads as a strict decimal integer is
 * stored as the smallest integer that holds it, so equal elements are equal bytes. A search encodes its needle once and
 * compares bytes; it relies on this, and listpack_check() detects listpacks that violate it.
 *
 * Nothing here allocates: the block belongs to the caller (inside a key's entry or a node of a quicklist). Before an
 * edit the caller makes room for listpack_bytes() and what the edit adds. A position is the address of an entry or of
 * the end byte; it is valid until an edit before it or until the block moves. Bytes from outside must pass
 * listpack_check() before any other function here may see them. */
#pragma once
#include "base/num.h"

#define LISTPACK_HEAD 6                  /* bytes before the first entry */
#define LISTPACK_EMPTY 7                 /* bytes of a listpack without entries */
#define LISTPACK_LIMIT ((size_t)1 << 30) /* bytes of the largest listpack, as in Redis */
#define LISTPACK_END 0xff
#define LISTPACK_UNCOUNTED 65535

/* An element. The bytes of a string are in the listpack; ptr is NULL for an integer. */
struct listpack_value {
    const char *ptr;
    size_t len;
    int64_t number;
};

/* An element in its encoded form, to insert or to look for. It refers to the string it was made of. */
struct listpack_item {
    const char *data;
    size_t data_len; /* 0 for an integer */
    uint8_t head_len;
    uint8_t head[9];
};

void listpack_init(uint8_t *lp); /* the empty listpack: LISTPACK_EMPTY bytes */
static inline size_t listpack_bytes(const uint8_t *lp) {
    uint32_t n;
    memcpy(&n, lp, sizeof n);
    return n;
}
size_t listpack_count(const uint8_t *lp); /* O(1) below 65535 entries, else O(n) */

/* --- Reading --------------------------------------------------------------------------------- */

size_t listpack_width_wide(const uint8_t *at); /* for entries with a head of more than one byte */
uint8_t *listpack_next_wide(const uint8_t *at);
struct listpack_value listpack_get_wide(const uint8_t *at);
bool listpack_equal_wide(const uint8_t *at, const struct listpack_item *item);
uint8_t *listpack_prev_wide(const uint8_t *at);

static inline uint8_t *listpack_first(const uint8_t *lp) { /* the end byte if there is none */
    return (uint8_t *)lp + LISTPACK_HEAD;
}
static inline uint8_t *listpack_end(const uint8_t *lp) {
    return (uint8_t *)lp + listpack_bytes(lp) - 1;
}
static inline bool listpack_at_end(const uint8_t *at) {
    return *at == LISTPACK_END;
}
/* Bytes of an entry's head and data. */
static inline __attribute__((always_inline)) size_t listpack_width(const uint8_t *at) {
    unsigned head = *at;
    return head < 0x80 ? 1 : head < 0xc0 ? 1 + (head & 63) : listpack_width_wide(at);
}
static inline __attribute__((always_inline)) uint8_t *listpack_next(const uint8_t *at) {
    unsigned head = *at;
    if (head < 0x80) return (uint8_t *)at + 2;
    if (head < 0xc0) return (uint8_t *)at + 2 + (head & 63);
    if (head < 0xe0) return (uint8_t *)at + 3;
    return listpack_next_wide(at);
}
/* The entry before this one or before the end; NULL if this one is the first. */
static inline uint8_t *listpack_prev(const uint8_t *lp, const uint8_t *at) {
    if (at == lp + LISTPACK_HEAD) return NULL;
    if (at[-1] < 128) return (uint8_t *)at - 1 - at[-1];
    return listpack_prev_wide(at);
}
/* The entry with this index; -1 is the last one. NULL if there is none. O(distance to the nearer end). */
uint8_t *listpack_seek(const uint8_t *lp, int64_t index);

static inline __attribute__((always_inline)) struct listpack_value listpack_get(const uint8_t *at) {
    unsigned head = *at;
    if (head < 0x80) return (struct listpack_value){NULL, 0, head};
    if (head < 0xc0) return (struct listpack_value){(const char *)at + 1, head & 63, 0};
    return listpack_get_wide(at);
}
/* The element as text; an integer is printed into scratch. */
static inline struct slice listpack_value_text(struct listpack_value v, char scratch[NUM_I64_MAX]) {
    if (v.ptr) return slice_of(v.ptr, v.len);
    return slice_of(scratch, (size_t)num_print_i64(scratch, v.number));
}
static inline struct slice listpack_text(const uint8_t *at, char scratch[NUM_I64_MAX]) {
    return listpack_value_text(listpack_get(at), scratch);
}

/* --- Elements -------------------------------------------------------------------------------- */

struct listpack_item listpack_item_int(int64_t number);
struct listpack_item listpack_item_wide(struct slice s); /* for any string, also one that may be a number */
/* Encode a string below 4 GB, which must stay where it is; as an integer if it is one. */
static inline struct listpack_item listpack_item(struct slice s) {
    if (s.len - 1 >= 63 || (uint8_t)*s.ptr <= '9') return listpack_item_wide(s);
    return (struct listpack_item){s.ptr, s.len, 1, {(uint8_t)(0x80 | s.len)}};
}
/* Bytes of the backlen of an entry whose head and data take n bytes. The irregular limits are Redis's. */
static inline size_t listpack_backlen_bytes(size_t n) {
    return n <= 127 ? 1 : n < 16383 ? 2 : n < 2097151 ? 3 : n < 268435455 ? 4 : 5;
}
static inline size_t listpack_item_bytes(const struct listpack_item *item) { /* of the whole entry */
    size_t n = item->head_len + item->data_len;
    return n + listpack_backlen_bytes(n);
}

/* Encode a value of this listpack for another one. */
static inline struct listpack_item listpack_item_value(struct listpack_value v) {
    return v.ptr ? listpack_item(slice_of(v.ptr, v.len)) : listpack_item_int(v.number);
}
/* True if these len (1 or more) bytes are equal. Names usually differ near their end, as field:1 and field:2 do. */
static inline bool listpack_same(const uint8_t *a, const char *b, size_t len) {
    if (len < 8) return a[len - 1] == (uint8_t)b[len - 1] && memcmp(a, b, len - 1) == 0;
    uint64_t last, wanted;
    memcpy(&last, a + len - 8, 8);
    memcpy(&wanted, b + len - 8, 8);
    return last == wanted && memcmp(a, b, len - 8) == 0;
}
static inline bool listpack_equal(const uint8_t *at, const struct listpack_item *item) {
    if (*at != item->head[0]) return false;
    if (item->head_len > 1) return listpack_equal_wide(at, item);
    return item->data_len == 0 || listpack_same(at + 1, item->data, item->data_len);
}
/* The first entry at or after `at` that equals the item, if only every stride-th entry is compared (2: the fields of a
 * hash); NULL if there is none. O(n). */
uint8_t *listpack_find(const uint8_t *at, const struct listpack_item *item, unsigned stride);

/* --- Editing --------------------------------------------------------------------------------- */

/* The block must have room for the result, and the item's string must not be in the block. O(bytes behind the edit). */

uint8_t *listpack_insert(uint8_t *lp, uint8_t *at, const struct listpack_item *item); /* before `at`; returns at */
static inline uint8_t *listpack_append(uint8_t *lp, const struct listpack_item *item) {
    return listpack_insert(lp, listpack_end(lp), item);
}
/* Bytes by which listpack_replace() will lengthen the listpack; may be negative. */
ptrdiff_t listpack_replace_growth(const uint8_t *at, const struct listpack_item *item);
uint8_t *listpack_replace(uint8_t *lp, uint8_t *at, const struct listpack_item *item);
uint8_t *listpack_remove(uint8_t *lp, uint8_t *at, size_t n); /* at most n entries; returns at */
/* Remove entries equal to the item, in order, but keep the first `skip` of them and remove at most `max`. Returns the
 * number removed. O(bytes), in one pass. */
size_t listpack_remove_equal(uint8_t *lp, const struct listpack_item *item, size_t skip, size_t max);
void listpack_join(uint8_t *lp, const uint8_t *other);      /* other's entries behind; adds its bytes - 7 */
void listpack_split(uint8_t *lp, uint8_t *at, uint8_t *to); /* the entries from `at` on become the listpack `to` */

/* To write a listpack entry by entry: put_backlen() writes the backlen behind a head and data of n bytes, and returns
 * the place behind it; close() writes the header and the end byte when all entries are there. */
uint8_t *listpack_put_backlen(uint8_t *to, size_t n);
void listpack_close(uint8_t *lp, uint8_t *end, size_t count);
/* To append many entries with one look at the room: put() writes each, from the end byte on, and returns the place
 * behind it; extend() makes the `added` entries up to `end` part of the listpack. */
uint8_t *listpack_put(uint8_t *to, const struct listpack_item *item);
void listpack_extend(uint8_t *lp, uint8_t *end, size_t added);

/* Edits at the front that move only the six bytes of the header. The listpack begins at another address afterwards,
 * which both return. push_front() needs listpack_item_bytes() free bytes before lp. O(item). */
uint8_t *listpack_push_front(uint8_t *lp, const struct listpack_item *item);
uint8_t *listpack_drop_front(uint8_t *lp, uint8_t *at, size_t n); /* drops the n entries before `at` */

/* --- Bytes from outside ---------------------------------------------------------------------- */

enum listpack_state {
    LISTPACK_BROKEN, /* not a listpack: do not read it */
    LISTPACK_LOOSE,  /* an entry is not in its smallest form: call listpack_tidy() before other functions */
    LISTPACK_GOOD,
};
/* Called for each entry in order, when the entry itself (not what follows) has been checked. False: LISTPACK_BROKEN. */
typedef bool (*listpack_visit_fn)(void *ctx, const uint8_t *at, size_t index);
/* Check these bytes, which may be anything, completely. visit may be NULL. O(n). */
enum listpack_state listpack_check(const uint8_t *lp, size_t bytes, listpack_visit_fn visit, void *ctx);
/* Bring all entries into their smallest form, in place: the listpack never gets longer. O(n). */
void listpack_tidy(uint8_t *lp);
