/* What every reply function writes, in RESP2 and in RESP3. */
#include "net/conn.h"
#include "session/client.h"
#include "session/reply.h"
#include "session/server_metrics.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct client client;

/* The arena holds `expected`; empties it. */
static void check(const char *call, struct slice expected) {
    struct slice got = slice_of(conn_arena.data, conn_arena.len);
    if (!slice_eq(got, expected))
        fail_msg("%s in RESP%d: %.*s, not %.*s", call, client.resp, (int)got.len, got.ptr, (int)expected.len,
                 expected.ptr);
    conn_truncate(0);
}

/* A call, and what it writes to a client of either protocol. */
#define EXPECT(call, resp2, resp3)  \
    do {                            \
        client.resp = 2;            \
        call;                       \
        check(#call, SLICE(resp2)); \
        client.resp = 3;            \
        call;                       \
        check(#call, SLICE(resp3)); \
    } while (0)
#define EXPECT_BOTH(call, text) EXPECT(call, text, text)

static struct client *const c = &client;

static void lines(void **state) {
    (void)state;
    EXPECT_BOTH(reply_ok(c), "+OK\r\n");
    EXPECT_BOTH(reply_status(c, ""), "+\r\n");
    EXPECT_BOTH(reply_status(c, "PONG"), "+PONG\r\n");
    EXPECT_BOTH(reply_status_slice(c, slice_of("PONGS", 4)), "+PONG\r\n");
    EXPECT_BOTH(reply_int(c, 0), ":0\r\n");
    EXPECT_BOTH(reply_int(c, 9), ":9\r\n");
    EXPECT_BOTH(reply_int(c, 10), ":10\r\n");
    EXPECT_BOTH(reply_int(c, 99), ":99\r\n");
    EXPECT_BOTH(reply_int(c, 100), ":100\r\n");
    EXPECT_BOTH(reply_int(c, -1), ":-1\r\n");
    EXPECT_BOTH(reply_int(c, INT64_MAX), ":9223372036854775807\r\n");
    EXPECT_BOTH(reply_int(c, INT64_MIN), ":-9223372036854775808\r\n");
}

static void bulks(void **state) {
    (void)state;
    EXPECT_BOTH(reply_bulk(c, SLICE("")), "$0\r\n\r\n");
    EXPECT_BOTH(reply_bulk(c, SLICE("a\0\r\nb")), "$5\r\na\0\r\nb\r\n");
    EXPECT_BOTH(reply_bulk_cstr(c, "hello"), "$5\r\nhello\r\n");
    EXPECT_BOTH(reply_bulk_int(c, INT64_MIN), "$20\r\n-9223372036854775808\r\n");
    EXPECT_BOTH(reply_bulk_ld(c, 3.5L), "$3\r\n3.5\r\n");
    EXPECT(reply_verbatim(c, SLICE("some"), "txt"), "$4\r\nsome\r\n", "=8\r\ntxt:some\r\n");
}

static void a_bulk_by_reference(void **state) {
    (void)state;
    struct blob *blob = blob_from(SLICE("large"));
    reply_bulk_blob(c, blob);
    assert_int_equal(blob->holders, 2);
    check("reply_bulk_blob", SLICE("$5\r\n\r\n")); /* its bytes stay where they are */
    assert_int_equal(blob->holders, 1);
    blob_drop(blob);
}

static void values_of_resp3(void **state) {
    (void)state;
    EXPECT(reply_null(c), "$-1\r\n", "_\r\n");
    EXPECT(reply_null_array(c), "*-1\r\n", "_\r\n");
    EXPECT(reply_bool(c, true), ":1\r\n", "#t\r\n");
    EXPECT(reply_bool(c, false), ":0\r\n", "#f\r\n");
    EXPECT(reply_double(c, 1.5), "$3\r\n1.5\r\n", ",1.5\r\n");
    EXPECT(reply_double(c, 3), "$1\r\n3\r\n", ",3\r\n");
    EXPECT(reply_double(c, 1.0 / 0.0), "$3\r\ninf\r\n", ",inf\r\n");
    EXPECT(reply_double(c, -1.0 / 0.0), "$4\r\n-inf\r\n", ",-inf\r\n");
    EXPECT(reply_big_number(c, SLICE("1234567890123456789012")), "$22\r\n1234567890123456789012\r\n",
           "(1234567890123456789012\r\n");
}

static void aggregates(void **state) {
    (void)state;
    EXPECT_BOTH(reply_array(c, 0), "*0\r\n");
    EXPECT_BOTH(reply_array(c, 123), "*123\r\n");
    EXPECT(reply_map(c, 7), "*14\r\n", "%7\r\n");
    EXPECT(reply_set(c, 7), "*7\r\n", "~7\r\n");
    EXPECT(reply_push(c, 3), "*3\r\n", ">3\r\n");
    EXPECT(reply_attribute(c, 1), "*2\r\n", "|1\r\n");
    EXPECT_BOTH(reply_raw(c, SLICE("*1\r\n:1\r\n")), "*1\r\n:1\r\n");
}

/* Elements first, their number behind them; one held place within another. */
static void late_array(void) {
    size_t outer = reply_hold(c);
    reply_int(c, 1);
    size_t inner = reply_hold(c);
    reply_int(c, 2);
    reply_int(c, 3);
    reply_set_at(c, inner, 2);
    reply_array_at(c, outer, 2);
}

static void late_map(void) {
    size_t place = reply_hold(c);
    reply_bulk_cstr(c, "k");
    reply_null(c);
    reply_map_at(c, place, 1);
}

static void lengths_known_later(void **state) {
    (void)state;
    EXPECT(late_array(), "*2\r\n:1\r\n*2\r\n:2\r\n:3\r\n", "*2\r\n:1\r\n~2\r\n:2\r\n:3\r\n");
    EXPECT(late_map(), "*2\r\n$1\r\nk\r\n$-1\r\n", "%1\r\n$1\r\nk\r\n_\r\n");
}

static void errors(void **state) {
    (void)state;
    EXPECT_BOTH(reply_error(c, "ERR no"), "-ERR no\r\n");
    EXPECT_BOTH(reply_errorf(c, "ERR '%s' and %d", "x\r\ny", 5), "-ERR 'x  y' and 5\r\n");
    EXPECT_BOTH(reply_errorf(c, "ERR ends\r\n"), "-ERR ends\r\n");
    EXPECT_BOTH(reply_wrong_type(c), "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
    EXPECT_BOTH(reply_syntax_error(c), "-ERR syntax error\r\n");
    EXPECT_BOTH(reply_not_integer(c), "-ERR value is not an integer or out of range\r\n");
    EXPECT_BOTH(reply_no_key(c), "-ERR no such key\r\n");
    EXPECT_BOTH(reply_out_of_range(c), "-ERR index out of range\r\n");
    EXPECT_BOTH(reply_wrong_arity(c, "config|get"), "-ERR wrong number of arguments for 'config|get' command\r\n");
    EXPECT_BOTH(reply_unknown_subcommand(c, SLICE("nope"), "OBJECT"),
                "-ERR unknown subcommand or wrong number of arguments for 'nope'. Try OBJECT HELP.\r\n");
}

static void errors_are_counted(void **state) {
    (void)state;
    server_metrics_reset();
    client.flags = 0;
    reply_int(c, 1);
    assert_false(client.flags & CLIENT_FAILED);
    reply_error(c, "ERR one");
    reply_error(c, "OTHER");
    reply_error(c, "ERR two");
    assert_true(client.flags & CLIENT_FAILED);
    conn_truncate(0);
    assert_int_equal(server_metrics.errors, 3);
    assert_int_equal(server_metrics_error_codes(), 2);
    struct slice code;
    uint64_t count;
    server_metrics_error_at(0, &code, &count);
    assert_true(slice_eq(code, SLICE("ERR")));
    assert_int_equal(count, 2);
    server_metrics_error_at(1, &code, &count);
    assert_true(slice_eq(code, SLICE("OTHER")));
    assert_int_equal(count, 1);
}

static void help(void **state) {
    (void)state;
    static const char *const text[] = {"ONE", "    What one does.", NULL};
    EXPECT_BOTH(reply_help(c, "X", text),
                "*5\r\n+X <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n+ONE\r\n+    What one does.\r\n"
                "+HELP\r\n+    Print this text.\r\n");
}

static void an_error_that_was_counted_is_not_counted_again(void **state) {
    (void)state;
    server_metrics_reset();
    client.flags = 0;
    EXPECT_BOTH(reply_error_again(c, SLICE("MY x\r\ny\r\n")), "-MY x  y\r\n");
    assert_true(client.flags & CLIENT_FAILED);
    assert_int_equal(server_metrics.errors, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(bulks),
        cmocka_unit_test(a_bulk_by_reference),
        cmocka_unit_test(values_of_resp3),
        cmocka_unit_test(aggregates),
        cmocka_unit_test(lengths_known_later),
        cmocka_unit_test(errors),
        cmocka_unit_test(errors_are_counted),
        cmocka_unit_test(help),
        cmocka_unit_test(an_error_that_was_counted_is_not_counted_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
