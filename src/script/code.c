/* What the code of a compiled function does with globals, found in what lua_dump() writes of it, which is the only view
 * of code that Lua's API gives. The format, for a program of the same build:
 *
 *   12 bytes of header, then a function:
 *   source (string) | line, last line (int) | upvalues, parameters, vararg, stack (4 bytes)
 *   count (int) | instructions (4 bytes each; the lowest 6 bits tell which)
 *   count (int) | constants: type (1 byte), then nothing, 1 byte, 8 bytes or a string
 *   count (int) | functions, one inside the other
 *   count (int) | lines (int each);  count (int) | locals: name (string), 2 int;  count (int) | names of upvalues
 *
 *   string: bytes with the NUL behind them (size_t; 0: no string) | the bytes
 *
 * An operand that looks like an instruction can make a fact true that is not: every fact may be true without need. */
#include "script/code.h"
#include "base/buf.h"
#include <stdint.h>
#include <string.h>

#define HEADER_BYTES 12
#define OP_SETGLOBAL 7 /* assign to a global */
#define OP_MASK 63

struct code_reader {
    const char *at;
    struct code_facts facts;
};

static int read_int(struct code_reader *r) {
    int value;
    memcpy(&value, r->at, sizeof value);
    r->at += sizeof value;
    return value;
}

static struct slice read_string(struct code_reader *r) {
    size_t len;
    memcpy(&len, r->at, sizeof len);
    struct slice s = slice_of(r->at + sizeof len, len ? len - 1 : 0);
    r->at += sizeof len + len;
    return s;
}

static void look_at_name(struct code_facts *facts, struct slice name) {
    static const char *const any[] = {"_G", "load", "loadstring", "getfenv", "setfenv"};
    facts->names_keys |= slice_eq(name, SLICE("KEYS"));
    facts->names_argv |= slice_eq(name, SLICE("ARGV"));
    for (size_t i = 0; i < sizeof any / sizeof *any; i++)
        facts->names_any |= slice_eq(name, slice_cstr(any[i]));
}

static void read_instructions(struct code_reader *r) {
    for (int left = read_int(r); left > 0; left--)
        if (((unsigned)read_int(r) & OP_MASK) == OP_SETGLOBAL) r->facts.assigns = true;
}

static void read_constants(struct code_reader *r) {
    for (int left = read_int(r); left > 0; left--) {
        switch (*r->at++) {
        case LUA_TBOOLEAN: r->at++; break;
        case LUA_TNUMBER: r->at += sizeof(lua_Number); break;
        case LUA_TSTRING: look_at_name(&r->facts, read_string(r)); break;
        default: break; /* nil */
        }
    }
}

static void read_debug(struct code_reader *r) {
    int lines = read_int(r);
    r->at += (size_t)lines * sizeof(int);
    for (int left = read_int(r); left > 0; left--) {
        read_string(r);
        r->at += 2 * sizeof(int);
    }
    for (int left = read_int(r); left > 0; left--)
        read_string(r);
}

/* Lua's parser bounds the depth of functions in functions to 200. */
static void code_read_function(struct code_reader *r) {
    read_string(r);
    r->at += 2 * sizeof(int) + 4;
    read_instructions(r);
    read_constants(r);
    for (int left = read_int(r); left > 0; left--)
        code_read_function(r);
    read_debug(r);
}

static int append(lua_State *L, const void *bytes, size_t n, void *ctx) {
    (void)L;
    buf_append(ctx, bytes, n);
    return 0;
}

struct code_facts code_look(lua_State *L) {
    struct buf dump = {0};
    lua_dump(L, append, &dump);
    struct code_reader r = {.at = dump.data + HEADER_BYTES};
    code_read_function(&r);
    buf_free(&dump);
    return r.facts;
}
