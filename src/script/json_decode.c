/* A parser by descent that pushes each value as it finds it. The text is a Lua string, so a NUL byte ends it; a NUL
 * inside ends it too, as in Redis. The parser does not keep tokens: only an error looks again at what stands there, to
 * name it. */
#include "script/json_decode.h"
#include "base/num.h"
#include "script/json_number.h"
#include "script/json_settings.h"
#include "script/lib_buf.h"
#include <lua5.1/lauxlib.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

enum {
    SLOTS_OF_ARRAY = 2,
    SLOTS_OF_OBJECT = 3,
    BATCH = 16, /* scalars of an array that wait on the stack, to tell how large the table must be */
};

struct json_decoder {
    lua_State *L;
    const struct json_settings *settings;
    const char *text, *end, *p; /* all of it, and what is to be read next */
    int depth;
};

static void read_value(struct json_decoder *d);

static void skip_blanks(struct json_decoder *d) {
    while (*d->p == ' ' || *d->p == '\n' || *d->p == '\t' || *d->p == '\r')
        d->p++;
}

/* --- Escapes in strings ---------------------------------------------------------------------- */

/* The number in "\uXXXX" at p; -1: it is not that. */
static int read_u(const char *p) {
    if (p[0] != '\\' || p[1] != 'u') return -1;
    int value = 0;
    for (int i = 2; i < 6; i++) {
        int digit = num_hex_digit(p[i]);
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

static int print_utf8(char *to, int code) {
    if (code < 0x80) return *to = (char)code, 1;
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char heads[] = {0, 0xc0, 0xe0, 0xf0};
    for (int i = more; i; i--, code >>= 6)
        to[i] = (char)(0x80 | (code & 0x3f));
    *to = (char)(heads[more] | code);
    return more + 1;
}

/* "\uXXXX" at *p, or two that are a surrogate pair. Returns the bytes printed to `to`, at most 4; 0: it is bad. */
static int read_unicode(const char **p, char *to) {
    int code = read_u(*p);
    if (code < 0 || (code & 0xfc00) == 0xdc00) return 0;
    if ((code & 0xfc00) == 0xd800) {
        int low = read_u(*p + 6);
        if (low < 0 || (low & 0xfc00) != 0xdc00) return 0;
        code = 0x10000 + ((code & 0x3ff) << 10 | (low & 0x3ff));
        *p += 6;
    }
    *p += 6;
    return print_utf8(to, code);
}

/* The escape at *p. Returns the bytes printed to `to`, at most 4, and moves *p behind it; 0: it is bad. */
static int read_escape(const char **p, char *to) {
    static const char bytes[] = {
        ['"'] = '"', ['/'] = '/', ['\\'] = '\\', ['b'] = '\b', ['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t'};
    unsigned char letter = (unsigned char)(*p)[1];
    if (letter == 'u') return read_unicode(p, to);
    if (letter >= sizeof bytes || !bytes[letter]) return 0;
    *to = bytes[letter];
    *p += 2;
    return 1;
}

/* --- Errors ---------------------------------------------------------------------------------- */

/* What is wrong inside the string that begins at *at, and where; NULL: nothing. */
static const char *fault_of_string(const char **at) {
    char unused[4];
    const char *p = *at + 1;
    while (*p && *p != '"') {
        if (*p != '\\') {
            p++;
        } else if (!read_escape(&p, unused)) {
            *at = p;
            return p[1] == 'u' ? "invalid unicode escape code" : "invalid escape code";
        }
    }
    if (*p) return NULL;
    *at = p;
    return "unexpected end of string";
}

static bool is_word(const char *p, const char *word) {
    return !strncmp(p, word, strlen(word));
}

static bool begins_like_invalid(const char *p) {
    return *p == '+' || !strncasecmp(p, "inf", 3) || !strncasecmp(p, "nan", 3);
}

/* May a number begin here? */
static bool begins_number(const struct json_decoder *d, const char *p) {
    return *p == '-' || (*p >= '0' && *p <= '9') || (d->settings->decode_invalid && begins_like_invalid(p));
}

/* Strict reading refuses what JSON does not know and strtod() does: leading zeros, hexadecimal, nan and inf. */
static bool is_strict_number(const char *p) {
    p += *p == '-';
    if (*p == '0') return !(p[1] >= '0' && p[1] <= '9') && p[1] != 'x' && p[1] != 'X';
    return *p == '.' || (*p >= '1' && *p <= '9');
}

static const char *read_number_at(const struct json_decoder *d, const char *p, double *value) {
    return d->settings->decode_invalid || is_strict_number(p) ? json_read_number(p, value) : NULL;
}

/* The name of what stands at *at, as Redis names it; *at moves to the fault inside a string. */
static const char *name_found(const struct json_decoder *d, const char **at) {
    double unused;
    switch (**at) {
    case '{': return "T_OBJ_BEGIN";
    case '}': return "T_OBJ_END";
    case '[': return "T_ARR_BEGIN";
    case ']': return "T_ARR_END";
    case ':': return "T_COLON";
    case ',': return "T_COMMA";
    case '\0': return "T_END";
    case '"': {
        const char *fault = fault_of_string(at);
        return fault ? fault : "T_STRING";
    }
    }
    if (is_word(*at, "true") || is_word(*at, "false")) return "T_BOOLEAN";
    if (is_word(*at, "null")) return "T_NULL";
    if (!begins_number(d, *at)) return "invalid token";
    return read_number_at(d, *at, &unused) ? "T_NUMBER" : "invalid number";
}

/* Raise the error that `expected` should stand at d->p. */
static void refuse(struct json_decoder *d, const char *expected) {
    const char *at = d->p, *found = name_found(d, &at);
    luaL_error(d->L, "Expected %s but found %s at character %f", expected, found, (double)(at - d->text + 1));
}

/* --- Values ---------------------------------------------------------------------------------- */

/* Is one of eight bytes '"', '\\' or NUL? A line raises the top bit of a byte that it looks for. */
static bool has_special(uint64_t bytes) {
    const uint64_t ones = 0x0101010101010101u;
    uint64_t quote = bytes ^ ones * '"', backslash = bytes ^ ones * '\\';
    uint64_t found = (bytes - ones) & ~bytes;
    found |= (quote - ones) & ~quote;
    found |= (backslash - ones) & ~backslash;
    return found & ones << 7;
}

static const char *find_special(const struct json_decoder *d, const char *p) {
    for (uint64_t bytes; d->end - p >= 8; p += 8) {
        memcpy(&bytes, p, sizeof bytes);
        if (has_special(bytes)) break;
    }
    while (*p && *p != '"' && *p != '\\')
        p++;
    return p;
}

/* A string with escapes: it is put together in the buffer. */
static void read_escaped(struct json_decoder *d, const char *expected) {
    struct lib_buf out;
    lib_buf_open(&out, d->L, JSON_UPVALUE_BUFFER);
    for (const char *p = d->p + 1, *stop;; p = stop) {
        stop = find_special(d, p);
        size_t plain = (size_t)(stop - p);
        char *to = lib_buf_reserve(&out, plain + 4);
        memcpy(to, p, plain);
        out.len += plain;
        if (*stop == '"') {
            d->p = stop + 1;
            lib_buf_push(&out, true);
            return;
        }
        int printed = *stop ? read_escape(&stop, to + plain) : 0;
        if (!printed) refuse(d, expected);
        out.len += (size_t)printed;
    }
}

static void read_string(struct json_decoder *d, const char *expected) {
    const char *first = d->p + 1, *stop = find_special(d, first);
    if (unlikely(*stop != '"')) {
        read_escaped(d, expected);
        return;
    }
    lua_pushlstring(d->L, first, (size_t)(stop - first));
    d->p = stop + 1;
}

static void read_number(struct json_decoder *d) {
    double value;
    const char *stop = begins_number(d, d->p) ? read_number_at(d, d->p, &value) : NULL;
    if (!stop) {
        refuse(d, "value");
        return;
    }
    lua_pushnumber(d->L, value);
    d->p = stop;
}

/* Go into the table that begins at d->p, if the depth and the Lua stack allow it. */
static void descend(struct json_decoder *d, int slots) {
    d->depth++;
    d->p++;
    if (d->depth > d->settings->decode_max_depth || !lua_checkstack(d->L, slots))
        luaL_error(d->L, "Found too many nested data structures (%d) at character %f", d->depth,
                   (double)(d->p - d->text));
    skip_blanks(d);
}

/* Behind an item: does another follow? */
static bool read_separator(struct json_decoder *d, char close, const char *expected) {
    skip_blanks(d);
    bool more = *d->p == ',';
    if (!more && *d->p != close) refuse(d, expected);
    d->p++;
    if (more) skip_blanks(d);
    return more;
}

static void read_pair(struct json_decoder *d) {
    if (*d->p != '"') refuse(d, "object key string");
    read_string(d, "object key string");
    skip_blanks(d);
    if (*d->p != ':') refuse(d, "colon");
    d->p++;
    skip_blanks(d);
    read_value(d);
    lua_rawset(d->L, -3);
}

static void read_object(struct json_decoder *d) {
    descend(d, SLOTS_OF_OBJECT);
    lua_newtable(d->L);
    bool more = *d->p != '}';
    if (!more) d->p++;
    while (more) {
        read_pair(d);
        more = read_separator(d, '}', "comma or object end");
    }
    d->depth--;
}

/* Turn n values on the stack, above one free slot, into an array in that slot. It has the room that it would have if
 * it had grown item by item, so that later changes by the script order its keys as in Redis. */
static void gather(lua_State *L, int n) {
    int room = n > 2 ? 1 << (32 - __builtin_clz((unsigned)n - 1)) : n;
    lua_createtable(L, room, 0);
    lua_replace(L, -n - 2);
    for (int i = n; i; i--)
        lua_rawseti(L, -i - 1, i);
}

static void read_array(struct json_decoder *d) {
    descend(d, SLOTS_OF_ARRAY);
    int n = 0, batch = lua_checkstack(d->L, SLOTS_OF_ARRAY + SLOTS_OF_OBJECT + BATCH) ? BATCH : 0;
    lua_pushnil(d->L);
    bool more = *d->p != ']';
    if (!more) d->p++;
    for (; more && n < batch && *d->p != '{' && *d->p != '['; n++) {
        read_value(d);
        more = read_separator(d, ']', "comma or array end");
    }
    gather(d->L, n);
    while (more) {
        read_value(d);
        lua_rawseti(d->L, -2, ++n);
        more = read_separator(d, ']', "comma or array end");
    }
    d->depth--;
}

static void read_word(struct json_decoder *d, const char *word) {
    if (!is_word(d->p, word)) refuse(d, "value");
    d->p += strlen(word);
}

static void read_boolean(struct json_decoder *d, bool value) {
    read_word(d, value ? "true" : "false");
    lua_pushboolean(d->L, value);
}

static void read_null_or_nan(struct json_decoder *d) {
    if (begins_number(d, d->p)) {
        read_number(d);
        return;
    }
    read_word(d, "null");
    lua_pushlightuserdata(d->L, NULL);
}

static void read_value(struct json_decoder *d) {
    switch (*d->p) {
    case '"': read_string(d, "value"); break;
    case '{': read_object(d); break;
    case '[': read_array(d); break;
    case 't': read_boolean(d, true); break;
    case 'f': read_boolean(d, false); break;
    case 'n': read_null_or_nan(d); break;
    default: read_number(d);
    }
}

int json_decode(lua_State *L) {
    luaL_argcheck(L, lua_gettop(L) == 1, 1, "expected 1 argument");
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    struct json_decoder d = {.L = L, .settings = json_settings_of(L), .text = text, .end = text + len, .p = text};
    if (len >= 2 && (!text[0] || !text[1])) luaL_error(L, "JSON parser does not support UTF-16 or UTF-32");
    skip_blanks(&d);
    read_value(&d);
    skip_blanks(&d);
    if (*d.p) refuse(&d, "the end");
    return 1;
}
