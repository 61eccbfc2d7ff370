/* Elements of the protocol that are written for no client in particular. */
#include "net/resp_out.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* The arena holds this; empties it. */
static void expect(struct slice expected) {
    if (!slice_eq(slice_of(conn_arena.data, conn_arena.len), expected))
        fail_msg("%.*s, not %.*s", (int)conn_arena.len, conn_arena.data, (int)expected.len, expected.ptr);
    conn_truncate(0);
}

static void headers_of_all_lengths(void **state) {
    (void)state;
    static const int64_t values[] = {0, 1, 9, 10, 11, 99, 100, 101, 12345, -1, -99, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char expected[32];
        resp_out_header(':', values[i]);
        resp_out_header('*', values[i]);
        snprintf(expected, sizeof expected, ":%lld\r\n", (long long)values[i]);
        size_t len = strlen(expected);
        assert_memory_equal(conn_arena.data, expected, len);
        expected[0] = '*';
        assert_memory_equal(conn_arena.data + len, expected, len);
        assert_int_equal(conn_arena.len, 2 * len);
        conn_truncate(0);
    }
}

static void bulks_of_all_lengths(void **state) {
    (void)state;
    char bytes[300];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 7);
    for (size_t n = 0; n <= sizeof bytes; n++) {
        char expected[320];
        size_t head = (size_t)snprintf(expected, sizeof expected, "$%zu\r\n", n);
        memcpy(expected + head, bytes, n);
        memcpy(expected + head + n, "\r\n", 2);
        resp_out_bulk(slice_of(bytes, n));
        expect(slice_of(expected, head + n + 2));
    }
}

static void lines(void **state) {
    (void)state;
    resp_out_line('+', SLICE(""));
    resp_out_line('-', SLICE("ERR x"));
    expect(SLICE("+\r\n-ERR x\r\n"));
}

static void a_blob_is_referred_to(void **state) {
    (void)state;
    struct blob *blob = blob_from(SLICE("large"));
    resp_out_blob(blob);
    assert_int_equal(blob->holders, 2);
    expect(SLICE("$5\r\n\r\n")); /* its bytes stay where they are */
    assert_int_equal(blob->holders, 1);
    blob_drop(blob);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_of_all_lengths),
        cmocka_unit_test(bulks_of_all_lengths),
        cmocka_unit_test(lines),
        cmocka_unit_test(a_blob_is_referred_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
