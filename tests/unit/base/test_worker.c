/* The background thread: order, drain, stop, fork. */
#include "base/alloc.h"
#include "base/worker.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned order[10000], done;

static void note(void *arg) {
    order[done++] = (unsigned)(uintptr_t)arg;
}

static void runs_in_order(void **state) {
    (void)state;
    size_t before = alloc_used();
    worker_start();
    worker_start(); /* idempotent */
    done = 0;
    for (uintptr_t i = 0; i < 10000; i++)
        worker_submit(note, (void *)i);
    worker_drain();
    assert_int_equal(worker_pending(), 0);
    assert_int_equal(done, 10000);
    for (unsigned i = 0; i < 10000; i++)
        assert_int_equal(order[i], i);
    for (uintptr_t i = done = 0; i < 100; i++)
        worker_submit(note, (void *)i);
    worker_stop(); /* runs the queued jobs */
    assert_int_equal(done, 100);
    worker_stop();
    assert_int_equal(alloc_used(), before);
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void wait_at_gate(void *arg) {
    (void)arg;
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
}

static void free_1000(void *p) {
    alloc_put(p, 1000);
}

static void allocate_64(void *p) {
    *(void **)p = alloc_get(64);
}

static int64_t left(void) {
    return alloc_balance() - worker_freed();
}

/* From the moment in which a job is submitted, whatever the thread does meanwhile. A wrong guess is corrected at the
 * job's end, and what other jobs free or allocate counts then, too. */
static void what_is_to_be_freed_counts_as_freed(void **state) {
    (void)state;
    void *kept;
    worker_start();
    worker_drain();
    int64_t before = left();
    size_t used = alloc_used(), class = alloc_class(1000);
    void *exact = alloc_get(1000), *guessed = alloc_get(1000), *untold = alloc_get(1000);
    assert_int_equal(left(), before + 3 * (int64_t) class);
    pthread_mutex_lock(&gate);
    worker_submit(wait_at_gate, NULL);
    worker_submit_free(free_1000, exact, class);
    worker_submit_free(free_1000, guessed, 100);
    worker_submit(free_1000, untold);
    worker_submit(allocate_64, &kept);
    assert_int_equal(left(), before + 2 * (int64_t) class - 100);
    assert_true(alloc_used() >= used + 3 * class);
    pthread_mutex_unlock(&gate);
    worker_drain();
    assert_int_equal(left(), before + 64);
    assert_int_equal(alloc_used(), used + 64);
    alloc_put(kept, 64);
    worker_stop();
    assert_int_equal(left(), before);
    void *p = alloc_get(1000);
    worker_submit_free(free_1000, p, class); /* no thread: it is done at once */
    assert_int_equal(left(), before);
}

static void without_a_thread_jobs_run_at_once(void **state) {
    (void)state;
    done = 0;
    worker_submit(note, (void *)7);
    assert_int_equal(done, 1);
    assert_int_equal(order[0], 7);
    worker_drain();
}

struct seen {
    char name[16];
    sigset_t blocked;
};

static void look(void *arg) {
    struct seen *seen = arg;
    prctl(PR_GET_NAME, seen->name);
    pthread_sigmask(SIG_SETMASK, NULL, &seen->blocked);
}

static void has_a_name_and_no_signals(void **state) {
    (void)state;
    struct seen seen;
    worker_start();
    worker_submit(look, &seen);
    worker_drain();
    assert_string_equal(seen.name, "kura-worker");
    assert_true(sigismember(&seen.blocked, SIGTERM) && sigismember(&seen.blocked, SIGINT));
    sigset_t mine;
    pthread_sigmask(SIG_SETMASK, NULL, &mine);
    assert_false(sigismember(&mine, SIGTERM));
    worker_stop();
}

static void nap(void *arg) {
    (void)arg;
    usleep(1000);
}

static void a_forked_child_runs_its_own(void **state) {
    (void)state;
    worker_start();
    for (int i = 0; i < 20; i++)
        worker_submit(nap, NULL);
    for (int i = 0; i < 10; i++) {
        pid_t child = fork();
        if (child == 0) {
            done = 0;
            worker_submit(note, NULL);
            worker_drain();
            bool inherited = done != 1 || worker_pending() != 0;
            worker_start();
            worker_submit(note, NULL);
            worker_stop();
            _exit(inherited || done != 2);
        }
        int status = -1;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    worker_stop();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_in_order),
        cmocka_unit_test(what_is_to_be_freed_counts_as_freed),
        cmocka_unit_test(without_a_thread_jobs_run_at_once),
        cmocka_unit_test(has_a_name_and_no_signals),
        cmocka_unit_test(a_forked_child_runs_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
