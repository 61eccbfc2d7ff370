/* The hash: it is repeatable, reads only its bytes, and spreads every bit of the key over all bits of the result. */
#include "base/hash.h"
#include "base/rand.h"
#include "seed.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void depends_on_bytes_and_secret(void **state) {
    (void)state;
    char a[200], b[200];
    for (size_t i = 0; i < sizeof a; i++)
        a[i] = (char)rand_u64();
    for (size_t len = 0; len <= 150; len++) {
        memset(b, (int)len, sizeof b);
        memcpy(b + 7, a, len); /* unaligned, other bytes around */
        hash_seed(1);
        uint64_t first = hash_bytes(a, len);
        assert_true(first == hash_bytes(b + 7, len));
        for (size_t i = 0; i < len; i++) { /* each byte changes the hash */
            b[7 + i] ^= 0x10;
            assert_true(first != hash_bytes(b + 7, len));
            b[7 + i] ^= 0x10;
        }
        hash_seed(2);
        assert_true(first != hash_bytes(a, len));
    }
    hash_init();
    uint64_t x = hash_bytes("key", 3);
    hash_init();
    assert_true(x != hash_bytes("key", 3));
    /* zeros of different lengths differ */
    static const char zeros[64];
    for (size_t i = 0; i < 64; i++)
        for (size_t j = 0; j < i; j++)
            assert_true(hash_bytes(zeros, i) != hash_bytes(zeros, j));
}

/* Flip each input bit: each output bit must flip about half of the time. (There are too few keys of one and two bytes
 * for such statistics; the test above shows that they differ.) */
static void avalanche(void **state) {
    (void)state;
    static const size_t lengths[] = {3, 4, 7, 8, 12, 16, 17, 31, 32, 33, 48, 65};
    enum { ROUNDS = 1500 };
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
        size_t len = lengths[l];
        unsigned flips[64] = {0}, worst = 0;
        for (size_t bit = 0; bit < len * 8; bit++) {
            unsigned here[64] = {0};
            for (int round = 0; round < ROUNDS; round++) {
                char key[65];
                for (size_t i = 0; i < len; i++)
                    key[i] = (char)rand_u64();
                uint64_t before = hash_bytes(key, len);
                key[bit / 8] ^= (char)(1 << bit % 8);
                uint64_t diff = before ^ hash_bytes(key, len);
                for (int out = 0; out < 64; out++)
                    here[out] += diff >> out & 1;
            }
            for (int out = 0; out < 64; out++) {
                unsigned off = (unsigned)abs((int)here[out] - ROUNDS / 2);
                if (off > worst) worst = off;
                flips[out] += here[out];
            }
        }
        /* sigma is 19; of about 33,000 cells none should be near 7 sigma */
        if (worst > 140) fail_msg("length %zu: bias %u of %d", len, worst, ROUNDS / 2);
        for (int out = 0; out < 64; out++) {
            double mean = (double)flips[out] / (double)(len * 8) / ROUNDS;
            if (mean < 0.48 || mean > 0.52) fail_msg("length %zu, output bit %d: %f", len, out, mean);
        }
    }
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static unsigned count_equal(uint64_t *v, size_t n) {
    qsort(v, n, sizeof *v, by_value);
    unsigned equal = 0;
    for (size_t i = 1; i < n; i++)
        equal += v[i] == v[i - 1];
    return equal;
}

/* A million sequential keys, in 40 bits: n^2 / 2^41 = 0.45 collisions are expected; 8 are practically impossible. */
static void sequential_keys_spread(void **state) {
    (void)state;
    enum { N = 1000000 };
    static uint64_t high[N], bottom[N];
    static const char *const names[] = {"key:%012d", "%d", "user:profile:session:%d:data", "%08x"};
    for (size_t f = 0; f < sizeof names / sizeof *names; f++) {
        for (int i = 0; i < N; i++) {
            char key[64];
            int n = 0;
            if (f == 0) n = snprintf(key, sizeof key, "key:%012d", i);
            if (f == 1) n = snprintf(key, sizeof key, "%d", i);
            if (f == 2) n = snprintf(key, sizeof key, "user:profile:session:%d:data", i);
            if (f == 3) n = snprintf(key, sizeof key, "%08x", (unsigned)i);
            uint64_t hash = hash_bytes(key, (size_t)n);
            high[i] = hash >> 24;
            bottom[i] = hash & ((UINT64_C(1) << 40) - 1);
        }
        unsigned up = count_equal(high, N), down = count_equal(bottom, N);
        if (up > 8 || down > 8) fail_msg("%s: %u collisions in the high bits, %u in the low", names[f], up, down);
    }
}

/* The lines of a table: the low and the high 12 bits fill them evenly (chi squared). */
static void buckets_fill_evenly(void **state) {
    (void)state;
    enum { BUCKETS = 4096, N = 1000000 };
    unsigned low[BUCKETS] = {0}, high[BUCKETS] = {0};
    for (uint64_t i = 0; i < N; i++) {
        uint64_t hash = hash_bytes((const char *)&i, sizeof i);
        low[hash % BUCKETS]++;
        high[hash >> 52]++;
    }
    double chi_low = 0, chi_high = 0, mean = (double)N / BUCKETS;
    for (int i = 0; i < BUCKETS; i++) {
        chi_low += (low[i] - mean) * (low[i] - mean) / mean;
        chi_high += (high[i] - mean) * (high[i] - mean) / mean;
    }
    /* 4095 degrees of freedom: sigma is 90 */
    if (chi_low > 4095 + 630 || chi_high > 4095 + 630) fail_msg("chi squared: low %f, high %f", chi_low, chi_high);
}

int main(void) {
    uint64_t seed = seed_of_run();
    printf("test_hash: seed %" PRIu64 "\n", seed);
    rand_seed(seed);
    hash_seed(seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(avalanche),
        cmocka_unit_test(sequential_keys_spread),
        cmocka_unit_test(buckets_fill_evenly),
        cmocka_unit_test(depends_on_bytes_and_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
