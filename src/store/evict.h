/* Access information of entries: a 24-bit LRU clock in seconds, or an LFU counter (8-bit logarithmic
 * counter over 16 bits of minutes) when the policy asks for it. Eviction itself comes with maxmemory. */
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
    int lfu_log_factor; /* 10 */
    int lfu_decay_min;  /* 1: minutes to halve an idle counter */
};
extern struct evict_options evict_options;
extern uint32_t evict_clock; /* what evict_touch stores; 0 if that is not all there is to do: set by evict_tick() */

void evict_tick(int64_t now_ms); /* once a second or more often */
void evict_hold(bool held);      /* while held, touching does nothing: for the commands of CLIENT NO-TOUCH */
void evict_freeze(bool freeze);  /* the same while a forked child lives, which shares the pages */
bool evict_uses_lfu(void);
void evict_touch_slowly(struct entry *e); /* the policy is LFU, or evict_hold() */
void evict_init_access(struct entry *e);  /* a new entry */
uint64_t evict_idle_s(const struct entry *e);
unsigned evict_frequency(const struct entry *e); /* the decayed LFU counter */

/* As if it had been idle for so long, or had this counter: what a snapshot or RESTORE says. Ignored if the policy
 * does not ask for it. */
void evict_set_idle(struct entry *e, uint64_t idle_s);
void evict_set_frequency(struct entry *e, unsigned counter);

/* A read or write of the entry. Writes memory only when the clock has moved on. */
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
