/* Active expiry: keys are removed soon after their deadlines, without anybody looking them up.
 *
 * The deadline is in the entry. The timing wheel of a database holds marks of 40 bits: the top 37 bits of the key's
 * hash and a sequence of 3 bits. A mark holds no pointer, so DEL has nothing to unlink: a mark that comes due is looked
 * up by the prefix of the hash, and dropped if no entry with a deadline and the same sequence is there.
 *
 * Invariant: for every entry with a deadline there is a mark of its sequence that comes due no later than the first
 * millisecond after the deadline. If a deadline moves later, the old mark stays: it comes early, and is filed again. If
 * it moves earlier, the entry gets a new sequence and a new mark, and the old mark is stale. The mark of a key that was
 * deleted is stale too. So the number of stale marks is the number of marks less the number of keys with a deadline;
 * when more than half of all marks are stale, a sweep in slices drops them.
 *
 * Two entries may agree in 37 bits and the sequence, and a stale mark may fit a newer entry. Both are harmless: a mark
 * stands for all entries that it fits. It removes those that are due, and comes back at the earliest deadline of the
 * others. */
#pragma once
#include "store/entry.h"
#include "store/keyspace.h"
#include <stdint.h>

#define EXPIRE_SLICE_US 500 /* about the longest time that one expire_run() takes */

/* For db.c: how to remove an entry that is due, with its statistics, hooks and the "expired" event. */
typedef void (*expire_remove_fn)(struct db *db, struct entry *e, uint64_t hash);
void expire_init(expire_remove_fn remove);

struct expire_metrics {
    uint64_t ticks;  /* spent in expire_run(), in clock_ticks() */
    uint64_t capped; /* calls of expire_run() that used up their slice */
};
extern struct expire_metrics expire_metrics;

/* File a mark for an entry that got a deadline, or an earlier one. O(1). */
void expire_mark(struct db *db, struct entry *e, uint64_t hash);
/* The earliest deadline for which a mark was filed since somebody set this to INT64_MAX. */
extern int64_t expire_marked_ms;
/* Remove keys that are due, for a slice of time. Called once in a turn of the loop. Returns the wall time in ms at
 * which it wants to be called again: now if the slice was used up, INT64_MAX if no key has a deadline. */
int64_t expire_run(int64_t now_ms);

void expire_enable(bool active); /* DEBUG SET-ACTIVE-EXPIRE 0: only look-ups remove keys */

/* Why no key is removed at its deadline, for now. Keys that come due meanwhile go when the last reason has ended.
 *
 *                       a key past its deadline   and is removed
 *     EXPIRE_PAUSED     is absent                 by look-ups for writing, which need its place
 *     EXPIRE_LOADING    exists                    by the log's own command, if there is one */
enum expire_reason {
    EXPIRE_PAUSED = 1 << 0,  /* CLIENT PAUSE: the data stand still */
    EXPIRE_LOADING = 1 << 1, /* a log is replayed: what was removed then is removed by its commands */
};
void expire_hold(enum expire_reason reason, bool on);
extern unsigned expire_holds; /* the reasons there are, enum expire_reason */

/* Deadlines are not looked at. */
static inline bool expire_is_ignored(void) {
    return expire_holds & EXPIRE_LOADING;
}

/* The entry to which a mark of the wheel belongs, the one with the earliest deadline if there are several; NULL if the
 * mark is stale. And a hash that begins like the entry's, to fetch it ahead. O(1). */
struct entry *expire_find(const struct db *db, uint64_t mark);
uint64_t expire_hash_of(uint64_t mark);

size_t expire_stale_marks(const struct db *db); /* O(1) */
/* For db.c: this database got its wheel by a swap. */
void expire_adopt(struct db *db);
/* For db.c: all databases are about to be freed. */
void expire_shutdown(void);
/* The mean remaining time of the keys that have a deadline, in ms, estimated from some samples. */
int64_t expire_mean_ttl_ms(struct db *db);
