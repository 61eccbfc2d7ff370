/* A small client against a listening socket of this process: lines, time-outs, a peer that goes away. */
#include "base/clock.h"
#include "net/peer.h"
#include "net/socket.h"
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS 10000 /* for steps that succeed at once */
#define SHORT_MS 20   /* for steps that time out */

static struct peer peer;
static int listener, other; /* other: the server's end */

static int port_of(int fd) {
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    return ntohs(address.sin_port);
}

static int set_up(void **state) {
    (void)state;
    const char *why;
    listener = socket_listen_tcp("127.0.0.1", 0, 4, &why);
    if (!peer_open(&peer, "127.0.0.1", port_of(listener), WAIT_MS)) return -1;
    struct pollfd one = {.fd = listener, .events = POLLIN};
    poll(&one, 1, WAIT_MS);
    other = socket_accept(listener);
    return other < 0;
}

static int tear_down(void **state) {
    (void)state;
    peer_close(&peer);
    peer_close(&peer); /* does nothing */
    if (other >= 0) close(other);
    close(listener);
    return 0;
}

static void answer(const char *bytes, size_t n) {
    assert_int_equal(write(other, bytes, n), (ssize_t)n);
}

static void expect_line(const char *expected) {
    struct slice line;
    assert_true(peer_read_line(&peer, &line, WAIT_MS));
    assert_true(slice_eq(line, slice_cstr(expected)));
}

static void lines(void **state) {
    (void)state;
    struct slice line;
    answer("+OK\r\n:12\n\r\n-ER", 14);
    expect_line("+OK");
    expect_line(":12");
    expect_line("");
    assert_false(peer_read_line(&peer, &line, SHORT_MS));
    assert_int_equal(errno, ETIMEDOUT);
    answer("R\r\n", 3);
    expect_line("-ERR");
}

static void long_lines_are_cut_off(void **state) {
    (void)state;
    static char bytes[3 * PEER_LINE_MAX];
    struct slice line;
    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes + sizeof bytes - 2, "\r\n", 2);
    answer(bytes, sizeof bytes);
    answer("+next\r\n", 7);
    assert_true(peer_read_line(&peer, &line, WAIT_MS));
    assert_int_equal(line.len, PEER_LINE_MAX - 1);
    assert_memory_equal(line.ptr, bytes, line.len);
    expect_line("+next");
}

static void a_peer_that_closes_counts_as_a_reset(void **state) {
    (void)state;
    struct slice line;
    answer("+last\r\n+half", 12);
    close(other);
    other = -1;
    expect_line("+last");
    assert_false(peer_read_line(&peer, &line, WAIT_MS));
    assert_int_equal(errno, ECONNRESET);
}

/* The kernel's buffers take some megabytes; then nothing moves until the other side reads. */
static void writing(void **state) {
    (void)state;
    size_t n = 64 << 20;
    char *bytes = calloc(1, n);
    assert_true(peer_write(&peer, SLICE("PING\r\n"), WAIT_MS));
    char got[6];
    struct pollfd one = {.fd = other, .events = POLLIN};
    assert_int_equal(poll(&one, 1, WAIT_MS), 1);
    assert_int_equal(read(other, got, sizeof got), 6);
    assert_memory_equal(got, "PING\r\n", 6);
    int64_t start_us = clock_mono_us();
    assert_false(peer_write(&peer, slice_of(bytes, n), SHORT_MS));
    assert_int_equal(errno, ETIMEDOUT);
    assert_true(clock_mono_us() - start_us >= SHORT_MS * 1000);
    free(bytes);
}

static void connecting_can_fail(void **state) {
    (void)state;
    const char *why;
    struct peer p;
    int fd = socket_listen_tcp("127.0.0.1", 0, 4, &why), port = port_of(fd);
    close(fd);
    assert_false(peer_open(&p, "127.0.0.1", port, WAIT_MS));
    assert_int_equal(errno, ECONNREFUSED);
    assert_false(peer_open(&p, "not a host", port, WAIT_MS));
    assert_int_equal(errno, EHOSTUNREACH);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_lines_are_cut_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_peer_that_closes_counts_as_a_reset, set_up, tear_down),
        cmocka_unit_test_setup_teardown(writing, set_up, tear_down),
        cmocka_unit_test(connecting_can_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
