/* Time. The wall clock is read once per wave and cached (clock_now_ms): it tells points in time, and may be set back at
 * any moment. Durations of seconds are measured by a clock that never goes back, cached as well (clock_steady_ms).
 * Those of commands come from the time stamp counter, calibrated against the monotonic clock, since two system calls
 * per command would cost more than the command. On machines without a usable counter CLOCK_MONOTONIC is read instead.
 *
 * The main thread calls clock_init() and clock_update(); any thread may call the rest. */
#pragma once
#include <stdint.h>

void clock_init(void);   /* calibrates for 2 ms */
void clock_update(void); /* refreshes the cached time */

/* The wall clock stands still from here on: for a script and for EXEC, in which no key may expire half-way. It is
 * refreshed before if it is older than a millisecond; `now` is a recent clock_ticks(). The steady clock goes on. Pairs
 * nest. */
void clock_hold(uint64_t now);
void clock_release(void); /* it stays where it is until the next clock_update() */
/* Wall time as TIME tells it: of now or, while the clock is held, of clock_now_ms() in microseconds. Never before what
 * clock_now_ms() tells. */
int64_t clock_time_us(void);

extern int64_t clock_cached_ms;        /* read through clock_now_ms(); set by clock_update() */
extern int64_t clock_cached_steady_ms; /* read through clock_steady_ms() */

/* Wall time since 1970 at the last clock_update() while the clock was not held. */
static inline int64_t clock_now_ms(void) {
    return clock_cached_ms;
}

/* Time since some point before the start, at the last clock_update(): never 0, exact to some milliseconds. For ages and
 * for what is due after a while. */
static inline int64_t clock_steady_ms(void) {
    return clock_cached_steady_ms;
}

int64_t clock_wall_us(void); /* wall time, read now */
int64_t clock_mono_us(void); /* monotonic time, read now */

/* Ticks of the counter: monotonic, cheap, of unspecified unit. */
static inline uint64_t clock_ticks(void) {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    extern uint64_t clock_ticks_slow(void);
    return clock_ticks_slow();
#endif
}
uint64_t clock_ticks_to_ns(uint64_t ticks);
uint64_t clock_ns_to_ticks(uint64_t ns);
