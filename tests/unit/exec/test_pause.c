/* CLIENT PAUSE alone: which requests its gate stops, when it ends, and that nothing expires meanwhile. The clients that
 * wait are a fake. */
#include "base/clock.h"
#include "base/hash.h"
#include "exec/block.h"
#include "exec/pause.h"
#include "net/loop.h"
#include "session/gates.h"
#include "session/request.h"
#include "store/db.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static int resumed;

void block_resume_all(void) {
    resumed++;
}

static int no_turn(void) {
    return 0;
}

/* Turn the loop until the pause has ended, for at most ten seconds. */
static void await_end(void) {
    int before = resumed;
    int64_t start_us = clock_mono_us();
    while (resumed == before && clock_mono_us() - start_us < 10000000)
        loop_poll(no_turn);
    assert_int_equal(resumed, before + 1);
}

static bool stopped(unsigned flags) {
    struct request r = {.client = NULL};
    const struct gate *gate = gates_find_closed(&r, flags);
    if (gate) assert_null(gate->error); /* its requests wait */
    return gate != NULL;
}

static int setup(void **state) {
    (void)state;
    clock_update();
    resumed = 0;
    return 0;
}

static int teardown(void **state) {
    (void)state;
    pause_end();
    assert_false(gates_any_closed);
    return 0;
}

static void it_stops_writes_or_all(void **state) {
    (void)state;
    assert_false(stopped(CMD_WRITE));
    pause_begin(PAUSE_WRITES, 60000);
    assert_true(stopped(CMD_WRITE | CMD_FAST));
    assert_true(stopped(CMD_MAY_REPLICATE));
    assert_false(stopped(CMD_READONLY));
    pause_end();
    assert_false(stopped(CMD_WRITE));
    pause_begin(PAUSE_ALL, 60000);
    assert_true(stopped(CMD_WRITE));
    assert_true(stopped(CMD_READONLY));
    assert_true(stopped(0));
}

static void the_stricter_mode_holds(void **state) {
    (void)state;
    pause_begin(PAUSE_WRITES, 60000);
    pause_begin(PAUSE_ALL, 1);
    assert_true(stopped(CMD_READONLY));
    pause_begin(PAUSE_WRITES, 60000);
    assert_true(stopped(CMD_READONLY));
    pause_end();
    pause_begin(PAUSE_WRITES, 60000); /* a new pause knows nothing of the one before */
    assert_false(stopped(CMD_READONLY));
}

static void it_ends_by_itself(void **state) {
    (void)state;
    int64_t start_us = clock_mono_us();
    pause_begin(PAUSE_ALL, 5);
    await_end();
    assert_true(clock_mono_us() - start_us >= 5000);
    assert_false(stopped(CMD_WRITE));
    pause_end(); /* it is over */
    assert_int_equal(resumed, 1);
}

static void the_later_end_holds(void **state) {
    (void)state;
    int64_t start_us = clock_mono_us();
    pause_begin(PAUSE_ALL, 20);
    pause_begin(PAUSE_ALL, 0);
    await_end();
    assert_true(clock_mono_us() - start_us >= 20000);
    start_us = clock_mono_us();
    pause_begin(PAUSE_ALL, 1);
    pause_begin(PAUSE_ALL, 20);
    await_end();
    assert_true(clock_mono_us() - start_us >= 20000);
}

static void any_length_is_a_length(void **state) {
    (void)state;
    pause_begin(PAUSE_ALL, INT64_MAX);
    for (int i = 0; i < 3; i++)
        loop_poll(no_turn);
    assert_true(stopped(0));
    assert_int_equal(resumed, 0);
}

static void unpause_resumes_at_once(void **state) {
    (void)state;
    pause_end(); /* without a pause */
    assert_int_equal(resumed, 0);
    pause_begin(PAUSE_ALL, 1);
    pause_end();
    assert_int_equal(resumed, 1);
    int64_t start_us = clock_mono_us();
    while (clock_mono_us() - start_us < 3000)
        loop_poll(no_turn);
    assert_int_equal(resumed, 1); /* its timer is stopped */
}

/* The later end of two pauses, even if the wall clock is set between them. */
static void the_wall_clock_is_not_asked(void **state) {
    (void)state;
    resumed = 0;
    pause_begin(PAUSE_ALL, 5);
    clock_cached_ms -= 3600000;
    pause_begin(PAUSE_ALL, 1);
    int64_t start_us = clock_mono_us();
    while (resumed == 0 && clock_mono_us() - start_us < 10000000)
        loop_poll(no_turn);
    clock_cached_ms += 3600000;
    assert_int_equal(resumed, 1);
}

static void nothing_expires_meanwhile(void **state) {
    (void)state;
    struct key key = key_of(SLICE("k"));
    db_set_string(db_at(0), &key, db_write(db_at(0), &key), SLICE("v"), clock_now_ms() + 10);
    pause_begin(PAUSE_WRITES, 60000);
    clock_cached_ms += 20;
    assert_null(db_read(db_at(0), &key));     /* it cannot be seen any more, */
    assert_non_null(db_find(db_at(0), &key)); /* but it is there */
    pause_end();
    assert_null(db_read(db_at(0), &key));
    assert_null(db_find(db_at(0), &key));
}

int main(void) {
    clock_init();
    hash_init();
    db_init(1);
    if (!loop_init(8)) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_stops_writes_or_all, setup, teardown),
        cmocka_unit_test_setup_teardown(the_stricter_mode_holds, setup, teardown),
        cmocka_unit_test_setup_teardown(it_ends_by_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(the_later_end_holds, setup, teardown),
        cmocka_unit_test_setup_teardown(any_length_is_a_length, setup, teardown),
        cmocka_unit_test_setup_teardown(unpause_resumes_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(the_wall_clock_is_not_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_expires_meanwhile, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
