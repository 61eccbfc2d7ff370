/* The queue of ready clients: first come, first served, also while it is being emptied. */
#include "base/alloc.h"
#include "session/client.h"
#include "session/ready.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { CLIENTS = 200 }; /* more than the queue begins with */

static struct client clients[CLIENTS];

static void in_order(void **state) {
    (void)state;
    assert_null(ready_take());
    for (int i = 0; i < CLIENTS; i++)
        ready_add(&clients[i]);
    for (int i = 0; i < CLIENTS; i++)
        assert_ptr_equal(ready_take(), &clients[i]);
    assert_null(ready_take());
    assert_null(ready_take());
}

static void added_while_others_are_taken(void **state) {
    (void)state;
    ready_add(&clients[0]);
    ready_add(&clients[1]);
    assert_ptr_equal(ready_take(), &clients[0]);
    ready_add(&clients[0]); /* it has a second place */
    ready_add(&clients[2]);
    assert_ptr_equal(ready_take(), &clients[1]);
    assert_ptr_equal(ready_take(), &clients[0]);
    assert_ptr_equal(ready_take(), &clients[2]);
    assert_null(ready_take());
}

/* Turns of the usual size reuse the same memory. */
static void does_not_grow_with_time(void **state) {
    (void)state;
    size_t used = alloc_used();
    for (int turn = 0; turn < 1000; turn++) {
        for (int i = 0; i < 5; i++)
            ready_add(&clients[i]);
        while (ready_take()) {
        }
    }
    assert_int_equal(alloc_used(), used);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order),
        cmocka_unit_test(added_while_others_are_taken),
        cmocka_unit_test(does_not_grow_with_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
