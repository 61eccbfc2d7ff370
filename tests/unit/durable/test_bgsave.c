/* Background saves: save points begin them, a failure is followed by a pause and by the refusal of writes, and the
 * changes that a child has not seen still count. The child, the snapshot and loading are fakes. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/module.h"
#include "base/words.h"
#include "conf/config.h"
#include "conf/directive.h"
#include "disk/child.h"
#include "disk/temp_file.h"
#include "durable/bgsave.h"
#include "durable/loading.h"
#include "durable/snapshot.h"
#include "durable/snapshot_lock.h"
#include "store/db.h"
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

extern const struct module bgsave_module;

/* --- Fakes ----------------------------------------------------------------------------------- */

static enum child_kind running;
static struct child_job job; /* of the last child */
static bool fork_fails, save_fails, loads;
static int saves, ended, killed;

struct child_metrics child_metrics;
void (*child_inside)(enum child_kind kind);
void (*child_changed)(bool lives);

bool child_start(const struct child_job *started) {
    errno = ENOMEM;
    if (fork_fails) return false;
    job = *started;
    running = started->kind;
    return true;
}
enum child_kind child_running(void) {
    return running;
}
pid_t child_pid(void) {
    return running ? 4711 : -1;
}
void child_report(size_t keys_done) {
    (void)keys_done;
}

#define START_MS 2000000000 /* of the steady clock */

/* The child of this test ends like this. */
static void child_ends(int status, int signal) {
    struct child_end end = {.pid = 4711, .status = status, .signal = signal};
    running = CHILD_NONE;
    job.done(job.ctx, &end);
}

void child_kill(void) {
    killed++;
    if (running) child_ends(0, SIGUSR1);
}

struct snapshot_metrics snapshot_metrics;

void snapshot_saved(void) {
    snapshot_metrics.saved_s = time(NULL);
    snapshot_metrics.saved_ms = clock_steady_ms();
}

bool snapshot_save(void) {
    saves++;
    if (!save_fails) db_metrics.dirty = 0;
    return !save_fails;
}
bool snapshot_write(const char *temporary) {
    assert_string_equal(temporary, "temporary");
    return !save_fails;
}

static bool locked_elsewhere; /* another process holds the lock on the snapshot */
static bool lock_wanted;

bool snapshot_lock_points(bool any, const char **error) {
    *error = "locked";
    lock_wanted = any;
    return !(any && locked_elsewhere);
}

static int temp_files; /* chosen and not dropped */

const char *temp_file_choose(enum temp_file kind) {
    assert_int_equal(kind, TEMP_BGSAVE);
    temp_files++;
    return "temporary";
}
const char *temp_file_name(enum temp_file kind) {
    assert_int_equal(kind, TEMP_BGSAVE);
    return "temporary";
}
void temp_file_drop(enum temp_file kind) {
    assert_int_equal(kind, TEMP_BGSAVE);
    temp_files--;
}

bool loading_is_active(void) {
    return loads;
}

static int done_well, done_badly;

static void note_done(bool ok) {
    if (ok)
        done_well++;
    else
        done_badly++;
}

static void note_end(void) {
    ended++;
}

/* --- Steps ----------------------------------------------------------------------------------- */

static bool set(const char *name, const char *value) {
    struct config_error error;
    return config_set((struct slice[]){slice_cstr(name), slice_cstr(value)}, 1, true, &error);
}

/* A tick this many seconds after the start. The wall clock has been set back, which changes nothing. */
static bool tick_begins(int64_t later_s) {
    clock_cached_ms = 1000;
    clock_cached_steady_ms = START_MS + later_s * 1000;
    bgsave_tick();
    return running == CHILD_RDB;
}

static int reset(void **state) {
    (void)state;
    running = CHILD_NONE;
    fork_fails = save_fails = loads = false;
    saves = ended = killed = temp_files = done_well = done_badly = 0;
    bgsave_status = (struct bgsave_status){.took_s = -1};
    clock_cached_steady_ms = START_MS;
    snapshot_metrics = (struct snapshot_metrics){.saved_s = time(NULL), .saved_ms = START_MS};
    db_metrics.dirty = 0;
    assert_true(set("save", "100 10 1000 1") && set("stop-writes-on-bgsave-error", "yes"));
    bgsave_tick();
    assert_int_equal(running, CHILD_NONE);
    return 0;
}

/* --- Save points ----------------------------------------------------------------------------- */

static void a_save_point_needs_both_time_and_changes(void **state) {
    (void)state;
    db_metrics.dirty = 9;
    assert_false(tick_begins(500));
    db_metrics.dirty = 10;
    assert_false(tick_begins(90));
    assert_true(tick_begins(110));
    child_ends(0, 0);
    db_metrics.dirty = 1;
    assert_false(tick_begins(110 + 990)); /* since the save */
    assert_true(tick_begins(110 + 1010));
}

static void a_scheduled_save_waits_for_the_running_child(void **state) {
    (void)state;
    running = CHILD_AOF;
    assert_false(bgsave_start());
    bgsave_schedule();
    tick_begins(0);
    assert_int_equal(running, CHILD_AOF);
    running = CHILD_NONE;
    assert_true(tick_begins(0));
    assert_false(bgsave_status.scheduled);
    child_ends(0, 0);
    assert_false(tick_begins(0));
}

/* --- The child ------------------------------------------------------------------------------- */

static void a_child_saves_what_it_saw_at_the_fork(void **state) {
    (void)state;
    struct key key = key_of(SLICE("k"));
    db_set_string(db_at(0), &key, NULL, SLICE("v"), -1);
    db_metrics.dirty = 7;
    assert_true(bgsave_start());
    assert_int_equal(job.keys, 1);
    assert_int_equal(snapshot_metrics.saves, 1);
    assert_int_equal(bgsave_status.began_ms, START_MS);
    db_metrics.dirty += 2;
    clock_cached_steady_ms += 2999;
    clock_cached_ms -= 3600000;
    snapshot_metrics.saved_s = 0;
    child_ends(0, 0);
    assert_int_equal(db_metrics.dirty, 2);
    assert_true(snapshot_metrics.saved_s >= time(NULL) - 5);
    assert_int_equal(bgsave_status.began_ms, 0);
    assert_int_equal(bgsave_status.took_s, 2);
    assert_int_equal(ended, 1);
    assert_int_equal(done_well, 1);
    assert_int_equal(done_badly, 0);
    assert_int_equal(job.run(job.ctx), 0); /* as the child does */
    save_fails = true;
    assert_int_equal(job.run(job.ctx), 1);
    assert_int_equal(temp_files, 0);
    db_empty(db_at(0), false);
}

static void after_a_failure_there_is_a_pause(void **state) {
    (void)state;
    db_metrics.dirty = 50;
    snapshot_metrics.saved_ms -= 10000000;
    assert_true(tick_begins(0));
    child_ends(1, 0);
    assert_true(bgsave_status.failed);
    assert_int_equal(db_metrics.dirty, 50);
    assert_false(tick_begins(3));
    assert_true(tick_begins(10));
    child_ends(0, 0);
    assert_false(bgsave_status.failed);
}

static void a_killed_child_has_failed_unless_we_did_it(void **state) {
    (void)state;
    assert_true(bgsave_start());
    assert_int_equal(temp_files, 1);
    child_kill();
    assert_false(bgsave_status.failed);
    assert_int_equal(temp_files, 0);
    assert_true(bgsave_start());
    child_ends(0, SIGKILL);
    assert_true(bgsave_status.failed);
    assert_int_equal(ended, 2);
    assert_int_equal(done_badly, 2);
    assert_int_equal(temp_files, 0);
}

static void a_fork_that_fails_is_a_failure(void **state) {
    (void)state;
    fork_fails = true;
    assert_false(bgsave_start());
    assert_true(bgsave_status.failed);
    assert_int_equal(bgsave_status.began_ms, 0);
    assert_int_equal(temp_files, 0);
}

/* --- Refused writes -------------------------------------------------------------------------- */

static void writes_stop_while_a_failed_save_matters(void **state) {
    (void)state;
    assert_false(bgsave_stops_writes());
    bgsave_status.failed = true;
    assert_true(bgsave_stops_writes());
    assert_true(set("stop-writes-on-bgsave-error", "no"));
    assert_false(bgsave_stops_writes());
    assert_true(set("stop-writes-on-bgsave-error", "yes") && set("save", ""));
    assert_false(bgsave_has_points());
    assert_false(bgsave_stops_writes());
    assert_true(set("save", "5 5"));
    assert_true(bgsave_stops_writes());
    save_fails = true;
    assert_false(bgsave_now());
    assert_true(bgsave_stops_writes());
    assert_int_equal(ended, 0);
    save_fails = false;
    assert_true(bgsave_now());
    assert_false(bgsave_stops_writes());
    assert_int_equal(ended, 1);
}

/* --- FLUSHALL -------------------------------------------------------------------------------- */

static void flushall_is_saved_at_once(void **state) {
    (void)state;
    db_metrics.dirty = 5;
    assert_true(bgsave_start());
    db_hooks.emptied();
    assert_int_equal(killed, 1);
    assert_int_equal(saves, 1);
    assert_int_equal(db_metrics.dirty, 1); /* the FLUSHALL itself */
    running = CHILD_AOF;
    db_hooks.emptied();
    assert_int_equal(killed, 1); /* a child of another kind goes on */
    assert_int_equal(saves, 2);
    running = CHILD_NONE;
    loads = true;
    db_hooks.emptied();
    loads = false;
    assert_true(set("save", ""));
    db_hooks.emptied();
    assert_int_equal(saves, 2);
}

/* --- The option ------------------------------------------------------------------------------ */

static void check_points(const char *shown, const char *lines) {
    const struct option *o = config_find(SLICE("save"));
    struct buf out = {0};
    directive_print(o, &out);
    buf_append(&out, "", 1);
    assert_string_equal(out.data, shown);
    out.len = 0;
    o->lines(&out);
    buf_append(&out, "", 1);
    assert_string_equal(out.data, lines);
    buf_free(&out);
}

static bool set_line(const char *line) {
    const char *error;
    struct words w;
    assert_true(words_split(&w, slice_cstr(line)));
    bool ok = config_set_at_start(config_find(SLICE("save")), (const char *const *)w.at, w.count, &error);
    words_free(&w);
    return ok;
}

/* Must be the first test: later on the server has started. */
static void lines_of_the_file_add_up(void **state) {
    (void)state;
    config_register(bgsave_module.options);
    check_points("3600 1 300 100 60 10000", "save 3600 1\nsave 300 100\nsave 60 10000\n");
    assert_true(set_line("900 1"));
    check_points("900 1", "save 900 1\n"); /* the first line replaces the initial points */
    assert_true(set_line("300 10 60 10000"));
    check_points("900 1 300 10 60 10000", "save 900 1\nsave 300 10\nsave 60 10000\n");
    assert_true(set_line("\"\""));
    check_points("", "save \"\"\n");
    assert_true(set_line("5 0"));
    check_points("5 0", "save 5 0\n");
    config_started();
}

static void a_value_at_run_time_is_the_whole_list(void **state) {
    (void)state;
    assert_true(set("save", "10 1 20 2"));
    assert_true(set("save", "30 3"));
    check_points("30 3", "save 30 3\n");
    static const char *const wrong[] = {"10", "0 1", "10 -1", "x 1", "10 y", "1 1 2"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(set("save", wrong[i]));
    char many[65 * 4 + 1] = "";
    for (int i = 0; i < 65; i++)
        strcat(many, "1 1 ");
    assert_false(set("save", many));
    check_points("30 3", "save 30 3\n");
}

/* Servers with save points do not share a snapshot. */
static void save_points_need_the_lock(void **state) {
    (void)state;
    assert_true(lock_wanted);
    assert_true(set("save", ""));
    assert_false(lock_wanted);
    locked_elsewhere = true;
    assert_false(set("save", "1 1"));
    locked_elsewhere = false;
    assert_false(bgsave_has_points());
}

static int start(void **state) {
    (void)state;
    log_set_level(LOG_NOTHING);
    hash_init();
    clock_init();
    db_init(1);
    bgsave_ended = note_end;
    bgsave_done = note_done;
    bgsave_module.start();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_the_file_add_up),
        cmocka_unit_test_setup(a_save_point_needs_both_time_and_changes, reset),
        cmocka_unit_test_setup(a_scheduled_save_waits_for_the_running_child, reset),
        cmocka_unit_test_setup(a_child_saves_what_it_saw_at_the_fork, reset),
        cmocka_unit_test_setup(after_a_failure_there_is_a_pause, reset),
        cmocka_unit_test_setup(a_killed_child_has_failed_unless_we_did_it, reset),
        cmocka_unit_test_setup(a_fork_that_fails_is_a_failure, reset),
        cmocka_unit_test_setup(writes_stop_while_a_failed_save_matters, reset),
        cmocka_unit_test_setup(flushall_is_saved_at_once, reset),
        cmocka_unit_test_setup(save_points_need_the_lock, reset),
        cmocka_unit_test_setup(a_value_at_run_time_is_the_whole_list, reset),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
