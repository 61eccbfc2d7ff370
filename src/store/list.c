/* Lists.
 *
 * OBJECT ENCODING follows list-max-listpack-size as in Redis 7.2: it reports "listpack" until an element would exceed
 * the limit of a node, "quicklist" from then on, and "listpack" again when one node is left that is at most half full.
 * The layout in memory is our own: a pack in the entry up to LIST_INLINE_MAX bytes, beyond that a quicklist, whose
 * nodes grow and shrink at both ends without moving the bytes between. Redis pushes to the head of a listpack of 8 KB,
 * which moves 4 KB on average.
 *
 * A list moves out of the entry above LIST_INLINE_MAX bytes, and back in at half of that, so that it does not move to
 * and fro. */
#include "store/list.h"
#include "base/module.h"
#include "base/option.h"
#include "base/worker.h"
#include "ds/pack.h"
#include "store/value.h"

#define ITEM_EXTRA 11 /* bytes that a listpack entry takes beyond its text, at most */

struct list_options list_options;

static const struct option list_rows[] = {
    {"list-max-listpack-size", .alias = "list-max-ziplist-size", .type = OPTION_INT,
     .address = &list_options.max_listpack_size, .initial = "-2", .min = INT32_MIN},
    {"list-compress-depth", .type = OPTION_INT, .address = &list_options.compress_depth, .initial = "0"},
    {NULL},
};

static bool is_inline(const struct entry *e) {
    return entry_encoding(e) == LIST_INLINE;
}
static uint8_t *pack_of(const struct entry *e) {
    return (uint8_t *)entry_value(e);
}

/* --- Reading --------------------------------------------------------------------------------- */

const struct quicklist *list_read(const struct entry *e, struct list_view *view) {
    assert(entry_type(e) == ENTRY_LIST);
    if (!is_inline(e)) return entry_pointer(e);
    size_t count = pack_count(pack_of(e));
    pack_to_listpack(pack_of(e), e->value_len, view->listpack);
    view->node = (struct quicknode){
        .block = view->listpack, .room = (uint32_t)listpack_bytes(view->listpack), .count = (uint32_t)count};
    view->list = (struct quicklist){.nodes = &view->node, .room = 1, .used = 1, .count = count};
    return &view->list;
}

size_t list_length(const struct entry *e) {
    return is_inline(e) ? pack_count(pack_of(e)) : ((const struct quicklist *)entry_pointer(e))->count;
}

struct listpack_value list_peek(const struct entry *e, enum quicklist_end end) {
    if (is_inline(e)) return listpack_get(pack_seek(pack_of(e), end == QUICKLIST_HEAD ? 0 : -1));
    return quicklist_peek(entry_pointer(e), end);
}

/* --- Encodings ------------------------------------------------------------------------------- */

static struct quicklist *new_quicklist(void) {
    return quicklist_new(list_options.max_listpack_size, list_options.compress_depth);
}

/* The encoding of a listpack of `bytes` bytes and `count` elements after others are added. */
static unsigned encoding_for(size_t bytes, size_t count, size_t added_bytes, size_t added) {
    if (quicklist_exceeds(list_options.max_listpack_size, bytes + added_bytes, count + added)) return LIST_QUICKLIST;
    return bytes + added_bytes + added * ITEM_EXTRA > LIST_INLINE_MAX ? LIST_PACKED : LIST_INLINE;
}

/* Bytes of one listpack with all elements of the list. */
static size_t packed_bytes(const struct quicklist *q) {
    size_t bytes = LISTPACK_EMPTY;
    for (size_t i = 0; i < q->used; i++)
        bytes += quicknode_bytes(quicklist_node(q, i)) - LISTPACK_EMPTY;
    return bytes;
}

/* The same for an inline list. Mostly it stays inline, which an upper bound of its size shows without a walk. */
static unsigned encoding_for_inline(const struct entry *e, size_t added_bytes, size_t added) {
    size_t count = pack_count(pack_of(e));
    size_t at_most = e->value_len - PACK_EMPTY + LISTPACK_EMPTY + 2 * count;
    if (encoding_for(at_most, count, added_bytes, added) == LIST_INLINE) return LIST_INLINE;
    return encoding_for(pack_listpack_bytes(pack_of(e), e->value_len), count, added_bytes, added);
}

static struct entry *move_list_out(struct db *db, struct entry *e, unsigned encoding) {
    uint8_t lp[LIST_INLINE_MAX];
    struct quicklist *q = new_quicklist();
    pack_to_listpack(pack_of(e), e->value_len, lp);
    quicklist_append_listpack(q, lp);
    e = db_resize_value(db, e, encoding, sizeof q);
    entry_set_pointer(e, q);
    return e;
}

static struct entry *move_list_in(struct db *db, struct entry *e) {
    struct quicklist *q = entry_pointer(e);
    uint8_t pack[LIST_INLINE_MAX];
    size_t len = pack_from_listpack(pack, quicklist_only_listpack(q));
    e = db_resize_value(db, e, LIST_INLINE, len);
    memcpy(entry_value(e), pack, len);
    quicklist_free(q);
    return e;
}

/* Change the encoding as Redis does before it adds elements of `bytes` bytes in all. Redis does not undo this if the
 * pivot or index is then not found. */
static struct entry *expect_elements(struct db *db, struct entry *e, size_t bytes, size_t elements) {
    if (entry_encoding(e) == LIST_QUICKLIST) return e;
    if (is_inline(e)) {
        unsigned encoding = encoding_for_inline(e, bytes, elements);
        return encoding == LIST_INLINE ? e : move_list_out(db, e, encoding);
    }
    const struct quicklist *q = entry_pointer(e);
    unsigned encoding = encoding_for(packed_bytes(q), q->count, bytes, elements);
    return encoding == LIST_QUICKLIST ? db_resize_value(db, e, LIST_QUICKLIST, sizeof q) : e;
}

/* After removals: a quicklist may have become short enough for a listpack again. */
static __attribute__((noinline)) struct entry *settle_short_list(struct db *db, struct entry *e) {
    const struct quicklist *q = entry_pointer(e);
    const uint8_t *lp = quicklist_only_listpack(q);
    if (!lp) return e;
    size_t bytes = listpack_bytes(lp);
    int fill = list_options.max_listpack_size;
    if (entry_encoding(e) == LIST_QUICKLIST) {
        /* The threshold is half of the limit. A limit in elements does not count bytes here. */
        if (quicklist_exceeds(fill, fill < 0 ? 2 * bytes : 0, 2 * q->count)) return e;
        e = db_resize_value(db, e, LIST_PACKED, sizeof q);
    }
    return bytes <= LIST_INLINE_MAX / 2 ? move_list_in(db, e) : e;
}
static inline struct entry *settle_list(struct db *db, struct entry *e) {
    if (is_inline(e) || ((const struct quicklist *)entry_pointer(e))->used > 1) return e;
    return settle_short_list(db, e);
}

/* --- Inline packs ---------------------------------------------------------------------------- */

/* Shorten the value to `len` bytes. */
static struct entry *inline_fit(struct db *db, struct entry *e, size_t len) {
    return len == e->value_len ? e : db_resize_value(db, e, LIST_INLINE, len);
}

static struct entry *inline_insert(struct db *db, struct entry *e, size_t offset, struct slice element) {
    struct listpack_item item = listpack_item(element);
    size_t len = e->value_len;
    e = db_resize_value(db, e, LIST_INLINE, len + pack_item_bytes(&item));
    pack_insert(pack_of(e), len, pack_of(e) + offset, &item);
    return e;
}

static struct entry *inline_push(struct db *db, struct entry *e, enum quicklist_end end, struct slice element) {
    return inline_insert(db, e, end == QUICKLIST_HEAD ? PACK_EMPTY : e->value_len, element);
}

static struct entry *inline_replace(struct db *db, struct entry *e, size_t offset, struct slice element) {
    struct listpack_item item = listpack_item(element);
    size_t len = e->value_len, old = listpack_width(pack_of(e) + offset), new = pack_item_bytes(&item);
    if (new > old) e = db_resize_value(db, e, LIST_INLINE, len + new - old);
    return inline_fit(db, e, pack_replace(pack_of(e), len, pack_of(e) + offset, &item));
}

static struct entry *inline_remove(struct db *db, struct entry *e, size_t index, size_t n) {
    uint8_t *pack = pack_of(e);
    return inline_fit(db, e, pack_remove(pack, e->value_len, pack_seek(pack, (int64_t)index), n));
}

/* --- Adding ---------------------------------------------------------------------------------- */

static size_t total_bytes(const struct slice *elements, size_t n) {
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += elements[i].len;
    return bytes;
}

/* A list of this one element, in the encoding for n elements of `bytes` bytes in all. */
static struct entry *create_list(struct db *db, const struct key *key, struct entry *old, struct slice first,
                                 size_t bytes, size_t n) {
    unsigned encoding = encoding_for(LISTPACK_EMPTY, 0, bytes, n);
    if (encoding != LIST_INLINE) {
        struct quicklist *q = new_quicklist();
        quicklist_push(q, QUICKLIST_TAIL, first);
        return db_put(db, key, old, ENTRY_LIST, encoding, &q, sizeof q, ENTRY_NO_TTL);
    }
    uint8_t pack[LIST_INLINE_MAX];
    struct listpack_item item = listpack_item(first);
    pack_init(pack);
    return db_put(db, key, old, ENTRY_LIST, LIST_INLINE, pack, pack_append(pack, PACK_EMPTY, &item), ENTRY_NO_TTL);
}

static struct entry *push_elements(struct db *db, struct entry *e, enum quicklist_end end, const struct slice *elements,
                                   size_t n) {
    if (entry_encoding(e) == LIST_INLINE) {
        for (size_t i = 0; i < n; i++)
            e = inline_push(db, e, end, elements[i]);
    } else {
        struct quicklist *q = entry_pointer(e);
        for (size_t i = 0; i < n; i++)
            quicklist_push(q, end, elements[i]);
    }
    return e;
}

struct entry *list_push(struct db *db, const struct key *key, struct entry *e, enum quicklist_end end,
                        const struct slice *elements, size_t n) {
    if (!e)
        return push_elements(db, create_list(db, key, NULL, *elements, total_bytes(elements, n), n), end, elements + 1,
                             n - 1);
    return push_elements(db, expect_elements(db, e, total_bytes(elements, n), n), end, elements, n);
}

struct entry *list_store(struct db *db, const struct key *key, struct entry *old, const struct slice *elements,
                         size_t n) {
    struct entry *e = create_list(db, key, old, *elements, total_bytes(elements, n), n);
    return push_elements(db, e, QUICKLIST_TAIL, elements + 1, n - 1);
}

struct entry *list_insert(struct db *db, struct entry *e, struct slice pivot, bool after, struct slice element,
                          bool *found) {
    e = expect_elements(db, e, element.len, 1);
    if (is_inline(e)) {
        struct listpack_item item = listpack_item(pivot);
        const uint8_t *pack = pack_of(e), *at = pack_find(pack_first(pack), pack + e->value_len, &item, 1);
        *found = at != NULL;
        if (!at) return e;
        return inline_insert(db, e, (size_t)((after ? pack_next(at) : at) - pack), element);
    }
    struct quicklist *q = entry_pointer(e);
    struct quicklist_needle needle = quicklist_needle(pivot);
    struct quicklist_iter it;
    *found = quicklist_start(&it, q, 0) && quicklist_find(&it, &needle);
    if (*found) quicklist_insert(q, &it, after, element);
    quicklist_stop(&it);
    return e;
}

struct entry *list_set(struct db *db, struct entry *e, int64_t index, struct slice element, bool *found) {
    e = expect_elements(db, e, element.len, 1);
    if (is_inline(e)) {
        const uint8_t *pack = pack_of(e), *at = pack_seek(pack, index);
        *found = at != NULL;
        return at ? inline_replace(db, e, (size_t)(at - pack), element) : e;
    }
    struct quicklist *q = entry_pointer(e);
    struct quicklist_iter it;
    *found = quicklist_start(&it, q, index);
    if (*found) quicklist_replace(q, &it, element);
    quicklist_stop(&it);
    return *found ? settle_list(db, e) : e;
}

/* --- Removing -------------------------------------------------------------------------------- */

static void free_trash(void *list) {
    quicklist_free(list);
}

static void cut_quicklist(struct quicklist *q, size_t index, size_t n) {
    struct quicklist *trash;
    quicklist_remove(q, index, n, &trash);
    if (trash) worker_submit_free(free_trash, trash, quicklist_memory(trash, VALUE_SAMPLES));
}

struct entry *list_trim(struct db *db, struct entry *e, size_t index, size_t n) {
    size_t length = list_length(e);
    if (n == length) return settle_list(db, e);
    if (is_inline(e)) {
        if (index + n < length) e = inline_remove(db, e, index + n, length - index - n);
        return index > 0 ? inline_remove(db, e, 0, index) : e;
    }
    struct quicklist *q = entry_pointer(e);
    cut_quicklist(q, index + n, length - index - n);
    cut_quicklist(q, 0, index);
    return settle_list(db, e);
}

struct entry *list_remove(struct db *db, const struct key *key, struct entry *e, size_t index, size_t n) {
    if (n == list_length(e)) {
        db_remove(db, key, e);
        return NULL;
    }
    if (is_inline(e)) return inline_remove(db, e, index, n);
    cut_quicklist(entry_pointer(e), index, n);
    return settle_list(db, e);
}

struct entry *list_drop(struct db *db, const struct key *key, struct entry *e, enum quicklist_end end) {
    if (is_inline(e) || ((const struct quicklist *)entry_pointer(e))->count == 1)
        return list_remove(db, key, e, end == QUICKLIST_HEAD ? 0 : list_length(e) - 1, 1);
    quicklist_drop(entry_pointer(e), end);
    return settle_list(db, e);
}

/* Returns the number of removed elements. From the tail, the last `max` of the equal ones go: the others are
 * skipped. */
static size_t inline_remove_equal(struct db *db, struct entry **e, struct slice element, enum quicklist_end from,
                                  size_t max) {
    struct listpack_item item = listpack_item(element);
    uint8_t *pack = pack_of(*e), *at = pack_first(pack);
    size_t len = (*e)->value_len, equal = 0, removed = 0, skip = 0;
    if (from == QUICKLIST_TAIL) {
        for (const uint8_t *p = at; (p = pack_find(p, pack + len, &item, 1)); p = pack_next(p))
            equal++;
        skip = equal > max ? equal - max : 0;
    }
    while (removed < max && (at = pack_find(at, pack + len, &item, 1))) {
        if (skip > 0) {
            skip--;
            at = pack_next(at);
        } else {
            len = pack_remove(pack, len, at, 1);
            removed++;
        }
    }
    *e = inline_fit(db, *e, len);
    return removed;
}

struct entry *list_remove_equal(struct db *db, const struct key *key, struct entry *e, struct slice element,
                                enum quicklist_end from, size_t max, size_t *removed) {
    if (is_inline(e)) {
        *removed = inline_remove_equal(db, &e, element, from, max);
        if (pack_count(pack_of(e)) > 0) return e;
    } else {
        struct quicklist *q = entry_pointer(e);
        *removed = quicklist_remove_equal(q, element, from, max);
        if (q->count > 0) return *removed > 0 ? settle_list(db, e) : e;
    }
    db_remove(db, key, e);
    return NULL;
}

/* --- The type -------------------------------------------------------------------------------- */

static const char *list_encoding_name(unsigned encoding) {
    return encoding == LIST_QUICKLIST ? "quicklist" : "listpack";
}

static void drop_list(void *value, unsigned encoding) {
    (void)encoding;
    quicklist_free(value);
}

static bool list_is_heavy(const void *value, unsigned encoding) {
    (void)encoding;
    return ((const struct quicklist *)value)->used > VALUE_HEAVY_PARTS;
}

static size_t list_memory(const void *value, unsigned encoding, size_t samples) {
    (void)encoding;
    return quicklist_memory(value, samples && samples < VALUE_SAMPLES ? VALUE_SAMPLES : samples);
}

static void *copy_list(const void *value, unsigned encoding) {
    (void)encoding;
    return quicklist_copy(value);
}

const struct value_ops list_ops = {.encoding_name = list_encoding_name,
                                   .drop = drop_list,
                                   .is_heavy = list_is_heavy,
                                   .memory = list_memory,
                                   .copy = copy_list};

const struct module list_module = {.options = list_rows};
