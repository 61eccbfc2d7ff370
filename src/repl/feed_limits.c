/* How much of the log may wait for a replica: the limits of class replica. One that exceeds them in its full sync, or
 * before it was level, would do so in the next one; so that one has to wait (repl/backoff), and the log tells the
 * operator the numbers. */
#include "base/clock.h"
#include "base/log.h"
#include "disk/child.h"
#include "repl/backlog.h"
#include "repl/backoff.h"
#include "repl/feed.h"
#include "session/client.h"

/* The bytes that would have waited at the end of the snapshot: an estimate from the keys that are sent so far. */
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
                name, (long long)(clock_steady_ms() - feed->asked_ms) / 1000, feed_behind(feed), expected_behind(feed),
                wait_s);
}

bool feed_drop_if_over_limit(struct feed *feed) {
    if (!backlog_exceeded((int64_t)feed_behind(feed), &feed->soft_since_ms)) return false;
    client_report_limit(feed->client);
    if (feed->flags & FEED_FRESH) report_lost_sync(feed);
    feed_drop(feed);
    return true;
}
