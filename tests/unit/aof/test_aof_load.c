/* Loading the files of a manifest: in order, and what happens to a file with a bad end. */
#include "aof/aof_load.h"
#include "aof/aof_repair.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/worker.h"
#include "disk/files.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FIRST "*2\r\n$3\r\nDEL\r\n$1\r\na\r\n"
#define SECOND "*2\r\n$3\r\nDEL\r\n$1\r\nb\r\n"
#define TORN "*2\r\n$3\r\nDEL\r\n$1"

static char dir[] = "/tmp/kura-aof-load-XXXXXX";
static char heard[256]; /* names of files, and keys of the commands applied */
static uint64_t told_bytes;

static void put(const char *name, const char *text) {
    int fd = files_open(dir, name, O_WRONLY | O_CREAT | O_TRUNC);
    assert_true(fd >= 0 && files_write_all(fd, text, strlen(text)));
    close(fd);
}

static void assert_file(const char *name, const char *text) {
    struct buf bytes = {0};
    int fd = files_open(dir, name, O_RDONLY);
    assert_true(fd >= 0 && files_read_all(fd, &bytes));
    close(fd);
    assert_int_equal(bytes.len, strlen(text));
    assert_memory_equal(bytes.data, text, bytes.len);
    buf_free(&bytes);
}

static void note(const char *text, size_t len) {
    size_t used = strlen(heard);
    snprintf(heard + used, sizeof heard - used, "%.*s ", (int)len, text);
}

static size_t apply(void *ctx, const struct aof_command *commands, size_t count) {
    (void)ctx;
    for (size_t i = 0; i < count; i++)
        note(commands[i].argv[1].ptr, commands[i].argv[1].len);
    return count;
}

static void begun(void *ctx, const char *name) {
    (void)ctx;
    note(name, strlen(name));
}

static void sized(void *ctx, uint64_t bytes) {
    (void)ctx;
    told_bytes = bytes;
}

/* Load the files of this manifest. */
static enum aof_load load(const char *text) {
    static const struct aof_load_hooks hooks = {.reader = {.apply = apply}, .sized = sized, .begun = begun};
    struct manifest m;
    heard[0] = '\0';
    told_bytes = 0;
    put("manifest", text);
    assert_true(aof_load_manifest("manifest", &m));
    enum aof_load result = aof_load_files(&m, &hooks);
    manifest_free(&m);
    return result;
}

#define TWO "file one seq 1 type i\nfile two seq 2 type i\n"

static void files_load_in_the_order_of_the_manifest(void **state) {
    (void)state;
    put("base", FIRST);
    put("one", FIRST SECOND);
    put("two", SECOND);
    put("old", "not a log");
    assert_int_equal(
        load("file one seq 1 type i\nfile old seq 1 type h\nfile base seq 1 type b\nfile two seq 2 type i\n"),
        AOF_LOAD_OK);
    assert_string_equal(heard, "base a one a b two b ");
    assert_int_equal(told_bytes, 4 * strlen(FIRST));
}

static void empty_files_are_nothing(void **state) {
    (void)state;
    put("one", "");
    put("two", "");
    assert_int_equal(load(TWO), AOF_LOAD_NOTHING);
    assert_string_equal(heard, "");
}

static void an_absent_file_ends_the_loading(void **state) {
    (void)state;
    put("one", FIRST);
    files_remove_later(dir, "two");
    assert_int_equal(load(TWO), AOF_LOAD_FAILED);
    assert_string_equal(heard, "");
}

static void the_torn_end_of_the_last_file_is_kept_aside(void **state) {
    (void)state;
    put("one", FIRST);
    put("two", SECOND TORN);
    assert_int_equal(load(TWO), AOF_LOAD_OK);
    assert_string_equal(heard, "one a two b ");
    assert_file("two", SECOND);
    assert_file("two.20.removed", TORN);
    files_remove_later(dir, "two.20.removed");
}

static void an_earlier_file_must_be_complete(void **state) {
    (void)state;
    put("one", FIRST TORN);
    put("two", SECOND);
    assert_int_equal(load(TWO), AOF_LOAD_FAILED);
    assert_file("one", FIRST TORN);
}

static void nothing_is_cut_off_unless_the_option_allows_it(void **state) {
    (void)state;
    aof_options.load_truncated = false;
    put("one", FIRST);
    put("two", SECOND TORN);
    assert_int_equal(load(TWO), AOF_LOAD_FAILED);
    assert_file("two", SECOND TORN);
    aof_options.load_truncated = true;
}

static void an_absent_manifest_is_empty(void **state) {
    struct manifest m;
    (void)state;
    assert_true(aof_load_manifest("absent", &m));
    assert_int_equal(m.count, 0);
    put("manifest", "no manifest\n");
    assert_false(aof_load_manifest("manifest", &m));
}

static void a_cut_that_fails_loses_nothing(void **state) {
    char aside[AOF_REPAIR_NAME];
    (void)state;
    assert_false(aof_repair_cut(dir, "absent", 1, aside));
    assert_int_equal(errno, ENOENT);
    assert_string_equal(aside, "");
}

static int make_folder(void **state) {
    (void)state;
    clock_init();
    clock_update();
    log_set_level(LOG_NOTHING);
    aof_options = (struct aof_options){.filename = "log", .dirname = mkdtemp(dir), .load_truncated = true};
    return aof_options.dirname ? 0 : -1;
}

static int remove_folder(void **state) {
    static const char *const names[] = {"base", "one", "two", "old", "manifest"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        files_remove_later(dir, names[i]);
    worker_drain();
    return rmdir(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_load_in_the_order_of_the_manifest),
        cmocka_unit_test(empty_files_are_nothing),
        cmocka_unit_test(an_absent_file_ends_the_loading),
        cmocka_unit_test(the_torn_end_of_the_last_file_is_kept_aside),
        cmocka_unit_test(an_earlier_file_must_be_complete),
        cmocka_unit_test(nothing_is_cut_off_unless_the_option_allows_it),
        cmocka_unit_test(an_absent_manifest_is_empty),
        cmocka_unit_test(a_cut_that_fails_loses_nothing),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
