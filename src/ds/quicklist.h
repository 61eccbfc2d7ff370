/* Long lists: a row of nodes (ds/quicknode.h), each a listpack of a few KB, or one large element.
 *
 * The name, the sizes of nodes and their contents are Redis's, and so are the bytes in an RDB file. But the nodes are
 * not linked by pointers: they are an array of 24 bytes each, with free space at both ends. That takes half the memory,
 * and an index is found at a nanosecond per node (LINDEX into the middle of a million elements: about 2 us). A push or
 * a pop at an end usually moves and allocates nothing. Inserting in the middle moves the shorter side of the array once
 * in hundreds of inserts: at most 50 KB for a million elements.
 *
 * With a depth above 0, all nodes except the outermost `depth` at either end are kept compressed with LZF if that saves
 * memory. Reading does not expand them: an iterator has scratch memory of its own.
 *
 * Slices passed in must not point into the same list. Those returned are valid until the list changes. A function
 * without a cost is O(1) per element, amortised. */
#pragma once
#include "ds/quicknode.h"

/* The fields are for reading only. */
struct quicklist {
    struct quicknode *nodes; /* the block of the array; node i is nodes[first + i] */
    uint32_t room, first, used;
    uint32_t depth;       /* nodes at either end that are not compressed; 0: no node is compressed */
    size_t count;         /* elements */
    size_t limit_bytes;   /* of a node with more than one element */
    uint32_t limit_count; /* elements in a node */
};

/* fill and depth are list-max-listpack-size (-1 to -5: 4 to 64 KB; positive: elements) and list-compress-depth. */
struct quicklist *quicklist_new(int fill, int depth);
void quicklist_free(struct quicklist *q);                    /* any thread may call; O(nodes) */
struct quicklist *quicklist_copy(const struct quicklist *q); /* O(bytes) */
/* Bytes of everything, estimated from this many nodes if it has more; 0: exact. O(samples), or O(nodes). */
size_t quicklist_memory(const struct quicklist *q, size_t samples);

/* True if a listpack of this size exceeds a node's limits. Redis keeps a list in one listpack until then. */
bool quicklist_exceeds(int fill, size_t bytes, size_t count);
/* For DEBUG: elements of at least this many bytes get nodes of their own; 0: elements that exceed a node's limit. */
void quicklist_set_plain_threshold(size_t bytes);

/* --- The ends -------------------------------------------------------------------------------- */

enum quicklist_end { QUICKLIST_HEAD, QUICKLIST_TAIL };

void quicklist_push(struct quicklist *q, enum quicklist_end end, struct slice element);
/* The element at the end of a list that is not empty. Its bytes are in the list, valid until it changes. */
struct listpack_value quicklist_peek(const struct quicklist *q, enum quicklist_end end);
void quicklist_drop(struct quicklist *q, enum quicklist_end end); /* removes that element */

/* --- Iterating ------------------------------------------------------------------------------- */

/* for (bool ok = quicklist_start(&it, q, 0); ok; ok = quicklist_next(&it)) ...; quicklist_stop(&it); */

struct quicklist_iter {
    const struct quicklist *list;
    const uint8_t *lp; /* the node's listpack, or its expanded copy; NULL in a plain node */
    const uint8_t *at; /* the entry, or the plain element */
    size_t node;
    struct quicknode_scratch scratch;
};

/* Go to the element with this index; -1 is the last one. False if there is none. O(nodes to the nearer end). */
bool quicklist_start(struct quicklist_iter *it, const struct quicklist *q, int64_t index);
void quicklist_stop(struct quicklist_iter *it); /* once per start, even if that returned false */
bool quicklist_next_node(struct quicklist_iter *it);
bool quicklist_prev_node(struct quicklist_iter *it);

static inline bool quicklist_next(struct quicklist_iter *it) { /* false at the end */
    if (it->lp) {
        it->at = listpack_next(it->at);
        if (!listpack_at_end(it->at)) return true;
    }
    return quicklist_next_node(it);
}
static inline bool quicklist_prev(struct quicklist_iter *it) {
    const uint8_t *before = it->lp ? listpack_prev(it->lp, it->at) : NULL;
    if (!before) return quicklist_prev_node(it);
    it->at = before;
    return true;
}
static inline struct listpack_value quicklist_get(const struct quicklist_iter *it) {
    if (it->lp) return listpack_get(it->at);
    const struct quicknode *n = &it->list->nodes[it->list->first + it->node];
    return (struct listpack_value){(const char *)it->at, quicknode_bytes(n), 0};
}

/* An element to look for. */
struct quicklist_needle {
    struct slice text;
    struct listpack_item item;
};
static inline struct quicklist_needle quicklist_needle(struct slice text) {
    return (struct quicklist_needle){text, listpack_item(text)};
}
static inline bool quicklist_equal(const struct quicklist_iter *it, const struct quicklist_needle *needle) {
    if (it->lp) return listpack_equal(it->at, &needle->item);
    struct listpack_value v = quicklist_get(it);
    return slice_eq(slice_of(v.ptr, v.len), needle->text);
}
/* Go forward to the next equal element, beginning with the current one. False if there is none. O(n). */
bool quicklist_find(struct quicklist_iter *it, const struct quicklist_needle *needle);

/* --- Editing --------------------------------------------------------------------------------- */

/* After an edit that took an iterator, only quicklist_stop() may be called with it. O(nodes + bytes of a node). */

void quicklist_insert(struct quicklist *q, const struct quicklist_iter *it, bool after, struct slice element);
void quicklist_replace(struct quicklist *q, const struct quicklist_iter *it, struct slice element);
/* Remove n elements, all present, from this index on. Nodes that take long to free are put into *trash, a list for the
 * worker to free; else *trash is NULL. trash may be NULL. */
void quicklist_remove(struct quicklist *q, size_t index, size_t n, struct quicklist **trash);
/* Remove the first `max` equal elements, counted from this end. Returns how many it removed. O(n). */
size_t quicklist_remove_equal(struct quicklist *q, struct slice element, enum quicklist_end from, size_t max);

/* --- Whole nodes: for conversions and RDB ---------------------------------------------------- */

/* Append the elements of a listpack; bytes from outside must have passed listpack_check(). O(bytes). */
void quicklist_append_listpack(struct quicklist *q, const uint8_t *lp);
/* The listpack, if the list is a single packed node that is not compressed; else NULL. */
const uint8_t *quicklist_only_listpack(const struct quicklist *q);
static inline const struct quicknode *quicklist_node(const struct quicklist *q, size_t index) {
    return &q->nodes[q->first + index];
}
void quicklist_check(const struct quicklist *q); /* for tests: asserts every invariant; O(n) */
