/* Once a second: replicas that are slow or silent are given up, and a PING keeps the others sure that their primary
 * lives. After a second in which this server itself stood still, no silence counts: their bytes may be unread. */
#include "base/clock.h"
#include "base/log.h"
#include "base/module.h"
#include "base/option.h"
#include "exec/propagate.h"
#include "process/cron.h"
#include "repl/backlog.h"
#include "repl/feed.h"
#include "repl/link.h"
#include "repl/sync.h"
#include "session/client.h"

#define TICK_MS 1000

static int ping_period_s; /* repl-ping-replica-period */

static struct {
    int64_t due_ms;   /* clock_steady_ms() at which the next look is due */
    int64_t ping_ms;  /* clock_steady_ms() since when the log has not grown */
    int64_t log_end;  /* its end then */
    bool stood_still; /* this server was busy for so long that what replicas have said may be unread yet */
} watch;

/* --- Limits and time-outs ---------------------------------------------------------------------- */

/* A replica that takes everything, but acknowledges little, keeps no more than a slow one may. */
static void fit_place(struct feed *feed) {
    struct backlog_limits limits = backlog_limits();
    int64_t most = limits.soft ? limits.soft : limits.hard;
    bool is_too_old = feed->place.block && most && (int64_t)oplog_behind(&feed->place) > most;
    if (is_too_old || !backlog_keeps_places()) oplog_leave(&feed->place);
}

/* A replica that loads its snapshot sends newlines instead of ACKs. */
static int64_t heard_ms(const struct feed *feed) {
    return feed->client->active_ms > feed->acked_ms ? feed->client->active_ms : feed->acked_ms;
}

/* clock_steady_ms() since when the replica owes a sign of life; 0: it owes none. */
static int64_t silent_since_ms(const struct feed *feed) {
    switch (feed->state) {
    case FEED_ONLINE:
    case FEED_WAITS_ACK: return feed->flags & FEED_OLD ? feed->took_ms : heard_ms(feed);
    case FEED_SENDS: return feed->took_ms;
    case FEED_WAITS_CHANNEL: return feed->other ? 0 : feed->asked_ms;
    case FEED_STREAMS: return feed->other ? 0 : heard_ms(feed);
    default: return 0;
    }
}

static void drop_if_silent(struct feed *feed) {
    char name[FEED_IP_MAX];
    int64_t since_ms = silent_since_ms(feed);
    if (watch.stood_still || since_ms == 0 || clock_steady_ms() - since_ms <= (int64_t)link_options.timeout_s * 1000)
        return;
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

/* Replicas notice a dead primary by its silence. Any change in the log breaks it as a PING does. */
static void ping_if_silent(int64_t now_ms) {
    const struct slice ping = SLICE("ping");
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
    watch.stood_still = now_ms - watch.due_ms >= TICK_MS;
    watch.due_ms = (watch.stood_still ? now_ms : watch.due_ms) + TICK_MS;
    feed_each(watch_feed, NULL);
    sync_tick();
    ping_if_silent(now_ms);
    backlog_tick(feed_count(), link_status.state == LINK_OFF);
}

static void watch_start(void) {
    cron_add(watch_tick);
}

static const struct option primary_watch_rows[] = {
    {"repl-ping-replica-period", .alias = "repl-ping-slave-period", .type = OPTION_INT, .address = &ping_period_s,
     .initial = "10", .min = 1},
    {NULL},
};

const struct module primary_watch_module = {.options = primary_watch_rows, .start = watch_start};
