/* What the commands on streams have in common: ids and entries in replies, ids and groups in requests. */
#pragma once
#include "session/request.h"
#include "store/stream.h"

struct client;

#define STREAMS_ID_MAX 42 /* bytes of the longest id, and one spare */

/* Write `ms-seq` to `to`, which has STREAMS_ID_MAX bytes. */
struct slice streams_print_id(char *to, struct stream_id id);
void streams_reply_id(struct client *c, struct stream_id id);
/* The entry that the iterator shows: its id, and an array of names and values. */
void streams_reply_entry(struct client *c, struct stream_iter *it);
/* The entries that the iterator will show, as an array of at most `count`; 0: all. Returns how many they are. */
uint64_t streams_reply_entries(struct client *c, struct stream_iter *it, uint64_t count);

/* The value of the request's first key for a command that does not change its entries; *s is NULL if there is none.
 * False: it has another type; replied. */
bool streams_read(struct request *r, struct stream **s);
/* The same for a command that may change it. */
bool streams_write(struct request *r, struct stream **s);
/* A group, a consumer or the last id has changed. As in Redis, WATCH and client-side caches do not see it. */
static inline void streams_changed_beside(struct db *db, const struct key *key, const char *event) {
    db_changed(db, key, DB_STREAM | DB_BESIDE, event);
}
/* The group that the word behind the key names. NULL: the key or the group is not there, which was replied. */
struct stream_group *streams_need_group(struct request *r, const struct stream *s);

#define STREAMS_NEAR 32
/* Ids that a request names: in `near` if they are few, else allocated. */
struct streams_ids {
    struct stream_id *at;
    size_t count, room;
    struct stream_id near[STREAMS_NEAR];
};
void streams_ids_open(struct streams_ids *ids, int room);
void streams_ids_close(struct streams_ids *ids);
/* Open, and read n ids. False: one is wrong; that was replied, and nothing is open. */
bool streams_ids_read(struct client *c, const struct slice *argv, int n, struct streams_ids *ids);
