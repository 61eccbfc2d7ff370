/* Pseudo-random numbers (xoshiro256**, Blackman and Vigna), seeded from the kernel at boot. Not for secrets, except
 * rand_hex(). For the main thread only. O(1). */
#pragma once
#include <stddef.h>
#include <stdint.h>

void rand_init(void);          /* from getrandom(2) */
void rand_seed(uint64_t seed); /* a repeatable sequence, for tests */
uint64_t rand_u64(void);
uint64_t rand_below(uint64_t limit);    /* uniform in [0, limit), limit > 0 (Lemire's method) */
double rand_unit(void);                 /* uniform in [0, 1) */
void rand_hex(char *to, size_t digits); /* lower-case hex digits from getrandom(2), no terminator; O(n) */
