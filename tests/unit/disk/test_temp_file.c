/* Temporary files: names that nobody guesses, files that are new, and none left. */
#include "base/log.h"
#include "disk/files.h"
#include "disk/temp_file.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/kura-temp-XXXXXX";

static void make(const char *name) {
    int fd = open(name, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static void names_differ(void **state) {
    char first[80], start[32];
    (void)state;
    snprintf(first, sizeof first, "%s", temp_file_choose(TEMP_SNAPSHOT));
    assert_string_equal(temp_file_name(TEMP_SNAPSHOT), first);
    assert_string_not_equal(temp_file_choose(TEMP_SNAPSHOT), first);
    snprintf(start, sizeof start, "temp-%d-", (int)getpid());
    assert_memory_equal(first, start, strlen(start));
    assert_string_not_equal(temp_file_choose(TEMP_BGSAVE), temp_file_name(TEMP_SNAPSHOT));
    temp_file_drop(TEMP_SNAPSHOT);
    temp_file_drop(TEMP_BGSAVE);
    assert_string_equal(temp_file_name(TEMP_SNAPSHOT), "");
}

static void only_a_new_file_is_made(void **state) {
    const char *name = temp_file_choose(TEMP_AOF_BASE);
    (void)state;
    make("victim");
    assert_int_equal(symlink("victim", name), 0);
    assert_int_equal(temp_file_create(name, 0600), -1);
    assert_int_equal(errno, EEXIST);
    temp_file_drop(TEMP_AOF_BASE);
    assert_true(files_exists("", "victim"));
    int fd = temp_file_create(temp_file_choose(TEMP_AOF_BASE), 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_true(files_exists("", temp_file_name(TEMP_AOF_BASE)));
    temp_file_abandon();
    assert_false(files_exists("", temp_file_name(TEMP_AOF_BASE)));
    temp_file_drop(TEMP_AOF_BASE);
    files_remove_later("", "victim");
}

static void what_the_dead_have_left_is_swept(void **state) {
    char dead[64], mine[64], alive[64], other[64];
    pid_t pid = fork();
    (void)state;
    if (pid == 0) _exit(0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    snprintf(dead, sizeof dead, "temp-%d.rdb", (int)pid);
    snprintf(mine, sizeof mine, "temp-rewriteaof-bg-%d-0123456789abcdef.aof", (int)getpid());
    snprintf(alive, sizeof alive, "temp-%d.rdb", (int)getppid());
    snprintf(other, sizeof other, "temp-%dx.rdb", (int)pid);
    make(dead);
    make(mine);
    make(alive);
    make(other);
    temp_file_sweep();
    assert_false(files_exists("", dead));
    assert_false(files_exists("", mine)); /* of an earlier process with the same number */
    assert_true(files_exists("", alive));
    assert_true(files_exists("", other));
    files_remove_later("", alive);
    files_remove_later("", other);
}

int main(void) {
    log_set_level(LOG_NOTHING);
    if (!mkdtemp(dir) || chdir(dir) != 0) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_differ),
        cmocka_unit_test(only_a_new_file_is_made),
        cmocka_unit_test(what_the_dead_have_left_is_swept),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (chdir("/") != 0 || rmdir(dir) != 0) failed++;
    return failed;
}
