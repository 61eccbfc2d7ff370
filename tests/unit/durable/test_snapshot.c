/* The snapshot file: a good one replaces the former and is counted, one that cannot be written leaves the former alone,
 * and one that cannot be read is told in the log. */
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/module.h"
#include "base/words.h"
#include "conf/config.h"
#include "durable/snapshot.h"
#include "rdb/rdb.h"
#include "store/db.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

extern const struct module snapshot_module;

static char folder[] = "/tmp/kura-snapshot-XXXXXX";

static void put(const char *name) {
    struct key key = key_of(slice_cstr(name));
    db_set_string(db_at(0), &key, db_write(db_at(0), &key), SLICE("v"), ENTRY_NO_TTL);
    db_metrics.dirty++;
}

static bool read_back(const char *name) {
    struct rdb_read job = {.fd = open(name, O_RDONLY)};
    assert_true(job.fd >= 0);
    bool ok = snapshot_read(&job, name);
    close(job.fd);
    return ok;
}

static bool set_name(const char *name, const char **error) {
    struct words w;
    assert_true(words_split(&w, slice_cstr(name)));
    bool ok = config_set_at_start(config_find(SLICE("dbfilename")), (const char *const *)w.at, w.count, error);
    words_free(&w);
    return ok;
}

static bool log_has(const char *text) {
    static char log[8192];
    FILE *file = fopen("log", "r");
    assert_non_null(file);
    log[fread(log, 1, sizeof log - 1, file)] = '\0';
    fclose(file);
    return strstr(log, text) != NULL;
}

static int64_t size_of(const char *name) {
    struct stat s;
    return stat(name, &s) == 0 ? s.st_size : -1;
}

static void a_snapshot_is_written_and_read_back(void **state) {
    (void)state;
    put("a");
    put("b");
    assert_true(snapshot_save());
    assert_int_equal(db_metrics.dirty, 0);
    assert_int_equal(snapshot_metrics.saves, 1);
    assert_true(snapshot_metrics.saved_s >= clock_wall_us() / 1000000 - 5);
    assert_true(log_has("* DB saved on disk\n"));
    db_empty(db_at(0), false);
    assert_true(read_back("dump.rdb"));
    assert_int_equal(db_size(db_at(0)), 2);
    assert_int_equal(snapshot_metrics.loaded, 2);
    assert_int_equal(snapshot_metrics.expired, 0);
    assert_true(log_has("Done loading RDB, keys loaded: 2, keys expired: 0.\n"));
    assert_true(log_has("RDB age "));
    db_empty(db_at(0), false);
}

static void a_key_past_its_time_is_counted(void **state) {
    (void)state;
    struct key key = key_of(SLICE("gone"));
    put("a");
    db_set_string(db_at(0), &key, NULL, SLICE("v"), clock_wall_us() / 1000 - 1);
    assert_true(snapshot_save());
    db_empty(db_at(0), false);
    assert_true(read_back("dump.rdb"));
    assert_int_equal(snapshot_metrics.loaded, 1);
    assert_int_equal(snapshot_metrics.expired, 1);
    db_empty(db_at(0), false);
}

/* There is a folder of that name, which no file can replace. */
static void a_snapshot_that_fails_changes_nothing(void **state) {
    (void)state;
    const char *error;
    uint64_t before = snapshot_metrics.saves;
    put("a");
    assert_int_equal(mkdir("taken", 0700), 0);
    assert_true(set_name("taken", &error));
    assert_string_equal(snapshot_name(), "taken");
    snapshot_metrics.saved_s = 42;
    assert_false(snapshot_save());
    assert_int_equal(snapshot_metrics.saved_s, 42);
    assert_int_equal(snapshot_metrics.saves, before);
    assert_int_equal(db_metrics.dirty, 1);
    assert_true(log_has("# Write error saving DB on disk: "));
    assert_int_equal(rmdir("taken"), 0);
    assert_true(set_name("dump.rdb", &error));
    db_empty(db_at(0), false);
}

static void a_broken_snapshot_is_told_and_left_as_it_is(void **state) {
    (void)state;
    put("a");
    put("b");
    assert_true(snapshot_save());
    db_empty(db_at(0), false);
    int64_t size = size_of("dump.rdb");
    assert_int_equal(truncate("dump.rdb", size - 12), 0);
    assert_false(read_back("dump.rdb"));
    assert_true(log_has("dump.rdb, offset "));
    assert_true(log_has(" keys before it are sound.\n"));
    assert_true(log_has("kura-check-rdb tells more about it"));
    assert_int_equal(size_of("dump.rdb"), size - 12);
    FILE *file = fopen("foreign", "w");
    fputs("this is no snapshot at all", file);
    fclose(file);
    assert_false(read_back("foreign"));
    assert_true(log_has("Is dbfilename the right file?\n"));
    file = fopen("newer", "w");
    fputs("REDIS0099 of the future", file);
    fclose(file);
    assert_false(read_back("newer"));
    assert_true(log_has("the server that wrote it can read it.\n"));
    unlink("foreign");
    unlink("newer");
    db_empty(db_at(0), false);
}

static void the_name_is_no_path(void **state) {
    (void)state;
    const char *error;
    assert_false(set_name("../dump.rdb", &error));
    assert_string_equal(error, "dbfilename can't be a path, just a filename");
    assert_true(set_name("dump.rdb", &error));
}

static int start(void **state) {
    (void)state;
    hash_init();
    clock_init();
    clock_update();
    db_init(1);
    config_register(snapshot_module.options);
    return mkdtemp(folder) && chdir(folder) == 0 && log_open("log") ? 0 : -1;
}

static int stop(void **state) {
    (void)state;
    log_open("");
    unlink("log");
    unlink("dump.rdb");
    return chdir("/") == 0 ? rmdir(folder) : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snapshot_is_written_and_read_back),
        cmocka_unit_test(a_key_past_its_time_is_counted),
        cmocka_unit_test(a_snapshot_that_fails_changes_nothing),
        cmocka_unit_test(a_broken_snapshot_is_told_and_left_as_it_is),
        cmocka_unit_test(the_name_is_no_path),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
