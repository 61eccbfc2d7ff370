/* Removing keys, with the event that follows from it. */
#pragma once
#include "store/db.h"

/* Remove a key, whose entry is e. That is a change of its own. */
static inline void keys_delete(struct db *db, const struct key *key, struct entry *e) {
    db_remove(db, key, e);
    db_changed(db, key, DB_GENERIC, "del");
}

/* Remove a key whose last element was removed. That removal is the change, and the caller has published it. */
static inline void keys_delete_empty(struct db *db, const struct key *key, struct entry *e) {
    db_remove(db, key, e);
    db_notify(db, key, DB_GENERIC, "del");
}
