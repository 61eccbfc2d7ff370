/* See title.h. ps shows the bytes where the kernel put argv. The environment lies right behind them: it is moved away,
 * and the title may use its place as well. Until title_start() a change only stores its value, since the process may
 * still go to the background and the port is not known. */
#include "process/title.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/module.h"
#include "base/option.h"
#include "conf/config.h"
#include "process/listen.h"
#include <string.h>
#include <unistd.h>

static bool set_title;       /* set-proc-title */
static char *title_template; /* proc-title-template */

static struct {
    char *area; /* where the kernel put argv and, right behind it, the environment */
    size_t len;
    char *program; /* argv[0], or title_set_program()'s; owned */
    bool started;
} title;

void title_init(int argc, char **argv) {
    title.program = alloc_copy_string(argv[0]);
    char *end = argv[0];
    for (int i = 0; i < argc; i++) {
        if (argv[i] == end) end += strlen(argv[i]) + 1;
        if (i > 0) argv[i] = alloc_copy_string(argv[i]);
    }
    size_t count = 0;
    while (environ[count])
        count++;
    char **moved = alloc_zero((count + 1) * sizeof *moved);
    for (size_t i = 0; i < count; i++) {
        if (environ[i] == end) end += strlen(environ[i]) + 1;
        moved[i] = alloc_copy_string(environ[i]);
    }
    environ = moved;
    title.area = argv[0];
    title.len = (size_t)(end - argv[0]);
}

/* Append the value of a variable of the template; false if there is no such variable. */
static bool append_variable(struct slice name, struct buf *out) {
    if (slice_is(name, "title"))
        buf_append_cstr(out, title.program);
    else if (slice_is(name, "listen-addr"))
        listen_describe(out);
    else if (slice_is(name, "port"))
        buf_append_i64(out, listen_port());
    else if (slice_is(name, "unixsocket"))
        buf_append_cstr(out, listen_unix_path());
    else if (slice_is(name, "config-file"))
        buf_append_cstr(out, config_path());
    else if (slice_is(name, "tls-port"))
        buf_append_i64(out, 0);
    else
        return slice_is(name, "server-mode"); /* empty: neither cluster nor sentinel */
    return true;
}

/* Expand the template, and remove blanks at the end. False if the template is broken. */
static bool expand_title(struct buf *out) {
    const char *p = title_template;
    while (*p) {
        if (*p != '{') {
            buf_append(out, p++, 1);
            continue;
        }
        const char *stop = strchr(p, '}');
        if (!stop || !append_variable(slice_of(p + 1, (size_t)(stop - p) - 1), out)) return false;
        p = stop + 1;
    }
    while (out->len && out->data[out->len - 1] == ' ')
        out->len--;
    return title_template[0] != '\0';
}

static bool apply_title(const char **error) {
    struct buf text = {0};
    *error = "template format is invalid or contains unknown variables";
    bool ok = expand_title(&text);
    if (ok && title.started && set_title && title.len > 0) {
        size_t n = text.len < title.len - 1 ? text.len : title.len - 1;
        memset(title.area, 0, title.len);
        if (n) memcpy(title.area, text.data, n);
    }
    buf_free(&text);
    return ok;
}

void title_set_program(const char *name) {
    const char *error;
    alloc_put_string(title.program);
    title.program = alloc_copy_string(name);
    apply_title(&error);
}

static void title_start(void) {
    const char *error;
    title.started = true;
    apply_title(&error);
}

static const struct option title_rows[] = {
    {"set-proc-title", .type = OPTION_BOOL, .flags = OPTION_IMMUTABLE, .address = &set_title, .initial = "yes"},
    {"proc-title-template", .type = OPTION_STRING, .address = &title_template,
     .initial = "{title} {listen-addr} {server-mode}", .apply = apply_title},
    {NULL},
};

const struct module title_module = {.options = title_rows, .start = title_start};
