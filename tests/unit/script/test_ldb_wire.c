/* The wire of a debugging session: requests in pieces and in heaps, hostile ones, and what is said. */
#include "base/buf.h"
#include "base/rand.h"
#include "script/ldb_wire.h"
#include "seed.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int peer;
static struct slice words[LDB_WIRE_ARGS];
static int count;

static int open_wire(void **state) {
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    *state = (void *)(intptr_t)ends[0];
    peer = ends[1];
    ldb_wire_open(ends[0]);
    return 0;
}

static int close_wire(void **state) {
    ldb_wire_close();
    close((int)(intptr_t)*state);
    if (peer >= 0) close(peer);
    return 0;
}

static void sends(const void *bytes, size_t n) {
    assert_int_equal(write(peer, bytes, n), n);
}

static void hangs_up(void) {
    close(peer);
    peer = -1;
}

static void expect_words(const char *expected) {
    char text[256] = "";
    assert_int_equal(ldb_wire_read(words, &count), LDB_WIRE_OK);
    for (int i = 0; i < count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%.*s", i ? "|" : "", (int)words[i].len,
                 words[i].ptr);
    assert_string_equal(text, expected);
}

static void requests_that_come_together_are_read_one_by_one(void **state) {
    (void)state;
    static const char bytes[] = "*1\r\n$1\r\ns\r\n*2\r\n$1\r\ne\r\n$4\r\na\r\nb\r\n*1\r\n$1\r\nc\r\n";
    sends(bytes, sizeof bytes - 1);
    expect_words("s");
    expect_words("e|a\r\nb");
    expect_words("c");
    hangs_up();
    assert_int_equal(ldb_wire_read(words, &count), LDB_WIRE_GONE);
}

/* All but a last byte is not yet a request: then the peer hangs up. */
static void part_of_a_request_is_no_request(void **state) {
    static const char bytes[] = "*2\r\n$1\r\ne\r\n$3\r\n1+1\r\n";
    for (size_t n = 0; n < sizeof bytes - 1; n++) {
        sends(bytes, n);
        hangs_up();
        assert_int_equal(ldb_wire_read(words, &count), LDB_WIRE_GONE);
        close_wire(state);
        open_wire(state);
    }
}

static void what_is_no_request_is_told_without_reading_on(void **state) {
    static const char *const bad[] = {"s\r\n",
                                      "*x\r\n",
                                      "*0\r\n",
                                      "*-1\r\n",
                                      "*1025\r\n",
                                      "*1\r\n$0\r\n\r\n",
                                      "*1\r\n$-1\r\n",
                                      "*1\r\n$1025\r\n",
                                      "*1\r\n:1\r\n",
                                      "*1\r\n$1\r\nsXX",
                                      "*1\rx",
                                      "*11111111111111111111111",
                                      "*9223372036854775807\r\n",
                                      "*1\r\n$9223372036854775807\r\n",
                                      "*01\r\n",
                                      "*+1\r\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        sends(bad[i], strlen(bad[i]));
        if (ldb_wire_read(words, &count) != LDB_WIRE_BAD) fail_msg("%s", bad[i]);
        close_wire(state);
        open_wire(state);
    }
}

static void the_largest_request_fits(void **state) {
    (void)state;
    struct buf request = {0};
    buf_printf(&request, "*%d\r\n", LDB_WIRE_ARGS);
    for (int i = 0; i < 100; i++) {
        buf_printf(&request, "$%d\r\n%0*d\r\n", LDB_WIRE_ARGS, LDB_WIRE_ARGS, i);
    }
    for (int i = 100; i < LDB_WIRE_ARGS; i++)
        buf_append_cstr(&request, "$1\r\nx\r\n");
    int room = 1 << 20;
    setsockopt(peer, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    sends(request.data, request.len);
    assert_int_equal(ldb_wire_read(words, &count), LDB_WIRE_OK);
    assert_int_equal(count, LDB_WIRE_ARGS);
    assert_int_equal(words[99].len, LDB_WIRE_ARGS);
    assert_memory_equal(words[99].ptr + LDB_WIRE_ARGS - 3, "099", 3);
    buf_free(&request);
}

/* Damaged requests, in pieces: under a sanitizer, nothing outside of what was read is looked at. */
static void random_bytes_are_survived(void **state) {
    static const char start[] = "*2\r\n$1\r\ne\r\n$3\r\n1+1\r\n*1\r\n$4\r\nstep\r\n";
    for (int i = 0; i < 20000; i++) {
        char bytes[sizeof start];
        memcpy(bytes, start, sizeof start);
        for (unsigned n = (unsigned)rand_below(4); n; n--)
            bytes[rand_below(sizeof start - 1)] = "*$\r\n0159-:s\0\xff"[rand_below(13)];
        sends(bytes, 1 + rand_below(sizeof start - 1));
        hangs_up();
        enum ldb_wire_end end;
        while ((end = ldb_wire_read(words, &count)) == LDB_WIRE_OK)
            assert_in_range(count, 1, LDB_WIRE_ARGS);
        close_wire(state);
        open_wire(state);
    }
}

static void expect_bytes(const char *expected) {
    char got[4096];
    ssize_t n = read(peer, got, sizeof got - 1);
    got[n > 0 ? n : 0] = '\0';
    assert_string_equal(got, expected);
}

static void what_is_said_is_one_array(void **state) {
    (void)state;
    ldb_say("one");
    ldb_say("%s %d", "a\r\nb", 2);
    ldb_wire_send();
    expect_bytes("*2\r\n+one\r\n+a  b 2\r\n");
    ldb_wire_send();
    expect_bytes("*0\r\n");
}

static void long_values_are_trimmed_and_the_client_is_told_once(void **state) {
    (void)state;
    char text[301], expected[1000], trimmed[300];
    memset(text, 'x', 300);
    text[300] = '\0';
    snprintf(trimmed, sizeof trimmed, "+%.256s ...\r\n", text);
    ldb_say_value(slice_of(text, 256));
    ldb_say_value(slice_of(text, 257));
    ldb_say_value(slice_of(text, 300));
    ldb_wire_send();
    snprintf(expected, sizeof expected,
             "*4\r\n+%.256s\r\n%s+<hint> The above reply was trimmed. Use 'maxlen 0' to "
             "disable trimming.\r\n%s",
             text, trimmed, trimmed);
    expect_bytes(expected);
    ldb_wire_trim(0);
    ldb_say_value(slice_of(text, 300));
    ldb_wire_send();
    snprintf(expected, sizeof expected, "*1\r\n+%s\r\n", text);
    expect_bytes(expected);
}

/* A script may log for ever: that takes memory up to a limit. */
static void too_much_is_not_kept(void **state) {
    (void)state;
    char *text = malloc(1 << 20);
    memset(text, 'x', 1 << 20);
    for (int i = 0; i < 100; i++)
        ldb_say_text(slice_of(text, 1 << 20));
    free(text);
    hangs_up();
    ldb_wire_send();
    ldb_say("still here");
    ldb_wire_send();
}

int main(void) {
    uint64_t seed = seed_of_run();
    printf("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(requests_that_come_together_are_read_one_by_one, open_wire, close_wire),
        cmocka_unit_test_setup_teardown(part_of_a_request_is_no_request, open_wire, close_wire),
        cmocka_unit_test_setup_teardown(what_is_no_request_is_told_without_reading_on, open_wire, close_wire),
        cmocka_unit_test_setup_teardown(the_largest_request_fits, open_wire, close_wire),
        cmocka_unit_test_setup_teardown(random_bytes_are_survived, open_wire, close_wire),
        cmocka_unit_test_setup_teardown(what_is_said_is_one_array, open_wire, close_wire),
        cmocka_unit_test_setup_teardown(long_values_are_trimmed_and_the_client_is_told_once, open_wire, close_wire),
        cmocka_unit_test_setup_teardown(too_much_is_not_kept, open_wire, close_wire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
