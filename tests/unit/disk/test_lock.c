/* Locks: one process holds one at a time, the other learns who, and the end of the process ends it. */
#include "disk/lock.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/kura-lock-XXXXXX";

static int open_dir(const char *path) {
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* A child that holds the lock until it is killed. */
static pid_t start_holder(void) {
    int ends[2];
    char byte;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct lock lock = {.fd = -1};
        pid_t holder;
        if (lock_take(&lock, open_dir(dir), &holder) != LOCK_TAKEN || write(ends[1], "x", 1) != 1) _exit(1);
        pause();
        _exit(0);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    return pid;
}

static void the_second_learns_who_is_first(void **state) {
    struct lock lock = {.fd = -1};
    pid_t holder, pid = start_holder();
    (void)state;
    assert_int_equal(lock_take(&lock, open_dir(dir), &holder), LOCK_BUSY);
    assert_int_equal(holder, pid);
    assert_int_equal(lock.fd, -1);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(lock_take(&lock, open_dir(dir), &holder), LOCK_TAKEN);
    lock_release(&lock);
}

static void a_lock_moves_as_a_whole(void **state) {
    struct lock lock = {.fd = -1}, other = {.fd = -1};
    pid_t holder;
    (void)state;
    assert_int_equal(lock_take(&lock, open_dir(dir), &holder), LOCK_TAKEN);
    int fd = lock.fd;
    assert_int_equal(lock_take(&lock, open_dir(dir), &holder), LOCK_TAKEN); /* the same: nothing changes */
    assert_int_equal(lock.fd, fd);
    assert_int_equal(lock_take(&other, open_dir(dir), &holder), LOCK_BUSY);
    pid_t pid = (pid_t)getpid();
    assert_int_equal(holder, pid);
    assert_int_equal(lock_take(&lock, open_dir("/"), &holder), LOCK_TAKEN);
    assert_int_equal(lock_take(&other, open_dir(dir), &holder), LOCK_TAKEN); /* it was left */
    assert_int_equal(lock_take(&other, open_dir("/"), &holder), LOCK_BUSY);
    lock_release(&lock);
    assert_int_equal(lock_take(&lock, open_dir(dir), &holder), LOCK_BUSY); /* what was held is still held */
    lock_release(&other);
}

static void without_a_file_there_is_no_lock(void **state) {
    struct lock lock = {.fd = -1};
    pid_t holder;
    (void)state;
    assert_int_equal(lock_take(&lock, open_dir("/absent"), &holder), LOCK_NONE);
    assert_int_equal(errno, ENOENT);
}

int main(void) {
    if (!mkdtemp(dir)) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_learns_who_is_first),
        cmocka_unit_test(a_lock_moves_as_a_whole),
        cmocka_unit_test(without_a_file_there_is_no_lock),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return rmdir(dir) == 0 ? failed : 1;
}
