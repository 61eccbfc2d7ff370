/* Watched keys: a watcher learns that one of its keys was touched since it began to watch it.
 *
 * A watched key has a record in a table of its database, with the list of its watchers; a watcher has the list of its
 * keys. A touch is one look-up. It marks each watcher of the key as touched and drops all its watches: nothing more can
 * happen to it.
 *
 * Expiry counts as a touch, but not if the key was past its deadline when it was watched: for that watcher it never
 * existed, and its removal changes nothing. Such a watch is called stale. */
#pragma once
#include "store/db.h"
#include <stdbool.h>
#include <stddef.h>

struct watch;

/* A watcher. Zeroed, it watches nothing. Its address must not change while it watches. */
struct watching {
    struct watch *first;
    size_t count; /* of its watches */
    bool touched; /* cleared by the owner */
};

/* Watch a key; one that the watcher has already is not watched twice. O(1); at worst O(min(watchers of the key, keys of
 * the watcher)). */
void watch_add(struct watching *owner, struct db *db, const struct key *key);
void watch_drop_all(struct watching *owner); /* O(its keys) */
/* Has a key passed its deadline since it was watched, and not been removed yet? O(its keys). */
bool watch_any_due(const struct watching *owner);
size_t watch_memory(const struct watching *owner); /* bytes of its watches, without the records of the keys */
