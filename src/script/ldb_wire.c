#include "script/ldb_wire.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/num.h"
#include "process/shutdown.h"
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

enum {
    READ_BYTES = 16384,
    INPUT_MAX = 2 << 20, /* more than the largest request */
    SAID_MAX = 64 << 20,
    TRIM_FIRST = 256,
    SEND_WAIT_MS = 5000,
    LOOK_MS = 100, /* how often a wait asks whether the server ends */
};

static struct {
    int fd;
    bool gone;
    struct buf said; /* the lines, as replies */
    size_t lines;
    size_t trim;      /* bytes of a value that are said; 0: all */
    bool knows_trim;  /* the client was told of it, or has set it */
    struct buf input; /* what was read */
    size_t used;      /* bytes of it that belong to earlier requests */
} wire;

void ldb_wire_open(int fd) {
    wire.fd = fd;
    wire.gone = wire.knows_trim = false;
    wire.lines = wire.used = 0;
    wire.trim = TRIM_FIRST;
}

void ldb_wire_close(void) {
    buf_free(&wire.said);
    buf_free(&wire.input);
}

/* --- What is said ---------------------------------------------------------------------------- */

void ldb_say_text(struct slice text) {
    if (text.len > SAID_MAX || wire.said.len > SAID_MAX - text.len) return;
    buf_append(&wire.said, "+", 1);
    char *to = buf_reserve(&wire.said, text.len + 2);
    for (size_t i = 0; i < text.len; i++)
        to[i] = text.ptr[i] == '\r' || text.ptr[i] == '\n' ? ' ' : text.ptr[i];
    memcpy(to + text.len, "\r\n", 2);
    wire.said.len += text.len + 2;
    wire.lines++;
}

void ldb_say(const char *format, ...) {
    struct buf line = {0};
    va_list args;
    va_start(args, format);
    buf_vprintf(&line, format, args);
    va_end(args);
    ldb_say_text(buf_slice(&line));
    buf_free(&line);
}

void ldb_say_value(struct slice text) {
    if (!wire.trim || text.len <= wire.trim) {
        ldb_say_text(text);
        return;
    }
    ldb_say("%.*s ...", (int)wire.trim, text.ptr);
    if (!wire.knows_trim) ldb_say("<hint> The above reply was trimmed. Use 'maxlen 0' to disable trimming.");
    wire.knows_trim = true;
}

void ldb_wire_trim(size_t bytes) {
    wire.trim = bytes;
    wire.knows_trim = true;
}

size_t ldb_wire_trimmed(void) {
    return wire.trim;
}

/* --- The socket ------------------------------------------------------------------------------ */

/* Wait until the socket is ready; -1: for ever. False: it will not be. A signal that comes just before poll() does not
 * wake it, so it ends by itself now and then. */
static bool wait_for(short event, int wait_ms) {
    struct pollfd at = {.fd = wire.fd, .events = event};
    int64_t until_us = wait_ms < 0 ? INT64_MAX : clock_mono_us() + (int64_t)wait_ms * 1000;
    for (;;) {
        int n = poll(&at, 1, LOOK_MS);
        if (n > 0) return true;
        if ((n < 0 && errno != EINTR) || shutdown_is_near() || clock_mono_us() >= until_us) return false;
    }
}

void ldb_wire_write(const void *bytes, size_t n) {
    const char *p = bytes;
    while (n && !wire.gone) {
        ssize_t sent = send(wire.fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            p += sent;
            n -= (size_t)sent;
        } else if (sent < 0 && errno != EINTR) {
            wire.gone = errno != EAGAIN || !wait_for(POLLOUT, SEND_WAIT_MS);
        }
    }
}

void ldb_wire_send(void) {
    char head[NUM_I64_MAX + 3] = "*";
    size_t len = 1 + (size_t)num_print_u64(head + 1, wire.lines);
    memcpy(head + len, "\r\n", 2);
    ldb_wire_write(head, len + 2);
    ldb_wire_write(wire.said.data, wire.said.len);
    wire.said.len = wire.lines = 0;
}

/* Read more bytes. False: there will be none. */
static bool read_more(void) {
    for (;;) {
        if (wire.gone || !wait_for(POLLIN, -1)) return false;
        ssize_t n = recv(wire.fd, buf_reserve(&wire.input, READ_BYTES), READ_BYTES, MSG_DONTWAIT);
        if (n > 0) {
            wire.input.len += (size_t)n;
            return true;
        }
        if (n == 0 || (errno != EAGAIN && errno != EINTR)) return false;
    }
}

/* --- Requests -------------------------------------------------------------------------------- */

enum parsed { PARSED, PARSED_PART, PARSED_BAD };

/* A line that begins with `type` and has a number from 1 to max. *at moves behind it. */
static enum parsed parse_number(size_t *at, char type, int64_t max, int64_t *number) {
    const char *p = wire.input.data + *at;
    size_t left = wire.input.len - *at;
    if (left && *p != type) return PARSED_BAD;
    const char *end = left ? memchr(p, '\r', left) : NULL;
    if (!end) return left > NUM_I64_MAX ? PARSED_BAD : PARSED_PART;
    if (!num_parse_i64(slice_of(p + 1, (size_t)(end - p - 1)), number) || *number < 1 || *number > max)
        return PARSED_BAD;
    if ((size_t)(end - p) + 1 == left) return PARSED_PART;
    if (end[1] != '\n') return PARSED_BAD;
    *at += (size_t)(end - p) + 2;
    return PARSED;
}

static enum parsed parse_argument(size_t *at, struct slice *argument) {
    int64_t len;
    enum parsed result = parse_number(at, '$', LDB_WIRE_ARGS, &len);
    if (result != PARSED) return result;
    if (wire.input.len - *at < (size_t)len + 2) return PARSED_PART;
    const char *p = wire.input.data + *at;
    if (p[len] != '\r' || p[len + 1] != '\n') return PARSED_BAD;
    *argument = slice_of(p, (size_t)len);
    *at += (size_t)len + 2;
    return PARSED;
}

/* What was read is parsed again each time that more has come: a request is small. */
static enum parsed parse(struct slice *argv, int *argc) {
    size_t at = wire.used;
    int64_t count;
    enum parsed result = parse_number(&at, '*', LDB_WIRE_ARGS, &count);
    for (int64_t i = 0; result == PARSED && i < count; i++)
        result = parse_argument(&at, &argv[i]);
    if (result != PARSED) return result;
    *argc = (int)count;
    wire.used = at;
    return PARSED;
}

/* Requests that came together are answered one by one. */
static void drop_used(void) {
    wire.input.len -= wire.used;
    if (wire.input.len) memmove(wire.input.data, wire.input.data + wire.used, wire.input.len);
    wire.used = 0;
}

enum ldb_wire_end ldb_wire_read(struct slice *argv, int *argc) {
    drop_used();
    for (;;) {
        switch (parse(argv, argc)) {
        case PARSED: return LDB_WIRE_OK;
        case PARSED_BAD: return LDB_WIRE_BAD;
        case PARSED_PART: break;
        }
        if (wire.input.len > INPUT_MAX) return LDB_WIRE_BAD;
        if (!read_more()) return LDB_WIRE_GONE;
    }
}
