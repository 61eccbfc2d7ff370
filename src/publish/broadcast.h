/* Broadcasting: clients that hear of every changed key with one of their prefixes, whoever has read it. What changes is
 * noted once, however often it does, and told in one message a prefix when the replies of the wave are sent. */
#pragma once
#include "base/slice.h"
#include "store/db.h"

struct broadcast_member; /* a client's having of a prefix */

/* What one client listens to: nothing, while all but the last two are zeros. */
struct broadcast_listener {
    struct broadcast_member **items; /* in the order of their prefixes */
    size_t count, cap;
    uint64_t spared; /* NOLOOP: keys that this author has changed last are not told; else 0 */
    void *owner;
};

/* A prefix that was given, and another one: one of the two begins with the other. */
struct broadcast_overlap {
    struct slice prefix, other;
    bool is_new; /* `other` is given as well, not had already */
};

/* True if there is an overlap among these prefixes, or with what the listener has: the first one. O(n log n). */
bool broadcast_overlaps(const struct broadcast_listener *l, const struct slice *prefixes, size_t n,
                        struct broadcast_overlap *out);
void broadcast_join(struct broadcast_listener *l, const struct slice *prefixes, size_t n); /* those it has stay */
void broadcast_leave(struct broadcast_listener *l);                                        /* all */
struct slice broadcast_prefix(const struct broadcast_listener *l, size_t i);
size_t broadcast_memory(const struct broadcast_listener *l);

/* A key was changed by the client with this id, or by nobody: 0. */
void broadcast_note(const struct key *key, uint64_t author);
bool broadcast_is_pending(void);
/* Hand what was noted since to `tell`: an array of keys in the protocol's form, and n who get it. */
void broadcast_send(void (*tell)(struct slice list, struct broadcast_listener *const *to, size_t n));
size_t broadcast_prefixes(void);
