/* Listening sockets: they follow the options without closing what is still wanted, a burst is taken in portions, and a
 * client too many is told so. Clients are fakes: only their descriptors count. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/module.h"
#include "base/words.h"
#include "conf/config.h"
#include "conf/directive.h"
#include "exec/wave.h"
#include "net/loop.h"
#include "process/listen.h"
#include "session/client.h"
#include "session/client_evict.h"
#include "session/limits.h"
#include "session/server_metrics.h"
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

extern const struct module listen_module;

/* --- Fakes ----------------------------------------------------------------------------------- */

enum { MANY = 3 * LISTEN_BURST };
static int accepted[MANY];
static size_t count;

void wave_ready(struct loop_source *source, uint32_t events) {
    (void)source;
    (void)events;
}
size_t client_count(void) {
    return count;
}
struct client *client_new(int fd, void (*ready)(struct loop_source *source, uint32_t events)) {
    assert_ptr_equal(ready, wave_ready);
    assert_true(count < MANY);
    accepted[count++] = fd;
    return NULL;
}
void (*busy_accepts)(struct loop_source *source, uint32_t events);
bool client_needs_password, client_evict_is_on;
void client_evict_note(struct client *c) {
    (void)c;
}

/* --- Steps ----------------------------------------------------------------------------------- */

static char unix_path[64];
static int port, other_port, first_fd;

static bool set(const char *name, const char *value) {
    struct config_error error;
    return config_set((struct slice[]){slice_cstr(name), slice_cstr(value)}, 1, true, &error);
}

static bool set_port(int n) {
    char text[16];
    snprintf(text, sizeof text, "%d", n);
    return set("port", text);
}

static int no_wait(void) {
    return 0;
}

static void turn(void) {
    loop_poll(no_wait);
}

static int connect_tcp(int to) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)to)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
    close(fd);
    return -1;
}

static int connect_unix(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, unix_path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
    close(fd);
    return -1;
}

static void drop_clients(void) {
    while (count)
        close(accepted[--count]);
}

/* A port that is free now. */
static int free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static void expect_description(const char *expected) {
    struct buf out = {0};
    listen_describe(&out);
    buf_append(&out, "", 1);
    assert_string_equal(out.data, expected);
    buf_free(&out);
}

/* --- Tests ----------------------------------------------------------------------------------- */

static void connections_become_clients(void **state) {
    (void)state;
    int one = connect_tcp(port), other = connect_unix();
    assert_true(one >= 0 && other >= 0);
    turn();
    assert_int_equal(count, 2);
    drop_clients();
    close(one);
    close(other);
}

static void a_client_too_many_is_told_and_closed(void **state) {
    (void)state;
    char text[100];
    uint64_t before = server_metrics.connections_rejected;
    limits_options.max_clients = 1;
    int one = connect_tcp(port), other = connect_tcp(port);
    turn();
    assert_int_equal(count, 1);
    ssize_t n = read(other, text, sizeof text);
    assert_true(n > 0 && slice_eq(slice_of(text, (size_t)n), SLICE("-ERR max number of clients reached\r\n")));
    assert_int_equal(read(other, text, sizeof text), 0);
    assert_int_equal(server_metrics.connections_rejected, before + 1);
    limits_options.max_clients = 10000;
    drop_clients();
    close(one);
    close(other);
}

static void a_burst_is_taken_in_portions(void **state) {
    (void)state;
    int fds[LISTEN_BURST + 10];
    for (int i = 0; i < LISTEN_BURST + 10; i++)
        assert_true((fds[i] = connect_tcp(port)) >= 0);
    turn();
    assert_int_equal(count, LISTEN_BURST);
    turn();
    assert_int_equal(count, LISTEN_BURST + 10);
    drop_clients();
    for (int i = 0; i < LISTEN_BURST + 10; i++)
        close(fds[i]);
}

static void a_change_keeps_what_is_still_wanted(void **state) {
    (void)state;
    int waiting = connect_tcp(port);
    assert_true(set("bind", "-192.0.2.1 127.0.0.1")); /* an address with a dash may be missing */
    turn();
    assert_int_equal(count, 1); /* the socket in whose queue it was has stayed */
    assert_int_equal(listen_address_count(), 2);
    assert_string_equal(listen_address(0), "-192.0.2.1");
    assert_true(set("bind", "127.0.0.1"));
    drop_clients();
    close(waiting);
}

static void another_port_replaces_the_first(void **state) {
    (void)state;
    assert_true(set_port(other_port));
    assert_int_equal(listen_port(), other_port);
    assert_int_equal(connect_tcp(port), -1);
    int fd = connect_tcp(other_port);
    assert_true(fd >= 0);
    close(fd);
    assert_true(set_port(0));
    assert_int_equal(connect_tcp(other_port), -1);
    expect_description(unix_path);
    assert_true(set_port(port));
    turn();
    drop_clients();
    fd = connect_tcp(port);
    assert_true(fd >= 0);
    close(fd);
    turn();
    drop_clients();
}

static void a_change_that_fails_leaves_all_as_it_was(void **state) {
    (void)state;
    assert_false(set("bind", "192.0.2.1"));
    assert_string_equal(listen_address(0), "127.0.0.1");
    int fd = connect_tcp(port);
    assert_true(fd >= 0);
    int taken = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)other_port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(taken, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(taken, 1), 0);
    assert_false(set_port(other_port));
    assert_int_equal(listen_port(), port);
    close(taken);
    close(fd);
    fd = connect_tcp(port);
    assert_true(fd >= 0);
    close(fd);
    turn();
    drop_clients();
}

static void bind_has_a_bound_and_is_printed_as_given(void **state) {
    (void)state;
    struct buf out = {0};
    assert_false(set("bind", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17"));
    assert_true(set("bind", "127.0.0.1 -127.0.0.2"));
    directive_print(config_find(SLICE("bind")), &out);
    assert_true(slice_eq(buf_slice(&out), SLICE("127.0.0.1 -127.0.0.2")));
    buf_free(&out);
    assert_true(set("bind", "")); /* no TCP at all */
    assert_int_equal(connect_tcp(port), -1);
    expect_description(unix_path);
    assert_true(set("bind", "127.0.0.1"));
}

static void the_title_gets_the_first_address(void **state) {
    (void)state;
    char expected[64];
    snprintf(expected, sizeof expected, "127.0.0.1:%d", port);
    expect_description(expected);
    assert_true(set("bind", "-192.0.2.1 127.0.0.1"));
    snprintf(expected, sizeof expected, "192.0.2.1:%d", port);
    expect_description(expected);
    assert_true(set("bind", "-2001:db8::1 127.0.0.1"));
    snprintf(expected, sizeof expected, "[2001:db8::1]:%d", port);
    expect_description(expected);
    assert_true(set("bind", "127.0.0.1"));
}

/* The lowest descriptor that is free. */
static int free_fd(void) {
    int fd = dup(STDERR_FILENO);
    close(fd);
    return fd;
}

/* The connection that cannot be taken waits, and so does the server, instead of trying again at once. */
static void without_descriptors_the_sockets_rest(void **state) {
    (void)state;
    struct rlimit limit, none;
    int fd = connect_tcp(port);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = (rlim_t)free_fd();
    int64_t began_us = clock_mono_us();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    turn();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    while (count == 0)
        turn();
    assert_true(clock_mono_us() - began_us >= 100000);
    drop_clients();
    close(fd);
}

/* A peer that reset its connection has no address, so it cannot be on this machine. */
static void connect_and_reset(void) {
    struct linger at_once = {.l_onoff = 1};
    int fd = connect_tcp(port);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    close(fd);
    turn();
}

static void protected_mode_admits_only_this_machine(void **state) {
    (void)state;
    uint64_t before = server_metrics.connections_rejected;
    connect_and_reset();
    assert_int_equal(count, 0);
    assert_int_equal(server_metrics.connections_rejected, before + 1);
    client_needs_password = true;
    connect_and_reset();
    assert_int_equal(count, 1);
    client_needs_password = false;
    assert_true(set("protected-mode", "no"));
    connect_and_reset();
    assert_int_equal(count, 2);
    assert_true(set("protected-mode", "yes"));
    drop_clients();
}

static void an_address_that_is_not_wanted_is_closed(void **state) {
    (void)state;
    assert_true(set("bind", "127.0.0.2 127.0.0.1"));
    int fd = connect_tcp(port);
    assert_true(fd >= 0);
    close(fd);
    turn();
    drop_clients();
    assert_true(set("bind", "127.0.0.2"));
    assert_int_equal(connect_tcp(port), -1);
    assert_true(set("bind", "127.0.0.1"));
}

static void stopping_closes_all(void **state) {
    (void)state;
    listen_stop();
    assert_int_equal(connect_tcp(port), -1);
    assert_int_equal(connect_unix(), -1);
    assert_int_equal(access(unix_path, F_OK), -1);
    listen_stop(); /* again: nothing happens */
    assert_int_equal(free_fd(), first_fd);
}

/* A start with nothing to listen to ends the process. */
static void nowhere_to_listen(void **state) {
    (void)state;
    const char *error;
    struct words w;
    int status;
    assert_true(set_port(0) && words_split(&w, SLICE("''")));
    assert_true(config_set_at_start(config_find(SLICE("unixsocket")), (const char *const *)w.at, w.count, &error));
    words_free(&w);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        listen_module.start();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

static int start(void **state) {
    (void)state;
    const char *error;
    struct words w;
    log_set_level(LOG_NOTHING);
    snprintf(unix_path, sizeof unix_path, "/tmp/kura-listen-%d", (int)getpid());
    config_register(listen_module.options);
    limits_options.max_clients = 10000;
    port = free_port();
    other_port = free_port();
    if (!loop_init(64) || !set_port(port) || !set("bind", "127.0.0.1")) return -1;
    if (!words_split(&w, slice_cstr(unix_path))) return -1;
    if (!config_set_at_start(config_find(SLICE("unixsocket")), (const char *const *)w.at, w.count, &error)) return -1;
    words_free(&w);
    first_fd = dup(STDERR_FILENO);
    close(first_fd);
    listen_module.start();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_become_clients),
        cmocka_unit_test(a_client_too_many_is_told_and_closed),
        cmocka_unit_test(a_burst_is_taken_in_portions),
        cmocka_unit_test(a_change_keeps_what_is_still_wanted),
        cmocka_unit_test(another_port_replaces_the_first),
        cmocka_unit_test(a_change_that_fails_leaves_all_as_it_was),
        cmocka_unit_test(bind_has_a_bound_and_is_printed_as_given),
        cmocka_unit_test(the_title_gets_the_first_address),
        cmocka_unit_test(without_descriptors_the_sockets_rest),
        cmocka_unit_test(protected_mode_admits_only_this_machine),
        cmocka_unit_test(an_address_that_is_not_wanted_is_closed),
        cmocka_unit_test(stopping_closes_all),
        cmocka_unit_test(nowhere_to_listen),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
