/* Packs: what a small collection is inside its key's entry. A listpack without what the entry makes superfluous:
 *
 *     | count, 2 | head, data | head, data | ...
 *
 * Heads and data are those of ds/listpack.h, and so are what reads one (listpack_get, listpack_text) and what makes
 * one (listpack_item). The length is the caller's to know, as an entry does; a listpack's own length, end byte and
 * backlens are left out: 5 bytes and one for each element, which is a hash of 5 fields in 128 bytes and not in 160.
 * Without backlens a pack is walked forward only, which is cheap for the kilobyte or so that it is long.
 * What wants a listpack (RDB, DUMP, quicklists) gets it from pack_to_listpack().
 *
 * Nothing here allocates: before an edit the caller sees to it that the block has the room, and gives the length
 * that the pack has had so far. A position is the address of an element or of the end, valid until an edit before it. */
#pragma once
#include "ds/listpack.h"

#define PACK_EMPTY 2     /* bytes of a pack without elements */
#define PACK_MAX 60000UL /* bytes that no pack may exceed; it counts up to 65535, and an element has a byte at least */

static inline void pack_init(uint8_t *pack) {
    pack[0] = pack[1] = 0;
}
static inline size_t pack_count(const uint8_t *pack) {
    return pack[0] | (size_t)pack[1] << 8;
}

/* --- Reading --------------------------------------------------------------------------------- */

static inline uint8_t *pack_first(const uint8_t *pack) {
    return (uint8_t *)pack + PACK_EMPTY;
}
static inline __attribute__((always_inline)) uint8_t *pack_next(const uint8_t *at) {
    return (uint8_t *)at + listpack_width(at);
}
/* The element of this index, -1 being the last; NULL if there is none. O(index). */
uint8_t *pack_seek(const uint8_t *pack, int64_t index);
/* The first element from `at` on that equals the item, looking at every stride-th one; NULL if there is none. */
uint8_t *pack_find(const uint8_t *at, const uint8_t *end, const struct listpack_item *item, unsigned stride);

/* --- Editing --------------------------------------------------------------------------------- */

static inline size_t pack_item_bytes(const struct listpack_item *item) {
    return item->head_len + item->data_len;
}
/* Each returns the pack's new length. The item's string must not lie in the pack. */
size_t pack_insert(uint8_t *pack, size_t len, uint8_t *at, const struct listpack_item *item); /* before `at` */
static inline size_t pack_append(uint8_t *pack, size_t len, const struct listpack_item *item) {
    return pack_insert(pack, len, pack + len, item);
}
size_t pack_replace(uint8_t *pack, size_t len, uint8_t *at, const struct listpack_item *item);
size_t pack_remove(uint8_t *pack, size_t len, uint8_t *at, size_t n); /* n elements, all of which are there */

/* --- Listpacks ------------------------------------------------------------------------------- */

/* Bytes of the listpack that has these elements. O(n). */
size_t pack_listpack_bytes(const uint8_t *pack, size_t len);
void pack_to_listpack(const uint8_t *pack, size_t len, uint8_t *listpack); /* which has room for so many */
/* `pack` has room for the listpack's bytes; returns what the pack has of them. The listpack is GOOD (listpack_check). */
size_t pack_from_listpack(uint8_t *pack, const uint8_t *listpack);
