/* A node of a stream: one listpack with some entries, in the published format, so that RDB carries it unchanged.
 *
 *     master:  | live | deleted | number of names | name ... | 0 |
 *     entry:   | flags | ms | seq | value ... | pieces |                         the names are the master's
 *              | flags | ms | seq | number of names | name | value ... | pieces |
 *
 * The master has the names of the entry that the node began with, and the counts of its living and deleted entries. ms
 * and seq are differences to the node's id, which is that of the same entry; `pieces` is the number of elements before
 * it, to walk backwards. A deleted entry stays, with a flag, until more than half of STREAM_NODE_THIN entries or more
 * are deleted: then the node is rewritten without them.
 *
 * Where Redis begins a new node shows in XTRIM ~. It counts deleted entries too, so `spent` and `spent_bytes` remember
 * those that are gone; a snapshot does not carry them, so that the last node may take more entries after a load. A node
 * never is without living entries: its owner removes it then. */
#pragma once
#include "ds/listpack.h"
#include "store/stream_id.h"

#define STREAM_NODE_THIN 10

enum stream_flag {
    STREAM_DELETED = 1 << 0,
    STREAM_SAME_NAMES = 1 << 1,
};

struct stream_node {
    struct stream_id id; /* no entry has a lower one */
    uint8_t *block;      /* the listpack, in `room` bytes */
    uint32_t room;
    uint32_t first_live;         /* offset of the first entry that lives */
    uint32_t spent, spent_bytes; /* entries that were deleted and cut out, and their bytes */
};

/* An entry, decoded. The pointers are valid until the node changes. */
struct stream_entry {
    struct stream_id id;
    size_t pairs;
    const uint8_t *at;     /* its flags */
    const uint8_t *pieces; /* its values, or names and values */
    const uint8_t *names;  /* the master's first name; NULL: the entry has names of its own */
    unsigned flags;        /* enum stream_flag */
};

/* An entry that is to be appended, with each string encoded once. */
struct stream_draft {
    struct stream_id id;
    const struct listpack_item *items; /* name, value, name, value ... */
    size_t pairs;
    size_t text_bytes;              /* of names and values, before they are encoded */
    size_t name_bytes, value_bytes; /* of the listpack's elements */
};

/* --- Making and freeing ---------------------------------------------------------------------- */

/* Begin a node with this entry. */
void stream_node_begin(struct stream_node *n, const struct stream_draft *d);
/* A node with a copy of this listpack, which stream_node_check() accepts and which has a living entry. */
void stream_node_from(struct stream_node *n, struct stream_id id, const uint8_t *lp);
void stream_node_copy(struct stream_node *to, const struct stream_node *from);
void stream_node_free(struct stream_node *n);
size_t stream_node_memory(const struct stream_node *n); /* O(1) */
void stream_node_fit(struct stream_node *n);            /* gives back free bytes */

/* --- Changing -------------------------------------------------------------------------------- */

/* Append an entry whose id is above all others. The block grows by half, beyond `limit` bytes only if it must. True:
 * other entries have moved. Amortised O(bytes of the entry). */
bool stream_node_append(struct stream_node *n, const struct stream_draft *d, size_t limit);
/* Delete an entry that lives. True: other entries have moved, or the node was rewritten. O(1), amortised. */
bool stream_node_delete(struct stream_node *n, const struct stream_entry *e);

/* Cut the deleted entries out. O(bytes). */
void stream_node_rewrite(struct stream_node *n);

/* --- Reading --------------------------------------------------------------------------------- */

static inline uint64_t stream_node_live(const struct stream_node *n) {
    return (uint64_t)listpack_get(listpack_first(n->block)).number;
}
static inline uint64_t stream_node_deleted(const struct stream_node *n) {
    return (uint64_t)listpack_get(listpack_next(listpack_first(n->block))).number;
}
/* The first entry, living or not. O(names). */
const uint8_t *stream_node_first(const struct stream_node *n);
/* Decode the entry at this place; not the end. */
void stream_node_read(const struct stream_node *n, const uint8_t *at, struct stream_entry *e);
const uint8_t *stream_node_behind(const struct stream_entry *e); /* the place behind it; O(pairs) */
/* The entry that ends at this place. NULL: there is none. O(pairs). */
const uint8_t *stream_node_before(const struct stream_node *n, const uint8_t *at);
/* The first entry, living or not, whose id is at least this, decoded; O(entries). False: there is none. It begins at
 * the first living one, or at `at` if that is not NULL. */
bool stream_node_seek(const struct stream_node *n, const uint8_t *at, struct stream_id id, struct stream_entry *e);
/* The id of the last entry, living or not. O(pairs). */
struct stream_id stream_node_last_id(const struct stream_node *n);

/* --- Bytes from outside ---------------------------------------------------------------------- */

/* Deleted entries may have greater ids than others behind them: after XSETID Redis gives the same ids again. */
struct stream_node_facts {
    uint64_t live;
    struct stream_id last_live; /* the greatest id that lives */
    struct stream_id last;      /* the greatest id */
    bool ordered;               /* all ids grow; otherwise the node has to be rewritten */
};
/* True if this is a sound node: each element is what it has to be, the counts are right, the ids of living entries grow
 * and are not below the node's, no entry is without pairs. The listpack itself has been checked. O(bytes). */
bool stream_node_check(const uint8_t *lp, struct stream_id id, struct stream_node_facts *facts);
