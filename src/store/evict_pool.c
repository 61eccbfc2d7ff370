/* See evict_pool.h. */
#include "store/evict_pool.h"
#include "base/rand.h"
#include "store/db.h"
#include "store/evict.h"

void evict_set_pressure(bool on) {
    (void)on;
}

static size_t evictable(const struct db *db) {
    return evict_is_volatile() ? db->expiring : db_size(db);
}

static struct db *draw_db(void) {
    size_t total = 0;
    for (int i = 0; i < db_count(); i++)
        total += evictable(db_at(i));
    if (total == 0) return NULL;
    size_t at = rand_below(total);
    for (int i = 0;; i++) {
        if (at < evictable(db_at(i))) return db_at(i);
        at -= evictable(db_at(i));
    }
}

bool evict_one(void) {
    struct db *db = evict_policy_evicts() ? draw_db() : NULL;
    if (!db) return false;
    struct entry *e;
    do {
        e = table_random(&db->keys);
    } while (evict_is_volatile() && !entry_has_ttl(e));
    struct key key = {entry_key(e), entry_hash(e)};
    db_evict(db, &key, e);
    return true;
}
