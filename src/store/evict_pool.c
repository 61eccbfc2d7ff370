/* See evict_pool.h. Nothing here points to an entry: candidates and draws name places, which are looked up again when
 * their turn comes. So keys may come and go, and databases be emptied and swapped, without anybody telling. */
#include "store/evict_pool.h"
#include "base/alloc.h"
#include "base/rand.h"
#include "ds/wheel.h"
#include "store/db.h"
#include "store/evict.h"
#include "store/expire.h"
#include "store/soonest.h"
#include <string.h>

#define SAMPLES_MAX 64
#define TRIES 64       /* draws without a key, or rounds, before all is searched */
#define AHEAD 8        /* draws in the pipeline */
#define POOL 16        /* candidates */
#define FEW 8          /* keys with a deadline are few below this part of all: the wheel is drawn from */
#define STOCK 1024     /* marks, spread over the wheels */
#define COUNT_DRAWS 64 /* at least so many draws are made before the keys are counted anew */

/* --- The databases ----------------------------------------------------------------------------- */

/* A database with keys that may be evicted. A draw below `end`, and not below that of the share before, falls to it. */
struct share {
    struct db *db;
    size_t end;
};
static struct share *shares;
static size_t n_shares, shares_cap;
static long draws_left; /* until the shares are counted anew */
static size_t marks;    /* of all wheels */
static bool from_wheel; /* draw from the wheels */
static bool pressed;

static bool is_random(void) {
    return evict_options.policy == EVICT_ALLKEYS_RANDOM || evict_options.policy == EVICT_VOLATILE_RANDOM;
}

/* Lines are drawn, unless the policy is random: then entries are. */
static size_t weight_of(const struct db *db) {
    if (evict_is_volatile() && db->expiring == 0) return 0;
    return is_random() ? db_size(db) : db_size(db) ? table_memory(&db->keys) / 64 : 0;
}

static void count_shares(void) {
    size_t keys = 0, end = 0;
    n_shares = marks = 0;
    for (int i = 0; i < db_count(); i++) {
        struct db *db = db_at(i);
        size_t weight = weight_of(db);
        if (weight == 0) continue;
        if (n_shares == shares_cap) shares = alloc_grow(shares, &shares_cap, sizeof *shares, 4);
        shares[n_shares++] = (struct share){db, end += weight};
        keys += db_size(db);
        if (db->wheel) marks += wheel_marks(db->wheel);
    }
    draws_left = n_shares > COUNT_DRAWS ? (long)n_shares : COUNT_DRAWS;
    from_wheel = evict_is_volatile() && db_expiring() < keys / FEW;
    if (pressed) evict_learn(true, evict_is_volatile() ? db_expiring() : keys);
}

/* It may have been emptied since it was counted. */
static struct db *draw_db(void) {
    draws_left--;
    if (n_shares == 1) return shares[0].db;
    size_t at = rand_below(shares[n_shares - 1].end), low = 0, high = n_shares - 1;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (at < shares[middle].end) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return shares[low].db;
}

static bool may_go(const struct entry *e) {
    return !evict_is_volatile() || entry_has_ttl(e);
}

static void evict_entry(struct db *db, struct entry *e, uint64_t hash) {
    struct key key = {entry_key(e), hash};
    evict_forget(e, hash);
    db_evict(db, &key, e);
}

static struct entry *find_marked(struct db *db) {
    struct entry *e = NULL;
    uint64_t mark;
    if (!db->wheel) return NULL;
    for (size_t left = wheel_marks(db->wheel) + 1; !e && left > 0; left--) {
        if (wheel_read(db->wheel, 1, &mark)) e = expire_find(db, mark);
    }
    return e;
}

/* Find anything that may go, in O(1) or through all marks. Draws have failed: what is left is rare. */
static bool evict_anything(void) {
    count_shares();
    for (size_t i = 0; i < n_shares; i++) {
        struct db *db = shares[i].db;
        struct entry *e = evict_is_volatile() ? find_marked(db) : table_random(&db->keys);
        if (!e) continue;
        evict_entry(db, e, entry_hash(e));
        return true;
    }
    return false;
}

/* --- A stock of marks -------------------------------------------------------------------------- */

/* Marks that follow one another in a wheel belong to keys that were set one after the other. So they are not drawn as
 * they are read, but from a stock of marks that have been read in steps so wide that it stands for all of them. */
struct place {
    struct db *db;
    uint64_t at; /* a point of the table (table_draw()), or a mark */
};
static struct place stock[STOCK];
static size_t stocked;
static size_t reading; /* the share whose wheel is read */

static struct place read_mark(void) {
    size_t mean = marks / STOCK + 1;
    for (size_t left = n_shares + 1; left > 0; left--) {
        struct place place = {shares[reading % n_shares].db, 0};
        size_t stride = 1 + rand_below(2 * mean - 1);
        if (place.db->wheel && wheel_read(place.db->wheel, stride, &place.at)) return place;
        reading++;
    }
    return (struct place){shares[0].db, 0};
}

static struct place draw_mark(void) {
    while (stocked < STOCK)
        stock[stocked++] = read_mark();
    struct place *taken = &stock[rand_below(STOCK)], place = *taken;
    *taken = read_mark();
    return place;
}

/* --- The pipeline ------------------------------------------------------------------------------ */

static struct place pipeline[AHEAD];
static unsigned turn; /* the oldest draw is pipeline[turn % AHEAD] */
static bool filled;

static struct place draw_place(void) {
    struct db *db = draw_db();
    if (from_wheel) return draw_mark();
    return (struct place){db, db_size(db) ? table_draw(&db->keys) : 0};
}

static uint64_t hash_of(struct place p) {
    return from_wheel ? expire_hash_of(p.at) : p.at;
}

static size_t read_place(struct place p, void *records[TABLE_LINE]) {
    if (!from_wheel) return table_line(&p.db->keys, p.at, records);
    records[0] = expire_find(p.db, p.at);
    return records[0] ? 1 : 0;
}

static void fetch_entries(struct place p) {
    void *records[TABLE_LINE];
    if (from_wheel) {
        table_prefetch_place(table_place(&p.db->keys, hash_of(p)));
        return;
    }
    for (size_t i = table_line(&p.db->keys, p.at, records); i-- > 0;)
        table_fetch(records[i]);
}

/* The draw whose turn it is; a new one takes its place. */
static struct place next_place(void) {
    struct place *slot = &pipeline[turn++ % AHEAD], place = *slot;
    *slot = draw_place();
    table_prefetch_line(&slot->db->keys, hash_of(*slot));
    if (filled) fetch_entries(pipeline[(turn + AHEAD / 2) % AHEAD]);
    return place;
}

/* --- The pool ---------------------------------------------------------------------------------- */

struct candidate {
    uint64_t order; /* evict_order() */
    uint64_t hash;
    struct db *db;
    uint32_t trace; /* it is not evicted if this has changed */
};
static struct candidate pool[POOL]; /* the first to go last */
static unsigned n_pool;

static void offer(struct db *db, struct entry *e) {
    uint64_t order = evict_order(e);
    if (n_pool > POOL / 2 && order >= pool[0].order) return; /* it would wait for long, and has to be hashed */
    struct candidate c = {order, entry_hash(e), db, evict_trace(e)};
    for (unsigned i = 0; i < n_pool; i++) {
        if (pool[i].hash == c.hash) return;
    }
    if (n_pool == POOL) memmove(pool, pool + 1, --n_pool * sizeof *pool);
    unsigned at = n_pool++;
    for (; at > 0 && pool[at - 1].order < order; at--)
        pool[at] = pool[at - 1];
    pool[at] = c;
}

static bool is_candidate(const void *record, const void *key) {
    const struct candidate *c = key;
    return evict_trace(record) == c->trace && entry_hash(record) == c->hash && may_go(record);
}

static void look_around(void) {
    int owed = evict_options.samples < SAMPLES_MAX ? evict_options.samples : SAMPLES_MAX;
    for (int tries = TRIES; tries > 0 && (owed > 0 || n_pool == 0); tries--) {
        void *records[TABLE_LINE];
        struct place place = next_place();
        for (size_t i = read_place(place, records); i-- > 0;) {
            if (!may_go(records[i])) continue;
            offer(place.db, records[i]);
            owed--;
        }
    }
}

static bool evict_lowest(void) {
    for (int tries = TRIES; tries > 0; tries--) {
        look_around();
        while (n_pool > 0) {
            const struct candidate *c = &pool[--n_pool];
            struct entry *e = table_find(&c->db->keys, c->hash, is_candidate, c);
            if (!e) continue;
            evict_entry(c->db, e, c->hash);
            return true;
        }
    }
    return evict_anything();
}

/* --- Random ------------------------------------------------------------------------------------ */

static bool evict_random(void) {
    for (int tries = TRIES; tries > 0; tries--) {
        struct place place = {draw_db(), 0};
        if (from_wheel) place = draw_mark();
        struct entry *e = from_wheel ? expire_find(place.db, place.at) : table_random(&place.db->keys);
        if (!e || !may_go(e)) continue;
        evict_entry(place.db, e, entry_hash(e));
        return true;
    }
    return evict_anything();
}

static bool evict_soonest(void) {
    struct soonest next = soonest_next();
    if (!next.entry) return evict_anything();
    evict_entry(next.db, next.entry, next.hash);
    return true;
}

/* --- The door ---------------------------------------------------------------------------------- */

/* Begin anew: what was drawn and chosen has no meaning under another policy. */
static void restart(void) {
    n_shares = stocked = n_pool = 0;
    filled = false;
    turn = 0;
}

/* Count when that is due, and fill the pipeline. False: no key may go. */
static bool prepare(void) {
    static int policy = EVICT_NOEVICTION;
    if (policy != evict_options.policy) restart();
    policy = evict_options.policy;
    bool was_from_wheel = from_wheel;
    if (n_shares == 0 || draws_left <= 0) count_shares();
    if (was_from_wheel != from_wheel) filled = false;
    if (n_shares == 0) return false;
    for (unsigned i = 0; i < AHEAD && !filled; i++)
        next_place();
    filled = true;
    return true;
}

void evict_set_pressure(bool on) {
    pressed = on;
    if (on) {
        count_shares();
        return;
    }
    restart();
    alloc_put(shares, shares_cap * sizeof *shares);
    shares = NULL;
    shares_cap = 0;
    evict_learn(false, 0);
}

bool evict_one(void) {
    if (!evict_policy_evicts() || (evict_is_volatile() && db_expiring() == 0)) return false;
    if (evict_options.policy == EVICT_VOLATILE_TTL) return evict_soonest();
    if (!prepare()) return false;
    return is_random() ? evict_random() : evict_lowest();
}
