/* See info.h. INFO is asked every second by monitoring, so its numbers are written by report_*() instead of printf, and
 * texts that never change are written once. */
#include "admin/info.h"
#include "admin/info_counters.h"
#include "admin/info_memory.h"
#include "base/clock.h"
#include "base/module.h"
#include "base/rand.h"
#include "base/report.h"
#include "base/version.h"
#include "conf/config.h"
#include "durable/durability.h"
#include "exec/block.h"
#include "process/cron.h"
#include "process/listen.h"
#include "process/process.h"
#include "process/shutdown.h"
#include "publish/tracking.h"
#include "repl/repl_info.h"
#include "session/client.h"
#include "session/limits.h"
#include "session/server_metrics.h"
#include "store/db.h"
#include "store/expire.h"
#include <assert.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#define TEXT_MAX 8192 /* usual bytes of the whole text */

/* 40 hex digits that name this run of the server. */
static const char *this_run(void) {
    static char id[41];
    if (!id[0]) rand_hex(id, 40);
    return id;
}

static void info_start(void) {
    info_memory_start();
    this_run();
}

/* --- server, clients ------------------------------------------------------------------------- */

static void write_build(struct buf *out) {
    struct utsname os = {0};
    uname(&os);
    buf_printf(out,
               "redis_version:%s\r\nserver_name:kura\r\nkura_version:%s\r\nredis_git_sha1:00000000\r\n"
               "redis_git_dirty:0\r\nredis_build_id:0\r\nredis_mode:standalone\r\nos:%s %s %s\r\narch_bits:%zu\r\n",
               VERSION_REDIS, VERSION_KURA, os.sysname, os.release, os.machine, sizeof(void *) * 8);
    buf_printf(out,
               "monotonic_clock:%s\r\nmultiplexing_api:epoll\r\natomicvar_api:c11-builtin\r\n"
               "gcc_version:%d.%d.%d\r\nprocess_id:%d\r\nprocess_supervised:%s\r\nrun_id:%s\r\n",
#if defined(__x86_64__)
               "X86 TSC",
#else
               "POSIX clock_gettime",
#endif
               __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__, (int)getpid(), process_supervisor(), this_run());
}

static void write_listeners(struct buf *out) {
    int n = 0;
    if (listen_port()) {
        buf_printf(out, "listener%d:name=tcp", n++);
        for (size_t i = 0; i < listen_address_count(); i++) {
            buf_append_cstr(out, ",bind=");
            buf_append_cstr(out, listen_address(i));
        }
        buf_append_cstr(out, ",port=");
        buf_append_i64(out, listen_port());
        buf_append(out, "\r\n", 2);
    }
    if (listen_unix_path()[0]) buf_printf(out, "listener%d:name=unix,bind=%s\r\n", n, listen_unix_path());
}

static void write_server(struct buf *out) {
    static struct buf build; /* never changes */
    if (build.len == 0) write_build(&build);
    int64_t now_us = clock_wall_us(), now_ms = clock_steady_ms();
    int64_t uptime_s = (now_ms - server_metrics.started_ms) / 1000;
    buf_append_slice(out, buf_slice(&build));
    report_int(out, "tcp_port", listen_port());
    report_int(out, "server_time_usec", now_us);
    report_int(out, "uptime_in_seconds", uptime_s);
    report_int(out, "uptime_in_days", uptime_s / 86400);
    report_int(out, "hz", cron_hz());
    report_int(out, "configured_hz", cron_hz());
    report_int(out, "lru_clock", now_ms / 1000 & 0xffffff);
    report_text(out, "executable", process_executable());
    report_text(out, "config_file", config_path());
    report_int(out, "io_threads_active", 0);
    if (shutdown_left_ms() >= 0) report_int(out, "shutdown_in_milliseconds", shutdown_left_ms());
    write_listeners(out);
}

static void write_clients(struct buf *out) {
    struct server_peaks peaks = server_metrics_peaks();
    report_int(out, "connected_clients", (int64_t)(client_count() - repl_info_connections()));
    report_int(out, "cluster_connections", 0);
    report_int(out, "maxclients", limits_options.max_clients);
    report_int(out, "client_recent_max_input_buffer", (int64_t)peaks.input);
    report_int(out, "client_recent_max_output_buffer", (int64_t)peaks.output);
    report_int(out, "blocked_clients", (int64_t)(block_metrics.clients + block_metrics.postponed));
    report_int(out, "tracking_clients", (int64_t)tracking_metrics.clients);
    report_int(out, "clients_in_timeout_table", (int64_t)block_metrics.deadlines);
    report_int(out, "total_blocking_keys", (int64_t)block_metrics.keys);
    report_int(out, "total_blocking_keys_on_nokey", (int64_t)block_metrics.keys_gone);
}

/* --- cpu, modules, cluster, keyspace --------------------------------------------------------- */

static uint64_t microseconds(struct timeval time) {
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec;
}

static void write_usage(struct buf *out, int whose, const char *system, const char *user) {
    struct rusage use = {0};
    getrusage(whose, &use);
    report_fixed(out, system, microseconds(use.ru_stime), 6, "");
    report_fixed(out, user, microseconds(use.ru_utime), 6, "");
}

static void write_cpu(struct buf *out) {
    write_usage(out, RUSAGE_SELF, "used_cpu_sys", "used_cpu_user");
    write_usage(out, RUSAGE_CHILDREN, "used_cpu_sys_children", "used_cpu_user_children");
    write_usage(out, RUSAGE_THREAD, "used_cpu_sys_main_thread", "used_cpu_user_main_thread");
}

static void write_modules(struct buf *out) {
    (void)out;
}

static void write_cluster(struct buf *out) {
    report_int(out, "cluster_enabled", 0);
}

static void write_keyspace(struct buf *out) {
    for (int i = 0; i < db_count(); i++) {
        struct db *db = db_at(i);
        if (db_size(db) == 0) continue;
        buf_printf(out, "db%d:keys=%zu,expires=%zu,avg_ttl=%lld\r\n", i, db_size(db), db->expiring,
                   (long long)(db->expiring ? expire_mean_ttl_ms(db) : 0));
    }
}

/* --- The sections ---------------------------------------------------------------------------- */

struct info_section {
    const char *title;              /* "Server"; requests name it in any case */
    const char *name;               /* the same in lower case */
    bool by_default;                /* part of INFO without arguments */
    void (*write)(struct buf *out); /* the lines */
};

static const struct info_section sections[] = {
    {"Server", "server", true, write_server},
    {"Clients", "clients", true, write_clients},
    {"Memory", "memory", true, info_memory_write},
    {"Persistence", "persistence", true, durability_write_info},
    {"Stats", "stats", true, info_counters_stats},
    {"Replication", "replication", true, repl_info_write},
    {"CPU", "cpu", true, write_cpu},
    {"Modules", "modules", true, write_modules},
    {"Commandstats", "commandstats", false, info_counters_commands},
    {"Errorstats", "errorstats", true, info_counters_errors},
    {"Latencystats", "latencystats", false, info_counters_latencies},
    {"Cluster", "cluster", true, write_cluster},
    {"Keyspace", "keyspace", true, write_keyspace},
};

static bool is_wanted(const struct info_section *section, const struct slice *names, int count) {
    if (count == 0) return section->by_default;
    for (int i = 0; i < count; i++) {
        if (slice_is(names[i], section->name)) return true;
        if (slice_is(names[i], "all") || slice_is(names[i], "everything")) return true;
        if (slice_is(names[i], "default") && section->by_default) return true;
    }
    return false;
}

void info_write(const struct slice *names, int count, struct buf *out) {
    size_t start = out->len;
    buf_reserve(out, TEXT_MAX);
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        if (!is_wanted(&sections[i], names, count)) continue;
        buf_append_cstr(out, out->len > start ? "\r\n# " : "# ");
        buf_append_cstr(out, sections[i].title);
        buf_append(out, "\r\n", 2);
        sections[i].write(out);
    }
}

const struct module info_module = {.start = info_start};
