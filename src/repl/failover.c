/* See failover.h.
 *
 *     NONE -- FAILOVER --> WAITS -- a replica is level --> HANDS_OVER -- it took the lead --> NONE, as its replica
 *                            |                                 |
 *                            +-- time is over, ABORT --> NONE <-+-- it refused, ABORT: a primary again
 *
 * A replica is level when it has acknowledged all of the log. Nothing is added to the log meanwhile: writes are paused,
 * expiry stands still, and no PING is sent.
 *
 * Invariant: writes are paused for a failover exactly while the state is not NONE. Steps that change the role run from
 * a timer, not from inside the hooks that ask for them. */
#include "repl/failover.h"
#include "base/log.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "exec/pause.h"
#include "net/loop.h"
#include "oplog/oplog.h"
#include "process/shutdown.h"
#include "repl/acks.h"
#include "repl/feed.h"
#include "repl/link.h"
#include "repl/role.h"
#include "session/client.h"
#include "session/reply.h"
#include "session/request.h"
#include <stdio.h>
#include <string.h>

#define HOST_MAX 256

static struct {
    enum failover_state state;
    char host[FEED_IP_MAX]; /* of the target; "": any replica will do */
    int port;
    bool force;                 /* when the time is over, hand over to a target that is not level */
    const char *failure;        /* why the target does not take the lead; NULL: it may */
    struct loop_timer deadline; /* runs with TIMEOUT, while the state is WAITS */
    struct loop_timer soon;     /* runs when there is a step to take */
} failover;

static bool shutting_down; /* a shutdown waits for the replicas */

enum failover_state failover_state(void) {
    return failover.state;
}

const char *failover_state_name(void) {
    static const char *const names[] = {"no-failover", "waiting-for-sync", "failover-in-progress"};
    return names[failover.state];
}

static bool failover_is_on(void) {
    return failover.state != FAILOVER_NONE;
}

static void fit_quiet(void) {
    feed_is_quiet = failover_is_on() || shutting_down;
}

/* --- Replicas that are level ----------------------------------------------------------------- */

static bool is_level(const struct feed *feed) {
    return feed->acked == oplog_end();
}

/* Not for a second connection, a client that wants a snapshot only, and one that never acknowledges. */
static bool can_be_level(const struct feed *feed) {
    return !(feed->flags & (FEED_IS_CHANNEL | FEED_RDB_ONLY | FEED_OLD));
}

static struct feed *find_level_replica(void) {
    if (failover.host[0]) {
        struct feed *feed = feed_for_address(slice_cstr(failover.host), failover.port);
        return feed && is_level(feed) ? feed : NULL;
    }
    for (struct feed *feed = feed_first; feed; feed = feed->next)
        if (can_be_level(feed) && feed_is_online(feed) && is_level(feed)) return feed;
    return NULL;
}

/* --- The states ------------------------------------------------------------------------------ */

static void take_step_soon(void) {
    loop_timer_start(&failover.soon, 0);
}

static void clear_failover(void) {
    loop_timer_stop(&failover.deadline);
    loop_timer_stop(&failover.soon);
    failover.state = FAILOVER_NONE;
    failover.failure = NULL;
    failover.host[0] = '\0';
    acks_news = NULL;
    fit_quiet();
    role_hold_redirects(false);
    pause_end(PAUSE_OF_FAILOVER);
}

static void abort_failover(const char *why) {
    if (failover.host[0])
        log_notice("FAILOVER to %s:%d aborted: %s", failover.host, failover.port, why);
    else
        log_notice("FAILOVER to any replica aborted: %s", why);
    if (failover.state == FAILOVER_HANDS_OVER) role_promote();
    clear_failover();
}

static void hand_over(void) {
    loop_timer_stop(&failover.deadline);
    acks_news = NULL;
    failover.state = FAILOVER_HANDS_OVER;
    role_hold_redirects(true);
    role_hand_over(failover.host, failover.port);
}

static void hand_over_to_level_replica(void) {
    const struct feed *feed = find_level_replica();
    if (!feed) return;
    if (!failover.host[0]) {
        feed_ip(feed, failover.host);
        failover.port = feed->port;
    }
    log_notice("Failover target %s:%d is synced, failing over.", failover.host, failover.port);
    hand_over();
}

static void take_step(struct loop_timer *timer) {
    (void)timer;
    if (failover.failure)
        abort_failover(failover.failure);
    else if (failover.state == FAILOVER_WAITS)
        hand_over_to_level_replica();
}

static void time_is_over(struct loop_timer *timer) {
    (void)timer;
    if (!failover.force) {
        abort_failover("Replica never caught up before timeout");
        return;
    }
    log_notice("Failover to %s:%d time out exceeded, failing over.", failover.host, failover.port);
    hand_over();
}

/* Hook of the link: the target's answer to PSYNC ... FAILOVER. */
static void target_answered(bool accepted, const char *reply) {
    (void)reply; /* logged by the link */
    if (failover.state != FAILOVER_HANDS_OVER) return;
    if (accepted) {
        clear_failover();
        return;
    }
    failover.failure = "Failover target rejected psync request";
    take_step_soon();
}

/* --- FAILOVER -------------------------------------------------------------------------------- */

struct wish {
    char host[HOST_MAX]; /* "": any replica */
    int64_t port, timeout_ms;
    bool has_timeout, force, abort;
};

/* One option, at argv[*i], which is moved to its last word. False: replied why not. */
static bool read_option(struct request *r, int *i, struct wish *wish) {
    struct client *c = r->client;
    struct slice word = r->argv[*i];
    int more = r->argc - 1 - *i;
    if (slice_is(word, "timeout") && more >= 1 && !wish->has_timeout) {
        wish->has_timeout = true;
        if (!args_i64(c, r->argv[++*i], &wish->timeout_ms)) return false;
        return wish->timeout_ms > 0 || args_refuse(c, "ERR FAILOVER timeout must be greater than 0");
    }
    if (slice_is(word, "abort") && r->argc == 2) return wish->abort = true;
    if (slice_is(word, "force") && !wish->force) return wish->force = true;
    if (!slice_is(word, "to") || more < 2 || wish->host[0]) return args_syntax_error(c);
    struct slice host = r->argv[++*i];
    if (!args_i64(c, r->argv[++*i], &wish->port)) return false;
    if (host.len == 0 || host.len >= sizeof wish->host || memchr(host.ptr, '\0', host.len))
        return args_refuse(c, "ERR FAILOVER target HOST and PORT is not a replica.");
    memcpy(wish->host, host.ptr, host.len);
    return true;
}

static const char *why_impossible(const struct wish *wish) {
    if (role_is_replica()) return "ERR FAILOVER is not valid when server is a replica.";
    if (feed_count() == 0) return "ERR FAILOVER requires connected replicas.";
    if (wish->force && (!wish->has_timeout || !wish->host[0]))
        return "ERR FAILOVER with force option requires both a timeout and target HOST and IP.";
    if (!wish->host[0]) return NULL;
    bool is_port = wish->port >= 0 && wish->port <= 65535;
    const struct feed *feed = is_port ? feed_for_address(slice_cstr(wish->host), (int)wish->port) : NULL;
    if (!feed) return "ERR FAILOVER target HOST and PORT is not a replica.";
    return feed_is_online(feed) ? NULL : "ERR FAILOVER target replica is not online.";
}

static void log_wish(const struct wish *wish) {
    if (wish->host[0])
        log_notice("FAILOVER requested to %s:%lld.", wish->host, (long long)wish->port);
    else
        log_notice("FAILOVER requested to any replica.");
}

/* A replica that is level already needs no asking. */
static void begin_failover(const struct wish *wish) {
    log_wish(wish);
    failover.state = FAILOVER_WAITS;
    failover.force = wish->force;
    snprintf(failover.host, sizeof failover.host, "%s", wish->host);
    failover.port = (int)wish->port;
    fit_quiet();
    pause_begin(PAUSE_OF_FAILOVER, PAUSE_WRITES, PAUSE_FOR_EVER);
    if (wish->has_timeout) {
        int64_t ms = wish->timeout_ms < INT32_MAX ? wish->timeout_ms : INT32_MAX;
        loop_timer_start(&failover.deadline, ms * 1000);
    }
    if (!find_level_replica()) feed_ask_for_acks();
    acks_news = take_step_soon;
    take_step_soon();
}

/* FAILOVER [TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds] */
static void failover_command(struct request *r) {
    struct client *c = r->client;
    struct wish wish = {0};
    for (int i = 1; i < r->argc; i++)
        if (!read_option(r, &i, &wish)) return;
    const char *error = NULL;
    if (failover_is_on())
        error = wish.abort ? NULL : "ERR FAILOVER already in progress.";
    else
        error = wish.abort ? "ERR No failover in progress." : why_impossible(&wish);
    if (error) {
        reply_error(c, error);
        return;
    }
    if (wish.abort)
        abort_failover("Failover manually aborted");
    else
        begin_failover(&wish);
    reply_ok(c);
}

/* --- Shutdown -------------------------------------------------------------------------------- */

static bool all_are_level(void) {
    for (const struct feed *feed = feed_first; feed; feed = feed->next)
        if (can_be_level(feed) && !is_level(feed)) return false;
    return true;
}

static void begin_waiting(void) {
    log_notice("Waiting for replicas before shutting down.");
    shutting_down = true;
    fit_quiet();
    pause_begin(PAUSE_OF_SHUTDOWN, PAUSE_WRITES, PAUSE_FOR_EVER);
    feed_ask_for_acks();
}

/* Hook of shutdown, called in each turn while the process is to end. True: no replica lacks anything. */
static bool replicas_are_ready(bool first) {
    bool ready = all_are_level();
    if (!ready && first) begin_waiting();
    return ready;
}

static void log_laggard(const struct feed *feed) {
    char name[FEED_IP_MAX];
    log_warning("Lagging replica %s reported offset %lld behind master, lag=%lld, state=%s.", feed_name(feed, name),
                (long long)(oplog_end() - feed->acked), (long long)(feed_is_online(feed) ? feed_lag_s(feed) : 0),
                feed_state_name(feed));
}

static void log_replicas(void) {
    int count = 0, level = 0;
    for (const struct feed *feed = feed_first; feed; feed = feed->next) {
        if (!can_be_level(feed)) continue;
        count++;
        if (is_level(feed))
            level++;
        else
            log_laggard(feed);
    }
    if (count) log_notice("%d of %d replicas are in sync when shutting down.", level, count);
}

static void waiting_ended(bool ends) {
    if (ends) {
        log_replicas();
        return;
    }
    shutting_down = false;
    fit_quiet();
    pause_end(PAUSE_OF_SHUTDOWN);
}

/* --- Rows ------------------------------------------------------------------------------------ */

static void failover_start(void) {
    loop_timer_init(&failover.deadline, time_is_over);
    loop_timer_init(&failover.soon, take_step);
    role_is_changing = failover_is_on;
    link_handed_over = target_answered;
    shutdown_is_ready = replicas_are_ready;
    shutdown_waited = waiting_ended;
}

static const struct command failover_commands[] = {
    {"failover", failover_command, -1, .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_STALE, .group = GROUP_SERVER,
     .since = "6.2.0", .summary = "Hand the lead over to a replica as soon as it is level, and follow it.",
     .syntax = "[TO target:(host port:integer [FORCE])] [ABORT] [TIMEOUT milliseconds:integer]"},
    {NULL},
};

const struct module failover_module = {.commands = failover_commands, .start = failover_start};
