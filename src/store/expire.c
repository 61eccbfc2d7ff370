/* Active expiry: expire.h describes the marks and their invariant.
 *
 * `next_ms` is no later than the earliest time at which any wheel has work, so a turn without work costs one
 * comparison. The databases that have a wheel are in a list, so that `databases 100000` costs nothing. */
#include "store/expire.h"
#include "base/clock.h"
#include "ds/wheel.h"
#include "store/prefetch.h"

#define SEQUENCE_BITS 3
#define SEQUENCE_MASK ((1u << SEQUENCE_BITS) - 1)
#define PREFIX_BITS (WHEEL_MARK_BITS - SEQUENCE_BITS)
#define STALE_MIN 1000     /* marks: fewer stale ones are not worth a sweep */
#define STALE_CHECK_MS 100 /* how often to look for stale marks, since deletions do not report them */
#define TTL_SAMPLES 64
#define RETRY_MS \
    1000 /* when to look again at an entry that is due and stays: the primary should have removed it by then */
static_assert(WHEEL_BATCH <= PREFETCH_MAX, "a batch of marks is fetched at once");

struct expire_metrics expire_metrics;
unsigned expire_holds;
int64_t expire_marked_ms = INT64_MAX;

static struct db **waiting; /* databases that have a wheel, or had one until the last run */
static size_t n_waiting, waiting_cap;
static size_t turn;                 /* index of the database that comes first in the next run */
static int64_t next_ms = INT64_MAX; /* no wheel has work before this */
static bool disabled;
static expire_remove_fn remove_entry;

void expire_init(expire_remove_fn remove) {
    remove_entry = remove;
}

static uint64_t mark_of(uint64_t hash, unsigned sequence) {
    return hash >> (64 - PREFIX_BITS) << SEQUENCE_BITS | sequence;
}

/* A key may still be read in the millisecond of its deadline. */
static int64_t due_ms_of(int64_t deadline_ms) {
    return deadline_ms < INT64_MAX ? deadline_ms + 1 : deadline_ms;
}

static int64_t earlier_ms(int64_t a_ms, int64_t b_ms) {
    return a_ms < b_ms ? a_ms : b_ms;
}

void expire_adopt(struct db *db) {
    next_ms = expire_marked_ms = INT64_MIN; /* its marks may be the earliest ones */
    for (size_t i = 0; i < n_waiting; i++) {
        if (waiting[i] == db) return;
    }
    if (n_waiting == waiting_cap) waiting = alloc_grow(waiting, &waiting_cap, sizeof *waiting, 16);
    waiting[n_waiting++] = db;
}

void expire_shutdown(void) {
    alloc_put(waiting, waiting_cap * sizeof *waiting);
    waiting = NULL;
    n_waiting = waiting_cap = turn = 0;
    next_ms = INT64_MAX;
}

/* This server becomes a primary: nothing is local, and marks of keys that were due have been put off. */
static void sweep_all(void) {
    for (size_t i = 0; i < n_waiting; i++) {
        expire_forget_all_local(waiting[i]);
        waiting[i]->resweep = true;
    }
    next_ms = INT64_MIN;
}

void expire_hold(enum expire_reason reason, bool on) {
    unsigned before = expire_holds;
    expire_holds = on ? expire_holds | reason : expire_holds & ~(unsigned)reason;
    if ((before & ~expire_holds) & EXPIRE_REPLICA) sweep_all();
}

size_t expire_tracked_keys(void) {
    size_t keys = 0;
    for (size_t i = 0; i < n_waiting; i++)
        keys += waiting[i]->local ? waiting[i]->local->count : 0;
    return keys;
}

void expire_enable(bool active) {
    disabled = !active;
    next_ms = INT64_MIN;
}

/* --- Local keys ------------------------------------------------------------------------------ */

/* A table of hashes beside the keyspace: few replicas are writable, and entries have no bit to spare. Of two keys with
 * the same 64 bits both are local, if one is. */
struct local_key {
    _Alignas(16) uint64_t hash; /* as a record of a table wants it */
};

static uint64_t local_hash(const void *record) {
    return ((const struct local_key *)record)->hash;
}

static bool is_local_hash(const void *record, const void *hash) {
    return local_hash(record) == *(const uint64_t *)hash;
}

static const struct table_type local_keys = {local_hash};

static struct local_key *find_local(const struct db *db, uint64_t hash) {
    return db->local ? table_find(db->local, hash, is_local_hash, &hash) : NULL;
}

bool expire_is_local(const struct db *db, uint64_t hash) {
    return find_local(db, hash) != NULL;
}

static void free_local(void *ctx, void *record) {
    (void)ctx;
    alloc_put(record, sizeof(struct local_key));
}

void expire_forget_all_local(struct db *db) {
    if (!db->local) return;
    table_clear(db->local, free_local, NULL);
    alloc_put(db->local, sizeof *db->local);
    db->local = NULL;
}

void expire_forget_local(struct db *db, uint64_t hash) {
    struct local_key *key = find_local(db, hash);
    if (!key) return;
    table_remove(db->local, hash, key);
    free_local(NULL, key);
    if (db->local->count == 0) expire_forget_all_local(db);
}

static void add_local(struct db *db, uint64_t hash) {
    if (!db->local) {
        db->local = alloc_get(sizeof *db->local);
        table_init(db->local, &local_keys);
    }
    struct local_key *key = alloc_get(sizeof *key);
    key->hash = hash;
    table_insert(db->local, hash, key);
}

/* The mark of a key that was the primary's may have been put off. */
bool expire_note_local(struct db *db, uint64_t hash) {
    bool local = (expire_holds & EXPIRE_REPLICA) && !expire_is_ignored() && db->id < EXPIRE_LOCAL_DBS && !db->spare;
    if (!local) expire_forget_local(db, hash);
    if (!local || expire_is_local(db, hash)) return false;
    add_local(db, hash);
    return true;
}

/* --- Marks ----------------------------------------------------------------------------------- */

size_t expire_stale_marks(const struct db *db) {
    size_t marks = db->wheel ? wheel_marks(db->wheel) : 0;
    return marks > db->expiring ? marks - db->expiring : 0;
}

/* One counter numbers all entries. If each entry began at 0, all stale marks of a key that is deleted and created over
 * and over would fit its newest entry. */
void expire_mark(struct db *db, struct entry *e, uint64_t hash) {
    static unsigned counter;
    unsigned last = (e->flags & ENTRY_SEQUENCE) >> ENTRY_SEQUENCE_SHIFT;
    unsigned sequence = ++counter & SEQUENCE_MASK;
    if (sequence == last) sequence = ++counter & SEQUENCE_MASK;
    e->flags = (uint8_t)((e->flags & ~ENTRY_SEQUENCE) | sequence << ENTRY_SEQUENCE_SHIFT);
    if (!db->wheel) {
        db->wheel = wheel_new(clock_now_ms());
        if (!db->spare) expire_adopt(db);
    }
    int64_t due_ms = due_ms_of(entry_deadline_ms(e));
    if (!db->spare) expire_marked_ms = earlier_ms(expire_marked_ms, entry_deadline_ms(e));
    wheel_add(db->wheel, mark_of(hash, sequence), due_ms);
    if (due_ms < next_ms) next_ms = earlier_ms(due_ms, clock_now_ms() + STALE_CHECK_MS);
}

/* --- The entries of a mark ------------------------------------------------------------------- */

struct search {
    struct db *db;
    uint64_t mark;
    int64_t now_ms;
    int64_t earliest_ms; /* deadline among the entries that stay */
    struct entry *due;   /* the first entry that goes */
    uint64_t hash;       /* of `due` */
    bool pending, more;  /* some entry stays; more than one goes */
};

/* The time before which an entry need not be looked at again. One that is due and must stay, since the primary will
 * remove it, is looked at ever more rarely. */
static int64_t rest_ms(const struct search *s, const struct entry *e, uint64_t hash) {
    int64_t deadline_ms = entry_deadline_ms(e), overdue_ms = s->now_ms - deadline_ms;
    if (overdue_ms <= 0 || expire_may_remove(s->db, hash)) return deadline_ms;
    return s->now_ms + (overdue_ms > RETRY_MS ? overdue_ms : RETRY_MS);
}

/* Whether the mark stands for the entry, whose hash is computed for that. */
static bool fits(const struct entry *e, uint64_t mark, uint64_t *hash) {
    unsigned sequence = (unsigned)(mark & SEQUENCE_MASK);
    if ((e->flags & (ENTRY_HAS_TTL | ENTRY_SEQUENCE)) != (ENTRY_HAS_TTL | sequence << ENTRY_SEQUENCE_SHIFT))
        return false;
    *hash = entry_hash(e);
    return mark_of(*hash, sequence) == mark;
}

static void search_entry(void *ctx, void *record) {
    struct search *s = ctx;
    struct entry *e = record;
    uint64_t hash;
    if (!fits(e, s->mark, &hash)) return;
    int64_t until_ms = rest_ms(s, e, hash);
    if (until_ms >= s->now_ms) {
        if (!s->pending || until_ms < s->earliest_ms) s->earliest_ms = until_ms;
        s->pending = true;
    } else if (!s->due) {
        s->due = e;
        s->hash = hash;
    } else {
        s->more = true;
    }
}

static uint64_t prefix_of(uint64_t mark) {
    return mark >> SEQUENCE_BITS << (64 - PREFIX_BITS);
}

struct found {
    uint64_t mark;
    struct entry *entry;
};

static void find_entry(void *ctx, void *record) {
    struct found *f = ctx;
    uint64_t hash;
    if (!fits(record, f->mark, &hash)) return;
    if (!f->entry || entry_deadline_ms(record) < entry_deadline_ms(f->entry)) f->entry = record;
}

uint64_t expire_hash_of(uint64_t mark) {
    return prefix_of(mark);
}

struct entry *expire_find(const struct db *db, uint64_t mark) {
    struct found f = {.mark = mark};
    table_visit_prefix(&db->keys, prefix_of(mark), PREFIX_BITS, find_entry, &f);
    return f.entry;
}

/* Remove the entries of this mark that are due. Returns when it must come back, or WHEEL_DROP. */
static int64_t resolve_one(struct db *db, uint64_t mark, int64_t now_ms) {
    struct search s;
    do {
        s = (struct search){.db = db, .mark = mark, .now_ms = now_ms};
        table_visit_prefix(&db->keys, prefix_of(mark), PREFIX_BITS, search_entry, &s);
        if (s.due) remove_entry(db, s.due, s.hash);
    } while (s.more);
    return s.pending ? due_ms_of(s.earliest_ms) : WHEEL_DROP;
}

struct pass {
    struct db *db;
    int64_t now_ms;
};

/* For the wheel. With all look-ups noted ahead, a batch waits for memory about twice instead of 32 times. */
static void resolve_marks(void *ctx, const uint64_t *marks, size_t n, int64_t *due_ms) {
    struct pass *pass = ctx;
    struct prefetch ahead;
    prefetch_begin(&ahead);
    for (size_t i = 0; i < n; i++)
        prefetch_key(&ahead, pass->db, prefix_of(marks[i]));
    prefetch_records(&ahead);
    for (size_t i = 0; i < n; i++) {
        /* Keep only the first of equal marks: its answer holds for all of them. */
        size_t twin = 0;
        while (twin < i && marks[twin] != marks[i])
            twin++;
        due_ms[i] = twin < i ? WHEEL_DROP : resolve_one(pass->db, marks[i], pass->now_ms);
    }
}

/* --- Turns ----------------------------------------------------------------------------------- */

/* Drop stale marks for a while. True: there are more to look at. Stale marks that happen to fit another entry survive a
 * sweep, so the next sweep begins only when the number of stale marks has doubled. */
static bool sweep_marks(struct db *db, int64_t now_ms, uint64_t until_ticks) {
    size_t stale = expire_stale_marks(db);
    bool few = stale <= wheel_marks(db->wheel) / 2 + STALE_MIN || stale <= db->sweep_above;
    if (!db->sweeping && few && !db->resweep) return false;
    if (!db->sweeping) db->resweep = false;
    db->sweeping = true;
    if (!wheel_sweep(db->wheel, until_ticks, resolve_marks, &(struct pass){db, now_ms})) return true;
    db->sweeping = false;
    db->sweep_above = 2 * expire_stale_marks(db);
    return db->resweep; /* it was wanted while this one was under way */
}

/* Expire the keys of one database for a while. Returns when it has work again. */
static int64_t run_one(struct db *db, int64_t now_ms, uint64_t until_ticks) {
    bool done = wheel_advance(db->wheel, now_ms, until_ticks, resolve_marks, &(struct pass){db, now_ms});
    if (!done || sweep_marks(db, now_ms, until_ticks)) return now_ms;
    int64_t ms = wheel_next_ms(db->wheel);
    return wheel_marks(db->wheel) > 0 ? earlier_ms(ms, now_ms + STALE_CHECK_MS) : ms;
}

int64_t expire_run(int64_t now_ms) {
    if (disabled || expire_holds & ~(unsigned)EXPIRE_REPLICA) return INT64_MAX;
    if (now_ms < next_ms) return next_ms;
    uint64_t began = clock_ticks(), until_ticks = began + clock_ns_to_ticks(EXPIRE_SLICE_US * 1000);
    int64_t earliest_ms = INT64_MAX;
    size_t left = n_waiting;
    for (bool first = true; left > 0; first = false, left--) {
        if (!first && clock_ticks() > until_ticks) break;
        if (turn >= n_waiting) turn = 0;
        struct db *db = waiting[turn];
        if (!db->wheel) { /* flushed since the last run */
            waiting[turn] = waiting[--n_waiting];
            continue;
        }
        earliest_ms = earlier_ms(earliest_ms, run_one(db, now_ms, until_ticks));
        turn++;
    }
    if (left > 0) earliest_ms = now_ms; /* the next run begins with the databases that had no turn */
    uint64_t now = clock_ticks();
    expire_metrics.ticks += now - began;
    expire_metrics.capped += now > until_ticks;
    return next_ms = earliest_ms;
}

int64_t expire_mean_ttl_ms(struct db *db) {
    if (db->expiring == 0) return 0;
    void *records[16];
    double sum_ms = 0;
    size_t n = 0;
    for (size_t drawn = 0, got; drawn < TTL_SAMPLES; drawn += got) {
        got = table_sample(&db->keys, records, sizeof records / sizeof *records);
        if (got == 0) break;
        for (size_t i = 0; i < got; i++) {
            if (!entry_has_ttl(records[i])) continue;
            int64_t deadline_ms = entry_deadline_ms(records[i]), now_ms = clock_now_ms();
            if (deadline_ms > now_ms) sum_ms += (double)deadline_ms - (double)now_ms;
            n++;
        }
    }
    if (n > 0) db->ttl_sum_ms = sum_ms / (double)n < 9e18 ? (int64_t)(sum_ms / (double)n) : INT64_MAX;
    return db->ttl_sum_ms;
}
