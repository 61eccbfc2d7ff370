/* Time stamp counter against CLOCK_MONOTONIC.
 *
 * The rate is measured over 2 ms at boot (good to about 1e-4). Then clock_update() measures it again whenever the time
 * since boot has doubled, until 64 s (good to about 1e-8). Nanoseconds are ticks times a 32.32 fixed-point factor; the
 * product has 128 bits, so no difference of ticks can overflow. */
#include "base/clock.h"
#include "base/likely.h"
#include <assert.h>
#include <time.h>

#define CALIBRATE_NS 2000000
#define HOLD_AGE_NS 1000000 /* the oldest time that clock_hold() does not refresh */
#define REFINE_UNTIL_NS (64 * INT64_C(1000000000))

int64_t clock_cached_ms;
int64_t clock_cached_steady_ms;

/* The wall clock. */
static struct {
    int64_t us;         /* clock_cached_ms in microseconds */
    uint64_t at;        /* in ticks, when it was read */
    uint64_t age_ticks; /* HOLD_AGE_NS */
    int holds;          /* it stands still while there are any */
} wall;

/* 32.32 fixed point. Other threads may convert while the main thread refines the rate. */
static uint64_t ns_per_tick = (uint64_t)1 << 32;
static uint64_t ticks_per_ns = (uint64_t)1 << 32;

struct instant {
    uint64_t ticks;
    int64_t ns;
};

static struct instant boot;
static uint64_t refine_at_ticks; /* 0: done */

static int64_t read_ns(clockid_t id) {
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

#if !defined(__x86_64__)
uint64_t clock_ticks_slow(void);
uint64_t clock_ticks_slow(void) {
    return (uint64_t)read_ns(CLOCK_MONOTONIC);
}
#endif

/* Both clocks at one moment: the least disturbed of a few readings. */
static struct instant read_both(void) {
    struct instant best = {0, 0};
    uint64_t best_width = UINT64_MAX;
    for (int i = 0; i < 5; i++) {
        uint64_t before = clock_ticks();
        int64_t ns = read_ns(CLOCK_MONOTONIC);
        uint64_t width = clock_ticks() - before;
        if (width >= best_width) continue;
        best_width = width;
        best = (struct instant){before + width / 2, ns};
    }
    return best;
}

/* Set the rate from the time since boot. */
static void clock_calibrate(struct instant now) {
    uint64_t ticks = now.ticks - boot.ticks, ns = (uint64_t)(now.ns - boot.ns);
    if (ticks == 0 || ns == 0 || (int64_t)ticks < 0) return; /* a broken counter: keep the rate */
    uint64_t to_ns = (uint64_t)(((__uint128_t)ns << 32) / ticks);
    uint64_t to_ticks = (uint64_t)(((__uint128_t)ticks << 32) / ns);
    __atomic_store_n(&ns_per_tick, to_ns, __ATOMIC_RELAXED);
    __atomic_store_n(&ticks_per_ns, to_ticks, __ATOMIC_RELAXED);
    wall.age_ticks = clock_ns_to_ticks(HOLD_AGE_NS);
}

void clock_init(void) {
    boot = read_both();
    struct instant now;
    do
        now = read_both();
    while (now.ns - boot.ns < CALIBRATE_NS);
    clock_calibrate(now);
    refine_at_ticks = boot.ticks + 2 * (now.ticks - boot.ticks);
    clock_update();
}

static __attribute__((noinline, cold)) void clock_refine(void) {
    struct instant now = read_both();
    clock_calibrate(now);
    refine_at_ticks = now.ns - boot.ns < REFINE_UNTIL_NS ? boot.ticks + 2 * (now.ticks - boot.ticks) : 0;
}

static void read_wall(void) {
    wall.us = clock_wall_us();
    wall.at = clock_ticks();
    clock_cached_ms = wall.us / 1000;
}

void clock_update(void) {
    if (likely(wall.holds == 0)) read_wall();
    clock_cached_steady_ms = read_ns(CLOCK_MONOTONIC_COARSE) / 1000000 + 1; /* coarse: it costs a quarter */
    if (unlikely(refine_at_ticks && clock_ticks() > refine_at_ticks)) clock_refine();
}

/* An update may be later than `now`: then the difference is a large number, and the time is read once more. */
void clock_hold(uint64_t now) {
    if (wall.holds++ == 0 && unlikely(now - wall.at > wall.age_ticks)) read_wall();
}

void clock_release(void) {
    assert(wall.holds > 0);
    wall.holds--;
}

int64_t clock_time_us(void) {
    if (wall.holds == 0) read_wall();
    return wall.us;
}

int64_t clock_wall_us(void) {
    return read_ns(CLOCK_REALTIME) / 1000;
}

int64_t clock_mono_us(void) {
    return read_ns(CLOCK_MONOTONIC) / 1000;
}

uint64_t clock_ticks_to_ns(uint64_t ticks) {
    return (uint64_t)(((__uint128_t)ticks * __atomic_load_n(&ns_per_tick, __ATOMIC_RELAXED)) >> 32);
}

uint64_t clock_ns_to_ticks(uint64_t ns) {
    return (uint64_t)(((__uint128_t)ns * __atomic_load_n(&ticks_per_ns, __ATOMIC_RELAXED)) >> 32);
}
