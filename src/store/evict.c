/* See evict.h. evict_clock is the current stamp only where the clock makes the ticks and the policy is not LFU: then an
 * entry that was used in this second needs nothing. In all other cases it is a number that no stamp can be. */
#include "store/evict.h"
#include "base/clock.h"
#include "base/module.h"
#include "base/option.h"
#include "base/rand.h"
#include "store/codes.h"
#include "store/ghosts.h"
#include "store/rank.h"
#include "store/shadows.h"
#include "store/ticks.h"
#include <math.h>

#define ASK ((uint32_t)1 << 24) /* as evict_clock: no stamp */
#define SECOND_MS 1000
#define MINUTE_MS 60000

#define TURNOVER 256        /* ticks in which as many look-ups pass as there are keys */
#define LEARN_TURNOVERS 2   /* the part of a turnover between two lessons: a half */
#define LEARN_LOOK_UPS 500  /* and so many more, for small keyspaces */
#define IDLE_TICKS_MAX 8192 /* ticks by look-ups without an eviction; then the clock alone makes them */

#define USES_MAX 7
#define USES_SURE 3 /* every use counts up to here, then one of 2, 4, 8, 16 */

struct evict_options evict_options = {
    .policy = EVICT_NOEVICTION, .samples = 5, .lfu_log_factor = 10, .lfu_decay_min = 1};
uint32_t evict_clock = ASK;

static bool held, frozen, pressed;
static bool learning;          /* look-ups make the ticks and teach the rank */
static int64_t now_ms;         /* of the last tick */
static uint64_t recent_tick;   /* since this tick no period of lfu-decay-time has ended */
static size_t step = 1;        /* look-ups a tick */
static size_t look_ups_left;   /* until the next tick */
static size_t ticks_to_lesson; /* until the next rank_learn() */
static unsigned idle_ticks;    /* since the last eviction */

bool evict_uses_lfu(void) {
    return evict_options.policy == EVICT_ALLKEYS_LFU || evict_options.policy == EVICT_VOLATILE_LFU;
}

/* --- Traces: what an entry remembers ----------------------------------------------------------- */

struct trace {
    uint32_t age;  /* ticks */
    unsigned uses; /* LFU: the code */
    bool foreign;  /* written under a policy of another kind: as a new entry */
};

static uint32_t stamp_mask(bool lfu) {
    return lfu ? UINT16_MAX : ASK - 1;
}

static uint32_t access_load(const struct entry *e) {
    return (uint32_t)e->access[0] | (uint32_t)e->access[1] << 8 | (uint32_t)e->access[2] << 16;
}

static struct trace trace_load(const struct entry *e) {
    bool lfu = evict_uses_lfu();
    unsigned uses = (e->flags & ENTRY_USES) >> ENTRY_USES_SHIFT;
    if (lfu != ((e->flags & ENTRY_COUNTED) != 0)) return (struct trace){0, lfu ? CODES_NEW : 0, true};
    uint32_t access = access_load(e), stamp = lfu ? access >> 8 : access;
    return (struct trace){((uint32_t)ticks_now - stamp) & stamp_mask(lfu), lfu ? CODES_OF(access & 255) | uses : uses,
                          false};
}

static void trace_store(struct entry *e, struct trace t) {
    bool lfu = evict_uses_lfu();
    uint32_t stamp = ((uint32_t)ticks_now - t.age) & stamp_mask(lfu), access = lfu ? stamp << 8 | t.uses >> 3 : stamp;
    unsigned flags = (t.uses & 7) << ENTRY_USES_SHIFT | (lfu ? ENTRY_COUNTED : 0u);
    e->access[0] = (uint8_t)access;
    e->access[1] = (uint8_t)(access >> 8);
    e->access[2] = (uint8_t)(access >> 16);
    e->flags = (uint8_t)((e->flags & ~(ENTRY_USES | ENTRY_COUNTED)) | flags);
}

static unsigned class_of_trace(struct trace t) {
    return evict_uses_lfu() ? codes_class(t.uses) : t.uses;
}

/* Ended periods of lfu-decay-time since a tick. As in Redis the minutes of the clock are counted. */
static unsigned ended_periods(uint64_t tick) {
    if (tick >= recent_tick) return 0;
    int64_t minutes = now_ms / MINUTE_MS - ticks_began_ms(tick) / MINUTE_MS;
    return minutes > 0 ? (unsigned)(minutes / evict_options.lfu_decay_min) : 0;
}

/* The code after its decay: by the clock, or by turnovers if that takes off more. */
static unsigned decayed(struct trace t, uint32_t luck) {
    if (t.age == 0 || evict_options.lfu_decay_min <= 0) return t.uses;
    unsigned loss = ended_periods(ticks_now - t.age);
    unsigned by_clock = loss < t.uses >> 3 ? t.uses - CODES_OF(loss) : loss ? 0 : t.uses;
    if (!learning) return by_clock;
    unsigned faded = codes_fade(t.uses, t.age, luck);
    return faded < by_clock ? faded : by_clock;
}

/* --- Time -------------------------------------------------------------------------------------- */

static void set_mode(void) {
    static bool was_lfu;
    bool lfu = evict_uses_lfu();
    if (lfu != was_lfu) { /* what was learned has no meaning now */
        rank_reset();
        ghosts_resize(0);
        shadows_resize(0);
        was_lfu = lfu;
    }
    codes_make(evict_options.lfu_log_factor);
    learning = pressed && !frozen && evict_is_ranked();
    evict_clock = held || frozen || learning || lfu ? ASK : (uint32_t)ticks_now & stamp_mask(false);
}

void evict_tick(int64_t ms) {
    now_ms = ms;
    ticks_follow_clock(ms, evict_uses_lfu() ? MINUTE_MS : SECOND_MS);
    int64_t decay_ms = (int64_t)evict_options.lfu_decay_min * MINUTE_MS;
    recent_tick = decay_ms > 0 ? ticks_at(ms - ms % MINUTE_MS + MINUTE_MS - decay_ms) : 0;
    set_mode();
}

void evict_hold(bool hold) {
    held = hold;
    set_mode();
}

void evict_freeze(bool freeze) {
    frozen = freeze;
    set_mode();
}

void evict_learn(bool on, size_t keys) {
    pressed = on;
    step = keys / TURNOVER + 1;
    set_mode();
    ghosts_resize(pressed && evict_is_ranked() ? keys : 0);
    shadows_resize(pressed && evict_uses_lfu() ? keys : 0);
}

static void next_tick(void) {
    look_ups_left = step;
    if (idle_ticks < IDLE_TICKS_MAX) {
        idle_ticks++;
        now_ms = clock_steady_ms();
        ticks_next(now_ms);
    }
    if (ticks_to_lesson > 0 && --ticks_to_lesson > 0) return;
    ticks_to_lesson = TURNOVER / LEARN_TURNOVERS + LEARN_LOOK_UPS / step;
    rank_learn();
}

static inline void count_look_up(uint64_t hash) {
    shadows_look_up(hash);
    if (look_ups_left == 0 || --look_ups_left == 0) next_tick();
}

/* --- Use --------------------------------------------------------------------------------------- */

static bool teaches(const struct entry *e) {
    return learning && (!evict_is_volatile() || entry_has_ttl(e));
}

static unsigned one_more(unsigned uses) {
    if (uses == USES_MAX) return uses;
    return uses + (uses < USES_SURE || !(rand_u64() & ((1u << (uses - USES_SURE + 1)) - 1)));
}

static void touch_lru(struct entry *e, struct trace t) {
    if (t.age == 0 && !t.foreign) return;
    if (teaches(e)) rank_hit(t.uses, t.age);
    trace_store(e, (struct trace){.uses = t.foreign ? 0 : one_more(t.uses)});
}

static void touch_lfu(struct entry *e, struct trace t) {
    uint64_t luck = rand_u64();
    unsigned before = t.uses;
    if (t.age > 0) {
        if (teaches(e)) rank_hit(codes_class(t.uses), t.age);
        before = decayed(t, (uint32_t)luck);
    }
    unsigned code = codes_hit(before, (uint32_t)(luck >> 32));
    if (code != t.uses || t.age > 0 || t.foreign) trace_store(e, (struct trace){.uses = code});
}

void evict_touch_slowly(struct entry *e, uint64_t hash) {
    if (held || frozen) return;
    if (teaches(e)) count_look_up(hash);
    if (evict_uses_lfu()) {
        touch_lfu(e, trace_load(e));
    } else {
        touch_lru(e, trace_load(e));
    }
}

void evict_init_access(struct entry *e) {
    trace_store(e, (struct trace){.uses = evict_uses_lfu() ? CODES_NEW : 0});
}

/* A ghost under LFU is the logarithm of its hits: 4 bits. */
void evict_admit(struct entry *e, uint64_t hash) {
    evict_init_access(e);
    if (likely(!teaches(e))) return;
    count_look_up(hash);
    int ghost = ghosts_take(hash);
    if (ghost < 0) return;
    struct trace t = {.uses = (unsigned)ghost < USES_MAX ? (unsigned)ghost + 1 : USES_MAX};
    if (evict_uses_lfu()) t.uses = codes_hit(codes_for((unsigned)ghost), (uint32_t)rand_u64());
    trace_store(e, t);
}

void evict_copy_access(struct entry *to, const struct entry *from) {
    const unsigned ours = ENTRY_USES | ENTRY_COUNTED;
    memcpy(to->access, from->access, sizeof to->access);
    to->flags = (uint8_t)((to->flags & ~ours) | (from->flags & ours));
}

uint64_t evict_idle_s(const struct entry *e) {
    struct trace t = trace_load(e);
    int64_t idle_ms = t.foreign ? 0 : now_ms - ticks_began_ms(ticks_now - t.age);
    return idle_ms > 0 ? (uint64_t)idle_ms / SECOND_MS : 0;
}

void evict_set_idle(struct entry *e, uint64_t idle_s) {
    if (evict_uses_lfu()) return;
    int64_t idle_ms = idle_s < ASK ? (int64_t)idle_s * SECOND_MS : (int64_t)ASK * SECOND_MS;
    uint64_t age = ticks_now - ticks_at(now_ms - idle_ms);
    trace_store(e, (struct trace){.age = age < ASK ? (uint32_t)age : ASK - 1});
}

unsigned evict_frequency(const struct entry *e) {
    return decayed(trace_load(e), UINT32_MAX) >> 3;
}

void evict_set_frequency(struct entry *e, unsigned counter) {
    if (evict_uses_lfu()) trace_store(e, (struct trace){.uses = CODES_OF(counter)});
}

/* --- Eviction ---------------------------------------------------------------------------------- */

uint64_t evict_order(struct entry *e) {
    struct trace t = trace_load(e);
    uint32_t half = stamp_mask(evict_uses_lfu()) / 2;
    if ((t.age > half || t.foreign) && !frozen) {
        if (t.age > half) t.age = half;
        trace_store(e, t);
    }
    float rank = evict_uses_lfu() ? shadows_worth(shadows_best, t.uses, t.age) : rank_of(t.uses, t.age);
    uint32_t bits;
    memcpy(&bits, &rank, sizeof bits); /* positive numbers are in the order of their bits */
    return (uint64_t)bits << 32 | (UINT32_MAX - t.age);
}

uint32_t evict_trace(const struct entry *e) {
    return access_load(e);
}

void evict_forget(const struct entry *e, uint64_t hash) {
    idle_ticks = 0;
    if (!learning) return;
    struct trace t = trace_load(e);
    rank_eviction(class_of_trace(t), t.age);
    unsigned grade = t.uses;
    if (evict_uses_lfu()) {
        float doublings = codes_left(t.uses, t.age);
        grade = doublings < 0.5f ? 0 : doublings < 15 ? (unsigned)doublings : 15;
    }
    ghosts_put(hash, grade);
}

/* --- Options --------------------------------------------------------------------------------- */

/* The clock must follow a new policy at once, and the codes a new factor. */
static bool apply(const char **error) {
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
     .names = policies, .apply = apply},
    {"maxmemory-samples", .type = OPTION_INT, .address = &evict_options.samples, .initial = "5", .min = 1},
    {"lfu-log-factor", .type = OPTION_INT, .address = &evict_options.lfu_log_factor, .initial = "10", .apply = apply},
    {"lfu-decay-time", .type = OPTION_INT, .address = &evict_options.lfu_decay_min, .initial = "1", .apply = apply},
    {NULL},
};

const struct module evict_module = {.options = evict_rows};
