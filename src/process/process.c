/* See process.h. Until process_apply() the options of the title and of the allocator's thread only store their values:
 * the process may still go to the background, and the port is not known. Afterwards a change takes effect at once. */
#include "process/process.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/module.h"
#include "base/num.h"
#include "base/option.h"
#include "conf/config.h"
#include "process/listen.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum supervisor { SUPERVISED_NO, SUPERVISED_AUTO, SUPERVISED_SYSTEMD, SUPERVISED_UPSTART };
enum oom_mode { OOM_NO, OOM_RELATIVE, OOM_ABSOLUTE };
enum oom_role { OOM_OF_PRIMARY, OOM_OF_REPLICA, OOM_OF_CHILD };

static struct {
    bool daemonize;
    char *pidfile;
    int supervised;
    bool set_title;
    char *title_template;
    bool disable_thp;
    int oom_mode;
    int oom_values[3]; /* by enum oom_role */
    char *locale_collate;
    bool background_purge;
} options;

/* --- title ----------------------------------------------------------------------------------- */

static struct {
    char *area; /* where the kernel put argv and, right behind it, the environment */
    size_t len;
    char *program; /* argv[0] */
    char *executable;
} title;

static bool applied; /* apply_options() has run */

/* ps shows the bytes where the kernel put argv: the environment behind them is moved away to make room. */
void process_init(int argc, char **argv) {
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    title.executable = alloc_copy_string(path);
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

const char *process_executable(void) {
    return title.executable;
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
    const char *p = options.title_template;
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
    return options.title_template[0] != '\0';
}

static bool apply_title(const char **error) {
    struct buf text = {0};
    *error = "template format is invalid or contains unknown variables";
    bool fine = expand_title(&text);
    if (fine && applied && options.set_title && title.len > 0) {
        size_t n = text.len < title.len - 1 ? text.len : title.len - 1;
        memset(title.area, 0, title.len);
        if (n) memcpy(title.area, text.data, n);
    }
    buf_free(&text);
    return fine;
}

/* --- OOM score ------------------------------------------------------------------------------- */

#define OOM_FILE "/proc/self/oom_score_adj"

static bool write_oom_score(int score) {
    char digits[16];
    int fd = open(OOM_FILE, O_WRONLY | O_CLOEXEC);
    int n = snprintf(digits, sizeof digits, "%d", score);
    bool fine = fd >= 0 && write(fd, digits, (size_t)n) == n;
    if (!fine) log_warning("Unable to write oom_score_adj: %s", strerror(errno));
    if (fd >= 0) close(fd);
    return fine;
}

static int read_oom_score(void) {
    int score = 0;
    FILE *file = fopen(OOM_FILE, "re");
    if (!file) return 0;
    if (fscanf(file, "%d", &score) != 1) score = 0;
    fclose(file);
    return score;
}

/* Relative values are added to the score that the process has when the option is turned on; "no" restores that
 * score. */
static struct {
    int initial;
    bool changed;
} oom;

static int oom_score(int value) {
    int score = options.oom_mode == OOM_NO ? oom.initial : value;
    if (options.oom_mode == OOM_RELATIVE) score += oom.initial;
    return score < -1000 ? -1000 : score > 1000 ? 1000 : score;
}

static bool apply_oom(const char **error) {
    *error = "Failed to apply new oom_score_adj configuration, check server logs.";
    if (options.oom_mode == OOM_NO && !oom.changed) return true;
    if (!oom.changed) oom.initial = read_oom_score();
    oom.changed = options.oom_mode != OOM_NO;
    return write_oom_score(oom_score(options.oom_values[OOM_OF_PRIMARY]));
}

static bool set_oom_values(const char *const *words, int count, const char **error) {
    int values[3];
    *error = "wrong number of arguments";
    if (count != 3) return false;
    for (int i = 0; i < 3; i++) {
        int64_t n;
        if (!num_parse_i64(slice_cstr(words[i]), &n) || n < -2000 || n > 2000) {
            *error = "Invalid oom-score-adj-values, elements must be between -2000 and 2000.";
            return false;
        }
        values[i] = (int)n;
    }
    if (values[1] < values[0] || values[2] < values[1])
        log_warning("The oom-score-adj-values configuration may not work for non-privileged processes! Please consult "
                    "the documentation.");
    memcpy(options.oom_values, values, sizeof values);
    return true;
}

static void get_oom_values(struct buf *out) {
    buf_printf(out, "%d %d %d", options.oom_values[0], options.oom_values[1], options.oom_values[2]);
}

/* --- background, pid file, service manager --------------------------------------------------- */

static bool is_supervised(void) {
    if (options.supervised == SUPERVISED_SYSTEMD || options.supervised == SUPERVISED_UPSTART) return true;
    return options.supervised == SUPERVISED_AUTO && (getenv("NOTIFY_SOCKET") || getenv("UPSTART_JOB"));
}

bool process_is_daemon(void) {
    return options.daemonize && !is_supervised();
}

void process_settle(void) {
    if (!process_is_daemon()) return;
    if (fork() != 0) exit(0);
    setsid();
    int fd = open("/dev/null", O_RDWR);
    if (fd < 0) return;
    dup2(fd, STDIN_FILENO);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    if (fd > STDERR_FILENO) close(fd);
}

static void write_pid_file(void) {
    if (!process_is_daemon() && options.pidfile[0] == '\0') return;
    if (options.pidfile[0] == '\0') {
        alloc_put(options.pidfile, 1);
        options.pidfile = alloc_copy_string("/var/run/redis.pid");
    }
    FILE *file = fopen(options.pidfile, "we");
    if (!file) {
        log_warning("Failed to write PID file: %s", strerror(errno));
        return;
    }
    fprintf(file, "%d\n", (int)getpid());
    fclose(file);
}

void process_remove_pid_file(void) {
    if (options.pidfile[0] == '\0') return;
    log_notice("Removing the pid file.");
    unlink(options.pidfile);
}

/* systemd's protocol: a datagram of NAME=value lines; a leading '@' names an abstract socket. */
void process_notify(const char *state) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!path || !is_supervised() || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof address.sun_path)
        return;
    strcpy(address.sun_path, path);
    if (path[0] == '@') address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, len) < 0)
        log_warning("Can't notify the service manager: %s", strerror(errno));
    close(fd);
}

/* --- working directory, locale, allocator ---------------------------------------------------- */

/* The working directory itself keeps the value of `dir`. */
static bool set_dir(const char *const *words, int count, const char **error) {
    (void)count;
    if (chdir(words[0]) == 0) return true;
    *error = strerror(errno);
    return false;
}

static void get_dir(struct buf *out) {
    char path[PATH_MAX];
    buf_append_cstr(out, getcwd(path, sizeof path) ? path : "");
}

static bool apply_locale(const char **error) {
    *error = "Invalid locale name";
    return setlocale(LC_COLLATE, options.locale_collate) != NULL;
}

/* Start no thread before the process has gone to the background: the fork would leave it behind. */
static bool apply_background_purge(const char **error) {
    (void)error;
    if (applied) alloc_background(options.background_purge);
    return true;
}

/* --- processors ------------------------------------------------------------------------------ */

static bool read_number(const char **p, int *n) {
    char *stop;
    long value = strtol(*p, &stop, 10);
    if (stop == *p || value < 0 || value >= CPU_SETSIZE) return false;
    *p = stop;
    *n = (int)value;
    return true;
}

/* Numbers, ranges "0-3" and ranges with a step "0-7:2", separated by commas. */
static bool parse_cpus(const char *p, cpu_set_t *set) {
    CPU_ZERO(set);
    for (;; p++) {
        int first, last, step = 1;
        if (!read_number(&p, &first)) return false;
        last = first;
        if (*p == '-' && (p++, !read_number(&p, &last))) return false;
        if (*p == ':' && (p++, !read_number(&p, &step))) return false;
        if (last < first || step < 1) return false;
        for (int cpu = first; cpu <= last; cpu += step)
            CPU_SET((size_t)cpu, set);
        if (*p != ',') return *p == '\0';
    }
}

static void run_on(const char *cpus) {
    cpu_set_t set;
    if (cpus == NULL || cpus[0] == '\0') return;
    if (!parse_cpus(cpus, &set) || sched_setaffinity(0, sizeof set, &set) < 0)
        log_warning("Can't run on the processors '%s'", cpus);
}

void process_become_child(const char *name, const char *cpus) {
    static char own_name[32];
    const char *error;
    snprintf(own_name, sizeof own_name, "%s", name);
    title.program = own_name;
    apply_title(&error);
    if (options.oom_mode != OOM_NO) write_oom_score(oom_score(options.oom_values[OOM_OF_CHILD]));
    run_on(cpus);
}

static void apply_options(void) {
    const char *error;
    applied = true;
    apply_title(&error);
    apply_oom(&error);
    apply_background_purge(&error);
    /* After a fork each page that is written to is copied: 4 KB, but 2 MB with huge pages. */
    if (options.disable_thp && prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) < 0)
        log_warning("Unable to disable THP for this process: %s", strerror(errno));
}

/* --- rows ------------------------------------------------------------------------------------ */

static const struct option_name supervisors[] = {{"upstart", SUPERVISED_UPSTART},
                                                 {"systemd", SUPERVISED_SYSTEMD},
                                                 {"auto", SUPERVISED_AUTO},
                                                 {"no", SUPERVISED_NO},
                                                 {NULL, 0}};
static const struct option_name oom_modes[] = {
    {"no", OOM_NO}, {"yes", OOM_RELATIVE}, {"relative", OOM_RELATIVE}, {"absolute", OOM_ABSOLUTE}, {NULL, 0}};

static const struct option process_rows[] = {
    {.name = "daemonize",
     .type = OPTION_BOOL,
     .flags = OPTION_IMMUTABLE,
     .address = &options.daemonize,
     .initial = "no"},
    {.name = "pidfile", .type = OPTION_STRING, .flags = OPTION_IMMUTABLE, .address = &options.pidfile, .initial = ""},
    {.name = "supervised",
     .type = OPTION_ENUM,
     .flags = OPTION_IMMUTABLE,
     .address = &options.supervised,
     .initial = "no",
     .names = supervisors},
    {.name = "set-proc-title",
     .type = OPTION_BOOL,
     .flags = OPTION_IMMUTABLE,
     .address = &options.set_title,
     .initial = "yes"},
    {.name = "proc-title-template",
     .type = OPTION_STRING,
     .address = &options.title_template,
     .initial = "{title} {listen-addr} {server-mode}",
     .apply = apply_title},
    {.name = "disable-thp",
     .type = OPTION_BOOL,
     .flags = OPTION_IMMUTABLE,
     .address = &options.disable_thp,
     .initial = "yes"},
    {.name = "oom-score-adj",
     .type = OPTION_ENUM,
     .address = &options.oom_mode,
     .initial = "no",
     .names = oom_modes,
     .apply = apply_oom},
    {.name = "oom-score-adj-values",
     .type = OPTION_CUSTOM,
     .flags = OPTION_MULTI,
     .initial = "0 200 800",
     .apply = apply_oom,
     .set = set_oom_values,
     .get = get_oom_values},
    {.name = "dir",
     .type = OPTION_CUSTOM,
     .flags = OPTION_PROTECTED | OPTION_DENY_LOADING,
     .set = set_dir,
     .get = get_dir},
    {.name = "locale-collate",
     .type = OPTION_STRING,
     .address = &options.locale_collate,
     .initial = "",
     .apply = apply_locale},
    {.name = "jemalloc-bg-thread",
     .type = OPTION_BOOL,
     .address = &options.background_purge,
     .initial = "yes",
     .apply = apply_background_purge},
    {.name = NULL},
};

static void process_start(void) {
    write_pid_file();
    apply_options();
}

const struct module process_module = {.options = process_rows, .start = process_start};
