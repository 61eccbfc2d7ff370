/* See quicklist.h. Invariants, which quicklist_check() asserts:
 *   - no node is empty, and `count` is the sum of their counts;
 *   - a packed node obeys the limits, unless it has a single element;
 *   - with a depth, the outermost `depth` nodes at either end are not compressed, and all others are, or are too small
 *     or incompressible.
 * settle() ensures this after every change of the row of nodes. */
#include "ds/quicklist.h"
#include "base/alloc.h"
#include "base/likely.h"
#include <assert.h>

#define SAFE_BYTES 8192 /* limit of a node whose given limit is a number of elements */
#define TRASH_NODES 64  /* from this many on, quicklist_remove() hands nodes to the worker */
#define FIRST_ROOM 6    /* of the array of nodes */

static size_t plain_threshold;

void quicklist_set_plain_threshold(size_t bytes) {
    plain_threshold = bytes;
}

static size_t fill_bytes(int fill) {
    if (fill >= 0) return SAFE_BYTES;
    return (size_t)4096 << (fill < -5 ? 4 : -fill - 1);
}
static size_t fill_count(int fill) {
    return fill < 0 ? UINT32_MAX : fill == 0 ? 1 : (size_t)fill;
}

bool quicklist_exceeds(int fill, size_t bytes, size_t count) {
    return bytes > fill_bytes(fill) || count > fill_count(fill);
}

struct quicklist *quicklist_new(int fill, int depth) {
    struct quicklist *q = alloc_get(sizeof *q);
    *q = (struct quicklist){.depth = depth > 0 ? (uint32_t)depth : 0,
                            .limit_bytes = fill_bytes(fill),
                            .limit_count = (uint32_t)fill_count(fill)};
    return q;
}

void quicklist_free(struct quicklist *q) {
    for (size_t i = 0; i < q->used; i++)
        quicknode_free(&q->nodes[q->first + i]);
    alloc_put(q->nodes, q->room * sizeof *q->nodes);
    alloc_put(q, sizeof *q);
}

struct quicklist *quicklist_copy(const struct quicklist *q) {
    struct quicklist *copy = alloc_get(sizeof *copy);
    *copy = *q;
    copy->nodes = NULL;
    copy->room = q->used;
    copy->first = 0;
    if (q->used > 0) copy->nodes = alloc_get(q->used * sizeof *copy->nodes);
    for (size_t i = 0; i < q->used; i++)
        quicknode_copy(&copy->nodes[i], quicklist_node(q, i));
    return copy;
}

size_t quicklist_memory(const struct quicklist *q, size_t samples) {
    size_t bytes = alloc_class(sizeof *q) + (q->room > 0 ? alloc_class(q->room * sizeof *q->nodes) : 0);
    size_t nodes = 0, n = samples && samples < q->used ? samples : q->used;
    for (size_t i = 0; i < n; i++)
        nodes += quicknode_memory(quicklist_node(q, i * q->used / n)); /* evenly spread */
    if (n > 0 && n < q->used) nodes = (size_t)((double)nodes / (double)n * (double)q->used);
    return bytes + nodes;
}

/* --- The array of nodes ---------------------------------------------------------------------- */

static struct quicknode *node_at(const struct quicklist *q, size_t i) {
    return &q->nodes[q->first + i];
}

/* Make room at both ends: by moving the nodes to the middle, or a larger array if that would be needed again soon. */
static void make_room(struct quicklist *q) {
    size_t room = q->room, bytes = q->used * sizeof *q->nodes;
    if (room - q->used >= q->used / 4 + 2) {
        size_t first = (room - q->used) / 2;
        memmove(q->nodes + first, q->nodes + q->first, bytes);
        q->first = (uint32_t)first;
        return;
    }
    room = q->used + q->used / 2 + FIRST_ROOM;
    assert(room <= UINT32_MAX);
    struct quicknode *nodes = alloc_get(room * sizeof *nodes);
    size_t first = (room - q->used) / 2;
    if (q->used > 0) memcpy(nodes + first, q->nodes + q->first, bytes);
    alloc_put(q->nodes, q->room * sizeof *nodes);
    q->nodes = nodes;
    q->room = (uint32_t)room;
    q->first = (uint32_t)first;
}

/* A hole at index i, which the caller fills at once. */
static struct quicknode *open_slot(struct quicklist *q, size_t i) {
    bool left = i < q->used - i;
    if (left ? q->first == 0 : q->first + q->used == q->room) make_room(q);
    if (left) {
        memmove(q->nodes + q->first - 1, q->nodes + q->first, i * sizeof *q->nodes);
        q->first--;
    } else {
        memmove(node_at(q, i + 1), node_at(q, i), (q->used - i) * sizeof *q->nodes);
    }
    q->used++;
    return node_at(q, i);
}

/* Remove n nodes, which have been freed or moved elsewhere, from the array. */
static void close_slots(struct quicklist *q, size_t i, size_t n) {
    size_t behind = q->used - i - n;
    if (n == 0) return;
    if (i < behind) {
        memmove(q->nodes + q->first + n, q->nodes + q->first, i * sizeof *q->nodes);
        q->first += (uint32_t)n;
    } else {
        memmove(node_at(q, i), node_at(q, i + n), behind * sizeof *q->nodes);
    }
    q->used -= (uint32_t)n;
    if (q->room <= 4 * (size_t)q->used + 4 * FIRST_ROOM) return;
    struct quicknode *nodes = alloc_get((q->used + FIRST_ROOM) * sizeof *nodes);
    memcpy(nodes + FIRST_ROOM / 2, q->nodes + q->first, q->used * sizeof *nodes);
    alloc_put(q->nodes, q->room * sizeof *nodes);
    q->nodes = nodes;
    q->room = q->used + FIRST_ROOM;
    q->first = FIRST_ROOM / 2;
}

static void free_node(struct quicklist *q, size_t i) {
    quicknode_free(node_at(q, i));
    close_slots(q, i, 1);
}

/* --- Compression ----------------------------------------------------------------------------- */

static void settle_node(struct quicklist *q, size_t i) {
    if (i >= q->depth && i + q->depth < q->used)
        quicknode_compress(node_at(q, i));
    else
        quicknode_expand(node_at(q, i));
}

/* After nodes were added or removed (at most three added): expand the nodes at the ends, compress those inside, and
 * those edited around node `at`. */
static __attribute__((noinline)) void settle_nodes(struct quicklist *q, size_t at) {
    size_t rim = q->depth + 3 < q->used ? q->depth + 3 : q->used;
    for (size_t i = 0; i < rim; i++) {
        settle_node(q, i);
        settle_node(q, q->used - 1 - i);
    }
    for (size_t i = at > 2 ? at - 2 : 0; i < q->used && i <= at + 2; i++)
        settle_node(q, i);
}
static void settle(struct quicklist *q, size_t at) {
    if (q->depth > 0) settle_nodes(q, at);
}

/* --- The ends -------------------------------------------------------------------------------- */

static bool is_large(const struct quicklist *q, size_t len) {
    return plain_threshold > 0 ? len >= plain_threshold : len > q->limit_bytes;
}

/* True if this node has room for one more element of `added` bytes. */
static bool fits(const struct quicklist *q, const struct quicknode *n, size_t added) {
    return !n->plain && n->count < q->limit_count && quicknode_bytes(n) + added <= q->limit_bytes;
}

/* Add a packed node at an end. The node that was the end gives back its free bytes. The longer the list, the more free
 * bytes the new node gets at once. */
static struct quicknode *add_end(struct quicklist *q, enum quicklist_end end, size_t added) {
    size_t at = end == QUICKLIST_HEAD ? 0 : q->used;
    if (q->used > 0) {
        struct quicknode *old = node_at(q, at ? at - 1 : 0);
        if (!old->plain) quicknode_fit(old);
    }
    size_t wanted = LISTPACK_EMPTY + added, room = q->limit_count == UINT32_MAX ? q->limit_bytes : 0;
    if (q->used < 16) room = room / 16 * q->used;
    quicknode_pack(open_slot(q, at), room < wanted ? wanted : room, end == QUICKLIST_HEAD);
    settle(q, at);
    return node_at(q, at);
}

static void push_plain(struct quicklist *q, size_t at, struct slice element) {
    quicknode_plain(open_slot(q, at), element);
    q->count++;
    settle(q, at);
}

static void node_push_back(struct quicknode *n, const struct listpack_item *item, size_t limit) {
    quicknode_reserve_back(n, listpack_item_bytes(item), limit);
    listpack_append(quicknode_listpack(n), item);
    n->count++;
}
static void node_push_front(struct quicknode *n, const struct listpack_item *item, size_t limit) {
    quicknode_reserve_front(n, listpack_item_bytes(item), limit);
    n->front = (uint32_t)(listpack_push_front(quicknode_listpack(n), item) - n->block);
    n->count++;
}

void quicklist_push(struct quicklist *q, enum quicklist_end end, struct slice element) {
    if (unlikely(is_large(q, element.len))) {
        push_plain(q, end == QUICKLIST_HEAD ? 0 : q->used, element);
        return;
    }
    struct listpack_item item = listpack_item(element);
    size_t added = listpack_item_bytes(&item);
    struct quicknode *n = q->used == 0 ? NULL : node_at(q, end == QUICKLIST_HEAD ? 0 : q->used - 1);
    if (!n || !fits(q, n, added)) n = add_end(q, end, added);
    q->count++;
    if (end == QUICKLIST_HEAD)
        node_push_front(n, &item, q->limit_bytes);
    else
        node_push_back(n, &item, q->limit_bytes);
}

struct listpack_value quicklist_peek(const struct quicklist *q, enum quicklist_end end) {
    assert(q->used > 0);
    const struct quicknode *n = quicklist_node(q, end == QUICKLIST_HEAD ? 0 : q->used - 1);
    if (n->plain) return (struct listpack_value){(const char *)n->block, n->len, 0};
    const uint8_t *lp = quicknode_listpack(n);
    return listpack_get(end == QUICKLIST_HEAD ? listpack_first(lp) : listpack_prev(lp, listpack_end(lp)));
}

/* Drop the first elements of a packed node, but not all of them. */
static void node_drop_front(struct quicknode *n, size_t elements) {
    uint8_t *lp = quicknode_listpack(n), *at = listpack_first(lp);
    for (size_t i = 0; i < elements; i++)
        at = listpack_next(at);
    n->front = (uint32_t)(listpack_drop_front(lp, at, elements) - n->block);
    n->count -= (uint32_t)elements;
}

void quicklist_drop(struct quicklist *q, enum quicklist_end end) {
    assert(q->used > 0);
    size_t i = end == QUICKLIST_HEAD ? 0 : q->used - 1;
    struct quicknode *n = node_at(q, i);
    q->count--;
    if (n->count == 1) {
        free_node(q, i);
        settle(q, i);
        return;
    }
    if (end == QUICKLIST_HEAD) {
        node_drop_front(n, 1);
    } else {
        uint8_t *lp = quicknode_listpack(n);
        listpack_remove(lp, listpack_prev(lp, listpack_end(lp)), 1);
        n->count--;
    }
    if (n->room > 256 && n->room / 4 > quicknode_bytes(n)) quicknode_fit(n);
}

/* --- Iterating ------------------------------------------------------------------------------- */

static void enter_node(struct quicklist_iter *it, size_t node) {
    const struct quicknode *n = quicklist_node(it->list, node);
    const uint8_t *bytes = quicknode_read(n, &it->scratch);
    it->node = node;
    it->lp = n->plain ? NULL : bytes;
    it->at = n->plain ? bytes : listpack_first(bytes);
}

/* The node that holds an element; *index becomes its index in that node. */
static size_t locate_node(const struct quicklist *q, size_t *index) {
    size_t left = *index, i = 0;
    if (left < q->count / 2) {
        for (; left >= quicklist_node(q, i)->count; i++)
            left -= quicklist_node(q, i)->count;
    } else {
        size_t behind = q->count - left; /* elements from it to the end */
        for (i = q->used - 1; behind > quicklist_node(q, i)->count; i--)
            behind -= quicklist_node(q, i)->count;
        left = quicklist_node(q, i)->count - behind;
    }
    *index = left;
    return i;
}

bool quicklist_start(struct quicklist_iter *it, const struct quicklist *q, int64_t index) {
    *it = (struct quicklist_iter){.list = q};
    if (index < 0) index += (int64_t)q->count;
    if (index < 0 || (size_t)index >= q->count) return false;
    size_t within = (size_t)index;
    enter_node(it, locate_node(q, &within));
    if (it->lp) it->at = listpack_seek(it->lp, (int64_t)within);
    return true;
}

void quicklist_stop(struct quicklist_iter *it) {
    quicknode_scratch_free(&it->scratch);
}

bool quicklist_next_node(struct quicklist_iter *it) {
    if (it->node + 1 >= it->list->used) return false;
    enter_node(it, it->node + 1);
    if (it->node + 1 < it->list->used) __builtin_prefetch(quicklist_node(it->list, it->node + 1)->block);
    return true;
}

bool quicklist_prev_node(struct quicklist_iter *it) {
    if (it->node == 0) return false;
    enter_node(it, it->node - 1);
    if (it->lp) it->at = listpack_prev(it->lp, it->lp + listpack_bytes(it->lp) - 1);
    return true;
}

bool quicklist_find(struct quicklist_iter *it, const struct quicklist_needle *needle) {
    do {
        const uint8_t *found;
        if (it->lp)
            found = listpack_find(it->at, &needle->item, 1);
        else
            found = quicklist_equal(it, needle) ? it->at : NULL;
        if (found) {
            it->at = found;
            return true;
        }
    } while (quicklist_next_node(it));
    return false;
}

/* --- Editing --------------------------------------------------------------------------------- */

/* The size up to which a node may get spare room: end nodes are likely to get more elements soon, others are not. */
static size_t growth_limit(const struct quicklist *q, size_t i) {
    return i == 0 || i == (size_t)q->used - 1 ? q->limit_bytes : 0;
}
static void trim_node(const struct quicklist *q, size_t i) {
    struct quicknode *n = node_at(q, i);
    if (growth_limit(q, i) == 0 || n->room / 4 > quicknode_bytes(n)) quicknode_fit(n);
}

/* Insert into the node before or behind this place between two nodes, if one has room, or into a new node. */
static void insert_between(struct quicklist *q, size_t at, struct slice element) {
    if (is_large(q, element.len)) {
        push_plain(q, at, element);
        return;
    }
    struct listpack_item item = listpack_item(element);
    size_t added = listpack_item_bytes(&item);
    q->count++;
    if (at > 0 && fits(q, node_at(q, at - 1), added)) {
        quicknode_expand(node_at(q, at - 1));
        node_push_back(node_at(q, at - 1), &item, growth_limit(q, at - 1));
    } else if (at < q->used && fits(q, node_at(q, at), added)) {
        quicknode_expand(node_at(q, at));
        node_push_front(node_at(q, at), &item, growth_limit(q, at));
    } else {
        struct quicknode *n = open_slot(q, at);
        quicknode_pack(n, LISTPACK_EMPTY + added, false);
        node_push_back(n, &item, 0);
    }
    settle(q, at);
}

/* The entries from `at` on, in the middle of node i, become a node of their own. */
static void split_node(struct quicklist *q, size_t i, uint8_t *at) {
    struct quicknode *n = node_at(q, i), right;
    uint8_t *lp = quicknode_listpack(n);
    quicknode_pack(&right, LISTPACK_HEAD + (size_t)(lp + listpack_bytes(lp) - at), false);
    listpack_split(lp, at, quicknode_listpack(&right));
    right.count = (uint32_t)listpack_count(quicknode_listpack(&right));
    n->count -= right.count;
    quicknode_fit(n);
    *open_slot(q, i + 1) = right;
}

void quicklist_insert(struct quicklist *q, const struct quicklist_iter *it, bool after, struct slice element) {
    size_t i = it->node;
    struct quicknode *n = node_at(q, i);
    if (n->plain) {
        insert_between(q, i + after, element);
        return;
    }
    const uint8_t *place = after ? listpack_next(it->at) : it->at;
    size_t offset = (size_t)(place - it->lp);
    quicknode_expand(n);
    struct listpack_item item = listpack_item(element);
    size_t added = listpack_item_bytes(&item);
    if (!is_large(q, element.len) && fits(q, n, added)) {
        quicknode_reserve_back(n, added, growth_limit(q, i));
        listpack_insert(quicknode_listpack(n), quicknode_listpack(n) + offset, &item);
        n->count++;
        q->count++;
        settle(q, i);
        return;
    }
    uint8_t *at = quicknode_listpack(n) + offset;
    if (offset > LISTPACK_HEAD && !listpack_at_end(at)) split_node(q, i, at);
    insert_between(q, offset > LISTPACK_HEAD ? i + 1 : i, element);
}

/* Replace the element in place, if it stays plain or packed and the node within its limit. */
static bool replace_in_place(struct quicklist *q, const struct quicklist_iter *it, struct slice element) {
    struct quicknode *n = node_at(q, it->node);
    bool large = is_large(q, element.len);
    if (n->plain != large) return false;
    if (large) {
        quicknode_free(n);
        quicknode_plain(n, element);
    } else {
        struct listpack_item item = listpack_item(element);
        ptrdiff_t growth = listpack_replace_growth(it->at, &item);
        size_t offset = (size_t)(it->at - it->lp);
        if (n->count > 1 && (ptrdiff_t)quicknode_bytes(n) + growth > (ptrdiff_t)q->limit_bytes) return false;
        quicknode_expand(n);
        if (growth > 0) quicknode_reserve_back(n, (size_t)growth, growth_limit(q, it->node));
        listpack_replace(quicknode_listpack(n), quicknode_listpack(n) + offset, &item);
        if (growth < 0) trim_node(q, it->node);
    }
    settle(q, it->node);
    return true;
}

static size_t iter_index(const struct quicklist_iter *it) {
    size_t index = 0;
    for (size_t i = 0; i < it->node; i++)
        index += quicklist_node(it->list, i)->count;
    for (const uint8_t *at = it->at; it->lp && (at = listpack_prev(it->lp, at));)
        index++;
    return index;
}

void quicklist_replace(struct quicklist *q, const struct quicklist_iter *it, struct slice element) {
    if (replace_in_place(q, it, element)) return;
    size_t index = iter_index(it);
    quicklist_insert(q, it, false, element);
    quicklist_remove(q, index + 1, 1, NULL);
}

/* True if two nodes may become one: not if the next insert would split it again. */
static bool joinable(const struct quicklist *q, const struct quicknode *a, const struct quicknode *b) {
    if (a->plain || b->plain) return false;
    size_t bytes = quicknode_bytes(a) + quicknode_bytes(b), count = (size_t)a->count + b->count;
    return bytes <= q->limit_bytes / 4 * 3 && count <= (size_t)q->limit_count / 4 * 3;
}

/* Join b to a, and free b. */
static void absorb_node(struct quicknode *a, struct quicknode *b) {
    quicknode_expand(a);
    quicknode_expand(b);
    quicknode_reserve_back(a, quicknode_bytes(b) - LISTPACK_EMPTY, 0);
    listpack_join(quicknode_listpack(a), quicknode_listpack(b));
    a->count += b->count;
    quicknode_free(b);
}

/* Join nodes i - 1 and i, if both are small. */
static void join_nodes(struct quicklist *q, size_t i) {
    if (i == 0 || i >= q->used || !joinable(q, node_at(q, i - 1), node_at(q, i))) return;
    absorb_node(node_at(q, i - 1), node_at(q, i));
    close_slots(q, i, 1);
}

/* Remove n elements of a packed node, but not all of them, from index `from` on. */
static void node_remove(struct quicklist *q, size_t i, size_t from, size_t n) {
    struct quicknode *node = node_at(q, i);
    quicknode_expand(node);
    if (from == 0) {
        node_drop_front(node, n);
    } else {
        uint8_t *lp = quicknode_listpack(node);
        listpack_remove(lp, listpack_seek(lp, (int64_t)from), n);
        node->count -= (uint32_t)n;
    }
    trim_node(q, i);
}

/* Remove n whole nodes: free them, or move them to *trash if they are many. */
static void discard_nodes(struct quicklist *q, size_t i, size_t n, struct quicklist **trash) {
    if (trash && n >= TRASH_NODES) {
        struct quicklist *t = *trash = alloc_get(sizeof *t);
        *t = *q;
        t->nodes = alloc_get(n * sizeof *t->nodes);
        memcpy(t->nodes, node_at(q, i), n * sizeof *t->nodes);
        t->room = t->used = (uint32_t)n;
        t->first = 0;
        t->count = 0;
        for (size_t k = 0; k < n; k++)
            t->count += t->nodes[k].count;
    } else {
        for (size_t k = i; k < i + n; k++)
            quicknode_free(node_at(q, k));
    }
    close_slots(q, i, n);
}

void quicklist_remove(struct quicklist *q, size_t index, size_t n, struct quicklist **trash) {
    assert(index <= q->count && n <= q->count - index);
    if (trash) *trash = NULL;
    if (n == 0) return;
    size_t within = index, i = locate_node(q, &within);
    q->count -= n;
    if (within > 0) {
        size_t part = node_at(q, i)->count - within;
        if (part > n) part = n;
        node_remove(q, i++, within, part);
        n -= part;
    }
    size_t end = i;
    while (n > 0 && n >= node_at(q, end)->count)
        n -= node_at(q, end++)->count;
    discard_nodes(q, i, end - i, trash);
    if (n > 0) node_remove(q, i, 0, n);
    join_nodes(q, i);
    if (i > 0) join_nodes(q, i - 1);
    settle(q, i);
}

/* Remove up to max equal elements of a node. If none remain, the node stays in the array without a block. */
static size_t node_remove_equal(struct quicknode *n, const struct quicklist_needle *needle, enum quicklist_end from,
                                size_t max, struct quicknode_scratch *scratch) {
    const uint8_t *bytes = quicknode_read(n, scratch);
    if (n->plain) {
        if (!slice_eq(slice_of((const char *)bytes, quicknode_bytes(n)), needle->text)) return 0;
        quicknode_free(n);
        n->count = 0;
        return 1;
    }
    const uint8_t *at = listpack_find(listpack_first(bytes), &needle->item, 1);
    if (!at) return 0;
    size_t equal = 0;
    if (from == QUICKLIST_TAIL)
        for (; at; at = listpack_find(listpack_next(at), &needle->item, 1))
            equal++;
    quicknode_expand(n);
    size_t removed = listpack_remove_equal(quicknode_listpack(n), &needle->item, equal > max ? equal - max : 0, max);
    n->count -= (uint32_t)removed;
    if (n->count == 0) quicknode_free(n);
    return removed;
}

/* Close the gaps among the nodes low to high, of which some are empty and others nearly empty, in one pass. */
static void close_up_nodes(struct quicklist *q, size_t low, size_t high) {
    size_t to = low;
    for (size_t i = low; i <= high; i++) {
        struct quicknode *n = node_at(q, i);
        if (n->count == 0) continue;
        if (to > low && joinable(q, node_at(q, to - 1), n))
            absorb_node(node_at(q, to - 1), n);
        else
            *node_at(q, to++) = *n;
    }
    close_slots(q, to, high + 1 - to);
    join_nodes(q, to);
    join_nodes(q, low);
    for (size_t i = low; i < to && i < q->used; i++) {
        if (!node_at(q, i)->plain && !node_at(q, i)->compressed) trim_node(q, i);
        if (q->depth > 0) settle_node(q, i);
    }
    settle(q, low);
}

size_t quicklist_remove_equal(struct quicklist *q, struct slice element, enum quicklist_end from, size_t max) {
    struct quicklist_needle needle = quicklist_needle(element);
    struct quicknode_scratch scratch = {0};
    size_t removed = 0, low = SIZE_MAX, high = 0;
    for (size_t k = 0; k < q->used && removed < max; k++) {
        size_t i = from == QUICKLIST_HEAD ? k : q->used - 1 - k;
        size_t here = node_remove_equal(node_at(q, i), &needle, from, max - removed, &scratch);
        if (here == 0) continue;
        removed += here;
        if (i < low) low = i;
        if (i > high) high = i;
    }
    quicknode_scratch_free(&scratch);
    q->count -= removed;
    if (removed > 0) close_up_nodes(q, low, high);
    return removed;
}

/* --- Whole nodes ----------------------------------------------------------------------------- */

void quicklist_append_listpack(struct quicklist *q, const uint8_t *lp) {
    size_t bytes = listpack_bytes(lp), count = listpack_count(lp);
    if (count == 0) return;
    if (bytes <= q->limit_bytes && count <= q->limit_count) {
        if (q->used > 0 && !node_at(q, q->used - 1)->plain) quicknode_fit(node_at(q, q->used - 1));
        quicknode_pack_copy(open_slot(q, q->used), lp);
        q->count += count;
        settle(q, q->used - 1);
        return;
    }
    char scratch[NUM_I64_MAX];
    for (const uint8_t *at = listpack_first(lp); !listpack_at_end(at); at = listpack_next(at))
        quicklist_push(q, QUICKLIST_TAIL, listpack_text(at, scratch));
}

const uint8_t *quicklist_only_listpack(const struct quicklist *q) {
    const struct quicknode *n = q->used == 1 ? quicklist_node(q, 0) : NULL;
    return n && !n->plain && !n->compressed ? quicknode_listpack(n) : NULL;
}

static void check_node(const struct quicklist *q, size_t i, struct quicknode_scratch *scratch) {
    const struct quicknode *n = quicklist_node(q, i);
    const uint8_t *bytes = quicknode_read(n, scratch);
    bool inside = q->depth > 0 && i >= q->depth && i + q->depth < q->used;
    assert(n->count > 0 && (inside || !n->compressed));
    assert(!inside || n->compressed || n->incompressible || quicknode_bytes(n) < 48);
    if (n->plain) {
        assert(n->count == 1);
        return;
    }
    assert(listpack_check(bytes, quicknode_bytes(n), NULL, NULL) == LISTPACK_GOOD);
    assert(listpack_count(bytes) == n->count);
    assert(n->count == 1 || (n->count <= q->limit_count && quicknode_bytes(n) <= q->limit_bytes));
    if (!n->compressed) assert(n->front + quicknode_bytes(n) <= n->room && alloc_class(n->room) == n->room);
    (void)bytes;
}

void quicklist_check(const struct quicklist *q) {
    struct quicknode_scratch scratch = {0};
    size_t count = 0;
    assert((size_t)q->first + q->used <= q->room);
    for (size_t i = 0; i < q->used; i++) {
        check_node(q, i, &scratch);
        count += quicklist_node(q, i)->count;
    }
    assert(count == q->count);
    (void)count;
    quicknode_scratch_free(&scratch);
}
