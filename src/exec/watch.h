/* Watched keys: who has to learn that a key was touched since it began to watch.
 *
 * A key that is watched has a record in a table of its database, with the list of those who watch it; a watcher has
 * the list of its keys. A touch is one look-up; whoever it concerns has lost, and stops watching at once.
 *
 * Expiry counts as a touch, but for a key that was past its deadline already when it was watched: for its
 * watcher it never existed, and its removal changes nothing. Such a watch is called stale. */
#pragma once
#include "store/db.h"
#include <stdbool.h>
#include <stddef.h>

struct watch;

/* Zeroed, it watches nothing. */
struct watching {
    struct watch *first;
    size_t count;
    bool touched; /* until who owns it clears it */
};

/* Watching a key twice is watching it once. O(1), but for keys that many watch who watch many. */
void watch_add(struct watching *owner, struct db *db, const struct key *key);
void watch_drop_all(struct watching *owner); /* O(own keys) */
/* Is a key past its deadline that was not when it was watched? O(own keys). */
bool watch_any_due(const struct watching *owner);
size_t watch_memory(const struct watching *owner); /* bytes of its watches; the keys' records are shared */
