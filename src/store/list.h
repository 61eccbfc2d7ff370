/* Operations on a list across its encodings. No client, no reply.
 *
 * Readers see one shape only: list_read() shows every list as a quicklist, which a short one becomes in the reader's
 * list_view, on the stack. Writers go through the functions here, which keep the encoding what Redis 7.2
 * says it is. Slices that go in must not point into the same list. */
#pragma once
#include "ds/pack.h"
#include "ds/quicklist.h"
#include "store/db.h"

enum list_encoding {
    LIST_INLINE,        /* a pack in the entry, of at most LIST_INLINE_MAX bytes as a listpack; says listpack */
    LIST_QUICKLIST = 8, /* struct quicklist *; says quicklist */
    LIST_PACKED,        /* struct quicklist *, short enough for Redis to keep it in one listpack; says listpack */
};

#define LIST_INLINE_MAX 1024

struct list_options {
    int max_listpack_size; /* -1 to -5: 4 to 64 KB; positive: elements */
    int compress_depth;
};
extern struct list_options list_options;

/* --- Reading: a list is not empty ------------------------------------------------------------- */

struct list_view {
    struct quicklist list;
    struct quicknode node;
    uint8_t listpack[LIST_INLINE_MAX];
};

/* The list, to be read until it changes. The view may be what is returned. O(1); of a short one O(bytes). */
const struct quicklist *list_read(const struct entry *e, struct list_view *view);
size_t list_length(const struct entry *e); /* O(1) */
/* The element at this end: its bytes lie in the list, which must not change. O(1); of a short one O(n). */
struct listpack_value list_peek(const struct entry *e, enum quicklist_end end);

/* --- Changing: each may move the entry, and returns where it is; NULL once it is empty and so removed --- */

/* Push n elements one after the other. e may be NULL, which creates the key; n is not 0. */
struct entry *list_push(struct db *db, const struct key *key, struct entry *e, enum quicklist_end end,
                        const struct slice *elements, size_t n);
/* Make these elements, of which there is one at least, the value of a key, whatever was there (`old`, may be NULL);
 * no deadline. They must not lie in old. */
struct entry *list_store(struct db *db, const struct key *key, struct entry *old, const struct slice *elements,
                         size_t n);
/* What Redis does to the encoding before it adds so many elements of so many bytes, and does not undo if the
 * place to add them at turns out not to exist. */
struct entry *list_expect(struct db *db, struct entry *e, size_t bytes, size_t elements);
/* Insert before or behind the first element that equals the pivot; *found says whether there was one. */
struct entry *list_insert(struct db *db, struct entry *e, struct slice pivot, bool after, struct slice element,
                          bool *found);
/* Replace the element of this index, negative from the end; *found says whether there was one. */
struct entry *list_set(struct db *db, struct entry *e, int64_t index, struct slice element, bool *found);
/* Remove n elements from this index on, all of which must be there. Long stretches are freed on the worker. */
struct entry *list_remove(struct db *db, const struct key *key, struct entry *e, size_t index, size_t n);
struct entry *list_drop(struct db *db, const struct key *key, struct entry *e, enum quicklist_end end); /* the last */
/* Keep n (1 or more) elements from this index on. */
struct entry *list_trim(struct db *db, struct entry *e, size_t index, size_t n);
/* Remove the first max elements that are equal, seen from that end; *removed says how many there were. */
struct entry *list_remove_equal(struct db *db, const struct key *key, struct entry *e, struct slice element,
                                enum quicklist_end from, size_t max, size_t *removed);

extern const struct value_ops list_ops;
