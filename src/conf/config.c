/* See config.h. The rows stay where their modules have them; the register holds pointers, in the order of
 * src/modules.def, which is the order of CONFIG GET * and of what CONFIG REWRITE appends. */
#include "conf/config.h"
#include "base/alloc.h"
#include "base/log.h"
#include "base/module.h"
#include "base/option.h"
#include "base/words.h"
#include "conf/directive.h"
#include "conf/permit.h"
#include <assert.h>
#include <strings.h>

#define ROWS_MAX 512

static int protected_permit; /* enum permit: may clients set options that are OPTION_PROTECTED? */

static const struct option config_rows[] = {
    {"enable-protected-configs", .type = OPTION_ENUM, .flags = OPTION_IMMUTABLE, .address = &protected_permit,
     .initial = "no", .names = permit_names},
    {NULL},
};

static const struct option *rows[ROWS_MAX];
static bool warned[ROWS_MAX]; /* the log has said that this missing option has no effect */
static size_t row_count;
static bool starting = true;
static char *path;

/* --- The register ---------------------------------------------------------------------------- */

static bool is_name(const char *name, struct slice given) {
    return name && strlen(name) == given.len && strncasecmp(name, given.ptr, given.len) == 0;
}

/* Linear: two hundred comparisons, most of which end at the length. CONFIG is too rare for an index. */
const struct option *config_find(struct slice name) {
    for (size_t i = 0; i < row_count; i++) {
        if (is_name(rows[i]->name, name) || is_name(rows[i]->alias, name)) return rows[i];
    }
    return NULL;
}

static void check_row(const struct option *o) {
    bool named = o->type == OPTION_ENUM || o->type == OPTION_FLAGS;
    assert(!config_find(slice_cstr(o->name)) && "two options have the same name");
    assert(!o->alias || !config_find(slice_cstr(o->alias)));
    assert(!named || o->names);
    assert(o->type == OPTION_CUSTOM ? o->set && o->get : o->initial != NULL);
}

/* A row without an address gets a place for its value: the register's copy of the row points there. */
static const struct option *place_value(const struct option *o) {
    struct kept {
        struct option row;
        union {
            bool yes;
            int number;
            int64_t large;
            char *text;
            struct slice bytes;
        } value;
    };
    if (o->address || o->type == OPTION_CUSTOM) return o;
    struct kept *kept = alloc_zero(sizeof *kept);
    kept->row = *o;
    kept->row.address = &kept->value;
    return &kept->row;
}

void config_register(const struct option *list) {
    for (; list->name; list++) {
        assert(row_count < ROWS_MAX);
        check_row(list);
        rows[row_count] = place_value(list);
        directive_reset(rows[row_count++]);
    }
}

size_t config_count(void) {
    return row_count;
}

const struct option *config_at(size_t i) {
    return rows[i];
}

size_t config_index(const struct option *o) {
    size_t i = 0;
    while (rows[i] != o)
        i++;
    return i;
}

/* --- Options without effect ------------------------------------------------------------------ */

const char config_refused[] =
    "this version of kura cannot do what the directive asks for, and to ignore it would leave the "
    "server open or lose data";

/* The value asks for something: neither the default nor an empty one. */
static bool wants_effect(const struct option *o) {
    struct buf value = {0};
    directive_print(o, &value);
    bool empty = value.len == 0;
    buf_free(&value);
    return !empty && !directive_is_initial(o);
}

static bool is_refused(const struct option *o) {
    return (o->flags & OPTION_PROTECTIVE) && wants_effect(o);
}

/* --- Start-up -------------------------------------------------------------------------------- */

bool config_is_starting(void) {
    return starting;
}

bool config_set_at_start(const struct option *o, const char *const *words, int count, const char **error) {
    if (!directive_read(o, words, count, error)) return false;
    *error = config_refused;
    return !is_refused(o) && (!o->apply || o->apply(error));
}

static void warn_missing(size_t i) {
    if (warned[i] || !(rows[i]->flags & OPTION_MISSING) || !wants_effect(rows[i])) return;
    warned[i] = true;
    log_warning("WARNING: the option '%s' is accepted, but has no effect in this version of kura", rows[i]->name);
}

void config_started(void) {
    starting = false;
    for (size_t i = 0; i < row_count; i++) {
        warn_missing(i);
    }
}

const char *config_path(void) {
    return path ? path : "";
}

void config_set_path(const char *to) {
    char *copy = alloc_copy_string(to);
    alloc_put_string(path);
    path = copy;
}

/* --- CONFIG SET ------------------------------------------------------------------------------ */

struct config_change {
    const struct option *row;
    struct slice name, value;
    struct buf before; /* the former value, printed by directive_print() */
    bool changed;      /* the new value prints differently, or was decided for (OPTION_DECISION) */
};

static bool same_name(struct slice a, struct slice b) {
    return a.len == b.len && strncasecmp(a.ptr, b.ptr, a.len) == 0;
}

/* The reason why this client must not set option i of the list; NULL if it may. */
static const char *why_forbidden(const struct config_change *list, int i, bool local) {
    unsigned flags = list[i].row->flags;
    if (flags & OPTION_IMMUTABLE) return "can't set immutable config";
    if ((flags & OPTION_PROTECTED) && !permit_allows(protected_permit, local)) return "can't set protected config";
    for (int earlier = 0; earlier < i; earlier++) {
        if (same_name(list[earlier].name, list[i].name)) return "duplicate parameter";
    }
    return NULL;
}

static bool check_changes(struct config_change *list, int count, bool local, struct config_error *error) {
    for (int i = 0; i < count; i++) {
        error->argument = list[i].name;
        list[i].row = config_find(list[i].name);
        error->unknown = !list[i].row;
        if (error->unknown) return false;
        error->text = why_forbidden(list, i, local);
        if (error->text) return false;
    }
    return true;
}

static bool read_value(const struct option *o, struct slice value, const char **error) {
    struct words w;
    (directive_takes_words(o) ? words_split_blanks : words_single)(&w, value);
    bool ok = directive_read(o, (const char *const *)w.at, w.count, error);
    words_free(&w);
    return ok;
}

static bool read_all(struct config_change *list, int count, struct config_error *error) {
    for (int i = 0; i < count; i++) {
        error->argument = list[i].name;
        directive_print(list[i].row, &list[i].before);
        if (!read_value(list[i].row, list[i].value, &error->text)) return false;
        struct buf after = {0};
        directive_print(list[i].row, &after);
        bool decides = list[i].row->flags & OPTION_DECISION;
        list[i].changed = decides || !slice_eq(buf_slice(&list[i].before), buf_slice(&after));
        buf_free(&after);
        error->text = config_refused;
        if (list[i].changed && is_refused(list[i].row)) return false;
    }
    return true;
}

/* Options may share an apply(): it runs once, after the last of them was written. */
static bool apply_all(struct config_change *list, int count, struct config_error *error) {
    for (int i = 0; i < count; i++) {
        bool wanted = list[i].changed && list[i].row->apply;
        for (int earlier = 0; wanted && earlier < i; earlier++) {
            if (list[earlier].changed && list[earlier].row->apply == list[i].row->apply) wanted = false;
        }
        if (!wanted) continue;
        error->argument = list[i].name;
        if (list[i].row->apply(&error->text)) continue;
        log_warning(
            "Failed applying new configuration. Possibly related to new %s setting. Restoring previous settings.",
            list[i].row->name);
        return false;
    }
    return true;
}

/* In reverse order: an option may have been set under both of its names, and its first `before` is the former value. */
static void restore_values(struct config_change *list, int count, bool apply) {
    const char *error;
    for (int i = count - 1; i >= 0; i--) {
        if (list[i].changed && !read_value(list[i].row, buf_slice(&list[i].before), &error))
            log_warning("Failed restoring failed CONFIG SET command. Error setting %s: %s", list[i].row->name, error);
    }
    struct config_error again;
    if (apply && !apply_all(list, count, &again))
        log_warning("Failed applying restored failed CONFIG SET command: %s", again.text);
}

bool config_set(const struct slice *pairs, int count, bool local, struct config_error *error) {
    size_t bytes = (size_t)count * sizeof(struct config_change);
    struct config_change *list = alloc_zero(bytes);
    for (int i = 0; i < count; i++) {
        list[i].name = pairs[2 * i];
        list[i].value = pairs[2 * i + 1];
    }
    bool ok = check_changes(list, count, local, error);
    if (ok && !read_all(list, count, error)) {
        ok = false;
        restore_values(list, count, false);
    }
    if (ok && !apply_all(list, count, error)) {
        static char kept[256]; /* applying the former values may overwrite the text */
        strncpy(kept, error->text, sizeof kept - 1);
        error->text = kept;
        ok = false;
        restore_values(list, count, true);
    }
    for (int i = 0; i < count; i++) {
        if (ok && list[i].changed) warn_missing(config_index(list[i].row));
        buf_free(&list[i].before);
    }
    alloc_put(list, bytes);
    return ok;
}

const struct module config_module = {.options = config_rows};
