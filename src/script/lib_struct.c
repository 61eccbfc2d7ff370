#include "script/lib_struct.h"

int lib_struct_open(lua_State *L) {
    lua_newtable(L);
    return 1;
}
