/* A node of a quicklist: a listpack of many elements (packed), or one large element by itself (plain); either may be
 * compressed with LZF. Only quicklist.c uses this, except that others may read the fields.
 *
 * A listpack need not fill its block, nor begin where the block begins:
 *
 *     block:  | front: free | the listpack | free |         room bytes in all
 *
 * so that pushing and popping at either end moves nothing and rarely allocates. */
#pragma once
#include "ds/listpack.h"

struct quicknode {
    uint8_t *block;
    union {
        struct {
            uint32_t room, front; /* packed: bytes of the block, and of its free part before the listpack */
        };
        struct {
            uint32_t lzf, raw; /* compressed: bytes of the block, and their number when expanded */
        };
        size_t len; /* plain: bytes of the element, which fills the block */
    };
    uint32_t count; /* elements; 1 if plain */
    bool plain;
    bool compressed;
    bool incompressible; /* compression has failed since the last change */
};

/* Scratch memory to expand a compressed node into. {0} is an empty one. */
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

/* Make an empty listpack in a block of at least `room` (LISTPACK_EMPTY or more) bytes, at this end of it. */
void quicknode_pack(struct quicknode *n, size_t room, bool at_back);
/* Make a node that holds a copy of this listpack and has no more room than its size class. */
void quicknode_pack_copy(struct quicknode *n, const uint8_t *lp);
void quicknode_plain(struct quicknode *n, struct slice element);
void quicknode_copy(struct quicknode *to, const struct quicknode *from);
void quicknode_free(struct quicknode *n);
size_t quicknode_memory(const struct quicknode *n); /* bytes of the allocation; O(1) */

/* Make `extra` free bytes behind or before the listpack of a packed node. A new block gets room for more pushes at that
 * end, as far as the listpack may grow to `limit` bytes; with limit 0 it gets none. Amortised O(extra). */
void quicknode_reserve_back(struct quicknode *n, size_t extra, size_t limit);
void quicknode_reserve_front(struct quicknode *n, size_t extra, size_t limit);
void quicknode_fit(struct quicknode *n); /* gives back the free bytes of a packed node */

void quicknode_compress(struct quicknode *n); /* if that saves memory; O(bytes) */
void quicknode_expand(struct quicknode *n);
/* The bytes of the listpack or of the element. Those of a compressed node are expanded into the scratch memory, and are
 * valid until its next use. */
const uint8_t *quicknode_read(const struct quicknode *n, struct quicknode_scratch *scratch);
void quicknode_scratch_free(struct quicknode_scratch *scratch);
