/* The process as the system sees it: pid file, service manager, working directory, and what a child takes: its name,
 * its score and its processors. Title and score are fakes. */
#include "base/buf.h"
#include "base/log.h"
#include "base/module.h"
#include "base/words.h"
#include "conf/config.h"
#include "conf/directive.h"
#include "process/oom.h"
#include "process/process.h"
#include "process/title.h"
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

extern const struct module process_module;

/* --- Fakes ----------------------------------------------------------------------------------- */

static const char *child_name;
static int scores;

void title_init(int argc, char **argv) {
    (void)argc, (void)argv;
}
void title_set_program(const char *name) {
    child_name = name;
}
void oom_become_child(void) {
    scores++;
}

/* --- Steps ----------------------------------------------------------------------------------- */

static char folder[] = "/tmp/kura-process-XXXXXX";

static bool set(const char *name, const char *value) {
    const char *error;
    struct words w;
    assert_true(words_split(&w, slice_cstr(value)));
    bool ok = config_set_at_start(config_find(slice_cstr(name)), (const char *const *)w.at, w.count, &error);
    words_free(&w);
    return ok;
}

static void the_working_directory_is_an_option(void **state) {
    (void)state;
    struct buf out = {0};
    assert_true(set("dir", folder));
    directive_print(config_find(SLICE("dir")), &out);
    assert_true(slice_eq(buf_slice(&out), slice_cstr(folder)));
    buf_free(&out);
    assert_false(set("dir", "/dev/null/nowhere"));
}

static void the_pid_file_is_there_while_the_server_runs(void **state) {
    (void)state;
    int pid = 0;
    assert_true(set("pidfile", "pid"));
    process_module.start();
    assert_int_equal(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 1);
    FILE *file = fopen("pid", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d\n", &pid), 1);
    fclose(file);
    assert_int_equal(pid, getpid());
    process_remove_pid_file();
    assert_int_equal(access("pid", F_OK), -1);
}

/* What arrived at the socket of the service manager; "" if nothing did. */
static const char *notified(int fd) {
    static char text[100];
    ssize_t n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void the_service_manager_is_told(void **state) {
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "notify"};
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    setenv("NOTIFY_SOCKET", "notify", 1); /* neither absolute nor abstract */
    assert_true(set("supervised", "auto") && set("daemonize", "yes"));
    assert_false(process_is_daemon()); /* a supervised process stays */
    process_notify("READY=1\n");
    assert_string_equal(notified(fd), "");
    char path[100];
    snprintf(path, sizeof path, "%s/notify", folder);
    setenv("NOTIFY_SOCKET", path, 1);
    process_notify("READY=1\n");
    assert_string_equal(notified(fd), "READY=1\n");
    assert_true(set("supervised", "no"));
    process_notify("READY=1\n");
    assert_string_equal(notified(fd), "");
    assert_true(process_is_daemon());
    assert_true(set("daemonize", "no"));
    assert_false(process_is_daemon());
    unsetenv("NOTIFY_SOCKET");
    close(fd);
    unlink("notify");
}

static void abstract_sockets_begin_with_an_at_sign(void **state) {
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[64];
    snprintf(name, sizeof name, "@kura-notify-%d", (int)getpid());
    memcpy(address.sun_path + 1, name + 1, strlen(name) - 1);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    setenv("NOTIFY_SOCKET", name, 1);
    assert_true(set("supervised", "systemd"));
    process_notify("STOPPING=1\n");
    assert_string_equal(notified(fd), "STOPPING=1\n");
    assert_true(set("supervised", "no"));
    unsetenv("NOTIFY_SOCKET");
    close(fd);
}

/* The processors of this process after it ran on a list, as bits; the test may run on all that there are at first. */
static unsigned long cpus_after(const char *list, const cpu_set_t *all) {
    cpu_set_t set;
    unsigned long bits = 0;
    assert_int_equal(sched_setaffinity(0, sizeof *all, all), 0);
    process_become_child("child", list);
    assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
    for (size_t i = 0; i < 8 * sizeof bits; i++)
        bits |= (unsigned long)(CPU_ISSET(i, &set) != 0) << i;
    assert_int_equal(sched_setaffinity(0, sizeof *all, all), 0);
    return bits;
}

static void a_child_takes_its_name_score_and_processors(void **state) {
    (void)state;
    cpu_set_t before;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    unsigned long all = cpus_after(NULL, &before);
    assert_string_equal(child_name, "child");
    assert_int_equal(scores, 1);
    assert_int_equal(cpus_after("", &before), all);
    /* The kernel takes what there is of the wanted ones. */
    static const struct {
        const char *list;
        unsigned long bits;
    } cases[] = {
        {"0", 1}, {"0,1", 3}, {"0-1", 3}, {"0-3", 15}, {"0-7:2", 0x55}, {"1-7:3,0", 0x93}, {"0-63", ~0ul},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (all & cases[i].bits) assert_int_equal(cpus_after(cases[i].list, &before), all & cases[i].bits);
    static const char *const wrong[] = {"x", "0-", "1-0", "0:", "0-1:0", "0,", "0;1", "-1", "99999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(cpus_after(wrong[i], &before), all);
}

/* What the process in the background finds: 1 where all is as it should be. */
static int looks_like_a_daemon(void) {
    char path[3][32] = {"", "", ""};
    for (int fd = 0; fd < 3; fd++) {
        char link[32];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        if (readlink(link, path[fd], sizeof path[fd] - 1) < 0 || strcmp(path[fd], "/dev/null") != 0) return 0;
    }
    return getsid(0) == getpid();
}

static void a_daemon_leaves_its_terminal_and_its_parent(void **state) {
    (void)state;
    int fds[2], status;
    char found = 'x';
    assert_int_equal(pipe(fds), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        process_settle(); /* no daemon yet: it stays */
        if (!set("daemonize", "yes")) _exit(1);
        process_settle();
        found = looks_like_a_daemon() ? 'd' : 'n';
        _exit(write(fds[1], &found, 1) == 1 ? 0 : 1);
    }
    close(fds[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(read(fds[0], &found, 1), 1);
    assert_int_equal(found, 'd');
    close(fds[0]);
}

static int start(void **state) {
    (void)state;
    char *words[] = {"kura", NULL};
    log_set_level(LOG_NOTHING);
    config_register(process_module.options);
    process_init(1, words);
    if (process_executable()[0] != '/') return -1;
    return mkdtemp(folder) && set("jemalloc-bg-thread", "no") ? 0 : -1;
}

static int stop(void **state) {
    (void)state;
    return chdir("/") == 0 ? rmdir(folder) : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_working_directory_is_an_option),
        cmocka_unit_test(the_pid_file_is_there_while_the_server_runs),
        cmocka_unit_test(the_service_manager_is_told),
        cmocka_unit_test(abstract_sockets_begin_with_an_at_sign),
        cmocka_unit_test(a_daemon_leaves_its_terminal_and_its_parent),
        cmocka_unit_test(a_child_takes_its_name_score_and_processors),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
