/* A dial looks a name up, then connects. What it has to give back to the loop (a timer, a source) may still be named by
 * an event of the turn, so its memory is freed by its timer, which fires behind all events.
 *
 * Nothing stops a thread that looks a name up. A dial that ends before it is freed when the thread is done. */
#include "net/dial.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/num.h"
#include "net/background.h"
#include "net/loop.h"
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct dial {
    struct background_job lookup; /* first */
    struct loop_source socket;    /* fd -1: it is not connecting */
    struct loop_timer timer;
    int64_t due_us; /* the end of its time; monotonic */
    void (*done)(void *ctx, int fd, const char *error);
    void *ctx;
    char *host, *source;
    char service[NUM_I64_MAX + 1];
    struct addrinfo *found, *next; /* all addresses; the one to be tried next */
    int lookup_error;              /* getaddrinfo()'s */
    int error;                     /* errno of the address that was tried last */
    bool looks_up;                 /* the thread has it */
};

static struct dial *dial_of(struct loop_source *socket) {
    return (struct dial *)((char *)socket - offsetof(struct dial, socket));
}

static struct dial *dial_of_timer(struct loop_timer *timer) {
    return (struct dial *)((char *)timer - offsetof(struct dial, timer));
}

/* --- The end --------------------------------------------------------------------------------- */

static void free_dial(struct loop_timer *timer) {
    struct dial *d = dial_of_timer(timer);
    if (d->found) freeaddrinfo(d->found);
    alloc_put_string(d->host);
    alloc_put_string(d->source);
    alloc_put(d, sizeof *d);
}

static void free_later(struct dial *d) {
    d->timer.fire = free_dial;
    loop_timer_start(&d->timer, 0);
}

static void drop_socket(struct dial *d) {
    if (d->socket.fd < 0) return;
    loop_remove(&d->socket);
    close(d->socket.fd);
    d->socket.fd = -1;
}

void dial_cancel(struct dial *d) {
    if (!d) return;
    drop_socket(d);
    loop_timer_stop(&d->timer);
    d->done = NULL;
    if (!d->looks_up) free_later(d);
}

static void end_dial(struct dial *d, int fd, const char *error) {
    void (*done)(void *ctx, int fd, const char *error) = d->done;
    void *ctx = d->ctx;
    dial_cancel(d);
    done(ctx, fd, error);
}

/* --- Connecting ------------------------------------------------------------------------------ */

/* An address that this machine does not have is no reason to stay away, as in Redis. */
static void bind_source(int fd, int family, const char *source) {
    struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST}, *found;
    int one = 1;
    if (source[0] == '\0' || getaddrinfo(source, NULL, &hints, &found) != 0) return;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, found->ai_addr, found->ai_addrlen) != 0) errno = 0;
    freeaddrinfo(found);
}

static void socket_ready(struct loop_source *source, uint32_t events);

/* False: errno. */
static bool connect_to(struct dial *d, const struct addrinfo *address) {
    int one = 1, fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    bind_source(fd, address->ai_family, d->source);
    d->socket = (struct loop_source){.fd = fd, .ready = socket_ready};
    bool begun = connect(fd, address->ai_addr, address->ai_addrlen) == 0 || errno == EINPROGRESS;
    if (begun && loop_add(&d->socket, LOOP_WRITE)) return true;
    int error = errno;
    close(fd);
    d->socket.fd = -1;
    errno = error;
    return false;
}

static int64_t share_us(const struct dial *d) {
    int left = 1;
    for (const struct addrinfo *a = d->next; a; a = a->ai_next)
        left++;
    return (d->due_us - clock_mono_us()) / left;
}

static void try_next(struct dial *d) {
    while (d->next) {
        const struct addrinfo *address = d->next;
        d->next = address->ai_next;
        if (connect_to(d, address)) {
            loop_timer_start(&d->timer, share_us(d));
            return;
        }
        d->error = errno;
    }
    end_dial(d, -1, strerror(d->error));
}

static void socket_ready(struct loop_source *source, uint32_t events) {
    struct dial *d = dial_of(source);
    socklen_t len = sizeof d->error;
    (void)events;
    if (getsockopt(source->fd, SOL_SOCKET, SO_ERROR, &d->error, &len) != 0) d->error = errno;
    if (d->error) {
        drop_socket(d);
        try_next(d);
        return;
    }
    int fd = source->fd;
    loop_remove(source);
    source->fd = -1;
    end_dial(d, fd, NULL);
}

/* The time of one address is over, or that of a look-up. */
static void time_is_over(struct loop_timer *timer) {
    struct dial *d = dial_of_timer(timer);
    d->error = ETIMEDOUT;
    drop_socket(d);
    if (d->looks_up)
        end_dial(d, -1, strerror(ETIMEDOUT));
    else
        try_next(d);
}

/* --- The name -------------------------------------------------------------------------------- */

static void use_addresses(struct dial *d) {
    d->next = d->found;
    if (d->found)
        try_next(d);
    else
        end_dial(d, -1, gai_strerror(d->lookup_error));
}

static void use_numeric(struct loop_timer *timer) {
    timer->fire = time_is_over;
    use_addresses(dial_of_timer(timer));
}

static void look_up(struct background_job *job) {
    struct dial *d = (struct dial *)job;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    d->lookup_error = getaddrinfo(d->host, d->service, &hints, &d->found);
    if (d->lookup_error) d->found = NULL;
}

static void looked_up(struct background_job *job) {
    struct dial *d = (struct dial *)job;
    d->looks_up = false;
    if (d->done)
        use_addresses(d);
    else
        free_later(d);
}

static bool is_numeric(struct dial *d) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    if (getaddrinfo(d->host, d->service, &hints, &d->found) == 0) return true;
    d->found = NULL;
    return false;
}

struct dial *dial_begin(const char *host, int port, const char *source, int64_t timeout_ms,
                        void (*done)(void *ctx, int fd, const char *error), void *ctx) {
    struct dial *d = alloc_zero(sizeof *d);
    d->lookup = (struct background_job){.run = look_up, .done = looked_up};
    d->socket.fd = -1;
    d->due_us = clock_mono_us() + timeout_ms * 1000;
    d->done = done;
    d->ctx = ctx;
    d->host = alloc_copy_string(host);
    d->source = alloc_copy_string(source ? source : "");
    d->service[num_print_i64(d->service, port)] = '\0';
    d->looks_up = !is_numeric(d);
    loop_timer_init(&d->timer, d->looks_up ? time_is_over : use_numeric);
    loop_timer_start(&d->timer, d->looks_up ? timeout_ms * 1000 : 0);
    if (d->looks_up) background_run_apart(&d->lookup);
    return d;
}
