/* See limits.h. Invariants: once limits_fit_files() has run, max_clients never exceeds what the limit on open files
 * leaves for clients, so accept() does not run out of descriptors. output_limit[] changes as a whole or not at all. */
#include "session/limits.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/module.h"
#include "base/num.h"
#include "base/option.h"
#include "base/words.h"
#include "conf/directive.h"
#include "net/socket.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>

struct limits_options limits_options;

/* --- maxclients ------------------------------------------------------------------------------ */

static bool files_fit; /* limits_fit_files() has run: a maxclients that is too high is now refused, not lowered */

/* Raise the limit on open files for this many clients, and return how many it allows; logs if that is fewer. */
static int64_t clients_possible(int64_t wanted) {
    struct rlimit before;
    bool known = getrlimit(RLIMIT_NOFILE, &before) == 0;
    int64_t files = wanted + LIMITS_RESERVED_FDS;
    int64_t limit = socket_raise_fd_limit(files);
    int reason = errno ? errno : EPERM;
    if (limit >= files) {
        if (known && (int64_t)before.rlim_cur < files)
            log_notice("Increased maximum number of open files to %lld (it was originally set to %lld).",
                       (long long)files, (long long)before.rlim_cur);
        return wanted;
    }
    int64_t possible = limit - LIMITS_RESERVED_FDS;
    if (possible <= 0) {
        log_warning("Your current 'ulimit -n' of %lld is not enough for the server to start. Please increase your open "
                    "file limit to at least %lld. Exiting.",
                    (long long)limit, (long long)files);
        if (!files_fit) exit(1);
        return 0;
    }
    log_warning("You requested maxclients of %lld requiring at least %lld max file descriptors.", (long long)wanted,
                (long long)files);
    log_warning("Server can't set maximum open files to %lld because of OS error: %s.", (long long)files,
                strerror(reason));
    log_warning("Current maximum open files is %lld. maxclients has been reduced to %lld to compensate for low ulimit. "
                "If you need higher maxclients increase 'ulimit -n'.",
                (long long)limit, (long long)possible);
    return possible;
}

void limits_fit_files(void) {
    errno = 0;
    limits_options.max_clients = clients_possible(limits_options.max_clients);
    files_fit = true;
}

static bool apply_max_clients(const char **error) {
    if (!files_fit) return true;
    errno = 0;
    int64_t possible = clients_possible(limits_options.max_clients);
    if (possible == limits_options.max_clients) return true;
    static char text[128];
    snprintf(text, sizeof text,
             "The operating system is not able to handle the specified number of clients, try with %lld",
             (long long)possible);
    *error = text;
    return false;
}

/* --- client-output-buffer-limit: any number of "class hard soft seconds" --------------------- */

#define MEGABYTE 1048576
#define OUTPUT_LIMITS "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"

/* CONFIG GET and the default say "slave", CONFIG REWRITE says "replica"; both words are read. */
static const struct {
    const char *shown, *written;
} class_names[LIMITS_CLASSES] = {{"normal", "normal"}, {"slave", "replica"}, {"pubsub", "pubsub"}};

static int class_of(const char *name) {
    for (int i = 0; i < LIMITS_CLASSES; i++) {
        if (strcasecmp(name, class_names[i].shown) == 0 || strcasecmp(name, class_names[i].written) == 0) return i;
    }
    return -1;
}

static bool parse_bytes(const char *word, int64_t *bytes) {
    uint64_t n;
    if (!num_parse_memory(slice_cstr(word), &n) || n > INT64_MAX) return false;
    *bytes = (int64_t)n;
    return true;
}

static bool parse_seconds(const char *word, int *seconds) {
    int64_t n;
    if (!num_parse_i64(slice_cstr(word), &n) || n < 0 || n > INT32_MAX) return false;
    *seconds = (int)n;
    return true;
}

/* Set the classes that the words name; the others keep their limits. False with *error: some may have been set. */
static bool parse_limits(const char *const *words, int count, struct limits_output *limits, const char **error) {
    *error = "Wrong number of arguments in buffer limit configuration.";
    if (count % 4 != 0) return false;
    for (int i = 0; i < count; i += 4) {
        int class = class_of(words[i]);
        *error = "Invalid client class specified in buffer limit configuration.";
        if (class < 0) return false;
        struct limits_output *l = &limits[class];
        *error = "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
        if (!parse_bytes(words[i + 1], &l->hard) || !parse_bytes(words[i + 2], &l->soft) ||
            !parse_seconds(words[i + 3], &l->soft_s))
            return false;
    }
    return true;
}

static bool set_output_limits(const char *const *words, int count, const char **error) {
    struct limits_options changed = limits_options;
    if (!parse_limits(words, count, changed.output_limit, error)) return false;
    limits_options = changed;
    return true;
}

static void get_output_limits(struct buf *out) {
    for (int i = 0; i < LIMITS_CLASSES; i++) {
        const struct limits_output *l = &limits_options.output_limit[i];
        buf_printf(out, "%s%s %lld %lld %d", i ? " " : "", class_names[i].shown, (long long)l->hard, (long long)l->soft,
                   l->soft_s);
    }
}

static void initial_limits(struct limits_output *limits) {
    struct words w;
    const char *error;
    words_split_blanks(&w, SLICE(OUTPUT_LIMITS));
    parse_limits((const char *const *)w.at, w.count, limits, &error);
    words_free(&w);
}

/* One line for each class whose limits are not the default. */
static void write_output_limit_lines(struct buf *out) {
    struct limits_output initial[LIMITS_CLASSES];
    initial_limits(initial);
    for (int i = 0; i < LIMITS_CLASSES; i++) {
        const struct limits_output *l = &limits_options.output_limit[i];
        if (l->hard == initial[i].hard && l->soft == initial[i].soft && l->soft_s == initial[i].soft_s) continue;
        buf_printf(out, "client-output-buffer-limit %s ", class_names[i].written);
        directive_print_memory((uint64_t)l->hard, out);
        buf_append_cstr(out, " ");
        directive_print_memory((uint64_t)l->soft, out);
        buf_printf(out, " %d\n", l->soft_s);
    }
}

static const struct option limits_rows[] = {
    {"maxclients", .type = OPTION_I64, .address = &limits_options.max_clients, .initial = "10000", .min = 1,
     .max = UINT32_MAX, .apply = apply_max_clients},
    {"timeout", .type = OPTION_INT, .address = &limits_options.timeout_s, .initial = "0"},
    {"tcp-keepalive", .type = OPTION_INT, .address = &limits_options.keepalive_s, .initial = "300"},
    {"proto-max-bulk-len", .type = OPTION_MEMORY, .address = &limits_options.max_bulk, .initial = "536870912",
     .min = MEGABYTE},
    {"client-query-buffer-limit", .type = OPTION_MEMORY, .address = &limits_options.query_buffer_limit,
     .initial = "1073741824", .min = MEGABYTE},
    {"client-output-buffer-limit", .type = OPTION_CUSTOM, .flags = OPTION_MULTI, .initial = OUTPUT_LIMITS,
     .set = set_output_limits, .get = get_output_limits, .lines = write_output_limit_lines},
    {NULL},
};

const struct module limits_module = {.options = limits_rows};
