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
#include "base/likely.h"
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

/* Why keys are not removed at their deadlines, for now. Those that come due meanwhile go when the last reason has
 * ended.
 *
 *                       a key past its deadline   and is removed
 *     EXPIRE_PAUSED     is absent                 by look-ups for writing, which need its place
 *     EXPIRE_LOADING    exists                    by the log's own command, if there is one
 *     EXPIRE_REPLICA    is absent                 by the primary's command, and by look-ups for writing
 *     EXPIRE_STREAM     exists                    by this very command, perhaps
 *
 * What a client of a replica gives a deadline, the replica removes itself, as the primary knows nothing of it: such a
 * key is local, until the stream gives it another deadline. In the databases below EXPIRE_LOCAL_DBS only, as in Redis.
 * Which clock is right does not matter to the data of the primary: a replica whose clock is ahead hides them, and one
 * that is behind shows them. */
enum expire_reason {
    EXPIRE_PAUSED = 1 << 0,  /* CLIENT PAUSE: the data stand still */
    EXPIRE_LOADING = 1 << 1, /* a log is replayed: what was removed then is removed by its commands */
    EXPIRE_REPLICA = 1 << 2, /* this server follows a primary, which removes keys */
    EXPIRE_STREAM = 1 << 3,  /* a command of the primary runs */
};
#define EXPIRE_LOCAL_DBS 64
void expire_hold(enum expire_reason reason, bool on);
extern unsigned expire_holds; /* the reasons there are, enum expire_reason */

/* Deadlines are not looked at. */
static inline bool expire_is_ignored(void) {
    return expire_holds & (EXPIRE_LOADING | EXPIRE_STREAM);
}
bool expire_is_local(const struct db *db, uint64_t hash);
/* May a key be removed once it is due? */
static inline bool expire_may_remove(const struct db *db, uint64_t hash) {
    return expire_holds == 0 || (expire_holds == EXPIRE_REPLICA && expire_is_local(db, hash));
}
/* For db.c: a key got another deadline. True: it needs a mark, even if the deadline is later than before. */
bool expire_note_local(struct db *db, uint64_t hash);
static inline bool expire_note_deadline(struct db *db, uint64_t hash) {
    return unlikely(expire_holds || db->local) && expire_note_local(db, hash);
}
/* For db.c: a key has no deadline any more, or is leaving; the same for all keys. */
void expire_forget_local(struct db *db, uint64_t hash);
void expire_forget_all_local(struct db *db);
size_t expire_tracked_keys(void); /* local ones. O(databases with deadlines) */

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
