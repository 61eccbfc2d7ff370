/* The append-only file as a whole: the files that the manifest names after start-up, rewrites, and switching on and
 * off. */
#include "aof/aof.h"
#include "aof/aof_write.h"
#include "aof/log_lab.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/worker.h"
#include "disk/child.h"
#include "disk/files.h"
#include "net/loop.h"
#include "store/db.h"
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

static char folder[] = "/tmp/kura-aof-XXXXXX", dirname[] = "dir", filename[] = "log";
static size_t applied;

static size_t apply(void *ctx, const struct aof_command *commands, size_t count) {
    (void)ctx;
    (void)commands;
    applied += count;
    return count;
}

static enum aof_load load(void) {
    static const struct aof_load_hooks hooks = {.reader = {.apply = apply}};
    applied = 0;
    return aof_load(&hooks);
}

static void append_one(void) {
    struct slice argv[] = {SLICE("DEL"), SLICE("a")};
    lab_append(0, argv, 2);
    assert_true(aof_write_flush(false));
}

static int no_turn(void) {
    return 0;
}

static int until_over(void) {
    if (child_running() == CHILD_NONE) loop_stop();
    return -1;
}

static int until_forked(void) {
    if (aof_rewrite_begun() != AOF_BEGINS) loop_stop();
    return -1;
}

/* Begin a rewrite, and go on until its child lives. */
static void begin_rewrite(void) {
    assert_int_equal(aof_rewrite(), AOF_BEGINS);
    loop_run(until_forked);
    assert_int_equal(aof_rewrite_begun(), AOF_BEGUN);
    assert_true(child_pid() > 0);
}

static void assert_manifest(const char *expected) {
    struct buf text = {0};
    int fd = files_open(dirname, "log.manifest", O_RDONLY);
    assert_true(fd >= 0 && files_read_all(fd, &text));
    close(fd);
    buf_append(&text, "", 1);
    assert_string_equal(text.data, expected);
    buf_free(&text);
}

#define FILES(base, incr) \
    "file log." base ".base.aof seq " base " type b\nfile log." incr ".incr.aof seq " incr " type i\n"

/* Each test begins with an open append-only file, of base 1 and increment 1, in an empty directory. */
static int begin(void **state) {
    (void)state;
    assert_int_equal(load(), AOF_LOAD_NOTHING);
    aof_open();
    assert_int_equal(aof_status().state, AOF_ON);
    assert_manifest(FILES("1", "1"));
    return 0;
}

static int finish(void **state) {
    char command[128];
    (void)state;
    child_kill();
    loop_run(until_over);
    aof_stop();
    worker_drain();
    loop_poll(no_turn); /* all reports of the worker */
    snprintf(command, sizeof command, "rm -rf %s/%s", folder, dirname);
    return system(command);
}

static void commands_load_again(void **state) {
    (void)state;
    append_one();
    append_one();
    assert_true(aof_status().current_size > 0);
    aof_end();
    aof_stop();
    assert_false(aof_collects());
    assert_int_equal(load(), AOF_LOAD_OK);
    assert_int_equal(applied, 3); /* with SELECT */
    aof_open();
    append_one();
    assert_manifest(FILES("1", "1")); /* the same increment goes on */
    assert_int_equal(load(), AOF_LOAD_OK);
    assert_int_equal(applied, 5);
}

static void a_rewrite_replaces_all_files(void **state) {
    uint64_t rewrites = aof_status().rewrites;
    (void)state;
    append_one();
    begin_rewrite();
    assert_int_equal(aof_rewrite(), AOF_FAILED); /* one is running */
    assert_manifest("file log.1.base.aof seq 1 type b\nfile log.1.incr.aof seq 1 type i\n"
                    "file log.2.incr.aof seq 2 type i\n");
    append_one();
    loop_run(until_over);
    assert_manifest(FILES("2", "2"));
    assert_false(aof_status().rewrite_failed);
    assert_int_equal(aof_status().rewrites, rewrites + 1);
    worker_drain();
    assert_false(files_exists(dirname, "log.1.base.aof"));
    assert_false(files_exists(dirname, "log.1.incr.aof"));
    assert_int_equal(load(), AOF_LOAD_OK);
    assert_int_equal(applied, 2); /* SELECT, and the command that came during the rewrite */
}

static void history_is_kept_if_the_option_says_so(void **state) {
    (void)state;
    aof_options.keep_history = true;
    begin_rewrite();
    loop_run(until_over);
    assert_manifest("file log.2.base.aof seq 2 type b\nfile log.1.incr.aof seq 1 type h\n"
                    "file log.1.base.aof seq 1 type h\nfile log.2.incr.aof seq 2 type i\n");
    assert_true(files_exists(dirname, "log.1.base.aof"));
    aof_options.keep_history = false;
    aof_remove_history();
    worker_drain();
    assert_manifest(FILES("2", "2"));
    assert_false(files_exists(dirname, "log.1.base.aof"));
}

static void a_killed_rewrite_leaves_the_files_as_they_are(void **state) {
    (void)state;
    append_one();
    begin_rewrite();
    child_kill();
    append_one();
    assert_manifest("file log.1.base.aof seq 1 type b\nfile log.1.incr.aof seq 1 type i\n"
                    "file log.2.incr.aof seq 2 type i\n");
    assert_int_equal(load(), AOF_LOAD_OK);
    assert_int_equal(applied, 4);
}

static void switching_on_waits_for_the_base(void **state) {
    (void)state;
    aof_stop();
    assert_int_equal(aof_status().state, AOF_OFF);
    assert_true(aof_start(false));
    assert_int_equal(aof_status().state, AOF_WAITING);
    assert_true(aof_collects());
    assert_manifest(FILES("1", "1")); /* until the base exists */
    append_one();
    assert_true(aof_write_sync_now());
    assert_int_equal(aof_synced_offset(), -1); /* what is in the file is worth nothing without a base */
    int64_t appended = oplog_end();
    loop_run(until_over);
    assert_int_equal(aof_status().state, AOF_ON);
    assert_int_equal(aof_synced_offset(), appended);
    assert_manifest(FILES("2", "2"));
    assert_int_equal(load(), AOF_LOAD_OK);
    assert_int_equal(applied, 2);
}

static void a_scheduled_rewrite_begins_with_a_tick(void **state) {
    (void)state;
    aof_schedule_rewrite(true);
    assert_true(aof_status().rewrite_scheduled);
    aof_tick();
    assert_int_equal(child_running(), CHILD_AOF);
    assert_int_equal(aof_rewrite_begun(), AOF_BEGINS);
    assert_false(aof_status().rewrite_scheduled);
    loop_run(until_over);
    assert_manifest(FILES("2", "2"));
}

/* Between the two steps of the switch the worker syncs what was flushed: what comes then belongs to the next file. */
static void what_comes_during_the_switch_is_in_the_next_file(void **state) {
    (void)state;
    append_one();
    assert_int_equal(aof_rewrite(), AOF_BEGINS);
    assert_false(aof_holds_writes());
    append_one();
    while (!aof_holds_writes())
        loop_poll(no_turn);
    struct slice argv[] = {SLICE("DEL"), SLICE("b")};
    lab_append(0, argv, 2);
    assert_false(aof_write_flush(false)); /* not yet */
    loop_run(until_forked);
    assert_false(aof_holds_writes());
    assert_true(aof_write_flush(false));
    assert_true(files_size(dirname, "log.2.incr.aof") > 0);
    child_kill();
    assert_int_equal(load(), AOF_LOAD_OK);
    assert_int_equal(applied, 5); /* with two SELECT */
}

/* Whichever stage the rewrite is in, the file can be switched off, and on again. */
static void switching_off_fits_any_stage(void **state) {
    (void)state;
    for (int turns = 0; turns < 12; turns++) {
        append_one();
        assert_int_equal(aof_rewrite(), AOF_BEGINS);
        for (int i = 0; i < turns; i++)
            loop_poll(no_turn);
        aof_stop();
        assert_false(aof_collects());
        assert_true(aof_start(false));
        while (aof_status().state != AOF_ON) {
            aof_tick();
            loop_poll(no_turn);
        }
        append_one();
        assert_int_equal(load(), AOF_LOAD_OK);
        assert_int_equal(applied, 2);
        assert_false(aof_status().rewrite_failed);
    }
}

static void a_file_that_no_manifest_names_is_left_alone(void **state) {
    static const char text[] = "data";
    (void)state;
    for (int i = 0; i < 2; i++) {
        int fd = files_open(dirname, i ? "log.2.base.aof" : "log.2.incr.aof", O_WRONLY | O_CREAT);
        assert_true(files_write_all(fd, text, sizeof text));
        close(fd);
    }
    begin_rewrite();
    loop_run(until_over);
    assert_manifest(FILES("3", "3"));
    assert_int_equal(files_size(dirname, "log.2.base.aof"), sizeof text);
    assert_int_equal(files_size(dirname, "log.2.incr.aof"), sizeof text);
}

static void a_lost_manifest_is_noticed_if_there_is_data(void **state) {
    (void)state;
    aof_stop();
    worker_drain();
    files_remove_later(dirname, "log.manifest");
    assert_int_equal(load(), AOF_LOAD_NOTHING); /* the files are empty */
    aof_open();
    append_one();
    aof_stop();
    worker_drain();
    files_remove_later(dirname, "log.manifest");
    assert_int_equal(load(), AOF_LOAD_FAILED);
}

int main(void) {
    clock_init();
    clock_update();
    log_set_level(LOG_NOTHING);
    hash_init();
    db_init(1);
    worker_start();
    if (!loop_init(64) || !mkdtemp(folder) || chdir(folder) != 0) return 1;
    aof_options = (struct aof_options){.filename = filename, .dirname = dirname, .load_truncated = true};
    aof_write_options.fsync = AOF_FSYNC_NO;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(commands_load_again, begin, finish),
        cmocka_unit_test_setup_teardown(a_rewrite_replaces_all_files, begin, finish),
        cmocka_unit_test_setup_teardown(history_is_kept_if_the_option_says_so, begin, finish),
        cmocka_unit_test_setup_teardown(a_killed_rewrite_leaves_the_files_as_they_are, begin, finish),
        cmocka_unit_test_setup_teardown(switching_on_waits_for_the_base, begin, finish),
        cmocka_unit_test_setup_teardown(a_scheduled_rewrite_begins_with_a_tick, begin, finish),
        cmocka_unit_test_setup_teardown(what_comes_during_the_switch_is_in_the_next_file, begin, finish),
        cmocka_unit_test_setup_teardown(switching_off_fits_any_stage, begin, finish),
        cmocka_unit_test_setup_teardown(a_file_that_no_manifest_names_is_left_alone, begin, finish),
        cmocka_unit_test_setup_teardown(a_lost_manifest_is_noticed_if_there_is_data, begin, finish),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    worker_stop();
    if (chdir("/") != 0 || rmdir(folder) != 0) failed++;
    return failed;
}
