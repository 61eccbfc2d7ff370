/* The connections between commands and the disk: changes go to the file while the append-only file collects, writes are
 * refused while they might not survive, and the end saves what has to be saved. All files are fakes. */
#include "aof/aof.h"
#include "aof/aof_write.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/module.h"
#include "conf/config.h"
#include "disk/temp_file.h"
#include "durable/bgsave.h"
#include "durable/children.h"
#include "durable/durability.h"
#include "durable/loading.h"
#include "durable/snapshot.h"
#include "durable/snapshot_lock.h"
#include "exec/block.h"
#include "exec/call.h"
#include "exec/propagate.h"
#include "exec/wave.h"
#include "oplog/oplog.h"
#include "process/cron.h"
#include "process/process.h"
#include "process/shutdown.h"
#include "session/client.h"
#include "session/gates.h"
#include "session/server_metrics.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

extern const struct module durability_module;

/* --- Fakes ----------------------------------------------------------------------------------- */

static struct buf done; /* what was called, in order */

static void note(const char *what) {
    buf_printf(&done, "%s ", what);
}

static void expect_done(const char *expected) {
    buf_append(&done, "", 1);
    assert_string_equal(done.data, expected);
    buf_free(&done);
}

static bool collects, rewrite_begins, start_fails, end_requested, save_fails, may_not_end, stops_writes, has_points;
static bool holds_writes, is_locked_elsewhere;
static enum aof_begun begun;
static struct aof_status status;
static struct aof_write_metrics metrics;
static int errno_of_next_write;

struct aof_write_options aof_write_options;
bool call_is_nested;
int wave_width = 1;
static const struct wave_hooks *wave;
static void (*tick)(void);
static void (*child_changed_state)(void);
void (*bgsave_ended)(void);
void (*aof_changed)(void);
bool (*process_before_dir)(const char *path, const char **error);
bool (*process_after_dir)(const char **error);
bool (*shutdown_before_end)(unsigned flags);
struct snapshot_metrics snapshot_metrics;
struct bgsave_status bgsave_status;
static bool wanted_while_loading;

struct aof_write_follow aof_write_follow = {.asks = true, .cut = INT64_MAX};
void aof_write_join(int db_id) {
    buf_printf(&done, "take:%d ", db_id);
}
void aof_write_skip(bool leads) {
    (void)leads;
    note("skip");
}
void aof_write_own(int db_id, const struct slice *argv, int argc, struct slice raw) {
    (void)db_id, (void)argv, (void)argc, (void)raw;
    note("own");
}
void aof_write_cut(void) {
    note("cut");
}
bool aof_write_flush(bool force) {
    note(force ? "flush-all" : "flush");
    metrics.write_errno = errno_of_next_write;
    return true;
}
struct aof_write_metrics aof_write_metrics(void) {
    return metrics;
}
int aof_refusal(void) {
    return collects ? metrics.write_errno ? metrics.write_errno : metrics.sync_errno : 0;
}
bool aof_holds_writes(void) {
    return holds_writes;
}
enum aof_begun aof_rewrite_begun(void) {
    return begun;
}
struct aof_status aof_status(void) {
    return status;
}
bool aof_collects(void) {
    return collects;
}
bool aof_start(bool later) {
    note(later ? "start-later" : "start");
    collects = !start_fails;
    return !start_fails;
}
void aof_stop(void) {
    note("stop");
    collects = false;
}
void aof_tick(void) {
    note("aof-tick");
    collects = collects || rewrite_begins;
}
void aof_end(void) {
    note("aof-end");
}
bool bgsave_stops_writes(void) {
    return stops_writes;
}
bool bgsave_has_points(void) {
    return has_points;
}
void bgsave_tick(void) {
    note("bgsave-tick");
}
bool snapshot_save(void) {
    note("save");
    return !save_fails;
}
bool snapshot_write(const char *temporary) {
    (void)temporary;
    return false;
}
const char *snapshot_name(void) {
    return "dump.rdb";
}
bool snapshot_lock_points(bool any, const char **error) {
    (void)error;
    note(any ? "lock-points" : "no-lock");
    return true;
}
bool snapshot_lock_name(const char *name, const char **error) {
    (void)error;
    assert_string_equal(name, "dump.rdb");
    return true;
}
bool snapshot_lock_fit(const char **error) {
    (void)error;
    return true;
}
bool snapshot_lock_start(void) {
    note("lock");
    return !is_locked_elsewhere;
}
void snapshot_lock_end(void) {
    note("unlock");
}
void temp_file_sweep(void) {
    note("sweep");
}
void block_resume_all(void) {
    note("resume");
}
void children_watch(void (*changed)(void)) {
    child_changed_state = changed;
}
bool children_end(bool force) {
    note(force ? "children-forced" : "children");
    return force || !may_not_end;
}
void loading_start_up(bool from_aof) {
    assert_false(propagate_wanted);
    note(from_aof ? "load-aof" : "load-snapshot");
    assert_true(shutdown_before_end(SHUTDOWN_SAVE)); /* half a dataset is not saved */
    aof_changed();                                   /* nor is anything else done about it */
}
bool loading_is_active(void) {
    return false;
}
bool loading_again(void) {
    wanted_while_loading = propagate_wanted;
    tick(); /* does nothing meanwhile */
    note("load-again");
    return !save_fails;
}
void cron_add(void (*fn)(void)) {
    tick = fn;
}
bool shutdown_is_requested(void) {
    return end_requested;
}
void wave_listen(enum wave_listener listener, const struct wave_hooks *hooks) {
    assert_int_equal(listener, WAVE_DURABILITY);
    wave = hooks;
}

/* --- Steps ----------------------------------------------------------------------------------- */

static bool set(const char *name, const char *value) {
    struct config_error error;
    return config_set((struct slice[]){slice_cstr(name), slice_cstr(value)}, 1, true, &error);
}

static const char *gate_for(const struct command *command) {
    struct client c = {.resp = 2};
    struct request r = {.client = &c, .command = command};
    const struct gate *gate = gates_may_stop() ? gates_find_closed(&r, command->flags) : NULL;
    return gate ? gate->error : "";
}

static const struct command write_row = {.name = "set", .flags = CMD_WRITE}, read_row = {.name = "get"},
                            probe_row = {.name = "ping", .flags = CMD_PROBE};

/* All is well again: the file is off, nothing has failed. */
static int reset(void **state) {
    (void)state;
    collects = rewrite_begins = start_fails = end_requested = save_fails = may_not_end = stops_writes = has_points =
        false;
    call_is_nested = false;
    metrics = (struct aof_write_metrics){0};
    errno_of_next_write = 0;
    assert_true(set("appendonly", "no") && set("appendfsync", "everysec"));
    child_changed_state();
    assert_false(gates_may_stop() || propagate_wanted);
    buf_free(&done);
    return 0;
}

/* --- Starting -------------------------------------------------------------------------------- */

static void expect_no_start_with_files_of_another_process(void) {
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        is_locked_elsewhere = true;
        durability_start();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

/* Must be the first test. */
static void the_dataset_is_loaded_first(void **state) {
    (void)state;
    config_register(durability_module.options);
    assert_true(set("appendonly", "yes")); /* nothing happens yet */
    collects = true;
    server_metrics.started_s = 1234;
    server_metrics.started_ms = 77;
    expect_no_start_with_files_of_another_process();
    durability_start();
    expect_done("no-lock lock sweep load-aof unlock ");
    assert_int_equal(snapshot_metrics.saved_s, 1234);
    assert_int_equal(snapshot_metrics.saved_ms, 77);
    assert_non_null(shutdown_before_end);
    assert_non_null(bgsave_ended);
    assert_true(propagate_wanted);
}

/* --- The log --------------------------------------------------------------------------------- */

static void changes(void) {
    static struct db db = {.id = 5};
    struct slice argv[] = {SLICE("FLUSHALL")};
    propagate_begin();
    propagate_end(&db, argv, 1, SLICE("raw"), true);
}

static void commands_go_to_the_file_while_it_collects(void **state) {
    (void)state;
    changes();
    expect_done("");
    assert_true(set("appendonly", "yes"));
    changes();
    expect_done("start take:5 ");
    assert_true(set("appendonly", "no"));
    changes();
    expect_done("stop ");
    collects = true; /* a rewrite that begins the file later on */
    child_changed_state();
    changes();
    expect_done("take:5 ");
    collects = false;
    child_changed_state();
    rewrite_begins = true; /* in a tick */
    tick();
    assert_true(propagate_wanted);
}

static void the_file_may_refuse_to_be_turned_on(void **state) {
    (void)state;
    start_fails = true;
    assert_false(set("appendonly", "yes"));
    assert_false(propagate_wanted);
    start_fails = false;
    call_is_nested = true;
    buf_free(&done);
    assert_true(set("appendonly", "yes"));
    expect_done("start-later ");
}

static void the_file_is_written_before_replies_leave(void **state) {
    (void)state;
    wave->before_send();
    expect_done(""); /* it is off */
    set("appendonly", "yes");
    buf_free(&done);
    wave->before_send();
    expect_done("flush ");
    tick();
    expect_done("flush aof-tick bgsave-tick ");
    assert_true(set("appendfsync", "no")); /* the new policy covers what is buffered */
    expect_done("flush ");
    end_requested = true;
    tick();
    expect_done("flush ");
}

static void more_requests_share_a_sync_where_each_waits_for_one(void **state) {
    (void)state;
    assert_true(set("appendfsync", "always"));
    assert_int_equal(wave_width, 1);
    set("appendonly", "yes");
    assert_true(wave_width > 1);
    set("appendfsync", "everysec");
    assert_int_equal(wave_width, 1);
}

static void a_reload_appends_nothing(void **state) {
    (void)state;
    set("appendonly", "yes");
    buf_free(&done);
    assert_true(durability_reload());
    expect_done("flush-all load-again ");
    assert_false(wanted_while_loading);
    assert_true(propagate_wanted);
    save_fails = stops_writes = true;
    assert_false(durability_reload());
    assert_true(gates_may_stop());
}

/* --- The gate -------------------------------------------------------------------------------- */

static void writes_and_probes_are_refused_after_a_failed_save(void **state) {
    (void)state;
    stops_writes = true;
    assert_string_equal(gate_for(&write_row), "");
    bgsave_ended();
    assert_memory_equal(gate_for(&write_row), "MISCONF Redis is configured to save RDB snapshots, ", 51);
    assert_memory_equal(gate_for(&probe_row), "MISCONF", 7);
    assert_string_equal(gate_for(&read_row), "");
    stops_writes = false;
    bgsave_ended();
    assert_string_equal(gate_for(&write_row), "");
    stops_writes = true;
    tick();
    assert_true(gates_may_stop());
    stops_writes = false;
    child_changed_state();
    assert_false(gates_may_stop());
}

static void writes_are_refused_while_the_file_cannot_be_written(void **state) {
    (void)state;
    set("appendonly", "yes");
    errno_of_next_write = ENOSPC;
    wave->before_send(); /* noticed at once */
    assert_string_equal(gate_for(&write_row), "MISCONF Errors writing to the AOF file: No space left on device");
    errno_of_next_write = 0;
    wave->before_send();
    assert_string_equal(gate_for(&write_row), "");
    metrics.sync_errno = EIO;
    tick();
    assert_string_equal(gate_for(&write_row), "MISCONF Errors writing to the AOF file: Input/output error");
    set("appendonly", "no"); /* then it does not matter */
    assert_string_equal(gate_for(&write_row), "");
}

/* While the log is about to go on in another file. */
static void writes_wait_for_the_next_file(void **state) {
    (void)state;
    holds_writes = true;
    begun = AOF_BEGINS;
    aof_changed();
    struct client c = {.resp = 2};
    struct request r = {.client = &c, .command = &write_row};
    const struct gate *gate = gates_find_closed(&r, write_row.flags);
    assert_true(gate && gate->error == NULL); /* it postpones */
    r.command = &read_row;
    assert_null(gates_find_closed(&r, read_row.flags));
    expect_done(""); /* BGREWRITEAOF goes on waiting, too */
    holds_writes = false;
    begun = AOF_BEGUN;
    collects = true;
    aof_changed();
    assert_false(gates_may_stop());
    assert_true(propagate_wanted);
    expect_done("resume ");
}

static void dir_stays_while_the_files_are_in_use(void **state) {
    (void)state;
    const char *error;
    status.state = AOF_ON;
    assert_true(process_before_dir(".", &error));
    assert_false(process_before_dir("/", &error));
    status.state = AOF_OFF;
    assert_true(process_before_dir("/", &error));
    status.is_busy = true;
    assert_false(process_before_dir("/", &error));
    status.is_busy = false;
    assert_ptr_equal(process_after_dir, snapshot_lock_fit);
}

/* --- The end --------------------------------------------------------------------------------- */

static void the_end_saves_what_has_to_be_saved(void **state) {
    (void)state;
    static const struct {
        bool has_points;
        unsigned flags;
        bool saves;
    } cases[] = {
        {false, 0, false},
        {true, 0, true},
        {false, SHUTDOWN_SAVE, true},
        {true, SHUTDOWN_NOSAVE, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        has_points = cases[i].has_points;
        assert_true(shutdown_before_end(cases[i].flags));
        expect_done(cases[i].saves ? "children aof-end save unlock " : "children aof-end unlock ");
    }
}

static void the_end_may_fail_unless_it_is_forced(void **state) {
    (void)state;
    save_fails = true;
    assert_false(shutdown_before_end(SHUTDOWN_SAVE));
    assert_true(shutdown_before_end(SHUTDOWN_SAVE | SHUTDOWN_FORCE));
    may_not_end = true;
    buf_free(&done);
    assert_false(shutdown_before_end(0));
    expect_done("children ");
    assert_true(shutdown_before_end(SHUTDOWN_FORCE));
    expect_done("children-forced aof-end unlock ");
}

int main(void) {
    log_set_level(LOG_NOTHING);
    oplog_want(OPLOG_FILE, true); /* as the file itself would do */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_dataset_is_loaded_first),
        cmocka_unit_test_setup(commands_go_to_the_file_while_it_collects, reset),
        cmocka_unit_test_setup(the_file_may_refuse_to_be_turned_on, reset),
        cmocka_unit_test_setup(the_file_is_written_before_replies_leave, reset),
        cmocka_unit_test_setup(more_requests_share_a_sync_where_each_waits_for_one, reset),
        cmocka_unit_test_setup(a_reload_appends_nothing, reset),
        cmocka_unit_test_setup(writes_and_probes_are_refused_after_a_failed_save, reset),
        cmocka_unit_test_setup(writes_are_refused_while_the_file_cannot_be_written, reset),
        cmocka_unit_test_setup(writes_wait_for_the_next_file, reset),
        cmocka_unit_test_setup(dir_stays_while_the_files_are_in_use, reset),
        cmocka_unit_test_setup(the_end_saves_what_has_to_be_saved, reset),
        cmocka_unit_test_setup(the_end_may_fail_unless_it_is_forced, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
