/* See shebang.h. The line is cut as an inline request is: its options may be quoted. A NUL byte ends the search for the
 * line's end, as in Redis. */
#include "script/shebang.h"
#include "base/buf.h"
#include "base/words.h"
#include "script/run.h"
#include <ctype.h>

const struct shebang_flag_name shebang_flag_names[] = {
    {"no-writes", SCRIPT_NO_WRITES},
    {"allow-oom", SCRIPT_ALLOW_OOM},
    {"allow-stale", SCRIPT_ALLOW_STALE},
    {"no-cluster", SCRIPT_NO_CLUSTER},
    {"allow-cross-slot-keys", SCRIPT_ALLOW_CROSS_SLOT},
    {NULL, 0},
};

unsigned shebang_flag(struct slice name) {
    for (const struct shebang_flag_name *at = shebang_flag_names; at->name; at++)
        if (slice_eq(name, slice_cstr(at->name))) return at->flag;
    return 0;
}

static bool fail(struct buf *error, const char *why) {
    buf_append_cstr(error, why);
    return false;
}

static bool fail_at(struct buf *error, const char *why, struct slice what) {
    buf_append_cstr(error, why);
    buf_append_slice(error, slice_of(what.ptr, strnlen(what.ptr, what.len)));
    return false;
}

/* The line without its end; *code is the rest. False: the line does not end. */
static bool cut_line(struct slice text, struct slice *line, struct slice *code) {
    const char *end = memchr(text.ptr, '\n', strnlen(text.ptr, text.len));
    if (!end) return false;
    line->ptr = text.ptr;
    line->len = (size_t)(end - text.ptr);
    *code = slice_of(end, text.len - line->len);
    return true;
}

/* --- Scripts --------------------------------------------------------------------------------- */

/* "no-writes,allow-oom": no name may be empty, but there may be none at all. */
static bool read_flags(struct slice list, unsigned *flags, struct buf *error) {
    for (bool more = list.len > 0; more;) {
        const char *comma = memchr(list.ptr, ',', list.len);
        struct slice name = slice_of(list.ptr, comma ? (size_t)(comma - list.ptr) : list.len);
        unsigned flag = shebang_flag(name);
        if (!flag) return fail_at(error, "Unexpected flag in script shebang: ", name);
        *flags |= flag;
        more = comma;
        if (more) list = slice_of(comma + 1, list.len - name.len - 1);
    }
    return true;
}

static bool read_script_words(const struct words *w, unsigned *flags, struct buf *error) {
    if (w->count == 0) return fail(error, "Invalid engine in script shebang");
    if (strcmp(w->at[0], "#!lua") != 0)
        return fail_at(error, "Unexpected engine in script shebang: ", words_slice(w->at[0]));
    for (int i = 1; i < w->count; i++) {
        struct slice word = words_slice(w->at[i]);
        if (!slice_begins_with(word, SLICE("flags="))) return fail_at(error, "Unknown lua shebang option: ", word);
        if (!read_flags(slice_of(word.ptr + 6, word.len - 6), flags, error)) return false;
    }
    return true;
}

bool shebang_read_script(struct slice text, unsigned *flags, struct slice *code, struct buf *error) {
    *flags = SCRIPT_OLD_RULES;
    *code = text;
    if (!slice_begins_with(text, SLICE("#!"))) return true;
    struct slice line;
    if (!cut_line(text, &line, code)) return fail(error, "Invalid script shebang");
    struct words words;
    words_split(&words, line);
    *flags = 0;
    bool ok = read_script_words(&words, flags, error);
    words_free(&words);
    return ok;
}

/* --- Libraries ------------------------------------------------------------------------------- */

bool shebang_is_name(struct slice name) {
    for (size_t i = 0; i < name.len; i++)
        if (!isalnum((unsigned char)name.ptr[i]) && name.ptr[i] != '_') return false;
    return name.len > 0;
}

static bool read_library_words(const struct words *w, struct buf *name, struct buf *error) {
    const char *found = NULL;
    if (w->count == 0) return fail(error, "Invalid library metadata");
    for (int i = 1; i < w->count; i++) {
        if (strncasecmp(w->at[i], "name=", 5) != 0)
            return fail_at(error, "Invalid metadata value given: ", words_slice(w->at[i]));
        if (found) return fail(error, "Invalid metadata value, name argument was given multiple times");
        found = w->at[i];
    }
    if (!found) return fail(error, "Library name was not given");
    struct slice whole = words_slice(found), value = slice_of(whole.ptr + 5, whole.len - 5);
    if (!shebang_is_name(value)) return fail(error, SHEBANG_NAME_RULE);
    struct slice engine = slice_of(w->at[0] + 2, words_slice(w->at[0]).len - 2);
    if (!slice_is(engine, "lua")) {
        fail_at(error, "Engine '", engine);
        return fail(error, "' not found");
    }
    buf_append_slice(name, value);
    return true;
}

bool shebang_read_library(struct slice text, struct buf *name, struct slice *code, struct buf *error) {
    if (!slice_begins_with(text, SLICE("#!"))) return fail(error, "Missing library metadata");
    struct slice line;
    if (!cut_line(text, &line, code)) return fail(error, "Invalid library metadata");
    struct words words;
    words_split(&words, line);
    bool ok = read_library_words(&words, name, error);
    words_free(&words);
    return ok;
}
