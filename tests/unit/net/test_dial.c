/* Dialling in a running loop, to sockets of this process: a name and addresses lead to a connection, nothing waits for
 * one that does not come about, and each address has its share of the time. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/worker.h"
#include "net/dial.h"
#include "net/loop.h"
#include "net/socket.h"
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS 10000 /* for what succeeds at once */
#define SHORT_MS 100  /* for what times out */

static atomic_bool name_server_is_stuck;

/* In place of libc's: some names get made-up addresses. Others are looked up as ever. */
int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    int (*ask)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    *(void **)&ask = dlsym(RTLD_NEXT, "getaddrinfo");
    if (hints->ai_flags & AI_NUMERICHOST || !host) return ask(host, service, hints, found);
    while (strcmp(host, "stuck") == 0 && atomic_load(&name_server_is_stuck))
        usleep(1000);
    if (strcmp(host, "two.addresses") != 0)
        return ask(strcmp(host, "stuck") ? host : "localhost", service, hints, found);
    int failed = ask("127.0.0.1", service, hints, found);
    return failed ? failed : ask("127.0.0.2", service, hints, &(*found)->ai_next);
}

static struct {
    int calls, fd;
    char error[200];
} result;

static void dialled(void *ctx, int fd, const char *error) {
    assert_ptr_equal(ctx, &result);
    result.calls++;
    result.fd = fd;
    assert_true((fd < 0) == (error != NULL));
    snprintf(result.error, sizeof result.error, "%s", error ? error : "");
}

static int until_called(void) {
    if (result.calls) loop_stop();
    return -1;
}

static int no_turn(void) {
    return -1;
}

static int listen_at(const char *address, int *port) {
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    const char *why;
    int fd = socket_listen_tcp(address, 0, 1, &why);
    *port = 0;
    if (fd < 0) return -1;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&bound, &len), 0);
    *port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                              : ((struct sockaddr_in *)&bound)->sin_port);
    return fd;
}

/* A cancelled dial, and one whose thread is not done, are freed by the loop. */
static void wait_until_freed(size_t used) {
    for (int64_t until_us = clock_mono_us() + WAIT_MS * 1000; alloc_used() > used; usleep(1000)) {
        assert_true(clock_mono_us() < until_us);
        loop_poll(no_turn);
    }
}

static struct dial *begin(const char *host, int port, const char *source, int64_t timeout_ms) {
    result.calls = 0;
    return dial_begin(host, port, source, timeout_ms, dialled, &result);
}

static void dial(const char *host, int port, const char *source, int64_t timeout_ms) {
    begin(host, port, source, timeout_ms);
    assert_int_equal(result.calls, 0); /* only the loop tells */
    loop_run(until_called);
    loop_poll(no_turn);
    assert_int_equal(result.calls, 1);
}

static void expect_connected(int listener) {
    assert_string_equal(result.error, "");
    assert_true(fcntl(result.fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(result.fd, F_GETFD) & FD_CLOEXEC);
    struct pollfd one = {.fd = listener, .events = POLLIN};
    assert_int_equal(poll(&one, 1, WAIT_MS), 1);
    int other = socket_accept(listener);
    assert_true(other >= 0);
    assert_int_equal(write(result.fd, "x", 1), 1);
    close(other);
    close(result.fd);
}

static void a_server_is_reached(void **state) {
    static const char *const hosts[][2] = {{"127.0.0.1", "127.0.0.1"}, {"::1", "::1"}, {"localhost", "127.0.0.1"}};
    (void)state;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        int port, listener = listen_at(hosts[i][1], &port);
        if (listener < 0) continue; /* a machine without IPv6 */
        dial(hosts[i][0], port, i % 2 ? NULL : "", WAIT_MS);
        expect_connected(listener);
        close(listener);
    }
}

static void it_connects_from_an_address(void **state) {
    struct sockaddr_in from;
    socklen_t len = sizeof from;
    int port, listener = listen_at("127.0.0.1", &port);
    (void)state;
    dial("127.0.0.1", port, "127.0.0.9", WAIT_MS);
    assert_int_equal(getsockname(result.fd, (struct sockaddr *)&from, &len), 0);
    assert_int_equal(ntohl(from.sin_addr.s_addr), 0x7f000009);
    expect_connected(listener);
    dial("127.0.0.1", port, "203.0.113.7", WAIT_MS); /* not of this machine */
    expect_connected(listener);
    dial("127.0.0.1", port, "no address", WAIT_MS);
    expect_connected(listener);
    close(listener);
}

static void nobody_is_there(void **state) {
    int port, listener = listen_at("127.0.0.1", &port);
    (void)state;
    close(listener);
    dial("127.0.0.1", port, NULL, WAIT_MS);
    assert_string_equal(result.error, "Connection refused");
    dial("localhost", port, NULL, WAIT_MS);
    assert_string_equal(result.error, "Connection refused");
    dial("no such name", port, NULL, WAIT_MS);
    assert_true(strlen(result.error) > 0);
    dial("", 70000, NULL, WAIT_MS);
    assert_int_equal(result.fd, -1);
}

/* A server whose queue of connections is full does not answer. */
static int fill_queue(int port, int *fds, int max) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int n = 0; n < max; n++) {
        fds[n] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(fds[n], (struct sockaddr *)&to, sizeof to);
        struct pollfd one = {.fd = fds[n], .events = POLLOUT};
        if (poll(&one, 1, 50) == 0) return n + 1;
    }
    return max;
}

static void a_server_that_does_not_answer(void **state) {
    int port, listener = listen_at("127.0.0.1", &port), fds[16];
    (void)state;
    int n = fill_queue(port, fds, 16);
    int64_t began_us = clock_mono_us();
    dial("127.0.0.1", port, NULL, SHORT_MS);
    assert_string_equal(result.error, "Connection timed out");
    assert_true(clock_mono_us() - began_us >= (SHORT_MS - 1) * 1000);
    while (n-- > 0)
        close(fds[n]);
    close(listener);
}

static void a_dial_can_be_cancelled(void **state) {
    int port, listener = listen_at("127.0.0.1", &port);
    static const char *const hosts[] = {"127.0.0.1", "localhost", "two.addresses"};
    size_t before = alloc_used();
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        for (int turns = 0; turns < 4; turns++) {
            struct dial *d = begin(hosts[i], port, NULL, WAIT_MS);
            for (int k = 0; k < turns && !result.calls; k++)
                loop_poll(no_turn);
            if (result.calls) {
                if (result.fd >= 0) close(result.fd);
                continue;
            }
            dial_cancel(d);
            wait_until_freed(before);
            assert_int_equal(result.calls, 0);
        }
    }
    close(listener);
}

/* --- Names that getaddrinfo() below makes up ------------------------------------------------- */

static void the_next_address_has_time_left(void **state) {
    int port, silent = listen_at("127.0.0.1", &port), fds[16];
    const char *why;
    (void)state;
    int n = fill_queue(port, fds, 16), listener = socket_listen_tcp("127.0.0.2", port, 4, &why);
    assert_true(listener >= 0);
    dial("two.addresses", port, NULL, 4 * SHORT_MS);
    expect_connected(listener);
    while (n-- > 0)
        close(fds[n]);
    close(silent);
    close(listener);
}

static void a_look_up_that_hangs_holds_up_nobody(void **state) {
    int port, listener = listen_at("127.0.0.1", &port);
    size_t before = alloc_used();
    (void)state;
    atomic_store(&name_server_is_stuck, true);
    dial("stuck", port, NULL, SHORT_MS);
    assert_string_equal(result.error, "Connection timed out");
    dial_cancel(begin("stuck", port, NULL, WAIT_MS));
    dial("localhost", port, NULL, WAIT_MS);
    expect_connected(listener);
    atomic_store(&name_server_is_stuck, false);
    result.calls = 0;
    wait_until_freed(before);
    assert_int_equal(result.calls, 0);
    dial_cancel(NULL); /* nothing happens */
    close(listener);
}

int main(void) {
    clock_init();
    clock_update();
    worker_start();
    if (!loop_init(64)) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_is_reached),
        cmocka_unit_test(it_connects_from_an_address),
        cmocka_unit_test(nobody_is_there),
        cmocka_unit_test(a_server_that_does_not_answer),
        cmocka_unit_test(a_dial_can_be_cancelled),
        cmocka_unit_test(the_next_address_has_time_left),
        cmocka_unit_test(a_look_up_that_hangs_holds_up_nobody),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    worker_stop();
    loop_close();
    return failed;
}
