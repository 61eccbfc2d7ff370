/* Clients for unit tests: a client is on one end of a socket pair, the test on the other. */
#pragma once
#include "session/client.h"
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A client whose peer is *end. The loop was started. */
static inline struct client *lab_connect(int *end, void (*ready)(struct loop_source *source, uint32_t events)) {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0) abort();
    *end = fds[1];
    return client_new(fds[0], ready);
}

/* The client is to find this text when it reads. */
static inline void lab_say(int end, const char *text) {
    if (send(end, text, strlen(text), 0) != (ssize_t)strlen(text)) abort();
}

/* The text that was sent to this end since the last call; "(closed)" if nothing can follow. Valid until the next
 * call. */
static inline const char *lab_heard(int end) {
    static char text[1 << 16];
    ssize_t n = recv(end, text, sizeof text - 1, MSG_DONTWAIT);
    if (n == 0) return "(closed)";
    text[n > 0 ? n : 0] = '\0';
    return text;
}
