/* Sessions: from an accepted socket to its end.
 *
 * A client can be closed at any time, also inside its own command. client_close() takes it apart at once (its socket,
 * its buffers, its place in the list of clients), but the struct stays until client_reap() at the end of the turn,
 * since the wave and the loop may still hold its address; CLIENT_CLOSE_NOW tells them to ignore it.
 *
 * Invariants: the list from client_first on holds exactly the clients that are not closed, client_count() of them, in
 * order of their ids. A closed client owns nothing but its struct and the texts of its addresses. */
#include "session/client.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/likely.h"
#include "base/log.h"
#include "base/num.h"
#include "catalog/catalog.h"
#include "net/socket.h"
#include "session/limits.h"
#include "session/server_metrics.h"
#include "store/db.h"
#include <assert.h>

struct client *client_first;
struct client_scripting client_scripting;
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

/* --- Coming and going ------------------------------------------------------------------------ */

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

static struct client *admit_client(int fd, void (*ready)(struct loop_source *source, uint32_t events)) {
    struct client *c = alloc_zero(sizeof *c);
    conn_init(&c->conn, fd, ready);
    if (!loop_add(&c->conn.source, LOOP_READ)) {
        log_warning("Error registering fd event for the new client: fd=%d", fd);
        conn_close(&c->conn);
        alloc_put(c, sizeof *c);
        return NULL;
    }
    c->id = ++last_id;
    c->created_ms = c->active_ms = clock_steady_ms();
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
    return c;
}

struct client *client_new(int fd, void (*ready)(struct loop_source *source, uint32_t events)) {
    struct client *c = admit_client(fd, ready);
    if (c) server_metrics.connections_received++;
    return c;
}

struct client *client_new_outgoing(int fd, void (*ready)(struct loop_source *source, uint32_t events)) {
    struct client *c = admit_client(fd, ready);
    if (c) c->flags |= CLIENT_AUTHENTICATED;
    return c;
}

/* The texts of both addresses, the peer's first. They never change. */
struct client_addresses {
    uint8_t peer_len, local_len;
    char text[];
};
static_assert(SOCKET_NAME_MAX <= UINT8_MAX, "the lengths fit");

static size_t addresses_size(const struct client_addresses *a) {
    return sizeof *a + a->peer_len + a->local_len;
}

static void free_labels(struct client *c) {
    if (c->labels == NULL) return;
    char **texts[] = {&c->labels->name, &c->labels->lib_name, &c->labels->lib_version};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        client_set_label(c, texts[i], slice_of("", 0));
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
    if (c->labels) client_set_label(c, &c->labels->name, slice_of("", 0));
}

void client_reap(void) {
    while (closed) {
        struct client *c = closed;
        closed = c->next;
        if (c->addresses) alloc_put(c->addresses, addresses_size(c->addresses));
        alloc_put(c, sizeof *c);
    }
}

/* --- Limits on output ------------------------------------------------------------------------ */

/* Redis counts output only when it has outgrown a buffer of 16 KB. A client that has still to authenticate may leave at
 * most 1 KB beyond that unread. */
#define OUTPUT_UNCOUNTED 16384
#define OUTPUT_UNAUTHENTICATED_MAX (OUTPUT_UNCOUNTED + 1024)

/* An element is written where there is room for its longest form, which may have some bytes more than the element. */
#define ROOM_SLACK 64

/* Clients whose output no request of theirs bounds are of one class: subscribers and, unlike in Redis, monitors. */
int client_class(const struct client *c) {
    if (likely(!c->subscriber && !(c->flags & (CLIENT_REPLICA | CLIENT_MONITOR)))) return LIMITS_NORMAL;
    return c->flags & CLIENT_REPLICA ? LIMITS_REPLICA : LIMITS_PUBSUB;
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
    int32_t now_s = (int32_t)(clock_steady_ms() / 1000);
    if (!(c->flags & CLIENT_SOFT_LIMIT)) {
        c->flags |= CLIENT_SOFT_LIMIT;
        c->soft_limit_s = now_s;
    }
    return now_s - c->soft_limit_s > limits_options.output_limit[class].soft_s;
}

void client_report_limit(struct client *c) {
    struct buf line = {0};
    client_describe(c, (struct client_executing){0}, &line);
    log_warning("Client %.*s scheduled to be closed ASAP for overcoming of output buffer limits.", (int)line.len,
                line.data);
    buf_free(&line);
    server_metrics.output_limit_disconnects++;
}

static void close_for_output(struct client *c) {
    client_report_limit(c);
    client_close(c);
}

void client_limit_output(struct client *c) {
    if (over_output_limit(c)) close_for_output(c);
}

void client_limit_pushes(struct client *c) {
    if ((c->conn.flags & CONN_BROKEN) || !over_output_limit(c)) return;
    client_report_limit(c);
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

static void report_refusal(struct client *c, enum conn_refusal refusal) {
    if (c->conn.flags & CONN_BROKEN) return; /* that was reported */
    if (refusal == CONN_OVER_LIMIT) client_report_limit(c);
    if (refusal == CONN_NO_MEMORY)
        log_warning("Closing client id=%llu: there is no memory for its reply.", (unsigned long long)c->id);
}

/* A reply would end up within the stream that a replica gets. */
static void refuse_reply_to_replica(struct client *c, struct conn_range *range) {
    struct buf line = {0};
    client_describe(c, (struct client_executing){0}, &line);
    log_warning("Replica generated a reply to command '%s', disconnecting it: %.*s",
                c->last_command ? catalog_full_name(c->last_command) : "<unknown>", (int)line.len, line.data);
    buf_free(&line);
    conn_take_back(range);
    client_close(c);
}

void client_keep_replies(struct client *c, struct conn_range *range) {
    if (unlikely(c->flags & CLIENT_REPLICA) && conn_range_written()) {
        refuse_reply_to_replica(c, range);
        return;
    }
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
    if (unlikely(c->flags & CLIENT_REPLICA) && conn_range_written()) {
        refuse_reply_to_replica(c, range);
        return;
    }
    report_refusal(c, range->refusal);
    conn_push(&c->conn, range);
}

bool client_may_owe(struct client *c, size_t bytes) {
    if (c->conn.flags & CONN_BROKEN) return false;
    if (bytes <= output_room(c)) return true;
    client_report_limit(c);
    conn_break(&c->conn);
    return false;
}

void client_sent(struct conn *conn) {
    struct client *c = (struct client *)conn;
    bool nothing_left = conn_unsent(conn) == 0;
    if ((conn->flags & CONN_BROKEN) && (c->flags & CLIENT_PRIMARY)) return; /* see repl/streaming.c */
    if ((conn->flags & CONN_BROKEN) || ((c->flags & CLIENT_CLOSE_AFTER_REPLY) && nothing_left)) {
        client_close(c);
        return;
    }
    if (nothing_left && !(c->flags & CLIENT_SOFT_LIMIT)) return;
    if (c->flags & CLIENT_CLOSE_AFTER_REPLY) loop_set_events(&conn->source, LOOP_WRITE);
    client_limit_output(c);
}

/* --- Descriptions ---------------------------------------------------------------------------- */

struct client_labels *client_labels(struct client *c) {
    if (c->labels == NULL) c->labels = alloc_zero(sizeof *c->labels);
    return c->labels;
}

void client_set_label(struct client *c, char **label, struct slice value) {
    if (*label) c->labels->bytes -= alloc_class(strlen(*label) + 1);
    alloc_put_string(*label);
    *label = value.len ? alloc_copy_text(value.ptr, value.len) : NULL;
    if (*label) c->labels->bytes += alloc_class(value.len + 1);
}

struct client *client_by_id(uint64_t id) {
    for (struct client *c = client_last; c && c->id >= id; c = c->prev)
        if (c->id == id) return c;
    return NULL;
}

static const struct client_addresses *addresses_of(struct client *c) {
    if (c->addresses) return c->addresses;
    char peer[SOCKET_NAME_MAX], local[SOCKET_NAME_MAX];
    socket_peer_name(c->conn.source.fd, peer);
    socket_local_name(c->conn.source.fd, local);
    struct client_addresses sizes = {(uint8_t)strlen(peer), (uint8_t)strlen(local)};
    c->addresses = alloc_get(addresses_size(&sizes));
    *c->addresses = sizes;
    memcpy(c->addresses->text, peer, sizes.peer_len);
    memcpy(c->addresses->text + sizes.peer_len, local, sizes.local_len);
    return c->addresses;
}

struct slice client_peer(struct client *c) {
    const struct client_addresses *a = addresses_of(c);
    return slice_of(a->text, a->peer_len);
}

struct slice client_local(struct client *c) {
    const struct client_addresses *a = addresses_of(c);
    return slice_of(a->text + a->peer_len, a->local_len);
}

size_t client_memory(const struct client *c) {
    size_t bytes = alloc_class(sizeof *c) + conn_input_memory(&c->conn) + conn_unsent(&c->conn);
    if (c->labels) bytes += sizeof *c->labels + c->labels->bytes;
    if (c->addresses) bytes += addresses_size(c->addresses);
    for (size_t i = 0; i < part_count; i++)
        if (parts[i]->memory) bytes += parts[i]->memory(c);
    return bytes;
}

/* The letters of flags=, in the order in which Redis prints them. */
static const char letters_in_order[] = "OSMPxbtRBdcUeT";

static struct client_line line_of(const struct client *c) {
    struct client_line line = {.queued = -1, .redirect = -1};
    if (c->flags & CLIENT_CLOSE_AFTER_REPLY) client_line_flag(&line, 'c');
    if (c->flags & CLIENT_UNIX_SOCKET) client_line_flag(&line, 'U');
    if (c->flags & CLIENT_NO_EVICT) client_line_flag(&line, 'e');
    if (c->flags & CLIENT_NO_TOUCH) client_line_flag(&line, 'T');
    if (c->flags & CLIENT_REPLICA) client_line_flag(&line, 'S');
    if (c->flags & CLIENT_PRIMARY) client_line_flag(&line, 'M');
    for (size_t i = 0; i < part_count; i++)
        if (parts[i]->describe) parts[i]->describe(c, &line);
    return line;
}

/* The put functions write at `to`, where there is room, and return the end. */
static inline char *put(char *to, struct slice text) {
    memcpy(to, text.ptr, text.len);
    return to + text.len;
}

static inline char *put_int(char *to, struct slice name, int64_t value) {
    to = put(to, name);
    return to + num_print_i64(to, value);
}

static char *put_letters(char *to, uint64_t letters) {
    char *start = to;
    for (const char *letter = letters_in_order; *letter; letter++)
        if (letters >> (*letter - 'A') & 1) *to++ = *letter;
    if (to == start) *to++ = 'N';
    return to;
}

static char *put_session(char *to, const struct client *c, const struct client_line *line) {
    int64_t now_ms = clock_steady_ms();
    to = put_int(to, SLICE(" age="), (now_ms - c->created_ms) / 1000);
    to = put_int(to, SLICE(" idle="), (now_ms - c->active_ms) / 1000);
    to = put_letters(put(to, SLICE(" flags=")), line->letters);
    to = put_int(to, SLICE(" db="), c->db->id);
    to = put_int(to, SLICE(" sub="), (int64_t)line->channels);
    to = put_int(to, SLICE(" psub="), (int64_t)line->patterns);
    to = put_int(to, SLICE(" ssub="), (int64_t)line->shard_channels);
    return put_int(to, SLICE(" multi="), line->queued);
}

static char *put_memory(char *to, const struct client *c, const struct client_line *line,
                        struct client_executing executing) {
    size_t query = executing.raw_bytes + conn_input_bytes(&c->conn), held = conn_input_args(&c->conn);
    size_t args = executing.args_bytes + held + line->held_bytes, memory = conn_input_memory(&c->conn) - held;
    to = put_int(to, SLICE(" qbuf="), (int64_t)query);
    to = put_int(to, SLICE(" qbuf-free="), memory > query ? (int64_t)(memory - query) : 0);
    to = put_int(to, SLICE(" argv-mem="), (int64_t)args);
    to = put_int(to, SLICE(" multi-mem="), (int64_t)line->queue_bytes);
    to = put_int(to, SLICE(" rbs=0 rbp=0 obl="), c->conn.range_len);
    to = put_int(to, SLICE(" oll="), (int64_t)(c->conn.out_chunks + line->log_blocks));
    to = put_int(to, SLICE(" omem="), (int64_t)(c->conn.out_bytes + line->log_bytes));
    to = put_int(to, SLICE(" tot-mem="), (int64_t)client_memory(c));
    to = put(to, SLICE(" events="));
    if (c->conn.source.events & (LOOP_READ | LOOP_HANGUP)) *to++ = 'r';
    if (c->conn.source.events & LOOP_WRITE) *to++ = 'w';
    return to;
}

#define LINE_FIXED_MAX 1024 /* bytes of a line without its texts: names of the fields, and numbers */

static struct slice label_of(const char *label) {
    return label ? slice_cstr(label) : SLICE("");
}

void client_describe(struct client *c, struct client_executing executing, struct buf *out) {
    const struct client_labels none = {0}, *labels = c->labels ? c->labels : &none;
    struct client_line line = line_of(c);
    struct slice peer = client_peer(c), local = client_local(c), name = label_of(labels->name);
    struct slice library = label_of(labels->lib_name), version = label_of(labels->lib_version);
    struct slice command = slice_cstr(c->last_command ? catalog_full_name(c->last_command) : "NULL");
    char *start =
        buf_reserve(out, LINE_FIXED_MAX + peer.len + local.len + name.len + library.len + version.len + command.len);
    char *to = put_int(start, SLICE("id="), (int64_t)c->id);
    to = put(put(to, SLICE(" addr=")), peer);
    to = put(put(to, SLICE(" laddr=")), local);
    to = put_int(to, SLICE(" fd="), c->conn.source.fd);
    to = put(put(to, SLICE(" name=")), name);
    to = put_session(to, c, &line);
    to = put_memory(to, c, &line, executing);
    to = put(put(to, SLICE(" cmd=")), command);
    to = put_int(to, SLICE(" user=default redir="), line.redirect);
    to = put_int(to, SLICE(" resp="), c->resp);
    to = put(put(to, SLICE(" lib-name=")), library);
    to = put(put(to, SLICE(" lib-ver=")), version);
    out->len += (size_t)(to - start);
}
