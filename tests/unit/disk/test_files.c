/* Files below a directory: what is written reads back, names move, and failures tell errno. */
#include "base/worker.h"
#include "disk/files.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/kura-files-XXXXXX";

static void put(const char *name, const char *text) {
    int fd = files_open(dir, name, O_WRONLY | O_CREAT | O_TRUNC);
    assert_true(fd >= 0);
    assert_true(files_write_all(fd, text, strlen(text)));
    close(fd);
}

static void a_large_file_reads_back(void **state) {
    enum { BYTES = 300000 };
    static char bytes[BYTES];
    struct buf read = {0};
    (void)state;
    for (int i = 0; i < BYTES; i++)
        bytes[i] = (char)(i * 7 + i / 256);
    int fd = files_open(dir, "large", O_RDWR | O_CREAT);
    assert_true(files_write_all(fd, bytes, sizeof bytes));
    assert_int_equal(files_size(dir, "large"), BYTES);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    buf_append_cstr(&read, "before");
    assert_true(files_read_all(fd, &read));
    assert_int_equal(read.len, 6 + BYTES);
    assert_memory_equal(read.data + 6, bytes, BYTES);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    close(fd);
    buf_free(&read);
    files_remove_later(dir, "large");
    assert_false(files_exists(dir, "large"));
}

static void an_absent_file_tells_errno(void **state) {
    (void)state;
    assert_int_equal(files_open(dir, "absent", O_RDONLY), -1);
    assert_int_equal(errno, ENOENT);
    errno = 0;
    assert_int_equal(files_size(dir, "absent"), -1);
    assert_int_equal(errno, ENOENT);
    assert_false(files_rename(dir, "absent", dir, "other"));
    assert_int_equal(errno, ENOENT);
    assert_false(files_sync_dir("/tmp/kura-files-absent"));
    assert_int_equal(errno, ENOENT);
    files_remove_later(dir, "absent"); /* no error to tell */
}

static void a_path_that_is_too_long_is_refused(void **state) {
    char name[PATH_MAX];
    (void)state;
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(files_open(dir, name, O_RDONLY), -1);
    assert_int_equal(errno, ENAMETOOLONG);
    assert_false(files_rename(dir, "a", dir, name));
    assert_int_equal(errno, ENAMETOOLONG);
}

static void a_file_is_renamed_into_another_directory(void **state) {
    char inner[64];
    (void)state;
    snprintf(inner, sizeof inner, "%s/inner", dir);
    assert_true(files_make_dir(inner));
    assert_true(files_make_dir(inner)); /* it exists */
    put("name", "text");
    assert_true(files_rename(dir, "name", inner, "other"));
    assert_true(files_sync_dir(inner));
    assert_true(files_sync_dir("")); /* the working directory */
    assert_false(files_exists(dir, "name"));
    assert_int_equal(files_size(inner, "other"), 4);
    files_remove_later(inner, "other");
    assert_int_equal(rmdir(inner), 0);
}

static void a_file_is_no_directory(void **state) {
    char path[64];
    (void)state;
    put("file", "");
    snprintf(path, sizeof path, "%s/file", dir);
    assert_false(files_make_dir(path));
    assert_int_equal(errno, ENOTDIR);
    assert_false(files_exists(path, "below"));
    files_remove_later(dir, "file");
}

static void a_failed_write_is_told(void **state) {
    (void)state;
    int fd = open("/dev/full", O_WRONLY);
    assert_false(files_write_all(fd, "x", 1));
    assert_int_equal(errno, ENOSPC);
    close(fd);
    struct buf out = {0};
    fd = open(dir, O_RDONLY | O_DIRECTORY);
    assert_false(files_read_all(fd, &out));
    assert_int_equal(errno, EISDIR);
    close(fd);
    buf_free(&out);
}

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    worker_drain();
    return rmdir(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_file_reads_back),
        cmocka_unit_test(an_absent_file_tells_errno),
        cmocka_unit_test(a_path_that_is_too_long_is_refused),
        cmocka_unit_test(a_file_is_renamed_into_another_directory),
        cmocka_unit_test(a_file_is_no_directory),
        cmocka_unit_test(a_failed_write_is_told),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
