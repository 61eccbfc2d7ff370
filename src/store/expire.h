/* Active expiry. The deadline lives in the entry; the timing wheel of a database holds marks of 40 bits: the
 * top 37 bits of the key's hash and a 3-bit sequence. No pointer, so DEL unlinks nothing: a mark that comes
 * due is looked up by its hash prefix, and dropped when no entry with a TTL and the same sequence is there.
 *
 * Invariant: for every entry with a TTL there is a mark of its sequence that comes due no later than the
 * first millisecond after the deadline. A deadline moved later needs no new mark: the old one comes early,
 * sees the deadline and is filed again. One moved earlier takes a new sequence and a new mark, and the old
 * mark goes stale; so does the mark of a key that dies before its time. Stale marks are thus what the wheel
 * has beyond the keys with a TTL; when they are more than half of all marks, a sweep in slices drops them.
 *
 * Two entries may agree in 37 bits and sequence, and a stale mark may fit an entry that
 * came later. Both are harmless, since a mark stands for all entries that it fits: it
 * removes those that are due and comes back at the earliest deadline of the others. */
#pragma once
#include "store/entry.h"
#include "store/keyspace.h"
#include <stdint.h>

#define EXPIRE_SLICE_US 500 /* the most that one call of expire_run may take, about */

/* How to remove an entry whose time has come: statistics, hooks, "expired" event. For db.c, which calls this. */
typedef void (*expire_remove_fn)(struct db *db, struct entry *e, uint64_t hash);
void expire_init(expire_remove_fn remove);

struct expire_metrics {
    uint64_t ticks;  /* of the clock (base/clock.h), spent on active expiry */
    uint64_t capped; /* calls of expire_run that ran out of their slice */
};
extern struct expire_metrics expire_metrics;

/* An entry got a TTL, or one that is due earlier than before: file a mark. */
void expire_mark(struct db *db, struct entry *e, uint64_t hash);
/* Remove what is due, bounded in time; call once a turn of the loop. Returns the wall time in ms at
 * which it wants to be called again (now, if it ran out of its slice; INT64_MAX if nothing waits). */
int64_t expire_run(int64_t now_ms);

/* Three ways to stop it, for three reasons; what is overdue then goes when it goes on.
 *
 *                 who does               a key past its deadline is     and is removed by
 *     _enable     DEBUG SET-ACTIVE-...   absent                         whoever comes across it, reading or writing
 *     _hold       CLIENT PAUSE           absent                         whoever is about to write it
 *     _suspend    replay of a log        there, as it was back then     the command in the log that ended it, if any */
void expire_enable(bool active);
void expire_hold(bool held);
void expire_suspend(bool suspended);
extern bool expire_held, expire_suspended;

size_t expire_stale_marks(const struct db *db);
/* For db.c: a wheel came to this database by a swap; the databases themselves go away. */
void expire_adopt(struct db *db);
void expire_shutdown(void);
/* Estimated mean remaining TTL of a database in ms, from a few samples. */
int64_t expire_mean_ttl_ms(struct db *db);
