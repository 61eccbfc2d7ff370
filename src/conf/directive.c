/* See directive.h. Invariants: directive_read() of what directive_print() has written gives the same value; a read that
 * fails leaves the value alone. CONFIG SET depends on both when it brings former values back.
 *
 * Error texts are Redis's; those that name bounds or names are put together in one static buffer. */
#include "conf/directive.h"
#include "base/alloc.h"
#include "base/num.h"
#include "base/option.h"
#include "base/words.h"
#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static char text[512]; /* an error text with the row's bounds or names in it */

/* The default bound of a row that has none is what its type can hold. */
static int64_t max_of(const struct option *o) {
    bool wide = o->type == OPTION_I64 || o->type == OPTION_MEMORY;
    return o->max ? o->max : wide ? INT64_MAX : INT32_MAX;
}

static bool fail_bounds(const struct option *o, const char **error) {
    const char *format = o->type == OPTION_OCTAL ? "argument must be between %llo and %llo inclusive"
                                                 : "argument must be between %lld and %lld inclusive";
    snprintf(text, sizeof text, format, (long long)o->min, (long long)max_of(o));
    *error = text;
    return false;
}

/* --- Reading --------------------------------------------------------------------------------- */

static bool read_bool(const struct option *o, const char *word, const char **error) {
    bool yes = strcasecmp(word, "yes") == 0;
    *error = "argument must be 'yes' or 'no'";
    if (!yes && strcasecmp(word, "no") != 0) return false;
    *(bool *)o->address = yes;
    return true;
}

static bool store_integer(const struct option *o, int64_t n, const char **error) {
    if (n < o->min || n > max_of(o)) return fail_bounds(o, error);
    if (o->type == OPTION_INT || o->type == OPTION_OCTAL)
        *(int *)o->address = (int)n;
    else
        *(int64_t *)o->address = n;
    return true;
}

static bool read_integer(const struct option *o, const char *word, const char **error) {
    int64_t n;
    *error = "argument couldn't be parsed into an integer";
    return num_parse_i64(slice_cstr(word), &n) && store_integer(o, n, error);
}

static bool read_octal(const struct option *o, const char *word, const char **error) {
    char *end;
    long n = strtol(word, &end, 8);
    *error = "argument couldn't be parsed as an octal number";
    return end != word && *end == '\0' && isdigit((unsigned char)*word) && store_integer(o, n, error);
}

/* "5%" is stored as -5. */
static bool read_percent(const struct option *o, const char *word, size_t len, const char **error) {
    int64_t n;
    *error = "argument must be a memory or percent value";
    if (!num_parse_i64(slice_of(word, len), &n) || n < 0) return false;
    *error = "percentage argument must be less or equal to 100";
    if (n > 100) return false;
    *(int64_t *)o->address = -n;
    return true;
}

static bool read_memory(const struct option *o, const char *word, const char **error) {
    size_t len = strlen(word);
    uint64_t n;
    bool percent = o->flags & OPTION_PERCENT;
    if (percent && len > 1 && word[len - 1] == '%') return read_percent(o, word, len - 1, error);
    *error = percent ? "argument must be a memory or percent value" : "argument must be a memory value";
    if (!num_parse_memory(slice_of(word, len), &n)) return false;
    if (n > INT64_MAX) return fail_bounds(o, error);
    return store_integer(o, (int64_t)n, error);
}

static const struct option_name *find_name(const struct option *o, const char *word) {
    for (const struct option_name *name = o->names; name->name; name++) {
        if (strcasecmp(name->name, word) == 0) return name;
    }
    return NULL;
}

static bool fail_names(const struct option *o, const char **error) {
    size_t at = (size_t)snprintf(text, sizeof text, "argument(s) must be one of the following: ");
    for (const struct option_name *name = o->names; name->name && at < sizeof text; name++) {
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", name == o->names ? "" : ", ", name->name);
    }
    *error = text;
    return false;
}

static bool read_names(const struct option *o, const char *const *words, int count, const char **error) {
    int value = 0;
    if (count == 0) return fail_names(o, error);
    for (int i = 0; i < count; i++) {
        const struct option_name *name = find_name(o, words[i]);
        if (!name) return fail_names(o, error);
        value |= name->value;
    }
    *(int *)o->address = value;
    return true;
}

static bool read_string(const struct option *o, const char *word) {
    char **at = o->address;
    char *copy = alloc_copy_string(word);
    alloc_put_string(*at);
    *at = copy;
    return true;
}

static bool read_bytes(const struct option *o, struct slice value) {
    struct slice *at = o->address;
    char *copy = alloc_copy_text(value.ptr, value.len);
    if (at->ptr) alloc_put((char *)at->ptr, at->len + 1);
    *at = slice_of(copy, value.len);
    return true;
}

bool directive_takes_words(const struct option *o) {
    return o->type == OPTION_FLAGS || (o->flags & OPTION_MULTI);
}

bool directive_read(const struct option *o, const char *const *words, int count, const char **error) {
    if (!directive_takes_words(o) && count != 1) {
        *error = "wrong number of arguments";
        return false;
    }
    if (o->type != OPTION_BYTES && words_hold_nul(words, count)) {
        *error = "argument holds a NUL byte";
        return false;
    }
    switch (o->type) {
    case OPTION_BOOL: return read_bool(o, words[0], error);
    case OPTION_INT:
    case OPTION_I64: return read_integer(o, words[0], error);
    case OPTION_OCTAL: return read_octal(o, words[0], error);
    case OPTION_MEMORY: return read_memory(o, words[0], error);
    case OPTION_ENUM:
    case OPTION_FLAGS: return read_names(o, words, count, error);
    case OPTION_STRING: return read_string(o, words[0]);
    case OPTION_BYTES: return read_bytes(o, words_slice(words[0]));
    case OPTION_CUSTOM: return o->set(words, count, error);
    }
    return false;
}

void directive_reset(const struct option *o) {
    if (!o->initial) return;
    struct words w;
    struct slice initial = slice_cstr(o->initial);
    const char *error;
    (directive_takes_words(o) ? words_split_blanks : words_single)(&w, initial);
    bool ok = directive_read(o, (const char *const *)w.at, w.count, &error);
    assert(ok && "an option's initial value is not valid");
    (void)ok;
    words_free(&w);
}

/* --- Printing -------------------------------------------------------------------------------- */

static void print_flags(const struct option *o, int value, struct buf *out) {
    bool first = true;
    for (const struct option_name *name = o->names; name->name; name++) {
        bool stands = value == 0 ? name->value == 0 : name->value != 0 && (value & name->value) == name->value;
        if (!stands) continue;
        buf_printf(out, "%s%s", first ? "" : " ", name->name);
        first = false;
    }
}

static void print_enum(const struct option *o, int value, struct buf *out) {
    for (const struct option_name *name = o->names; name->name; name++) {
        if (name->value != value) continue;
        buf_append_cstr(out, name->name);
        return;
    }
}

void directive_print(const struct option *o, struct buf *out) {
    switch (o->type) {
    case OPTION_BOOL: buf_append_cstr(out, *(bool *)o->address ? "yes" : "no"); return;
    case OPTION_INT: buf_append_i64(out, *(int *)o->address); return;
    case OPTION_I64: buf_append_i64(out, *(int64_t *)o->address); return;
    case OPTION_OCTAL: buf_printf(out, "%o", (unsigned)*(int *)o->address); return;
    case OPTION_MEMORY: {
        int64_t n = *(int64_t *)o->address;
        if (n < 0 && (o->flags & OPTION_PERCENT))
            buf_printf(out, "%lld%%", (long long)-n);
        else
            buf_append_i64(out, n);
        return;
    }
    case OPTION_ENUM: print_enum(o, *(int *)o->address, out); return;
    case OPTION_FLAGS: print_flags(o, *(int *)o->address, out); return;
    case OPTION_STRING: buf_append_cstr(out, *(char **)o->address); return;
    case OPTION_BYTES: buf_append_slice(out, *(struct slice *)o->address); return;
    case OPTION_CUSTOM: o->get(out); return;
    }
}

void directive_print_memory(int64_t n, struct buf *out) {
    static const struct {
        int shift;
        const char *name;
    } units[] = {{30, "gb"}, {20, "mb"}, {10, "kb"}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        int64_t unit = (int64_t)1 << units[i].shift;
        if (n == 0 || n % unit != 0) continue;
        buf_printf(out, "%lld%s", (long long)(n / unit), units[i].name);
        return;
    }
    buf_append_i64(out, n);
}

void directive_print_file(const struct option *o, struct buf *out) {
    bool quoted = o->type == OPTION_STRING || o->type == OPTION_BYTES;
    if (o->type == OPTION_MEMORY && *(int64_t *)o->address >= 0) {
        directive_print_memory(*(int64_t *)o->address, out);
        return;
    }
    struct buf plain = {0};
    directive_print(o, &plain);
    quoted |= plain.len == 0 || (o->type == OPTION_CUSTOM && !(o->flags & OPTION_MULTI));
    if (quoted)
        buf_append_quoted(out, buf_slice(&plain));
    else
        buf_append_slice(out, buf_slice(&plain));
    buf_free(&plain);
}

bool directive_is_initial(const struct option *o) {
    if (!o->initial) return false;
    struct buf now = {0};
    directive_print(o, &now);
    bool same = slice_eq(buf_slice(&now), slice_cstr(o->initial));
    buf_free(&now);
    return same;
}
