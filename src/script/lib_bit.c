/* The table `bit`. A number stands for the lowest 32 bits of the integer nearest to it; results are signed. Bits are
 * found as LuaBitOp documents it: adding 2^52 + 2^51 moves those of the integer to the end of the double, which rounds
 * halves to even. Beyond 2^51 that gives other bits than arithmetic modulo 2^32 would, but the same as in Redis. Counts
 * of shifts are taken modulo 32. */
#include "script/lib_bit.h"
#include <lua5.1/lauxlib.h>
#include <stdint.h>
#include <string.h>

static uint32_t argument(lua_State *L, int index) {
    volatile double moved = luaL_checknumber(L, index) + 0x1.8p52;
    double plain = moved;
    uint64_t bits;
    memcpy(&bits, &plain, sizeof bits);
    return (uint32_t)bits;
}

static int push(lua_State *L, uint32_t value) {
    lua_pushnumber(L, (int32_t)value);
    return 1;
}

static int bit_tobit(lua_State *L) {
    return push(L, argument(L, 1));
}

static int bit_bnot(lua_State *L) {
    return push(L, ~argument(L, 1));
}

static int bit_bswap(lua_State *L) {
    return push(L, __builtin_bswap32(argument(L, 1)));
}

/* One argument at least, then as many as there are. */
#define FOLD(name, operator)                    \
    static int name(lua_State *L) {             \
        uint32_t value = argument(L, 1);        \
        for (int i = lua_gettop(L); i > 1; i--) \
            value operator argument(L, i);      \
        return push(L, value);                  \
    }
FOLD(bit_band, &=)
FOLD(bit_bor, |=)
FOLD(bit_bxor, ^=)

static uint32_t rotate_left(uint32_t value, unsigned count) {
    return value << (count & 31) | value >> (-count & 31);
}

/* The arguments are taken in the order in which their errors are told. */
#define SHIFT(name, expression)               \
    static int name(lua_State *L) {           \
        uint32_t value = argument(L, 1);      \
        unsigned count = argument(L, 2) & 31; \
        return push(L, expression);           \
    }
SHIFT(bit_lshift, value << count)
SHIFT(bit_rshift, value >> count)
SHIFT(bit_arshift, (uint32_t)((int32_t)value >> count))
SHIFT(bit_rol, rotate_left(value, count))
SHIFT(bit_ror, rotate_left(value, 32 - count))

/* tohex(x [, digits]): lower case; a negative number of digits gives upper case. More than 8 mean 8. */
static int bit_tohex(lua_State *L) {
    uint32_t value = argument(L, 1);
    int64_t digits = lua_isnone(L, 2) ? 8 : (int32_t)argument(L, 2);
    const char *alphabet = digits < 0 ? "0123456789ABCDEF" : "0123456789abcdef";
    if (digits < 0) digits = -digits;
    if (digits > 8) digits = 8;
    char text[8];
    for (int64_t i = digits - 1; i >= 0; i--, value >>= 4)
        text[i] = alphabet[value & 15];
    lua_pushlstring(L, text, (size_t)digits);
    return 1;
}

int lib_bit_open(lua_State *L) {
    /* The order in which pairs() gives them follows from this one; it is that of Redis. */
    static const struct luaL_Reg functions[] = {
        {"tobit", bit_tobit}, {"bnot", bit_bnot},     {"band", bit_band},     {"bor", bit_bor},
        {"bxor", bit_bxor},   {"lshift", bit_lshift}, {"rshift", bit_rshift}, {"arshift", bit_arshift},
        {"rol", bit_rol},     {"ror", bit_ror},       {"bswap", bit_bswap},   {"tohex", bit_tohex},
        {NULL, NULL},
    };
    lua_createtable(L, 0, 12);
    luaL_register(L, NULL, functions);
    return 1;
}
