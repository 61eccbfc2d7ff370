/* Replicas that fail in their full sync wait twice as long each time, up to a minute, until one succeeds. */
#include "base/clock.h"
#include "repl/backoff.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void the_wait_doubles_up_to_a_minute(void **state) {
    (void)state;
    static const int waits[] = {1, 2, 4, 8, 16, 32, 60, 60};
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        assert_int_equal(backoff_fail("a:1"), waits[i]);
        assert_int_equal(backoff_until_ms("a:1"), clock_steady_ms() + waits[i] * 1000);
    }
    assert_int_equal(backoff_until_ms("a:2"), 0);
    assert_int_equal(backoff_fail("a:2"), 1);
}

static void success_ends_it(void **state) {
    (void)state;
    backoff_fail("b:1");
    backoff_fail("b:1");
    backoff_succeed("b:1");
    assert_int_equal(backoff_until_ms("b:1"), 0);
    assert_int_equal(backoff_fail("b:1"), 1);
    backoff_succeed("unknown");
}

static void ever_new_names_push_out_others_and_nothing_more(void **state) {
    (void)state;
    char name[32];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "c:%d", i);
        assert_int_equal(backoff_fail(name), 1);
        assert_true(backoff_until_ms(name) > 0);
    }
    assert_int_equal(backoff_until_ms("c:0"), 0);
    assert_true(backoff_until_ms("c:990") > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_wait_doubles_up_to_a_minute),
        cmocka_unit_test(success_ends_it),
        cmocka_unit_test(ever_new_names_push_out_others_and_nothing_more),
    };
    clock_update();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
