/* What the three files of sorted set commands share. */
#pragma once
#include "cmd/lookup.h"
#include "session/client.h"
#include "session/reply.h"
#include "session/request.h"
#include "store/zset.h"

/* e, which may be NULL, is a sorted set or nothing. False: the error was replied. */
static inline bool zsets_check(struct client *c, const struct entry *e) {
    return lookup_is(c, e, ENTRY_ZSET);
}
/* A member with its score as RESP3 has it (an array of two) or as RESP2 has it (two elements of the array around). */
static inline void zsets_reply_pair(struct client *c, struct slice member, double score) {
    if (c->resp > 2) reply_array(c, 2);
    reply_bulk(c, member);
    reply_double(c, score);
}
static inline void zsets_reply_pairs(struct client *c, size_t n) {
    reply_array(c, c->resp > 2 ? n : 2 * n);
}
/* After members were removed: the event, and a key without members goes. */
static inline void zsets_removed(struct db *db, const struct key *key, struct entry *e, const char *event) {
    db_changed(db, key, DB_ZSET, event);
    if (zset_count(e) > 0) return;
    db_remove(db, key, e);
    db_notify(db, key, DB_GENERIC, "del");
}
/* Make z the value of a key, instead of what is there; NULL: nothing is to be there. Replies how many members it has. */
static inline void zsets_store(struct client *c, const struct key *key, struct zset *z, const char *event) {
    struct entry *old = db_write(c->db, key);
    int64_t count = z ? (int64_t)z->order.count : 0;
    if (z) {
        zset_store(c->db, key, old, z);
        db_changed(c->db, key, DB_ZSET, event);
    } else if (old) {
        db_remove(c->db, key, old);
        db_changed(c->db, key, DB_GENERIC, "del");
    }
    reply_int(c, count);
}

/* How members that are popped are put into the reply. */
enum zsets_pop_form {
    ZSETS_POP_FLAT,   /* member, score, member, score, in an array */
    ZSETS_POP_NESTED, /* [member, score], [member, score], in an array */
    ZSETS_POP_BARE,   /* as FLAT; the array was begun by the caller */
};
/* Reply the first (last) n members of a set that has one at least, as far as there are, and remove them. Returns how many. */
size_t zsets_pop(struct client *c, const struct key *key, struct entry *e, bool last, size_t n,
                 enum zsets_pop_form form);

/* numkeys key... MIN|MAX [COUNT n] */
struct zsets_mpop {
    const struct slice *keys;
    int64_t key_count, n;
    bool last;
};
bool zsets_parse_mpop(struct request *r, int at,
                      struct zsets_mpop *m);                    /* from argv[at] on; false: an error was replied */
bool zsets_mpop(struct request *r, const struct zsets_mpop *m); /* false: no set is there, nothing was replied */
