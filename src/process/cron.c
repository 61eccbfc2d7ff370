/* See cron.h. Invariant: the cost of a tick does not grow with the number of idle clients. Only `timeout`, the soft
 * limits on output, and buffers that are in use need a look at clients that do nothing: while there is one of these,
 * each tick looks at a bounded number of clients and the next one goes on from there. So a tick takes some tens of
 * microseconds at most, and a client may be closed late by the time of a round (10,000 clients at hz 10: 5 seconds). */
#include "process/cron.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/likely.h"
#include "base/log.h"
#include "base/module.h"
#include "base/option.h"
#include "exec/memory.h"
#include "exec/wave.h"
#include "net/loop.h"
#include "process/shutdown.h"
#include "publish/pubsub.h"
#include "session/client.h"
#include "session/client_evict.h"
#include "session/limits.h"
#include "session/server_metrics.h"
#include "store/db.h"
#include "store/evict.h"
#include "store/expire.h"
#include <assert.h>

#define CLIENTS_A_TICK 200
#define HZ_MIN 1
#define HZ_MAX 500
#define LOAD_MS 5000 /* between two log entries about databases and clients */

static int hz;
static struct loop_timer timer;
static bool paused;
static int64_t logged_ms; /* clock_steady_ms() when log_load() wrote last */

#define TICKS_MAX 8
static void (*ticks[TICKS_MAX])(void);
static size_t tick_count;
static void (*later)(void); /* work for the end of this turn; usually NULL */

void cron_add(void (*fn)(void)) {
    assert(tick_count < TICKS_MAX);
    ticks[tick_count++] = fn;
}

/* Subscribers and waiting clients may be idle for ever; replicas and the primary have a limit of their own. */
static bool is_idle_too_long(const struct client *c, int64_t now_ms) {
    return limits_options.timeout_s && !c->subscriber &&
           !(c->flags & (CLIENT_WAITS | CLIENT_REPLICA | CLIENT_PRIMARY)) &&
           now_ms - c->active_ms > (int64_t)limits_options.timeout_s * 1000;
}

/* True if a soft limit is set for a class that has clients. */
static bool has_soft_limits(void) {
    if (limits_options.output_limit[LIMITS_NORMAL].soft) return true;
    return limits_options.output_limit[LIMITS_PUBSUB].soft && pubsub_any();
}

/* Input and output that last are noted again and again, for the peaks of INFO. */
static bool has_buffers(void) {
    return conn_metrics.input_bytes || conn_metrics.output_bytes;
}

static void inspect_clients(int64_t now_ms) {
    if (limits_options.timeout_s == 0 && !has_soft_limits() && !has_buffers() && !client_evict_is_on) return;
    for (int i = 0; i < CLIENTS_A_TICK; i++) {
        struct client *c = client_cursor ? client_cursor : client_first;
        if (!c) return;
        client_cursor = c->next;
        conn_note_size(&c->conn);
        if (is_idle_too_long(c, now_ms)) {
            log_verbose("Closing idle client");
            client_close(c);
        } else {
            client_limit_output(c);
            client_evict_weigh(c);
        }
        if (!client_cursor) return; /* one round at most */
    }
}

/* O(clients): for the log only. */
static size_t count_replicas(void) {
    size_t count = 0;
    for (const struct client *c = client_first; c; c = c->next)
        count += !!(c->flags & CLIENT_REPLICA);
    return count;
}

static void log_load(int64_t now_ms) {
    if (log_level() > LOG_VERBOSE || now_ms - logged_ms < LOAD_MS) return;
    logged_ms = now_ms;
    for (int i = 0; i < db_count(); i++) {
        struct db *db = db_at(i);
        if (db_size(db) == 0) continue;
        log_verbose("DB %d: %zu keys (%zu volatile) in %zu slots HT.", i, db_size(db), db->expiring, db_size(db));
    }
    if (log_level() > LOG_DEBUG) return;
    size_t replicas = count_replicas();
    log_debug("%zu clients connected (%zu replicas), %zu bytes in use", client_count() - replicas, replicas,
              alloc_used());
}

static void cron_work(void) {
    int64_t now_ms = clock_steady_ms();
    server_metrics_sample();
    evict_tick(now_ms);
    alloc_sample_peak();
    alloc_decay();
    inspect_clients(now_ms);
    log_load(now_ms);
    for (size_t i = 0; i < tick_count; i++)
        ticks[i]();
}

static void cron_tick(struct loop_timer *self) {
    clock_update();
    if (!paused) cron_work();
    loop_timer_start(self, 1000000 / hz);
}

void cron_pause(bool pause) {
    paused = pause;
}

static void cron_start(void) {
    evict_tick(clock_steady_ms()); /* set the clock before the first request */
    loop_timer_init(&timer, cron_tick);
    loop_timer_start(&timer, 1000000 / hz);
}

int cron_hz(void) {
    return hz;
}

void cron_later(void (*work)(void)) {
    assert(!later || later == work);
    later = work;
}

static void work_long(void) {
    void (*work)(void) = later;
    later = NULL;
    work();
}

int cron_turn(void) {
    uint64_t began = clock_ticks();
    clock_update();
    wave_run();
    int64_t now_ms = clock_now_ms(), due_ms = expire_run(now_ms);
    bool is_over = memory_turn();
    wave_serve_waiting(); /* a key that clients wait for may have expired, or was evicted */
    wave_send();          /* the DELs of keys that went must be in the log, and messages sent, before the loop sleeps */
    shutdown_turn();
    client_reap();
    server_metrics.turns++;
    server_metrics.turn_ticks += clock_ticks() - began;
    if (unlikely(later != NULL)) {
        work_long();
        return 0;
    }
    if (is_over || wave_is_unsettled()) return 0;
    if (due_ms == INT64_MAX) return -1;
    int64_t wait_ms = due_ms - clock_now_ms();
    return wait_ms <= 0 ? 0 : wait_ms > 60000 ? 60000 : (int)wait_ms;
}

static bool apply_hz(const char **error) {
    (void)error;
    if (hz < HZ_MIN) hz = HZ_MIN;
    if (hz > HZ_MAX) hz = HZ_MAX;
    return true;
}

static const struct option cron_rows[] = {
    {"hz", .type = OPTION_INT, .address = &hz, .initial = "10", .apply = apply_hz},
    {NULL},
};

const struct module cron_module = {.options = cron_rows, .start = cron_start};
