/* Requests: looking their command up, and copies that stay right when the original is overwritten. */
#include "base/alloc.h"
#include "base/hash.h"
#include "catalog/catalog.h"
#include "session/client_lab.h"
#include "session/request.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void body(struct request *r) {
    (void)r;
}

#define ROW(n, ...) \
    { .name = n, .body = body, .arity = -1, .summary = n, .since = "1.0.0", ##__VA_ARGS__ }

static const struct command subcommands[] = {
    ROW("encoding", .first_key = 2),
    {.name = NULL},
};
static const struct command rows[] = {
    ROW("get", .first_key = 1),
    ROW("ping"),
    ROW("object", .subcommands = subcommands),
    ROW("eval", .key_count_at = 2, .flags = CMD_MOVABLE_KEYS | CMD_NO_MANDATORY_KEYS),
    {.name = NULL},
};

/* --- Look-up --------------------------------------------------------------------------------- */

static void prepare(struct request *r, struct slice *argv, int argc) {
    *r = (struct request){.argv = argv, .argc = argc, .redacted = 5, .key = key_of(SLICE("old"))};
    request_prepare(r);
    assert_int_equal(r->redacted, 0);
}

static void the_command_and_its_first_key(void **state) {
    (void)state;
    struct request r;
    struct slice get[] = {SLICE("GET"), SLICE("some key")};
    struct key key = key_of(get[1]);
    prepare(&r, get, 2);
    assert_ptr_equal(r.command, &rows[0]);
    assert_ptr_equal(r.metrics, catalog_metrics(&rows[0]));
    assert_true(slice_eq(r.key.name, get[1]));
    assert_true(r.key.hash == key.hash);
    struct slice encoding[] = {SLICE("object"), SLICE("Encoding"), SLICE("k")};
    prepare(&r, encoding, 3);
    assert_ptr_equal(r.command, &subcommands[0]);
    assert_true(slice_eq(r.key.name, encoding[2]));
}

static void requests_without_a_key_have_none(void **state) {
    (void)state;
    struct request r;
    struct slice words[] = {SLICE("get"), SLICE("k")};
    prepare(&r, words, 1); /* the key is missing */
    assert_ptr_equal(r.command, &rows[0]);
    assert_null(r.key.name.ptr);
    words[0] = SLICE("ping");
    prepare(&r, words, 2);
    assert_ptr_equal(r.command, &rows[1]);
    assert_null(r.key.name.ptr);
    words[0] = SLICE("nope");
    prepare(&r, words, 2);
    assert_null(r.command);
    assert_null(r.metrics);
    assert_null(r.key.name.ptr);
}

static void a_number_above_0_tells_that_a_key_follows(void **state) {
    (void)state;
    struct request r;
    struct slice eval[] = {SLICE("eval"), SLICE("text"), SLICE("1"), SLICE("key")};
    prepare(&r, eval, 4);
    assert_true(slice_eq(r.key.name, eval[3]));
    assert_true(r.key.hash == key_of(eval[3]).hash);
    prepare(&r, eval, 3); /* the key is missing */
    assert_null(r.key.name.ptr);
    static const char *const none[] = {"0", "-1", "", "x", "+1"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        eval[2] = slice_cstr(none[i]);
        prepare(&r, eval, 4);
        assert_null(r.key.name.ptr);
    }
    prepare(&r, eval, 1);
    assert_null(r.key.name.ptr);
}

static void only_the_first_64_arguments_can_be_secret(void **state) {
    (void)state;
    struct request r = {.redacted = 0};
    request_redact(&r, 0);
    request_redact(&r, 63);
    request_redact(&r, 64);
    request_redact(&r, 70);
    assert_true(r.redacted == (1 | (uint64_t)1 << 63));
}

/* --- Copies ---------------------------------------------------------------------------------- */

static void expect_arguments(const struct slice *argv) {
    assert_true(slice_eq(argv[0], SLICE("SET")));
    assert_true(slice_eq(argv[1], SLICE("")));
    assert_true(slice_eq(argv[2], SLICE("a\0b")));
}

static void a_copy_without_raw_bytes(void **state) {
    (void)state;
    char one[] = "SET", three[] = "a\0b";
    struct slice argv[] = {slice_of(one, 3), slice_of("", 0), slice_of(three, 3)}, none = {NULL, 0};
    size_t size = request_args_size(argv, 3, none);
    assert_int_equal(size, 3 * sizeof *argv + 6);
    char *memory = alloc_get(size + 1);
    memory[size] = '!';
    struct slice raw = request_copy_args((struct slice *)memory, argv, 3, none);
    memset(one, 'x', 3);
    memset(three, 'x', 3);
    expect_arguments((struct slice *)memory);
    assert_int_equal(raw.len, 0);
    assert_int_equal(memory[size], '!');
    alloc_put(memory, size + 1);
}

/* The arguments are parts of the raw bytes, which are copied once. */
static void a_copy_with_raw_bytes(void **state) {
    (void)state;
    char text[] = "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$3\r\na\0b\r\n";
    size_t len = sizeof text - 1;
    struct slice argv[] = {slice_of(text + 8, 3), slice_of(text + 17, 0), slice_of(text + 23, 3)};
    size_t size = request_args_size(argv, 3, slice_of(text, len));
    assert_int_equal(size, 3 * sizeof *argv + len);
    char *memory = alloc_get(size + 1);
    memory[size] = '!';
    struct slice raw = request_copy_args((struct slice *)memory, argv, 3, slice_of(text, len));
    memset(text, 'x', len);
    expect_arguments((struct slice *)memory);
    assert_true(slice_eq(raw, SLICE("*3\r\n$3\r\nSET\r\n$0\r\n\r\n$3\r\na\0b\r\n")));
    const struct slice *copy = (const struct slice *)memory;
    assert_true(copy[2].ptr > raw.ptr && copy[2].ptr < raw.ptr + raw.len);
    assert_int_equal(memory[size], '!');
    alloc_put(memory, size + 1);
}

static void a_request_without_arguments_takes_nothing(void **state) {
    (void)state;
    assert_int_equal(request_args_size(NULL, 0, slice_of(NULL, 0)), 0);
    assert_int_equal(request_copy_args(NULL, NULL, 0, slice_of(NULL, 0)).len, 0);
}

/* --- Blobs ----------------------------------------------------------------------------------- */

static void ignore(struct loop_source *source, uint32_t events) {
    (void)source;
    (void)events;
}

/* A bulk of BLOB_MIN bytes is received into a blob when its length is known before its bytes have come. */
static void a_large_argument_comes_in_a_blob(void **state) {
    (void)state;
    int end;
    struct client *c = lab_connect(&end, ignore);
    char head[64], *bulk = alloc_get(BLOB_MIN + 3);
    struct resp_parser *parser;
    struct resp_limits limits = {.max_bulk = 1 << 30, .authenticated = true};
    const char *stop;
    snprintf(head, sizeof head, "*3\r\n$3\r\nGET\r\n$5\r\nsmall\r\n$%d\r\n", BLOB_MIN);
    memset(bulk, 'b', BLOB_MIN);
    strcpy(bulk + BLOB_MIN, "\r\n");
    lab_say(end, head);
    assert_int_equal(conn_read(&c->conn, &parser, &stop), CONN_READ_SOME);
    assert_int_equal(resp_parse(parser, stop, &limits), RESP_MORE);
    conn_stash(&c->conn, parser, stop);
    lab_say(end, bulk);
    enum conn_read result;
    while ((result = conn_read(&c->conn, &parser, &stop)) == CONN_READ_NOTHING) {
    }
    assert_int_equal(result, CONN_READ_SOME);
    assert_int_equal(resp_parse(parser, stop, &limits), RESP_REQUEST);
    struct request r = {.client = c, .argv = parser->argv, .argc = (int)parser->argc};
    assert_int_equal(r.argc, 3);
    assert_null(request_take_blob(&r, 1));
    struct blob *blob = request_take_blob(&r, 2);
    assert_non_null(blob);
    assert_int_equal(blob->len, BLOB_MIN);
    assert_ptr_equal(blob->data, r.argv[2].ptr);
    assert_null(request_take_blob(&r, 2)); /* it is given once */
    conn_stash(&c->conn, parser, stop);
    conn_release(&c->conn);
    assert_int_equal(blob->data[BLOB_MIN - 1], 'b'); /* and stays */
    blob_drop(blob);
    alloc_put(bulk, BLOB_MIN + 3);
    client_close(c);
    client_reap();
    close(end);
}

int main(void) {
    hash_init();
    db_init(1);
    if (!loop_init(8)) return 1;
    catalog_register(rows);
    catalog_ready();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_command_and_its_first_key),
        cmocka_unit_test(requests_without_a_key_have_none),
        cmocka_unit_test(a_number_above_0_tells_that_a_key_follows),
        cmocka_unit_test(only_the_first_64_arguments_can_be_secret),
        cmocka_unit_test(a_copy_without_raw_bytes),
        cmocka_unit_test(a_copy_with_raw_bytes),
        cmocka_unit_test(a_request_without_arguments_takes_nothing),
        cmocka_unit_test(a_large_argument_comes_in_a_blob),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
