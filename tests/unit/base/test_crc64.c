/* The checksum: its published check value, and its two implementations compared. */
#include "base/crc64.h"
#include "base/rand.h"
#include "seed.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void check_values(void **state) {
    (void)state;
    static const char text[] = "This is a test of the emergency broadcast system.";
    assert_true(crc64(0, "123456789", 9) == 0xe9c6d914c4b8d9cau);
    assert_true(crc64(0, text, sizeof text - 1) == crc64_portable(0, text, sizeof text - 1));
    assert_true(crc64(0, "", 0) == 0);
    assert_true(crc64(7, "", 0) == 7);
}

/* One bit at a time, from the definition. */
static uint64_t slowly(uint64_t crc, const uint8_t *p, size_t n) {
    while (n-- > 0) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x95ac9329ac4bc9b5u : 0);
    }
    return crc;
}

static void all_ways_agree(void **state) {
    (void)state;
    enum { BYTES = 5000 };
    static uint8_t bytes[BYTES];
    for (size_t i = 0; i < BYTES; i++)
        bytes[i] = (uint8_t)rand_u64();
    for (int i = 0; i < 3000; i++) {
        size_t from = rand_below(64), n = rand_below(i % 2 ? BYTES - 64 : 600);
        uint64_t crc = rand_u64(), expected = slowly(crc, bytes + from, n);
        assert_true(crc64(crc, bytes + from, n) == expected);
        assert_true(crc64_portable(crc, bytes + from, n) == expected);
    }
}

static void goes_on_where_it_was(void **state) {
    (void)state;
    static uint8_t bytes[4096];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * i >> 3);
    uint64_t whole = crc64(0, bytes, sizeof bytes);
    for (size_t cut = 0; cut <= sizeof bytes; cut += 61)
        assert_true(crc64(crc64(0, bytes, cut), bytes + cut, sizeof bytes - cut) == whole);
}

int main(void) {
    uint64_t seed = seed_of_run();
    printf("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_values),
        cmocka_unit_test(all_ways_agree),
        cmocka_unit_test(goes_on_where_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
