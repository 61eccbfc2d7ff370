/* One stream for several sockets, written by a forked child: each takes what it can, and the slowest sets the pace. One
 * that fails, or takes nothing for timeout_ms while others wait for it, is given up, and the others go on. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct fan_socket {
    int fd;           /* the caller's; it may be blocking or not */
    int error;        /* 0, or the errno why it was given up: ETIMEDOUT, EPIPE, ... */
    size_t sent;      /* private, as the next one: bytes of the current write that it has taken */
    int64_t moved_us; /* when it took some last; monotonic */
};

struct fan {
    struct fan_socket *sockets; /* the caller's array */
    int count;
    int64_t timeout_ms;
};

/* A sink for a writer (disk/writer.h): ctx is the struct fan. Returns when all sockets that are not given up have taken
 * all bytes: 0, or EPIPE if none is left. */
int fan_write(void *ctx, const void *bytes, size_t n);
int fan_alive(const struct fan *fan); /* sockets that were not given up. O(sockets) */
