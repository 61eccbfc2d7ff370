/* Counting, searching and combining bits, many at a time.
 *
 * The speed of counting depends on the bytes that one instruction takes: 64 with a population count for vectors, 32
 * with a register in which nibbles are looked up, 8 with the plain instruction, 8 in a dozen operations without one. A
 * release runs on any x86-64, so the choice is made at run time, by a test of one word that the C runtime has filled
 * in. A function pointer would have to be set up, and is a trap for sanitizers and linkers. Other processors get the
 * portable loop.
 *
 * Searching and combining are plain loops over words: these are limited by memory, and the compiler vectorises them. */
#include "store/bitmap.h"
#include <assert.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

static inline uint64_t load_word(const char *p) {
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/* --- Counting -------------------------------------------------------------------------------- */

/* Sum neighbouring groups of bits, side by side in one word: pairs, then nibbles, then bytes. */
static uint64_t count_word(uint64_t w) {
    w -= w >> 1 & 0x5555555555555555;
    w = (w & 0x3333333333333333) + (w >> 2 & 0x3333333333333333);
    w = (w + (w >> 4)) & 0x0f0f0f0f0f0f0f0f;
    return w * 0x0101010101010101 >> 56;
}

static uint64_t count_portable(const char *p, size_t len) {
    uint64_t sum = 0, word = 0;
    for (; len >= 8; p += 8, len -= 8)
        sum += count_word(load_word(p));
    memcpy(&word, p, len);
    return sum + count_word(word);
}

#ifdef __x86_64__
__attribute__((target("popcnt"))) static uint64_t count_popcnt(const char *p, size_t len) {
    uint64_t sum = 0, word = 0;
    for (; len >= 32; p += 32, len -= 32) {
        sum += (uint64_t)_mm_popcnt_u64(load_word(p)) + (uint64_t)_mm_popcnt_u64(load_word(p + 8)) +
               (uint64_t)_mm_popcnt_u64(load_word(p + 16)) + (uint64_t)_mm_popcnt_u64(load_word(p + 24));
    }
    for (; len >= 8; p += 8, len -= 8)
        sum += (uint64_t)_mm_popcnt_u64(load_word(p));
    memcpy(&word, p, len);
    return sum + (uint64_t)_mm_popcnt_u64(word);
}

/* A register holds the counts of all 16 nibbles; one instruction looks up 32. A round adds at most 8 to each byte of
 * the sums, so 31 rounds cannot overflow it. Source: Mula, Kurz, Lemire, "Faster Population Counts Using AVX2
 * Instructions", 2018. */
__attribute__((target("avx2,popcnt"))) static uint64_t count_avx2(const char *p, size_t len) {
    const __m256i nibbles = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1,
                                             2, 2, 3, 2, 3, 3, 4);
    const __m256i low = _mm256_set1_epi8(15), zero = _mm256_setzero_si256();
    __m256i sums = zero;
    while (len >= 32) {
        __m256i bytes = zero;
        for (int round = 0; round < 31 && len >= 32; round++, p += 32, len -= 32) {
            __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)p);
            bytes = _mm256_add_epi8(bytes, _mm256_shuffle_epi8(nibbles, _mm256_and_si256(v, low)));
            bytes =
                _mm256_add_epi8(bytes, _mm256_shuffle_epi8(nibbles, _mm256_and_si256(_mm256_srli_epi16(v, 4), low)));
        }
        sums = _mm256_add_epi64(sums, _mm256_sad_epu8(bytes, zero));
    }
    uint64_t four[4];
    memcpy(four, &sums, sizeof four);
    return four[0] + four[1] + four[2] + four[3] + count_popcnt(p, len);
}

/* Four sums, because each addition to one sum waits for the previous one. */
__attribute__((target("avx512f,avx512vpopcntdq,popcnt"))) static uint64_t count_avx512(const char *p, size_t len) {
    __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
    for (; len >= 256; p += 256, len -= 256) {
        a = _mm512_add_epi64(a, _mm512_popcnt_epi64(_mm512_loadu_si512(p)));
        b = _mm512_add_epi64(b, _mm512_popcnt_epi64(_mm512_loadu_si512(p + 64)));
        c = _mm512_add_epi64(c, _mm512_popcnt_epi64(_mm512_loadu_si512(p + 128)));
        d = _mm512_add_epi64(d, _mm512_popcnt_epi64(_mm512_loadu_si512(p + 192)));
    }
    a = _mm512_add_epi64(_mm512_add_epi64(a, b), _mm512_add_epi64(c, d));
    return (uint64_t)_mm512_reduce_add_epi64(a) + count_popcnt(p, len);
}

#define VECTOR_MIN 256 /* bytes; for fewer, setting up the registers takes most of the time */

uint64_t bitmap_count(struct slice bytes) {
    if (bytes.len >= VECTOR_MIN) {
        if (__builtin_cpu_supports("avx512vpopcntdq")) return count_avx512(bytes.ptr, bytes.len);
        if (__builtin_cpu_supports("avx2")) return count_avx2(bytes.ptr, bytes.len);
    }
    if (__builtin_cpu_supports("popcnt")) return count_popcnt(bytes.ptr, bytes.len);
    return count_portable(bytes.ptr, bytes.len);
}

size_t bitmap_count_ways(bitmap_count_fn ways[BITMAP_COUNT_WAYS]) {
    size_t n = 0;
    ways[n++] = count_portable;
    if (__builtin_cpu_supports("popcnt")) ways[n++] = count_popcnt;
    if (__builtin_cpu_supports("avx2")) ways[n++] = count_avx2;
    if (__builtin_cpu_supports("avx512vpopcntdq")) ways[n++] = count_avx512;
    return n;
}
#else
uint64_t bitmap_count(struct slice bytes) {
    return count_portable(bytes.ptr, bytes.len);
}

size_t bitmap_count_ways(bitmap_count_fn ways[BITMAP_COUNT_WAYS]) {
    ways[0] = count_portable;
    return 1;
}
#endif

uint64_t bitmap_count_bits(const char *bytes, uint64_t first, uint64_t last) {
    assert(first <= last);
    size_t from = (size_t)(first / 8), to = (size_t)(last / 8);
    unsigned before = (uint8_t)bytes[from] & ~(0xffu >> first % 8), behind = (uint8_t)bytes[to] & (0x7fu >> last % 8);
    return bitmap_count(slice_of(bytes + from, to - from + 1)) - (unsigned)__builtin_popcount(before) -
           (unsigned)__builtin_popcount(behind);
}

/* --- Searching ------------------------------------------------------------------------------- */

/* The index of the first byte in [at, end) that differs from `skipped`, a word of eight equal bytes; or `end`. */
static size_t skip_equal(const char *bytes, size_t at, size_t end, uint64_t skipped) {
    while (end - at >= 64) {
        uint64_t others = 0;
        for (int i = 0; i < 64; i += 8)
            others |= load_word(bytes + at + i) ^ skipped;
        if (others) break;
        at += 64;
    }
    while (end - at >= 8 && load_word(bytes + at) == skipped)
        at += 8;
    while (at < end && (uint8_t)bytes[at] == (uint8_t)skipped)
        at++;
    return at;
}

uint64_t bitmap_find(const char *bytes, uint64_t first, uint64_t last, bool bit) {
    assert(first <= last);
    size_t at = (size_t)(first / 8), end = (size_t)(last / 8) + 1;
    uint64_t skipped = bit ? 0 : UINT64_MAX;
    unsigned hits = (uint8_t)((uint8_t)bytes[at] ^ skipped) & (0xffu >> first % 8);
    if (!hits) {
        at = skip_equal(bytes, at + 1, end, skipped);
        if (at == end) return BITMAP_NONE;
        hits = (uint8_t)((uint8_t)bytes[at] ^ skipped);
    }
    uint64_t position = (uint64_t)at * 8 + (unsigned)__builtin_clz(hits) - 24;
    return position <= last ? position : BITMAP_NONE;
}

/* --- Combining ------------------------------------------------------------------------------- */

/* Each sets `to` to `to OP from`. One plain loop for each operation, since compilers vectorise these best. */
static void and_with(char *restrict to, const char *restrict from, size_t len) {
    for (size_t i = 0; i < len; i++)
        to[i] &= from[i];
}

static void or_with(char *restrict to, const char *restrict from, size_t len) {
    for (size_t i = 0; i < len; i++)
        to[i] |= from[i];
}

static void xor_with(char *restrict to, const char *restrict from, size_t len) {
    for (size_t i = 0; i < len; i++)
        to[i] ^= from[i];
}

static void invert_bytes(char *to, size_t len) {
    for (size_t i = 0; i < len; i++)
        to[i] = (char)~to[i];
}

/* The bytes of the source in [at, at + len); empty behind its end. */
static struct slice part_of_source(struct slice source, size_t at, size_t len) {
    if (at >= source.len) return SLICE("");
    return slice_of(source.ptr + at, source.len - at < len ? source.len - at : len);
}

#define BLOCK 4096 /* bytes: this much of the result stays in the first-level cache while all sources are read */

void bitmap_combine(enum bitmap_op op, char *to, size_t len, const struct slice *sources, size_t count) {
    for (size_t at = 0, n; at < len; at += n, to += n) {
        n = len - at < BLOCK ? len - at : BLOCK;
        struct slice s = part_of_source(sources[0], at, n);
        memcpy(to, s.ptr, s.len);
        memset(to + s.len, 0, n - s.len);
        if (op == BITMAP_NOT) {
            invert_bytes(to, n);
            continue;
        }
        for (size_t i = 1; i < count; i++) {
            s = part_of_source(sources[i], at, n);
            if (op == BITMAP_AND) {
                and_with(to, s.ptr, s.len);
                memset(to + s.len, 0, n - s.len);
            } else if (op == BITMAP_OR) {
                or_with(to, s.ptr, s.len);
            } else {
                xor_with(to, s.ptr, s.len);
            }
        }
    }
}

/* --- Fields ---------------------------------------------------------------------------------- */

/* A field touches at most nine bytes. They are handled as one number. */
typedef unsigned __int128 window_int;

static unsigned window_bytes(struct bitmap_field f) {
    return (unsigned)(f.offset % 8 + f.bits + 7) / 8;
}

static unsigned window_shift(struct bitmap_field f) {
    return window_bytes(f) * 8 - (unsigned)(f.offset % 8) - f.bits;
}

/* The value of a field that holds the low bits of this number. */
static int64_t narrow_to_field(struct bitmap_field f, uint64_t value) {
    unsigned unused = 64u - f.bits;
    value <<= unused;
    return f.is_signed ? (int64_t)value >> unused : (int64_t)(value >> unused);
}

int64_t bitmap_field_get(struct slice bytes, struct bitmap_field f) {
    uint64_t at = f.offset / 8;
    window_int window = 0;
    for (unsigned i = 0; i < window_bytes(f); i++)
        window = window << 8 | (at + i < bytes.len ? (uint8_t)bytes.ptr[at + i] : 0);
    return narrow_to_field(f, (uint64_t)(window >> window_shift(f)));
}

void bitmap_field_put(char *bytes, struct bitmap_field f, int64_t value) {
    uint64_t at = f.offset / 8;
    window_int window = 0, mask = (((window_int)1 << f.bits) - 1) << window_shift(f);
    unsigned n = window_bytes(f);
    for (unsigned i = 0; i < n; i++)
        window = window << 8 | (uint8_t)bytes[at + i];
    window = (window & ~mask) | ((window_int)(uint64_t)value << window_shift(f) & mask);
    for (unsigned i = n; i-- > 0; window >>= 8)
        bytes[at + i] = (char)(uint8_t)window;
}

/* 1 if the sum is above the field's range, -1 if below, 0 if within. Redis computes the distance to the maximum in 64
 * bits, so a sum far below the range of a narrow signed field wraps and counts as above it. Clients can see this with
 * OVERFLOW SAT, so kura does the same. */
static int end_exceeded(struct bitmap_field f, int64_t value, int64_t increment, int64_t min, int64_t max) {
    if (!f.is_signed) {
        if (value < 0 || value > max) return 1; /* as an unsigned number it is a large one */
        return increment > max - value ? 1 : increment < -value ? -1 : 0;
    }
    if (f.bits < 64 && value < 0 && increment > (int64_t)((uint64_t)max - (uint64_t)value)) return 1;
    __int128 sum = (__int128)value + increment;
    return sum > max ? 1 : sum < min ? -1 : 0;
}

bool bitmap_field_add(struct bitmap_field f, int64_t value, int64_t increment, enum bitmap_overflow how,
                      int64_t *result) {
    int64_t max = (int64_t)(UINT64_MAX >> (64 - f.bits) >> f.is_signed), min = f.is_signed ? -max - 1 : 0;
    int side = end_exceeded(f, value, increment, min, max);
    if (side && how == BITMAP_FAIL) return false;
    if (side && how == BITMAP_SATURATE) {
        *result = side > 0 ? max : min;
    } else {
        *result = narrow_to_field(f, (uint64_t)value + (uint64_t)increment);
    }
    return true;
}
