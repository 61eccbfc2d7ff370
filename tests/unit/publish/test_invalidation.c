/* Invalidations: each client gets the form of its protocol, written once, or nothing if it cannot be told. */
#include "publish/invalidation.h"
#include "push_lab.h"

/* Subscriptions are publish/pubsub's; that a client has some is all that counts here. */
static struct subscriber *const some = (struct subscriber *)&lab_pushed;

static void one_key(void **state) {
    (void)state;
    struct client *three = lab_client(1, 3), *two = lab_client(2, 2), *silent = lab_client(3, 2);
    struct invalidation i = {.key = SLICE("key")};
    two->subscriber = some;
    invalidation_begin(&i);
    invalidation_send(&i, three, false);
    invalidation_send(&i, two, true);
    invalidation_send(&i, silent, true);
    invalidation_send(&i, two, false); /* in RESP2 only in place of another client */
    size_t written = conn_mark();
    invalidation_send(&i, three, true);
    invalidation_send(&i, two, true);
    assert_int_equal(conn_mark(), written); /* both forms were there already */
    invalidation_end(&i);
    expect_pushed("1 >2 $10 invalidate *1 $3 key; 2 *3 $7 message $20 __redis__:invalidate *1 $3 key; "
                  "1 >2 $10 invalidate *1 $3 key; 2 *3 $7 message $20 __redis__:invalidate *1 $3 key; ");
    two->subscriber = NULL;
}

static void a_list_of_keys(void **state) {
    (void)state;
    struct invalidation i = {.list = SLICE("*2\r\n$1\r\na\r\n$1\r\nb\r\n")};
    invalidation_begin(&i);
    invalidation_send(&i, lab_client(1, 3), false);
    invalidation_end(&i);
    expect_pushed("1 >2 $10 invalidate *2 $1 a $1 b; ");
}

/* The message about all keys is a null, that of the receiver's protocol. The second time it lies behind other
 * output. */
static void all_keys(void **state) {
    (void)state;
    struct client *two = lab_client(2, 2);
    struct invalidation i = {.key = {NULL, 0}};
    two->subscriber = some;
    for (int round = 0; round < 2; round++) {
        if (round) conn_write("some reply", 10);
        invalidation_begin(&i);
        invalidation_send(&i, two, true);
        invalidation_send(&i, lab_client(1, 3), false);
        invalidation_end(&i);
        assert_int_equal(conn_mark(), round ? 10 : 0);
        conn_truncate(0);
        expect_pushed("2 *3 $7 message $20 __redis__:invalidate $-1; 1 >2 $10 invalidate _; ");
    }
    two->subscriber = NULL;
}

static void a_lost_redirection(void **state) {
    (void)state;
    invalidation_lost(lab_client(1, 3), 42);
    invalidation_lost(lab_client(2, 2), 42); /* RESP2 has no such message */
    expect_pushed("1 >2 $21 tracking-redir-broken :42; ");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_key),
        cmocka_unit_test(a_list_of_keys),
        cmocka_unit_test(all_keys),
        cmocka_unit_test(a_lost_redirection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
