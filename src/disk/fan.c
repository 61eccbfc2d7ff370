/* Each socket is offered the rest of the bytes in turn. Those that are full are waited for together, up to the earliest
 * of their time-outs. */
#include "disk/fan.h"
#include "base/alloc.h"
#include "base/clock.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>

static bool is_pending(const struct fan_socket *s, size_t n) {
    return s->error == 0 && s->sent < n;
}

static void offer(struct fan_socket *s, const char *bytes, size_t n, int64_t now_us) {
    while (is_pending(s, n)) {
        ssize_t taken = send(s->fd, bytes + s->sent, n - s->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (taken > 0) {
            s->sent += (size_t)taken;
            s->moved_us = now_us;
        } else if (taken < 0 && errno == EAGAIN) {
            return;
        } else if (taken == 0 || errno != EINTR) {
            s->error = taken == 0 ? EPIPE : errno;
        }
    }
}

/* Give up a socket whose time is over. Returns how many ms it still has. */
static int64_t time_left_ms(const struct fan *fan, struct fan_socket *s, int64_t now_us) {
    int64_t left_ms = fan->timeout_ms - (now_us - s->moved_us) / 1000;
    if (left_ms <= 0) s->error = ETIMEDOUT;
    return left_ms;
}

/* Wait until a socket that is not done can take more, or its time is over. False: all are done. */
static bool wait_for_room(const struct fan *fan, size_t n, struct pollfd *polled) {
    int64_t now_us = clock_mono_us(), wait_ms = INT_MAX;
    nfds_t waiting = 0;
    for (int i = 0; i < fan->count; i++) {
        struct fan_socket *s = &fan->sockets[i];
        if (!is_pending(s, n)) continue;
        int64_t left_ms = time_left_ms(fan, s, now_us);
        if (s->error) continue;
        if (left_ms < wait_ms) wait_ms = left_ms;
        polled[waiting++] = (struct pollfd){.fd = s->fd, .events = POLLOUT};
    }
    if (waiting > 0) poll(polled, waiting, (int)wait_ms);
    return waiting > 0;
}

int fan_alive(const struct fan *fan) {
    int alive = 0;
    for (int i = 0; i < fan->count; i++)
        alive += fan->sockets[i].error == 0;
    return alive;
}

int fan_write(void *ctx, const void *bytes, size_t n) {
    struct fan *fan = ctx;
    size_t room = (size_t)(fan->count ? fan->count : 1) * sizeof(struct pollfd);
    struct pollfd *polled = alloc_get(room);
    int64_t now_us = clock_mono_us();
    for (int i = 0; i < fan->count; i++) {
        fan->sockets[i].sent = 0;
        fan->sockets[i].moved_us = now_us;
    }
    do {
        now_us = clock_mono_us();
        for (int i = 0; i < fan->count; i++)
            offer(&fan->sockets[i], bytes, n, now_us);
    } while (wait_for_room(fan, n, polled));
    alloc_put(polled, room);
    return fan_alive(fan) > 0 ? 0 : EPIPE;
}
