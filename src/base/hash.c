/* The secret, and the hash of long keys. See hash.h. */
#include "base/hash.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

/* These values serve until hash_init(), so that nothing depends on the order of start-up. */
uint64_t hash_secret[4] = {0xa0761d6478bd642f, 0xe7037ed1a0b428db, 0x8ebc6af09c88c6e3, 0x589965cc75374cc3};

/* Multipliers are odd: an even one would only shift bits of the product away. */
static void make_odd(void) {
    for (int i = 0; i < 4; i++)
        hash_secret[i] |= 1;
}

void hash_init(void) {
    size_t done = 0;
    while (done < sizeof hash_secret) {
        ssize_t got = getrandom((char *)hash_secret + done, sizeof hash_secret - done, 0);
        if (got < 0 && errno != EINTR) abort(); /* every kernel since 3.17 has getrandom(2) */
        if (got > 0) done += (size_t)got;
    }
    make_odd();
}

void hash_seed(uint64_t seed) {
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9e3779b97f4a7c15; /* splitmix64 */
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        hash_secret[i] = z ^ z >> 31;
    }
    make_odd();
}

/* Each step folds 16 bytes into the seed. The last 16 bytes are read as a whole, overlapping the step before them, and
 * finished like a short key. */
uint64_t hash_long(const char *p, size_t len, uint64_t seed) {
    size_t left = len;
    for (; left > 16; left -= 16, p += 16)
        seed = hash_fold(hash_load64(p) ^ hash_secret[2], hash_load64(p + 8) ^ seed);
    uint64_t a = hash_load64(p + left - 16), b = hash_load64(p + left - 8);
    return hash_fold(hash_secret[1] ^ hash_fold(a ^ hash_secret[2], b ^ seed), hash_secret[3] ^ len);
}
