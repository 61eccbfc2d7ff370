/* Which clients may have a copy of which key: a table of keys, each with the ids of those who were given it.
 *
 * A key is one allocation, in which the id lies too as long as there is only one, which is the rule: a key of 16 bytes
 * takes 32 bytes and its slot of the hash table. More ids go to an open-addressed set. Ids are not taken out one by
 * one: whoever has gone is found out when the key is, and when a second client is about to be added to it. */
#pragma once
#include "store/db.h"

struct tracked; /* a key */

struct tracked_table {
    struct table keys;
    size_t ids; /* of all keys */
};

#define TRACKED_EMPTY                    \
    {                                    \
        .keys = {.type = &tracked_type } \
    }
extern const struct table_type tracked_type;

/* Remember that this client (its id is not 0) has the key. If that is known already it is one look-up. `is_alive` says
 * whether a client still counts: an id of which it is not true may be dropped. O(1). */
void tracked_add(struct tracked_table *t, const struct key *key, uint64_t id, bool (*is_alive)(uint64_t id));
/* Take the key out; NULL: nobody has it. The caller reads it, and frees it with tracked_free(). */
struct tracked *tracked_take(struct tracked_table *t, const struct key *key);
struct tracked *tracked_take_any(struct tracked_table *t); /* a random one; NULL if there is none */
void tracked_free(struct tracked *k);
struct slice tracked_name(const struct tracked *k);
void tracked_each(const struct tracked *k, void (*visit)(void *ctx, uint64_t id), void *ctx);
/* Back to the empty state. Where there is much to free the worker does it. */
void tracked_clear(struct tracked_table *t);

/* As db_prefetch_line and db_prefetch_entry. */
static inline void tracked_prefetch_line(const struct tracked_table *t, uint64_t hash) {
    table_prefetch_line(&t->keys, hash);
}
static inline void tracked_prefetch_key(const struct tracked_table *t, uint64_t hash) {
    table_prefetch_record(&t->keys, hash);
}
