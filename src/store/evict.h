/* The access clock of entries: when or how often an entry was used.
 *
 * An entry holds 24 bits: under an LFU policy the counter of accesses, else the time of the last access in seconds. */
#pragma once
#include "base/likely.h"
#include "store/entry.h"
#include <stdint.h>

enum evict_policy {
    EVICT_VOLATILE_LRU,
    EVICT_VOLATILE_LFU,
    EVICT_VOLATILE_RANDOM,
    EVICT_VOLATILE_TTL,
    EVICT_ALLKEYS_LRU,
    EVICT_ALLKEYS_LFU,
    EVICT_ALLKEYS_RANDOM,
    EVICT_NOEVICTION,
};

struct evict_options {
    int policy;         /* enum evict_policy */
    int samples;        /* 5: entries looked at for a victim */
    int lfu_log_factor; /* 10 */
    int lfu_decay_min;  /* 1: an idle counter loses one for each period of this many minutes */
};
extern struct evict_options evict_options;
extern uint32_t evict_clock; /* the time that evict_touch() stores; 0: call evict_touch_slowly() instead */

void evict_tick(int64_t now_ms); /* call at least once a second, with clock_steady_ms() */
void evict_hold(bool held);      /* while held, touching does nothing: CLIENT NO-TOUCH */
void evict_freeze(bool freeze);  /* the same while a forked child shares the pages */
bool evict_uses_lfu(void);
static inline bool evict_policy_evicts(void) {
    return evict_options.policy != EVICT_NOEVICTION;
}
/* Only keys with a deadline may be evicted. */
static inline bool evict_is_volatile(void) {
    return evict_options.policy <= EVICT_VOLATILE_TTL;
}
void evict_touch_slowly(struct entry *e); /* for evict_touch() */
void evict_init_access(struct entry *e);  /* of a new entry: used now */
uint64_t evict_idle_s(const struct entry *e);
unsigned evict_frequency(const struct entry *e); /* the LFU counter, 0 to 255, after its decay */

/* Set the idle time or the counter, as told by a snapshot or by RESTORE. The one that the policy does not use is
 * ignored. */
void evict_set_idle(struct entry *e, uint64_t idle_s);
void evict_set_frequency(struct entry *e, unsigned counter);

/* Note an access. Writes memory only if the clock has advanced since the last one. */
static inline void evict_touch(struct entry *e) {
    if (unlikely(evict_clock == 0)) {
        evict_touch_slowly(e);
        return;
    }
    uint32_t stored = (uint32_t)e->access[0] | (uint32_t)e->access[1] << 8 | (uint32_t)e->access[2] << 16;
    if (stored == evict_clock) return;
    e->access[0] = (uint8_t)evict_clock;
    e->access[1] = (uint8_t)(evict_clock >> 8);
    e->access[2] = (uint8_t)(evict_clock >> 16);
}
