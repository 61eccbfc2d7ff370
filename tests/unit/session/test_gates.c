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

/* --- Scripts and their calls ----------------------------------------------------------------- */

static struct client *asked_client;
static bool holds_for_calls(const struct request *r, unsigned flags) {
    asked_client = r->client;
    seen_flags = flags;
    return true;
}

static void gates_name_the_calls_that_they_stop(void **state) {
    static const struct gate writes = {.holds = holds_for_calls, .stops_calls = CMD_WRITE},
                             stale = {.passes = CMD_STALE, .stops_calls = GATES_ANY},
                             open = {.holds = holds_for_the_request, .stops_calls = CMD_DENYOOM};
    struct client *c = (struct client *)&other; /* it is only passed on */
    (void)state;
    gates_set(GATES_AUTH, &every); /* what passes the script passes its calls */
    gates_set(GATES_DISK, &writes);
    gates_set(GATES_MEMORY, &open);
    struct gates_for_calls found = gates_for_calls(c);
    assert_int_equal(found.places, 1u << GATES_DISK);
    assert_int_equal(found.stops, CMD_WRITE);
    assert_ptr_equal(asked_client, c);
    assert_ptr_equal(gates_find_for_call(found.places, CMD_WRITE | CMD_DENYOOM), &writes);
    assert_null(gates_find_for_call(found.places, CMD_READONLY | CMD_DENYOOM));
    assert_null(gates_find_for_call(0, CMD_WRITE));
    gates_set(GATES_STALE, &stale);
    found = gates_for_calls(c);
    assert_int_equal(found.places, 1u << GATES_DISK | 1u << GATES_STALE);
    assert_int_equal(found.stops, CMD_WRITE | GATES_ANY);
    assert_ptr_equal(gates_find_for_call(found.places, CMD_WRITE), &stale);
    assert_ptr_equal(gates_find_for_call(found.places, CMD_WRITE | CMD_STALE), &writes);
    assert_null(gates_find_for_call(found.places, CMD_STALE));
    gates_set(GATES_DISK, NULL); /* while the script runs */
    assert_null(gates_find_for_call(found.places, CMD_WRITE | CMD_STALE));
}

static unsigned judged(const struct request *r) {
    return r->argc == 1 ? CMD_WRITE : CMD_READONLY;
}

static void scripts_are_judged_by_what_they_say(void **state) {
    static const struct command runs = {.flags = CMD_RUNS_SCRIPT | CMD_STALE}, get = {.flags = CMD_READONLY};
    static const struct gate writes = {.stops = CMD_WRITE};
    struct request script = {.command = &runs, .argc = 1}, plain = {.command = &get, .argc = 1};
    (void)state;
    assert_int_equal(gates_flags_of(&script), runs.flags); /* nobody judges them */
    gates_judge_scripts(judged);
    assert_int_equal(gates_flags_of(&script), CMD_WRITE);
    assert_int_equal(gates_flags_of(&plain), CMD_READONLY);
    script.argc = 2;
    assert_int_equal(gates_flags_of(&script), CMD_READONLY);
    gates_set(GATES_READONLY, &writes);
    assert_true(gates_may_stop_command(runs.flags)); /* what its row says is not enough */
    gates_judge_scripts(NULL);
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
        cmocka_unit_test_setup(gates_name_the_calls_that_they_stop, open_all),
        cmocka_unit_test_setup(scripts_are_judged_by_what_they_say, open_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
