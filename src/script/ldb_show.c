#include "script/ldb_show.h"
#include "base/buf.h"
#include "base/num.h"
#include "script/protect.h"
#include <stdbool.h>
#include <string.h>

enum {
    DEPTH_MAX = 10, /* tables inside each other */
    SHOWN_MAX = 16 << 20,
};

static void show_value(lua_State *L, int index, int depth, struct buf *out);

/* --- Lua's values ---------------------------------------------------------------------------- */

/* Does next() go through the keys 1, 2, 3 ... in this order? Then they are not shown. */
static bool is_list(lua_State *L, int table) {
    int expected = 1;
    lua_pushnil(L);
    for (; lua_next(L, table); lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TNUMBER && lua_tonumber(L, -2) == expected++) continue;
        lua_pop(L, 2);
        return false;
    }
    return true;
}

static void show_table(lua_State *L, int table, int depth, struct buf *out) {
    bool list = is_list(L, table);
    const char *between = "";
    buf_append_cstr(out, "{");
    lua_pushnil(L);
    for (; lua_next(L, table); lua_pop(L, 1), between = "; ") {
        if (out->len > SHOWN_MAX) {
            lua_pop(L, 2);
            break;
        }
        buf_append_cstr(out, between);
        if (!list) {
            buf_append_cstr(out, "[");
            show_value(L, lua_gettop(L) - 1, depth, out);
            buf_append_cstr(out, "]=");
        }
        show_value(L, lua_gettop(L), depth, out);
    }
    buf_append_cstr(out, "}");
}

/* A protected table is shown as what it stands for. */
static void show_any_table(lua_State *L, int index, int depth, struct buf *out) {
    bool is_proxy = protect_push_real(L, index);
    show_table(L, is_proxy ? lua_gettop(L) : index, depth + 1, out);
    if (is_proxy) lua_pop(L, 1);
}

static void show_string(lua_State *L, int index, struct buf *out) {
    size_t len;
    const char *text = lua_tolstring(L, index, &len);
    buf_append_quoted(out, slice_of(text, len < SHOWN_MAX ? len : SHOWN_MAX));
}

static void show_value(lua_State *L, int index, int depth, struct buf *out) {
    if (depth >= DEPTH_MAX) {
        buf_append_cstr(out, "<max recursion level reached! Nested table?>");
        return;
    }
    int type = lua_type(L, index);
    switch (type) {
    case LUA_TNIL: buf_append_cstr(out, "nil"); break;
    case LUA_TBOOLEAN: buf_append_cstr(out, lua_toboolean(L, index) ? "true" : "false"); break;
    case LUA_TNUMBER: buf_printf(out, "%g", lua_tonumber(L, index)); break;
    case LUA_TSTRING: show_string(L, index, out); break;
    case LUA_TTABLE: show_any_table(L, index, depth, out); break;
    default:
        buf_printf(out, "\"%s@%p\"", type == LUA_TLIGHTUSERDATA ? "light-userdata" : lua_typename(L, type),
                   lua_topointer(L, index));
    }
}

/* Each depth has a table that stands behind a proxy, a key and a value. */
void ldb_show_value(lua_State *L, int index, struct buf *out) {
    if (lua_checkstack(L, 4 * DEPTH_MAX)) show_value(L, index < 0 ? lua_gettop(L) + index + 1 : index, 0, out);
}

/* --- Replies --------------------------------------------------------------------------------- */

struct replies {
    const char *p, *end;
};

static void show_one(struct replies *r, struct buf *out);

/* The rest of the line at r->p, without its end. */
static struct slice take_line(struct replies *r) {
    const char *start = r->p, *end = memchr(start, '\r', (size_t)(r->end - start));
    if (!end) end = r->end;
    r->p = r->end - end >= 2 ? end + 2 : r->end;
    return slice_of(start, (size_t)(end - start));
}

static int64_t take_count(struct replies *r) {
    struct slice line = take_line(r);
    int64_t n;
    return num_parse_i64(slice_of(line.ptr + 1, line.len ? line.len - 1 : 0), &n) ? n : 0;
}

static void show_bulk(struct replies *r, struct buf *out) {
    int64_t len = take_count(r);
    if (len < 0 || len > r->end - r->p) {
        buf_append_cstr(out, "NULL");
        return;
    }
    buf_append_quoted(out, slice_of(r->p, (size_t)len));
    r->p += len;
    r->p = r->end - r->p >= 2 ? r->p + 2 : r->end;
}

/* A set, a list, or a map, whose items are pairs. */
static void show_aggregate(struct replies *r, const char *open, const char *close, bool pairs, struct buf *out) {
    int64_t count = take_count(r);
    if (count < 0) {
        buf_append_cstr(out, "NULL");
        return;
    }
    buf_append_cstr(out, open);
    for (int64_t i = 0; i < count && r->p < r->end; i++) {
        if (i) buf_append_cstr(out, ",");
        show_one(r, out);
        if (!pairs) continue;
        buf_append_cstr(out, " => ");
        show_one(r, out);
    }
    buf_append_cstr(out, close);
}

static void show_line(struct replies *r, struct buf *out) {
    struct slice line = take_line(r), rest = slice_of(line.ptr + 1, line.len - 1);
    switch (*line.ptr) {
    case ':': buf_append_slice(out, rest); break;
    case '_': buf_append_cstr(out, "(null)"); break;
    case '#': buf_append_cstr(out, *rest.ptr == 't' ? "#true" : "#false"); break;
    case ',':
        buf_append_cstr(out, "(double) ");
        buf_append_slice(out, rest);
        break;
    default: buf_append_quoted(out, line);
    }
}

static void show_one(struct replies *r, struct buf *out) {
    switch (r->p < r->end ? *r->p : '\0') {
    case '\0': break;
    case '$':
    case '=': show_bulk(r, out); break;
    case '*': show_aggregate(r, "[", "]", false, out); break;
    case '~': show_aggregate(r, "~(", ")", false, out); break;
    case '%': show_aggregate(r, "{", "}", true, out); break;
    default: show_line(r, out);
    }
}

void ldb_show_reply(struct slice reply, struct buf *out) {
    struct replies r = {reply.ptr, reply.ptr + reply.len};
    show_one(&r, out);
}
