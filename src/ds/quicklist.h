/* Long lists: a row of nodes (ds/quicknode.h), each a listpack of a few KB, or one large element.
 *
 * The name, the sizes of nodes and what they hold are Redis's, and so are their bytes in an RDB file. But the nodes do
 * not hang on pointers: they are an array of 24 bytes each, free at both ends, which takes half the memory and is
 * searched by index at a nanosecond a node (LINDEX into the middle of a million elements: about 2 us). A push or a
 * pop at an end moves and allocates nothing as a rule. Inserting in the middle moves, once in hundreds of
 * inserts, the array's shorter side: at most 50 KB for a million elements.
 *
 * With a depth above 0, all nodes but so many at either end are kept compressed with LZF, where that saves
 * something. Reading does not expand them: an iterator has scratch memory of its own.
 *
 * Slices that go in must not point into the same list; those that come out hold until the list changes. */
#pragma once
#include "ds/quicknode.h"

/* Fields are to be read only. */
struct quicklist {
    struct quicknode *nodes; /* the block of the array; the node of index i is nodes[first + i] */
    uint32_t room, first, used;
    uint32_t depth;       /* of nodes at either end that are not compressed; 0: none is compressed at all */
    size_t count;         /* elements */
    size_t limit_bytes;   /* of a node of more than one element */
    uint32_t limit_count; /* elements in a node */
};

/* fill and depth are list-max-listpack-size (-1 to -5: 4 to 64 KB; positive: elements) and list-compress-depth. */
struct quicklist *quicklist_new(int fill, int depth);
void quicklist_free(struct quicklist *q); /* any thread. O(nodes) */
struct quicklist *quicklist_copy(const struct quicklist *q);
size_t quicklist_memory(const struct quicklist *q); /* bytes, all included. O(nodes) */

/* Would a listpack of so many bytes and elements be more than a node may hold? Redis keeps a list in one listpack
 * until then. */
bool quicklist_exceeds(int fill, size_t bytes, size_t count);
/* For DEBUG: elements of at least so many bytes get nodes of their own; 0: those that exceed a node's limit. */
void quicklist_set_plain_threshold(size_t bytes);

/* --- The ends -------------------------------------------------------------------------------- */

enum quicklist_end { QUICKLIST_HEAD, QUICKLIST_TAIL };

void quicklist_push(struct quicklist *q, enum quicklist_end end, struct slice element);
/* The element at the end; the list must not be empty. Its bytes lie in the list, until it changes. */
struct listpack_value quicklist_peek(const struct quicklist *q, enum quicklist_end end);
void quicklist_drop(struct quicklist *q, enum quicklist_end end); /* remove that element */

/* --- Iterating: for (bool ok = quicklist_start(&it, q, 0); ok; ok = quicklist_next(&it)) ...; quicklist_stop(&it); */

struct quicklist_iter {
    const struct quicklist *list;
    const uint8_t *lp; /* the listpack (or, expanded, its copy) that we are in; NULL in a plain node */
    const uint8_t *at; /* the entry, or the plain element */
    size_t node;
    struct quicknode_scratch scratch;
};

/* Go to the element of this index; -1 is the last one. False if there is none. O(nodes to the nearer end). */
bool quicklist_start(struct quicklist_iter *it, const struct quicklist *q, int64_t index);
void quicklist_stop(struct quicklist_iter *it); /* once for each start, whatever it said */
bool quicklist_next_node(struct quicklist_iter *it);
bool quicklist_prev_node(struct quicklist_iter *it);

static inline bool quicklist_next(struct quicklist_iter *it) { /* false, and done, at the end */
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
bool quicklist_find(struct quicklist_iter *it, const struct quicklist_needle *needle); /* from here on, forward */

/* --- Editing. What is given an iterator leaves it fit for nothing but quicklist_stop() ---------------- */

void quicklist_insert(struct quicklist *q, const struct quicklist_iter *it, bool after, struct slice element);
void quicklist_replace(struct quicklist *q, const struct quicklist_iter *it, struct slice element);
/* Remove n elements from this index on, all of which must be there. What takes long to free is put into *trash,
 * a list to be freed on the worker, or NULL. */
void quicklist_remove(struct quicklist *q, size_t index, size_t n, struct quicklist **trash);
/* Remove the first max elements that are equal, seen from that end. Returns how many there were. */
size_t quicklist_remove_equal(struct quicklist *q, struct slice element, enum quicklist_end from, size_t max);

/* --- Whole nodes: for conversions and RDB ---------------------------------------------------- */

/* Append a listpack's elements; bytes from outside have passed listpack_check(). O(bytes). */
void quicklist_append_listpack(struct quicklist *q, const uint8_t *lp);
/* The listpack, if the list is a single one. */
const uint8_t *quicklist_only_listpack(const struct quicklist *q);
static inline const struct quicknode *quicklist_node(const struct quicklist *q, size_t index) {
    return &q->nodes[q->first + index];
}
void quicklist_check(const struct quicklist *q); /* for tests: asserts every invariant. O(n) */
