/* Sockets on loopback addresses and paths: what is listened on can be accepted, and both ends have names. */
#include "net/socket.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static int port_of(int fd) {
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}

/* The server's end of a new connection to the listener; *client is the other end. */
static int connect_to(int listener, int *client) {
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    *client = socket(address.ss_family, SOCK_STREAM, 0);
    assert_int_equal(connect(*client, (struct sockaddr *)&address, len), 0);
    struct pollfd one = {.fd = listener, .events = POLLIN};
    assert_int_equal(poll(&one, 1, 10000), 1);
    int fd = socket_accept(listener);
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    return fd;
}

static int option(int fd, int level, int name) {
    int value = -1;
    socklen_t len = sizeof value;
    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void expect_tcp(const char *address, const char *shown) {
    const char *why = NULL;
    char expected[SOCKET_NAME_MAX], name[SOCKET_NAME_MAX], peer[SOCKET_NAME_MAX];
    int client, listener = socket_listen_tcp(address, 0, 16, &why);
    if (listener < 0 && strchr(address, ':')) skip(); /* no IPv6 here */
    assert_true(listener >= 0);
    snprintf(expected, sizeof expected, "%s:%d", shown, port_of(listener));
    socket_local_name(listener, name);
    assert_string_equal(name, expected);
    socket_peer_name(listener, name);
    assert_string_equal(name, "?:0");
    int fd = connect_to(listener, &client);
    socket_local_name(fd, name);
    assert_string_equal(name, expected);
    socket_peer_name(fd, peer);
    socket_local_name(client, name);
    assert_string_equal(peer, name);
    assert_true(socket_is_loopback(fd));
    assert_false(socket_is_unix(fd));
    assert_true(option(fd, IPPROTO_TCP, TCP_NODELAY));
    errno = 0;
    assert_int_equal(socket_accept(listener), -1);
    assert_int_equal(errno, EAGAIN);
    close(fd);
    close(client);
    close(listener);
}

static void ipv4(void **state) {
    (void)state;
    expect_tcp("127.0.0.1", "127.0.0.1");
}

static void ipv6(void **state) {
    (void)state;
    expect_tcp("::1", "[::1]");
}

static void unix_sockets(void **state) {
    (void)state;
    char dir[] = "/tmp/kura-socket-XXXXXX", path[64], expected[SOCKET_NAME_MAX], name[SOCKET_NAME_MAX];
    const char *why = NULL;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/socket", dir);
    snprintf(expected, sizeof expected, "%s:0", path);
    int client, listener = socket_listen_unix(path, 0, 16, &why);
    assert_true(listener >= 0);
    close(listener);
    listener = socket_listen_unix(path, 0700, 16, &why); /* the old file does not matter */
    assert_true(listener >= 0);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    int fd = connect_to(listener, &client);
    socket_peer_name(fd, name);
    assert_string_equal(name, expected);
    assert_true(socket_is_unix(fd) && socket_is_loopback(fd));
    close(fd);
    close(client);
    close(listener);
    unlink(path);
    rmdir(dir);
}

/* Stands in for the system's: it notes the mode that the file has before, and fails if it is told to. */
static mode_t mode_before;
static bool chmod_fails;

int chmod(const char *path, mode_t mode) {
    struct stat about;
    mode_before = stat(path, &about) == 0 ? about.st_mode & 0777 : 0;
    if (!chmod_fails) return fchmodat(AT_FDCWD, path, mode, 0);
    errno = EPERM;
    return -1;
}

/* A client may connect as soon as the socket listens. */
static void the_mode_holds_from_the_beginning(void **state) {
    (void)state;
    char dir[] = "/tmp/kura-socket-XXXXXX", path[64];
    const char *why = NULL;
    mode_t mask = umask(022);
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/socket", dir);
    int listener = socket_listen_unix(path, 0600, 16, &why);
    assert_true(listener >= 0);
    assert_int_equal(mode_before, 0600);
    assert_int_equal(umask(mask), 022);
    close(listener);
    chmod_fails = true;
    assert_int_equal(socket_listen_unix(path, 0600, 16, &why), -1);
    assert_int_equal(errno, EPERM);
    assert_string_equal(why, "chmod");
    chmod_fails = false;
    unlink(path);
    rmdir(dir);
}

static void failures_name_their_step(void **state) {
    (void)state;
    const char *why = NULL;
    char path[sizeof((struct sockaddr_un *)0)->sun_path + 1];
    int listener = socket_listen_tcp("127.0.0.1", 0, 16, &why);
    assert_int_equal(socket_listen_tcp("127.0.0.1", port_of(listener), 16, &why), -1);
    assert_int_equal(errno, EADDRINUSE);
    assert_non_null(why);
    close(listener);
    assert_int_equal(socket_listen_tcp("192.0.2.1", 0, 16, &why), -1); /* an address of no machine */
    assert_int_equal(errno, EADDRNOTAVAIL);
    assert_string_equal(why, "bind");
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(socket_listen_unix(path, 0, 16, &why), -1);
    assert_int_equal(errno, ENAMETOOLONG);
    assert_string_equal(why, "unix socket path too long");
}

static void keepalive(void **state) {
    (void)state;
    const char *why = NULL;
    int client, listener = socket_listen_tcp("127.0.0.1", 0, 16, &why), fd = connect_to(listener, &client);
    socket_keepalive(fd, 0);
    assert_false(option(fd, SOL_SOCKET, SO_KEEPALIVE));
    socket_keepalive(fd, 300);
    assert_true(option(fd, SOL_SOCKET, SO_KEEPALIVE));
    assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 300);
    assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 100);
    close(fd);
    close(client);
    close(listener);
}

static void limit_on_files(void **state) {
    (void)state;
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    int64_t now = (int64_t)limit.rlim_cur;
    assert_int_equal(socket_raise_fd_limit(now / 2), now); /* never lowered */
    int64_t raised = socket_raise_fd_limit(now + 1);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(raised, (int64_t)limit.rlim_cur);
    assert_true(raised >= now);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ipv4),
        cmocka_unit_test(ipv6),
        cmocka_unit_test(unix_sockets),
        cmocka_unit_test(failures_name_their_step),
        cmocka_unit_test(the_mode_holds_from_the_beginning),
        cmocka_unit_test(keepalive),
        cmocka_unit_test(limit_on_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
