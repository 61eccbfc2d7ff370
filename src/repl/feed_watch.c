/* Replicas that are slow or silent, once a second: what has to be said to them, and when they are given up. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/module.h"
#include "base/option.h"
#include "disk/child.h"
#include "exec/propagate.h"
#include "process/cron.h"
#include "repl/backlog.h"
#include "repl/backoff.h"
#include "repl/feed.h"
#include "repl/link.h"
#include "repl/sync.h"
#include "session/client.h"
#include "session/server_metrics.h"

#define TICK_MS 1000

static int ping_period_s; /* repl-ping-replica-period */

static struct {
    int64_t due_ms; /* clock_steady_ms() at which the next look is due */
    int64_t ping_ms; /* clock_steady_ms() since when the log has not grown */
    int64_t log_end; /* its end then */
} watch;

/* --- Limits ---------------------------------------------------------------------------------- */

static bool is_over_limit(struct feed *feed) {
    struct backlog_limits limits = backlog_limits();
    int64_t behind = (int64_t)feed_behind(feed), now_ms = clock_steady_ms();
    if (limits.hard && behind > limits.hard) return true;
    if (limits.soft == 0 || behind <= limits.soft) {
        feed->soft_since_ms = 0;
        return false;
    }
    if (feed->soft_since_ms == 0) feed->soft_since_ms = now_ms;
    return now_ms - feed->soft_since_ms > limits.soft_ms;
}

/* What would have waited at the end of the snapshot, as far as can be told. */
static size_t expected_behind(const struct feed *feed) {
    size_t behind = feed_behind(feed), done = child_metrics.keys_done, total = child_metrics.keys_total;
    if (done == 0 || total < done) return behind * 2;
    return (size_t)((double)behind * (double)total / (double)done);
}

/* A full sync was in vain. The line tells how to get out of that. */
static void report_lost_sync(const struct feed *feed) {
    char name[FEED_IP_MAX];
    int wait_s = backoff_fail(feed_name(feed, name));
    log_warning("Replica %s could not keep up with its full sync: %lld s after it had asked for it, %zu bytes of the "
                "stream waited for it. About %zu bytes would have been enough, set them by "
                "'client-output-buffer-limit replica'. Its next full sync begins in %d s at the earliest.",
                name, (long long)(clock_steady_ms() - feed->asked_ms) / 1000, feed_behind(feed),
                expected_behind(feed), wait_s);
}

bool feed_drop_if_over_limit(struct feed *feed) {
    struct buf line = {0};
    if (!is_over_limit(feed)) return false;
    client_describe(feed->client, (struct client_executing){0}, &line);
    log_warning("Client %.*s scheduled to be closed ASAP for overcoming of output buffer limits.", (int)line.len,
                line.data);
    buf_free(&line);
    server_metrics.output_limit_disconnects++;
    if (feed->flags & FEED_FRESH) report_lost_sync(feed);
    feed_drop(feed);
    return true;
}

/* A replica that takes everything, but acknowledges little, keeps no more than a slow one may. */
static void fit_place(struct feed *feed) {
    struct backlog_limits limits = backlog_limits();
    int64_t most = limits.soft ? limits.soft : limits.hard;
    bool is_too_old = feed->place.block && most && (int64_t)oplog_behind(&feed->place) > most;
    if (is_too_old || !backlog_keeps_places()) oplog_leave(&feed->place);
}

/* --- Time-outs ------------------------------------------------------------------------------- */

/* clock_steady_ms() since when the replica owes a sign of life; 0: it owes none. */
static int64_t silent_since_ms(const struct feed *feed) {
    switch (feed->state) {
    case FEED_ONLINE:
    case FEED_WAITS_ACK: return feed->flags & FEED_OLD ? feed->took_ms : feed->acked_ms;
    case FEED_SENDS: return feed->took_ms;
    case FEED_WAITS_CHANNEL: return feed->other ? 0 : feed->asked_ms;
    case FEED_STREAMS: /* while it loads, it sends newlines */
        if (feed->other) return 0;
        return feed->client->active_ms > feed->acked_ms ? feed->client->active_ms : feed->acked_ms;
    default: return 0;
    }
}

static void drop_if_silent(struct feed *feed) {
    char name[FEED_IP_MAX];
    int64_t since_ms = silent_since_ms(feed);
    if (since_ms == 0 || clock_steady_ms() - since_ms <= (int64_t)link_options.timeout_s * 1000) return;
    log_warning("Disconnecting timedout replica (%s sync): %s", feed_is_online(feed) ? "streaming" : "full",
                feed_name(feed, name));
    client_close(feed->client);
}

static void watch_feed(struct feed *feed, void *ctx) {
    (void)ctx;
    fit_place(feed);
    if (!feed_drop_if_over_limit(feed)) drop_if_silent(feed);
}

/* --- PING ------------------------------------------------------------------------------------ */

/* Replicas notice a dead primary by its silence. What is said for other reasons will do. */
static void ping_if_silent(int64_t now_ms) {
    const struct slice ping = SLICE("PING");
    if (oplog_end() != watch.log_end || feed_count() == 0) {
        watch.log_end = oplog_end();
        watch.ping_ms = now_ms;
    }
    if (feed_count() == 0 || feed_is_quiet || now_ms - watch.ping_ms < (int64_t)ping_period_s * 1000) return;
    propagate_to_replicas(&ping, 1);
    watch.log_end = oplog_end();
    watch.ping_ms = now_ms;
}

/* --- All of it ------------------------------------------------------------------------------- */

static void watch_tick(void) {
    int64_t now_ms = clock_steady_ms();
    if (now_ms < watch.due_ms) return;
    watch.due_ms = now_ms + TICK_MS;
    feed_each(watch_feed, NULL);
    sync_tick();
    ping_if_silent(now_ms);
    backlog_tick(feed_count(), link_status.state == LINK_OFF);
}

static void watch_start(void) {
    cron_add(watch_tick);
}

static const struct option feed_watch_rows[] = {
    {"repl-ping-replica-period", .alias = "repl-ping-slave-period", .type = OPTION_INT, .address = &ping_period_s,
     .initial = "10", .min = 1},
    {NULL},
};

const struct module feed_watch_module = {.options = feed_watch_rows, .start = watch_start};
