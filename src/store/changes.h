/* Fan-out of the store's hooks to several listeners, in a fixed order.
 *
 * The store reports each change once, through struct db_hooks. While no listener wants a hook it is NULL, so a write
 * pays one branch. */
#pragma once
#include "store/db.h"

/* The order in which listeners are called for one change. */
enum changes_listener {
    CHANGES_PROPAGATE, /* deletes that no command asked for */
    CHANGES_TX,        /* WATCH */
    CHANGES_TRACKING,  /* client-side caches */
    CHANGES_NOTIFY,    /* keyspace events */
    CHANGES_BLOCK,     /* clients that wait for a key */
    CHANGES_SNAPSHOT,  /* the file must not outlive FLUSHALL */
    CHANGES_LISTENERS
};

/* Events without a change of the value: WATCH and client-side caches do not see them. */
#define CHANGES_NONE (DB_MISS | DB_NEW | DB_BESIDE)

/* Register the hooks of a listener, or remove them with NULL. The hooks must stay valid while they are registered. Do
 * not call this from inside a hook. A listener without `swapped` gets SWAPDB as two calls of `flushed`, and one without
 * `replaced` gets `flushed`.
 * O(listeners). */
void changes_listen(enum changes_listener listener, const struct db_hooks *hooks);
