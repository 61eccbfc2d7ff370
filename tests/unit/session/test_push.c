/* Messages: most clients get them behind all else; the clients whose replies are being written get them behind
 * these. */
#include "base/alloc.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/module.h"
#include "net/conn.h"
#include "session/client_lab.h"
#include "session/limits.h"
#include "session/push.h"
#include "store/db.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

extern const struct module push_module;

enum { CLIENTS = 6 };

static struct client *clients[CLIENTS];
static int ends[CLIENTS];

static void ignore(struct loop_source *source, uint32_t events) {
    (void)source;
    (void)events;
}

static int setup(void **state) {
    (void)state;
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = lab_connect(&ends[i], ignore);
    memset(limits_options.output_limit, 0, sizeof limits_options.output_limit);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    client_current = client_writing = NULL;
    conn_flush(NULL);
    for (int i = 0; i < CLIENTS; i++) {
        client_close(clients[i]);
        close(ends[i]);
    }
    client_reap();
    assert_false(push_kept);
    return 0;
}

/* Write a text at the tail, give it to a client, and take it back. */
static void push(struct client *to, const char *text) {
    struct conn_range range;
    conn_open(&range, CONN_NO_LIMIT);
    conn_write(text, strlen(text));
    push_copy(to, range.start, conn_mark());
    conn_take_back(&range);
}

static void reply(const char *text) {
    conn_write(text, strlen(text));
}

static void a_message_goes_behind_what_was_there(void **state) {
    (void)state;
    struct conn_range range;
    conn_open(&range, CONN_NO_LIMIT);
    reply("reply ");
    conn_keep(&clients[0]->conn, &range);
    push(clients[0], "one ");
    push(clients[1], "other ");
    push(clients[0], "two ");
    assert_false(push_kept);
    conn_flush(NULL);
    assert_string_equal(lab_heard(ends[0]), "reply one two ");
    assert_string_equal(lab_heard(ends[1]), "other ");
}

/* The client whose command is executed, and the one whose range is open behind it, are in the middle of a reply. */
static void a_message_waits_for_the_reply(void **state) {
    (void)state;
    struct client *writing = clients[0], *current = clients[1];
    client_writing = writing;
    struct conn_range outer, inner;
    conn_open(&outer, CONN_NO_LIMIT);
    reply("half");
    client_current = current;
    conn_open(&inner, CONN_NO_LIMIT);
    reply("a");
    push(writing, "to-writing ");
    push(current, "to-current ");
    push(clients[2], "to-third ");
    push(current, "again ");
    assert_true(push_kept);
    reply("b ");
    push_settle(current);
    assert_true(push_kept);
    conn_push(&current->conn, &inner);
    client_current = writing;
    reply(" done ");
    push_settle(writing);
    assert_false(push_kept);
    conn_keep(&writing->conn, &outer);
    conn_flush(NULL);
    assert_string_equal(lab_heard(ends[0]), "half done to-writing ");
    assert_string_equal(lab_heard(ends[1]), "ab to-current again ");
    assert_string_equal(lab_heard(ends[2]), "to-third ");
}

static void settling_without_a_message_writes_nothing(void **state) {
    (void)state;
    client_current = clients[0];
    push(clients[0], "kept");
    struct conn_range range;
    conn_open(&range, CONN_NO_LIMIT);
    size_t mark = conn_mark();
    push_settle(clients[1]);
    assert_int_equal(conn_mark(), mark);
    assert_true(push_kept);
    push_settle(clients[0]);
    assert_int_equal(conn_mark(), mark + 4);
    push_settle(clients[0]); /* it was written once */
    assert_int_equal(conn_mark(), mark + 4);
    conn_take_back(&range);
}

/* More than one is kept, and freed, in any order. */
static void many_receivers(void **state) {
    (void)state;
    size_t used = 0;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < CLIENTS; i++) {
            client_current = clients[i];
            push(clients[i], (char[]){(char)('a' + i), 0});
        }
        static const int order[CLIENTS] = {2, 0, 5, 1, 4, 3};
        for (int i = 0; i < CLIENTS; i++) {
            struct conn_range range;
            conn_open(&range, CONN_NO_LIMIT);
            push_settle(clients[order[i]]);
            conn_keep(&clients[order[i]]->conn, &range);
        }
        assert_false(push_kept);
        conn_flush(NULL);
        for (int i = 0; i < CLIENTS; i++)
            assert_string_equal(lab_heard(ends[i]), ((char[]){(char)('a' + i), 0}));
        if (round) assert_int_equal(alloc_used(), used);
        used = alloc_used();
    }
}

static void leaving_clients_and_replicas_get_nothing(void **state) {
    (void)state;
    clients[2]->flags |= CLIENT_REPLICA;
    push(clients[2], "not of the log");
    conn_flush(NULL);
    assert_string_equal(lab_heard(ends[2]), "");
    clients[0]->flags |= CLIENT_CLOSE_AFTER_REPLY;
    push(clients[0], "late");
    client_close(clients[1]);
    push(clients[1], "late");
    conn_flush(NULL);
    assert_string_equal(lab_heard(ends[0]), "");
    assert_string_equal(lab_heard(ends[1]), "(closed)");
}

static void a_closed_client_is_forgotten(void **state) {
    (void)state;
    client_current = clients[0];
    push(clients[0], "kept");
    client_close(clients[0]); /* push.c is a part of the client */
    assert_false(push_kept);
    size_t mark = conn_mark();
    push_settle(clients[0]);
    assert_int_equal(conn_mark(), mark);
}

static void a_message_beyond_the_limit_is_the_last(void **state) {
    (void)state;
    static char large[20001];
    memset(large, 'x', 20000);
    limits_options.output_limit[LIMITS_NORMAL].hard = 19999;
    push(clients[0], large);
    assert_true(clients[0]->conn.flags & CONN_BROKEN);
    assert_false(clients[0]->flags & CLIENT_CLOSE_NOW); /* the sender may be walking along its clients */
    conn_flush(client_sent);
    assert_true(clients[0]->flags & CLIENT_CLOSE_NOW);
}

/* A message for which there was no room is incomplete: its receiver must not believe that there was none. */
static void an_incomplete_message_breaks_the_connection(void **state) {
    (void)state;
    struct conn_range range;
    conn_open(&range, 10);
    conn_write("12345", 5);
    conn_write("these are too many", 18);
    assert_true(conn_arena.refuses);
    push_copy(clients[0], range.start, conn_mark());
    conn_take_back(&range);
    assert_true(clients[0]->conn.flags & CONN_BROKEN);
    conn_flush(client_sent);
    assert_true(clients[0]->flags & CLIENT_CLOSE_NOW);
    assert_string_equal(lab_heard(ends[0]), "(closed)");
}

static void what_is_kept_has_a_limit(void **state) {
    (void)state;
    static char large[15001];
    memset(large, 'x', 15000);
    limits_options.output_limit[LIMITS_NORMAL].hard = 20000;
    client_current = clients[0];
    push(clients[0], large);
    assert_false(clients[0]->conn.flags & CONN_BROKEN);
    push(clients[0], large);
    assert_true(clients[0]->conn.flags & CONN_BROKEN);
    client_current = NULL;
    push_settle(clients[0]);
    conn_flush(client_sent);
    assert_true(clients[0]->flags & CLIENT_CLOSE_NOW);
}

int main(void) {
    hash_init();
    db_init(1);
    log_set_level(LOG_NOTHING);
    if (!loop_init(8)) return 1;
    client_register(push_module.part);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_message_goes_behind_what_was_there, setup, teardown),
        cmocka_unit_test_setup_teardown(a_message_waits_for_the_reply, setup, teardown),
        cmocka_unit_test_setup_teardown(settling_without_a_message_writes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(many_receivers, setup, teardown),
        cmocka_unit_test_setup_teardown(leaving_clients_and_replicas_get_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_closed_client_is_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(a_message_beyond_the_limit_is_the_last, setup, teardown),
        cmocka_unit_test_setup_teardown(an_incomplete_message_breaks_the_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_kept_has_a_limit, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
