/* See pack.h for the format. */
#include "ds/pack.h"
#include <assert.h>

static void put_count(uint8_t *pack, size_t count) {
    assert(count <= UINT16_MAX);
    pack[0] = (uint8_t)count;
    pack[1] = (uint8_t)(count >> 8);
}

/* --- Reading --------------------------------------------------------------------------------- */

uint8_t *pack_seek(const uint8_t *pack, int64_t index) {
    int64_t count = (int64_t)pack_count(pack);
    if (index < 0) index += count;
    if (index < 0 || index >= count) return NULL;
    uint8_t *at = pack_first(pack);
    while (index-- > 0)
        at = pack_next(at);
    return at;
}

/* Lengths differ more often than bytes, and the head tells both: it is compared before any function is called. */
uint8_t *pack_find(const uint8_t *at, const uint8_t *end, const struct listpack_item *item, unsigned stride) {
    unsigned head = item->head[0];
    while (at < end) {
        if (*at == head && listpack_equal(at, item)) return (uint8_t *)at;
        for (unsigned i = 0; i < stride && at < end; i++)
            at = pack_next(at);
    }
    return NULL;
}

/* --- Editing --------------------------------------------------------------------------------- */

static void put_item(uint8_t *at, const struct listpack_item *item) {
    memcpy(at, item->head, item->head_len);
    if (item->data_len > 0) memcpy(at + item->head_len, item->data, item->data_len);
}

size_t pack_insert(uint8_t *pack, size_t len, uint8_t *at, const struct listpack_item *item) {
    size_t bytes = pack_item_bytes(item), behind = (size_t)(pack + len - at);
    assert(len + bytes <= PACK_MAX);
    if (behind > 0) memmove(at + bytes, at, behind);
    put_item(at, item);
    put_count(pack, pack_count(pack) + 1);
    return len + bytes;
}

size_t pack_replace(uint8_t *pack, size_t len, uint8_t *at, const struct listpack_item *item) {
    size_t bytes = pack_item_bytes(item), old = listpack_width(at);
    assert(len - old + bytes <= PACK_MAX);
    if (bytes != old) memmove(at + bytes, at + old, (size_t)(pack + len - at) - old);
    put_item(at, item);
    return len - old + bytes;
}

size_t pack_remove(uint8_t *pack, size_t len, uint8_t *at, size_t n) {
    assert(n <= pack_count(pack));
    const uint8_t *rest = at;
    for (size_t i = 0; i < n; i++)
        rest = pack_next(rest);
    memmove(at, rest, (size_t)(pack + len - rest));
    put_count(pack, pack_count(pack) - n);
    return len - (size_t)(rest - at);
}

/* --- Listpacks ------------------------------------------------------------------------------- */

size_t pack_listpack_bytes(const uint8_t *pack, size_t len) {
    size_t bytes = len - PACK_EMPTY + LISTPACK_EMPTY;
    for (const uint8_t *at = pack_first(pack), *end = pack + len; at < end; at = pack_next(at))
        bytes += listpack_backlen_bytes(listpack_width(at));
    return bytes;
}

void pack_to_listpack(const uint8_t *pack, size_t len, uint8_t *listpack) {
    uint8_t *to = listpack_first(listpack);
    for (const uint8_t *at = pack_first(pack), *end = pack + len; at < end;) {
        size_t width = listpack_width(at);
        memcpy(to, at, width);
        to = listpack_put_backlen(to + width, width);
        at += width;
    }
    listpack_close(listpack, to, pack_count(pack));
}

size_t pack_from_listpack(uint8_t *pack, const uint8_t *listpack) {
    uint8_t *to = pack_first(pack);
    for (const uint8_t *at = listpack_first(listpack); !listpack_at_end(at); at = listpack_next(at)) {
        size_t width = listpack_width(at);
        memcpy(to, at, width);
        to += width;
    }
    put_count(pack, listpack_count(listpack));
    assert((size_t)(to - pack) <= PACK_MAX);
    return (size_t)(to - pack);
}
