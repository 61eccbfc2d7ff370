/* The access clock: three bytes in an entry, whose meaning depends on the policy.
 *
 * LRU: the low 24 bits of the steady time in seconds, which wrap after 194 days. The clock skips 0, because evict_clock
 * == 0 tells the inline touch that it must ask: the policy is LFU, or accesses leave no traces now.
 *
 * LFU, as in Redis: the upper 16 bits are the minute of the last decay, the lower 8 a counter. A hit increments the
 * counter with probability 1 / ((counter - 5) * factor + 1), so with factor 10 a million hits fill it. Each period of
 * lfu_decay_min minutes since the last decay takes one off. A new key starts at 5, or it would be the first victim. */
#include "store/evict.h"
#include "base/clock.h"
#include "base/module.h"
#include "base/option.h"
#include "base/rand.h"

#define LRU_MASK 0xffffffu
#define LFU_INITIAL 5
#define LFU_MAX 255

struct evict_options evict_options = {
    .policy = EVICT_NOEVICTION, .samples = 5, .lfu_log_factor = 10, .lfu_decay_min = 1};
uint32_t evict_clock = 1;

static uint32_t lru_clock = 1;
static uint16_t lfu_minute;
static bool held, frozen;

static void set_clock(void) {
    evict_clock = held || frozen || evict_uses_lfu() ? 0 : lru_clock;
}

void evict_tick(int64_t now_ms) {
    uint64_t seconds = (uint64_t)now_ms / 1000;
    lru_clock = (uint32_t)seconds & LRU_MASK;
    if (lru_clock == 0) lru_clock = 1;
    lfu_minute = (uint16_t)(seconds / 60);
    set_clock();
}

void evict_hold(bool hold) {
    held = hold;
    set_clock();
}

void evict_freeze(bool freeze) {
    frozen = freeze;
    set_clock();
}

bool evict_uses_lfu(void) {
    return evict_options.policy == EVICT_ALLKEYS_LFU || evict_options.policy == EVICT_VOLATILE_LFU;
}

static uint32_t access_load(const struct entry *e) {
    return (uint32_t)e->access[0] | (uint32_t)e->access[1] << 8 | (uint32_t)e->access[2] << 16;
}

static void access_store(struct entry *e, uint32_t value) {
    e->access[0] = (uint8_t)value;
    e->access[1] = (uint8_t)(value >> 8);
    e->access[2] = (uint8_t)(value >> 16);
}

void evict_init_access(struct entry *e) {
    access_store(e, evict_uses_lfu() ? (uint32_t)lfu_minute << 8 | LFU_INITIAL : lru_clock);
}

unsigned evict_frequency(const struct entry *e) {
    uint32_t access = access_load(e);
    unsigned counter = access & 255;
    if (evict_options.lfu_decay_min <= 0) return counter;
    uint16_t idle_min = (uint16_t)(lfu_minute - (uint16_t)(access >> 8)); /* the minutes wrap after 45 days */
    unsigned decay = idle_min / (unsigned)evict_options.lfu_decay_min;
    return decay > counter ? 0 : counter - decay;
}

void evict_touch_slowly(struct entry *e) {
    if (held || frozen) return;
    unsigned counter = evict_frequency(e);
    if (counter < LFU_MAX) {
        double above = counter > LFU_INITIAL ? counter - LFU_INITIAL : 0;
        if (rand_unit() < 1.0 / (above * evict_options.lfu_log_factor + 1)) counter++;
    }
    access_store(e, (uint32_t)lfu_minute << 8 | counter);
}

uint64_t evict_idle_s(const struct entry *e) {
    uint32_t access = access_load(e);
    return lru_clock >= access ? lru_clock - access : lru_clock + (LRU_MASK - access);
}

void evict_set_idle(struct entry *e, uint64_t idle_s) {
    if (evict_uses_lfu()) return;
    uint64_t idle = idle_s < LRU_MASK ? idle_s : LRU_MASK - 1;
    access_store(e, (uint32_t)(lru_clock > idle ? lru_clock - idle : lru_clock + (LRU_MASK - idle)));
}

void evict_set_frequency(struct entry *e, unsigned counter) {
    if (evict_uses_lfu()) access_store(e, (uint32_t)lfu_minute << 8 | counter);
}

/* --- Options --------------------------------------------------------------------------------- */

/* The clock must follow a new policy at once: a touch stores evict_clock in the entry. */
static bool apply_policy(const char **error) {
    (void)error;
    evict_tick(clock_steady_ms());
    return true;
}

static const struct option_name policies[] = {{"volatile-lru", EVICT_VOLATILE_LRU},
                                              {"volatile-lfu", EVICT_VOLATILE_LFU},
                                              {"volatile-random", EVICT_VOLATILE_RANDOM},
                                              {"volatile-ttl", EVICT_VOLATILE_TTL},
                                              {"allkeys-lru", EVICT_ALLKEYS_LRU},
                                              {"allkeys-lfu", EVICT_ALLKEYS_LFU},
                                              {"allkeys-random", EVICT_ALLKEYS_RANDOM},
                                              {"noeviction", EVICT_NOEVICTION},
                                              {NULL, 0}};

static const struct option evict_rows[] = {
    {"maxmemory-policy", .type = OPTION_ENUM, .address = &evict_options.policy, .initial = "noeviction",
     .names = policies, .apply = apply_policy},
    {"maxmemory-samples", .type = OPTION_INT, .address = &evict_options.samples, .initial = "5", .min = 1},
    {"lfu-log-factor", .type = OPTION_INT, .address = &evict_options.lfu_log_factor, .initial = "10"},
    {"lfu-decay-time", .type = OPTION_INT, .address = &evict_options.lfu_decay_min, .initial = "1"},
    {NULL},
};

const struct module evict_module = {.options = evict_rows};
