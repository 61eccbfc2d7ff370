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
/* Remove keys that are due, for a slice of time. Called once in a turn of the loop. Returns the wall time in ms at
 * which it wants to be called again: now if the slice was used up, INT64_MAX if no key has a deadline. */
int64_t expire_run(int64_t now_ms);

/* Three ways to stop active expiry. Keys that come due meanwhile are removed when it goes on.
 *
 *                 used by                    a key past its deadline   and is removed
 *     _enable     DEBUG SET-ACTIVE-EXPIRE    is absent                 by any look-up
 *     _hold       CLIENT PAUSE               is absent                 by look-ups for writing
 *     _suspend    loading of a log           exists                    by the log's own command, if there is one */
void expire_enable(bool active);
void expire_hold(bool held);
void expire_suspend(bool suspended);
extern bool expire_held, expire_suspended;

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
