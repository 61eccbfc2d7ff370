/* The line is Redis's: the time, the database, who asked, and the arguments quoted as C strings. It is written
 * once, and copied to each of the monitors; a monitor's own requests are among what it gets. */
#include "server/monitor.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "net/conn.h"
#include "net/socket.h"
#include "server/client.h"
#include "server/gates.h"
#include "server/push.h"

bool monitor_wanted;

static struct client **monitors;
static size_t count, cap;

void monitor_add(struct client *c) {
    if (count == cap) monitors = alloc_grow(monitors, &cap, sizeof *monitors, 4);
    monitors[count++] = c;
    c->flags |= CLIENT_MONITOR;
    monitor_wanted = true;
    gates_arm(GATES_MONITORED, true);
}

void monitor_forget(struct client *c) {
    if (!(c->flags & CLIENT_MONITOR)) return;
    c->flags &= ~(unsigned)CLIENT_MONITOR;
    size_t i = 0;
    while (monitors[i] != c)
        i++;
    memmove(&monitors[i], &monitors[i + 1], (--count - i) * sizeof *monitors);
    monitor_wanted = count > 0;
    gates_arm(GATES_MONITORED, monitor_wanted);
}

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

void monitor_feed(const struct request *r) {
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
