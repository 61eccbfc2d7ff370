/* The end: it is carried out at the end of a turn, may fail or be taken back, and signals ask for it as their options
 * say. What the end does to sockets, the pid file and waiting clients is a fake. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "conf/config.h"
#include "exec/block.h"
#include "exec/busy.h"
#include "net/conn.h"
#include "net/loop.h"
#include "process/listen.h"
#include "process/process.h"
#include "process/shutdown.h"
#include "session/client.h"
#include "session/request.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

extern const struct module shutdown_module;

/* --- Fakes ----------------------------------------------------------------------------------- */

static struct buf done; /* what was called, in order */

static void expect_done(const char *expected) {
    buf_append(&done, "", 1);
    assert_string_equal(done.data, expected);
    buf_free(&done);
}

void block_postpone(struct request *r) {
    (void)r;
    buf_append_cstr(&done, "postpone ");
}
void block_resume_all(void) {
    buf_append_cstr(&done, "resume ");
}
static const char *busy_text; /* NULL: no command is busy */
const char *busy_error(void) {
    return busy_text;
}
void process_notify(const char *state) {
    buf_printf(&done, "%.8s ", state);
}
void process_remove_pid_file(void) {
    buf_append_cstr(&done, "pid ");
}
void listen_stop(void) {
    buf_append_cstr(&done, "listen ");
}

static bool saved = true;

static bool save(unsigned flags) {
    buf_printf(&done, "save:%u ", flags);
    return saved;
}

/* Take turns until the loop ends, at most a few. */
static int turns;

static int turn(void) {
    shutdown_turn();
    if (++turns > 3) loop_stop();
    return 0;
}

static bool ends(void) {
    turns = 0;
    loop_run(turn);
    return turns <= 3;
}

/* Send SHUTDOWN with these words; returns the reply, "" if there is none. Valid until the next. */
static const char *shutdown_with(struct client *c, const char *words) {
    static char reply[100], copy[100];
    struct slice argv[8] = {SLICE("shutdown")};
    struct request r = {.client = c, .argv = argv, .argc = 1};
    snprintf(copy, sizeof copy, "%s", words);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        argv[r.argc++] = slice_cstr(word);
    size_t mark = conn_mark();
    shutdown_module.commands->body(&r);
    snprintf(reply, sizeof reply, "%.*s", (int)(conn_mark() - mark), conn_arena.data ? conn_arena.data + mark : "");
    conn_truncate(mark);
    return reply;
}

static void set(const char *name, const char *value) {
    struct config_error error;
    assert_true(config_set((struct slice[]){slice_cstr(name), slice_cstr(value)}, 1, true, &error));
}

/* A test that ends the loop does it in a child, since that is for ever. */
static void in_a_child(void (*test)(void)) {
    fflush(NULL);
    pid_t pid = fork();
    int status;
    if (pid == 0) {
        test();
        _exit(0); /* a failed assertion has not come here */
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

#define REQUIRE(condition)                           \
    do {                                             \
        if (!(condition)) _exit(__LINE__ % 255 + 1); \
    } while (0)

static bool was_done(const char *expected) {
    bool same = slice_eq(buf_slice(&done), slice_cstr(expected));
    buf_free(&done);
    return same;
}

/* --- Tests ----------------------------------------------------------------------------------- */

static void end_after_saving(void) {
    struct client c = {.resp = 2};
    REQUIRE(strcmp(shutdown_with(&c, "NoSave now"), "") == 0);
    REQUIRE(shutdown_is_requested() && c.flags & CLIENT_ENDING);
    REQUIRE(ends() && turns == 1);
    REQUIRE(was_done("postpone save:6 "));
    shutdown_turn(); /* once is enough */
    REQUIRE(was_done(""));
    shutdown_finish();
    REQUIRE(was_done("STOPPING pid listen "));
}

/* It does not return: what is behind it has not happened. */
static bool end_of_nosave(unsigned flags) {
    if (flags != (SHUTDOWN_NOSAVE | SHUTDOWN_FORCE)) _exit(99);
    buf_free(&done);
    return true;
}

static void end_inside_of_a_command(void) {
    struct client c = {.resp = 2};
    busy_text = "BUSY so it is";
    REQUIRE(strcmp(shutdown_with(&c, ""), "-BUSY so it is\r\n") == 0);
    REQUIRE(strcmp(shutdown_with(&c, "save now force"), "-BUSY so it is\r\n") == 0);
    REQUIRE(strcmp(shutdown_with(&c, "abort"), "-ERR No shutdown in progress.\r\n") == 0);
    REQUIRE(!shutdown_is_requested() && was_done(""));
    shutdown_before_end = end_of_nosave;
    shutdown_with(&c, "nosave");
    REQUIRE(false);
}

static void inside_of_a_busy_command_only_nosave_ends_the_process_and_at_once(void **state) {
    (void)state;
    in_a_child(end_inside_of_a_command);
}

static void a_shutdown_ends_the_loop_after_saving(void **state) {
    (void)state;
    in_a_child(end_after_saving);
}

static void end_without_saving(void) {
    struct client c = {.resp = 2};
    saved = false;
    shutdown_with(&c, "force");
    REQUIRE(ends());
    REQUIRE(was_done("postpone save:8 "));
}

static void end_with_nothing_to_save(void) {
    shutdown_before_end = NULL;
    shutdown_request(0);
    REQUIRE(ends());
}

static void a_forced_shutdown_cannot_fail(void **state) {
    (void)state;
    in_a_child(end_without_saving);
    in_a_child(end_with_nothing_to_save);
}

static void a_failed_shutdown_lets_clients_go_on(void **state) {
    (void)state;
    struct client c = {.resp = 2};
    saved = false;
    assert_string_equal(shutdown_with(&c, "save"), "");
    assert_false(ends());
    expect_done("postpone save:1 resume ");
    assert_false(shutdown_is_requested());
    /* Its request is run again. */
    assert_string_equal(shutdown_with(&c, "save"), "-ERR Errors trying to SHUTDOWN. Check logs.\r\n");
    assert_int_equal(c.flags & CLIENT_ENDING, 0);
    expect_done("");
    saved = true;
}

static void a_shutdown_can_be_taken_back(void **state) {
    (void)state;
    struct client c = {.resp = 2}, other = {.resp = 2};
    assert_string_equal(shutdown_with(&other, "abort"), "-ERR No shutdown in progress.\r\n");
    shutdown_with(&c, "");
    assert_string_equal(shutdown_with(&other, "ABORT"), "+OK\r\n");
    assert_false(shutdown_is_requested());
    assert_false(ends());
    expect_done("postpone resume ");
}

/* --- Waiting for replicas -------------------------------------------------------------------- */

static bool ready;

static bool is_ready(bool first) {
    buf_append_cstr(&done, first ? "first " : "again ");
    return ready;
}

static void waited(bool ends) {
    buf_append_cstr(&done, ends ? "ends " : "goes-on ");
}

static int set_replicas(void **state) {
    (void)state;
    ready = false;
    saved = true;
    shutdown_is_ready = is_ready;
    shutdown_waited = waited;
    set("shutdown-timeout", "10");
    return 0;
}

static int forget_replicas(void **state) {
    (void)state;
    shutdown_is_ready = NULL;
    shutdown_waited = NULL;
    saved = true;
    buf_free(&done);
    return 0;
}

static void end_when_ready(void) {
    struct client c = {.resp = 2};
    shutdown_with(&c, "");
    shutdown_turn();
    shutdown_turn();
    REQUIRE(shutdown_left_ms() > 9000 && shutdown_left_ms() <= 10000);
    REQUIRE(was_done("postpone first again "));
    ready = true;
    REQUIRE(ends() && turns == 1);
    REQUIRE(was_done("again ends save:0 "));
    REQUIRE(shutdown_left_ms() == -1);
}

static void end_at_once(void) {
    ready = true;
    shutdown_request(0);
    REQUIRE(ends());
    REQUIRE(was_done("first ends save:0 "));
}

static void end_now(void) {
    struct client c = {.resp = 2}, other = {.resp = 2};
    shutdown_with(&c, "nosave");
    shutdown_turn();
    shutdown_with(&c, "nosave"); /* its request runs again, since another client's wait is over */
    shutdown_turn();
    REQUIRE(was_done("postpone first postpone again "));
    shutdown_with(&other, "now");
    REQUIRE(ends());
    REQUIRE(was_done("postpone ends save:6 "));
}

static void end_without_time(void) {
    set("shutdown-timeout", "0");
    shutdown_request(0);
    REQUIRE(ends());
    REQUIRE(was_done("ends save:0 "));
}

static int slow_turn(void) {
    shutdown_turn();
    return -1; /* only the timer ends the wait */
}

static void end_when_the_time_is_over(void) {
    set("shutdown-timeout", "1");
    shutdown_request(0);
    int64_t began_us = clock_mono_us();
    loop_run(slow_turn);
    int64_t took_ms = (clock_mono_us() - began_us) / 1000;
    REQUIRE(took_ms >= 1000 && took_ms < 9000);
    REQUIRE(was_done("first again ends save:0 "));
}

static void a_shutdown_waits_for_replicas(void **state) {
    (void)state;
    in_a_child(end_when_ready);
    in_a_child(end_at_once);
    in_a_child(end_now);
    in_a_child(end_without_time);
    in_a_child(end_when_the_time_is_over);
}

static void a_shutdown_that_waits_can_be_taken_back(void **state) {
    struct client c = {.resp = 2}, other = {.resp = 2};
    (void)state;
    shutdown_with(&c, "");
    assert_false(ends());
    assert_string_equal(shutdown_with(&other, "abort"), "+OK\r\n");
    assert_int_equal(shutdown_left_ms(), -1);
    assert_false(ends());
    expect_done("postpone first again again again goes-on resume ");
    shutdown_with(&other, ""); /* the next one waits anew */
    shutdown_turn();
    expect_done("postpone first ");
    shutdown_with(&other, "abort");
}

static void a_shutdown_that_fails_behind_its_wait(void **state) {
    struct client c = {.resp = 2};
    (void)state;
    saved = false;
    ready = true;
    shutdown_with(&c, "save");
    shutdown_turn();
    expect_done("postpone first ends save:1 goes-on resume ");
    assert_false(shutdown_is_requested());
}

static void words_that_do_not_go_together_are_refused(void **state) {
    (void)state;
    static const char *const wrong[] = {"save nosave", "abort now", "nosave abort", "later", "now now wrong"};
    struct client c = {.resp = 2};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_string_equal(shutdown_with(&c, wrong[i]), "-ERR syntax error\r\n");
    assert_false(shutdown_is_requested());
}

static void the_options_of_signals_are_checked(void **state) {
    (void)state;
    struct config_error error;
    struct slice pair[] = {SLICE("shutdown-on-sigterm"), SLICE("save nosave")};
    assert_false(config_set(pair, 1, true, &error));
    pair[0] = SLICE("shutdown-on-sigint");
    assert_false(config_set(pair, 1, true, &error));
    assert_string_equal(error.text, "shutdown options SAVE and NOSAVE can't be used simultaneously");
    set("shutdown-on-sigint", "force save");
    set("shutdown-on-sigterm", "nosave now");
}

static void get_sigterm(void) {
    raise(SIGTERM);
    REQUIRE(!shutdown_is_requested()); /* the turn does it */
    REQUIRE(ends());
    REQUIRE(was_done("save:6 "));
}

static void get_sigint(void) {
    raise(SIGINT);
    REQUIRE(ends());
    REQUIRE(was_done("save:9 "));
}

static void get_others(void) {
    static const int harmless[] = {SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM, SIGXFSZ};
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        raise(harmless[i]);
    REQUIRE(!ends());
    REQUIRE(was_done(""));
}

/* A failed shutdown takes the signal back, so that the next one asks again. */
static void get_sigterm_twice(void) {
    saved = false;
    raise(SIGTERM);
    REQUIRE(!ends());
    REQUIRE(was_done("save:6 resume "));
    raise(SIGTERM);
    REQUIRE(!ends());
    REQUIRE(was_done("save:6 resume "));
}

static void signals_ask_for_the_end(void **state) {
    (void)state;
    in_a_child(get_sigterm);
    in_a_child(get_sigint);
    in_a_child(get_others);
    in_a_child(get_sigterm_twice);
}

static void a_second_sigint_ends_the_process_at_once(void **state) {
    (void)state;
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        raise(SIGINT);
        raise(SIGINT);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

int main(void) {
    if (!loop_init(16)) return 1;
    config_register(shutdown_module.options);
    log_set_level(LOG_NOTHING);
    shutdown_before_end = save;
    shutdown_watch_signals();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inside_of_a_busy_command_only_nosave_ends_the_process_and_at_once),
        cmocka_unit_test(a_shutdown_ends_the_loop_after_saving),
        cmocka_unit_test(a_forced_shutdown_cannot_fail),
        cmocka_unit_test(a_failed_shutdown_lets_clients_go_on),
        cmocka_unit_test(a_shutdown_can_be_taken_back),
        cmocka_unit_test_setup_teardown(a_shutdown_waits_for_replicas, set_replicas, forget_replicas),
        cmocka_unit_test_setup_teardown(a_shutdown_that_waits_can_be_taken_back, set_replicas, forget_replicas),
        cmocka_unit_test_setup_teardown(a_shutdown_that_fails_behind_its_wait, set_replicas, forget_replicas),
        cmocka_unit_test(words_that_do_not_go_together_are_refused),
        cmocka_unit_test(the_options_of_signals_are_checked),
        cmocka_unit_test(signals_ask_for_the_end),
        cmocka_unit_test(a_second_sigint_ends_the_process_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
