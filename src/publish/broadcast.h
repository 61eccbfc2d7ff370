/* Broadcasting: a client is told of every changed key that begins with one of its prefixes, whether it has read it or
 * not. A key that changes several times is noted once. Each prefix gets one message, with all its changed keys, when
 * the replies of the wave are sent. */
#pragma once
#include "base/slice.h"
#include "store/db.h"

struct broadcast_member; /* the membership of a client in a prefix */

/* The prefixes of one client. It has none while count is 0. A struct of zeros is valid and owns nothing. */
struct broadcast_listener {
    struct broadcast_member **items; /* owned, in the order of their prefixes */
    size_t count, cap;
    uint64_t spared; /* NOLOOP: skip keys that the client with this id changed last; 0: skip none */
    void *owner;     /* the caller's */
};

/* Two prefixes, one of which begins with the other. */
struct broadcast_overlap {
    struct slice prefix; /* a given one */
    struct slice other;
    bool is_new; /* `other` is a given one too; false: the listener has it */
};

/* True, with the first overlap in *out, if one of the n prefixes overlaps with another one or with one of the
 * listener's. The slices in *out are valid as long as the given ones and the listener's prefixes are. O(n log n). */
bool broadcast_overlaps(const struct broadcast_listener *l, const struct slice *prefixes, size_t n,
                        struct broadcast_overlap *out);
/* Add prefixes, which are copied. They must not overlap with each other or with those that the listener has; only the
 * empty prefix may always be added, and is added once. O(n log n + the length of the prefixes). */
void broadcast_join(struct broadcast_listener *l, const struct slice *prefixes, size_t n);
void broadcast_leave(struct broadcast_listener *l);                          /* remove all prefixes. O(prefixes) */
struct slice broadcast_prefix(const struct broadcast_listener *l, size_t i); /* valid until broadcast_leave() */
size_t broadcast_memory(const struct broadcast_listener *l);                 /* bytes that the listener owns */

/* The client with this id changed the key; 0: no client did. O(length of the key + matching prefixes). */
void broadcast_note(const struct key *key, uint64_t author);
bool broadcast_is_pending(void); /* a noted change has not been sent */
/* Send the noted changes: call `tell` with an array of keys in RESP, valid during that call, and the n listeners that
 * get it. Prefixes come in their order, and so do the keys of one. Then forget the changes. `tell` must not call this
 * module. */
void broadcast_send(void (*tell)(struct slice list, struct broadcast_listener *const *to, size_t n));
size_t broadcast_prefixes(void); /* prefixes that some listener has */
