/* The list type in its encodings.
 *
 * Readers see only quicklists: list_read() converts a short list into one in the reader's list_view, on the stack.
 * Writers use the functions here, which keep the encoding that Redis 7.2 would report. Slices that go in must not lie
 * in the same list. Changes at the ends are O(1). */
#pragma once
#include "ds/quicklist.h"
#include "store/db.h"

enum list_encoding {
    LIST_INLINE,        /* a pack in the entry, at most LIST_INLINE_MAX bytes as a listpack; reported as listpack */
    LIST_QUICKLIST = 8, /* struct quicklist *; reported as quicklist */
    LIST_PACKED,        /* struct quicklist * that Redis would keep in one listpack; reported as listpack */
};

#define LIST_INLINE_MAX 1024 /* bytes */

struct list_options {
    int max_listpack_size; /* of a node; -1 to -5: 4 to 64 KB; positive: elements */
    int compress_depth;    /* nodes at each end that stay uncompressed; 0: all */
};
extern struct list_options list_options;

/* --- Reading --------------------------------------------------------------------------------- */

struct list_view {
    struct quicklist list;
    struct quicknode node;
    uint8_t listpack[LIST_INLINE_MAX];
};

/* The list as a quicklist, which may lie in *view. Valid until the list changes. O(1), for an inline list O(bytes). */
const struct quicklist *list_read(const struct entry *e, struct list_view *view);
size_t list_length(const struct entry *e); /* O(1) */
/* The element at this end of a list. Its bytes are valid until the list changes. O(1), for an inline list O(n). */
struct listpack_value list_peek(const struct entry *e, enum quicklist_end end);

/* --- Changing -------------------------------------------------------------------------------- */

/* Each function returns the entry, which may have moved. Those that take a key remove it with the last element, and
 * return NULL then. */

/* Push n >= 1 elements one after the other. e may be NULL (creates the key). */
struct entry *list_push(struct db *db, const struct key *key, struct entry *e, enum quicklist_end end,
                        const struct slice *elements, size_t n);
/* Set a key, without a deadline, to a list of n >= 1 elements. `old` is the key's entry or NULL; the elements must not
 * lie in it. */
struct entry *list_store(struct db *db, const struct key *key, struct entry *old, const struct slice *elements,
                         size_t n);
/* Insert before or behind the first element that equals the pivot. *found: there is one. O(n). */
struct entry *list_insert(struct db *db, struct entry *e, struct slice pivot, bool after, struct slice element,
                          bool *found);
/* Replace the element at this index; negative ones count from the end. *found: there is one. */
struct entry *list_set(struct db *db, struct entry *e, int64_t index, struct slice element, bool *found);
/* Remove n elements from this index on, all of which must exist. The worker frees long stretches. */
struct entry *list_remove(struct db *db, const struct key *key, struct entry *e, size_t index, size_t n);
/* Remove the element at this end. */
struct entry *list_drop(struct db *db, const struct key *key, struct entry *e, enum quicklist_end end);
/* Keep only the n >= 1 elements from this index on. */
struct entry *list_trim(struct db *db, struct entry *e, size_t index, size_t n);
/* Remove equal elements, at most `max`, beginning at this end. *removed is their number. O(n). */
struct entry *list_remove_equal(struct db *db, const struct key *key, struct entry *e, struct slice element,
                                enum quicklist_end from, size_t max, size_t *removed);

extern const struct value_ops list_ops;
