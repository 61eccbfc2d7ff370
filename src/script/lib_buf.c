#include "script/lib_buf.h"
#include <lua5.1/lauxlib.h>
#include <stdint.h>
#include <string.h>

enum {
    FIRST_BYTES = 512,
    KEPT_BYTES = 64 << 10, /* a larger buffer is left to the garbage collector */
};

/* An upvalue that is no userdata has the length 0. */
void lib_buf_open(struct lib_buf *b, lua_State *L, int anchor) {
    void *kept = lua_touserdata(L, lua_upvalueindex(anchor));
    *b = (struct lib_buf){.L = L, .data = kept, .anchor = anchor};
    if (kept) b->cap = lua_objlen(L, lua_upvalueindex(anchor));
}

void lib_buf_push(struct lib_buf *b, bool keep) {
    lua_pushlstring(b->L, b->data ? b->data : "", b->len);
    if (keep && b->cap <= KEPT_BYTES) return;
    lua_pushnil(b->L);
    lua_replace(b->L, lua_upvalueindex(b->anchor));
}

void lib_buf_grow(struct lib_buf *b, size_t n) {
    if (n > SIZE_MAX / 4 - b->len) luaL_error(b->L, "not enough memory");
    size_t cap = b->cap ? b->cap * 2 : FIRST_BYTES;
    if (cap < b->len + n) cap = b->len + n;
    char *data = lua_newuserdata(b->L, cap);
    if (b->len) memcpy(data, b->data, b->len);
    lua_replace(b->L, lua_upvalueindex(b->anchor));
    b->data = data;
    b->cap = cap;
}
