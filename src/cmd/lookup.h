/* Look-ups that several families share. */
#pragma once
#include "base/likely.h"
#include "session/reply.h"
#include "store/db.h"
#include "store/prefetch.h"

#define LOOKUP_AHEAD 16 /* keys whose cache misses overlap: about what a core can have under way */

/* Is e a value of this type, or NULL? False: the error was replied. */
static inline bool lookup_is(struct client *c, const struct entry *e, enum entry_type type) {
    if (likely(!e || entry_type(e) == type)) return true;
    reply_wrong_type(c);
    return false;
}

/* As db_read, but for commands that ask about a key rather than use it: the access clock stands still. */
static inline struct entry *lookup_untouched(struct db *db, const struct key *key) {
    struct entry *e = db_look(db, key);
    if (e) {
        db_metrics.hits++;
    } else {
        db_metrics.misses++;
        db_notify(db, key, DB_MISS, "keymiss");
    }
    return e;
}

/* Hash the next keys of a command that names many, every step-th of `left` arguments, and
 * fetch what looking them up will touch. Returns how many there are, LOOKUP_AHEAD at most. */
static inline int lookup_ahead(const struct db *db, const struct slice *argv, int left, int step,
                               struct key keys[LOOKUP_AHEAD]) {
    int n = (left + step - 1) / step;
    if (n > LOOKUP_AHEAD) n = LOOKUP_AHEAD;
    struct prefetch ahead;
    prefetch_begin(&ahead);
    for (int i = 0; i < n; i++) {
        keys[i] = key_of(argv[i * step]);
        prefetch_key(&ahead, db, keys[i].hash);
    }
    prefetch_records(&ahead);
    return n;
}
