/* A keyed 64-bit hash of bytes for tables in memory: folded 64x64 multiplications over steps of 16 bytes (the
 * construction of wyhash by Wang Yi). The secret is drawn at boot, so that nobody outside can aim at one slot.
 *
 * All 64 bits are good, the high ones too. Hashes are never stored on disk. Any thread may call hash_bytes(). O(n). */
#pragma once
#include "base/likely.h"
#include <stddef.h>
#include <stdint.h>
#include <string.h>

extern uint64_t hash_secret[4];
void hash_init(void);                                         /* a random secret */
void hash_seed(uint64_t seed);                                /* a repeatable secret, for tests */
uint64_t hash_long(const char *p, size_t len, uint64_t seed); /* for more than 16 bytes */

static inline uint64_t hash_fold(uint64_t a, uint64_t b) {
    __uint128_t product = (__uint128_t)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}
static inline uint64_t hash_load64(const char *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}
static inline uint64_t hash_load32(const char *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

static inline uint64_t hash_bytes(const char *p, size_t len) {
    uint64_t a, b, seed = hash_secret[0] ^ len;
    if (unlikely(len > 16)) return hash_long(p, len, seed);
    if (len >= 8) {
        a = hash_load64(p);
        b = hash_load64(p + len - 8);
    } else if (len >= 4) {
        a = hash_load32(p);
        b = hash_load32(p + len - 4);
    } else if (len > 0) {
        a = (uint64_t)(unsigned char)p[0] << 16 | (uint64_t)(unsigned char)p[len >> 1] << 8 | (unsigned char)p[len - 1];
        b = 0;
    } else {
        a = b = 0;
    }
    return hash_fold(hash_secret[1] ^ hash_fold(a ^ hash_secret[2], b ^ seed), hash_secret[3] ^ len);
}
