#include "server/limits.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/num.h"
#include "net/socket.h"
#include "server/directive.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>

struct limits_options limits_options;

static const char *const class_names[LIMITS_CLASSES] = {"normal", "slave", "pubsub"};

/* --- maxclients ------------------------------------------------------------------------------ */

static bool files_fit; /* limits_fit_files() has run: from now on a change is refused, not bent */

/* What the limit on open files leaves for clients, having tried to raise it. Logs where that is less than asked for. */
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

static int class_of(const char *name) {
    if (strcasecmp(name, "replica") == 0) return LIMITS_REPLICA;
    for (int i = 0; i < LIMITS_CLASSES; i++) {
        if (strcasecmp(name, class_names[i]) == 0) return i;
    }
    return -1;
}

static bool parse_limit(const char *word, int64_t *bytes) {
    uint64_t n;
    if (!num_parse_memory(slice_cstr(word), &n) || n > INT64_MAX) return false;
    *bytes = (int64_t)n;
    return true;
}

/* All or nothing: a class that is not named keeps its limits. */
static bool set_output_limits(const char *const *words, int count, const char **error) {
    struct limits_options changed = limits_options;
    if (count % 4 != 0) {
        *error = "Wrong number of arguments in buffer limit configuration.";
        return false;
    }
    for (int i = 0; i < count; i += 4) {
        int class = class_of(words[i]);
        if (class < 0) {
            *error = "Invalid client class specified in buffer limit configuration.";
            return false;
        }
        int64_t hard, soft, seconds;
        if (!parse_limit(words[i + 1], &hard) || !parse_limit(words[i + 2], &soft) ||
            !num_parse_i64(slice_cstr(words[i + 3]), &seconds) || seconds < 0 || seconds > INT32_MAX) {
            *error = "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
            return false;
        }
        changed.output_limit[class].hard = hard;
        changed.output_limit[class].soft = soft;
        changed.output_limit[class].soft_s = (int)seconds;
    }
    limits_options = changed;
    return true;
}

static void get_output_limits(struct buf *out) {
    for (int i = 0; i < LIMITS_CLASSES; i++) {
        buf_printf(out, "%s%s %lld %lld %d", i ? " " : "", class_names[i],
                   (long long)limits_options.output_limit[i].hard, (long long)limits_options.output_limit[i].soft,
                   limits_options.output_limit[i].soft_s);
    }
}

#define OUTPUT_LIMITS "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"
#define MEGABYTE 1048576

/* A line for each class that has not its initial limits. */
static void write_output_limit_lines(struct buf *out) {
    static const struct {
        const char *name;
        int64_t hard, soft;
        int soft_s;
    } initial[LIMITS_CLASSES] = {{"normal", 0, 0, 0},
                                 {"replica", 256 * MEGABYTE, 64 * MEGABYTE, 60},
                                 {"pubsub", 32 * MEGABYTE, 8 * MEGABYTE, 60}};
    for (int i = 0; i < LIMITS_CLASSES; i++) {
        int64_t hard = limits_options.output_limit[i].hard, soft = limits_options.output_limit[i].soft;
        int soft_s = limits_options.output_limit[i].soft_s;
        if (hard == initial[i].hard && soft == initial[i].soft && soft_s == initial[i].soft_s) continue;
        buf_printf(out, "client-output-buffer-limit %s ", initial[i].name);
        directive_print_memory(hard, out);
        buf_append_cstr(out, " ");
        directive_print_memory(soft, out);
        buf_printf(out, " %d\n", soft_s);
    }
}

const struct option limits_rows[] = {
    {.name = "maxclients",
     .type = OPTION_I64,
     .address = &limits_options.max_clients,
     .initial = "10000",
     .min = 1,
     .max = UINT32_MAX,
     .apply = apply_max_clients},
    {.name = "timeout", .type = OPTION_INT, .address = &limits_options.timeout_s, .initial = "0", .max = INT32_MAX},
    {.name = "tcp-keepalive",
     .type = OPTION_INT,
     .address = &limits_options.keepalive_s,
     .initial = "300",
     .max = INT32_MAX},
    {.name = "proto-max-bulk-len",
     .type = OPTION_MEMORY,
     .address = &limits_options.max_bulk,
     .initial = "536870912",
     .min = MEGABYTE,
     .max = INT64_MAX},
    {.name = "client-query-buffer-limit",
     .type = OPTION_MEMORY,
     .address = &limits_options.query_buffer_limit,
     .initial = "1073741824",
     .min = MEGABYTE,
     .max = INT64_MAX},
    {.name = "client-output-buffer-limit",
     .type = OPTION_CUSTOM,
     .flags = OPTION_MULTI,
     .initial = OUTPUT_LIMITS,
     .set = set_output_limits,
     .get = get_output_limits,
     .lines = write_output_limit_lines},
    {.name = NULL},
};
