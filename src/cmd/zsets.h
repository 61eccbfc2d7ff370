/* What the files of sorted set and geo commands share. */
#pragma once
#include "cmd/multi_pop.h"
#include "session/client.h"
#include "session/reply.h"
#include "store/zset.h"

/* --- Replies --------------------------------------------------------------------------------- */

/* Begin an array of n members, with their scores or without: in RESP3 a member with its score is an array of two, in
 * RESP2 it is two elements in a row. */
static inline void zsets_reply_array(struct client *c, size_t n, bool with_scores) {
    reply_array(c, with_scores && c->resp == 2 ? 2 * n : n);
}
static inline void zsets_reply_member(struct client *c, struct slice member, double score, bool with_score) {
    if (with_score && c->resp > 2) reply_array(c, 2);
    reply_bulk(c, member);
    if (with_score) reply_double(c, score);
}
/* The whole body of a command with the arguments "key member...": an array with what `found` replies for the score of
 * each member, and what `missing` replies where there is none. */
void zsets_reply_each(struct request *r, void (*found)(struct client *c, double score),
                      void (*missing)(struct client *c));

/* --- Changes --------------------------------------------------------------------------------- */

/* Publish that members were removed, and remove the key if they were the last. */
void zsets_removed(struct db *db, const struct key *key, struct entry *e, const char *event);
/* Make z, which is consumed and not empty, the value of a key in place of what is there; if z is NULL, remove the key.
 * Replies the number of members. */
void zsets_store(struct client *c, const struct key *key, struct zset *z, const char *event);

extern const struct multi_pop zsets_pop_type;
