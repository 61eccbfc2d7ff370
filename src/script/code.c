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
 *   instruction: which (6 bits) | A (8) | C (9) | B (9); where one operand takes the place of C and B, it is Bx (18)
 *
 * An operand that looks like an instruction can make a fact true that is not: every fact may be true without need. */
#include "script/code.h"
#include "base/buf.h"
#include <stdint.h>
#include <string.h>

#define HEADER_BYTES 12

enum code_op {
    OP_GETGLOBAL = 5, /* A = the global that constant Bx names */
    OP_GETTABLE = 6,  /* A = B[C] */
    OP_SETGLOBAL = 7,
};

const char *const code_libraries[] = {"string", "table", "math",     "coroutine", "bit",    "struct",
                                      "os",     "cjson", "cmsgpack", "redis",     "server", NULL};
#define LIBRARIES (sizeof code_libraries / sizeof *code_libraries - 1)

struct code_reader {
    const char *at;
    struct code_facts facts;
};

/* What is known of one function. */
struct code_function {
    const char *code;
    int instructions;
    int libraries[LIBRARIES]; /* the constants that name libraries: each name is one constant */
    int library_count;
};

static unsigned op_of(uint32_t instruction) {
    return instruction & 63;
}

static unsigned a_of(uint32_t instruction) {
    return instruction >> 6 & 255;
}

static unsigned b_of(uint32_t instruction) {
    return instruction >> 23;
}

static unsigned bx_of(uint32_t instruction) {
    return instruction >> 14;
}

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

static void skip_instructions(struct code_reader *r, struct code_function *f) {
    f->instructions = read_int(r);
    f->code = r->at;
    r->at += (size_t)f->instructions * sizeof(uint32_t);
}

static void look_at_string(struct code_reader *r, struct code_function *f, int constant) {
    struct slice name = read_string(r);
    look_at_name(&r->facts, name);
    for (size_t i = 0; i < LIBRARIES && f->library_count < (int)LIBRARIES; i++)
        if (slice_eq(name, slice_cstr(code_libraries[i]))) f->libraries[f->library_count++] = constant;
}

static void read_constants(struct code_reader *r, struct code_function *f) {
    int count = read_int(r);
    for (int i = 0; i < count; i++) {
        switch (*r->at++) {
        case LUA_TBOOLEAN: r->at++; break;
        case LUA_TNUMBER: r->at += sizeof(lua_Number); break;
        case LUA_TSTRING: look_at_string(r, f, i); break;
        default: break; /* nil */
        }
    }
}

static uint32_t instruction_at(const struct code_function *f, int i) {
    uint32_t instruction;
    memcpy(&instruction, f->code + (size_t)i * sizeof instruction, sizeof instruction);
    return instruction;
}

static bool gets_library(const struct code_function *f, uint32_t instruction) {
    if (op_of(instruction) != OP_GETGLOBAL) return false;
    for (int i = 0; i < f->library_count; i++)
        if (bx_of(instruction) == (unsigned)f->libraries[i]) return true;
    return false;
}

/* The next instruction takes a field of the library and puts it in the library's place. */
static bool is_replaced(uint32_t instruction, uint32_t next) {
    return op_of(next) == OP_GETTABLE && a_of(next) == a_of(instruction) && b_of(next) == a_of(instruction);
}

static void look_at_instructions(struct code_reader *r, const struct code_function *f) {
    for (int i = 0; i < f->instructions; i++) {
        uint32_t instruction = instruction_at(f, i);
        if (op_of(instruction) == OP_SETGLOBAL) r->facts.assigns = true;
        if (!gets_library(f, instruction)) continue;
        if (i + 1 == f->instructions || !is_replaced(instruction, instruction_at(f, i + 1)))
            r->facts.holds_libraries = true;
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
    struct code_function f = {0};
    skip_instructions(r, &f);
    read_constants(r, &f);
    look_at_instructions(r, &f);
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
