/* table.insert writes past __newindex, and table.foreach reads past __index. The other functions of `table` touch the
 * elements that are there, and a protected table has none (protect.c). */
#include "script/lib_table.h"
#include "script/protect.h"
#include <lua5.1/lauxlib.h>
#include <stdint.h>

/* So many elements may move. Lua's own moves up to 2^31, existing or not, and nothing can stop it meanwhile. */
#define MAX_MOVED (1 << 26)

/* Move the elements at `position` to last - 1 up by one. */
static void make_room(lua_State *L, int64_t position, int64_t last) {
    luaL_argcheck(L, last - position <= MAX_MOVED, 2, "position out of bounds");
    for (int64_t i = last; i > position; i--) {
        lua_rawgeti(L, 1, (int)(i - 1));
        lua_rawseti(L, 1, (int)i);
    }
}

/* insert(t, value), insert(t, position, value) */
static int table_insert(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    int64_t position = (int64_t)lua_objlen(L, 1) + 1;
    if (lua_gettop(L) == 3) {
        int64_t last = position;
        position = (int)luaL_checkinteger(L, 2);
        if (protect_is_proxy(L, 1)) return protect_refuse(L);
        make_room(L, position, last);
    } else if (lua_gettop(L) != 2) {
        return luaL_error(L, "wrong number of arguments to 'insert'");
    }
    if (protect_is_proxy(L, 1)) return protect_refuse(L);
    lua_rawseti(L, 1, (int)position);
    return 0;
}

/* Call the function for each pair, until it returns something. */
static int table_foreach(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    protect_unveil(L, 1);
    for (lua_pushnil(L); lua_next(L, 1);) {
        lua_pushvalue(L, 2);
        lua_pushvalue(L, -3);
        lua_pushvalue(L, -3);
        lua_call(L, 2, 1);
        if (!lua_isnil(L, -1)) return 1;
        lua_pop(L, 2);
    }
    return 0;
}

void lib_table_open(lua_State *L) {
    static const struct luaL_Reg functions[] = {{"insert", table_insert}, {"foreach", table_foreach}, {NULL, NULL}};
    luaL_register(L, NULL, functions);
}
