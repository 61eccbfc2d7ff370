/* Packs: small collections inside their key's entry. A pack is a listpack without the parts that the entry makes
 * superfluous:
 *
 *     | count, 2 | head, data | head, data | ...
 *
 * Heads and data are those of ds/listpack.h, and so are the functions that read one (listpack_get, listpack_text) and
 * make one (listpack_item). The caller knows the length, as an entry does. A listpack's own length, end byte and
 * backlens are left out: they would take 5 bytes and one per element, so a hash of 5 fields fits in 128 bytes, not 160.
 * Without backlens a pack is walked forward only, which is cheap: a pack is about a kilobyte long. pack_to_listpack()
 * makes a listpack for RDB, DUMP and quicklists.
 *
 * Nothing here allocates: before an edit the caller makes room in the block, and passes the current length of the pack.
 * A position is the address of an element or of the end; it is valid until an edit before it. */
#pragma once
#include "ds/listpack.h"

#define PACK_EMPTY 2 /* bytes of a pack without elements */
/* Bytes of the largest pack. Its count goes up to 65535, and an element takes at least one byte. */
#define PACK_MAX 60000UL

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
/* The element with this index; -1 is the last one. NULL if there is none. O(index). */
uint8_t *pack_seek(const uint8_t *pack, int64_t index);
/* The first element from `at` on that equals the item, if only every stride-th one is compared; NULL if there is none.
 * O(n). */
uint8_t *pack_find(const uint8_t *at, const uint8_t *end, const struct listpack_item *item, unsigned stride);

/* --- Editing --------------------------------------------------------------------------------- */

static inline size_t pack_item_bytes(const struct listpack_item *item) {
    return item->head_len + item->data_len;
}
/* Each returns the new length of the pack. The item's string must not be in the pack. O(bytes behind the edit). */
size_t pack_insert(uint8_t *pack, size_t len, uint8_t *at, const struct listpack_item *item); /* before `at` */
static inline size_t pack_append(uint8_t *pack, size_t len, const struct listpack_item *item) {
    return pack_insert(pack, len, pack + len, item);
}
size_t pack_replace(uint8_t *pack, size_t len, uint8_t *at, const struct listpack_item *item);
size_t pack_remove(uint8_t *pack, size_t len, uint8_t *at, size_t n); /* n elements, all present */

/* --- Listpacks ------------------------------------------------------------------------------- */

/* Bytes of the listpack with these elements. O(n). */
size_t pack_listpack_bytes(const uint8_t *pack, size_t len);
void pack_to_listpack(const uint8_t *pack, size_t len, uint8_t *listpack); /* has room for those bytes */
/* Make a pack of a listpack that is LISTPACK_GOOD. `pack` has room for the listpack's bytes; returns the pack's length.
 * O(n). */
size_t pack_from_listpack(uint8_t *pack, const uint8_t *listpack);
