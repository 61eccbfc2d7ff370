/* kura-check-aof: its exit status for valid and damaged files, and what its repairs leave. Each run is a process. */
#include "base/worker.h"
#include "check/check_aof.h"
#include "disk/files.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define COMMAND "*2\r\n$3\r\nDEL\r\n$1\r\na\r\n"
#define TORN "*2\r\n$3\r\nDEL\r\n$1"

static char dir[] = "/tmp/kura-check-aof-XXXXXX";

static void put(const char *name, const char *text) {
    int fd = files_open(dir, name, O_WRONLY | O_CREAT | O_TRUNC);
    assert_true(fd >= 0 && files_write_all(fd, text, strlen(text)));
    close(fd);
}

/* The exit status of the tool, with an option (or NULL) and its argument (or NULL). It reads `answer` from its
 * input. */
static int check(const char *option, const char *argument, const char *name, const char *answer) {
    char path[128], *argv[5] = {(char *)"kura-check-aof"};
    int argc = 1, status;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (option) argv[argc++] = (char *)option;
    if (argument) argv[argc++] = (char *)argument;
    argv[argc++] = path;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        int in = memfd_create("answer", 0), out = open("/dev/null", O_WRONLY);
        if (write(in, answer, strlen(answer)) < 0 || lseek(in, 0, SEEK_SET) != 0) _exit(99);
        dup2(in, STDIN_FILENO);
        dup2(out, STDOUT_FILENO);
        dup2(out, STDERR_FILENO);
        status = check_aof_main(argc, argv);
        fflush(stdout);
        _exit(status);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void a_valid_file_is_accepted(void **state) {
    (void)state;
    put("log", COMMAND COMMAND);
    assert_int_equal(check(NULL, NULL, "log", ""), 0);
    put("log", "");
    assert_int_equal(check(NULL, NULL, "log", ""), 0);
}

static void a_torn_file_is_repaired_only_after_a_yes(void **state) {
    (void)state;
    put("log", COMMAND TORN);
    assert_int_equal(check(NULL, NULL, "log", "y\n"), 1);
    assert_int_equal(check("--fix", NULL, "log", "n\n"), 1);
    assert_int_equal(files_size(dir, "log"), strlen(COMMAND TORN));
    assert_int_equal(check("--fix", NULL, "log", "y\n"), 0);
    assert_int_equal(files_size(dir, "log"), strlen(COMMAND));
    assert_int_equal(files_size(dir, "log.20.removed"), strlen(TORN));
    assert_int_equal(check(NULL, NULL, "log", ""), 0);
    files_remove_later(dir, "log.20.removed");
}

static void a_manifest_names_its_files(void **state) {
    (void)state;
    put("log.manifest", "file one seq 1 type i\nfile two seq 2 type i\n");
    put("one", COMMAND);
    put("two", COMMAND);
    assert_int_equal(check(NULL, NULL, "log.manifest", ""), 0);
    put("one", COMMAND TORN); /* only the last file may be repaired */
    assert_int_equal(check("--fix", NULL, "log.manifest", "y\n"), 1);
    assert_int_equal(files_size(dir, "one"), strlen(COMMAND TORN));
    files_remove_later(dir, "one");
    assert_int_equal(check(NULL, NULL, "log.manifest", ""), 1);
    put("log.manifest", "no manifest\n");
    assert_int_equal(check(NULL, NULL, "log.manifest", ""), 1);
}

static void a_file_is_cut_at_a_time(void **state) {
    (void)state;
    put("log", "#TS:100\r\n" COMMAND "#TS:200\r\n" COMMAND);
    assert_int_equal(check("--truncate-to-timestamp", "x", "log", ""), 1);
    assert_int_equal(check("--truncate-to-timestamp", "300", "log", ""), 0);
    assert_int_equal(files_size(dir, "log"), 2 * strlen("#TS:100\r\n" COMMAND));
    assert_int_equal(check("--truncate-to-timestamp", "150", "log", ""), 0);
    assert_int_equal(files_size(dir, "log"), strlen("#TS:100\r\n" COMMAND));
    assert_int_equal(check("--truncate-to-timestamp", "50", "log", ""), 1);
}

static void absent_files_and_wrong_arguments_fail(void **state) {
    (void)state;
    assert_int_equal(check(NULL, NULL, "absent", ""), 1);
    assert_int_equal(check("--unknown", NULL, "log", ""), 1);
    put("log", "no log\n");
    assert_int_equal(check(NULL, NULL, "log", ""), 1);
}

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_folder(void **state) {
    static const char *const names[] = {"log", "log.manifest", "one", "two"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        files_remove_later(dir, names[i]);
    worker_drain();
    return rmdir(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_valid_file_is_accepted),
        cmocka_unit_test(a_torn_file_is_repaired_only_after_a_yes),
        cmocka_unit_test(a_manifest_names_its_files),
        cmocka_unit_test(a_file_is_cut_at_a_time),
        cmocka_unit_test(absent_files_and_wrong_arguments_fail),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
