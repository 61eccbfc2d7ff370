/* What an entry remembers of its use, and what that is worth.
 *
 * A cache is to keep the keys that will be asked for again. The oldest key (LRU) is often a good victim, but not in a
 * scan or a loop; the one that was asked for least (LFU) is better there, and bad when popularity moves on. Here both
 * families learn from what happens: how many hits keys of such a number of uses and such an age have given (rank.h),
 * which of them came back soon after they had been evicted (ghosts.h), and, under LFU, whether plain counts or plain
 * age would do better just now (shadows.h). LHD, S3-FIFO and TinyLFU are the sources of these ideas.
 *
 * Hits in per cent of 600,000 requests for 60,000 keys, with room for a tenth of them
 * (tests/unit/store/test_evict_replay):
 *
 *                                                  exact LRU   Redis's LFU   allkeys-lru   allkeys-lfu
 *     Zipf, exponent 0.9                              59.7        65.4          67.4          67.6
 *     the same, half of the requests never return     23.7        31.0          31.7          32.2
 *     popularity drifts                               71.3        55.1          74.5          75.2
 *     each key twice, within 1.2 cache sizes          50.0         9.1          50.0          50.0
 *     a loop of 1.2 cache sizes                        0.0        73.1          81.8          80.9
 *     mean of 17 workloads, at 1, 10 and 25 %         44.7        47.6          56.4          56.8
 *
 * Four bytes of an entry, the flags and the access field, hold:
 *
 *           bits 31..24        23..16         15..8        7         6..4             3..0
 *     LRU   stamp of the last access (24)                  0         uses             of others
 *     LFU   stamp (16)                        counter      1         eighths          of others
 *
 * The stamp is the number of a tick: ticks.h. Uses tells how often an entry was used since it came, in 0 to 7. The
 * counter is that of Redis, finer by eighths: codes.h. While memory is short (evict_learn()) a tick passes with every
 * look-up of 1/256 of the keys, so that ages are measured in turnovers, whatever the speed. Then each hit and each
 * eviction teaches the rank, and the choice of victims (evict_pool.h) asks for it. */
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
    int lfu_decay_min;  /* 1: an idle counter loses one for each period of this many minutes; 0: none */
};
extern struct evict_options evict_options;
extern uint32_t evict_clock; /* the stamp that evict_touch() finds where there is nothing to do; else no stamp at all */

void evict_tick(int64_t now_ms); /* call at least once a second, with clock_steady_ms() */
void evict_hold(bool held);      /* while held, touching does nothing: CLIENT NO-TOUCH */
void evict_freeze(bool freeze);  /* the same while a forked child shares the pages; nothing is learned then */
bool evict_uses_lfu(void);
static inline bool evict_policy_evicts(void) {
    return evict_options.policy != EVICT_NOEVICTION;
}
/* Only keys with a deadline may be evicted. */
static inline bool evict_is_volatile(void) {
    return evict_options.policy <= EVICT_VOLATILE_TTL;
}
/* The victims are chosen by rank: LRU and LFU. */
static inline bool evict_is_ranked(void) {
    return evict_uses_lfu() || evict_options.policy == EVICT_ALLKEYS_LRU || evict_options.policy == EVICT_VOLATILE_LRU;
}

void evict_touch_slowly(struct entry *e, uint64_t hash); /* for evict_touch() */
void evict_init_access(struct entry *e);                 /* of a new entry: used now */
void evict_admit(struct entry *e, uint64_t hash);        /* the same, if it was looked up in vain before */
void evict_copy_access(struct entry *to, const struct entry *from);
uint64_t evict_idle_s(const struct entry *e);
unsigned evict_frequency(const struct entry *e); /* the LFU counter, 0 to 255, after its decay */

/* Set the idle time or the counter, as told by a snapshot or by RESTORE. The one that the policy does not use is
 * ignored. */
void evict_set_idle(struct entry *e, uint64_t idle_s);
void evict_set_frequency(struct entry *e, unsigned counter);

/* Note an access. Writes memory only if a tick has passed since the last one. */
static inline void evict_touch(struct entry *e, uint64_t hash) {
    uint32_t stamp = (uint32_t)e->access[0] | (uint32_t)e->access[1] << 8 | (uint32_t)e->access[2] << 16;
    if (unlikely(stamp != evict_clock)) evict_touch_slowly(e, hash);
}

/* --- For evict_pool.c -------------------------------------------------------------------------- */

/* Memory is short or not; how many keys may be evicted. Takes effect only under a policy that ranks. */
void evict_learn(bool on, size_t keys);
/* The order in which entries should go: the lowest first. Lower for a lower rank, then for an older entry. Valid until
 * the entry is used. An entry of an age that its stamp can hardly tell, or of another policy, gets a new stamp. */
uint64_t evict_order(struct entry *e);
uint32_t evict_trace(const struct entry *e);             /* changes when the entry is used */
void evict_forget(const struct entry *e, uint64_t hash); /* it is about to be evicted */
