/* Time. The wall clock is read once a wave and cached (clock_now_ms); durations come from the time
 * stamp counter, calibrated against the monotonic clock, since two system calls a command would
 * cost more than the command. Where there is no usable counter, CLOCK_MONOTONIC stands in. */
#pragma once
#include <stdint.h>

void clock_init(void);
void clock_update(void); /* refresh the cached times */

extern int64_t clock_cached_ms; /* read through clock_now_ms(); set by clock_update() */
extern int64_t clock_cached_us;

/* Wall time since 1970, cached by the last clock_update(). */
static inline int64_t clock_now_ms(void) {
    return clock_cached_ms;
}
static inline int64_t clock_now_us(void) {
    return clock_cached_us;
}

int64_t clock_wall_us(void); /* wall time, read now */
int64_t clock_mono_us(void); /* monotonic time, read now */

/* Counter ticks: monotonic, cheap, of unspecified unit. */
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
