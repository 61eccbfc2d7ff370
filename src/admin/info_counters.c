/* See info_counters.h. A counter belongs to the module that counts; here it gets its name. */
#include "admin/info_counters.h"
#include "base/clock.h"
#include "base/module.h"
#include "base/num.h"
#include "base/option.h"
#include "base/report.h"
#include "catalog/catalog.h"
#include "disk/child.h"
#include "exec/memory.h"
#include "net/conn.h"
#include "net/links.h"
#include "publish/broadcast.h"
#include "publish/pubsub.h"
#include "publish/tracking.h"
#include "repl/feed.h"
#include "repl/link.h"
#include "script/cache.h"
#include "session/server_metrics.h"
#include "store/db.h"
#include "store/expire.h"

/* --- Options --------------------------------------------------------------------------------- */

#define PERCENTILES_MAX 16

static bool latency_tracking;
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

static void print_percentile(int i, struct buf *out) {
    char text[NUM_F64_MAX];
    buf_append(out, text, (size_t)num_print_f64(text, percentiles[i]));
}

static void print_percentiles(struct buf *out) {
    for (int i = 0; i < percentile_count; i++) {
        if (i) buf_append(out, " ", 1);
        print_percentile(i, out);
    }
}

static const struct option info_counters_rows[] = {
    {"latency-tracking", .type = OPTION_BOOL, .address = &latency_tracking, .initial = "yes"},
    {"latency-tracking-info-percentiles", .type = OPTION_CUSTOM, .flags = OPTION_MULTI, .initial = "50 99 99.9",
     .set = set_percentiles, .get = print_percentiles},
    {NULL},
};

/* --- commandstats, latencystats -------------------------------------------------------------- */

static void each_command(void (*write)(const char *name, const struct command_metrics *s, struct buf *out),
                         struct buf *out) {
    for (size_t i = 0; i < catalog_count(); i++) {
        const struct command *command = catalog_at(i);
        write(catalog_full_name(command), catalog_metrics(command), out);
        for (const struct command *sub = command->subcommands; sub && sub->name; sub++)
            write(catalog_full_name(sub), catalog_metrics(sub), out);
    }
}

static void put_int(struct buf *out, const char *name, uint64_t value) {
    buf_append_cstr(out, name);
    buf_append_i64(out, (int64_t)value);
}

static void put_fixed(struct buf *out, uint64_t value, int decimals) {
    out->len += (size_t)num_print_fixed(buf_reserve(out, 2 * NUM_I64_MAX), value, decimals);
}

static void write_calls(const char *name, const struct command_metrics *s, struct buf *out) {
    if (!(s->calls | s->rejected | s->failed)) return;
    uint64_t ns = clock_ticks_to_ns(s->ticks);
    buf_append_cstr(out, "cmdstat_");
    buf_append_cstr(out, name);
    put_int(out, ":calls=", s->calls);
    put_int(out, ",usec=", ns / 1000);
    buf_append_cstr(out, ",usec_per_call=");
    put_fixed(out, s->calls ? (ns / s->calls + 5) / 10 : 0, 2);
    put_int(out, ",rejected_calls=", s->rejected);
    put_int(out, ",failed_calls=", s->failed);
    buf_append(out, "\r\n", 2);
}

void info_counters_commands(struct buf *out) {
    each_command(write_calls, out);
}

static void write_latencies(const char *name, const struct command_metrics *s, struct buf *out) {
    if (!s->calls) return;
    buf_append_cstr(out, "latency_percentiles_usec_");
    buf_append_cstr(out, name);
    buf_append(out, ":", 1);
    for (int i = 0; i < percentile_count; i++) {
        buf_append_cstr(out, i ? ",p" : "p");
        print_percentile(i, out);
        buf_append(out, "=", 1);
        put_fixed(out, clock_ticks_to_ns(command_metrics_percentile(s, percentiles[i])), 3);
    }
    buf_append(out, "\r\n", 2);
}

void info_counters_latencies(struct buf *out) {
    if (latency_tracking) each_command(write_latencies, out);
}

/* --- errorstats ------------------------------------------------------------------------------ */

void info_counters_errors(struct buf *out) {
    for (size_t i = 0; i < server_metrics_error_codes(); i++) {
        struct slice code;
        uint64_t count;
        server_metrics_error_at(i, &code, &count);
        buf_append_cstr(out, "errorstat_");
        buf_append_slice(out, code);
        put_int(out, ":count=", count);
        buf_append(out, "\r\n", 2);
    }
}

/* --- stats ----------------------------------------------------------------------------------- */

static void write_kbps(struct buf *out, const char *name, uint64_t bytes_a_second) {
    report_ratio(out, name, (double)bytes_a_second, 1024, "");
}

static void write_traffic(struct buf *out) {
    report_int(out, "total_connections_received", (int64_t)server_metrics.connections_received);
    report_int(out, "total_commands_processed", (int64_t)server_metrics.commands);
    report_int(out, "instantaneous_ops_per_sec", (int64_t)server_metrics_rate(RATE_COMMANDS));
    report_int(out, "total_net_input_bytes", (int64_t)conn_metrics.bytes_in);
    report_int(out, "total_net_output_bytes", (int64_t)conn_metrics.bytes_out);
    report_int(out, "total_net_repl_input_bytes", (int64_t)link_metrics.bytes_in);
    report_int(out, "total_net_repl_output_bytes", (int64_t)feed_metrics.bytes_out);
    write_kbps(out, "instantaneous_input_kbps", server_metrics_rate(RATE_BYTES_IN));
    write_kbps(out, "instantaneous_output_kbps", server_metrics_rate(RATE_BYTES_OUT));
    write_kbps(out, "instantaneous_input_repl_kbps", server_metrics_rate(RATE_REPL_IN));
    write_kbps(out, "instantaneous_output_repl_kbps", server_metrics_rate(RATE_REPL_OUT));
    report_int(out, "rejected_connections", (int64_t)server_metrics.connections_rejected);
    report_int(out, "sync_full", (int64_t)feed_metrics.sync_full);
    report_int(out, "sync_partial_ok", (int64_t)feed_metrics.sync_partial_ok);
    report_int(out, "sync_partial_err", (int64_t)feed_metrics.sync_partial_err);
}

static void write_eviction(struct buf *out) {
    struct memory_status memory = memory_status();
    report_int(out, "evicted_keys", (int64_t)db_metrics.evicted);
    report_int(out, "evicted_clients", (int64_t)server_metrics.evicted_clients);
    report_int(out, "evicted_scripts", (int64_t)cache_metrics().evicted);
    report_int(out, "total_eviction_exceeded_time", memory.exceeded_us_in_total / 1000);
    report_int(out, "current_eviction_exceeded_time", memory.exceeded_us / 1000);
}

static void write_keys(struct buf *out) {
    report_int(out, "expired_keys", (int64_t)db_metrics.expired);
    report_fixed(out, "expired_stale_perc", (uint64_t)db_metrics.expired_stale_permille * 10, 2, "");
    report_int(out, "expired_time_cap_reached_count", (int64_t)expire_metrics.capped);
    report_int(out, "expire_cycle_cpu_milliseconds", (int64_t)(clock_ticks_to_ns(expire_metrics.ticks) / 1000000));
    write_eviction(out);
    report_int(out, "keyspace_hits", (int64_t)db_metrics.hits);
    report_int(out, "keyspace_misses", (int64_t)db_metrics.misses);
    report_int(out, "pubsub_channels", (int64_t)pubsub_topics(PUBSUB_CHANNEL));
    report_int(out, "pubsub_patterns", (int64_t)pubsub_topics(PUBSUB_PATTERN));
    report_int(out, "pubsubshard_channels", (int64_t)pubsub_topics(PUBSUB_SHARD));
    report_int(out, "latest_fork_usec", child_metrics.fork_us);
    report_int(out, "total_forks", (int64_t)child_metrics.forks);
    report_int(out, "migrate_cached_sockets", (int64_t)links_count());
    report_int(out, "slave_expires_tracked_keys", (int64_t)expire_tracked_keys());
    buf_append_cstr(out, "active_defrag_hits:0\r\nactive_defrag_misses:0\r\n"
                         "active_defrag_key_hits:0\r\nactive_defrag_key_misses:0\r\n"
                         "total_active_defrag_time:0\r\ncurrent_active_defrag_time:0\r\n");
    report_int(out, "tracking_total_keys", (int64_t)tracking_keys());
    report_int(out, "tracking_total_items", (int64_t)tracking_items());
    report_int(out, "tracking_total_prefixes", (int64_t)broadcast_prefixes());
    report_int(out, "unexpected_error_replies", (int64_t)server_metrics.unexpected_errors);
}

static void write_loop(struct buf *out) {
    uint64_t turns = server_metrics_rate(RATE_TURNS), ticks = server_metrics_rate(RATE_TURN_TICKS);
    report_int(out, "eventloop_cycles", (int64_t)server_metrics.turns);
    report_int(out, "eventloop_duration_sum", (int64_t)(clock_ticks_to_ns(server_metrics.turn_ticks) / 1000));
    report_int(out, "eventloop_duration_cmd_sum", (int64_t)(clock_ticks_to_ns(catalog_ticks()) / 1000));
    report_int(out, "instantaneous_eventloop_cycles_per_sec", (int64_t)turns);
    report_int(out, "instantaneous_eventloop_duration_usec",
               turns ? (int64_t)(clock_ticks_to_ns(ticks / turns) / 1000) : 0);
}

void info_counters_stats(struct buf *out) {
    write_traffic(out);
    write_keys(out);
    report_int(out, "total_error_replies", (int64_t)server_metrics.errors);
    report_int(out, "dump_payload_sanitizations", 0);
    report_int(out, "total_reads_processed", (int64_t)conn_metrics.reads);
    report_int(out, "total_writes_processed", (int64_t)conn_metrics.writes);
    buf_append_cstr(out, "io_threaded_reads_processed:0\r\nio_threaded_writes_processed:0\r\n"
                         "reply_buffer_shrinks:0\r\nreply_buffer_expands:0\r\n");
    report_int(out, "client_query_buffer_limit_disconnections", (int64_t)server_metrics.query_limit_disconnects);
    report_int(out, "client_output_buffer_limit_disconnections", (int64_t)server_metrics.output_limit_disconnects);
    write_loop(out);
    report_int(out, "acl_access_denied_auth", (int64_t)server_metrics.logins_failed);
    buf_append_cstr(out, "acl_access_denied_cmd:0\r\nacl_access_denied_key:0\r\nacl_access_denied_channel:0\r\n");
}

const struct module info_counters_module = {.options = info_counters_rows};
