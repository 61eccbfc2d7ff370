/* The functions that only read a skiplist: ranks, places and the check. See skiplist.h. */
#include "base/alloc.h"
#include "ds/skiplist.h"
#include "ds/skiplist_search.h"
#include <assert.h>

#define AHEAD 8u /* records prefetched by a walk */

/* --- Places ---------------------------------------------------------------------------------- */

static struct skiplist_place place_make(const struct skiplist *s, const struct path *p, size_t rank) {
    uint16_t index = (uint16_t)p->index;
    return (struct skiplist_place){s, p->leaf, rank, index, index, index};
}

size_t skiplist_rank(const struct skiplist *s, const struct member *m) {
    struct path p;
    return locate_member(s, m, &p, true);
}

struct skiplist_place skiplist_at(const struct skiplist *s, size_t rank) {
    struct path p = {0};
    assert(rank <= s->count);
    if (s->root) descend_rank(s, rank, &p);
    return place_make(s, &p, rank);
}

static struct skiplist_place seek_gap(const struct skiplist *s, const struct gap *gap) {
    struct path p = {0};
    if (!s->root) return place_make(s, &p, 0);
    size_t before = descend_to_gap(s, gap, &p, true);
    p.index = leaf_find(p.leaf, gap);
    return place_make(s, &p, before + p.index);
}

struct skiplist_place skiplist_at_score(const struct skiplist *s, double score, bool after) {
    struct gap gap = {.key = key_of_score(score), .tie = after ? TIE_BEHIND : TIE_BEFORE};
    return seek_gap(s, &gap);
}

struct skiplist_place skiplist_at_member(const struct skiplist *s, double score, struct slice member, bool after) {
    struct gap gap = {key_of_score(score), member, after ? TIE_MEMBER_BEHIND : TIE_MEMBER_BEFORE};
    return seek_gap(s, &gap);
}

struct member *skiplist_next(struct skiplist_place *p) {
    if (p->rank == p->list->count) return NULL;
    const struct leaf *l = p->leaf;
    if (p->index == l->count) {
        *p = skiplist_at(p->list, p->rank);
        l = p->leaf;
    }
    unsigned end = p->index + AHEAD < l->count ? p->index + AHEAD : l->count;
    for (; p->fetched_to < end; p->fetched_to++)
        __builtin_prefetch(slot_member(l->slots[p->fetched_to]));
    p->rank++;
    return slot_member(l->slots[p->index++]);
}

unsigned skiplist_run(struct skiplist_place *p, struct member **out, unsigned max) {
    if (p->rank == p->list->count) return 0;
    if (p->index == ((const struct leaf *)p->leaf)->count) *p = skiplist_at(p->list, p->rank);
    const struct leaf *l = p->leaf;
    unsigned n = l->count - p->index < (int)max ? (unsigned)l->count - p->index : max;
    for (unsigned i = 0; i < n; i++) {
        out[i] = slot_member(l->slots[p->index + i]);
        __builtin_prefetch(out[i]);
    }
    p->index = (uint16_t)(p->index + n);
    p->fetched_to = p->index > p->fetched_to ? p->index : p->fetched_to;
    p->rank += n;
    return n;
}

struct member *skiplist_prev(struct skiplist_place *p) {
    if (p->rank == 0) return NULL;
    if (p->index == 0) {
        *p = skiplist_at(p->list, p->rank - 1); /* the last member of the leaf before; step behind it */
        p->index++;
        p->fetched_from++;
        p->rank++;
    }
    const struct leaf *l = p->leaf;
    unsigned end = p->index > AHEAD ? p->index - AHEAD : 0;
    while (p->fetched_from > end)
        __builtin_prefetch(slot_member(l->slots[--p->fetched_from]));
    p->rank--;
    return slot_member(l->slots[--p->index]);
}

/* --- Checking -------------------------------------------------------------------------------- */

/* The state of skiplist_check(). */
struct check {
    const struct member *last;
    size_t blocks, bytes;
};

static size_t check_leaf(const struct leaf *l, struct check *c) {
    assert(l->count && l->count <= l->room && l->room <= LEAF_MAX);
    assert(leaf_bytes(l->room) == alloc_class(leaf_bytes(l->room)));
    c->bytes += leaf_bytes(l->room);
    for (unsigned i = 0; i < l->count; i++) {
        const struct member *m = slot_member(l->slots[i]);
        uint64_t key = key_of(m);
        assert(key >> l->shift >= l->base && (key >> l->shift) - l->base == slot_code(l->slots[i]));
        if (c->last) {
            uint64_t before = key_of(c->last);
            assert(before < key || (before == key && slice_compare(member_slice(c->last), member_slice(m)) < 0));
        }
        c->last = m;
    }
    return l->count;
}

static size_t check_block(const void *block, unsigned height, struct check *c) {
    c->blocks++;
    if (!height) return check_leaf(block, c);
    const struct inner *n = block;
    size_t count = 0;
    assert(n->count && n->count <= n->room && n->room <= INNER_MAX);
    c->bytes += alloc_class(inner_bytes(n->room));
    for (unsigned i = 0; i < n->count; i++) {
        const void *first = children(n)[i];
        for (unsigned h = height - 1; h; h--)
            first = children(first)[0];
        assert(firsts(n)[i] == slot_member(((const struct leaf *)first)->slots[0]));
        assert(keys(n)[i] == key_of(firsts(n)[i]));
        size_t below = check_block(children(n)[i], height - 1, c);
        assert(below == counts(n)[i]);
        count += below;
    }
    return count;
}

size_t skiplist_check(const struct skiplist *s) {
    struct check c = {0};
    size_t count = s->root ? check_block(s->root, s->height, &c) : 0;
    assert(count == s->count && c.bytes == s->bytes);
    if (s->height) assert(((const struct inner *)s->root)->count > 1);
    if (!s->root) assert(!s->height);
    return c.blocks;
}
