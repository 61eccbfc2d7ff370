/* Two ways to compute the same number; one is chosen when the program starts.
 *
 * Folding (Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel 2009): the
 * message is a polynomial, and its first 128 bits A, followed by n bits, may be replaced by adding A * x^n mod P to
 * those n bits. Four accumulators of 128 bits advance by 512 bits per step, so that multiplications overlap. In the end
 * they are folded into one, whose 16 bytes go through the table. Bits are reflected: the first bit of the message,
 * which has the highest power, is bit 0. The product of two reflected numbers is a power of x too high, hence the odd
 * exponents below.
 *
 * The table: eight bytes at a time, each looked up in the table of its distance (Kounavis and Berry, 2005).
 *
 * All constants are computed from the polynomial. */
#include "base/crc64.h"
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define POLYNOMIAL 0x95ac9329ac4bc9b5u /* ad93d23594c935a9, reflected */

static uint64_t tables[8][256]; /* tables[k][b]: byte b with k zero bytes behind it */

static uint64_t times_x(uint64_t remainder) {
    return remainder >> 1 ^ (remainder & 1 ? POLYNOMIAL : 0);
}

static void fill_tables(void) {
    for (unsigned b = 0; b < 256; b++) {
        uint64_t crc = b;
        for (int bit = 0; bit < 8; bit++)
            crc = times_x(crc);
        tables[0][b] = crc;
    }
    for (unsigned k = 1; k < 8; k++) {
        for (unsigned b = 0; b < 256; b++)
            tables[k][b] = tables[0][tables[k - 1][b] & 255] ^ tables[k - 1][b] >> 8;
    }
}

uint64_t crc64_portable(uint64_t crc, const void *bytes, size_t n) {
    const uint8_t *p = bytes;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, sizeof word);
        crc ^= word;
        crc = tables[7][crc & 255] ^ tables[6][crc >> 8 & 255] ^ tables[5][crc >> 16 & 255] ^
              tables[4][crc >> 24 & 255] ^ tables[3][crc >> 32 & 255] ^ tables[2][crc >> 40 & 255] ^
              tables[1][crc >> 48 & 255] ^ tables[0][crc >> 56];
    }
    while (n-- > 0)
        crc = tables[0][(crc ^ *p++) & 255] ^ crc >> 8;
    return crc;
}

#if defined(__x86_64__)
#define FOLD_MIN 256 /* bytes; for fewer the table is as fast */

/* Factors that move 128 bits forward by 512 and by 128 bits of message: for their first and their second half. */
static uint64_t over_512[2], over_128[2];
static int folds;

/* x^n mod P, reflected: bit 63 is x^0. */
static uint64_t power_of_x(unsigned n) {
    uint64_t power = (uint64_t)1 << 63;
    while (n-- > 0)
        power = times_x(power);
    return power;
}

__attribute__((target("pclmul,sse4.1"))) static inline __m128i fold(__m128i a, __m128i factors, __m128i next) {
    __m128i first = _mm_clmulepi64_si128(a, factors, 0x00), second = _mm_clmulepi64_si128(a, factors, 0x11);
    return _mm_xor_si128(_mm_xor_si128(first, second), next);
}

__attribute__((target("pclmul,sse4.1"))) static uint64_t crc64_folding(uint64_t crc, const uint8_t *p, size_t n) {
    const __m128i far = _mm_loadu_si128((const __m128i *)over_512);
    const __m128i near = _mm_loadu_si128((const __m128i *)over_128);
    __m128i a[4];
    for (int i = 0; i < 4; i++)
        a[i] = _mm_loadu_si128((const __m128i *)p + i);
    a[0] = _mm_xor_si128(a[0], _mm_cvtsi64_si128((long long)crc));
    for (p += 64, n -= 64; n >= 64; p += 64, n -= 64) {
        for (int i = 0; i < 4; i++)
            a[i] = fold(a[i], far, _mm_loadu_si128((const __m128i *)p + i));
    }
    __m128i all = fold(fold(fold(a[0], near, a[1]), near, a[2]), near, a[3]);
    uint8_t rest[16];
    _mm_storeu_si128((__m128i *)rest, all);
    return crc64_portable(crc64_portable(0, rest, sizeof rest), p, n);
}
#endif

__attribute__((constructor)) static void crc64_prepare(void) {
    fill_tables();
#if defined(__x86_64__)
    over_512[0] = power_of_x(512 + 64 - 1);
    over_512[1] = power_of_x(512 - 1);
    over_128[0] = power_of_x(128 + 64 - 1);
    over_128[1] = power_of_x(128 - 1);
    folds = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
#endif
}

uint64_t crc64(uint64_t crc, const void *bytes, size_t n) {
#if defined(__x86_64__)
    if (n >= FOLD_MIN && folds) return crc64_folding(crc, bytes, n);
#endif
    return crc64_portable(crc, bytes, n);
}
