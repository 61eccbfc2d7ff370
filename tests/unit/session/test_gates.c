/* Gates: a closed gate stops the requests for which it holds, unless their flags let them pass; the first one in order
 * gives the answer. */
#include "session/gates.h"
#include "session/request.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct request request, other;
static unsigned seen_flags;

static bool holds_for_the_request(const struct request *r, unsigned flags) {
    seen_flags = flags;
    return r == &request;
}

static const struct gate every = {.error = "ERR every"}, some = {.holds = holds_for_the_request, .error = "ERR some"};
static const struct gate passable = {.passes = CMD_LOADING | CMD_STALE, .error = "ERR passable"};

static int open_all(void **state) {
    (void)state;
    for (int i = 0; i < GATES_PLACES; i++)
        gates_set((enum gates_place)i, NULL);
    return 0;
}

static void open_gates_stop_nothing(void **state) {
    (void)state;
    assert_false(gates_may_stop());
    assert_null(gates_find_closed(&request, 0));
}

static void a_request_asks_while_any_gate_is_closed(void **state) {
    (void)state;
    for (int i = 0; i < GATES_PLACES; i++) {
        gates_set((enum gates_place)i, &every);
        assert_true(gates_may_stop());
        assert_ptr_equal(gates_find_closed(&request, 0), &every);
        gates_set((enum gates_place)i, NULL);
        assert_false(gates_may_stop());
    }
    gates_set(GATES_AUTH, &every);
    gates_set(GATES_PAUSE, &every);
    gates_set(GATES_AUTH, NULL);
    assert_true(gates_may_stop());
}

/* One that stops requests from a balance on is not asked below it, unless another gate is closed. */
static void a_gate_may_be_asked_above_a_balance_only(void **state) {
    (void)state;
    int64_t balance = alloc_main_balance();
    gates_set_above(GATES_MEMORY, &every, balance);
    assert_false(gates_may_stop());
    void *block = alloc_get(100);
    assert_true(gates_may_stop());
    gates_set_above(GATES_MEMORY, &every, balance + 1000);
    assert_false(gates_may_stop());
    static const enum gates_place others[] = {GATES_AUTH, GATES_PAUSE}; /* before it and behind it */
    for (int i = 0; i < 2; i++) {
        gates_set(others[i], &every);
        assert_true(gates_may_stop());
        gates_set(others[i], NULL);
        assert_false(gates_may_stop());
    }
    gates_set_above(GATES_MEMORY, &every, balance);
    assert_true(gates_may_stop());
    alloc_put(block, 100);
    assert_false(gates_may_stop());
    gates_set_above(GATES_MEMORY, NULL, INT64_MIN);
    assert_false(gates_may_stop());
}

static void one_of_the_flags_passes(void **state) {
    (void)state;
    gates_set(GATES_LOADING, &passable);
    assert_ptr_equal(gates_find_closed(&request, CMD_WRITE), &passable);
    assert_null(gates_find_closed(&request, CMD_WRITE | CMD_STALE));
    assert_null(gates_find_closed(&request, CMD_LOADING));
}

static void a_gate_may_stop_some_commands_only(void **state) {
    static const struct gate writes = {.stops = CMD_WRITE, .error = "ERR writes"};
    (void)state;
    gates_set(GATES_READONLY, &writes);
    assert_ptr_equal(gates_find_closed(&request, CMD_WRITE | CMD_FAST), &writes);
    assert_null(gates_find_closed(&request, CMD_READONLY));
    assert_true(gates_may_stop());
    assert_true(gates_may_stop_command(CMD_WRITE | CMD_DENYOOM));
    assert_false(gates_may_stop_command(CMD_READONLY | CMD_FAST));
    assert_false(gates_may_stop_command(0));
    assert_true(gates_may_stop_command(CMD_EXEC)); /* its queue may have a write */
    gates_set(GATES_LOADING, &passable);
    assert_true(gates_may_stop_command(0));
    gates_set(GATES_LOADING, NULL);
    assert_false(gates_may_stop_command(0));
}

static void a_gate_holds_for_some_requests(void **state) {
    (void)state;
    gates_set(GATES_DISK, &some);
    assert_ptr_equal(gates_find_closed(&request, CMD_WRITE | CMD_FAST), &some);
    assert_int_equal(seen_flags, CMD_WRITE | CMD_FAST);
    assert_null(gates_find_closed(&other, CMD_WRITE));
}

static void the_first_in_order_answers(void **state) {
    (void)state;
    gates_set(GATES_PAUSE, &every);
    gates_set(GATES_LOADING, &passable);
    gates_set(GATES_AUTH, &some);
    assert_ptr_equal(gates_find_closed(&request, CMD_LOADING), &some);
    assert_ptr_equal(gates_find_closed(&other, 0), &passable);
    assert_ptr_equal(gates_find_closed(&other, CMD_LOADING), &every);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(open_gates_stop_nothing, open_all),
        cmocka_unit_test_setup(a_request_asks_while_any_gate_is_closed, open_all),
        cmocka_unit_test_setup(a_gate_may_be_asked_above_a_balance_only, open_all),
        cmocka_unit_test_setup(one_of_the_flags_passes, open_all),
        cmocka_unit_test_setup(a_gate_may_stop_some_commands_only, open_all),
        cmocka_unit_test_setup(a_gate_holds_for_some_requests, open_all),
        cmocka_unit_test_setup(the_first_in_order_answers, open_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
