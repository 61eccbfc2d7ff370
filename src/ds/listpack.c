/* See listpack.h for the format. Two properties are used everywhere: the head tells the length of an entry, so that
 * walking forward needs no backlen; and an element has only one encoding, so that comparing elements is comparing
 * bytes. */
#include "ds/listpack.h"
#include <assert.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "integers are copied as they lie in memory");

#define STR12 0xe0 /* heads, with the bits of a length or a value zero */
#define STR32 0xf0
#define STR6 0x80
#define INT13 0xc0
#define INT16 0xf1
#define INT64 0xf4

static void put_bytes(uint8_t *lp, size_t bytes) {
    assert(bytes <= UINT32_MAX);
    uint32_t n = (uint32_t)bytes;
    memcpy(lp, &n, sizeof n);
}
static size_t stored_count(const uint8_t *lp) {
    return lp[4] | (size_t)lp[5] << 8;
}
static void put_count(uint8_t *lp, size_t count) {
    if (count > LISTPACK_UNCOUNTED) count = LISTPACK_UNCOUNTED;
    lp[4] = (uint8_t)count;
    lp[5] = (uint8_t)(count >> 8);
}
/* A count of 65535 stays: the real number is unknown. */
static void count_up(uint8_t *lp, size_t n) {
    put_count(lp, stored_count(lp) + n);
}
static void count_down(uint8_t *lp, size_t n) {
    size_t count = stored_count(lp);
    if (count != LISTPACK_UNCOUNTED) put_count(lp, count - n);
}

void listpack_init(uint8_t *lp) {
    put_bytes(lp, LISTPACK_EMPTY);
    put_count(lp, 0);
    lp[LISTPACK_HEAD] = LISTPACK_END;
}

size_t listpack_count(const uint8_t *lp) {
    size_t count = stored_count(lp);
    if (count != LISTPACK_UNCOUNTED) return count;
    count = 0;
    for (const uint8_t *at = listpack_first(lp); !listpack_at_end(at); at = listpack_next(at))
        count++;
    return count;
}

/* --- Reading --------------------------------------------------------------------------------- */

/* Bytes of a 16- to 64-bit integer, without its head. */
static size_t int_bytes(unsigned head) {
    return head == INT64 ? 8 : head - INT16 + 2;
}
static size_t string32_len(const uint8_t *at) {
    uint32_t len;
    memcpy(&len, at + 1, sizeof len);
    return len;
}

size_t listpack_width_wide(const uint8_t *at) {
    unsigned head = *at;
    if (head < STR12) return 2;
    if (head < STR32) return 2 + ((size_t)(head & 15) << 8 | at[1]);
    if (head == STR32) return 5 + string32_len(at);
    assert(head <= INT64);
    return 1 + int_bytes(head);
}

uint8_t *listpack_next_wide(const uint8_t *at) {
    size_t n = listpack_width_wide(at);
    return (uint8_t *)at + n + listpack_backlen_bytes(n);
}

uint8_t *listpack_prev_wide(const uint8_t *at) {
    size_t n = 0;
    unsigned shift = 0;
    for (;; shift += 7) {
        uint8_t byte = *--at;
        n |= (size_t)(byte & 127) << shift;
        if (!(byte & 128)) break;
    }
    return (uint8_t *)at - n;
}

static int64_t read_int(const uint8_t *at) {
    unsigned head = *at;
    /* Put the bits at the high end, then shift them down: the shift extends the sign. */
    uint64_t bits = 0;
    if (head < STR12) return (int64_t)((uint64_t)(head & 31) << 59 | (uint64_t)at[1] << 51) >> 51;
    size_t n = int_bytes(head);
    memcpy((uint8_t *)&bits + 8 - n, at + 1, n);
    return (int64_t)bits >> (64 - 8 * n);
}

struct listpack_value listpack_get_wide(const uint8_t *at) {
    unsigned head = *at;
    if (head >= STR12 && head < STR32)
        return (struct listpack_value){(const char *)at + 2, (size_t)(head & 15) << 8 | at[1], 0};
    if (head == STR32) return (struct listpack_value){(const char *)at + 5, string32_len(at), 0};
    return (struct listpack_value){NULL, 0, read_int(at)};
}

bool listpack_equal_wide(const uint8_t *at, const struct listpack_item *item) {
    return memcmp(at, item->head, item->head_len) == 0 &&
           (item->data_len == 0 || memcmp(at + item->head_len, item->data, item->data_len) == 0);
}

uint8_t *listpack_seek(const uint8_t *lp, int64_t index) {
    size_t count = stored_count(lp);
    if (count == LISTPACK_UNCOUNTED && index < 0) { /* count back from the end */
        uint8_t *at = listpack_end(lp);
        while (at && index++ < 0)
            at = listpack_prev(lp, at);
        return at;
    }
    if (count != LISTPACK_UNCOUNTED) {
        if (index < 0) index += (int64_t)count;
        if (index < 0 || index >= (int64_t)count) return NULL;
        if ((size_t)index > count / 2) {
            uint8_t *at = listpack_end(lp);
            for (int64_t left = (int64_t)count - index; left > 0; left--)
                at = listpack_prev(lp, at);
            return at;
        }
    }
    uint8_t *at = listpack_first(lp);
    while (!listpack_at_end(at) && index-- > 0)
        at = listpack_next(at);
    return listpack_at_end(at) ? NULL : at;
}

/* --- Elements -------------------------------------------------------------------------------- */

struct listpack_item listpack_item_int(int64_t number) {
    struct listpack_item item = {NULL, 0, 1, {0}};
    if (number >= 0 && number <= 127) {
        item.head[0] = (uint8_t)number;
    } else if (number >= -4096 && number <= 4095) {
        item.head[0] = (uint8_t)(INT13 | (number >> 8 & 31));
        item.head[1] = (uint8_t)number;
        item.head_len = 2;
    } else {
        uint64_t magnitude = (uint64_t)(number < 0 ? ~number : number);
        size_t n = magnitude < 1 << 15 ? 2 : magnitude < 1 << 23 ? 3 : magnitude < (uint64_t)1 << 31 ? 4 : 8;
        item.head[0] = (uint8_t)(n == 8 ? INT64 : INT16 + n - 2);
        memcpy(item.head + 1, &number, n);
        item.head_len = (uint8_t)(1 + n);
    }
    return item;
}

struct listpack_item listpack_item_wide(struct slice s) {
    int64_t number;
    if (num_parse_i64(s, &number)) return listpack_item_int(number);
    struct listpack_item item = {s.ptr, s.len, 1, {0}};
    if (s.len < 64) {
        item.head[0] = (uint8_t)(0x80 | s.len);
    } else if (s.len < 4096) {
        item.head[0] = (uint8_t)(STR12 | s.len >> 8);
        item.head[1] = (uint8_t)s.len;
        item.head_len = 2;
    } else {
        assert(s.len <= UINT32_MAX);
        item.head[0] = STR32;
        uint32_t len = (uint32_t)s.len;
        memcpy(item.head + 1, &len, sizeof len);
        item.head_len = 5;
    }
    return item;
}

/* A short string's head is one byte with its length, so most entries differ there and no function is called. */
static uint8_t *find_short(const uint8_t *at, const struct listpack_item *item, unsigned stride) {
    uint8_t head = item->head[0];
    const char *data = item->data;
    size_t len = item->data_len;
    while (!listpack_at_end(at)) {
        if (*at == head && (len == 0 || listpack_same(at + 1, data, len))) return (uint8_t *)at;
        at = listpack_next(at);
        for (unsigned i = 1; i < stride && !listpack_at_end(at); i++)
            at = listpack_next(at);
    }
    return NULL;
}

uint8_t *listpack_find(const uint8_t *at, const struct listpack_item *item, unsigned stride) {
    if (item->head_len == 1) return find_short(at, item, stride);
    while (!listpack_at_end(at)) {
        if (listpack_equal(at, item)) return (uint8_t *)at;
        for (unsigned i = 0; i < stride && !listpack_at_end(at); i++)
            at = listpack_next(at);
    }
    return NULL;
}

/* --- Editing --------------------------------------------------------------------------------- */

/* Seven bits per byte, the low ones last. All bytes but the first have bit 7 set: "more to the left". */
uint8_t *listpack_put_backlen(uint8_t *to, size_t n) {
    size_t bytes = listpack_backlen_bytes(n);
    for (uint8_t *p = to + bytes - 1; p > to; p--, n >>= 7)
        *p = (uint8_t)(n | 128);
    *to = (uint8_t)n;
    return to + bytes;
}

void listpack_close(uint8_t *lp, uint8_t *end, size_t count) {
    *end = LISTPACK_END;
    put_bytes(lp, (size_t)(end - lp) + 1);
    put_count(lp, count);
}

static void put_entry(uint8_t *at, const struct listpack_item *item) {
    if (item->data_len > 0) memmove(at + item->head_len, item->data, item->data_len);
    if (item->head_len == 1)
        *at = item->head[0];
    else
        memcpy(at, item->head, item->head_len);
    size_t n = item->head_len + item->data_len;
    if (n <= 127)
        at[n] = (uint8_t)n;
    else
        listpack_put_backlen(at + n, n);
}

uint8_t *listpack_put(uint8_t *to, const struct listpack_item *item) {
    put_entry(to, item);
    return to + listpack_item_bytes(item);
}

void listpack_extend(uint8_t *lp, uint8_t *end, size_t added) {
    *end = LISTPACK_END;
    put_bytes(lp, (size_t)(end - lp) + 1);
    count_up(lp, added);
}

uint8_t *listpack_insert(uint8_t *lp, uint8_t *at, const struct listpack_item *item) {
    size_t bytes = listpack_bytes(lp), added = listpack_item_bytes(item);
    size_t behind = bytes - (size_t)(at - lp);
    if (behind == 1)
        at[added] = LISTPACK_END;
    else
        memmove(at + added, at, behind);
    put_entry(at, item);
    put_bytes(lp, bytes + added);
    count_up(lp, 1);
    return at;
}

ptrdiff_t listpack_replace_growth(const uint8_t *at, const struct listpack_item *item) {
    return (ptrdiff_t)listpack_item_bytes(item) - (listpack_next(at) - at);
}

uint8_t *listpack_replace(uint8_t *lp, uint8_t *at, const struct listpack_item *item) {
    size_t bytes = listpack_bytes(lp);
    const uint8_t *next = listpack_next(at);
    ptrdiff_t growth = listpack_replace_growth(at, item);
    if (growth != 0) memmove((uint8_t *)next + growth, next, bytes - (size_t)(next - lp));
    put_entry(at, item);
    put_bytes(lp, (size_t)((ptrdiff_t)bytes + growth));
    return at;
}

static void cut_entries(uint8_t *lp, uint8_t *from, const uint8_t *to, size_t entries) {
    size_t bytes = listpack_bytes(lp);
    memmove(from, to, bytes - (size_t)(to - lp));
    put_bytes(lp, bytes - (size_t)(to - from));
    count_down(lp, entries);
}

uint8_t *listpack_remove(uint8_t *lp, uint8_t *at, size_t n) {
    const uint8_t *to = at;
    size_t removed = 0;
    for (; removed < n && !listpack_at_end(to); removed++)
        to = listpack_next(to);
    cut_entries(lp, at, to, removed);
    return at;
}

size_t listpack_remove_equal(uint8_t *lp, const struct listpack_item *item, size_t skip, size_t max) {
    uint8_t *from = listpack_first(lp), *to = NULL; /* entries [from, found) move to `to` */
    size_t removed = 0;
    for (uint8_t *found = from; removed < max && (found = listpack_find(found, item, 1));) {
        uint8_t *next = listpack_next(found);
        if (skip > 0) {
            skip--;
        } else {
            if (to) memmove(to, from, (size_t)(found - from));
            to = to ? to + (found - from) : found;
            from = next;
            removed++;
        }
        found = next;
    }
    if (to) cut_entries(lp, to, from, removed);
    return removed;
}

static void count_joined(uint8_t *lp, const uint8_t *other) {
    count_up(lp, stored_count(other));
}

void listpack_join(uint8_t *lp, const uint8_t *other) {
    size_t bytes = listpack_bytes(lp), added = listpack_bytes(other) - LISTPACK_EMPTY;
    memcpy(lp + bytes - 1, other + LISTPACK_HEAD, added + 1);
    put_bytes(lp, bytes + added);
    count_joined(lp, other);
}

void listpack_split(uint8_t *lp, uint8_t *at, uint8_t *to) {
    size_t left = 0, count = listpack_count(lp), behind = listpack_bytes(lp) - (size_t)(at - lp);
    for (const uint8_t *p = listpack_first(lp); p != at; p = listpack_next(p))
        left++;
    memcpy(to + LISTPACK_HEAD, at, behind);
    put_bytes(to, LISTPACK_HEAD + behind);
    put_count(to, count - left);
    *at = LISTPACK_END;
    put_bytes(lp, (size_t)(at - lp) + 1);
    put_count(lp, left);
}

uint8_t *listpack_push_front(uint8_t *lp, const struct listpack_item *item) {
    size_t added = listpack_item_bytes(item), bytes = listpack_bytes(lp) + added, count = stored_count(lp) + 1;
    uint8_t *moved = lp - added; /* the two headers may overlap */
    put_bytes(moved, bytes);
    put_count(moved, count);
    put_entry(moved + LISTPACK_HEAD, item);
    return moved;
}

uint8_t *listpack_drop_front(uint8_t *lp, uint8_t *at, size_t n) {
    size_t bytes = listpack_bytes(lp) - (size_t)(at - listpack_first(lp)), count = stored_count(lp);
    uint8_t *moved = at - LISTPACK_HEAD;
    put_bytes(moved, bytes);
    put_count(moved, count);
    count_down(moved, n);
    return moved;
}

/* --- Bytes from outside ---------------------------------------------------------------------- */

/* Bytes of head and data of the entry at `at`, of which `left` (1 or more) bytes may be read; 0 if that is no entry or
 * too long. */
static size_t checked_bytes(const uint8_t *at, size_t left) {
    unsigned head = *at;
    size_t head_len = head < INT13 ? 1 : head < STR32 ? 2 : head == STR32 ? 5 : 1;
    if (head > INT64 || head_len > left) return 0;
    size_t n = listpack_width(at);
    return n < left && listpack_backlen_bytes(n) <= left - n ? n : 0;
}

static bool backlen_right(const uint8_t *at, size_t n) {
    if (n <= 127) return at[n] == n;
    uint8_t expected[5];
    listpack_put_backlen(expected, n);
    return memcmp(at + n, expected, listpack_backlen_bytes(n)) == 0;
}

/* The first byte of a head tells its form, and the same value in the same form is the same bytes. The two returns at
 * the top handle the most frequent cases: small numbers, and short strings that do not begin like a number. */
static bool in_smallest_form(const uint8_t *at) {
    unsigned head = *at;
    if (head <= STR6) return true;
    if (head < INT13 && (at[1] > '9' || (at[1] < '0' && at[1] != '-'))) return true;
    struct listpack_item item = listpack_item_value(listpack_get(at));
    return head == item.head[0];
}

enum listpack_state listpack_check(const uint8_t *lp, size_t bytes, listpack_visit_fn visit, void *ctx) {
    if (bytes < LISTPACK_EMPTY || listpack_bytes(lp) != bytes || lp[bytes - 1] != LISTPACK_END) return LISTPACK_BROKEN;
    enum listpack_state state = LISTPACK_GOOD;
    const uint8_t *at = listpack_first(lp), *end = lp + bytes - 1;
    size_t count = 0;
    while (at < end) {
        size_t n = checked_bytes(at, (size_t)(end - at));
        if (n == 0 || !backlen_right(at, n)) return LISTPACK_BROKEN;
        if (visit && !visit(ctx, at, count)) return LISTPACK_BROKEN;
        if (!in_smallest_form(at)) state = LISTPACK_LOOSE;
        at += n + listpack_backlen_bytes(n);
        count++;
    }
    size_t stored = stored_count(lp);
    if (stored != LISTPACK_UNCOUNTED && stored != count) return LISTPACK_BROKEN;
    return state;
}

void listpack_tidy(uint8_t *lp) {
    uint8_t *to = listpack_first(lp);
    for (const uint8_t *at = to, *next; !listpack_at_end(at); at = next) {
        next = listpack_next(at);
        struct listpack_item item = listpack_item_value(listpack_get(at));
        put_entry(to, &item); /* moves the string first: source and target may overlap */
        to += listpack_item_bytes(&item);
    }
    *to = LISTPACK_END;
    put_bytes(lp, (size_t)(to - lp) + 1);
}
