/* math.random and math.randomseed.
 *
 * lrand48() is a linear congruence of 48 bits, of which the upper 31 are the result. We do not call libc's: its first
 * value is another before the first seed. The interval's arithmetic is that of int, as in Lua, and wraps around:
 * random(-2^31, 2^31-1) is always -2^31. */
#include "script/lib_math.h"
#include <limits.h>
#include <lua5.1/lauxlib.h>
#include <math.h>
#include <stdint.h>

#define FIRST_STATE 0x1234ABCD330Eu /* the state before any seed, as POSIX's manual gives it */

static uint64_t random_state = FIRST_STATE;

/* At least 0, below 1. */
static double next_fraction(void) {
    random_state = (random_state * 0x5DEECE66Du + 0xB) & 0xFFFFFFFFFFFFu;
    return (double)((random_state >> 17) % INT_MAX) / INT_MAX;
}

static int random_seed(lua_State *L) {
    uint32_t seed = (uint32_t)luaL_checkinteger(L, 1);
    random_state = (uint64_t)seed << 16 | 0x330E;
    return 0;
}

static int push_between(lua_State *L, double fraction, int low, int high) {
    int width = (int)((unsigned)high - (unsigned)low + 1u);
    lua_pushnumber(L, floor(fraction * width) + low);
    return 1;
}

static int random_next(lua_State *L) {
    double fraction = next_fraction();
    int count = lua_gettop(L);
    if (count > 2) return luaL_error(L, "wrong number of arguments");
    if (count == 0) {
        lua_pushnumber(L, fraction);
        return 1;
    }
    int low = count == 1 ? 1 : (int)luaL_checkinteger(L, 1);
    int high = (int)luaL_checkinteger(L, count);
    luaL_argcheck(L, low <= high, count, "interval is empty");
    return push_between(L, fraction, low, high);
}

void lib_math_open(lua_State *L) {
    static const struct luaL_Reg functions[] = {{"random", random_next}, {"randomseed", random_seed}, {NULL, NULL}};
    luaL_register(L, NULL, functions);
}
