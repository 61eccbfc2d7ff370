/* See lines.h. Bytes are looked at first, then taken as far as the line goes. */
#include "repl/lines.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* Take bytes from the socket as far as the line goes. Returns how many; 0: none, and errno tells why: 0 is the end of
 * the connection. */
static size_t take_piece(struct lines *l, int fd) {
    char *to = l->bytes + l->len;
    ssize_t n;
    do
        n = recv(fd, to, sizeof l->bytes - l->len, MSG_PEEK);
    while (n < 0 && errno == EINTR);
    if (n <= 0) {
        if (n == 0) errno = 0;
        return 0;
    }
    const char *lf = memchr(to, '\n', (size_t)n);
    n = recv(fd, to, lf ? (size_t)(lf - to) + 1 : (size_t)n, 0);
    return n > 0 ? (size_t)n : 0;
}

enum lines_result lines_read(struct lines *l, int fd, struct slice *line) {
    while (l->len < sizeof l->bytes) {
        size_t n = take_piece(l, fd);
        if (n == 0) return errno == EAGAIN ? LINES_MORE : LINES_CLOSED;
        l->len += n;
        if (l->bytes[l->len - 1] != '\n') continue;
        n = l->len - 1;
        l->len = 0;
        if (n > 0 && l->bytes[n - 1] == '\r') n--;
        *line = slice_of(l->bytes, n);
        return LINES_LINE;
    }
    return LINES_TOO_LONG;
}
