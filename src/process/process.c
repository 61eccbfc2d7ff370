/* See process.h. Until the module is started, jemalloc-bg-thread only stores its value: a thread that was started
 * before the process goes to the background would stay behind in the parent. */
#include "process/process.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/module.h"
#include "base/option.h"
#include "process/oom.h"
#include "process/title.h"
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

static struct {
    bool daemonize;
    char *pidfile;
    int supervised;
    bool disable_thp;
    char *locale_collate;
    bool background_purge;
} options;

bool (*process_before_dir)(const char *path, const char **error);
bool (*process_after_dir)(const char **error);

static char *executable; /* absolute path */
static struct {
    char **argv; /* ends with NULL */
    char *dir;
} origin;            /* how and where the process was started */
static bool applied; /* apply_options() has run: jemalloc-bg-thread takes effect at once */

static void remember_origin(int argc, char **argv) {
    char path[PATH_MAX];
    origin.dir = alloc_copy_string(getcwd(path, sizeof path) ? path : "/");
    origin.argv = alloc_zero(((size_t)argc + 1) * sizeof *origin.argv);
    for (int i = 0; i < argc; i++)
        origin.argv[i] = alloc_copy_string(argv[i]);
}

void process_init(int argc, char **argv) {
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    executable = alloc_copy_string(path);
    remember_origin(argc, argv);
    title_init(argc, argv);
}

const char *process_executable(void) {
    return executable;
}

bool process_can_restart(void) {
    bool from_stdin = false;
    for (char **arg = origin.argv; *arg; arg++)
        from_stdin |= strcmp(*arg, "-") == 0;
    if (from_stdin) log_warning("Can't restart: the configuration came from the standard input");
    if (!from_stdin && access(executable, X_OK) == 0) return true;
    if (!from_stdin) log_warning("Can't restart: this process has no permissions to execute %s", executable);
    return false;
}

/* All descriptors but the first three are closed by the call (O_CLOEXEC). */
void process_restart(int64_t delay_ms) {
    usleep((useconds_t)(delay_ms < 1000000 ? delay_ms * 1000 : 1000000000));
    if (chdir(origin.dir) == 0) execve(executable, origin.argv, environ);
    log_warning("Can't restart: %s", strerror(errno));
}

/* --- Background, pid file, service manager --------------------------------------------------- */

static enum supervisor supervisor(void) {
    if (options.supervised != SUPERVISED_AUTO) return options.supervised;
    return getenv("UPSTART_JOB") ? SUPERVISED_UPSTART : getenv("NOTIFY_SOCKET") ? SUPERVISED_SYSTEMD : SUPERVISED_NO;
}

static bool is_supervised(void) {
    return supervisor() != SUPERVISED_NO;
}

const char *process_supervisor(void) {
    enum supervisor who = supervisor();
    return who == SUPERVISED_SYSTEMD ? "systemd" : who == SUPERVISED_UPSTART ? "upstart" : "no";
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

/* --- Working directory, locale, allocator ---------------------------------------------------- */

/* The working directory itself keeps the value of `dir`. */
static bool set_dir(const char *const *words, int count, const char **error) {
    char former[PATH_MAX] = "";
    (void)count;
    if (process_before_dir && !process_before_dir(words[0], error)) return false;
    if (process_after_dir && !getcwd(former, sizeof former)) former[0] = '\0';
    if (chdir(words[0]) != 0) {
        *error = strerror(errno);
        return false;
    }
    if (!process_after_dir || process_after_dir(error)) return true;
    if (chdir(former) != 0) log_warning("Can't go back to the directory %s: %s", former, strerror(errno));
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

/* --- Processors ------------------------------------------------------------------------------ */

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
    title_set_program(name);
    oom_become_child();
    run_on(cpus);
}

static void apply_options(void) {
    const char *error;
    applied = true;
    apply_background_purge(&error);
    /* After a fork each page that is written to is copied: 4 KB, but 2 MB with huge pages. */
    if (options.disable_thp && prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) < 0)
        log_warning("Unable to disable THP for this process: %s", strerror(errno));
}

/* --- Rows ------------------------------------------------------------------------------------ */

static const struct option_name supervisors[] = {{"upstart", SUPERVISED_UPSTART},
                                                 {"systemd", SUPERVISED_SYSTEMD},
                                                 {"auto", SUPERVISED_AUTO},
                                                 {"no", SUPERVISED_NO},
                                                 {NULL, 0}};

static const struct option process_rows[] = {
    {"daemonize", .type = OPTION_BOOL, .flags = OPTION_IMMUTABLE, .address = &options.daemonize, .initial = "no"},
    {"pidfile", .type = OPTION_STRING, .flags = OPTION_IMMUTABLE, .address = &options.pidfile, .initial = ""},
    {"supervised", .type = OPTION_ENUM, .flags = OPTION_IMMUTABLE, .address = &options.supervised, .initial = "no",
     .names = supervisors},
    {"disable-thp", .type = OPTION_BOOL, .flags = OPTION_IMMUTABLE, .address = &options.disable_thp, .initial = "yes"},
    {"dir", .type = OPTION_CUSTOM, .flags = OPTION_PROTECTED | OPTION_DENY_LOADING, .set = set_dir, .get = get_dir},
    {"locale-collate", .type = OPTION_STRING, .address = &options.locale_collate, .initial = "", .apply = apply_locale},
    {"jemalloc-bg-thread", .type = OPTION_BOOL, .address = &options.background_purge, .initial = "yes",
     .apply = apply_background_purge},
    {NULL},
};

static void process_start(void) {
    write_pid_file();
    apply_options();
}

const struct module process_module = {.options = process_rows, .start = process_start};
