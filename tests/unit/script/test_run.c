/* Runs: what may not start, when others are served, who may end one and with which words. The busy turn is a fake, and
 * so is the script: a run that ticks. */
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/module.h"
#include "catalog/catalog.h"
#include "conf/config.h"
#include "exec/busy.h"
#include "exec/call.h"
#include "net/conn.h"
#include "script/run.h"
#include "session/client.h"
#include "session/gates.h"
#include "session/request.h"
#include "store/db.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

extern const struct module run_module;

/* --- Fakes ----------------------------------------------------------------------------------- */

static const struct gate *closed; /* NULL: nothing is busy */
static int turns;
static void (*during)(void); /* a turn, or NULL */

void busy_begin(const struct gate *gate) {
    assert_null(closed);
    closed = gate;
}
void busy_end(void) {
    assert_non_null(closed);
    closed = NULL;
}
void busy_turn(void) {
    assert_non_null(closed);
    turns++;
    if (during) during();
}

/* --- A run ----------------------------------------------------------------------------------- */

static struct client caller, other;
static struct slice argv[] = {{"eval", 4}, {"text", 4}, {"0", 1}};
static struct request request = {.client = &caller, .argv = argv, .argc = 3};
static struct script_run run;

static void get(struct request *r) {
    conn_write("+got\r\n", 6);
    (void)r;
}

static const struct command rows[] = {
    {"get", get, 1, .flags = CMD_READONLY, .group = GROUP_STRING, .since = "1.0.0", .summary = "Reads."},
    {"set", get, 1, .flags = CMD_WRITE, .group = GROUP_STRING, .since = "1.0.0", .summary = "Writes."},
    {NULL},
};

static bool begin(unsigned flags, bool is_function, bool is_ro) {
    run = (struct script_run){
        .request = &request, .name = "x", .flags = flags, .is_function = is_function, .is_ro_command = is_ro};
    call_start_clock();
    return run_begin(&run);
}

/* Its first byte tells if that was an error. */
static char call_of(const char *name) {
    struct slice words[] = {slice_cstr(name)};
    struct request r = {.argv = words, .argc = 1};
    size_t mark = conn_mark();
    inner_call(&run.inner, &r);
    char first = conn_arena.data[mark];
    conn_truncate(mark);
    return first;
}

static void expect_reply(const char *text) {
    struct slice said = slice_of(conn_arena.data, conn_mark());
    assert_int_equal(said.len, strlen(text));
    assert_memory_equal(said.ptr, text, said.len);
    conn_truncate(0);
}

static void set_threshold(const char *ms) {
    struct config_error error;
    assert_true(config_set((struct slice[]){SLICE("busy-reply-threshold"), slice_cstr(ms)}, 1, true, &error));
}

static void wait_a_millisecond(void) {
    uint64_t until = clock_ticks() + clock_ns_to_ticks(1100000);
    while (clock_ticks() < until) {
    }
}

static int setup(void **state) {
    (void)state;
    caller = other = (struct client){.db = db_at(0), .resp = 2};
    turns = 0;
    during = NULL;
    call_is_replayed = false;
    set_threshold("1");
    return 0;
}

/* --- The start ------------------------------------------------------------------------------- */

static void a_command_for_reading_runs_no_script_that_says_it_may_write(void **state) {
    (void)state;
    assert_false(begin(0, false, true));
    expect_reply("-ERR Can not execute a script with write flag using *_ro command.\r\n");
    assert_null(run_current);
    assert_false(begin(SCRIPT_ALLOW_OOM, true, true));
    conn_truncate(0);
    assert_true(begin(SCRIPT_NO_WRITES, true, true));
    run_end(&run);
    assert_true(begin(SCRIPT_OLD_RULES, false, true));
    assert_ptr_equal(run_current, &run);
    run_end(&run);
    assert_null(run_current);
    assert_int_equal(conn_mark(), 0);
}

static void writes_are_refused_where_they_were_disclaimed(void **state) {
    (void)state;
    static const struct {
        unsigned flags;
        bool is_ro;
        char set;
    } cases[] = {{0, false, '+'},
                 {SCRIPT_OLD_RULES, false, '+'},
                 {SCRIPT_OLD_RULES, true, '-'},
                 {SCRIPT_NO_WRITES, false, '-'},
                 {SCRIPT_NO_WRITES, true, '-'}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(begin(cases[i].flags, false, cases[i].is_ro));
        assert_int_equal(call_of("get"), '+');
        assert_int_equal(call_of("set"), cases[i].set);
        run_end(&run);
    }
}

/* --- Busy ------------------------------------------------------------------------------------ */

static void others_are_served_from_the_threshold_on(void **state) {
    (void)state;
    set_threshold("60000");
    assert_true(begin(0, false, false));
    for (int i = 0; i < 1000; i++)
        assert_false(run_tick(&run));
    assert_true(turns == 0 && closed == NULL && !run.is_busy);
    run_end(&run);

    set_threshold("1");
    assert_true(begin(0, false, false));
    wait_a_millisecond();
    assert_false(run_tick(&run));
    assert_false(run_tick(&run));
    assert_true(turns == 2 && run.is_busy && run_duration_ms(&run) >= 1);
    assert_string_equal(closed->error,
                        "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.");
    run_end(&run);
    assert_null(closed);

    assert_true(begin(0, true, false));
    wait_a_millisecond();
    run_tick(&run);
    assert_string_equal(closed->error,
                        "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.");
    run_end(&run);
}

static void without_a_threshold_nothing_is_busy(void **state) {
    (void)state;
    set_threshold("0");
    assert_true(begin(0, false, false));
    wait_a_millisecond();
    assert_false(run_tick(&run));
    assert_true(turns == 0 && closed == NULL);
    run_end(&run);
    set_threshold("9223372036854775807");
    assert_true(begin(0, false, false));
    assert_false(run_tick(&run));
    assert_int_equal(turns, 0);
    run_end(&run);
}

/* --- Ends ------------------------------------------------------------------------------------ */

static bool kill_function;
static const char *expected; /* reply */

/* The reply goes to an arena of its own there; here it follows what the run has open. */
static void kill_it(void) {
    size_t mark = conn_mark();
    run_kill(&other, kill_function);
    assert_int_equal(conn_mark() - mark, strlen(expected));
    assert_memory_equal(conn_arena.data + mark, expected, strlen(expected));
    conn_truncate(mark);
}

static bool is_killed(bool is_function, bool writes, bool replayed, bool by_function_kill, const char *reply) {
    call_is_replayed = replayed;
    assert_true(begin(0, is_function, false));
    call_is_replayed = false;
    call_of(writes ? "set" : "get");
    wait_a_millisecond();
    kill_function = by_function_kill;
    expected = reply;
    during = kill_it;
    turns = 0;
    bool killed = run_tick(&run);
    assert_int_equal(turns, 1);
    during = NULL;
    assert_int_equal(run_tick(&run), killed); /* as often as it is asked, and nobody is served any more */
    assert_int_equal(turns, killed ? 1 : 2);
    run_end(&run);
    return killed;
}

static void a_run_that_has_only_read_can_be_killed(void **state) {
    (void)state;
    assert_true(is_killed(false, false, false, false, "+OK\r\n"));
    assert_true(is_killed(true, false, false, true, "+OK\r\n"));
}

static void nothing_else_can_be_killed(void **state) {
    (void)state;
    static const char written[] =
        "-UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the "
        "script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.\r\n";
    static const char replayed[] = "-UNKILLABLE The busy script was sent by a master instance in the context of "
                                   "replication and cannot be killed.\r\n";
    assert_false(is_killed(false, true, false, false, written));
    assert_false(is_killed(true, true, false, false, written));
    assert_false(is_killed(false, false, true, false, replayed));
    assert_false(
        is_killed(false, false, false, true,
                  "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n"));
    assert_false(
        is_killed(true, false, false, false,
                  "-BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.\r\n"));
    run_kill(&other, false);
    expect_reply("-NOTBUSY No scripts in execution right now.\r\n");
}

int main(void) {
    clock_init();
    hash_init();
    db_init(1);
    log_set_level(LOG_NOTHING);
    catalog_register(rows);
    catalog_ready();
    config_register(run_module.options);
    run_module.start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_command_for_reading_runs_no_script_that_says_it_may_write, setup),
        cmocka_unit_test_setup(writes_are_refused_where_they_were_disclaimed, setup),
        cmocka_unit_test_setup(others_are_served_from_the_threshold_on, setup),
        cmocka_unit_test_setup(without_a_threshold_nothing_is_busy, setup),
        cmocka_unit_test_setup(a_run_that_has_only_read_can_be_killed, setup),
        cmocka_unit_test_setup(nothing_else_can_be_killed, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
