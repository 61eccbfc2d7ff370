/* Execution alone: where an admitted request goes, and what follows in which order. Admission, calls, transactions and
 * waiting are fakes that note what they are asked. */
#include "base/buf.h"
#include "base/hash.h"
#include "catalog/catalog.h"
#include "exec/admit.h"
#include "exec/block.h"
#include "exec/call.h"
#include "exec/exec.h"
#include "exec/exec_lab.h"
#include "exec/tx.h"
#include "net/conn.h"
#include "session/push.h"
#include "session/reply.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct buf events; /* "admit; call; " */

static void note(const char *what) {
    buf_append_cstr(&events, what);
    buf_append_cstr(&events, "; ");
}

/* --- The neighbours -------------------------------------------------------------------------- */

static bool admits;
static void (*during_call)(struct client *c);
static void (*while_serving)(void);

bool call_is_nested, block_ready;

bool admit(struct request *r) {
    note("admit");
    assert_false(r->client->flags & CLIENT_FAILED); /* of the request before */
    if (!admits) reply_error(r->client, "ERR no");
    return admits;
}

void call(struct request *r) {
    note("call");
    assert_ptr_equal(r->client->last_command, r->command);
    conn_write("reply ", 6);
    if (during_call) during_call(r->client);
}

void tx_queue(struct request *r) {
    (void)r;
    note("queue");
}

void call_settle_reply(struct client *c, size_t mark) {
    char text[32];
    (void)c;
    snprintf(text, sizeof text, "settle %zu bytes", conn_mark() - mark);
    note(text);
}

void block_serve(void (*run)(struct request *r)) {
    assert_ptr_equal(run, exec_run);
    note("serve");
    block_ready = false;
    if (while_serving) while_serving();
}

/* --- Requests -------------------------------------------------------------------------------- */

static void body(struct request *r) {
    fail_msg("%s ran, though calls are a fake", r->command->name);
}

static const struct command client_subcommands[] = {LAB_ROW("caching", body, -1), {NULL}};
static const struct command rows[] = {
    LAB_ROW("get", body, -1),
    LAB_ROW("multi", body, -1, .flags = CMD_UNQUEUED),
    LAB_ROW("exec", body, -1, .flags = CMD_UNQUEUED | CMD_EXEC),
    LAB_ROW("client", NULL, -1, .flags = CMD_KEEPS_CACHING, .subcommands = client_subcommands),
    {NULL},
};

static struct client client;

static int setup(void **state) {
    (void)state;
    client = (struct client){.resp = 2};
    admits = true;
    during_call = NULL;
    while_serving = NULL;
    call_is_nested = block_ready = false;
    events.len = 0;
    return 0;
}

static int teardown(void **state) {
    (void)state;
    client_current = NULL;
    conn_truncate(0);
    return 0;
}

/* Run a request: then these were the events. Returns what it wrote. */
static const char *run(const char *text, const char *expected) {
    struct request r = lab_request(&client, text);
    size_t mark = conn_mark();
    client_current = &client;
    events.len = 0;
    exec_run(&r);
    client_current = NULL;
    buf_append(&events, "", 1);
    assert_string_equal(events.data, expected);
    return lab_written(mark);
}

/* --- Where a request goes -------------------------------------------------------------------- */

static void an_admitted_request_is_called(void **state) {
    (void)state;
    client.flags = CLIENT_FAILED;
    assert_string_equal(run("get k", "admit; call; "), "reply ");
    assert_ptr_equal(client.last_command, &rows[0]);
}

static void another_one_is_not(void **state) {
    (void)state;
    admits = false;
    assert_string_equal(run("get k", "admit; "), "-ERR no\r\n");
    assert_null(client.last_command);
    run("nope", "admit; ");
}

static void between_multi_and_exec_it_is_queued(void **state) {
    (void)state;
    client.flags = CLIENT_MULTI;
    run("get k", "admit; queue; ");
    assert_ptr_equal(client.last_command, &rows[0]);
    run("multi", "admit; call; ");
    run("exec", "admit; call; ");
    admits = false;
    run("get k", "admit; ");
}

/* --- Replies that are not wanted ------------------------------------------------------------- */

static void hidden_replies_are_settled(void **state) {
    (void)state;
    static const unsigned hidden[] = {CLIENT_REPLY_OFF, CLIENT_REPLY_SKIP, CLIENT_REPLY_SKIP_NEXT};
    for (size_t i = 0; i < 3; i++) {
        client.flags = hidden[i];
        run("get k", "admit; call; settle 6 bytes; ");
        run("exec", "admit; call; settle 0 bytes; "); /* it has muted its own */
    }
    admits = false;
    run("get k", "admit; settle 9 bytes; ");
    run("exec", "admit; settle 9 bytes; ");
}

/* --- CLIENT CACHING -------------------------------------------------------------------------- */

static void caching_is_for_one_command(void **state) {
    (void)state;
    client.flags = CLIENT_CACHING;
    run("client caching", "admit; call; ");
    assert_true(client.flags & CLIENT_CACHING);
    run("get k", "admit; call; ");
    assert_false(client.flags & CLIENT_CACHING);
    client.flags = CLIENT_CACHING | CLIENT_MULTI;
    run("get k", "admit; queue; ");
    assert_true(client.flags & CLIENT_CACHING); /* it is for all of the transaction */
    client.flags = CLIENT_CACHING | CLIENT_WAITS;
    run("get k", "admit; call; ");
    assert_true(client.flags & CLIENT_CACHING); /* the command runs again */
    client.flags = CLIENT_CACHING;
    admits = false;
    run("nope", "admit; ");
    assert_false(client.flags & CLIENT_CACHING);
}

/* --- What follows ---------------------------------------------------------------------------- */

/* A message to the client itself. */
static void push_text(const char *text) {
    struct conn_range range;
    conn_open(&range, CONN_NO_LIMIT);
    conn_write(text, strlen(text));
    push_copy(&client, range.start, conn_mark());
    conn_take_back(&range);
}

static void publish_to_itself(struct client *c) {
    (void)c;
    push_text("message ");
    conn_write("more ", 5);
}

static void messages_follow_the_reply(void **state) {
    (void)state;
    during_call = publish_to_itself;
    assert_string_equal(run("get k", "admit; call; "), "reply more message ");
    assert_false(push_kept);
}

static void make_ready(struct client *c) {
    (void)c;
    block_ready = true;
}

static void publish_while_serving(void) {
    push_text("served ");
}

static void waiting_clients_are_served_last(void **state) {
    (void)state;
    during_call = make_ready;
    while_serving = publish_while_serving;
    assert_string_equal(run("get k", "admit; call; serve; "), "reply served ");
    assert_false(push_kept);
}

static void not_inside_another_command(void **state) {
    (void)state;
    during_call = make_ready;
    call_is_nested = true;
    run("get k", "admit; call; ");
    assert_true(block_ready);
}

int main(void) {
    hash_init();
    catalog_register(rows);
    catalog_ready();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_admitted_request_is_called, setup, teardown),
        cmocka_unit_test_setup_teardown(another_one_is_not, setup, teardown),
        cmocka_unit_test_setup_teardown(between_multi_and_exec_it_is_queued, setup, teardown),
        cmocka_unit_test_setup_teardown(hidden_replies_are_settled, setup, teardown),
        cmocka_unit_test_setup_teardown(caching_is_for_one_command, setup, teardown),
        cmocka_unit_test_setup_teardown(messages_follow_the_reply, setup, teardown),
        cmocka_unit_test_setup_teardown(waiting_clients_are_served_last, setup, teardown),
        cmocka_unit_test_setup_teardown(not_inside_another_command, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
