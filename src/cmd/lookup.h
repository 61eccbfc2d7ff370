/* Look-ups that many bodies make. They are inline because nearly every request makes one.
 *
 * An entry stays where it is until the next change of its database. */
#pragma once
#include "base/likely.h"
#include "ds/listpack.h"
#include "session/client.h"
#include "session/reply.h"
#include "session/request.h"
#include "store/prefetch.h"

#define LOOKUP_AHEAD 16 /* keys whose cache misses overlap: about as many as a core can have under way */

/* Is e, which may be NULL, a value of this type? False: the error was replied. */
static inline bool lookup_is(struct client *c, const struct entry *e, enum entry_type type) {
    if (likely(!e || entry_type(e) == type)) return true;
    reply_wrong_type(c);
    return false;
}

/* The value of the request's first key, for a command that only reads it; *e is NULL if there is none. False: it has
 * another type, and the error was replied. */
static inline bool lookup_read(struct request *r, enum entry_type type, struct entry **e) {
    *e = db_read(r->client->db, &r->key);
    return lookup_is(r->client, *e, type);
}

/* The same for a command that may change it. */
static inline bool lookup_write(struct request *r, enum entry_type type, struct entry **e) {
    *e = db_write(r->client->db, &r->key);
    return lookup_is(r->client, *e, type);
}

/* As db_read(), for commands that ask about a key rather than use it: the access clock stands still. */
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

/* Hash the next keys of a command that names many (every step-th of the `left` arguments), and fetch what looking them
 * up will touch. Returns how many keys that are, LOOKUP_AHEAD at most. */
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

/* Reply an element of a list or a set as it is kept: text, or an integer. */
static inline void lookup_reply(struct client *c, struct listpack_value element) {
    if (element.ptr) {
        reply_bulk(c, slice_of(element.ptr, element.len));
    } else {
        reply_bulk_int(c, element.number);
    }
}
