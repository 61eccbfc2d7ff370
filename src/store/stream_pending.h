/* The pending entries of a group: delivered to a consumer, and not acknowledged yet.
 *
 * They are a sorted row of blocks of up to STREAM_PENDING_BLOCK entries, with a gap at its front. A block is columns:
 *
 *     | id, 16 | ...  | time, 8 | ...  | consumer, 4 | ...  | deliveries, 4 | ... |        each `room` times
 *
 * and a mask in the row tells which of its entries live. So an acknowledgement clears a bit, a new entry nearly always
 * goes to the end, and an entry takes about 33 bytes, without an allocation of its own. Consumers are indexes
 * (roster.h). The entries of one consumer are found by comparing a column, 4 bytes an entry, and only in blocks whose
 * `consumers` has its bit.
 *
 * This file keeps no counts of consumers: stream_group.h does. */
#pragma once
#include "store/stream_id.h"
#include <stddef.h>

#define STREAM_PENDING_BLOCK 64
#define STREAM_PENDING_ANY UINT32_MAX /* instead of a consumer's index: entries of all */

struct stream_pending_block {
    struct stream_id first; /* no entry of the block has a lower id, none of the block before a higher or equal one */
    uint64_t mask;          /* of the slots that live */
    uint8_t *columns;
    uint8_t used, room; /* slots */
    uint32_t consumers; /* bit (index % 32) is set for each consumer that has entries here, perhaps for others */
};

/* {0} is an empty one. `count` may be read by others. */
struct stream_pending {
    struct stream_pending_block *blocks; /* the block of the row; block i is blocks[first + i] */
    uint32_t room, first, used;
    size_t count; /* entries that live */
};

struct stream_pending_entry {
    struct stream_id id;
    int64_t time_ms;     /* Unix time of the last delivery */
    uint32_t consumer;   /* its index */
    uint32_t deliveries; /* stays at its greatest value */
};

/* A place among the entries, which moves forward. `entry` is the one that the last stream_pending_next() found. */
struct stream_pending_cursor {
    struct stream_pending *pending;
    struct stream_pending_entry entry;
    uint32_t block, consumer;
    unsigned slot;
    uint64_t left; /* of the block: slots to visit */
};

void stream_pending_free(struct stream_pending *p); /* back to {0}; O(blocks) */
void stream_pending_copy(struct stream_pending *to, const struct stream_pending *from);
size_t stream_pending_memory(const struct stream_pending *p); /* bytes, the struct not counted; O(blocks) */

/* The entry with this id. False: it is not pending. O(log blocks + log 64), at the end O(1). */
bool stream_pending_find(const struct stream_pending *p, struct stream_id id, struct stream_pending_entry *e);
/* Add an entry, or overwrite the one with its id. True: it was there before, and was *old (NULL: not wanted). */
bool stream_pending_put(struct stream_pending *p, const struct stream_pending_entry *e,
                        struct stream_pending_entry *old);
/* Remove the entry with this id. False: there is none; else it was *old. */
bool stream_pending_remove(struct stream_pending *p, struct stream_id id, struct stream_pending_entry *old);
/* The least and the greatest id. There must be entries. O(1). */
struct stream_id stream_pending_min(const struct stream_pending *p);
struct stream_id stream_pending_max(const struct stream_pending *p);

/* Start before the first entry of this consumer (or of STREAM_PENDING_ANY) whose id is at least `from`. The cursor is
 * valid until anything changes other than by the two functions below. */
void stream_pending_start(struct stream_pending_cursor *c, struct stream_pending *p, uint32_t consumer,
                          struct stream_id from);
bool stream_pending_next(struct stream_pending_cursor *c);   /* false: there is no further one */
void stream_pending_assign(struct stream_pending_cursor *c); /* c->entry, but for its id, is written back */
void stream_pending_drop(struct stream_pending_cursor *c);   /* the entry is removed; next() goes on behind it */

/* For tests: asserts every invariant. O(n). */
void stream_pending_check(const struct stream_pending *p);
