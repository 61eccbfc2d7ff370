/* The socket is non-blocking, and poll() waits, so that the time-out also holds for connecting. */
#include "net/peer.h"
#include "base/clock.h"
#include "base/num.h"
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE 65536

/* Wait until the socket is ready. False (errno) at the monotonic deadline. */
static bool wait_for(int fd, short events, int64_t deadline_us) {
    struct pollfd one = {.fd = fd, .events = events};
    for (;;) {
        int64_t left_ms = (deadline_us - clock_mono_us() + 999) / 1000;
        if (left_ms <= 0) break;
        int n = poll(&one, 1, left_ms < INT_MAX ? (int)left_ms : INT_MAX);
        if (n > 0) return true;
        if (n < 0 && errno != EINTR) return false;
    }
    errno = ETIMEDOUT;
    return false;
}

static int64_t deadline_in(int64_t timeout_ms) {
    const int64_t most_ms = INT64_MAX / 4000;
    return clock_mono_us() + (timeout_ms < most_ms ? timeout_ms : most_ms) * 1000;
}

/* The new socket; -1 with errno. */
static int connect_to(const struct addrinfo *address, int64_t deadline_us) {
    int one = 1, error = 0;
    socklen_t len = sizeof error;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0) return fd;
    if (errno == EINPROGRESS && wait_for(fd, POLLOUT, deadline_us)) {
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0) return fd;
        errno = error;
    }
    error = errno;
    close(fd);
    errno = error;
    return -1;
}

bool peer_open(struct peer *p, const char *host, int port, int64_t timeout_ms) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found;
    char service[NUM_I64_MAX];
    service[num_print_i64(service, port)] = '\0';
    *p = (struct peer){.fd = -1};
    if (getaddrinfo(host, service, &hints, &found) != 0) {
        errno = EHOSTUNREACH;
        return false;
    }
    int64_t deadline_us = deadline_in(timeout_ms);
    for (struct addrinfo *a = found; a && p->fd < 0; a = a->ai_next)
        p->fd = connect_to(a, deadline_us);
    int error = errno;
    freeaddrinfo(found);
    errno = error;
    return p->fd >= 0;
}

void peer_close(struct peer *p) {
    if (p->fd >= 0) close(p->fd);
    p->fd = -1;
}

static bool write_piece(struct peer *p, struct slice piece, int64_t timeout_ms) {
    int64_t deadline_us = deadline_in(timeout_ms);
    while (piece.len > 0) {
        ssize_t n = send(p->fd, piece.ptr, piece.len, MSG_NOSIGNAL);
        if (n > 0) {
            piece = slice_of(piece.ptr + n, piece.len - (size_t)n);
        } else if (errno == EAGAIN) {
            if (!wait_for(p->fd, POLLOUT, deadline_us)) return false;
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

bool peer_write(struct peer *p, struct slice bytes, int64_t timeout_ms) {
    while (bytes.len > 0) {
        size_t n = bytes.len < PIECE ? bytes.len : PIECE;
        if (!write_piece(p, slice_of(bytes.ptr, n), timeout_ms)) return false;
        bytes = slice_of(bytes.ptr + n, bytes.len - n);
    }
    return true;
}

/* Read more bytes behind those in the buffer. The end of the stream counts as ECONNRESET. */
static bool receive_more(struct peer *p, int64_t deadline_us) {
    for (;;) {
        ssize_t n = recv(p->fd, p->in + p->have, sizeof p->in - p->have, 0);
        if (n > 0) {
            p->have += (size_t)n;
            return true;
        }
        if (n == 0) errno = ECONNRESET;
        if (n == 0 || (errno != EAGAIN && errno != EINTR)) return false;
        if (errno == EAGAIN && !wait_for(p->fd, POLLIN, deadline_us)) return false;
    }
}

bool peer_read_line(struct peer *p, struct slice *line, int64_t timeout_ms) {
    int64_t deadline_us = deadline_in(timeout_ms);
    p->have -= p->used;
    memmove(p->in, p->in + p->used, p->have);
    p->used = 0;
    for (;;) {
        char *end = memchr(p->in, '\n', p->have);
        if (end) {
            p->used = (size_t)(end - p->in) + 1;
            size_t n = (size_t)(end - p->in);
            if (n > 0 && p->in[n - 1] == '\r') n--;
            *line = slice_of(p->in, n);
            return true;
        }
        if (p->have == sizeof p->in)
            p->have--; /* too long: the next byte, maybe the line's end, replaces the last one */
        if (!receive_more(p, deadline_us)) return false;
    }
}
