/* A node of a quicklist: a listpack of many elements, or one large element by itself (plain), either of them
 * perhaps compressed with LZF. Of use to quicklist.c alone, but for reading the fields.
 *
 * A listpack need not fill its block, nor begin where the block does:
 *
 *     block:  | front: free | the listpack | free |         room bytes in all
 *
 * so that pushing and popping at either end of it moves nothing and rarely allocates. */
#pragma once
#include "ds/listpack.h"

struct quicknode {
    uint8_t *block;
    union {
        struct {
            uint32_t room, front; /* packed: bytes of the block, and of the gap in it before the listpack */
        };
        struct {
            uint32_t lzf, raw; /* compressed: bytes of the block, and what they expand to */
        };
        size_t len; /* plain: bytes of the element, which are the block */
    };
    uint32_t count; /* elements: 1 if plain */
    bool plain;
    bool compressed;
    bool incompressible; /* it has been tried since the last change */
};

/* Scratch memory to expand a compressed node into; {0} is an empty one. */
struct quicknode_scratch {
    uint8_t *bytes;
    size_t room;
};

/* The listpack of a packed node that is not compressed. */
static inline uint8_t *quicknode_listpack(const struct quicknode *n) {
    return n->block + n->front;
}
/* Bytes of the listpack or of the element, when expanded. */
static inline size_t quicknode_bytes(const struct quicknode *n) {
    return n->compressed ? n->raw : n->plain ? n->len : listpack_bytes(quicknode_listpack(n));
}

/* An empty listpack in a block of at least so many bytes (LISTPACK_EMPTY or more), at that end of it. */
void quicknode_pack(struct quicknode *n, size_t room, bool at_back);
/* A node that holds this listpack, and no byte more than its size class. */
void quicknode_pack_copy(struct quicknode *n, const uint8_t *lp);
void quicknode_plain(struct quicknode *n, struct slice element);
void quicknode_copy(struct quicknode *to, const struct quicknode *from);
void quicknode_free(struct quicknode *n);
size_t quicknode_memory(const struct quicknode *n); /* bytes, of the allocation */

/* See to it that a packed node has `extra` free bytes behind or before its listpack. What is allocated has room for
 * more of the same, as far as the listpack may grow to `limit` bytes; with limit 0 it has not. Amortised O(extra). */
void quicknode_reserve_back(struct quicknode *n, size_t extra, size_t limit);
void quicknode_reserve_front(struct quicknode *n, size_t extra, size_t limit);
void quicknode_fit(struct quicknode *n); /* give back what a packed node does not use */

void quicknode_compress(struct quicknode *n); /* if that saves anything */
void quicknode_expand(struct quicknode *n);
/* The bytes of the listpack or of the element; those of a compressed node are expanded into the scratch. */
const uint8_t *quicknode_read(const struct quicknode *n, struct quicknode_scratch *scratch);
void quicknode_scratch_free(struct quicknode_scratch *scratch);
