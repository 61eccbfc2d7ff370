/* The log. The file is opened for each line and closed again, so that logrotate may rename it at any time. Each line is
 * one write(2) with O_APPEND, so that lines of the server, its worker and its children never mix. Nothing here
 * allocates: the log must work when there is no memory left. */
#include <syslog.h>
/* syslog.h and log.h both have names LOG_...: keep syslog's numbers, then undefine its names. */
enum { SYS_DEBUG = LOG_DEBUG, SYS_INFO = LOG_INFO, SYS_NOTICE = LOG_NOTICE, SYS_WARNING = LOG_WARNING };
#undef LOG_DEBUG
#undef LOG_NOTICE
#undef LOG_WARNING
#include "base/log.h"
#include "base/module.h"
#include "base/option.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_MAX 1024 /* bytes of a message with its terminator; the rest is cut off */
#define HEAD_MAX 64      /* bytes of "pid:role date time level " */

static char file_path[4096];       /* "" for standard output */
static int threshold = LOG_NOTICE; /* enum log_level: loglevel */
static char role_letter = 'M';
static bool to_syslog;

static struct {
    char *file;
    bool syslog;
    char *ident;
    int facility; /* syslog's number */
} options;

/* localtime_r() takes a lock inside libc that fork() does not know. This mutex around it is held across a fork, so that
 * no child inherits libc's lock in the locked state. */
static pthread_mutex_t tz_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void tz_lock(void) {
    pthread_mutex_lock(&tz_mutex);
}

static void tz_unlock(void) {
    pthread_mutex_unlock(&tz_mutex);
}

static void handle_fork(void) {
    pthread_atfork(tz_lock, tz_unlock, tz_unlock);
}

static int open_file(void) {
    return open(file_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
}

bool log_open(const char *path) {
    pthread_once(&fork_once, handle_fork);
    size_t len = strlen(path);
    if (len >= sizeof file_path) {
        errno = ENAMETOOLONG;
        return false;
    }
    char before[sizeof file_path];
    memcpy(before, file_path, sizeof before);
    memcpy(file_path, path, len + 1);
    if (len == 0) return true;
    int fd = open_file();
    if (fd < 0) {
        int reason = errno;
        memcpy(file_path, before, sizeof before);
        errno = reason;
        return false;
    }
    close(fd);
    return true;
}

void log_set_level(enum log_level level) {
    threshold = level;
}

enum log_level log_level(void) {
    return (enum log_level)threshold;
}

void log_set_role(char role) {
    role_letter = role;
}

/* openlog() keeps the pointer to the name; that option is immutable. */
bool log_start(void) {
    to_syslog = options.syslog;
    if (to_syslog) openlog(options.ident, LOG_PID | LOG_NDELAY | LOG_NOWAIT, options.facility);
    return log_open(options.file);
}

bool log_is_on_screen(void) {
    return file_path[0] == '\0' && !to_syslog;
}

/* If the log cannot be written there is nobody to tell, so failures are ignored. */
static void log_emit(const char *line, size_t n) {
    int fd = file_path[0] ? open_file() : STDOUT_FILENO;
    if (fd < 0) return;
    while (n > 0) {
        ssize_t done = write(fd, line, n);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) break;
        line += done;
        n -= (size_t)done;
    }
    if (fd != STDOUT_FILENO) close(fd);
}

/* "pid:role DD Mon YYYY HH:MM:SS.mmm level ", in local time. */
static size_t print_head(char to[HEAD_MAX], enum log_level level) {
    struct timeval now;
    struct tm local;
    gettimeofday(&now, NULL);
    tz_lock();
    localtime_r(&now.tv_sec, &local);
    tz_unlock();
    int n = snprintf(to, HEAD_MAX, "%d:%c ", (int)getpid(), role_letter);
    n += (int)strftime(to + n, HEAD_MAX - (size_t)n, "%d %b %Y %H:%M:%S", &local);
    n += snprintf(to + n, HEAD_MAX - (size_t)n, ".%03d %c ", (int)(now.tv_usec / 1000), ".-*#"[level]);
    return (size_t)n;
}

void log_write(enum log_level level, const char *format, ...) {
    static const int sys_level[] = {SYS_DEBUG, SYS_INFO, SYS_NOTICE, SYS_WARNING};
    if ((int)level < threshold || level >= LOG_NOTHING) return;
    int reason = errno; /* callers log between a failure and its handling */
    char line[HEAD_MAX + MESSAGE_MAX + 1];
    size_t head = print_head(line, level);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line + head, MESSAGE_MAX, format, args);
    va_end(args);
    if (n >= MESSAGE_MAX) n = MESSAGE_MAX - 1;
    if (n >= 0) {
        size_t end = head + (size_t)n;
        if (to_syslog) syslog(sys_level[level], "%s", line + head);
        line[end] = '\n';
        log_emit(line, end + 1);
    }
    errno = reason;
}

void log_raw(const char *text) {
    size_t n = strlen(text);
    log_emit(text, n);
    if (n == 0 || text[n - 1] != '\n') log_emit("\n", 1);
    if (to_syslog) syslog(SYS_NOTICE, "%s", text);
}

int log_crash_fd(void) {
    return file_path[0] ? open_file() : STDOUT_FILENO;
}

/* --- Options --------------------------------------------------------------------------------- */

static const struct option_name levels[] = {{"debug", LOG_DEBUG},     {"verbose", LOG_VERBOSE}, {"notice", LOG_NOTICE},
                                            {"warning", LOG_WARNING}, {"nothing", LOG_NOTHING}, {NULL, 0}};
static const struct option_name facilities[] = {{"user", LOG_USER},     {"local0", LOG_LOCAL0},
                                                {"local1", LOG_LOCAL1}, {"local2", LOG_LOCAL2},
                                                {"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4},
                                                {"local5", LOG_LOCAL5}, {"local6", LOG_LOCAL6},
                                                {"local7", LOG_LOCAL7}, {NULL, 0}};

static const struct option log_rows[] = {
    {"loglevel", .type = OPTION_ENUM, .address = &threshold, .initial = "notice", .names = levels},
    {"logfile", .type = OPTION_STRING, .flags = OPTION_IMMUTABLE, .address = &options.file, .initial = ""},
    {"syslog-enabled", .type = OPTION_BOOL, .flags = OPTION_IMMUTABLE, .address = &options.syslog, .initial = "no"},
    {"syslog-ident", .type = OPTION_STRING, .flags = OPTION_IMMUTABLE, .address = &options.ident, .initial = "redis"},
    {"syslog-facility", .type = OPTION_ENUM, .flags = OPTION_IMMUTABLE, .address = &options.facility,
     .initial = "local0", .names = facilities},
    {NULL},
};

const struct module log_module = {.options = log_rows};
