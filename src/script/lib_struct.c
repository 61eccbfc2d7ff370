/* The table `struct`: pack, unpack, size.
 *
 *   b B h H l L T   integers of C: 1, 1, 2, 2, 8, 8, 8 bytes; a capital letter and T have no sign
 *   i I, iN IN      integers of 4 or N bytes, N up to 32; beyond 8 the further bytes are zeros
 *   f d             float, double            s    a string with a NUL behind it
 *   x               a zero byte              cN   N bytes of a string (1); c0: all of it, or as many as the number
 *   < >             little, big endian            before it tells
 *   !N              align to at most N (8)   ' '  nothing
 *
 * At first the order is little and nothing is aligned. Sizes are below 2^31 each and are added as size_t, so no sum
 * overflows while a format has less than 2^33 options. Conversions that C leaves open are written out as x86-64 does
 * them, for equal bytes on each server. */
#include "script/lib_struct.h"
#include <limits.h>
#include <lua5.1/lauxlib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MAX_INTEGER_BYTES 32
#define NATIVE_ALIGN 8

struct struct_format {
    const char *at; /* the next option */
    bool big;
    size_t align; /* at most so much */
};

/* --- Formats ---------------------------------------------------------------------------------- */

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_letter_or_digit(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The number behind an option, or the default. */
static size_t read_number(lua_State *L, struct struct_format *f, size_t missing) {
    if (!is_digit(*f->at)) return missing;
    size_t n = 0;
    for (; is_digit(*f->at); f->at++) {
        n = n * 10 + (size_t)(*f->at - '0');
        if (n > INT_MAX) luaL_error(L, "integral size overflow");
    }
    return n;
}

static size_t read_integer_bytes(lua_State *L, struct struct_format *f) {
    size_t n = read_number(L, f, sizeof(int));
    if (n > MAX_INTEGER_BYTES) luaL_error(L, "integral size %d is larger than limit of %d", (int)n, MAX_INTEGER_BYTES);
    return n;
}

/* The bytes that the option takes, and 0 for those that tell no size. */
static size_t read_size(lua_State *L, struct struct_format *f, char option) {
    switch (option) {
    case 'b':
    case 'B':
    case 'x': return 1;
    case 'h':
    case 'H': return sizeof(short);
    case 'l':
    case 'L': return sizeof(long);
    case 'T': return sizeof(size_t);
    case 'f': return sizeof(float);
    case 'd': return sizeof(double);
    case 'c': return read_number(L, f, 1);
    case 'i':
    case 'I': return read_integer_bytes(L, f);
    default: return 0;
    }
}

/* The bytes to skip before an item of `size` bytes at `offset`. The size of an item is no power of 2 if it is i3; then
 * the rule is this arithmetic. */
static size_t padding(const struct struct_format *f, char option, size_t size, size_t offset) {
    if (size == 0 || option == 'c') return 0;
    if (size > f->align) size = f->align;
    return (size - (offset & (size - 1))) & (size - 1);
}

static void read_align(lua_State *L, struct struct_format *f) {
    size_t n = read_number(L, f, NATIVE_ALIGN);
    if (n == 0 || (n & (n - 1)) != 0) luaL_error(L, "alignment %d is not a power of 2", (int)n);
    f->align = n;
}

static void read_control(lua_State *L, struct struct_format *f, char option) {
    switch (option) {
    case ' ': return;
    case '<': f->big = false; return;
    case '>': f->big = true; return;
    case '!': read_align(L, f); return;
    default: luaL_argerror(L, 1, lua_pushfstring(L, "invalid format option '%c'", option));
    }
}

static struct struct_format format_argument(lua_State *L) {
    return (struct struct_format){.at = luaL_checkstring(L, 1), .align = 1};
}

/* --- Numbers ---------------------------------------------------------------------------------- */

/* The integer's low 64 bits, as x86-64 converts: out of range it gives 0 above, and 2^63 below and for NaN. */
static uint64_t to_bits(double n) {
    if (n >= -0x1p63 && n < 0) return (uint64_t)(int64_t)n;
    if (n >= 0 && n < 0x1p64) return (uint64_t)n;
    return n > 0 ? 0 : (uint64_t)1 << 63;
}

static void write_integer(char *out, uint64_t bits, size_t size, bool big) {
    for (size_t i = 0; i < size; i++, bits >>= 8)
        out[big ? size - 1 - i : i] = (char)bits;
}

static uint64_t read_integer(const char *in, size_t size, bool big) {
    uint64_t bits = 0;
    for (size_t i = 0; i < size; i++)
        bits = bits << 8 | (unsigned char)in[big ? i : size - 1 - i];
    return bits;
}

/* The sign is the highest bit of `size` bytes. Its place is taken modulo 64 if they are more than 8, and any bit from
 * there on makes the number negative, as in Redis. */
static int64_t extend_sign(uint64_t bits, size_t size) {
    if (size == 0) return 0;
    uint64_t mask = UINT64_MAX << ((size * 8 - 1) & 63);
    return (int64_t)(bits & mask ? bits | mask : bits);
}

static void copy_ordered(char *out, const char *in, size_t size, bool big) {
    for (size_t i = 0; i < size; i++)
        out[big ? size - 1 - i : i] = in[i];
}

/* --- pack ------------------------------------------------------------------------------------- */

/* The arguments lie below a nil, and the pieces of the buffer above it: the first missing argument is the nil. */
struct packing {
    struct struct_format format;
    luaL_Buffer buffer;
    int argument; /* the next one */
    size_t total;
};

static void add_zeros(luaL_Buffer *buffer, size_t n) {
    while (n-- > 0)
        luaL_addchar(buffer, '\0');
}

static void pack_integer(lua_State *L, struct packing *p, size_t size) {
    char bytes[MAX_INTEGER_BYTES];
    write_integer(bytes, to_bits(luaL_checknumber(L, p->argument++)), size, p->format.big);
    luaL_addlstring(&p->buffer, bytes, size);
}

static void pack_real(lua_State *L, struct packing *p, char option, size_t size) {
    char bytes[sizeof(double)];
    double wide = luaL_checknumber(L, p->argument++);
    float narrow = (float)wide;
    copy_ordered(bytes, option == 'f' ? (const char *)&narrow : (const char *)&wide, size, p->format.big);
    luaL_addlstring(&p->buffer, bytes, size);
}

/* Returns the bytes it took. The argument that a short string's error tells is the one behind it, as in Redis. */
static size_t pack_string(lua_State *L, struct packing *p, char option, size_t size) {
    size_t len;
    const char *text = luaL_checklstring(L, p->argument++, &len);
    if (size == 0) size = len;
    luaL_argcheck(L, len >= size, p->argument, "string too short");
    luaL_addlstring(&p->buffer, text, size);
    if (option == 's') luaL_addchar(&p->buffer, '\0');
    return size + (option == 's');
}

static void pack_option(lua_State *L, struct packing *p) {
    char option = *p->format.at++;
    size_t size = read_size(L, &p->format, option);
    size_t skip = padding(&p->format, option, size, p->total);
    add_zeros(&p->buffer, skip);
    switch (option) {
    case 'x': luaL_addchar(&p->buffer, '\0'); break;
    case 'f':
    case 'd': pack_real(L, p, option, size); break;
    case 'c':
    case 's': size = pack_string(L, p, option, size); break;
    default:
        if (strchr("bBhHlLTiI", option))
            pack_integer(L, p, size);
        else
            read_control(L, &p->format, option);
    }
    p->total += skip + size;
}

static int struct_pack(lua_State *L) {
    struct packing p = {.format = format_argument(L), .argument = 2};
    lua_pushnil(L);
    luaL_buffinit(L, &p.buffer);
    while (*p.format.at)
        pack_option(L, &p);
    luaL_pushresult(&p.buffer);
    return 1;
}

/* --- unpack ----------------------------------------------------------------------------------- */

struct unpacking {
    struct struct_format format;
    const char *data;
    size_t len, at;
};

static void push_integer(lua_State *L, const struct unpacking *u, char option, size_t size) {
    uint64_t bits = read_integer(u->data + u->at, size, u->format.big);
    bool is_signed = option >= 'a';
    lua_pushnumber(L, is_signed ? (lua_Number)extend_sign(bits, size) : (lua_Number)bits);
}

static void push_real(lua_State *L, const struct unpacking *u, char option, size_t size) {
    double wide = 0;
    float narrow = 0;
    copy_ordered(option == 'f' ? (char *)&narrow : (char *)&wide, u->data + u->at, size, u->format.big);
    lua_pushnumber(L, option == 'f' ? (lua_Number)narrow : wide);
}

static void check_room(lua_State *L, const struct unpacking *u, size_t size) {
    luaL_argcheck(L, size <= u->len && u->at <= u->len - size, 2, "data string too short");
}

/* Returns the bytes it took. The size of c0 is the number before it, which is no result then. */
static size_t push_bytes(lua_State *L, const struct unpacking *u, size_t size) {
    if (size == 0) {
        if (lua_gettop(L) == 2 || !lua_isnumber(L, -1)) luaL_error(L, "format 'c0' needs a previous size");
        size = (size_t)to_bits(lua_tonumber(L, -1));
        lua_pop(L, 1);
        check_room(L, u, size);
    }
    lua_pushlstring(L, u->data + u->at, size);
    return size;
}

static size_t push_string(lua_State *L, const struct unpacking *u) {
    const char *text = u->data + u->at, *end = memchr(text, '\0', u->len - u->at);
    if (!end) luaL_error(L, "unfinished string in data");
    lua_pushlstring(L, text, (size_t)(end - text));
    return (size_t)(end - text) + 1;
}

static void unpack_option(lua_State *L, struct unpacking *u) {
    char option = *u->format.at++;
    size_t size = read_size(L, &u->format, option);
    u->at += padding(&u->format, option, size, u->at);
    check_room(L, u, size);
    luaL_checkstack(L, 2, "too many results");
    switch (option) {
    case 'x': break;
    case 'f':
    case 'd': push_real(L, u, option, size); break;
    case 'c': size = push_bytes(L, u, size); break;
    case 's': size = push_string(L, u); break;
    default:
        if (strchr("bBhHlLTiI", option))
            push_integer(L, u, option, size);
        else
            read_control(L, &u->format, option);
    }
    u->at += size;
}

/* unpack(format, data [, position]): the values, and the position behind them. */
static int struct_unpack(lua_State *L) {
    struct unpacking u = {.format = format_argument(L)};
    u.data = luaL_checklstring(L, 2, &u.len);
    u.at = (size_t)luaL_optinteger(L, 3, 1);
    luaL_argcheck(L, u.at > 0, 3, "offset must be 1 or greater");
    u.at--;
    lua_settop(L, 2);
    while (*u.format.at)
        unpack_option(L, &u);
    lua_pushinteger(L, (lua_Integer)u.at + 1);
    return lua_gettop(L) - 2;
}

/* --- size ------------------------------------------------------------------------------------- */

static void check_fixed(lua_State *L, char option, size_t size) {
    if (option == 's') luaL_argerror(L, 1, "option 's' has no fixed size");
    if (option == 'c' && size == 0) luaL_argerror(L, 1, "option 'c0' has no fixed size");
}

/* Letters and digits that are no option count nothing, as in Redis. */
static int struct_size(lua_State *L) {
    struct struct_format f = format_argument(L);
    size_t total = 0;
    while (*f.at) {
        char option = *f.at++;
        size_t size = read_size(L, &f, option);
        total += padding(&f, option, size, total);
        check_fixed(L, option, size);
        if (!is_letter_or_digit(option)) read_control(L, &f, option);
        total += size;
    }
    lua_pushinteger(L, (lua_Integer)total);
    return 1;
}

int lib_struct_open(lua_State *L) {
    static const struct luaL_Reg functions[] = {
        {"pack", struct_pack}, {"unpack", struct_unpack}, {"size", struct_size}, {NULL, NULL}};
    lua_createtable(L, 0, 3);
    luaL_register(L, NULL, functions);
    return 1;
}
