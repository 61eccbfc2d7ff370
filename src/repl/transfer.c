/* See transfer.h. The lists for the child are made before the fork, and freed when the child has ended. Invariant: in
 * between each has fan.count elements, in the same order. */
#include "repl/transfer.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "disk/child.h"
#include "disk/fan.h"
#include "durable/bgsave.h"
#include "rdb/rdb.h"
#include "repl/feed.h"
#include "repl/history.h"
#include "repl/link.h"
#include "session/client.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define MARK_LEN 40

static struct {
    struct fan fan;
    const struct feed **feeds; /* fan.count of them, as the next two */
    int *fds;
    bool *lost; /* was given up, and shut down */
    unsigned filter;
    char mark[MARK_LEN];
    void (*done)(bool ok);
} transfer;

/* --- In the child ---------------------------------------------------------------------------- */

static void report_lost(int i) {
    char name[FEED_IP_MAX];
    int error = transfer.fan.sockets[i].error;
    transfer.lost[i] = true;
    shutdown(transfer.fds[i], SHUT_RDWR);
    feed_name(transfer.feeds[i], name);
    if (error == ETIMEDOUT)
        log_warning("Disconnecting timedout replica (full sync): %s", name);
    else
        log_warning("Diskless rdb transfer, write error sending DB to replica: %s (%s)", strerror(error), name);
}

static int give_all(void *ctx, const void *bytes, size_t n) {
    (void)ctx;
    int error = fan_write(&transfer.fan, bytes, n);
    for (int i = 0; i < transfer.fan.count; i++)
        if (transfer.fan.sockets[i].error && !transfer.lost[i]) report_lost(i);
    return error;
}

static void report_progress(void *ctx, uint64_t keys, uint64_t bytes) {
    (void)ctx;
    (void)bytes;
    child_report((size_t)keys);
}

static int send_snapshot(void *ctx) {
    (void)ctx;
    char head[16 + MARK_LEN];
    int len = snprintf(head, sizeof head, "$EOF:%.*s\r\n", MARK_LEN, transfer.mark);
    struct rdb_write job = {.fd = -1, .sink = give_all, .progress = report_progress, .repl_id = history.id};
    job.flags = RDB_NO_SYNC | (transfer.filter & FEED_NO_DATA ? RDB_NO_KEYS : 0);
    if (transfer.filter & FEED_NO_FUNCTIONS) job.flags |= RDB_NO_FUNCTIONS;
    job.repl_offset = oplog_end();
    job.repl_db = oplog_db() < 0 ? 0 : oplog_db();
    if (give_all(NULL, head, (size_t)len) != 0) return 1;
    if (!rdb_write(&job)) return 1;
    return give_all(NULL, transfer.mark, MARK_LEN) == 0 ? 0 : 1;
}

/* --- In the parent --------------------------------------------------------------------------- */

static void free_lists(void) {
    size_t count = (size_t)transfer.fan.count;
    alloc_put(transfer.fan.sockets, count * sizeof *transfer.fan.sockets);
    alloc_put(transfer.feeds, count * sizeof *transfer.feeds);
    alloc_put(transfer.fds, count * sizeof *transfer.fds);
    alloc_put(transfer.lost, count * sizeof *transfer.lost);
}

static void make_lists(void) {
    size_t count = 0, i = 0;
    for (const struct feed *feed = feed_first; feed; feed = feed->next)
        count += !!(feed->flags & FEED_HOLDS);
    transfer.fan = (struct fan){.sockets = alloc_zero(count * sizeof *transfer.fan.sockets), .count = (int)count};
    transfer.fan.timeout_ms = (int64_t)link_options.timeout_s * 1000;
    transfer.feeds = alloc_get(count * sizeof *transfer.feeds);
    transfer.fds = alloc_get(count * sizeof *transfer.fds);
    transfer.lost = alloc_zero(count * sizeof *transfer.lost);
    for (const struct feed *feed = feed_first; feed; feed = feed->next) {
        if (!(feed->flags & FEED_HOLDS)) continue;
        transfer.feeds[i] = feed;
        transfer.fds[i] = transfer.fan.sockets[i].fd = feed->client->conn.source.fd;
        i++;
    }
}

static void transfer_done(void *ctx, const struct child_end *end) {
    (void)ctx;
    free_lists();
    bgsave_status.took_s = (clock_steady_ms() - bgsave_status.began_ms) / 1000;
    bgsave_status.began_ms = 0;
    if (end->signal)
        log_warning("Background transfer terminated by signal %d", end->signal);
    else if (end->status)
        log_warning("Background transfer error");
    else
        log_notice("Background RDB transfer terminated with success");
    transfer.done(!end->signal && !end->status);
}

bool transfer_start(unsigned filter, void (*done)(bool ok)) {
    struct child_job job = {.kind = CHILD_TRANSFER, .run = send_snapshot, .done = transfer_done, .keys = db_keys()};
    make_lists();
    transfer.filter = filter;
    transfer.done = done;
    rand_hex(transfer.mark, MARK_LEN);
    job.keep = transfer.fds;
    job.keep_count = transfer.fan.count;
    if (child_start(&job)) {
        bgsave_status.began_ms = clock_steady_ms();
        log_notice("Background RDB transfer started by pid %ld", (long)child_pid());
        return true;
    }
    log_warning("Can't save in background: fork: %s", strerror(errno));
    free_lists();
    return false;
}
