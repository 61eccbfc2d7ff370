/* The way down a skiplist, for skiplist.c and skiplist_walk.c alone.
 *
 * A search looks for a gap between members. In an inner block it takes the last child whose first member is before the
 * gap (or the first child); in a leaf it counts the members before the gap. */
#pragma once
#include "ds/skiplist_layout.h"
#include <assert.h>

/* A gap: before or behind all members with a score, or before or behind one member. */
enum tie { TIE_BEFORE, TIE_BEHIND, TIE_MEMBER_BEFORE, TIE_MEMBER_BEHIND };
struct gap {
    uint64_t key;
    struct slice member;
    enum tie tie;
};

/* The way down: at[i] is the index of the child taken in inner[i]; inner[0] is the root. */
struct path {
    struct inner *inner[MAX_HEIGHT];
    unsigned at[MAX_HEIGHT];
    struct leaf *leaf;
    unsigned index; /* of the gap in the leaf, or of a record */
};

static inline struct gap gap_of(const struct member *m, enum tie tie) {
    return (struct gap){key_of(m), member_slice(m), tie};
}
/* True if a record with the key of the gap is before the gap. */
static inline bool tied_before(const struct gap *gap, const struct member *m) {
    if (gap->tie == TIE_BEFORE || gap->tie == TIE_BEHIND) return gap->tie == TIE_BEHIND;
    int order = slice_compare(member_slice(m), gap->member);
    return order < 0 || (order == 0 && gap->tie == TIE_MEMBER_BEHIND);
}
static inline bool is_before(const struct gap *gap, const struct member *m) {
    uint64_t key = key_of(m);
    return key < gap->key || (key == gap->key && tied_before(gap, m));
}

/* How many of the ascending numbers are below x. Arithmetic replaces branches: nothing can be mispredicted. */
static inline unsigned count_below(const uint64_t *a, unsigned n, uint64_t x) {
    const uint64_t *p = a;
    while (n > 1) {
        unsigned half = n / 2;
        p += -(uintptr_t)(p[half - 1] < x) & half;
        n -= half;
    }
    return (unsigned)(p - a) + (n && *p < x);
}

/* Slots [low, high) are those whose codes do not tell on which side of the key they are. */
static inline void leaf_tied(const struct leaf *l, uint64_t key, unsigned *low, unsigned *high) {
    uint64_t code = (key >> l->shift) - l->base;
    if (code > CODE_MAX) {
        *low = *high = key >> l->shift < l->base ? 0 : l->count;
        return;
    }
    unsigned first = count_below(l->slots, l->count, code << CODE_SHIFT), last = first;
    while (last < l->count && slot_code(l->slots[last]) == code)
        last++;
    *low = first;
    *high = last;
}

/* How many members of the leaf are before the gap. */
static inline unsigned leaf_find(const struct leaf *l, const struct gap *gap) {
    unsigned low, high;
    leaf_tied(l, gap->key, &low, &high);
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (is_before(gap, slot_member(l->slots[middle]))) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The index of a record in its leaf. Its address identifies it, so its neighbours need not be read. */
static inline unsigned leaf_index(const struct leaf *l, uint64_t key, const struct member *m) {
    unsigned low, high;
    leaf_tied(l, key, &low, &high);
    while (low < high && slot_member(l->slots[low]) != m)
        low++;
    assert(low < high);
    return low;
}

/* How many of the children's first members are before the gap. */
static inline unsigned inner_find(const struct inner *n, const struct gap *gap) {
    const uint64_t *key = keys(n);
    unsigned low = count_below(key, n->count, gap->key), high = low;
    if (low == n->count || key[low] != gap->key || gap->tie == TIE_BEFORE) return low;
    while (high < n->count && key[high] == gap->key)
        high++;
    if (gap->tie == TIE_BEHIND) return high;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (tied_before(gap, firsts(n)[middle])) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Fetch all lines of a leaf at once: the search in it would ask for them one after the other. */
static inline void leaf_fetch(const void *leaf, size_t count) {
    const char *end = (const char *)leaf + leaf_bytes((unsigned)count);
    for (const char *p = leaf; p < end; p += 64)
        __builtin_prefetch(p);
}

/* The way to the leaf of the gap; that leaf is being fetched on return. Returns how many members are before the leaf,
 * if `ranked`. The skiplist is not empty. */
static inline __attribute__((always_inline)) size_t descend_to_gap(const struct skiplist *s, const struct gap *gap,
                                                                   struct path *p, bool ranked) {
    void *block = s->root;
    size_t rank = 0;
    for (unsigned level = 0; level < s->height; level++) {
        struct inner *n = block;
        unsigned at = inner_find(n, gap);
        at -= at > 0;
        p->inner[level] = n;
        p->at[level] = at;
        block = children(n)[at];
        if (level + 1u == s->height) leaf_fetch(block, counts(n)[at]);
        for (unsigned i = 0; ranked && i < at; i++)
            rank += counts(n)[i];
    }
    p->leaf = block;
    return rank;
}

/* The way to a record that is present; p->index is the record's. Returns its rank if `ranked`. */
static inline __attribute__((always_inline)) size_t locate_member(const struct skiplist *s, const struct member *m,
                                                                  struct path *p, bool ranked) {
    struct gap gap = gap_of(m, TIE_MEMBER_BEHIND);
    assert(s->root);
    size_t rank = descend_to_gap(s, &gap, p, ranked);
    p->index = leaf_index(p->leaf, gap.key, m);
    return rank + p->index;
}

/* The way to the member with this rank, or to the end. */
static inline void descend_rank(const struct skiplist *s, size_t rank, struct path *p) {
    void *block = s->root;
    for (unsigned level = 0; level < s->height; level++) {
        struct inner *n = block;
        unsigned at = 0;
        for (; at + 1u < n->count && rank >= counts(n)[at]; at++)
            rank -= counts(n)[at];
        p->inner[level] = n;
        p->at[level] = at;
        block = children(n)[at];
    }
    p->leaf = block;
    p->index = (unsigned)rank;
}
