/* See soonest.h. The queue names its keys by hash, so they may change and go without telling. */
#include "store/soonest.h"
#include "ds/wheel.h"
#include "store/db.h"
#include "store/expire.h"
#include "store/prefetch.h"
#include <stdlib.h>

#define QUEUE 1024
#define FILLS 64 /* until a key is found: marks beyond the wheel's horizon never come near */

/* The keys that are due before a certain time, in the order of their deadlines. If there are more marks than QUEUE
 * where those keys are looked for, a quarter of what was found goes before more is read: then the order is not exact.
 * */
struct soon {
    int64_t deadline_ms;
    uint64_t hash;
    struct db *db;
};
static struct soon queue[QUEUE];
static size_t queued, next_soon;
static int64_t queue_before_ms;

static void queue_marks(void *ctx, const uint64_t *batch, size_t n, int64_t *due_ms) {
    struct db *db = ctx;
    struct prefetch ahead;
    prefetch_begin(&ahead);
    for (size_t i = 0; i < n; i++)
        prefetch_key(&ahead, db, expire_hash_of(batch[i]));
    prefetch_records(&ahead);
    for (size_t i = 0; i < n; i++) {
        const struct entry *e = expire_find(db, batch[i]);
        due_ms[i] = e ? entry_deadline_ms(e) : WHEEL_DROP;
        if (e && due_ms[i] < INT64_MAX) due_ms[i]++; /* a key may still be read in the millisecond of its deadline */
        if (e && due_ms[i] < queue_before_ms) queue[queued++] = (struct soon){entry_deadline_ms(e), entry_hash(e), db};
    }
}

static int by_deadline(const void *a, const void *b) {
    const struct soon *one = a, *other = b;
    return (one->deadline_ms > other->deadline_ms) - (one->deadline_ms < other->deadline_ms);
}

/* False: no key has a deadline. */
static bool fill_queue(void) {
    unsigned batches = QUEUE / WHEEL_BATCH;
    bool all = true;
    queued = next_soon = 0;
    queue_before_ms = expire_marked_ms = INT64_MAX;
    for (int i = 0; i < db_count(); i++) {
        struct db *db = db_at(i);
        int64_t before_ms = db->wheel ? wheel_first_ms(db->wheel) : INT64_MAX;
        if (before_ms < queue_before_ms) queue_before_ms = before_ms;
    }
    for (int i = 0; i < db_count() && all; i++) {
        struct db *db = db_at(i);
        if (db->wheel) all = wheel_resolve_first(db->wheel, queue_before_ms, &batches, queue_marks, db);
    }
    qsort(queue, queued, sizeof *queue, by_deadline);
    if (!all) queued = (queued + 3) / 4;
    return queue_before_ms < INT64_MAX;
}

static bool is_soon(const void *record, const void *key) {
    return entry_hash(record) == *(const uint64_t *)key && entry_has_ttl(record);
}

struct soonest soonest_next(void) {
    for (int fills = 0; db_expiring() > 0;) {
        if (next_soon == queued || expire_marked_ms < queue[next_soon].deadline_ms) {
            if (fills++ == FILLS || !fill_queue()) break;
            continue;
        }
        const struct soon *s = &queue[next_soon++];
        struct entry *e = table_find(&s->db->keys, s->hash, is_soon, &s->hash);
        if (e && entry_deadline_ms(e) == s->deadline_ms) return (struct soonest){s->db, e, s->hash};
        if (e) next_soon = queued; /* it may have moved to a place between the others */
    }
    return (struct soonest){0};
}
