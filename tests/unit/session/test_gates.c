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
    assert_false(gates_any_closed);
    assert_null(gates_find_closed(&request, 0));
}

static void any_closed_follows_every_gate(void **state) {
    (void)state;
    for (int i = 0; i < GATES_PLACES; i++) {
        gates_set((enum gates_place)i, &every);
        assert_true(gates_any_closed);
        assert_ptr_equal(gates_find_closed(&request, 0), &every);
        gates_set((enum gates_place)i, NULL);
        assert_false(gates_any_closed);
    }
    gates_set(GATES_AUTH, &every);
    gates_set(GATES_PAUSE, &every);
    gates_set(GATES_AUTH, NULL);
    assert_true(gates_any_closed);
}

static void one_of_the_flags_passes(void **state) {
    (void)state;
    gates_set(GATES_LOADING, &passable);
    assert_ptr_equal(gates_find_closed(&request, CMD_WRITE), &passable);
    assert_null(gates_find_closed(&request, CMD_WRITE | CMD_STALE));
    assert_null(gates_find_closed(&request, CMD_LOADING));
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
        cmocka_unit_test_setup(any_closed_follows_every_gate, open_all),
        cmocka_unit_test_setup(one_of_the_flags_passes, open_all),
        cmocka_unit_test_setup(a_gate_holds_for_some_requests, open_all),
        cmocka_unit_test_setup(the_first_in_order_answers, open_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
