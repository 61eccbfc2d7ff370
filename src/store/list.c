/* Lists.
 *
 * What OBJECT ENCODING says follows list-max-listpack-size as in Redis 7.2: "listpack" until an element would exceed
 * the limit of a node, "quicklist" from then on, and "listpack" again once one node is left that is at most half
 * full. Where the bytes are is our own affair: in the entry up to LIST_INLINE_MAX bytes, and behind that in a
 * quicklist, the nodes of which grow and shrink at both ends without moving what is between. A listpack of
 * 8 KB that is pushed to at its head, as in Redis, moves 4 KB for each element.
 *
 * Between the inline limit and half of it a list stays where it is, so that none moves to and fro. */
#include "store/list.h"
#include "base/worker.h"
#include "store/value.h"

#define ITEM_EXTRA 11 /* what an entry of a listpack takes beyond the bytes of its text, at most */

struct list_options list_options;

const struct option list_rows[] = {
    {.name = "list-max-listpack-size",
     .alias = "list-max-ziplist-size",
     .type = OPTION_INT,
     .address = &list_options.max_listpack_size,
     .initial = "-2",
     .min = INT32_MIN,
     .max = INT32_MAX},
    {.name = "list-compress-depth",
     .type = OPTION_INT,
     .address = &list_options.compress_depth,
     .initial = "0",
     .min = 0,
     .max = INT32_MAX},
    {.name = NULL},
};

static bool is_inline(const struct entry *e) {
    return entry_encoding(e) == LIST_INLINE;
}
static uint8_t *inline_listpack(const struct entry *e) {
    return (uint8_t *)entry_value(e);
}

/* --- Encodings ------------------------------------------------------------------------------- */

static struct quicklist *new_quicklist(void) {
    return quicklist_new(list_options.max_listpack_size, list_options.compress_depth);
}

/* The encoding of a listpack of so many bytes and elements to which others come. */
static unsigned encoding_for(size_t bytes, size_t count, size_t added_bytes, size_t added) {
    if (quicklist_exceeds(list_options.max_listpack_size, bytes + added_bytes, count + added)) return LIST_QUICKLIST;
    return bytes + added_bytes + added * ITEM_EXTRA > LIST_INLINE_MAX ? LIST_PACKED : LIST_INLINE;
}

/* Bytes of the one listpack that the list would be. */
static size_t packed_bytes(const struct quicklist *q) {
    size_t bytes = LISTPACK_EMPTY;
    for (size_t i = 0; i < q->used; i++)
        bytes += quicknode_bytes(quicklist_node(q, i)) - LISTPACK_EMPTY;
    return bytes;
}

static struct entry *move_out(struct db *db, struct entry *e, unsigned encoding) {
    struct quicklist *q = new_quicklist();
    quicklist_append_listpack(q, inline_listpack(e));
    e = db_resize_value(db, e, encoding, sizeof q);
    entry_set_pointer(e, q);
    return e;
}

static struct entry *move_in(struct db *db, struct entry *e) {
    struct quicklist *q = entry_pointer(e);
    const uint8_t *lp = quicklist_only_listpack(q);
    e = db_resize_value(db, e, LIST_INLINE, listpack_bytes(lp));
    memcpy(entry_value(e), lp, listpack_bytes(lp));
    quicklist_free(q);
    return e;
}

struct entry *list_expect(struct db *db, struct entry *e, size_t bytes, size_t elements) {
    if (entry_encoding(e) == LIST_QUICKLIST) return e;
    if (is_inline(e)) {
        const uint8_t *lp = inline_listpack(e);
        unsigned encoding = encoding_for(listpack_bytes(lp), listpack_count(lp), bytes, elements);
        return encoding == LIST_INLINE ? e : move_out(db, e, encoding);
    }
    const struct quicklist *q = entry_pointer(e);
    unsigned encoding = encoding_for(packed_bytes(q), q->count, bytes, elements);
    return encoding == LIST_QUICKLIST ? db_resize_value(db, e, LIST_QUICKLIST, sizeof q) : e;
}

/* After elements went away: a quicklist may have become short enough for a listpack again. */
static __attribute__((noinline)) struct entry *settle_short(struct db *db, struct entry *e) {
    const struct quicklist *q = entry_pointer(e);
    const uint8_t *lp = quicklist_only_listpack(q);
    if (!lp) return e;
    size_t bytes = listpack_bytes(lp);
    int fill = list_options.max_listpack_size;
    if (entry_encoding(e) == LIST_QUICKLIST) {
        /* Half of the limit. One that is a number of elements does not look at the bytes here. */
        if (quicklist_exceeds(fill, fill < 0 ? 2 * bytes : 0, 2 * q->count)) return e;
        e = db_resize_value(db, e, LIST_PACKED, sizeof q);
    }
    return bytes <= LIST_INLINE_MAX / 2 ? move_in(db, e) : e;
}
static inline struct entry *settle(struct db *db, struct entry *e) {
    if (is_inline(e) || ((const struct quicklist *)entry_pointer(e))->used > 1) return e;
    return settle_short(db, e);
}

/* --- Inline listpacks ------------------------------------------------------------------------ */

static struct entry *inline_insert(struct db *db, struct entry *e, size_t offset, struct slice element) {
    struct listpack_item item = listpack_item(element);
    e = db_resize_value(db, e, LIST_INLINE, e->value_len + listpack_item_bytes(&item));
    listpack_insert(inline_listpack(e), inline_listpack(e) + offset, &item);
    return e;
}

static struct entry *inline_push(struct db *db, struct entry *e, enum quicklist_end end, struct slice element) {
    return inline_insert(db, e, end == QUICKLIST_HEAD ? LISTPACK_HEAD : e->value_len - 1U, element);
}

static struct entry *inline_replace(struct db *db, struct entry *e, size_t offset, struct slice element) {
    struct listpack_item item = listpack_item(element);
    uint8_t *lp = inline_listpack(e);
    ptrdiff_t growth = listpack_replace_growth(lp + offset, &item);
    if (growth > 0) {
        e = db_resize_value(db, e, LIST_INLINE, e->value_len + (size_t)growth);
        lp = inline_listpack(e);
    }
    listpack_replace(lp, lp + offset, &item);
    return db_resize_value(db, e, LIST_INLINE, listpack_bytes(lp));
}

/* Give back what an edit has made free. */
static struct entry *inline_fit(struct db *db, struct entry *e) {
    return db_resize_value(db, e, LIST_INLINE, listpack_bytes(inline_listpack(e)));
}

/* --- Adding ---------------------------------------------------------------------------------- */

static size_t total_bytes(const struct slice *elements, size_t n) {
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += elements[i].len;
    return bytes;
}

/* A list of this one element, in an encoding that has room for all that come. */
static struct entry *create(struct db *db, const struct key *key, struct entry *old, struct slice first, size_t bytes,
                            size_t n) {
    unsigned encoding = encoding_for(LISTPACK_EMPTY, 0, bytes, n);
    if (encoding != LIST_INLINE) {
        struct quicklist *q = new_quicklist();
        quicklist_push(q, QUICKLIST_TAIL, first);
        return db_put(db, key, old, ENTRY_LIST, encoding, &q, sizeof q, ENTRY_NO_TTL);
    }
    uint8_t lp[LIST_INLINE_MAX];
    struct listpack_item item = listpack_item(first);
    listpack_init(lp);
    listpack_append(lp, &item);
    return db_put(db, key, old, ENTRY_LIST, LIST_INLINE, lp, listpack_bytes(lp), ENTRY_NO_TTL);
}

static struct entry *push(struct db *db, struct entry *e, enum quicklist_end end, const struct slice *elements,
                          size_t n) {
    if (is_inline(e)) {
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
    if (!e) return push(db, create(db, key, NULL, *elements, total_bytes(elements, n), n), end, elements + 1, n - 1);
    return push(db, list_expect(db, e, total_bytes(elements, n), n), end, elements, n);
}

struct entry *list_store(struct db *db, const struct key *key, struct entry *old, const struct slice *elements,
                         size_t n) {
    struct entry *e = create(db, key, old, *elements, total_bytes(elements, n), n);
    return push(db, e, QUICKLIST_TAIL, elements + 1, n - 1);
}

struct entry *list_insert(struct db *db, struct entry *e, struct slice pivot, bool after, struct slice element,
                          bool *found) {
    e = list_expect(db, e, element.len, 1);
    if (is_inline(e)) {
        struct listpack_item item = listpack_item(pivot);
        const uint8_t *lp = inline_listpack(e), *at = listpack_find(listpack_first(lp), &item, 1);
        *found = at != NULL;
        if (!at) return e;
        return inline_insert(db, e, (size_t)((after ? listpack_next(at) : at) - lp), element);
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
    e = list_expect(db, e, element.len, 1);
    if (is_inline(e)) {
        const uint8_t *lp = inline_listpack(e), *at = listpack_seek(lp, index);
        *found = at != NULL;
        return at ? inline_replace(db, e, (size_t)(at - lp), element) : e;
    }
    struct quicklist *q = entry_pointer(e);
    struct quicklist_iter it;
    *found = quicklist_start(&it, q, index);
    if (*found) quicklist_replace(q, &it, element);
    quicklist_stop(&it);
    return *found ? settle(db, e) : e;
}

/* --- Removing -------------------------------------------------------------------------------- */

static void free_trash(void *list) {
    quicklist_free(list);
}

static void cut(struct quicklist *q, size_t index, size_t n) {
    struct quicklist *trash;
    quicklist_remove(q, index, n, &trash);
    if (trash) worker_submit(free_trash, trash);
}

struct entry *list_trim(struct db *db, struct entry *e, size_t index, size_t n) {
    size_t length = list_length(e);
    if (n == length) return settle(db, e);
    if (is_inline(e)) {
        uint8_t *lp = inline_listpack(e);
        if (index + n < length) listpack_remove(lp, listpack_seek(lp, (int64_t)(index + n)), length - index - n);
        if (index > 0) listpack_remove(lp, listpack_first(lp), index);
        return inline_fit(db, e);
    }
    struct quicklist *q = entry_pointer(e);
    cut(q, index + n, length - index - n);
    cut(q, 0, index);
    return settle(db, e);
}

struct entry *list_remove(struct db *db, const struct key *key, struct entry *e, size_t index, size_t n) {
    if (n == list_length(e)) {
        db_remove(db, key, e);
        return NULL;
    }
    if (is_inline(e)) {
        uint8_t *lp = inline_listpack(e);
        listpack_remove(lp, listpack_seek(lp, (int64_t)index), n);
        return inline_fit(db, e);
    }
    cut(entry_pointer(e), index, n);
    return settle(db, e);
}

struct entry *list_drop(struct db *db, const struct key *key, struct entry *e, enum quicklist_end end) {
    if (is_inline(e) || ((const struct quicklist *)entry_pointer(e))->count == 1)
        return list_remove(db, key, e, end == QUICKLIST_HEAD ? 0 : list_length(e) - 1, 1);
    quicklist_drop(entry_pointer(e), end);
    return settle(db, e);
}

/* The first max of them seen from the tail are the last: skip the others. */
static size_t inline_remove_equal(uint8_t *lp, struct slice element, enum quicklist_end from, size_t max) {
    struct listpack_item item = listpack_item(element);
    size_t equal = 0;
    if (from == QUICKLIST_TAIL) {
        const uint8_t *at = listpack_find(listpack_first(lp), &item, 1);
        for (; at; at = listpack_find(listpack_next(at), &item, 1))
            equal++;
    }
    return listpack_remove_equal(lp, &item, equal > max ? equal - max : 0, max);
}

struct entry *list_remove_equal(struct db *db, const struct key *key, struct entry *e, struct slice element,
                                enum quicklist_end from, size_t max, size_t *removed) {
    bool empty;
    if (is_inline(e)) {
        uint8_t *lp = inline_listpack(e);
        *removed = inline_remove_equal(lp, element, from, max);
        empty = listpack_bytes(lp) == LISTPACK_EMPTY;
        /* The entry knows its size from value_len: freeing it needs no fit. */
        if (!empty) return *removed > 0 ? inline_fit(db, e) : e;
    } else {
        struct quicklist *q = entry_pointer(e);
        *removed = quicklist_remove_equal(q, element, from, max);
        empty = q->count == 0;
        if (!empty) return *removed > 0 ? settle(db, e) : e;
    }
    db_remove(db, key, e);
    return NULL;
}

/* --- What every type can do ------------------------------------------------------------------ */

static const char *encoding_name(unsigned encoding) {
    return encoding == LIST_QUICKLIST ? "quicklist" : "listpack";
}

static void drop(void *value, unsigned encoding) {
    (void)encoding;
    quicklist_free(value);
}

static bool is_heavy(const void *value, unsigned encoding) {
    (void)encoding;
    return ((const struct quicklist *)value)->used > VALUE_HEAVY_PARTS;
}

static size_t memory(const void *value, unsigned encoding, size_t samples) {
    (void)encoding;
    (void)samples;
    return quicklist_memory(value);
}

static void *copy(const void *value, unsigned encoding) {
    (void)encoding;
    return quicklist_copy(value);
}

const struct value_ops list_ops = {encoding_name, drop, is_heavy, memory, copy};
