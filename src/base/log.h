/* The server's log, in Redis's format: "pid:role DD Mon YYYY HH:MM:SS.mmm level message".
 *
 * log_write() and log_raw() may be called by any thread and in a forked child; the main thread calls the rest. */
#pragma once
#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_VERBOSE, LOG_NOTICE, LOG_WARNING, LOG_NOTHING };

/* Log as the options say; until then lines go to standard output. False (errno) as log_open(). */
bool log_start(void);
/* Log to this path, or to standard output if it is "". False (errno) if the file cannot be opened for appending. */
bool log_open(const char *path);
bool log_is_on_screen(void); /* lines go to standard output alone */
void log_set_level(enum log_level level);
enum log_level log_level(void);
/* The letter behind the pid: M primary, S replica, C child. */
void log_set_role(char role);

/* One line; a message is cut off after 1023 bytes. errno stays, so that a failure can be logged before it is
 * handled. */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* One line without its head, at any level: for the banner. */
void log_raw(const char *text);
/* A file descriptor for a signal handler to write to, -1 if there is none. Async-signal-safe. */
int log_crash_fd(void);

#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)
#define log_verbose(...) log_write(LOG_VERBOSE, __VA_ARGS__)
#define log_notice(...) log_write(LOG_NOTICE, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
