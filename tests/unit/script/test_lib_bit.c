/* The table `bit`: what each function gives, taken from redis-server 7.0.15, and random numbers against arithmetic that
 * is as plain as can be. To repeat a failed run, pass the SEED that it prints. */
#include "sandbox_lab.h"

static const struct lab_line lines[] = {
    {"return bit.tobit(1), bit.tobit(-1), bit.tobit(2^31), bit.tobit(2^32), bit.tobit(2^32-1), bit.tobit(-2^31-1)",
     "true 1 -1 -2147483648 0 -1 2147483647"},
    {"return bit.tobit(0.5), bit.tobit(1.5), bit.tobit(2.5), bit.tobit(3.5), bit.tobit(-0.5), bit.tobit(-1.5)",
     "true 0 2 2 4 0 -2"},
    {"return bit.tobit(2^51), bit.tobit(2^52+1), bit.tobit(2^53+2), bit.tobit(-2^52-1), bit.tobit(1e300), "
     "bit.tobit(-1e300)",
     "true 0 0 1 -4 -2013235812 -2013235812"},
    {"return bit.tobit(0/0), bit.tobit(1/0), bit.tobit(-1/0), bit.tobit(2^63), bit.tobit(4294967295.5), "
     "bit.tobit(1e15+0.5)",
     "true 0 0 0 0 0 -1530494976"},
    {"return bit.tobit('0x10'), bit.tobit('7'), bit.tobit('-1.5'), bit.tobit(' 12 ')", "true 16 7 -2 12"},
    {"return bit.tobit('x')", "false user_script:1: bad argument #1 to 'tobit' (number expected, got string)"},
    {"return bit.tobit()", "false user_script:1: bad argument #1 to 'tobit' (number expected, got no value)"},
    {"return bit.tobit(nil)", "false user_script:1: bad argument #1 to 'tobit' (number expected, got nil)"},
    {"return bit.tobit({})", "false user_script:1: bad argument #1 to 'tobit' (number expected, got table)"},
    {"return bit.tobit(1, 2, 3)", "true 1"},
    {"return bit.bnot(0), bit.bnot(-1), bit.bnot(2^31), bit.bnot(0x12345678)", "true -1 0 2147483647 -305419897"},
    {"return bit.bswap(0x12345678), bit.bswap(0x78563412), bit.bswap(0xff), bit.bswap(-2)",
     "true 2018915346 305419896 -16777216 -16777217"},
    {"return bit.band(0xff00, 0x0ff0), bit.band(-1, 7), bit.band(5), bit.band(1, 2, 4), bit.band(15, 7, 3, 1)",
     "true 3840 7 5 0 1"},
    {"return bit.bor(1, 2, 4, 8), bit.bor(2^31, 1), bit.bor(7)", "true 15 -2147483647 7"},
    {"return bit.bxor(1, 3, 7), bit.bxor(0xa5a5f0f0, 0xaa55ff00), bit.bxor(-1, -1)", "true 5 267390960 0"},
    {"return bit.band()", "false user_script:1: bad argument #1 to 'band' (number expected, got no value)"},
    {"return bit.bor(1, 'x')", "false user_script:1: bad argument #2 to 'bor' (number expected, got string)"},
    {"return bit.bxor(1, {}, {})", "false user_script:1: bad argument #3 to 'bxor' (number expected, got table)"},
    {"return bit.band({}, {})", "false user_script:1: bad argument #1 to 'band' (number expected, got table)"},
    {"return bit.lshift(1, 0), bit.lshift(1, 8), bit.lshift(1, 31), bit.lshift(1, 32), bit.lshift(1, 40), "
     "bit.lshift(1, -1)",
     "true 1 256 -2147483648 1 256 -2147483648"},
    {"return bit.rshift(256, 8), bit.rshift(-256, 8), bit.rshift(-1, 31), bit.rshift(-1, 32), bit.rshift(2^31, 31)",
     "true 1 16777215 1 -1 1"},
    {"return bit.arshift(256, 8), bit.arshift(-256, 8), bit.arshift(-1, 31), bit.arshift(2^31, 31), bit.arshift(5, 33)",
     "true 1 -1 -1 -1 2"},
    {"return bit.rol(0x12345678, 12), bit.rol(1, 31), bit.rol(1, 32), bit.rol(1, 33), bit.rol(1, -1)",
     "true 1164411171 -2147483648 1 2 -2147483648"},
    {"return bit.ror(0x12345678, 12), bit.ror(1, 1), bit.ror(1, 32), bit.ror(1, 0), bit.ror(1, -1)",
     "true 1736516421 -2147483648 1 1 2"},
    {"return bit.lshift(1)", "false user_script:1: bad argument #2 to 'lshift' (number expected, got no value)"},
    {"return bit.lshift('a', 'b')", "false user_script:1: bad argument #1 to 'lshift' (number expected, got string)"},
    {"return bit.rol(1, {})", "false user_script:1: bad argument #2 to 'rol' (number expected, got table)"},
    {"return bit.tohex(1), bit.tohex(-1), bit.tohex(2^31), bit.tohex(0xdeadbeef, 4), bit.tohex(0xdeadbeef, -4), "
     "bit.tohex(-1, -8)",
     "true 00000001 ffffffff 80000000 beef BEEF FFFFFFFF"},
    {"return bit.tohex(255, -2^31), bit.tohex(255, 2^31), bit.tohex(255, 2^31-1), bit.tohex(255, 100), bit.tohex(255, "
     "-100), bit.tohex(255, 2^32+2)",
     "true 000000FF 000000FF 000000ff 000000ff 000000FF ff"},
    {"return bit.tohex(1, 0) == '', bit.tohex(1, 0.4) == '', bit.tohex(-1, 3.5), bit.tohex(0x1234, 1)",
     "true true true ffff 4"},
    {"return bit.tohex(1, nil)", "false user_script:1: bad argument #2 to 'tohex' (number expected, got nil)"},
    {"return bit.tohex()", "false user_script:1: bad argument #1 to 'tohex' (number expected, got no value)"},
    {"return bit.tohex('zz')", "false user_script:1: bad argument #1 to 'tohex' (number expected, got string)"},
    {"local o = {} for k, v in pairs(bit) do o[#o + 1] = k end table.sort(o) return unpack(o)",
     "true arshift band bnot bor bswap bxor lshift rol ror rshift tobit tohex"},
};

static void functions_give_what_redis_gives(void **state) {
    (void)state;
    lab_compare(lines, sizeof lines / sizeof *lines);
}

static uint32_t bits_of(lua_State *L, const char *call, double a, double b) {
    char script[200];
    snprintf(script, sizeof script, "return string.format('%%.0f', bit.%s(%.17g, %.17g))", call, a, b);
    return (uint32_t)strtoll(lab_run(L, script), NULL, 10);
}

/* Integers up to 2^48 on either side: there the bits are those of arithmetic modulo 2^32. */
static double random_integer(void) {
    int64_t n = (int64_t)(rand_u64() >> (16 + rand_below(40)));
    return (double)(rand_below(2) ? n : -n);
}

static void random_numbers_agree_with_plain_arithmetic(void **state) {
    (void)state;
    lab_seed();
    lua_State *L = lab_open();
    for (int i = 0; i < 3000; i++) {
        double x = random_integer(), y = random_integer();
        uint32_t a = (uint32_t)(int64_t)x, b = (uint32_t)(int64_t)y, n = b % 32;
        assert_int_equal(bits_of(L, "band", x, y), a & b);
        assert_int_equal(bits_of(L, "bor", x, y), a | b);
        assert_int_equal(bits_of(L, "bxor", x, y), a ^ b);
        assert_int_equal(bits_of(L, "bnot", x, y), ~a);
        assert_int_equal(bits_of(L, "lshift", x, y), (uint32_t)((uint64_t)a << n));
        assert_int_equal(bits_of(L, "rshift", x, y), a >> n);
        assert_int_equal(bits_of(L, "arshift", x, y), (uint32_t)((int64_t)(int32_t)a >> n));
        assert_int_equal(bits_of(L, "rol", x, y), (uint32_t)((uint64_t)a << n | (uint64_t)a >> (32 - n)));
        assert_int_equal(bits_of(L, "ror", x, y), (uint32_t)((uint64_t)a << (32 - n) | (uint64_t)a >> n));
    }
    lab_close(L);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_give_what_redis_gives),
        cmocka_unit_test(random_numbers_agree_with_plain_arithmetic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
