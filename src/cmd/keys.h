/* Removing keys, as commands do it: what follows from the removal is said here. */
#pragma once
#include "store/db.h"

/* Remove a key: a change of its own. e is its entry. */
static inline void keys_delete(struct db *db, const struct key *key, struct entry *e) {
    db_remove(db, key, e);
    db_changed(db, key, DB_GENERIC, "del");
}

/* Remove a key whose last element a command has taken. The caller has said that change: the two events are one. */
static inline void keys_delete_empty(struct db *db, const struct key *key, struct entry *e) {
    db_remove(db, key, e);
    db_notify(db, key, DB_GENERIC, "del");
}
