/* xoshiro256** 1.0 (Blackman and Vigna, 2018): 256 bits of state, period 2^256 - 1. The state is never all zeros. */
#include "base/rand.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

static uint64_t state[4] = {0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb, 0x2545f4914f6cdd1d};

static uint64_t rotate(uint64_t x, int k) {
    return x << k | x >> (64 - k);
}

static void from_kernel(void *to, size_t n) {
    char *p = to;
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) abort(); /* every kernel since 3.17 has getrandom(2) */
        p += got;
        n -= (size_t)got;
    }
}

void rand_init(void) {
    from_kernel(state, sizeof state);
    state[0] |= 1; /* all zeros would be left never again */
}

/* The state is filled by splitmix64, as its authors advise. */
void rand_seed(uint64_t seed) {
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9e3779b97f4a7c15;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        state[i] = z ^ z >> 31;
    }
}

uint64_t rand_u64(void) {
    uint64_t result = rotate(state[1] * 5, 7) * 9;
    uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate(state[3], 45);
    return result;
}

/* Lemire 2019, "Fast random integer generation in an interval": the result is the high half of a product, and only the
 * few draws that might be biased need a division. */
uint64_t rand_below(uint64_t limit) {
    assert(limit > 0);
    __uint128_t product = (__uint128_t)rand_u64() * limit;
    if ((uint64_t)product < limit) {
        uint64_t floor = -limit % limit;
        while ((uint64_t)product < floor)
            product = (__uint128_t)rand_u64() * limit;
    }
    return (uint64_t)(product >> 64);
}

double rand_unit(void) {
    return (double)(rand_u64() >> 11) * 0x1p-53;
}

void rand_hex(char *to, size_t digits) {
    static const char hex[] = "0123456789abcdef";
    unsigned char raw[32];
    for (size_t i = 0; i < digits; i++) {
        if (i % sizeof raw == 0) from_kernel(raw, sizeof raw);
        to[i] = hex[raw[i % sizeof raw] & 15];
    }
}
