/* See quicknode.h. This file allocates and frees all memory of quicklists except their arrays of nodes. */
#include "ds/quicknode.h"
#include "base/alloc.h"
#include <assert.h>
#include <liblzf/lzf.h>

#define COMPRESS_MIN 48 /* bytes of the smallest node that is compressed, as in Redis */
#define COMPRESS_GAIN 8 /* bytes that it must save, as in Redis */

static size_t block_bytes(const struct quicknode *n) {
    return n->compressed ? n->lzf : n->plain ? n->len : n->room;
}

void quicknode_pack(struct quicknode *n, size_t room, bool at_back) {
    room = alloc_class(room);
    assert(room >= LISTPACK_EMPTY && room <= UINT32_MAX);
    *n = (struct quicknode){.block = alloc_get(room), .room = (uint32_t)room};
    if (at_back) n->front = (uint32_t)room - LISTPACK_EMPTY;
    listpack_init(quicknode_listpack(n));
}

void quicknode_pack_copy(struct quicknode *n, const uint8_t *lp) {
    size_t bytes = listpack_bytes(lp);
    quicknode_pack(n, bytes, false);
    memcpy(n->block, lp, bytes);
    n->count = (uint32_t)listpack_count(lp);
}

void quicknode_plain(struct quicknode *n, struct slice element) {
    assert(element.len > 0);
    *n = (struct quicknode){.block = alloc_get(element.len), .len = element.len, .count = 1, .plain = true};
    memcpy(n->block, element.ptr, element.len);
}

void quicknode_copy(struct quicknode *to, const struct quicknode *from) {
    *to = *from;
    if (!from->plain && !from->compressed) {
        quicknode_pack_copy(to, quicknode_listpack(from));
        to->incompressible = from->incompressible;
    } else {
        to->block = alloc_get(block_bytes(from));
        memcpy(to->block, from->block, block_bytes(from));
    }
}

void quicknode_free(struct quicknode *n) {
    alloc_put(n->block, block_bytes(n));
    n->block = NULL;
}

size_t quicknode_memory(const struct quicknode *n) {
    return alloc_class(block_bytes(n));
}

/* --- Room ------------------------------------------------------------------------------------ */

static void relocate_listpack(struct quicknode *n, size_t room, size_t front) {
    size_t bytes = quicknode_bytes(n);
    assert(room >= front + bytes && room <= UINT32_MAX);
    uint8_t *block = alloc_get(room);
    memcpy(block + front, quicknode_listpack(n), bytes);
    alloc_put(n->block, n->room);
    n->block = block;
    n->room = (uint32_t)room;
    n->front = (uint32_t)front;
}

/* Free bytes at the wrong end are used by sliding the listpack to the middle, if there are enough of them that it will
 * not be needed again soon. In a queue that stays just below the limit there are never enough: it gets a block that is
 * a quarter larger. Returns the room of the new block that is needed, or 0. */
static size_t slide_or_grow(struct quicknode *n, size_t extra, size_t limit, bool in_front) {
    size_t bytes = quicknode_bytes(n), unused = n->room - bytes, wanted = bytes + extra;
    if (unused >= extra && (unused - extra >= bytes / 4 || limit == 0)) {
        size_t front = (unused - extra) / 2 + (in_front ? extra : 0);
        memmove(n->block + front, quicknode_listpack(n), bytes);
        n->front = (uint32_t)front;
        return 0;
    }
    size_t most = unused >= extra ? limit + limit / 4 + extra : limit;
    size_t room = wanted + wanted / 2;
    if (room > most) room = most;
    return alloc_class(room < wanted ? wanted : room);
}

void quicknode_reserve_back(struct quicknode *n, size_t extra, size_t limit) {
    if (n->front + quicknode_bytes(n) + extra <= n->room) return;
    size_t room = slide_or_grow(n, extra, limit, false);
    if (room > 0) relocate_listpack(n, room, 0);
}

void quicknode_reserve_front(struct quicknode *n, size_t extra, size_t limit) {
    if (extra <= n->front) return;
    size_t room = slide_or_grow(n, extra, limit, true);
    if (room > 0) relocate_listpack(n, room, room - quicknode_bytes(n));
}

void quicknode_fit(struct quicknode *n) {
    size_t room = alloc_class(quicknode_bytes(n));
    if (room < n->room) relocate_listpack(n, room, 0);
}

/* --- Compression ----------------------------------------------------------------------------- */

void quicknode_compress(struct quicknode *n) {
    size_t bytes = quicknode_bytes(n);
    if (n->compressed || n->incompressible || bytes < COMPRESS_MIN || bytes > UINT32_MAX) return;
    size_t most = bytes - COMPRESS_GAIN;
    uint8_t *to = alloc_get(most);
    unsigned len = lzf_compress(n->plain ? n->block : quicknode_listpack(n), (unsigned)bytes, to, (unsigned)most);
    if (len == 0) {
        alloc_put(to, most);
        n->incompressible = true;
        return;
    }
    quicknode_free(n);
    n->block = alloc_resize(to, most, len);
    n->lzf = len;
    n->raw = (uint32_t)bytes;
    n->compressed = true;
}

static void expand_into(const struct quicknode *n, uint8_t *to) {
    unsigned len = lzf_decompress(n->block, n->lzf, to, n->raw);
    assert(len == n->raw);
    (void)len;
}

void quicknode_expand(struct quicknode *n) {
    n->incompressible = false; /* it is going to change, or it is near an end now */
    if (!n->compressed) return;
    size_t raw = n->raw, room = n->plain ? raw : alloc_class(raw);
    uint8_t *block = alloc_get(room);
    expand_into(n, block);
    quicknode_free(n);
    n->block = block;
    n->compressed = false;
    if (n->plain) {
        n->len = raw;
    } else {
        n->room = (uint32_t)room;
        n->front = 0;
    }
}

const uint8_t *quicknode_read(const struct quicknode *n, struct quicknode_scratch *scratch) {
    if (!n->compressed) return n->plain ? n->block : quicknode_listpack(n);
    if (scratch->room < n->raw) {
        quicknode_scratch_free(scratch);
        *scratch = (struct quicknode_scratch){alloc_get(n->raw), n->raw};
    }
    expand_into(n, scratch->bytes);
    return scratch->bytes;
}

void quicknode_scratch_free(struct quicknode_scratch *scratch) {
    alloc_put(scratch->bytes, scratch->room);
    *scratch = (struct quicknode_scratch){0};
}
