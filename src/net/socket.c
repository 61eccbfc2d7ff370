/* Listening sockets, and the names of both ends of a connection. */
#include "net/socket.h"
#include "base/num.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
};

static int listen_fail(int fd, const char *step, const char **why) {
    int saved = errno;
    if (fd >= 0) close(fd);
    errno = saved;
    *why = step;
    return -1;
}

static int listen_on(int fd, const struct sockaddr *address, socklen_t len, int backlog, const char **why) {
    if (bind(fd, address, len) < 0) return listen_fail(fd, "bind", why);
    if (listen(fd, backlog) < 0) return listen_fail(fd, "listen", why);
    return fd;
}

int socket_listen_tcp(const char *address, int port, int backlog, const char **why) {
    bool any = strcmp(address, "*") == 0, v6 = strchr(address, ':') != NULL;
    struct addrinfo hints = {.ai_family = v6 ? AF_INET6 : AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found;
    char service[NUM_I64_MAX];
    service[num_print_i64(service, port)] = '\0';
    int failed = getaddrinfo(any ? NULL : address, service, &hints, &found);
    if (failed) {
        errno = failed == EAI_SYSTEM ? errno : EADDRNOTAVAIL;
        return listen_fail(-1, gai_strerror(failed), why);
    }
    int one = 1, fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        freeaddrinfo(found);
        return listen_fail(-1, "socket", why);
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (found->ai_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    fd = listen_on(fd, found->ai_addr, found->ai_addrlen, backlog, why);
    int saved = errno;
    freeaddrinfo(found);
    errno = saved;
    return fd;
}

int socket_listen_unix(const char *path, int perm, int backlog, const char **why) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return listen_fail(-1, "unix socket path too long", why);
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return listen_fail(-1, "socket", why);
    unlink(path);
    /* The mode must hold from the moment on at which clients can connect. */
    mode_t before = perm ? umask(0777 & ~(mode_t)perm) : 0;
    fd = listen_on(fd, (struct sockaddr *)&address, sizeof address, backlog, why);
    if (perm) umask(before);
    if (fd < 0 || !perm || chmod(path, (mode_t)perm) == 0) return fd;
    return listen_fail(fd, "chmod", why);
}

int socket_accept(int listener) {
    union address peer;
    socklen_t len = sizeof peer;
    int fd = accept4(listener, &peer.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
    if (fd >= 0 && peer.any.sa_family != AF_UNIX) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

void socket_keepalive(int fd, int interval_s) {
    if (interval_s <= 0) return;
    int on = 1, probe_s = interval_s / 3 > 0 ? interval_s / 3 : 1, probes = 3;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &interval_s, sizeof interval_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &probe_s, sizeof probe_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

/* By hand, since printf would take longer than the system call that got the address. */
static void print_v4(const struct sockaddr_in *v4, char *to) {
    const uint8_t *byte = (const uint8_t *)&v4->sin_addr;
    for (int i = 0; i < 4; i++) {
        to += num_print_u64(to, byte[i]);
        *to++ = i < 3 ? '.' : ':';
    }
    to[num_print_u64(to, ntohs(v4->sin_port))] = '\0';
}

static void print_address(const union address *a, char name[SOCKET_NAME_MAX]) {
    char host[INET6_ADDRSTRLEN];
    if (a->any.sa_family == AF_INET)
        print_v4(&a->v4, name);
    else if (a->any.sa_family == AF_INET6 && inet_ntop(AF_INET6, &a->v6.sin6_addr, host, sizeof host))
        snprintf(name, SOCKET_NAME_MAX, "[%s]:%d", host, ntohs(a->v6.sin6_port));
    else
        strcpy(name, "?:0");
}

void socket_local_name(int fd, char name[SOCKET_NAME_MAX]) {
    union address a = {.any.sa_family = AF_UNSPEC};
    socklen_t len = sizeof a;
    strcpy(name, "?:0");
    if (getsockname(fd, &a.any, &len) < 0) return;
    if (a.any.sa_family == AF_UNIX)
        snprintf(name, SOCKET_NAME_MAX, "%.*s:0", SOCKET_NAME_MAX - 3, a.local.sun_path);
    else
        print_address(&a, name);
}

void socket_peer_name(int fd, char name[SOCKET_NAME_MAX]) {
    union address a = {.any.sa_family = AF_UNSPEC};
    socklen_t len = sizeof a;
    strcpy(name, "?:0");
    if (getpeername(fd, &a.any, &len) < 0) return;
    if (a.any.sa_family == AF_UNIX)
        socket_local_name(fd, name); /* peers of a Unix socket have no name */
    else
        print_address(&a, name);
}

static bool local_address(int fd, union address *a) {
    socklen_t len = sizeof *a;
    a->any.sa_family = AF_UNSPEC;
    return getsockname(fd, &a->any, &len) == 0;
}

bool socket_is_unix(int fd) {
    union address a;
    return local_address(fd, &a) && a.any.sa_family == AF_UNIX;
}

bool socket_is_loopback(int fd) {
    union address a = {.any.sa_family = AF_UNSPEC};
    socklen_t len = sizeof a;
    if (getpeername(fd, &a.any, &len) < 0) return false;
    if (a.any.sa_family == AF_UNIX) return true;
    if (a.any.sa_family == AF_INET) return ntohl(a.v4.sin_addr.s_addr) >> 24 == 127;
    if (a.any.sa_family != AF_INET6) return false;
    if (IN6_IS_ADDR_V4MAPPED(&a.v6.sin6_addr)) return a.v6.sin6_addr.s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&a.v6.sin6_addr);
}

int64_t socket_raise_fd_limit(int64_t wanted) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return 1024;
    if ((int64_t)limit.rlim_cur >= wanted) return (int64_t)limit.rlim_cur;
    struct rlimit raised = {.rlim_cur = (rlim_t)wanted,
                            .rlim_max = limit.rlim_max > (rlim_t)wanted ? limit.rlim_max : (rlim_t)wanted};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) return wanted;
    raised = (struct rlimit){.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
    return setrlimit(RLIMIT_NOFILE, &raised) == 0 ? (int64_t)limit.rlim_max : (int64_t)limit.rlim_cur;
}
