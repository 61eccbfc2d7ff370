/* MONITOR: a client that sends it becomes a monitor, which gets a line of text for every request that is executed. The
 * line has Redis's form: the time, the database, the address of the client, and the arguments, quoted as C strings. It
 * is written once and copied to each monitor, in the order in which they became monitors. A monitor sees its own
 * requests, too. A request costs O(monitors) more, and nothing while there are none.
 *
 * Invariant: a client is in the list exactly while it has CLIENT_MONITOR; the gate is closed and the calls are listened
 * to exactly while the list is not empty. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "exec/call.h"
#include "exec/inner.h"
#include "net/conn.h"
#include "session/client.h"
#include "session/gates.h"
#include "session/push.h"
#include "session/reply.h"

static struct client **monitors; /* clients, which are not owned */
static size_t monitor_count, monitor_cap;

/* --- Lines ----------------------------------------------------------------------------------- */

/* "[0 127.0.0.1:6379]", or "[0 lua]" for what a script calls. */
static void write_origin(const struct client *c, struct buf *line) {
    struct slice peer = inner_is_by(c) ? SLICE("lua") : client_peer((struct client *)c);
    bool is_local = !inner_is_by(c) && c->flags & CLIENT_UNIX_SOCKET;
    if (is_local) peer.len -= strlen(":0"); /* the name is "path:0" */
    buf_printf(line, " [%d %s%.*s]", c->db->id, is_local ? "unix:" : "", (int)peer.len, peer.ptr);
}

static void write_line(const struct request *r, struct buf *line) {
    int64_t now_us = clock_wall_us();
    buf_printf(line, "+%lld.%06lld", (long long)(now_us / 1000000), (long long)(now_us % 1000000));
    write_origin(r->client, line);
    for (int i = 0; i < r->argc; i++) {
        buf_append(line, " ", 1);
        bool secret = i < REQUEST_REDACTABLE && (r->redacted >> i & 1);
        buf_append_quoted(line, secret ? SLICE("(redacted)") : r->argv[i]);
    }
    buf_append_cstr(line, "\r\n");
}

static void monitor_feed(const struct request *r, uint64_t spent) {
    if (spent != CALL_ANNOUNCED && r->command->flags & (CMD_SKIP_MONITOR | CMD_ADMIN)) return;
    static struct buf line; /* kept for the next request */
    line.len = 0;
    write_line(r, &line);
    struct conn_range range;
    conn_open(&range, CONN_NO_LIMIT);
    conn_write(line.data, line.len);
    for (size_t i = 0; i < monitor_count; i++)
        push_copy(monitors[i], range.start, conn_mark());
    conn_take_back(&range);
}

/* --- Monitors -------------------------------------------------------------------------------- */

/* Redis treats a monitor as a kind of replica, which may not use keys. */
static bool uses_keys_as_monitor(const struct request *r, unsigned flags) {
    return (r->client->flags & CLIENT_MONITOR) && (flags & (CMD_WRITE | CMD_READONLY | CMD_MAY_REPLICATE));
}

static const struct gate gate = {.holds = uses_keys_as_monitor,
                                 .error = "ERR Replica can't interact with the keyspace"};

static void fit_listener(void) {
    gates_set(GATES_MONITOR, monitor_count ? &gate : NULL);
    call_listen(CALL_MONITOR, monitor_count ? monitor_feed : NULL);
}

static void monitor_add(struct client *c) {
    if (monitor_count == monitor_cap) monitors = alloc_grow(monitors, &monitor_cap, sizeof *monitors, 4);
    monitors[monitor_count++] = c;
    c->flags |= CLIENT_MONITOR;
    fit_listener();
}

static void monitor_forget(struct client *c) {
    if (!(c->flags & CLIENT_MONITOR)) return;
    client_clear(c, CLIENT_MONITOR);
    size_t i = 0;
    while (monitors[i] != c)
        i++;
    memmove(&monitors[i], &monitors[i + 1], (--monitor_count - i) * sizeof *monitors);
    fit_listener();
}

static void monitor_describe(const struct client *c, struct client_line *line) {
    if (c->flags & CLIENT_MONITOR) client_line_flag(line, 'O');
}

static const struct client_part monitor_part = {monitor_forget, monitor_forget, NULL, monitor_describe};

/* --- The command ----------------------------------------------------------------------------- */

static void monitor(struct request *r) {
    struct client *c = r->client;
    if (call_is_nested) {
        reply_error(c, "ERR MONITOR isn't allowed for DENY BLOCKING client");
    } else if (!(c->flags & CLIENT_MONITOR)) { /* Redis does not answer a second MONITOR */
        monitor_add(c);
        reply_ok(c);
    }
}

static const struct command monitor_commands[] = {
    {"monitor", monitor, 1, .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE, .group = GROUP_SERVER,
     .since = "1.0.0", .complexity = "", .summary = "Show this connection every request that the server executes."},
    {NULL},
};

const struct module monitor_module = {.commands = monitor_commands, .part = &monitor_part};
