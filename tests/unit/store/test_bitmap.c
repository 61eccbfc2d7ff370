/* store/bitmap against models that look at one bit at a time, with all lengths and alignments around the borders of
 * words, vectors and blocks, then with random ones. Pass the printed SEED to repeat a run. The argument `bench`
 * measures how fast bits are counted. */
#include "base/rand.h"
#include "store/bitmap.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define ROOM 12000
static char bytes[ROOM], other[ROOM], third[ROOM], result[ROOM];

static void choose_seed(void) {
    const char *given = getenv("SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
}

/* Bytes equal to `fill`, except about one in `rarity`. */
static void fill(char *to, size_t len, int with, unsigned rarity) {
    memset(to, with, len);
    for (size_t i = 0; i < len; i++)
        if (rand_below(rarity) == 0) to[i] = (char)rand_u64();
}

static bool bit_of(const char *p, uint64_t at) {
    return (uint8_t)p[at / 8] >> (7 - at % 8) & 1;
}

static uint64_t slow_count(const char *p, uint64_t first, uint64_t last) {
    uint64_t n = 0;
    for (uint64_t i = first; i <= last; i++)
        n += bit_of(p, i);
    return n;
}

static uint64_t slow_find(const char *p, uint64_t first, uint64_t last, bool bit) {
    for (uint64_t i = first; i <= last; i++)
        if (bit_of(p, i) == bit) return i;
    return BITMAP_NONE;
}

/* All methods, since bitmap_count() uses only one of them on this processor. */
static void test_all_ways_of_counting(void **state) {
    (void)state;
    choose_seed();
    bitmap_count_fn ways[BITMAP_COUNT_WAYS];
    size_t count = bitmap_count_ways(ways);
    fill(bytes, ROOM, 0, 1);
    for (size_t at = 0; at < 9; at++) {
        uint64_t expected = 0;
        for (size_t len = 0; len < 2200; len++) {
            for (size_t i = 0; i < count; i++)
                assert_int_equal(ways[i](bytes + at, len), expected);
            assert_int_equal(bitmap_count(slice_of(bytes + at, len)), expected);
            expected += slow_count(bytes + at, len * 8, len * 8 + 7);
        }
    }
    memset(bytes, 0xff, ROOM); /* the largest sums, which would overflow narrow counters */
    for (size_t i = 0; i < count; i++)
        assert_int_equal(ways[i](bytes, ROOM), ROOM * 8);
}

static void test_count_and_find_in_ranges(void **state) {
    (void)state;
    choose_seed();
    for (int round = 0; round < 3000; round++) {
        size_t len = 1 + rand_below(round % 10 ? 300 : ROOM);
        fill(bytes, len, rand_below(2) ? 0xff : 0, 1 + (unsigned)rand_below(500));
        uint64_t first = rand_below(len * 8), last = first + rand_below(len * 8 - first);
        assert_int_equal(bitmap_count_bits(bytes, first, last), slow_count(bytes, first, last));
        for (int bit = 0; bit < 2; bit++)
            assert_int_equal(bitmap_find(bytes, first, last, bit), slow_find(bytes, first, last, bit));
    }
}

static void test_find_single_bits(void **state) {
    (void)state;
    for (size_t at = 0; at < 200 * 8; at++) {
        memset(bytes, 0, 200);
        bytes[at / 8] = (char)(uint8_t)(0x80u >> at % 8);
        assert_int_equal(bitmap_find(bytes, 0, 200 * 8 - 1, true), at);
        assert_int_equal(bitmap_find(bytes, at, at, true), at);
        assert_int_equal(bitmap_find(bytes, at, at, false), BITMAP_NONE);
        if (at > 0) assert_int_equal(bitmap_find(bytes, 0, at - 1, true), BITMAP_NONE);
    }
}

static uint8_t byte_of(struct slice s, size_t at) {
    return at < s.len ? (uint8_t)s.ptr[at] : 0;
}

static void test_combine(void **state) {
    (void)state;
    choose_seed();
    fill(bytes, ROOM, 0, 1);
    fill(other, ROOM, 0, 1);
    fill(third, ROOM, 0, 1);
    for (int round = 0; round < 400; round++) {
        size_t most = round % 2 ? 100 : ROOM;
        struct slice s[3] = {{bytes, rand_below(most)}, {other, rand_below(most)}, {third, rand_below(most)}};
        size_t len = s[0].len > s[1].len ? s[0].len : s[1].len;
        if (s[2].len > len) len = s[2].len;
        for (int op = BITMAP_AND; op <= BITMAP_NOT; op++) {
            bitmap_combine((enum bitmap_op)op, result, len, s, 3);
            for (size_t i = 0; i < len; i++) {
                uint8_t a = byte_of(s[0], i), b = byte_of(s[1], i), c = byte_of(s[2], i);
                const uint8_t expected[] = {[BITMAP_AND] = a & b & c,
                                            [BITMAP_OR] = a | b | c,
                                            [BITMAP_XOR] = a ^ b ^ c,
                                            [BITMAP_NOT] = (uint8_t)~a};
                assert_int_equal((uint8_t)result[i], expected[op]);
            }
        }
    }
}

/* A field is written and read back, and its neighbours have not changed. */
static void test_fields(void **state) {
    (void)state;
    choose_seed();
    for (int round = 0; round < 20000; round++) {
        bool is_signed = rand_below(2);
        struct bitmap_field f = {rand_below(100), (uint8_t)(1 + rand_below(is_signed ? 64 : 63)), is_signed};
        size_t len = (size_t)(f.offset + f.bits + 7) / 8;
        fill(bytes, len, 0, 1);
        memcpy(other, bytes, len);
        int64_t value = (int64_t)rand_u64(), fitting;
        bitmap_field_put(bytes, f, value);
        assert_true(bitmap_field_add(f, value, 0, BITMAP_WRAP, &fitting));
        assert_int_equal(bitmap_field_get(slice_of(bytes, len), f), fitting);
        for (uint64_t i = 0; i < len * 8; i++) {
            bool inside = i >= f.offset && i < f.offset + f.bits;
            bool expected = inside ? (uint64_t)value >> (f.offset + f.bits - 1 - i) & 1 : bit_of(other, i);
            assert_int_equal(bit_of(bytes, i), expected);
        }
        size_t cut = rand_below(len + 1); /* bits behind the end read as zeros */
        memset(bytes + cut, 0, len - cut);
        assert_int_equal(bitmap_field_get(slice_of(bytes, cut), f), bitmap_field_get(slice_of(bytes, len), f));
    }
}

static void test_overflows(void **state) {
    (void)state;
    choose_seed();
    for (int round = 0; round < 50000; round++) {
        bool is_signed = rand_below(2);
        struct bitmap_field f = {0, (uint8_t)(1 + rand_below(is_signed ? 64 : 63)), is_signed};
        unsigned spare = 64u - f.bits;
        int64_t max = (int64_t)(UINT64_MAX >> spare >> is_signed), min = is_signed ? -max - 1 : 0, value, sum;
        assert_true(bitmap_field_add(f, (int64_t)rand_u64(), 0, BITMAP_WRAP, &value));
        assert_true(value >= min && value <= max);
        int64_t step = (int64_t)rand_u64() >> rand_below(64);
        __int128 exact = (__int128)value + step;
        bool fits = exact >= min && exact <= max;
        assert_int_equal(bitmap_field_add(f, value, step, BITMAP_FAIL, &sum), fits);
        if (fits) assert_true(sum == exact);
        assert_true(bitmap_field_add(f, value, step, BITMAP_SATURATE, &sum));
        assert_true(sum == (fits ? (int64_t)exact : exact > max ? max : min));
        assert_true(bitmap_field_add(f, value, step, BITMAP_WRAP, &sum));
        assert_true(sum >= min && sum <= max && ((uint64_t)sum ^ (uint64_t)exact) << spare == 0);
    }
}

static double cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int bench(void) {
    static char big[128 * 1024];
    bitmap_count_fn ways[BITMAP_COUNT_WAYS];
    size_t count = bitmap_count_ways(ways);
    uint64_t sum = 0;
    fill(big, sizeof big, 0, 1);
    for (size_t i = 0; i < count; i++) {
        for (size_t len = 256; len <= sizeof big; len *= 8) {
            int rounds = (int)(200000000 / len);
            double began = cpu_ns();
            for (int k = 0; k < rounds; k++)
                sum += ways[i](big, len);
            printf("way %zu, %6zu bytes: %8.1f ns\n", i, len, (cpu_ns() - began) / rounds);
        }
    }
    return sum == 0;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "bench") == 0) return bench();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_ways_of_counting),
        cmocka_unit_test(test_count_and_find_in_ranges),
        cmocka_unit_test(test_find_single_bits),
        cmocka_unit_test(test_combine),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_overflows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
