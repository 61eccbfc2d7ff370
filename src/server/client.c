/* Sessions: from an accepted socket to the end of it.
 *
 * A client can end at any time, also inside its own command. client_close() takes it apart at once (socket,
 * buffers, the list of clients), but the struct itself stays until client_reap() at the end of the turn,
 * since the wave and the loop may still hold its address; CLIENT_CLOSE_NOW tells them to pass over it. */
#include "server/client.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/socket.h"
#include "server/auth.h"
#include "server/block.h"
#include "server/catalog.h"
#include "server/limits.h"
#include "server/monitor.h"
#include "server/pubsub.h"
#include "server/push.h"
#include "server/stats.h"
#include "server/tracking.h"
#include "server/tx.h"
#include "server/wave.h"
#include <assert.h>

struct client *client_first;
struct client *client_current;
struct client *client_writing;
struct client *client_cursor;

static struct client *client_last;
static size_t clients;
static uint64_t last_id;
static struct client *closed; /* linked by next: to be freed at the end of the turn */

size_t client_count(void) {
    return clients;
}

/* --- birth and death ------------------------------------------------------------------------- */

static void client_ready(struct loop_source *source, uint32_t events) {
    struct client *c = (struct client *)source;
    if (events & LOOP_WRITE) {
        c->active_ms = clock_now_ms(); /* who reads slowly is not idle */
        conn_writable(&c->conn);
        client_sent(&c->conn);
        if (c->flags & CLIENT_CLOSE_NOW) return;
    }
    if (!(events & ~(uint32_t)LOOP_WRITE)) return;
    if (block_is_waiting(c))
        block_heard(c, events);
    else if ((c->flags & CLIENT_CLOSE_AFTER_REPLY) && !(events & LOOP_READ))
        client_close(c); /* a hang-up, which would be reported for ever: nobody is there for what is unsent */
    else
        wave_add(c);
}

static void reset_session(struct client *c) {
    c->db = db_at(0);
    c->resp = 2;
    c->flags &= CLIENT_UNIX_SOCKET | CLIENT_CLOSE_AFTER_REPLY | CLIENT_CLOSE_NOW | CLIENT_REPLY_SKIP | CLIENT_UNPARSED |
                CLIENT_SOFT_LIMIT;
    if (!auth_required()) c->flags |= CLIENT_AUTHENTICATED;
}

struct client *client_new(int fd) {
    struct client *c = alloc_zero(sizeof *c);
    conn_init(&c->conn, fd, client_ready);
    if (!loop_add(&c->conn.source, LOOP_READ)) {
        log_warning("Error registering fd event for the new client: fd=%d", fd);
        conn_close(&c->conn);
        alloc_put(c, sizeof *c);
        return NULL;
    }
    c->id = ++last_id;
    c->created_ms = c->active_ms = clock_now_ms();
    if (socket_is_unix(fd))
        c->flags |= CLIENT_UNIX_SOCKET;
    else
        socket_keepalive(fd, limits_options.keepalive_s);
    reset_session(c);
    c->prev = client_last;
    if (client_last)
        client_last->next = c;
    else
        client_first = c;
    client_last = c;
    clients++;
    stats.connections_received++;
    return c;
}

static void free_labels(struct client *c) {
    if (c->labels == NULL) return;
    char **texts[] = {&c->labels->name, &c->labels->lib_name, &c->labels->lib_version};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        client_label(c, texts[i], slice_of("", 0));
    alloc_put(c->labels, sizeof *c->labels);
    c->labels = NULL;
}

void client_close(struct client *c) {
    if (c->flags & CLIENT_CLOSE_NOW) return;
    c->flags |= CLIENT_CLOSE_NOW;
    conn_close(&c->conn);
    block_forget(c);
    free_labels(c);
    pubsub_forget(c);
    monitor_forget(c);
    tracking_forget(c);
    push_forget(c);
    tx_forget(c);
    if (client_cursor == c) client_cursor = c->next;
    if (c->prev)
        c->prev->next = c->next;
    else
        client_first = c->next;
    if (c->next)
        c->next->prev = c->prev;
    else
        client_last = c->prev;
    clients--;
    c->next = closed;
    closed = c;
}

void client_kill(struct client *c) {
    if (c == client_current)
        c->flags |= CLIENT_CLOSE_AFTER_REPLY;
    else
        client_close(c);
}

void client_reap(void) {
    while (closed) {
        struct client *c = closed;
        closed = c->next;
        alloc_put(c, sizeof *c);
    }
}

/* Redis counts output only once it has outgrown a buffer of 16 KB, and lets nobody
 * who has still to authenticate leave more than 1 KB beyond that unread. */
#define OUTPUT_UNCOUNTED 16384
#define OUTPUT_UNAUTHENTICATED_MAX (OUTPUT_UNCOUNTED + 1024)

int client_class(const struct client *c) {
    return c->subscriber ? LIMITS_PUBSUB : LIMITS_NORMAL;
}

static bool over_hard_limit(const struct client *c, size_t unsent) {
    int64_t hard = limits_options.output_limit[client_class(c)].hard;
    if (unsent <= OUTPUT_UNCOUNTED) return false;
    if (unsent > OUTPUT_UNAUTHENTICATED_MAX && auth_required() && !(c->flags & CLIENT_AUTHENTICATED)) return true;
    return hard && unsent > (size_t)hard;
}

/* Unsent output against its limits. True if the client has to go. */
static bool over_output_limit(struct client *c) {
    size_t unsent = conn_unsent(&c->conn);
    int class = client_class(c);
    int64_t soft = limits_options.output_limit[class].soft;
    if (over_hard_limit(c, unsent)) return true;
    if (soft == 0 || unsent <= OUTPUT_UNCOUNTED || unsent <= (size_t)soft) {
        c->flags &= ~(unsigned)CLIENT_SOFT_LIMIT;
        return false;
    }
    int32_t now_s = (int32_t)(clock_now_ms() / 1000);
    if (!(c->flags & CLIENT_SOFT_LIMIT)) {
        c->flags |= CLIENT_SOFT_LIMIT;
        c->soft_limit_s = now_s;
    }
    return now_s - c->soft_limit_s > limits_options.output_limit[class].soft_s;
}

static void note_for_output(const struct client *c) {
    struct buf line = {0};
    client_describe(c, 0, &line);
    log_warning("Client %.*s scheduled to be closed ASAP for overcoming of output buffer limits.", (int)line.len,
                line.data);
    buf_free(&line);
    stats.output_limit_disconnects++;
}

static void close_for_output(struct client *c) {
    note_for_output(c);
    client_close(c);
}

void client_limit_output(struct client *c) {
    if (over_output_limit(c)) close_for_output(c);
}

void client_limit_replies(struct client *c) {
    if (over_hard_limit(c, conn_unsent(&c->conn) + conn_unsent_referred(&c->conn))) close_for_output(c);
}

void client_limit_pushes(struct client *c) {
    if ((c->conn.flags & CONN_BROKEN) || !over_output_limit(c)) return;
    note_for_output(c);
    c->conn.flags |= CONN_BROKEN; /* client_sent() finds it */
}

void client_sent(struct conn *conn) {
    struct client *c = (struct client *)conn;
    bool nothing_left = conn_unsent(conn) == 0;
    if ((conn->flags & CONN_BROKEN) || ((c->flags & CLIENT_CLOSE_AFTER_REPLY) && nothing_left)) {
        client_close(c);
        return;
    }
    if (nothing_left && !(c->flags & CLIENT_SOFT_LIMIT)) return;
    if (c->flags & CLIENT_CLOSE_AFTER_REPLY) loop_set_events(&conn->source, LOOP_WRITE);
    client_limit_output(c);
}

/* --- what a client says of itself ------------------------------------------------------------ */

void client_reset(struct client *c) {
    monitor_forget(c);
    pubsub_forget(c);
    tracking_stop(c);
    tx_forget(c);
    reset_session(c);
    if (c->labels) client_label(c, &c->labels->name, slice_of("", 0));
}

struct client_labels *client_labels(struct client *c) {
    if (c->labels == NULL) c->labels = alloc_zero(sizeof *c->labels);
    return c->labels;
}

void client_label(struct client *c, char **label, struct slice value) {
    (void)c;
    if (*label) alloc_put(*label, strlen(*label) + 1);
    *label = NULL;
    if (value.len == 0) return;
    *label = alloc_get(value.len + 1);
    memcpy(*label, value.ptr, value.len);
    (*label)[value.len] = '\0';
}

struct client *client_by_id(uint64_t id) {
    for (struct client *c = client_last; c && c->id >= id; c = c->prev) /* ids grow along the list */
        if (c->id == id) return c;
    return NULL;
}

void client_peer(const struct client *c, char name[]) {
    socket_peer_name(c->conn.source.fd, name);
}

size_t client_memory(const struct client *c) {
    size_t bytes = alloc_class(sizeof *c) + conn_input_memory(&c->conn) + conn_unsent(&c->conn);
    return bytes + tracking_client_memory(c) + (c->labels ? sizeof *c->labels : 0) + block_memory(c) + tx_memory(c) +
           pubsub_client_memory(c);
}

static void describe_flags(const struct client *c, char flags[16]) {
    char *p = flags;
    if (c->flags & CLIENT_MONITOR) *p++ = 'O';
    if (c->subscriber) *p++ = 'P';
    if (c->flags & CLIENT_MULTI) *p++ = 'x';
    if (block_is_waiting(c)) *p++ = 'b';
    unsigned tracking = tracking_flags(c);
    if (tracking & TRACKING_ON) *p++ = 't';
    if (tracking & TRACKING_BROKEN) *p++ = 'R';
    if (tracking & TRACKING_BCAST) *p++ = 'B';
    if (tx_is_doomed(c)) *p++ = 'd';
    if (c->flags & CLIENT_CLOSE_AFTER_REPLY) *p++ = 'c';
    if (c->flags & CLIENT_UNIX_SOCKET) *p++ = 'U';
    if (c->flags & CLIENT_NO_EVICT) *p++ = 'e';
    if (c->flags & CLIENT_NO_TOUCH) *p++ = 'T';
    if (p == flags) *p++ = 'N';
    *p = '\0';
}

void client_describe(const struct client *c, size_t executing, struct buf *out) {
    char peer[SOCKET_NAME_MAX], local[SOCKET_NAME_MAX], flags[16];
    socket_peer_name(c->conn.source.fd, peer);
    socket_local_name(c->conn.source.fd, local);
    describe_flags(c, flags);
    const struct client_labels none = {NULL, NULL, NULL}, *labels = c->labels ? c->labels : &none;
    int64_t now_ms = clock_now_ms();
    size_t query = executing + conn_input_bytes(&c->conn), memory = conn_input_memory(&c->conn);
    buf_printf(out, "id=%llu addr=%s laddr=%s fd=%d name=%s age=%lld idle=%lld flags=%s", (unsigned long long)c->id,
               peer, local, c->conn.source.fd, labels->name ? labels->name : "",
               (long long)(now_ms - c->created_ms) / 1000, (long long)(now_ms - c->active_ms) / 1000, flags);
    buf_printf(out, " db=%d sub=%zu psub=%zu ssub=%zu", c->db->id, pubsub_count(c, PUBSUB_CHANNEL),
               pubsub_count(c, PUBSUB_PATTERN), pubsub_count(c, PUBSUB_SHARD));
    buf_printf(out, " multi=%d qbuf=%zu qbuf-free=%zu argv-mem=0 multi-mem=%zu", tx_queued(c), query,
               memory > query ? memory - query : 0, tx_memory(c));
    buf_printf(out, " rbs=0 rbp=0 obl=%u oll=%u omem=%zu tot-mem=%zu events=%s%s", c->conn.range_len,
               c->conn.out_chunks, c->conn.out_bytes, client_memory(c),
               c->conn.source.events & (LOOP_READ | LOOP_HANGUP) ? "r" : "",
               c->conn.source.events & LOOP_WRITE ? "w" : "");
    buf_printf(out, " cmd=%s user=default redir=%lld resp=%d lib-name=%s lib-ver=%s",
               c->last_command ? catalog_full_name(c->last_command) : "NULL", (long long)tracking_redirection(c),
               c->resp, labels->lib_name ? labels->lib_name : "", labels->lib_version ? labels->lib_version : "");
}
