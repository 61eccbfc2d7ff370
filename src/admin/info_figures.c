/* INFO's sections of counters: stats, commandstats, errorstats, latencystats. */
#include "admin/info_figures.h"
#include "admin/info.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/module.h"
#include "base/num.h"
#include "base/option.h"
#include "catalog/catalog.h"
#include "net/conn.h"
#include "net/links.h"
#include "net/loop.h"
#include "persist/child.h"
#include "publish/broadcast.h"
#include "publish/pubsub.h"
#include "publish/tracking.h"
#include "session/stats.h"
#include "store/db.h"
#include "store/expire.h"
#include <math.h>

/* --- options --------------------------------------------------------------------------------- */

#define PERCENTILES_MAX 16

static bool tracking;
static double percentiles[PERCENTILES_MAX];
static int percentile_count;

static bool set_percentiles(const char *const *words, int count, const char **error) {
    double values[PERCENTILES_MAX];
    if (count == 1 && words[0][0] == '\0') count = 0;
    if (count > PERCENTILES_MAX) {
        *error = "too many percentiles";
        return false;
    }
    for (int i = 0; i < count; i++) {
        *error = "Invalid latency-tracking-info-percentiles parameters";
        if (!num_parse_f64(slice_cstr(words[i]), &values[i])) return false;
        *error = "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]";
        if (!(values[i] >= 0 && values[i] <= 100)) return false;
    }
    percentile_count = count;
    for (int i = 0; i < count; i++)
        percentiles[i] = values[i];
    return true;
}

static void write_percentile(int i, struct buf *out) {
    char text[NUM_F64_MAX];
    buf_append(out, text, (size_t)num_print_f64(text, percentiles[i]));
}

static void get_percentiles(struct buf *out) {
    for (int i = 0; i < percentile_count; i++) {
        if (i) buf_append(out, " ", 1);
        write_percentile(i, out);
    }
}

static const struct option info_rows[] = {
    {"latency-tracking", .type = OPTION_BOOL, .address = &tracking, .initial = "yes"},
    {"latency-tracking-info-percentiles", .type = OPTION_CUSTOM, .flags = OPTION_MULTI, .initial = "50 99 99.9",
     .set = set_percentiles, .get = get_percentiles},
    {NULL},
};

/* --- every row of the command table ---------------------------------------------------------- */

static void each_command(void (*visit)(const struct command *command, struct buf *out), struct buf *out) {
    for (size_t i = 0; i < catalog_count(); i++) {
        const struct command *command = catalog_at(i);
        visit(command, out);
        for (const struct command *sub = command->subcommands; sub && sub->name; sub++)
            visit(sub, out);
    }
}

static unsigned long long microseconds(uint64_t ticks) {
    return clock_ticks_to_ns(ticks) / 1000;
}

static void write_command(const struct command *command, struct buf *out) {
    const struct command_stats *s = catalog_stats(command);
    if (!s || !(s->calls | s->rejected | s->failed)) return;
    unsigned long long us = microseconds(s->ticks);
    buf_printf(out, "cmdstat_%s:calls=%llu,usec=%llu,usec_per_call=%.2f,rejected_calls=%llu,failed_calls=%llu\r\n",
               catalog_full_name(command), (unsigned long long)s->calls, us,
               s->calls ? (double)clock_ticks_to_ns(s->ticks) / 1000 / (double)s->calls : 0.0,
               (unsigned long long)s->rejected, (unsigned long long)s->failed);
}

void info_figures_commands(struct buf *out) {
    each_command(write_command, out);
}

/* --- latencies ------------------------------------------------------------------------------- */

/* The duration in us that `percentile` per cent of the calls did not exceed, as exactly as the buckets are. */
static double latency_us(const uint32_t *histogram, uint64_t total, double percentile) {
    uint64_t wanted = (uint64_t)ceil(percentile / 100 * (double)total), seen = 0;
    for (unsigned i = 0; i < COMMAND_STATS_BUCKETS; i++) {
        seen += histogram[i];
        if (histogram[i] && seen >= wanted) return (double)clock_ticks_to_ns(command_stats_ticks(i)) / 1000;
    }
    return 0;
}

static void write_latency(const struct command *command, struct buf *out) {
    const struct command_stats *s = catalog_stats(command);
    uint64_t total = 0;
    if (!s || !s->histogram) return;
    for (unsigned i = 0; i < COMMAND_STATS_BUCKETS; i++)
        total += s->histogram[i];
    if (!total) return;
    buf_printf(out, "latency_percentiles_usec_%s:", catalog_full_name(command));
    for (int i = 0; i < percentile_count; i++) {
        buf_append_cstr(out, i ? ",p" : "p");
        write_percentile(i, out);
        buf_printf(out, "=%.3f", latency_us(s->histogram, total, percentiles[i]));
    }
    buf_append_cstr(out, "\r\n");
}

void info_figures_latencies(struct buf *out) {
    if (tracking) each_command(write_latency, out);
}

/* --- errors ---------------------------------------------------------------------------------- */

void info_figures_errors(struct buf *out) {
    for (size_t i = 0; i < stats_error_count(); i++) {
        struct slice code;
        uint64_t count;
        stats_error_at(i, &code, &count);
        buf_printf(out, "errorstat_%.*s:count=%llu\r\n", (int)code.len, code.ptr, (unsigned long long)count);
    }
}

/* --- stats ----------------------------------------------------------------------------------- */

static void add_ticks(const struct command *command, uint64_t *ticks) {
    const struct command_stats *s = catalog_stats(command);
    if (s) *ticks += s->ticks;
}

/* A container's calls are its subcommands', so that nothing is counted twice. */
static unsigned long long command_microseconds(void) {
    uint64_t ticks = 0;
    for (size_t i = 0; i < catalog_count(); i++) {
        const struct command *command = catalog_at(i);
        add_ticks(command, &ticks);
        for (const struct command *sub = command->subcommands; sub && sub->name; sub++)
            add_ticks(sub, &ticks);
    }
    return microseconds(ticks);
}

static void write_count(struct buf *out, const char *name, uint64_t value) {
    buf_append_cstr(out, name);
    buf_append(out, ":", 1);
    buf_append_i64(out, (int64_t)value);
    buf_append(out, "\r\n", 2);
}

/* Figures of what is not built yet, each with its value of a server that does not use it. */
static void write_zeros(struct buf *out, const char *const *names) {
    for (; *names; names++)
        buf_printf(out, "%s:0\r\n", *names);
}

static void write_traffic(struct buf *out) {
    static const char *const replication[] = {"total_net_repl_input_bytes", "total_net_repl_output_bytes", NULL};
    static const char *const syncs[] = {"sync_full", "sync_partial_ok", "sync_partial_err", NULL};
    write_count(out, "total_connections_received", stats.connections_received);
    write_count(out, "total_commands_processed", stats.commands);
    write_count(out, "instantaneous_ops_per_sec", stats_rate(STATS_COMMANDS));
    write_count(out, "total_net_input_bytes", conn_metrics.bytes_in);
    write_count(out, "total_net_output_bytes", conn_metrics.bytes_out);
    write_zeros(out, replication);
    buf_printf(out,
               "instantaneous_input_kbps:%.2f\r\ninstantaneous_output_kbps:%.2f\r\n"
               "instantaneous_input_repl_kbps:0.00\r\ninstantaneous_output_repl_kbps:0.00\r\n",
               (double)stats_rate(STATS_BYTES_IN) / 1024, (double)stats_rate(STATS_BYTES_OUT) / 1024);
    write_count(out, "rejected_connections", stats.connections_rejected);
    write_zeros(out, syncs);
}

static void write_keys(struct buf *out) {
    static const char *const eviction[] = {
        "evicted_keys", "evicted_clients", "total_eviction_exceeded_time", "current_eviction_exceeded_time", NULL,
    };
    static const char *const others[] = {
        "slave_expires_tracked_keys", "active_defrag_hits",
        "active_defrag_misses",       "active_defrag_key_hits",
        "active_defrag_key_misses",   "total_active_defrag_time",
        "current_active_defrag_time", NULL,
    };
    write_count(out, "expired_keys", db_metrics.expired);
    buf_printf(out, "expired_stale_perc:%.2f\r\n", (double)db_metrics.expired_stale_permille / 10);
    write_count(out, "expired_time_cap_reached_count", expire_metrics.capped);
    write_count(out, "expire_cycle_cpu_milliseconds", clock_ticks_to_ns(expire_metrics.ticks) / 1000000);
    write_zeros(out, eviction);
    write_count(out, "keyspace_hits", db_metrics.hits);
    write_count(out, "keyspace_misses", db_metrics.misses);
    write_count(out, "pubsub_channels", pubsub_topics(PUBSUB_CHANNEL));
    write_count(out, "pubsub_patterns", pubsub_topics(PUBSUB_PATTERN));
    write_count(out, "pubsubshard_channels", pubsub_topics(PUBSUB_SHARD));
    write_count(out, "latest_fork_usec", (uint64_t)child_metrics.fork_us);
    write_count(out, "total_forks", child_metrics.forks);
    write_count(out, "migrate_cached_sockets", links_count());
    write_zeros(out, others);
    write_count(out, "tracking_total_keys", tracking_keys());
    write_count(out, "tracking_total_items", tracking_items());
    write_count(out, "tracking_total_prefixes", broadcast_prefixes());
    write_count(out, "unexpected_error_replies", 0);
}

void info_figures_stats(struct buf *out) {
    static const char *const threads[] = {
        "io_threaded_reads_processed",
        "io_threaded_writes_processed",
        "reply_buffer_shrinks",
        "reply_buffer_expands",
        NULL,
    };
    static const char *const access[] = {
        "acl_access_denied_auth", "acl_access_denied_cmd", "acl_access_denied_key", "acl_access_denied_channel", NULL,
    };
    write_traffic(out);
    write_keys(out);
    write_count(out, "total_error_replies", stats.errors);
    write_count(out, "dump_payload_sanitizations", 0);
    write_count(out, "total_reads_processed", conn_metrics.reads);
    write_count(out, "total_writes_processed", conn_metrics.writes);
    write_zeros(out, threads);
    write_count(out, "client_query_buffer_limit_disconnections", stats.query_limit_disconnects);
    write_count(out, "client_output_buffer_limit_disconnections", stats.output_limit_disconnects);
    write_count(out, "eventloop_cycles", stats.turns);
    write_count(out, "eventloop_duration_sum", clock_ticks_to_ns(stats.turn_ticks) / 1000);
    write_count(out, "eventloop_duration_cmd_sum", command_microseconds());
    uint64_t turns = stats_rate(STATS_TURNS), ticks = stats_rate(STATS_TURN_TICKS);
    write_count(out, "instantaneous_eventloop_cycles_per_sec", turns);
    write_count(out, "instantaneous_eventloop_duration_usec", turns ? clock_ticks_to_ns(ticks / turns) / 1000 : 0);
    write_zeros(out, access);
}

const struct module info_figures_module = {.options = info_rows};
