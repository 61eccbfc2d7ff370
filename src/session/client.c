/* Sessions: from an accepted socket to its end.
 *
 * A client can be closed at any time, also inside its own command. client_close() takes it apart at once (its socket,
 * its buffers, its place in the list of clients), but the struct stays until client_reap() at the end of the turn,
 * since the wave and the loop may still hold its address; CLIENT_CLOSE_NOW tells them to ignore it.
 *
 * Invariants: the list from client_first on holds exactly the clients that are not closed, client_count() of them, in
 * order of their ids. A closed client owns nothing but its struct. */
#include "session/client.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/likely.h"
#include "base/log.h"
#include "catalog/catalog.h"
#include "net/socket.h"
#include "session/limits.h"
#include "session/stats.h"
#include "store/db.h"
#include <assert.h>

struct client *client_first;
struct client *client_current;
struct client *client_writing;
struct client *client_cursor;
bool client_needs_password;

static struct client *client_last;
static size_t clients;
static uint64_t last_id;
static struct client *closed; /* linked by next: to be freed at the end of the turn */

static const struct client_part *parts[CLIENT_PARTS_MAX];
static size_t part_count;

void client_register(const struct client_part *part) {
    assert(part_count < CLIENT_PARTS_MAX);
    parts[part_count++] = part;
}

size_t client_count(void) {
    return clients;
}

/* --- coming and going ------------------------------------------------------------------------ */

/* Flags of the connection and of the request being executed, which RESET leaves alone. */
enum {
    FLAGS_KEPT = CLIENT_UNIX_SOCKET | CLIENT_CLOSE_AFTER_REPLY | CLIENT_CLOSE_NOW | CLIENT_REPLY_SKIP |
                 CLIENT_UNPARSED | CLIENT_SOFT_LIMIT
};

static void reset_session(struct client *c) {
    c->db = db_at(0);
    c->resp = 2;
    c->flags &= FLAGS_KEPT;
    if (!client_needs_password) c->flags |= CLIENT_AUTHENTICATED;
}

struct client *client_new(int fd, void (*ready)(struct loop_source *source, uint32_t events)) {
    struct client *c = alloc_zero(sizeof *c);
    conn_init(&c->conn, fd, ready);
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
        client_set_label(texts[i], slice_of("", 0));
    alloc_put(c->labels, sizeof *c->labels);
    c->labels = NULL;
}

void client_close(struct client *c) {
    if (c->flags & CLIENT_CLOSE_NOW) return;
    c->flags |= CLIENT_CLOSE_NOW;
    conn_close(&c->conn);
    for (size_t i = 0; i < part_count; i++)
        if (parts[i]->forget) parts[i]->forget(c);
    free_labels(c);
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

void client_reset(struct client *c) {
    for (size_t i = 0; i < part_count; i++)
        if (parts[i]->reset) parts[i]->reset(c);
    reset_session(c);
    if (c->labels) client_set_label(&c->labels->name, slice_of("", 0));
}

void client_reap(void) {
    while (closed) {
        struct client *c = closed;
        closed = c->next;
        alloc_put(c, sizeof *c);
    }
}

/* --- limits on output ------------------------------------------------------------------------ */

/* Redis counts output only when it has outgrown a buffer of 16 KB. A client that has still to authenticate may leave at
 * most 1 KB beyond that unread. */
#define OUTPUT_UNCOUNTED 16384
#define OUTPUT_UNAUTHENTICATED_MAX (OUTPUT_UNCOUNTED + 1024)

/* A range asks for the room of an element before it knows how many bytes that will be: a bit more than it takes. */
#define ROOM_SLACK 64

/* Clients that get what they did not ask for are of one class: subscribers and, unlike in Redis, monitors. */
int client_class(const struct client *c) {
    return c->subscriber || (c->flags & CLIENT_MONITOR) ? LIMITS_PUBSUB : LIMITS_NORMAL;
}

static bool over_hard_limit(const struct client *c, size_t unsent) {
    int64_t hard = limits_options.output_limit[client_class(c)].hard;
    if (unsent <= OUTPUT_UNCOUNTED) return false;
    if (unsent > OUTPUT_UNAUTHENTICATED_MAX && client_needs_password && !(c->flags & CLIENT_AUTHENTICATED)) return true;
    return hard && unsent > (size_t)hard;
}

/* True if the client's unsent output exceeds a limit, so that it must be closed. Starts or ends the time that it may be
 * above the soft limit. */
static bool over_output_limit(struct client *c) {
    size_t unsent = conn_unsent(&c->conn);
    int class = client_class(c);
    int64_t soft = limits_options.output_limit[class].soft;
    if (over_hard_limit(c, unsent)) return true;
    if (soft == 0 || unsent <= OUTPUT_UNCOUNTED || unsent <= (size_t)soft) {
        client_clear(c, CLIENT_SOFT_LIMIT);
        return false;
    }
    int32_t now_s = (int32_t)(clock_now_ms() / 1000);
    if (!(c->flags & CLIENT_SOFT_LIMIT)) {
        c->flags |= CLIENT_SOFT_LIMIT;
        c->soft_limit_s = now_s;
    }
    return now_s - c->soft_limit_s > limits_options.output_limit[class].soft_s;
}

static void report_output_limit(const struct client *c) {
    struct buf line = {0};
    client_describe(c, 0, &line);
    log_warning("Client %.*s scheduled to be closed ASAP for overcoming of output buffer limits.", (int)line.len,
                line.data);
    buf_free(&line);
    stats.output_limit_disconnects++;
}

static void close_for_output(struct client *c) {
    report_output_limit(c);
    client_close(c);
}

void client_limit_output(struct client *c) {
    if (over_output_limit(c)) close_for_output(c);
}

void client_limit_pushes(struct client *c) {
    if ((c->conn.flags & CONN_BROKEN) || !over_output_limit(c)) return;
    report_output_limit(c);
    conn_break(&c->conn);
}

/* Bytes of all that waits to be sent, those of large values included. */
static size_t unsent_bytes(const struct client *c) {
    return conn_unsent(&c->conn) + conn_unsent_referred(&c->conn);
}

/* Bytes of output that the hard limit leaves the client. */
static size_t output_room(const struct client *c) {
    int64_t hard = limits_options.output_limit[client_class(c)].hard;
    if (hard == 0) return CONN_NO_LIMIT;
    size_t limit = hard > OUTPUT_UNCOUNTED ? (size_t)hard : OUTPUT_UNCOUNTED, unsent = unsent_bytes(c);
    return limit > unsent ? limit - unsent : 0;
}

void client_open_replies(const struct client *c, struct conn_range *range) {
    size_t room = output_room(c);
    conn_open(range, room < CONN_NO_LIMIT ? room + ROOM_SLACK : room);
}

static void report_refusal(const struct client *c, enum conn_refusal refusal) {
    if (refusal == CONN_OVER_LIMIT) report_output_limit(c);
    if (refusal == CONN_NO_MEMORY)
        log_warning("Closing client id=%llu: there is no memory for its reply.", (unsigned long long)c->id);
}

void client_keep_replies(struct client *c, struct conn_range *range) {
    if (unlikely(range->refusal)) {
        report_refusal(c, range->refusal);
        conn_take_back(range);
        client_close(c);
        return;
    }
    conn_keep(&c->conn, range);
    if (limits_options.output_limit[client_class(c)].hard && over_hard_limit(c, unsent_bytes(c))) close_for_output(c);
}

void client_push_replies(struct client *c, struct conn_range *range) {
    report_refusal(c, range->refusal);
    conn_push(&c->conn, range);
}

bool client_may_owe(struct client *c, size_t bytes) {
    if (c->conn.flags & CONN_BROKEN) return false;
    if (bytes <= output_room(c)) return true;
    report_output_limit(c);
    conn_break(&c->conn);
    return false;
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

/* --- what is told of it ---------------------------------------------------------------------- */

struct client_labels *client_labels(struct client *c) {
    if (c->labels == NULL) c->labels = alloc_zero(sizeof *c->labels);
    return c->labels;
}

void client_set_label(char **label, struct slice value) {
    if (*label) alloc_put(*label, strlen(*label) + 1);
    *label = NULL;
    if (value.len == 0) return;
    *label = alloc_get(value.len + 1);
    memcpy(*label, value.ptr, value.len);
    (*label)[value.len] = '\0';
}

struct client *client_by_id(uint64_t id) {
    for (struct client *c = client_last; c && c->id >= id; c = c->prev)
        if (c->id == id) return c;
    return NULL;
}

void client_peer(const struct client *c, char name[]) {
    socket_peer_name(c->conn.source.fd, name);
}

size_t client_memory(const struct client *c) {
    size_t bytes = alloc_class(sizeof *c) + conn_input_memory(&c->conn) + conn_unsent(&c->conn);
    if (c->labels) bytes += sizeof *c->labels;
    for (size_t i = 0; i < part_count; i++)
        if (parts[i]->memory) bytes += parts[i]->memory(c);
    return bytes;
}

/* The letters of flags=, in the order in which Redis prints them. */
static const char letters_in_order[] = "OPxbtRBdcUeT";

static void write_letters(uint64_t letters, char text[sizeof letters_in_order]) {
    char *p = text;
    for (const char *letter = letters_in_order; *letter; letter++)
        if (letters >> (*letter - 'A') & 1) *p++ = *letter;
    if (p == text) *p++ = 'N';
    *p = '\0';
}

static struct client_line line_of(const struct client *c) {
    struct client_line line = {.queued = -1, .redirect = -1};
    if (c->flags & CLIENT_CLOSE_AFTER_REPLY) client_line_flag(&line, 'c');
    if (c->flags & CLIENT_UNIX_SOCKET) client_line_flag(&line, 'U');
    if (c->flags & CLIENT_NO_EVICT) client_line_flag(&line, 'e');
    if (c->flags & CLIENT_NO_TOUCH) client_line_flag(&line, 'T');
    for (size_t i = 0; i < part_count; i++)
        if (parts[i]->describe) parts[i]->describe(c, &line);
    return line;
}

void client_describe(const struct client *c, size_t executing, struct buf *out) {
    char peer[SOCKET_NAME_MAX], local[SOCKET_NAME_MAX], flags[sizeof letters_in_order];
    struct client_line line = line_of(c);
    socket_peer_name(c->conn.source.fd, peer);
    socket_local_name(c->conn.source.fd, local);
    write_letters(line.letters, flags);
    const struct client_labels none = {NULL, NULL, NULL}, *labels = c->labels ? c->labels : &none;
    int64_t now_ms = clock_now_ms();
    size_t query = executing + conn_input_bytes(&c->conn), memory = conn_input_memory(&c->conn);
    buf_printf(out, "id=%llu addr=%s laddr=%s fd=%d name=%s age=%lld idle=%lld flags=%s", (unsigned long long)c->id,
               peer, local, c->conn.source.fd, labels->name ? labels->name : "",
               (long long)(now_ms - c->created_ms) / 1000, (long long)(now_ms - c->active_ms) / 1000, flags);
    buf_printf(out, " db=%d sub=%zu psub=%zu ssub=%zu multi=%d qbuf=%zu qbuf-free=%zu argv-mem=0 multi-mem=%zu",
               c->db->id, line.channels, line.patterns, line.shard_channels, line.queued, query,
               memory > query ? memory - query : 0, line.queue_bytes);
    buf_printf(out, " rbs=0 rbp=0 obl=%u oll=%u omem=%zu tot-mem=%zu events=%s%s", c->conn.range_len,
               c->conn.out_chunks, c->conn.out_bytes, client_memory(c),
               c->conn.source.events & (LOOP_READ | LOOP_HANGUP) ? "r" : "",
               c->conn.source.events & LOOP_WRITE ? "w" : "");
    buf_printf(out, " cmd=%s user=default redir=%lld resp=%d lib-name=%s lib-ver=%s",
               c->last_command ? catalog_full_name(c->last_command) : "NULL", (long long)line.redirect, c->resp,
               labels->lib_name ? labels->lib_name : "", labels->lib_version ? labels->lib_version : "");
}
