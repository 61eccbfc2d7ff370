/* ds/intset: the format, every widening, random operations compared with a sorted array, damaged bytes. To repeat a
 * failed run, pass the SEED that it prints. The argument `bench` runs the micro-benchmark. */
#include "base/clock.h"
#include "base/rand.h"
#include "ds/intset.h"
#include "seed.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MOST 600
static uint8_t set[INTSET_HEAD + 8 * (MOST + 1)];
static int64_t model[MOST];
static size_t count;

static void choose_seed(void) {
    uint64_t seed = seed_of_run();
    print_message("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
}

static void test_format(void **state) {
    (void)state;
    intset_init(set);
    assert_memory_equal(set, "\2\0\0\0\0\0\0\0", 8);
    assert_int_equal(intset_bytes_with(set, 32767), 10);
    assert_true(intset_insert(set, 32767));
    assert_true(intset_insert(set, -32768));
    assert_false(intset_insert(set, 32767));
    assert_memory_equal(set, "\2\0\0\0\2\0\0\0\x00\x80\xff\x7f", 12);
    assert_int_equal(intset_bytes_with(set, 32768), 20);
    assert_false(intset_has(set, 32768));
    assert_true(intset_insert(set, 32768));
    assert_memory_equal(set, "\4\0\0\0\3\0\0\0\x00\x80\xff\xff\xff\x7f\0\0\x00\x80\0\0", 20);
    assert_int_equal(intset_bytes_with(set, INT64_C(-2147483649)), 40);
    assert_true(intset_insert(set, INT64_C(-2147483649)));
    assert_memory_equal(set, "\x08\0\0\0\4\0\0\0\xff\xff\xff\x7f\xff\xff\xff\xff\x00\x80\xff\xff\xff\xff\xff\xff", 24);
    assert_true(intset_insert(set, INT64_MIN) && intset_insert(set, INT64_MAX));
    assert_true(intset_remove(set, INT64_MIN) && !intset_remove(set, INT64_MIN));
    assert_int_equal(intset_width(set), 8); /* it never narrows */
    assert_true(intset_check(set, intset_bytes(set)));
}

static size_t model_place(int64_t number) {
    size_t at = 0;
    while (at < count && model[at] < number)
        at++;
    return at;
}

static int64_t random_number(unsigned bits) {
    int64_t n = (int64_t)(rand_u64() >> (64 - bits));
    return rand_below(2) ? n : -n - 1;
}

static void verify(void) {
    assert_int_equal(intset_count(set), count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(intset_get(set, i), model[i]);
    assert_true(intset_check(set, intset_bytes(set)));
}

static void step(unsigned bits) {
    int64_t number = count > 0 && rand_below(3) == 0 ? model[rand_below(count)] : random_number(bits);
    size_t at = model_place(number), found;
    bool there = at < count && model[at] == number;
    assert_int_equal(intset_find(set, number, &found), there);
    assert_int_equal(found, at);
    if (rand_below(2) && count < MOST) {
        size_t bytes = intset_bytes_with(set, number);
        assert_int_equal(intset_insert(set, number), !there);
        if (there) return;
        assert_int_equal(intset_bytes(set), bytes);
        memmove(model + at + 1, model + at, (count++ - at) * sizeof *model);
        model[at] = number;
    } else {
        assert_int_equal(intset_remove(set, number), there);
        if (there) memmove(model + at, model + at + 1, (--count - at) * sizeof *model);
    }
}

static void test_model(void **state) {
    (void)state;
    choose_seed();
    for (size_t round = 0; round < 300; round++) {
        intset_init(set);
        count = 0;
        unsigned bits = 3;
        for (size_t i = 0; i < 8000; i++) {
            if (i % 500 == 0) bits = 3 + (unsigned)rand_below(i < 4000 ? 12 : 61); /* narrow numbers first */
            step(bits);
            if (i % 128 == 0) verify();
        }
    }
}

/* Bytes that pass the check are read without leaving them; the block is exactly as long as they are. */
static void test_damage(void **state) {
    (void)state;
    choose_seed();
    static const int64_t numbers[3][4] = {{1, 2, 300, 400}, {1, 70000, 80000, 90000}, {-1, 0, INT64_MAX, 5}};
    size_t passed = 0;
    for (size_t width = 0; width < 3; width++) {
        intset_init(set);
        for (size_t i = 0; i < 4; i++)
            intset_insert(set, numbers[width][i]);
        size_t n = intset_bytes(set);
        uint8_t *copy = malloc(n);
        for (size_t i = 0; i < n * 256; i++) {
            memcpy(copy, set, n);
            copy[i / 256] = (uint8_t)i;
            if (!intset_check(copy, n)) continue;
            passed++;
            assert_int_equal(intset_bytes(copy), n);
            for (size_t k = 0; k < intset_count(copy); k++)
                assert_true(intset_has(copy, intset_get(copy, k)));
        }
        free(copy);
        for (size_t i = 0; i < n; i++)
            assert_false(intset_check(set, i));
    }
    assert_true(passed > 0);
    static const uint8_t equal[] = "\2\0\0\0\2\0\0\0\5\0\5\0", huge[] = "\x08\0\0\0\xff\xff\xff\xff";
    assert_false(intset_check(equal, 12));
    assert_false(intset_check(huge, 8));
}

static void bench(void) {
    intset_init(set);
    for (int i = 0; i < 512; i++)
        intset_insert(set, i * 37 % 20000);
    size_t found = 0, rounds = 10000000;
    int64_t start = clock_mono_us();
    for (size_t i = 0; i < rounds; i++)
        found += intset_has(set, (int64_t)(rand_u64() & 16383));
    printf("find in 512: %.1f ns (%zu)\n", (double)(clock_mono_us() - start) * 1000 / (double)rounds, found & 1);
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "bench") == 0) {
        bench();
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
