/* The reactor. Timers fire in the order of their deadlines, whichever are started, moved and stopped (compared with a
 * plain list). Sources get the events that they wait for, and none once removed, even if the same wait has named
 * them. */
#include "base/clock.h"
#include "base/rand.h"
#include "net/loop.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static int stop_now(void) {
    loop_stop();
    return 0;
}

/* Take n turns: the loop serves all that is ready or due. */
static int turns_left;
static int count_down(void) {
    if (--turns_left <= 0) loop_stop();
    return 0;
}
static void run_turns(int n) {
    turns_left = n + 1; /* the first call precedes the first wait */
    loop_run(count_down);
}

/* --- Timers ---------------------------------------------------------------------------------- */

#define TIMERS 64

static struct loop_timer timers[TIMERS];
static int64_t fired_due_us[100000];
static int fired;
static bool runs[TIMERS]; /* the model: the timers that have still to fire */

static void note(struct loop_timer *timer) {
    assert_true(runs[timer - timers]);
    assert_int_equal(timer->heap_index, -1);
    runs[timer - timers] = false;
    fired_due_us[fired++] = timer->due_us;
}

static int running(void) {
    int n = 0;
    for (int i = 0; i < TIMERS; i++)
        n += runs[i];
    return n;
}

static void timers_against_a_list(void **state) {
    (void)state;
    uint64_t seed = (uint64_t)clock_mono_us();
    printf("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    for (int i = 0; i < TIMERS; i++)
        loop_timer_init(&timers[i], note);
    for (int round = 0; round < 300; round++) {
        for (int change = 0; change < 40; change++) {
            int i = (int)rand_below(TIMERS);
            if (rand_below(3) == 0) {
                loop_timer_stop(&timers[i]);
                runs[i] = false;
            } else {
                int64_t before_us = clock_mono_us(), delay_us = (int64_t)rand_below(2000) - 50;
                loop_timer_start(&timers[i], delay_us);
                runs[i] = true;
                assert_true(timers[i].due_us >= before_us + delay_us);
            }
            assert_int_equal(timers[i].heap_index >= 0, runs[i]);
        }
        fired = 0;
        run_turns(1);
        int64_t now_us = clock_mono_us();
        for (int i = 1; i < fired; i++)
            assert_true(fired_due_us[i - 1] <= fired_due_us[i]);
        for (int i = 0; i < fired; i++)
            assert_true(fired_due_us[i] <= now_us);
    }
    while (running()) /* the others fire too, and the loop sleeps until then */
        run_turns(1);
}

static int rounds;
static int64_t last_us;
static void again(struct loop_timer *timer) {
    last_us = clock_mono_us();
    if (++rounds < 3) {
        loop_timer_start(timer, 2000);
    } else {
        loop_stop();
    }
}
static int no_limit(void) {
    return -1;
}

static void a_timer_that_starts_itself(void **state) {
    (void)state;
    struct loop_timer timer;
    loop_timer_init(&timer, again);
    int64_t began_us = clock_mono_us();
    uint64_t turns = loop_turns();
    loop_timer_start(&timer, 2000);
    loop_run(no_limit);
    assert_int_equal(rounds, 3);
    assert_true(last_us - began_us >= 6000);
    assert_true(loop_turns() - turns < 10); /* the loop slept and did not spin */
    loop_timer_stop(&timer);                /* a second stop does nothing */
    assert_int_equal(timer.heap_index, -1);
}

static struct loop_timer victim;
static void stop_victim(struct loop_timer *timer) {
    (void)timer;
    loop_timer_stop(&victim);
}
static void never(struct loop_timer *timer) {
    (void)timer;
    fail_msg("a stopped timer fired");
}

static void a_due_timer_is_stopped_by_an_earlier_one(void **state) {
    (void)state;
    struct loop_timer first;
    loop_timer_init(&first, stop_victim);
    loop_timer_init(&victim, never);
    loop_timer_start(&first, -20);
    loop_timer_start(&victim, -10);
    run_turns(2);
}

/* --- Sources --------------------------------------------------------------------------------- */

struct peer {
    struct loop_source source; /* first */
    int other_end, calls;
    uint32_t events;
    struct peer *removes;
};

static void peer_ready(struct loop_source *source, uint32_t events) {
    struct peer *p = (struct peer *)source;
    p->calls++;
    p->events = events;
    if (p->removes) loop_remove(&p->removes->source);
}

static void peer_open(struct peer *p, uint32_t events) {
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    *p = (struct peer){.source = {.fd = fds[0], .ready = peer_ready}, .other_end = fds[1]};
    assert_true(loop_add(&p->source, events));
}

static void peer_close(struct peer *p) {
    loop_remove(&p->source);
    close(p->source.fd);
    close(p->other_end);
}

static void events_that_are_waited_for(void **state) {
    (void)state;
    struct peer p;
    peer_open(&p, LOOP_READ);
    run_turns(1);
    assert_int_equal(p.calls, 0);
    assert_int_equal(write(p.other_end, "x", 1), 1);
    run_turns(2); /* not read: it is reported again */
    assert_int_equal(p.calls, 2);
    assert_int_equal(p.events, LOOP_READ);
    assert_true(loop_set_events(&p.source, LOOP_READ | LOOP_WRITE));
    run_turns(1);
    assert_int_equal(p.events, LOOP_READ | LOOP_WRITE);
    assert_true(loop_set_events(&p.source, 0));
    run_turns(1);
    assert_int_equal(p.calls, 3);
    peer_close(&p);
}

/* Two sources are ready in the same wait: the one that is called first removes the other. */
static void removed_in_the_turn_that_names_it(void **state) {
    (void)state;
    struct peer a, b;
    peer_open(&a, LOOP_READ);
    peer_open(&b, LOOP_READ);
    a.removes = &b;
    b.removes = &a;
    assert_int_equal(write(a.other_end, "x", 1), 1);
    assert_int_equal(write(b.other_end, "x", 1), 1);
    run_turns(3);
    assert_int_equal((a.calls == 0) + (b.calls == 0), 1);
    assert_int_equal(a.calls + b.calls, 3); /* the one that is left is still called */
    close(a.source.fd);
    close(b.source.fd);
    close(a.other_end);
    close(b.other_end);
}

static void an_fd_that_epoll_refuses(void **state) {
    (void)state;
    struct loop_source source = {.fd = -1, .ready = peer_ready};
    assert_false(loop_add(&source, LOOP_READ));
}

/* --- The turn -------------------------------------------------------------------------------- */

static int turns_seen;
static int wake_then_stop(void) {
    if (turns_seen++ == 0) {
        loop_wake();
        loop_wake();
        return -1; /* without a limit, it would sleep for ever */
    }
    return stop_now();
}

static void a_wake_ends_the_wait(void **state) {
    (void)state;
    loop_run(wake_then_stop);
    assert_int_equal(turns_seen, 2);
}

static int open_loop(void **state) {
    (void)state;
    clock_init();
    return loop_init(16) ? 0 : -1;
}

static int close_loop(void **state) {
    (void)state;
    loop_close();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_against_a_list),
        cmocka_unit_test(a_timer_that_starts_itself),
        cmocka_unit_test(a_due_timer_is_stopped_by_an_earlier_one),
        cmocka_unit_test(events_that_are_waited_for),
        cmocka_unit_test(removed_in_the_turn_that_names_it),
        cmocka_unit_test(an_fd_that_epoll_refuses),
        cmocka_unit_test(a_wake_ends_the_wait),
    };
    return cmocka_run_group_tests(tests, open_loop, close_loop);
}
