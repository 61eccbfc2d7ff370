/* See config_file.h. All sources are put together into one text, which is read line by line; so there is one way to
 * read an option, and line numbers count on from one source to the next, as Redis's do. Invariant: a line is applied
 * completely before the next one is looked at, so a later line sees, and overrides, what the earlier ones have set. */
#include "conf/config_file.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/version.h"
#include "base/words.h"
#include "conf/config.h"
#include "conf/directive.h"
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#define INCLUDES_MAX 32 /* depth of files that include each other */

static int include_depth;
static const char *included; /* the file that is being read, if another one includes it */
static struct {
    const char *name;
    int lines;
} first_file; /* the named file stands at the beginning of the text; name NULL: there is none */

static void load_text(struct slice text);

static void die(int line, struct slice text, const char *error) {
    fprintf(stderr, "\n*** FATAL CONFIG FILE ERROR (Redis " VERSION_REDIS ") ***\n");
    fprintf(stderr, "Reading the configuration file, at line %d\n", line);
    fprintf(stderr, ">>> '%.*s'\n", (int)text.len, text.ptr);
    fprintf(stderr, "%s\n", error);
    const char *file = included ? included : line <= first_file.lines ? first_file.name : NULL;
    if (file) fprintf(stderr, "The line is in %s\n", file);
    exit(1);
}

static void die_unreadable(const char *file) {
    log_warning("Fatal error, can't open config file '%s': %s", file, strerror(errno));
    exit(1);
}

static void read_all(int fd, const char *file, struct buf *text) {
    for (;;) {
        ssize_t n = read(fd, buf_reserve(text, 16384), 16384);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) die_unreadable(file);
        if (n == 0) return;
        text->len += (size_t)n;
    }
}

static void read_file(const char *file, struct buf *text) {
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) die_unreadable(file);
    read_all(fd, file, text);
    close(fd);
}

/* --- One line -------------------------------------------------------------------------------- */

static struct slice trim(struct slice s) {
    while (s.len && strchr(" \t\r\n", s.ptr[0]))
        s = slice_of(s.ptr + 1, s.len - 1);
    while (s.len && strchr(" \t\r\n", s.ptr[s.len - 1]))
        s.len--;
    return s;
}

static void load_one(const char *file) {
    struct buf text = {0};
    const char *includer = included;
    read_file(file, &text);
    included = file;
    load_text(buf_slice(&text));
    included = includer;
    buf_free(&text);
}

/* A pattern may match nothing, but a file that is named must exist. */
static const char *load_include(const char *pattern) {
    glob_t found;
    if (include_depth == INCLUDES_MAX) return "too many levels of include";
    include_depth++;
    int result = glob(pattern, 0, NULL, &found);
    if (result == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            load_one(found.gl_pathv[i]);
        }
        globfree(&found);
    } else if (result != GLOB_NOMATCH || !strpbrk(pattern, "*?[")) {
        load_one(pattern);
    }
    include_depth--;
    return NULL;
}

static const char unknown[] = "Bad directive or wrong number of arguments";

/* A line that Redis writes for the user that everybody is: it permits everything. */
static bool is_open_user(const struct words *w) {
    static const char *const rules[] = {"on", "nopass", "sanitize-payload", "~*", "&*", "+@all"};
    if (strcmp(w->at[1], "default") != 0) return false;
    for (int i = 2; i < w->count; i++) {
        size_t known = 0;
        while (known < sizeof rules / sizeof rules[0] && strcasecmp(w->at[i], rules[known]) != 0)
            known++;
        if (known == sizeof rules / sizeof rules[0]) return false;
    }
    return true;
}

/* Directives that have no row, so CONFIG GET does not know them. Returns the error, or NULL. */
static const char *load_directive(const struct words *w) {
    static const struct {
        const char *name;
        int least, most; /* words with the name */
    } protective[] = {{"user", 2, INT32_MAX}, {"rename-command", 3, 3}, {"loadmodule", 2, INT32_MAX}};
    static const char *const obsolete[] = {"list-max-ziplist-entries", "list-max-ziplist-value",
                                           "lua-replicate-commands"};
    const char *name = w->at[0];
    if (words_hold_nul((const char *const *)w->at, w->count)) return unknown;
    if (strcasecmp(name, "include") == 0 && w->count == 2) return load_include(w->at[1]);
    if (strcasecmp(name, "sentinel") == 0) return "sentinel directive while not in sentinel mode";
    for (size_t i = 0; i < sizeof protective / sizeof protective[0]; i++) {
        if (strcasecmp(name, protective[i].name) != 0) continue;
        if (w->count < protective[i].least || w->count > protective[i].most) return unknown;
        return strcasecmp(name, "user") == 0 && is_open_user(w) ? NULL : config_refused;
    }
    for (size_t i = 0; i < sizeof obsolete / sizeof obsolete[0]; i++) {
        if (strcasecmp(name, obsolete[i]) == 0 && w->count == 2) return NULL;
    }
    return unknown;
}

static const char *load_words(const struct words *w) {
    const struct option *o = config_find(words_slice(w->at[0]));
    if (!o) return load_directive(w);
    struct words parts = {0};
    const char *error = NULL, *const *values = (const char *const *)w->at + 1;
    int count = w->count - 1;
    /* An option that takes several words takes them in one pair of quotes too: --save "60 1000". */
    if (directive_takes_words(o) && count == 1 && values[0][0]) {
        words_split_blanks(&parts, words_slice(values[0]));
        values = (const char *const *)parts.at;
        count = parts.count;
    }
    bool ok = config_set_at_start(o, values, count, &error);
    words_free(&parts);
    return ok ? NULL : error;
}

static void load_line(int number, struct slice line) {
    line = trim(line);
    if (line.len == 0 || line.ptr[0] == '#') return;
    struct words w;
    if (!words_split(&w, line)) die(number, line, "Unbalanced quotes in configuration line");
    const char *error = w.count > 0 ? load_words(&w) : NULL;
    words_free(&w);
    if (error) die(number, line, error);
}

static void load_text(struct slice text) {
    int number = 0;
    const char *at = text.ptr, *end = text.ptr + text.len;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) stop = end;
        load_line(++number, slice_of(at, (size_t)(stop - at)));
        at = stop + 1;
    }
}

/* --- The sources ----------------------------------------------------------------------------- */

static bool is_option(const char *word) {
    return word[0] == '-' && word[1] == '-';
}

static bool is_single_word(const char *text) {
    struct words w;
    bool single = words_split(&w, slice_cstr(text)) && w.count == 1;
    words_free(&w);
    return single;
}

/* Make lines of the command line. "--name" begins a line, and the words after it are quoted. The word right after
 * "--name" is its value even if it begins with two dashes; only "--save" may have no value, and means save "".
 * "--name value" may also be one word. */
static void append_options(struct buf *text, int count, char *const *words) {
    bool may_be_name = true;
    for (int i = 0; i < count; i++) {
        if (!may_be_name || !is_option(words[i])) {
            buf_append_quoted(text, slice_cstr(words[i]));
            buf_append_cstr(text, " ");
            may_be_name = true;
            continue;
        }
        buf_printf(text, "%s%s ", i ? "\n" : "", words[i] + 2);
        may_be_name = !is_single_word(words[i]);
        bool last = i + 1 == count;
        if (!may_be_name && strcasecmp(words[i], "--save") == 0 && (last || is_option(words[i + 1]))) {
            buf_append_cstr(text, "\"\"");
            may_be_name = true;
        }
    }
}

static int count_lines(struct slice text) {
    int lines = 0;
    for (size_t i = 0; i < text.len; i++)
        lines += text.ptr[i] == '\n';
    return lines;
}

static void remember_path(const char *file) {
    struct buf absolute = {0};
    char folder[4096];
    if (file[0] != '/' && getcwd(folder, sizeof folder)) buf_printf(&absolute, "%s/", folder);
    buf_append(&absolute, file, strlen(file) + 1);
    config_set_path(absolute.data);
    buf_free(&absolute);
}

void config_load(const char *file, bool from_stdin, int count, char *const *words) {
    struct buf text = {0};
    if (file) {
        read_file(file, &text);
        remember_path(file);
        first_file.name = file;
        first_file.lines = 1 + count_lines(buf_slice(&text));
    }
    if (from_stdin) {
        log_warning("Reading config from stdin");
        read_all(STDIN_FILENO, "stdin", &text);
    }
    if (count > 0) {
        buf_append_cstr(&text, "\n");
        append_options(&text, count, words);
    }
    load_text(buf_slice(&text));
    buf_free(&text);
}
