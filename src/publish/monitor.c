/* The line is Redis's: the time, the database, who asked, and the arguments quoted as C strings. It is written
 * once, and copied to each of the monitors; a monitor's own requests are among what it gets. */
#include "publish/monitor.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/module.h"
#include "exec/call.h"
#include "net/conn.h"
#include "net/socket.h"
#include "session/client.h"
#include "session/gates.h"
#include "session/push.h"

static struct client **monitors;
static size_t count, cap;

/* --- lines ----------------------------------------------------------------------------------- */

static void write_line(const struct request *r, struct buf *line) {
    char peer[SOCKET_NAME_MAX];
    bool is_local = r->client->flags & CLIENT_UNIX_SOCKET;
    client_peer(r->client, peer);
    if (is_local) *strrchr(peer, ':') = '\0'; /* "path:0" */
    int64_t now_us = clock_wall_us();
    buf_printf(line, "+%lld.%06lld [%d %s%s]", (long long)(now_us / 1000000), (long long)(now_us % 1000000),
               r->client->db->id, is_local ? "unix:" : "", peer);
    for (int i = 0; i < r->argc; i++) {
        buf_append(line, " ", 1);
        bool secret = i < REQUEST_REDACTABLE && (r->redacted >> i & 1);
        buf_append_quoted(line, secret ? SLICE("(redacted)") : r->argv[i]);
    }
    buf_append_cstr(line, "\r\n");
}

static void monitor_feed(const struct request *r, uint64_t spent) {
    (void)spent;
    if (r->command->flags & (CMD_SKIP_MONITOR | CMD_ADMIN)) return;
    static struct buf line; /* kept: monitors watch many requests */
    line.len = 0;
    write_line(r, &line);
    size_t start = conn_mark();
    conn_write(line.data, line.len);
    size_t end = conn_mark();
    for (size_t i = 0; i < count; i++)
        push_copy(monitors[i], start, end);
    conn_truncate(start);
}

/* --- monitors -------------------------------------------------------------------------------- */

/* To Redis a monitor is a kind of replica. */
static bool is_monitor(const struct request *r, unsigned flags) {
    return (r->client->flags & CLIENT_MONITOR) && (flags & (CMD_WRITE | CMD_READONLY | CMD_MAY_REPLICATE));
}

static const struct gate gate = {.holds = is_monitor, .error = "ERR Replica can't interact with the keyspace"};

/* While there are monitors, every call is told to them, and their own requests are restricted. */
static void fit(void) {
    gates_set(GATES_MONITOR, count ? &gate : NULL);
    call_listen(CALL_MONITOR, count ? monitor_feed : NULL);
}

void monitor_add(struct client *c) {
    if (count == cap) monitors = alloc_grow(monitors, &cap, sizeof *monitors, 4);
    monitors[count++] = c;
    c->flags |= CLIENT_MONITOR;
    fit();
}

static void monitor_forget(struct client *c) {
    if (!(c->flags & CLIENT_MONITOR)) return;
    client_clear(c, CLIENT_MONITOR);
    size_t i = 0;
    while (monitors[i] != c)
        i++;
    memmove(&monitors[i], &monitors[i + 1], (--count - i) * sizeof *monitors);
    fit();
}

static void monitor_describe(const struct client *c, struct client_line *line) {
    if (c->flags & CLIENT_MONITOR) client_line_flag(line, 'O');
}

static const struct client_part monitor_part = {monitor_forget, monitor_forget, NULL, monitor_describe};

const struct module monitor_module = {.part = &monitor_part};
