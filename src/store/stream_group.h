/* Consumer groups: how far a group has read, its consumers, and what is pending.
 *
 * Every pending entry belongs to a consumer of its group; the functions here keep the counts. A pointer to a group or a
 * consumer is valid until that one is removed. Names are bytes of any length below 4 GB. */
#pragma once
#include "store/roster.h"
#include "store/stream_pending.h"

#define STREAM_UNREAD (-1) /* entries_read of a group: not known */

/* The fields are for reading; seen_ms and active_ms may be written. */
struct stream_consumer {
    struct roster_named named;
    int64_t seen_ms;       /* Unix time of its last attempt to read or claim */
    int64_t active_ms;     /* Unix time of its last success; STREAM_NEVER: there was none */
    size_t pending;        /* entries */
    struct stream_id from; /* none of its pending entries has a lower id */
};
#define STREAM_NEVER (-1)

struct stream_group {
    struct roster_named named;
    struct stream_id last_id; /* the last entry that was delivered */
    int64_t entries_read;     /* of all that were ever added, how many up to last_id; STREAM_UNREAD */
    struct {
        uint64_t edits;        /* the stream's, when the place was noted */
        uint32_t node, offset; /* the place behind last_id: slot in the row of nodes, offset in the listpack */
    } place;                   /* stream.c notes it, so that the next delivery begins without a search */
    struct roster *consumers;
    struct stream_pending *pending; /* NULL: nothing was ever pending; use stream_group_pending() */
};

/* --- Groups (of a stream: stream.h) ---------------------------------------------------------- */

extern const struct roster_kind stream_group_kind, stream_group_consumer_kind;

struct slice stream_group_name(const struct stream_group *g);
/* A new group that belongs to no stream yet. The caller owns it. */
struct stream_group *stream_group_new(struct slice name, struct stream_id last_id, int64_t entries_read);
void stream_group_free(struct stream_group *g); /* O(consumers + pending blocks) */
struct stream_group *stream_group_copy(const struct stream_group *g);
size_t stream_group_memory(const struct stream_group *g); /* O(consumers) */
/* XGROUP SETID, and what replication sets. */
void stream_group_set_id(struct stream_group *g, struct stream_id last_id, int64_t entries_read);

/* --- Consumers ------------------------------------------------------------------------------- */

struct slice stream_group_consumer_name(const struct stream_consumer *c);
static inline uint32_t stream_group_consumers(const struct stream_group *g) { /* their number */
    return roster_count(g->consumers);
}
struct stream_consumer *stream_group_consumer(const struct stream_group *g, struct slice name); /* NULL: none */
/* Add a consumer that is not there: seen at now_ms, never active. */
struct stream_consumer *stream_group_add_consumer(struct stream_group *g, struct slice name, int64_t now_ms);
/* Remove a consumer, and its pending entries with it. Returns their number. O(pending blocks) if it has some. */
size_t stream_group_remove_consumer(struct stream_group *g, struct stream_consumer *c);
/* The consumers in the order of their names, in an array of *bytes that the caller frees. NULL: there are none. */
struct stream_consumer **stream_group_sorted_consumers(const struct stream_group *g, size_t *bytes);

/* --- Pending entries ------------------------------------------------------------------------- */

struct stream_nack {
    struct stream_id id;
    struct stream_consumer *consumer;
    int64_t time_ms;     /* Unix time of the last delivery */
    uint64_t deliveries; /* is kept up to 2^32 - 1 */
};

static inline size_t stream_group_pending(const struct stream_group *g) { /* their number; O(1) */
    return g->pending ? g->pending->count : 0;
}
/* The least and the greatest pending id. False: nothing is pending. O(1). */
bool stream_group_edges(const struct stream_group *g, struct stream_id *min, struct stream_id *max);
/* What is known of a pending entry. False: it is not pending. O(log n), at the end O(1). */
bool stream_group_nack(const struct stream_group *g, struct stream_id id, struct stream_nack *nack);
/* An entry was delivered or claimed: add it to those that are pending, or overwrite what was known of it, whichever
 * consumer it belonged to. True: it is new. O(log n), at the end O(1). */
bool stream_group_deliver(struct stream_group *g, const struct stream_nack *nack);
bool stream_group_ack(struct stream_group *g, struct stream_id id); /* false: it was not pending */

/* A walk over the pending entries of a group, or of one consumer in it, by id. */
struct stream_group_walk {
    struct stream_nack nack; /* the entry that next() found */
    struct stream_group *group;
    struct stream_consumer *of; /* NULL: all */
    size_t left;                /* entries of the consumer that may still come */
    bool from_start;            /* no entry of the consumer is before the walk */
    struct stream_pending_cursor cursor;
};
/* Start before the first entry whose id is at least `from`. The walk is valid until pending entries or consumers change
 * otherwise than by assign() and drop() below. */
void stream_group_walk(struct stream_group_walk *w, struct stream_group *g, struct stream_consumer *of,
                       struct stream_id from);
bool stream_group_walk_next(struct stream_group_walk *w); /* false: there is no further one */
/* The entry that next() found gets another consumer, time and number of deliveries: w->nack as the caller has changed
 * it (but for its id). The walk goes on behind it. */
void stream_group_walk_assign(struct stream_group_walk *w);
void stream_group_walk_drop(struct stream_group_walk *w); /* it is pending no more */

/* For a snapshot, which tells first what is pending and then whose it is. */
/* Add a pending entry without a consumer; nack->consumer is not read. False: its id was there before. */
bool stream_group_expect(struct stream_group *g, const struct stream_nack *nack);
/* Give it a consumer. False: no such entry is pending, or it has one. */
bool stream_group_own(struct stream_group *g, struct stream_consumer *c, struct stream_id id);
bool stream_group_all_owned(const struct stream_group *g); /* each entry has a consumer; O(consumers) */

/* For tests: asserts that the counts are right. O(n). */
void stream_group_check(const struct stream_group *g);
