/* See repl_info.h. The order of the lines is Redis's; Sentinel reads them. */
#include "repl/repl_info.h"
#include "base/clock.h"
#include "base/module.h"
#include "base/report.h"
#include "oplog/oplog.h"
#include "repl/apply.h"
#include "repl/backlog.h"
#include "repl/failover.h"
#include "repl/feed.h"
#include "repl/good_replicas.h"
#include "repl/history.h"
#include "repl/link.h"
#include "repl/role.h"
#include "session/server_metrics.h"

static int64_t seconds_since(int64_t ms) {
    int64_t passed_ms = clock_steady_ms() - ms;
    return passed_ms > 0 ? passed_ms / 1000 : 0;
}

/* --- A replica's lines ----------------------------------------------------------------------- */

/* Redis calls only this part of LINK_SYNCS a sync in progress: the snapshot is coming in. */
static void write_progress(struct buf *out) {
    struct link_progress progress = link_progress();
    int64_t left = progress.total_bytes - progress.read_bytes;
    report_int(out, "master_sync_total_bytes", progress.total_bytes);
    report_int(out, "master_sync_read_bytes", progress.read_bytes);
    report_int(out, "master_sync_left_bytes", left);
    report_ratio(out, "master_sync_perc", (double)progress.read_bytes * 100, (double)progress.total_bytes, "");
    report_int(out, "master_sync_last_io_seconds_ago", seconds_since(progress.heard_ms));
}

/* Without a place in any history Redis shows 1. */
static int64_t place_or_one(int64_t offset) {
    return link_status.state == LINK_UP || link_has_place() ? offset : 1;
}

static void write_replica(struct buf *out) {
    bool is_up = link_status.state == LINK_UP, syncs = link_status.state == LINK_SYNCS;
    report_text(out, "master_host", role_host());
    report_int(out, "master_port", role_port());
    report_text(out, "master_link_status", is_up ? "up" : "down");
    report_int(out, "master_last_io_seconds_ago", is_up ? seconds_since(link_status.heard_ms) : -1);
    report_int(out, "master_sync_in_progress", syncs);
    report_int(out, "slave_read_repl_offset", place_or_one(link_read_offset()));
    report_int(out, "slave_repl_offset", place_or_one(oplog_end()));
    if (syncs) write_progress(out);
    if (!is_up) report_int(out, "master_link_down_since_seconds", role_down_s());
    report_int(out, "slave_priority", role_options.priority);
    report_int(out, "slave_read_only", role_options.read_only);
    report_int(out, "replica_announced", role_options.announced);
}

/* --- The lines of both roles ----------------------------------------------------------------- */

static void write_feed(struct buf *out, const struct feed *feed, int index) {
    char ip[FEED_IP_MAX];
    buf_printf(out, "slave%d:ip=%s,port=%d,state=%s,offset=%lld,lag=%lld,behind=%zu\r\n", index, feed_ip(feed, ip),
               feed->port, feed_state_name(feed), (long long)feed->acked,
               (long long)(feed_is_online(feed) ? feed_lag_s(feed) : 0), feed_behind(feed));
}

static void write_feeds(struct buf *out) {
    int index = 0;
    report_int(out, "connected_slaves", (int64_t)feed_count());
    if (good_replicas_are_counted()) report_int(out, "min_slaves_good_slaves", good_replicas_count());
    for (const struct feed *feed = feed_first; feed; feed = feed->next)
        if (!(feed->flags & FEED_IS_CHANNEL)) write_feed(out, feed, index++);
}

static void write_history(struct buf *out) {
    report_text(out, "master_failover_state", failover_state_name());
    report_text(out, "master_replid", history.id);
    report_text(out, "master_replid2", history.former_id);
    report_int(out, "master_repl_offset", oplog_end());
    report_int(out, "second_repl_offset", history.former_end);
}

/* Redis counts the first byte from 1. */
static void write_backlog(struct buf *out) {
    bool is_kept = backlog_is_kept();
    report_int(out, "repl_backlog_active", is_kept);
    report_int(out, "repl_backlog_size", backlog_size());
    report_int(out, "repl_backlog_first_byte_offset", is_kept ? oplog_first() + 1 : 0);
    report_int(out, "repl_backlog_histlen", is_kept ? oplog_end() - oplog_first() : 0);
}

/* Bytes that the log keeps beyond the backlog, since some replica has not got them yet. */
static int64_t held_bytes(void) {
    int64_t beyond = oplog_end() - oplog_first() - backlog_size();
    return backlog_is_kept() && beyond > 0 ? beyond : 0;
}

void repl_info_write(struct buf *out) {
    report_text(out, "role", role_is_replica() ? "slave" : "master");
    if (role_is_replica()) write_replica(out);
    write_feeds(out);
    write_history(out);
    write_backlog(out);
    report_int(out, "repl_held_bytes", held_bytes());
    int64_t as_replica_ms = link_metrics.last_sync_ms, as_primary_ms = feed_metrics.last_full_ms;
    report_int(out, "repl_last_full_sync_ms", role_is_replica() ? as_replica_ms : as_primary_ms);
}

size_t repl_info_connections(void) {
    size_t count = 0;
    for (const struct feed *feed = feed_first; feed; feed = feed->next)
        count++;
    return count;
}

/* Memory of the replicas without their parts of the log, which is one for all. */
static size_t feeds_bytes(void) {
    size_t shared = 0;
    for (const struct feed *feed = feed_first; feed; feed = feed->next)
        shared += feed_behind(feed);
    return feed_memory() - shared;
}

struct repl_info_memory repl_info_memory(void) {
    struct oplog_metrics log = {0};
    if (backlog_is_kept()) log = oplog_metrics();
    return (struct repl_info_memory){
        .backlog = log.memory - log.excess, .buffers = log.memory, .of_feeds = log.excess + feeds_bytes()};
}

void repl_info_reset_metrics(void) {
    feed_metrics = (struct feed_metrics){.last_full_ms = feed_metrics.last_full_ms};
    link_metrics.bytes_in = link_metrics.bytes_out = 0;
    apply_metrics = (struct apply_metrics){0};
}

/* The rates of both directions are sampled with all others. */
static void repl_info_start(void) {
    server_metrics_sources[RATE_REPL_IN] = &link_metrics.bytes_in;
    server_metrics_sources[RATE_REPL_OUT] = &feed_metrics.bytes_out;
}

const struct module repl_info_module = {.start = repl_info_start};
