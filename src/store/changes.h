/* What follows from a change: the store says each change once (struct db_hooks), and this module hands
 * it to those who listen, in a fixed order. While nobody does, the hooks are NULL and a write pays one branch. */
#pragma once
#include "store/db.h"

/* The order in which listeners hear of one change. */
enum changes_listener {
    CHANGES_PROPAGATE, /* deletes that no command asked for */
    CHANGES_TX,        /* WATCH */
    CHANGES_TRACKING,  /* client-side caches */
    CHANGES_NOTIFY,    /* keyspace events */
    CHANGES_BLOCK,     /* clients that wait for a key */
    CHANGES_SNAPSHOT,  /* the file must not outlive FLUSHALL */
    CHANGES_LISTENERS
};

/* Events that are published without a change of the value (see db_notify). */
#define CHANGES_NONE (DB_MISS | DB_NEW)

/* Listen with these hooks (they must live on), or stop with NULL. Not from inside a hook.
 * Who has no `swapped` hears of SWAPDB as two flushes. */
void changes_listen(enum changes_listener listener, const struct db_hooks *hooks);
