/* The log's format, levels, truncation and rotation. */
#include "base/log.h"
#include "base/module.h"
#include "base/option.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

extern const struct module log_module;

#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/kura-log-XXXXXX";
static char path[64], rotated[64];

static size_t read_file(const char *name, char *to, size_t room) {
    FILE *f = fopen(name, "r");
    assert_non_null(f);
    size_t n = fread(to, 1, room - 1, f);
    to[n] = '\0';
    fclose(f);
    return n;
}

static int set_up(void **state) {
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/log", folder);
    snprintf(rotated, sizeof rotated, "%s/log.1", folder);
    return log_open(path) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    unlink(path);
    unlink(rotated);
    return rmdir(folder);
}

static void has_redis_format(void **state) {
    (void)state;
    char text[8192], expected[1024];
    log_set_role('S');
    log_notice("hello %d", 42);
    log_set_role('M');
    log_verbose("not shown at level notice");
    log_set_level(LOG_DEBUG);
    log_debug("d");
    log_verbose("v");
    log_warning("w");
    log_set_level(LOG_NOTHING);
    log_warning("not shown");
    log_set_level(LOG_NOTICE);
    assert_int_equal(log_level(), LOG_NOTICE);
    log_raw("banner");
    log_raw("two\nlines\n");
    read_file(path, text, sizeof text);
#define DATE "[0-3][0-9] [A-Z][a-z][a-z] 2[0-9]{3} [0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{3}"
    int pid = (int)getpid();
    snprintf(expected, sizeof expected,
             "^%d:S " DATE " \\* hello 42\n%d:M " DATE " \\. d\n%d:M " DATE " - v\n%d:M " DATE
             " # w\nbanner\ntwo\nlines\n$",
             pid, pid, pid, pid);
    regex_t regex;
    assert_int_equal(regcomp(&regex, expected, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&regex, text, 0, NULL, 0) != 0) fail_msg("log is: %s", text);
    regfree(&regex);
}

static void survives_rotation_and_long_lines(void **state) {
    (void)state;
    char text[8192], big[5000];
    assert_int_equal(rename(path, rotated), 0);
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    errno = EPERM;
    log_notice("%s", big);
    assert_int_equal(errno, EPERM);
    size_t n = read_file(path, text, sizeof text);
    assert_int_equal(text[n - 1], '\n');
    assert_int_equal(strspn(strchr(text, 'x'), "x"), 1023);
}

static void refuses_what_cannot_be_opened(void **state) {
    (void)state;
    assert_false(log_open("/nonexistent/folder/log"));
    assert_int_equal(errno, ENOENT);
    log_notice("still to the old file");
    char text[8192];
    read_file(path, text, sizeof text);
    assert_non_null(strstr(text, "still to the old file\n"));
    int fd = log_crash_fd();
    assert_true(fd > 2);
    assert_int_equal(write(fd, "crash\n", 6), 6);
    close(fd);
    read_file(path, text, sizeof text);
    assert_non_null(strstr(text, "file\ncrash\n"));
    assert_true(log_open(""));
    assert_int_equal(log_crash_fd(), STDOUT_FILENO);
}

static const struct option *row(const char *name) {
    const struct option *o = log_module.options;
    while (strcmp(o->name, name) != 0)
        o++;
    return o;
}

static void starts_where_the_options_say(void **state) {
    (void)state;
    char text[8192];
    assert_true(log_is_on_screen());
    *(char **)row("logfile")->address = "/nonexistent/folder/log";
    assert_false(log_start());
    assert_int_equal(errno, ENOENT);
    assert_true(log_is_on_screen());
    *(char **)row("logfile")->address = path;
    assert_true(log_start());
    assert_false(log_is_on_screen());
    *(int *)row("loglevel")->address = LOG_WARNING;
    log_notice("not shown by the option");
    log_warning("shown by the option");
    read_file(path, text, sizeof text);
    assert_null(strstr(text, "not shown by the option"));
    assert_non_null(strstr(text, "shown by the option\n"));
    *(int *)row("loglevel")->address = LOG_NOTICE;
    assert_true(log_open(""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_redis_format),
        cmocka_unit_test(survives_rotation_and_long_lines),
        cmocka_unit_test(refuses_what_cannot_be_opened),
        cmocka_unit_test(starts_where_the_options_say),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
