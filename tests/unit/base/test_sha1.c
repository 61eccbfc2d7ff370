/* The digests of FIPS 180's examples, and of texts around the length of a block. */
#include "base/sha1.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void expect(struct slice text, const char *digits) {
    char hex[SHA1_DIGITS];
    sha1_hex(text, hex);
    assert_memory_equal(hex, digits, SHA1_DIGITS);
}

static void known_digests(void **state) {
    (void)state;
    expect(SLICE(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    expect(SLICE("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    expect(SLICE("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
           "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    expect(SLICE("return 1"), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
}

static void bytes_and_digits_agree(void **state) {
    (void)state;
    char text[200] = {0}, hex[SHA1_DIGITS];
    for (size_t n = 0; n < sizeof text; n++) {
        uint8_t bytes[SHA1_BYTES];
        sha1_digest(slice_of(text, n), bytes);
        sha1_hex(slice_of(text, n), hex);
        for (int i = 0; i < SHA1_BYTES; i++) {
            assert_int_equal(hex[2 * i], "0123456789abcdef"[bytes[i] >> 4]);
            assert_int_equal(hex[2 * i + 1], "0123456789abcdef"[bytes[i] & 15]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_digests),
        cmocka_unit_test(bytes_and_digits_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
