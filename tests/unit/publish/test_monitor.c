/* MONITOR: every monitor gets a line for each request, in Redis's form, with secrets hidden; without monitors nothing
 * is listened to. Calls and pushes are fakes. */
#include "base/hash.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "exec/call.h"
#include "exec/inner.h"
#include "push_lab.h"
#include "session/gates.h"
#include "session/request.h"
#include "store/db.h"
#include <regex.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

extern const struct module monitor_module;

static call_listener_fn heard_call; /* by the monitors, of each call; NULL: there is none */
bool call_is_nested;
struct inner *inner_current;

void call_listen(enum call_listener listener, call_listener_fn fn) {
    assert_int_equal(listener, CALL_MONITOR);
    heard_call = fn;
}

static const struct command get = {.name = "get", .flags = CMD_READONLY}, ping = {.name = "ping"};

/* Send MONITOR; returns the reply, valid until the next. */
static const char *monitor(struct client *c) {
    static char reply[200];
    struct request r = {.client = c, .command = monitor_module.commands, .argv = (struct slice[]){SLICE("monitor")}};
    c->db = db_at(0);
    conn_truncate(0);
    r.command->body(&r);
    reply[0] = '\0';
    strncat(reply, conn_arena.data, conn_mark());
    conn_truncate(0);
    return reply;
}

static void forget(struct client *c) {
    monitor_module.part->forget(c);
    assert_int_equal(c->flags & CLIENT_MONITOR, 0);
}

/* The only message since the last call matches this extended regular expression. */
static void expect_line(const char *pattern) {
    regex_t regex;
    buf_append(&lab_pushed, "", 1);
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&regex, lab_pushed.data, 0, NULL, 0) != 0) fail_msg("got \"%s\", not %s", lab_pushed.data, pattern);
    regfree(&regex);
    buf_free(&lab_pushed);
    assert_int_equal(conn_mark(), 0);
}

static void a_line_has_the_form_of_redis(void **state) {
    (void)state;
    struct client *m = lab_client(1, 2), *c = lab_client(2, 2);
    struct slice argv[] = {SLICE("set"), SLICE("a \"b\"\n"), SLICE("\0\xff")};
    struct request r = {.client = c, .command = &ping, .argv = argv, .argc = 3};
    assert_string_equal(monitor(m), "+OK\r\n");
    c->db = db_at(1);
    heard_call(&r, 0);
    expect_line("^1 \\+[0-9]{10}\\.[0-9]{6} \\[1 \\?:0\\] \"set\" \"a \\\\\"b\\\\\"\\\\n\" \"\\\\x00\\\\xff\"; $");
    forget(m);
}

static void clients_of_a_unix_socket_are_named_by_its_path(void **state) {
    (void)state;
    /* A client of its own: a client keeps the text of its address. */
    struct client *m = lab_client(1, 2), *c = lab_client(4, 2);
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/tmp/kura-monitor-XXXXXX"};
    close(mkstemp(address.sun_path));
    unlink(address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), peer = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(connect(peer, (struct sockaddr *)&address, sizeof address), 0);
    c->conn.source.fd = accept(fd, NULL, NULL);
    c->flags |= CLIENT_UNIX_SOCKET;
    c->db = db_at(0);
    struct request r = {.client = c, .command = &ping, .argv = (struct slice[]){SLICE("ping")}, .argc = 1};
    monitor(m);
    heard_call(&r, 0);
    expect_line("^1 \\+[0-9.]+ \\[0 unix:/tmp/kura-monitor-......\\] \"ping\"; $");
    c->flags = 0;
    close(c->conn.source.fd);
    close(fd);
    close(peer);
    unlink(address.sun_path);
    forget(m);
}

static void secrets_are_hidden(void **state) {
    (void)state;
    enum { MANY = REQUEST_REDACTABLE + 2 };
    struct client *m = lab_client(1, 2);
    struct slice argv[MANY];
    struct request r = {.client = m, .command = &ping, .argv = argv, .argc = 3};
    for (int i = 0; i < MANY; i++)
        argv[i] = SLICE("word");
    monitor(m);
    request_redact(&r, 1);
    heard_call(&r, 0);
    expect_line("\\] \"word\" \"\\(redacted\\)\" \"word\"; $");
    r.argc = MANY;
    r.redacted = 0;
    request_redact(&r, REQUEST_REDACTABLE - 1);
    request_redact(&r, REQUEST_REDACTABLE); /* too far behind: it is shown */
    heard_call(&r, 0);
    expect_line("\\]( \"word\"){63} \"\\(redacted\\)\" \"word\" \"word\"; $");
    forget(m);
}

static void commands_of_operators_are_left_out(void **state) {
    (void)state;
    static const struct command admin = {.name = "x", .flags = CMD_ADMIN},
                                skip = {.name = "y", .flags = CMD_SKIP_MONITOR};
    struct client *m = lab_client(1, 2);
    struct request r = {.client = m, .argv = (struct slice[]){SLICE("x")}, .argc = 1};
    monitor(m);
    r.command = &admin;
    heard_call(&r, 0);
    r.command = &skip;
    heard_call(&r, 0);
    expect_pushed("");
    forget(m);
}

static void monitors_get_lines_in_their_order_until_they_leave(void **state) {
    (void)state;
    struct client *a = lab_client(1, 2), *b = lab_client(2, 2), *c = lab_client(3, 2);
    struct request r = {.client = b, .command = &ping, .argv = (struct slice[]){SLICE("p")}, .argc = 1};
    monitor(b);
    monitor(a);
    monitor(c);
    heard_call(&r, 0);
    expect_line("^2 [^;]*; 1 [^;]*; 3 [^;]*; $");
    forget(a);
    forget(a); /* it is none: nothing happens */
    heard_call(&r, 0);
    expect_line("^2 [^;]*; 3 [^;]*; $");
    forget(b);
    monitor_module.part->reset(c);
    assert_null(heard_call);
}

static void monitors_may_not_use_keys(void **state) {
    (void)state;
    struct client *m = lab_client(1, 2), *other = lab_client(2, 2);
    struct request r = {.client = m, .command = &get};
    monitor(m);
    assert_string_equal(gates_find_closed(&r, get.flags)->error, "ERR Replica can't interact with the keyspace");
    assert_non_null(gates_find_closed(&r, CMD_WRITE));
    assert_non_null(gates_find_closed(&r, CMD_MAY_REPLICATE));
    assert_null(gates_find_closed(&r, ping.flags));
    r.client = other;
    assert_null(gates_find_closed(&r, get.flags));
    forget(m);
    assert_false(gates_may_stop());
}

static void calls_of_a_script_say_so(void **state) {
    static const struct command eval = {.name = "eval", .flags = CMD_SKIP_MONITOR};
    static struct inner script;
    (void)state;
    struct client *m = lab_client(1, 2), *c = lab_client(2, 2);
    struct request r = {.client = c, .command = &eval, .argv = (struct slice[]){SLICE("eval")}, .argc = 1};
    monitor(m);
    c->db = db_at(0);
    heard_call(&r, CALL_ANNOUNCED);
    expect_line("^1 \\+[0-9.]+ \\[0 \\?:0\\] \"eval\"; $");
    script.client = c;
    inner_current = &script;
    c->db = db_at(1); /* that of the script */
    r.command = &get;
    heard_call(&r, 0);
    expect_line("^1 \\+[0-9.]+ \\[1 lua\\] \"eval\"; $");
    c->flags |= CLIENT_UNIX_SOCKET;
    heard_call(&r, 0);
    expect_line("\\[1 lua\\] \"eval\"; $");
    r.client = lab_client(3, 2); /* while the script is busy, another one is answered */
    r.client->db = db_at(0);
    heard_call(&r, 0);
    expect_line("\\[0 \\?:0\\] \"eval\"; $");
    inner_current = NULL;
    c->flags = 0;
    r.client = c;
    r.command = &eval;
    heard_call(&r, 0); /* it was announced */
    expect_pushed("");
    forget(m);
}

static void a_second_monitor_is_not_answered(void **state) {
    (void)state;
    struct client *m = lab_client(1, 2);
    struct client_line line = {.letters = 0};
    monitor_module.part->describe(m, &line);
    assert_int_equal(line.letters, 0);
    call_is_nested = true;
    assert_string_equal(monitor(m), "-ERR MONITOR isn't allowed for DENY BLOCKING client\r\n");
    assert_null(heard_call);
    call_is_nested = false;
    assert_string_equal(monitor(m), "+OK\r\n");
    assert_string_equal(monitor(m), "");
    monitor_module.part->describe(m, &line);
    assert_int_equal(line.letters, 1ull << ('O' - 'A'));
    forget(m);
    assert_null(heard_call);
}

int main(void) {
    hash_init();
    db_init(2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_the_form_of_redis),
        cmocka_unit_test(clients_of_a_unix_socket_are_named_by_its_path),
        cmocka_unit_test(secrets_are_hidden),
        cmocka_unit_test(commands_of_operators_are_left_out),
        cmocka_unit_test(monitors_get_lines_in_their_order_until_they_leave),
        cmocka_unit_test(monitors_may_not_use_keys),
        cmocka_unit_test(a_second_monitor_is_not_answered),
        cmocka_unit_test(calls_of_a_script_say_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
