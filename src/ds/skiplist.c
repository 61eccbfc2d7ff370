/* See skiplist.h for the layout. The invariants:
 *   - A block's entry in its parent has the key and the record of its first member and the number of
 *     its members, always exact: a removed record is nowhere.
 *   - No block is empty, and the root has more than one child.
 *   - The codes of a leaf follow from its window and the keys, and every key is inside the window.
 *
 * A change descends once, notes the way (struct path), changes the leaf, and goes up as far as it must. A full block
 * splits in halves, but unevenly at the ends of the tree, so that ascending or descending insertion leaves full blocks.
 * Two neighbours merge if that makes a block that is at most two thirds full.
 *
 * This file changes skiplists; skiplist_walk.c only reads them. */
#include "ds/skiplist.h"
#include "base/alloc.h"
#include "ds/skiplist_search.h"
#include <assert.h>
#include <math.h>
#include <string.h>

#define MERGE_MAX 40u       /* members or children of two blocks that become one */
#define SPAN_MAX (1u << 18) /* codes that the keys use in a new window: a quarter of all */
#define SPAN_MIN (1u << 13) /* if the keys use fewer codes, the window is narrowed */

/* A child's entry in an inner block. */
struct branch {
    uint64_t key;
    struct member *first;
    size_t count;
    void *block;
};

/* --- Blocks ---------------------------------------------------------------------------------- */

/* Bytes of a leaf with room for at least n members: a size class, except 448. Leaves that grow in step leave the slabs
 * of the class below half empty; averaged over insertion orders, the slack of one larger step costs less than that. */
static size_t leaf_class(unsigned n) {
    size_t bytes = alloc_class(leaf_bytes(n < 6 ? 6 : n));
    return bytes <= 384 ? bytes : leaf_bytes(LEAF_MAX);
}

/* A copy of a block with room for at least n members; the old one, if any, is freed. */
static struct leaf *leaf_resize(struct skiplist *s, struct leaf *old, unsigned n) {
    size_t bytes = leaf_class(n);
    struct leaf *l = alloc_get(bytes);
    s->bytes += bytes;
    if (old) {
        memcpy(l, old, leaf_bytes(old->count));
        s->bytes -= leaf_bytes(old->room);
        alloc_put(old, leaf_bytes(old->room));
    } else {
        *l = (struct leaf){0};
    }
    l->room = (uint8_t)((bytes - sizeof *l) / 8);
    return l;
}
static void leaf_free(struct skiplist *s, struct leaf *l) {
    s->bytes -= leaf_bytes(l->room);
    alloc_put(l, leaf_bytes(l->room));
}

/* Copy n entries between inner blocks. */
static void inner_copy(struct inner *to, unsigned to_at, const struct inner *from, unsigned from_at, unsigned n) {
    for (unsigned a = 0; a < 4; a++)
        memmove(to->words + a * to->room + to_at, from->words + a * from->room + from_at, n * sizeof(uint64_t));
}
static void inner_free(struct skiplist *s, struct inner *n) {
    s->bytes -= alloc_class(inner_bytes(n->room));
    alloc_put(n, inner_bytes(n->room));
}
static struct inner *inner_resize(struct skiplist *s, struct inner *old, unsigned n) {
    size_t bytes = alloc_class(inner_bytes(n < 6 ? 6 : n));
    struct inner *to = alloc_get(bytes);
    s->bytes += bytes;
    to->count = 0;
    to->room = (uint16_t)((bytes - sizeof *to) / 32);
    if (old) {
        to->count = old->count;
        inner_copy(to, 0, old, 0, old->count);
        inner_free(s, old);
    }
    return to;
}
static void inner_set(struct inner *n, unsigned i, struct branch b) {
    keys(n)[i] = b.key;
    firsts(n)[i] = b.first;
    counts(n)[i] = b.count;
    children(n)[i] = b.block;
}
static struct inner *inner_child(const struct inner *n, unsigned i) {
    return children(n)[i];
}
static struct branch inner_branch(struct inner *n) {
    struct branch b = {keys(n)[0], firsts(n)[0], 0, n};
    for (unsigned i = 0; i < n->count; i++)
        b.count += counts(n)[i];
    return b;
}
static struct branch leaf_branch(struct leaf *l) {
    struct member *first = slot_member(l->slots[0]);
    return (struct branch){key_of(first), first, l->count, l};
}

/* --- A leaf's window ------------------------------------------------------------------------- */

/* The smallest shift at which lowest and highest are less than SPAN_MAX apart. */
static unsigned window_shift(uint64_t lowest, uint64_t highest) {
    unsigned shift = 0;
    while ((highest >> shift) - (lowest >> shift) >= SPAN_MAX)
        shift++;
    return shift;
}
/* The base that leaves as much room below lowest as above highest (both are shifted already). */
static uint64_t window_base(uint64_t lowest, uint64_t highest) {
    uint64_t margin = (CODE_MAX - (highest - lowest)) / 2;
    return lowest > margin ? lowest - margin : 0;
}

/* Widen the window until the codes of the leaf and of the key are inside. */
static __attribute__((noinline)) void window_widen(struct leaf *l, uint64_t key) {
    uint64_t lowest = key >> l->shift, highest = lowest;
    if (l->count) {
        uint64_t first = l->base + slot_code(l->slots[0]), last = l->base + slot_code(l->slots[l->count - 1]);
        if (first < lowest) lowest = first;
        if (last > highest) highest = last;
    } else {
        l->shift = 0;
        lowest = highest = key;
    }
    unsigned more = window_shift(lowest, highest);
    uint64_t base = window_base(lowest >> more, highest >> more);
    for (unsigned i = 0; i < l->count; i++) {
        uint64_t code = ((slot_code(l->slots[i]) + l->base) >> more) - base;
        l->slots[i] = slot_make(code, slot_member(l->slots[i]));
    }
    l->base = base;
    l->shift = (uint8_t)(l->shift + more);
}
static inline void window_cover(struct leaf *l, uint64_t key) {
    if ((key >> l->shift) - l->base > CODE_MAX || !l->count) window_widen(l, key);
}

/* Fit the window to the leaf's present keys. Reads its records. */
static void window_set(struct leaf *l) {
    for (unsigned i = 0; i < l->count; i++)
        __builtin_prefetch(slot_member(l->slots[i]));
    uint64_t lowest = key_of(slot_member(l->slots[0])), highest = key_of(slot_member(l->slots[l->count - 1]));
    l->shift = (uint8_t)window_shift(lowest, highest);
    l->base = window_base(lowest >> l->shift, highest >> l->shift);
    for (unsigned i = 0; i < l->count; i++) {
        struct member *m = slot_member(l->slots[i]);
        l->slots[i] = slot_make((key_of(m) >> l->shift) - l->base, m);
    }
}
/* The leaf has lost members: narrow its window if the others use only a small part of it. */
static void window_narrow(struct leaf *l) {
    if (!l->count || !l->shift) return;
    if (slot_code(l->slots[l->count - 1]) - slot_code(l->slots[0]) < SPAN_MIN) window_set(l);
}

/* --- Changing the way's blocks --------------------------------------------------------------- */

/* The block at this level of the way (level height: the leaf) has moved. */
static void path_set_block(struct skiplist *s, const struct path *p, unsigned level, void *block) {
    if (level) {
        children(p->inner[level - 1])[p->at[level - 1]] = block;
    } else {
        s->root = block;
    }
}
/* The block below this level of the way has a new first member. */
static void path_set_first(const struct path *p, unsigned level, uint64_t key, struct member *first) {
    while (level--) {
        keys(p->inner[level])[p->at[level]] = key;
        firsts(p->inner[level])[p->at[level]] = first;
        if (p->at[level]) return;
    }
}
static void path_add(struct skiplist *s, const struct path *p, size_t n) {
    for (unsigned level = 0; level < s->height; level++)
        counts(p->inner[level])[p->at[level]] += n;
    s->count += n;
}
static bool path_is_first(const struct path *p, unsigned levels) {
    while (levels--) {
        if (p->at[levels]) return false;
    }
    return true;
}
static bool path_is_last(const struct path *p, unsigned levels) {
    while (levels--) {
        if (p->at[levels] + 1u < p->inner[levels]->count) return false;
    }
    return true;
}

/* Where to split a full block that gets an entry at this index: in the middle, or at the end of the tree. */
static unsigned split_point(const struct path *p, unsigned level, unsigned count, unsigned index) {
    if (index == count && path_is_last(p, level)) return count;
    if (index == 0 && path_is_first(p, level)) return 0;
    return count / 2;
}

static void inner_insert(struct inner *n, unsigned at, struct branch b) {
    inner_copy(n, at + 1, n, at, n->count - at);
    n->count++;
    inner_set(n, at, b);
}

/* The two blocks at the top of the tree get a new root above them. */
static void raise_root(struct skiplist *s, struct branch left, struct branch right) {
    assert(s->height < MAX_HEIGHT);
    struct inner *root = inner_resize(s, NULL, 2);
    inner_insert(root, 0, left);
    inner_insert(root, 1, right);
    s->root = root;
    s->height++;
}

/* A new block is right of the one that the way goes through below `level`. The counts on the way include its members
 * already; `left` is the entry of the old block, now smaller. */
static void add_branch(struct skiplist *s, struct path *p, unsigned level, struct branch left, struct branch right) {
    for (;;) {
        if (!level) {
            raise_root(s, left, right);
            return;
        }
        struct inner *n = p->inner[--level];
        unsigned at = p->at[level] + 1;
        inner_set(n, at - 1, left);
        if (n->count < INNER_MAX) {
            if (n->count == n->room) path_set_block(s, p, level, n = inner_resize(s, n, n->room + 1u));
            inner_insert(n, at, right);
            return;
        }
        unsigned keep = split_point(p, level, n->count, at);
        struct inner *next = inner_resize(s, NULL, n->count - keep + 1u);
        inner_copy(next, 0, n, keep, n->count - keep);
        next->count = (uint16_t)(n->count - keep);
        n->count = (uint16_t)keep;
        if (at > keep || keep == INNER_MAX) {
            inner_insert(next, at - keep, right);
        } else {
            inner_insert(n, at, right);
        }
        if (keep < INNER_MAX) n = inner_resize(s, n, n->count + 1u);
        left = inner_branch(n);
        right = inner_branch(next);
    }
}

/* Entry `at` of the way's block at this level is gone: remove it, and what becomes empty or small above it. */
static void drop_branch(struct skiplist *s, struct path *p, unsigned level, unsigned at) {
    for (;;) {
        struct inner *n = p->inner[level];
        n->count--;
        inner_copy(n, at, n, at + 1, n->count - at);
        if (!level) return;
        struct inner *parent = p->inner[level - 1];
        unsigned here = p->at[level - 1];
        if (n->count) {
            if (at == 0) path_set_first(p, level, keys(n)[0], firsts(n)[0]);
            unsigned left = here; /* of a pair of neighbours that may become one */
            if (here && inner_child(parent, here - 1)->count + n->count <= MERGE_MAX) {
                left--;
            } else if (here + 1u == parent->count || inner_child(parent, here + 1)->count + n->count > MERGE_MAX) {
                return;
            }
            struct inner *a = inner_child(parent, left), *b = inner_child(parent, left + 1);
            if (a->room < a->count + b->count) children(parent)[left] = a = inner_resize(s, a, a->count + b->count);
            inner_copy(a, a->count, b, 0, b->count);
            a->count = (uint16_t)(a->count + b->count);
            counts(parent)[left] += counts(parent)[left + 1];
            n = b;
            here = left + 1;
        }
        inner_free(s, n);
        at = here;
        level--;
    }
}

/* Remove a root with one child or none. */
static void lower_root(struct skiplist *s) {
    while (s->height && ((struct inner *)s->root)->count <= 1) {
        struct inner *root = s->root;
        s->root = root->count ? children(root)[0] : NULL;
        s->height = root->count ? (uint8_t)(s->height - 1) : 0;
        inner_free(s, root);
    }
}

/* --- Inserting ------------------------------------------------------------------------------- */

static void leaf_put(struct leaf *l, unsigned index, uint64_t key, const struct member *m) {
    assert(l->count < l->room);
    window_cover(l, key);
    memmove(l->slots + index + 1, l->slots + index, (l->count - index) * sizeof *l->slots);
    l->slots[index] = slot_make((key >> l->shift) - l->base, m);
    l->count++;
}

/* Put the record into the way's leaf, which is full. */
static __attribute__((noinline)) void insert_splitting(struct skiplist *s, struct path *p, uint64_t key,
                                                       const struct member *m) {
    struct leaf *l = p->leaf;
    unsigned keep = split_point(p, s->height, l->count, p->index), moved = l->count - keep;
    bool to_right = p->index > keep || keep == LEAF_MAX;
    struct leaf *right = leaf_resize(s, NULL, moved + to_right);
    right->base = l->base;
    right->shift = l->shift;
    right->count = (uint8_t)moved;
    memcpy(right->slots, l->slots + keep, moved * sizeof *l->slots);
    l->count = (uint8_t)keep;
    if (keep < LEAF_MAX) l = leaf_resize(s, l, keep + !to_right);
    window_narrow(l);
    window_narrow(right);
    if (to_right) {
        leaf_put(right, p->index - keep, key, m);
    } else {
        leaf_put(l, p->index, key, m);
    }
    add_branch(s, p, s->height, leaf_branch(l), leaf_branch(right));
}

/* Put the record into the gap at the end of the way. */
static void insert_at(struct skiplist *s, struct path *p, uint64_t key, struct member *m) {
    path_add(s, p, 1);
    if (p->index == 0) path_set_first(p, s->height, key, m);
    if (p->leaf->count == LEAF_MAX) {
        insert_splitting(s, p, key, m);
        return;
    }
    if (p->leaf->count == p->leaf->room) {
        p->leaf = leaf_resize(s, p->leaf, p->leaf->room + 1u);
        path_set_block(s, p, s->height, p->leaf);
    }
    leaf_put(p->leaf, p->index, key, m);
}

void skiplist_insert(struct skiplist *s, struct member *m) {
    struct gap gap = gap_of(m, TIE_MEMBER_BEHIND);
    struct path p;
    assert(!isnan(member_score(m)));
    assert(!((uintptr_t)m & ~(uintptr_t)0xfffffffffff0));
    if (!s->root) s->root = leaf_resize(s, NULL, 1);
    descend_to_gap(s, &gap, &p, false);
    p.index = leaf_find(p.leaf, &gap);
    insert_at(s, &p, gap.key, m);
}

void skiplist_build(struct skiplist *s, struct member *const *sorted, size_t n) {
    assert(!s->root);
    while (s->count < n) {
        unsigned fill = n - s->count < LEAF_MAX ? (unsigned)(n - s->count) : LEAF_MAX;
        struct leaf *l = leaf_resize(s, NULL, fill);
        for (unsigned i = 0; i < fill; i++)
            l->slots[i] = slot_make(0, sorted[s->count + i]);
        l->count = (uint8_t)fill;
        window_set(l);
        if (!s->root) {
            s->root = l;
            s->count = fill;
            continue;
        }
        struct path p;
        descend_rank(s, s->count - 1, &p);
        path_add(s, &p, fill);
        add_branch(s, &p, s->height, leaf_branch(p.leaf), leaf_branch(l));
    }
}

/* --- Removing -------------------------------------------------------------------------------- */

static void leaf_cut(struct leaf *l, unsigned index, unsigned n) {
    l->count = (uint8_t)(l->count - n);
    memmove(l->slots + index, l->slots + index + n, (l->count - index) * sizeof *l->slots);
}

/* Make one leaf of the way's parent's children left and left + 1. */
static void merge_leaves(struct skiplist *s, struct path *p, unsigned left) {
    struct inner *parent = p->inner[s->height - 1];
    struct leaf *a = children(parent)[left], *b = children(parent)[left + 1];
    if (a->room < a->count + b->count) children(parent)[left] = a = leaf_resize(s, a, a->count + b->count);
    memcpy(a->slots + a->count, b->slots, b->count * sizeof *b->slots);
    a->count = (uint8_t)(a->count + b->count);
    window_set(a);
    counts(parent)[left] += counts(parent)[left + 1];
    leaf_free(s, b);
    drop_branch(s, p, s->height - 1u, left + 1);
    lower_root(s);
}

/* Members have been cut out of the way's leaf at its index, and subtracted from the counts: make the changes that
 * follow. Returns whether a block has moved or gone, so that other ways are no longer valid. */
static bool settle_leaf(struct skiplist *s, struct path *p) {
    struct leaf *l = p->leaf;
    unsigned at = s->height ? p->at[s->height - 1] : 0;
    struct inner *parent = s->height ? p->inner[s->height - 1] : NULL;
    if (!l->count) {
        leaf_free(s, l);
        s->root = parent ? s->root : NULL;
        if (parent) drop_branch(s, p, s->height - 1u, at);
        lower_root(s);
        return true;
    }
    if (parent && p->index == 0) {
        struct branch b = leaf_branch(l);
        path_set_first(p, s->height, b.key, b.first);
    }
    if (parent && at && counts(parent)[at - 1] + l->count <= MERGE_MAX) {
        merge_leaves(s, p, at - 1);
        return true;
    }
    if (parent && at + 1u < parent->count && counts(parent)[at + 1] + l->count <= MERGE_MAX) {
        merge_leaves(s, p, at);
        return true;
    }
    if (l->room < l->count + 12u || leaf_class(l->count + 4u) == leaf_bytes(l->room)) return false;
    path_set_block(s, p, s->height, leaf_resize(s, l, l->count + 1u));
    return true;
}

void skiplist_remove(struct skiplist *s, struct member *m) {
    struct path p;
    locate_member(s, m, &p, false);
    leaf_cut(p.leaf, p.index, 1);
    path_add(s, &p, (size_t)-1);
    settle_leaf(s, &p);
}

size_t skiplist_remove_ranks(struct skiplist *s, size_t first, size_t n, skiplist_visit_fn visit, void *ctx) {
    struct member *out[LEAF_MAX];
    size_t removed = 0;
    while (removed < n && first < s->count) {
        struct path p;
        descend_rank(s, first, &p);
        size_t take = p.leaf->count - p.index;
        if (take > n - removed) take = n - removed;
        for (size_t i = 0; i < take; i++) {
            out[i] = slot_member(p.leaf->slots[p.index + i]);
            if (visit) __builtin_prefetch(out[i]);
        }
        leaf_cut(p.leaf, p.index, (unsigned)take);
        path_add(s, &p, -take);
        settle_leaf(s, &p);
        for (size_t i = 0; visit && i < take; i++)
            visit(ctx, out[i]);
        removed += take;
    }
    return removed;
}

static void clear_block(struct skiplist *s, void *block, unsigned height, skiplist_visit_fn drop, void *ctx) {
    if (height) {
        struct inner *n = block;
        for (unsigned i = 0; i < n->count; i++)
            clear_block(s, children(n)[i], height - 1, drop, ctx);
        inner_free(s, n);
        return;
    }
    struct leaf *l = block;
    for (unsigned i = 0; drop && i < l->count; i++)
        __builtin_prefetch(slot_member(l->slots[i]));
    for (unsigned i = 0; drop && i < l->count; i++)
        drop(ctx, slot_member(l->slots[i]));
    leaf_free(s, l);
}

void skiplist_clear(struct skiplist *s, skiplist_visit_fn drop, void *ctx) {
    if (s->root) clear_block(s, s->root, s->height, drop, ctx);
    skiplist_init(s);
}

/* --- Changing a record ----------------------------------------------------------------------- */

/* Descend both ways before any change, so that the cache misses of the two leaves overlap. */
void skiplist_update(struct skiplist *s, struct member *m, double score) {
    struct gap old = gap_of(m, TIE_MEMBER_BEHIND), new = old;
    struct path from, to;
    assert(!isnan(score));
    new.key = key_of_score(score);
    descend_to_gap(s, &old, &from, false);
    descend_to_gap(s, &new, &to, false);
    from.index = leaf_index(from.leaf, old.key, m);
    to.index = leaf_find(to.leaf, &new);
    leaf_cut(from.leaf, from.index, 1);
    member_set_score(m, score);
    if (from.leaf == to.leaf) {
        to.index -= to.index > from.index;
        leaf_put(to.leaf, to.index, new.key, m);
        if (from.index && to.index) return;
        struct branch b = leaf_branch(to.leaf);
        path_set_first(&to, s->height, b.key, b.first);
        return;
    }
    path_add(s, &from, (size_t)-1);
    if (settle_leaf(s, &from)) {
        skiplist_insert(s, m);
    } else {
        insert_at(s, &to, new.key, m);
    }
}

/* --- Setting up ------------------------------------------------------------------------------ */

void skiplist_init(struct skiplist *s) {
    *s = (struct skiplist){0};
}

size_t skiplist_memory(const struct skiplist *s) {
    return s->bytes;
}
