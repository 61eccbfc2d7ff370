/* How many look-ups a full keyspace answers: 17 workloads are replayed through the store with room for 1, 10 and 25 per
 * cent of the keys, under allkeys-lru and allkeys-lfu, beside two models: exact LRU, and Redis's LFU.
 *
 * LRU must not fall behind exact LRU, LFU behind neither. Half of the rows are run by a forked process. An argument
 * picks the workloads whose name contains it. */
#include "base/clock.h"
#include "base/rand.h"
#include "store/db.h"
#include "store/evict.h"
#include "store/evict_pool.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static uint64_t seed = 20260101;
#define POPULAR 60000 /* keys that may be asked for again and again */
#define REQUESTS 600000
#define WARM_UP (REQUESTS / 4)         /* requests that are not counted */
#define IDS (POPULAR + REQUESTS + 100) /* the others are keys that come newly */
#define MAY_LOSE 0.3                   /* points below exact LRU */

static uint32_t trace[REQUESTS];
static uint32_t sizes[IDS]; /* what a key takes of the capacity */
static uint64_t capacity, used;
static const char *chosen = "";

/* --- Workloads ------------------------------------------------------------------------------- */

static uint32_t fresh; /* the next new key */
static uint32_t room;  /* keys that the cache holds */
static double cumulated[POPULAR];

static void make_zipf(double exponent) {
    double sum = 0;
    for (uint32_t i = 0; i < POPULAR; i++)
        cumulated[i] = sum += pow(i + 1, -exponent);
}

/* The number of a popular key; 0 is asked for most. */
static uint32_t zipf(void) {
    double at = rand_unit() * cumulated[POPULAR - 1];
    uint32_t low = 0, high = POPULAR - 1;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (cumulated[middle] < at) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool chance(double p) {
    return rand_unit() < p;
}

static uint32_t next_zipf(uint32_t i) {
    (void)i;
    return zipf();
}

/* Every second twentieth of the requests is half a scan: keys that never return. */
static uint32_t next_scan(uint32_t i) {
    return i / (REQUESTS / 20) % 2 && chance(0.5) ? fresh++ : zipf();
}

/* Ten times other keys become popular at once. */
static uint32_t next_shift(uint32_t i) {
    return (zipf() + i / (REQUESTS / 10) * 7919) % POPULAR;
}

/* Popularity moves on by one key in 50 requests. */
static uint32_t next_drift(uint32_t i) {
    return (zipf() + i / 50) % POPULAR;
}

static uint32_t next_one_hit_half(uint32_t i) {
    (void)i;
    return chance(0.5) ? fresh++ : zipf();
}

static uint32_t next_one_hit_quarter(uint32_t i) {
    (void)i;
    return chance(0.25) ? fresh++ : zipf();
}

/* The key of so many requests ago, or a new one. */
static uint32_t back(uint32_t i, double distance, double new_share) {
    return chance(new_share) || distance >= i || i < 10 ? fresh++ : trace[i - 1 - (uint32_t)distance];
}

static uint32_t next_stack(uint32_t i) {
    return back(i, exp(rand_unit() * log(2e6)), 0.1);
}

static uint32_t next_hard_stack(uint32_t i) {
    return back(i, room * (1 + 1.5 * rand_unit()), 0.3);
}

/* Each key is asked for twice, the second time within 1.2 cache sizes: a session that is written, then read. */
static uint32_t *second; /* by request: the key + 1 */
static uint32_t next_pair(uint32_t i) {
    if (second[i]) return second[i] - 1;
    uint32_t at = i + 1 + (uint32_t)(rand_unit() * 1.2 * room);
    while (second[at])
        at++;
    second[at] = fresh + 1;
    return fresh++;
}

static uint32_t loop(uint32_t i) {
    return i % (uint32_t)(room * 1.2);
}

static uint32_t next_loop_and_zipf(uint32_t i) {
    return chance(0.5) ? zipf() : POPULAR + loop(i / 2);
}

/* Keys are born and fade. A part of the requests is for keys that stay popular. */
static uint32_t next_news(uint32_t i) {
    (void)i;
    if (chance(0.05)) return fresh++;
    uint32_t age = (uint32_t)(-log(rand_unit() + 1e-15) * POPULAR * 0.05) + zipf() % 97;
    if (chance(0.3) || fresh - POPULAR < age + 2) return zipf();
    uint32_t id = fresh - 1 - age;
    return id % 16 < 12 ? id - id % 4 : id;
}

static uint32_t next_phase(uint32_t i) {
    switch (i / (REQUESTS / 8) % 4) {
    case 0: return next_stack(i);
    case 1: return loop(i);
    case 2: return (zipf() + i / 100) % POPULAR;
    default: return next_one_hit_half(i);
    }
}

static uint32_t next_sized_one_hit(uint32_t i) {
    (void)i;
    return chance(0.4) ? fresh++ : zipf();
}

static const struct workload {
    const char *name;
    uint32_t (*next)(uint32_t i);
    double exponent; /* of the zipf distribution */
    bool sized;
} workloads[] = {
    {"zipf0.7", next_zipf, 0.7, false},
    {"zipf0.9", next_zipf, 0.9, false},
    {"zipf1.1", next_zipf, 1.1, false},
    {"zipf+scan", next_scan, 0.9, false},
    {"shift", next_shift, 1, false},
    {"drift", next_drift, 1, false},
    {"onehit50", next_one_hit_half, 0.9, false},
    {"onehit25", next_one_hit_quarter, 0.9, false},
    {"stack", next_stack, 0.9, false},
    {"stackhard", next_hard_stack, 0.9, false},
    {"pairs", next_pair, 0.9, false},
    {"loop1.2", loop, 0.9, false},
    {"loop+zipf", next_loop_and_zipf, 0.9, false},
    {"news", next_news, 0.9, false},
    {"phases", next_phase, 0.9, false},
    {"sizes", next_zipf, 0.9, true},
    {"sizes+onehit", next_sized_one_hit, 0.9, true},
};
#define WORKLOADS (sizeof workloads / sizeof *workloads)

/* Log-normal: the median is 245 bytes, few have 100 KB. */
static uint32_t random_size(void) {
    double normal = sqrt(-2 * log(rand_unit() + 1e-12)) * cos(2 * M_PI * rand_unit());
    double size = exp(5.5 + 1.3 * normal);
    return size < 48 ? 48 : size > 100000 ? 100000 : (uint32_t)size;
}

static void make_trace(const struct workload *w, unsigned percent) {
    rand_seed(seed);
    fresh = POPULAR;
    room = POPULAR / 100 * percent;
    make_zipf(w->exponent);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < IDS; i++) {
        sizes[i] = w->sized ? random_size() : 1;
        if (i < POPULAR) sum += sizes[i];
    }
    capacity = sum / 100 * percent;
    second = calloc(REQUESTS + 4 * (size_t)room, sizeof *second);
    for (uint32_t i = 0; i < REQUESTS; i++)
        trace[i] = w->next(i);
    free(second);
}

/* --- What is replayed ------------------------------------------------------------------------ */

/* Answers look-ups by number; a key that is missing is inserted, after others have gone. */
struct cache {
    void (*start)(void);
    bool (*ask)(uint32_t id);
    void (*stop)(void);
};

static double replay(const struct cache *cache) {
    uint64_t hits = 0;
    rand_seed(seed + 1);
    used = 0;
    cache->start();
    for (uint32_t i = 0; i < REQUESTS; i++)
        hits += cache->ask(trace[i]) && i >= WARM_UP;
    cache->stop();
    return 100.0 * (double)hits / (REQUESTS - WARM_UP);
}

static bool is_full(uint32_t id) {
    return used > 0 && used + sizes[id] > capacity;
}

/* Exact LRU: a ring, in which place IDS is the end. */
static uint32_t newer[IDS + 1], older[IDS + 1];
static bool resident[IDS + 1];

static void lru_start(void) {
    memset(resident, 0, sizeof resident);
    newer[IDS] = older[IDS] = IDS;
}
static void lru_stop(void) {}
static void lru_cut(uint32_t id) {
    newer[older[id]] = newer[id];
    older[newer[id]] = older[id];
}
static void lru_push(uint32_t id) {
    older[id] = older[IDS];
    newer[id] = IDS;
    newer[older[IDS]] = id;
    older[IDS] = id;
}
static bool lru_ask(uint32_t id) {
    bool hit = resident[id];
    if (hit) lru_cut(id);
    while (!hit && is_full(id)) {
        uint32_t victim = newer[IDS];
        lru_cut(victim);
        resident[victim] = false;
        used -= sizes[victim];
    }
    if (!hit) used += sizes[id];
    resident[id] = true;
    lru_push(id);
    return hit;
}

/* Redis's LFU: a counter of 8 bits that grows by probability; the lowest of 5 random keys and of a pool of 16, whose
 * counters may be out of date. The replay takes seconds, so nothing decays. */
static uint8_t counters[IDS];
static uint32_t places[IDS], members[IDS], n_members; /* members[places[id]] == id */
static struct {
    uint32_t id;
    uint8_t counter;
} candidates[16]; /* the first to go last */
static int n_candidates;

static void lfu_start(void) {
    memset(resident, 0, sizeof resident);
    n_members = 0;
    n_candidates = 0;
}
static void lfu_offer(uint32_t id) {
    for (int i = 0; i < n_candidates; i++) {
        if (candidates[i].id == id) return;
    }
    if (n_candidates == 16) {
        if (counters[id] >= candidates[0].counter) return;
        memmove(candidates, candidates + 1, (size_t)--n_candidates * sizeof *candidates);
    }
    int at = n_candidates++;
    for (; at > 0 && candidates[at - 1].counter < counters[id]; at--)
        candidates[at] = candidates[at - 1];
    candidates[at].id = id;
    candidates[at].counter = counters[id];
}
static void lfu_evict(void) {
    uint32_t victim;
    do {
        for (int i = 0; i < 5; i++)
            lfu_offer(members[rand_below(n_members)]);
        victim = candidates[--n_candidates].id;
    } while (!resident[victim]);
    resident[victim] = false;
    used -= sizes[victim];
    uint32_t last = members[--n_members];
    members[places[victim]] = last;
    places[last] = places[victim];
}
static bool lfu_ask(uint32_t id) {
    if (resident[id]) {
        double above = counters[id] > 5 ? counters[id] - 5 : 0;
        if (counters[id] < 255 && rand_unit() < 1 / (above * 10 + 1)) counters[id]++;
        return true;
    }
    while (is_full(id))
        lfu_evict();
    resident[id] = true;
    used += sizes[id];
    counters[id] = 5;
    members[places[id] = n_members++] = id;
    return false;
}

/* The store. */
static void forget_size(struct db *db, const struct key *key) {
    (void)db;
    uint32_t id;
    assert_int_equal(key->name.len, sizeof id);
    memcpy(&id, key->name.ptr, sizeof id);
    used -= sizes[id];
}
static void store_start(void) {
    db_init(1);
    evict_tick(clock_steady_ms());
    evict_set_pressure(true);
    db_hooks.evicted = forget_size;
}
static void store_start_lru(void) {
    evict_options.policy = EVICT_ALLKEYS_LRU;
    store_start();
}
static void store_start_lfu(void) {
    evict_options.policy = EVICT_ALLKEYS_LFU;
    store_start();
}
static void store_stop(void) {
    evict_set_pressure(false);
    db_shutdown();
}
static bool store_ask(uint32_t id) {
    struct key key = key_of(slice_of((const char *)&id, sizeof id));
    if (db_read(db_at(0), &key)) return true;
    while (is_full(id))
        assert_true(evict_one());
    db_set_text(db_at(0), &key, NULL, SLICE("v"), ENTRY_NO_TTL);
    used += sizes[id];
    return false;
}

/* --- Rows ------------------------------------------------------------------------------------ */

static bool replay_row(const struct workload *w, unsigned percent) {
    static const struct cache exact = {lru_start, lru_ask, lru_stop}, redis = {lfu_start, lfu_ask, lru_stop},
                              lru = {store_start_lru, store_ask, store_stop},
                              lfu = {store_start_lfu, store_ask, store_stop};
    make_trace(w, percent);
    double exact_hits = replay(&exact), redis_hits = replay(&redis), lru_hits = replay(&lru), lfu_hits = replay(&lfu);
    bool ok = lru_hits >= exact_hits - MAY_LOSE && lfu_hits >= exact_hits - MAY_LOSE && lfu_hits >= redis_hits;
    print_message(
        "%-13s %2u%%  exact LRU %5.2f, Redis LFU %5.2f; allkeys-lru %5.2f (%+.2f), allkeys-lfu %5.2f (%+.2f)%s\n",
        w->name, percent, exact_hits, redis_hits, lru_hits, lru_hits - exact_hits, lfu_hits,
        lfu_hits - fmax(redis_hits, exact_hits - MAY_LOSE), ok ? "" : " TOO FEW");
    return ok;
}

static int replay_half(size_t half) {
    static const unsigned percents[] = {1, 10, 25};
    int failures = 0;
    for (size_t i = 0; i < 3 * WORKLOADS; i++) {
        const struct workload *w = &workloads[i / 3];
        if (i % 2 == half && strstr(w->name, chosen)) failures += !replay_row(w, percents[i % 3]);
    }
    return failures;
}

static void keys_that_will_be_asked_for_again_stay(void **state) {
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    int failures = replay_half(child == 0), status;
    fflush(stdout);
    if (child == 0) _exit(failures);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(failures + WEXITSTATUS(status), 0);
}

int main(int argc, char **argv) {
    if (argc > 1) chosen = argv[1];
    if (getenv("SEED")) seed = strtoull(getenv("SEED"), NULL, 10);
    hash_seed(seed);
    clock_cached_steady_ms = 1700000000000;
    const struct CMUnitTest tests[] = {cmocka_unit_test(keys_that_will_be_asked_for_again_stay)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
