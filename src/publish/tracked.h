/* The keys of which clients have copies: a table of keys, each with the ids of these clients.
 *
 * A key is one allocation, which has the id as well while there is only one, as is usual: a key of 16 bytes takes 32
 * bytes and its slot of the hash table. More ids go to an open-addressed set. The ids of closed clients are not removed
 * when a client is closed: they are dropped when another client is added to the key and room is needed, and ignored
 * when the key changes. */
#pragma once
#include "store/db.h"

struct tracked; /* a key and its ids */

struct tracked_table {
    struct table keys;
    size_t ids; /* the sum over all keys */
};

#define TRACKED_EMPTY                    \
    {                                    \
        .keys = {.type = &tracked_type } \
    }
extern const struct table_type tracked_type;

/* Remember that the client with this id, which is not 0, has a copy of the key. The key is copied. An id for which
 * `is_alive` is false may be dropped. O(1); one look-up if the client is remembered already. */
void tracked_add(struct tracked_table *t, const struct key *key, uint64_t id, bool (*is_alive)(uint64_t id));
/* Take the key out of the table; the caller owns it, and frees it by tracked_free(). NULL: no client has it. */
struct tracked *tracked_take(struct tracked_table *t, const struct key *key);
struct tracked *tracked_take_any(struct tracked_table *t); /* the same for a random key; NULL: the table is empty */
void tracked_free(struct tracked *k);
struct slice tracked_name(const struct tracked *k); /* valid as long as k is */
/* Call `visit` for each id of the key, once, in no order. */
void tracked_each(const struct tracked *k, void (*visit)(void *ctx, uint64_t id), void *ctx);
/* Remove all keys. The background thread frees them if there are many. */
void tracked_clear(struct tracked_table *t);
