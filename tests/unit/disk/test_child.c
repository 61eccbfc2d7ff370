/* Forked children: their ends and their reports reach the parent through the loop, at most one runs, and they hold no
 * descriptors of the parent. */
#include "base/clock.h"
#include "disk/child.h"
#include "net/loop.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct child_end end;
static int ends;
static int open_fd = -1;
static char heard[64]; /* the calls of child_changed: b for a birth, e for an end */

static int succeed(void *ctx) {
    (void)ctx;
    return 0;
}

static int fail_with_ctx(void *ctx) {
    return *(int *)ctx;
}

static int die(void *ctx) {
    (void)ctx;
    raise(SIGTERM);
    return 0;
}

static int end_by_usr1(void *ctx) {
    (void)ctx;
    raise(SIGUSR2);
    raise(SIGALRM);
    raise(SIGUSR1);
    return 0;
}

static int sleep_long(void *ctx) {
    (void)ctx;
    pause();
    return 0;
}

static int has_descriptor(void *ctx) {
    (void)ctx;
    return fcntl(open_fd, F_GETFD) < 0 && errno == EBADF ? 0 : 1;
}

static void note_end(void *ctx, const struct child_end *how) {
    (void)ctx;
    end = *how;
    ends++;
}

static void note_change(bool lives) {
    strncat(heard, lives ? "b" : "e", sizeof heard - strlen(heard) - 1);
}

/* The loop's turn: stop when the child has been reaped. */
static int until_reaped(void) {
    if (child_running() == CHILD_NONE) loop_stop();
    return -1;
}

static struct child_job job_of(int (*run)(void *), void *ctx) {
    return (struct child_job){.kind = CHILD_RDB, .run = run, .done = note_end, .ctx = ctx, .keys = 100};
}

static void run_child(int (*run)(void *), void *ctx) {
    struct child_job job = job_of(run, ctx);
    int before = ends;
    assert_true(child_start(&job));
    assert_int_equal(child_running(), CHILD_RDB);
    assert_int_equal(child_metrics.keys_total, 100);
    pid_t pid = child_pid();
    assert_true(pid > 0);
    loop_run(until_reaped);
    assert_int_equal(ends, before + 1);
    assert_int_equal(end.pid, pid);
    assert_int_equal(child_pid(), -1);
    assert_int_equal(child_metrics.keys_total, 0);
}

static void the_exit_status_arrives(void **state) {
    int status = 7;
    (void)state;
    run_child(succeed, NULL);
    assert_int_equal(end.status, 0);
    assert_int_equal(end.signal, 0);
    run_child(fail_with_ctx, &status);
    assert_int_equal(end.status, 7);
}

static void a_signal_arrives(void **state) {
    (void)state;
    run_child(die, NULL);
    assert_int_equal(end.signal, SIGTERM);
}

/* SIGUSR1 asks a child to end. The others, and SIGUSR1 in the server itself, are ignored (process/shutdown.c). */
static void a_child_ends_by_usr1(void **state) {
    static const int ignored[] = {SIGUSR1, SIGUSR2, SIGALRM};
    (void)state;
    for (size_t i = 0; i < 3; i++)
        signal(ignored[i], SIG_IGN);
    run_child(end_by_usr1, NULL);
    for (size_t i = 0; i < 3; i++)
        signal(ignored[i], SIG_DFL);
    assert_int_equal(end.signal, SIGUSR1);
}

static void the_copied_memory_is_reported(void **state) {
    (void)state;
    if (access("/proc/self/smaps_rollup", R_OK) < 0) skip();
    child_metrics.last_cow_bytes[CHILD_RDB] = 0;
    run_child(succeed, NULL);
    assert_true(child_metrics.last_cow_bytes[CHILD_RDB] > 0);
}

static void a_second_child_is_refused(void **state) {
    struct child_job job = job_of(sleep_long, NULL);
    int before = ends;
    (void)state;
    assert_true(child_start(&job));
    assert_false(child_start(&job));
    assert_int_equal(errno, EEXIST);
    child_kill();
    assert_int_equal(ends, before + 1);
    assert_int_equal(end.signal, SIGUSR1);
    assert_int_equal(child_running(), CHILD_NONE);
    child_kill(); /* without a child it does nothing */
    assert_int_equal(ends, before + 1);
}

static int reaped(void) {
    if (child_pid() < 0 && waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD) loop_stop();
    return 1;
}

static int stop_itself(void *ctx) {
    (void)ctx;
    raise(SIGSTOP);
    return 0;
}

/* child_kill() does not wait, and the next child need not wait for the end of the killed one. */
static void a_killed_child_is_reaped_by_the_loop(void **state) {
    struct child_job job = job_of(stop_itself, NULL);
    siginfo_t info = {0};
    (void)state;
    assert_true(child_start(&job));
    assert_int_equal(waitid(P_PID, (id_t)child_pid(), &info, WSTOPPED | WNOWAIT), 0);
    int64_t began_us = clock_mono_us();
    child_kill();
    assert_true(clock_mono_us() - began_us < 1000000);
    assert_int_equal(child_running(), CHILD_NONE);
    run_child(succeed, NULL);
    loop_run(reaped);
}

static void a_reservation_keeps_other_kinds_out(void **state) {
    struct child_job job = job_of(succeed, NULL);
    (void)state;
    child_reserve(CHILD_AOF);
    assert_int_equal(child_running(), CHILD_AOF);
    assert_false(child_start(&job));
    assert_int_equal(errno, EEXIST);
    job.kind = CHILD_AOF;
    assert_true(child_start(&job));
    child_kill();
    assert_int_equal(child_running(), CHILD_AOF);
    child_reserve(CHILD_NONE);
    assert_int_equal(child_running(), CHILD_NONE);
}

static void a_child_holds_no_descriptor_of_the_parent(void **state) {
    (void)state;
    open_fd = fcntl(0, F_DUPFD, 40);
    assert_true(open_fd >= 40);
    run_child(has_descriptor, NULL);
    assert_int_equal(end.status, 0);
    close(open_fd);
}

static void start_another(void *ctx, const struct child_end *how) {
    struct child_job next = job_of(succeed, NULL);
    note_end(ctx, how);
    assert_true(child_start(&next));
}

static void changes_are_told(void **state) {
    struct child_job job = job_of(succeed, NULL);
    uint64_t forks = child_metrics.forks;
    (void)state;
    heard[0] = '\0';
    child_changed = note_change;
    run_child(succeed, NULL);
    assert_string_equal(heard, "be");
    heard[0] = '\0';
    job.done = start_another; /* the next child lives already when the first has ended */
    assert_true(child_start(&job));
    loop_run(until_reaped);
    assert_string_equal(heard, "bbe");
    child_changed = NULL;
    assert_int_equal(child_metrics.forks, forks + 3);
}

static int begin(void **state) {
    (void)state;
    clock_init();
    clock_update();
    return loop_init(64) ? 0 : -1;
}

static int finish(void **state) {
    (void)state;
    loop_close();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_exit_status_arrives),
        cmocka_unit_test(a_signal_arrives),
        cmocka_unit_test(a_child_ends_by_usr1),
        cmocka_unit_test(the_copied_memory_is_reported),
        cmocka_unit_test(a_second_child_is_refused),
        cmocka_unit_test(a_killed_child_is_reaped_by_the_loop),
        cmocka_unit_test(a_reservation_keeps_other_kinds_out),
        cmocka_unit_test(a_child_holds_no_descriptor_of_the_parent),
        cmocka_unit_test(changes_are_told),
    };
    return cmocka_run_group_tests(tests, begin, finish);
}
