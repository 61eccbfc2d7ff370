/* Jobs in the background: they run in order on the worker, and each end is told once, in the loop. */
#include "base/clock.h"
#include "base/worker.h"
#include "disk/background.h"
#include "net/loop.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#define JOBS 50

struct numbered {
    struct background_job job; /* first */
    int number, runs;
    pthread_t ran_on;
};

static struct numbered jobs[JOBS];
static int run_count, done_count; /* run_count: written by the worker, read after its report */

static void run(struct background_job *job) {
    struct numbered *n = (struct numbered *)job;
    n->ran_on = pthread_self();
    n->runs++;
    if (n->number % 10 == 0) usleep(1000);
    run_count++;
}

static void done(struct background_job *job) {
    struct numbered *n = (struct numbered *)job;
    assert_int_equal(n->number, done_count);
    done_count++;
}

static void run_again(struct background_job *job) {
    struct numbered *n = (struct numbered *)job;
    if (n->runs < 3)
        background_run(job);
    else
        done_count = JOBS;
}

static int until_done(void) {
    if (done_count == JOBS) loop_stop();
    return -1;
}

static void submit_all(void) {
    run_count = done_count = 0;
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (struct numbered){.job = {.run = run, .done = done}, .number = i};
        background_run(&jobs[i].job);
    }
}

static void ends_are_told_in_order(void **state) {
    (void)state;
    submit_all();
    assert_int_equal(done_count, 0); /* only the loop tells */
    loop_run(until_done);
    assert_int_equal(run_count, JOBS);
    for (int i = 0; i < JOBS; i++) {
        assert_int_equal(jobs[i].runs, 1);
        assert_false(pthread_equal(jobs[i].ran_on, pthread_self()));
    }
}

static void a_job_may_run_again(void **state) {
    struct numbered again = {.job = {.run = run, .done = run_again}, .number = 1};
    (void)state;
    done_count = 0;
    background_run(&again.job);
    loop_run(until_done);
    assert_int_equal(again.runs, 3);
}

static void without_a_worker_jobs_run_at_once(void **state) {
    (void)state;
    worker_stop();
    submit_all();
    assert_int_equal(run_count, JOBS);
    assert_int_equal(done_count, 0);
    loop_run(until_done);
    worker_start();
}

int main(void) {
    clock_init();
    clock_update();
    worker_start();
    if (!loop_init(64)) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_are_told_in_order),
        cmocka_unit_test(a_job_may_run_again),
        cmocka_unit_test(without_a_worker_jobs_run_at_once),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    worker_stop();
    loop_close();
    return failed;
}
