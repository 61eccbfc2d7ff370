#include "admin/info.h"
#include "admin/info_figures.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/module.h"
#include "base/num.h"
#include "base/rand.h"
#include "base/version.h"
#include "base/worker.h"
#include "conf/config.h"
#include "conf/directive.h"
#include "ds/wheel.h"
#include "durable/durability.h"
#include "durable/snapshot.h"
#include "exec/block.h"
#include "process/cron.h"
#include "process/listen.h"
#include "process/process.h"
#include "publish/pubsub.h"
#include "publish/tracking.h"
#include "session/client.h"
#include "session/limits.h"
#include "session/stats.h"
#include "store/db.h"
#include "store/expire.h"
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

static struct {
    char run_id[41];
    size_t startup_bytes; /* memory in use before there was any data */
} self;

const char *info_run_id(void) {
    if (!self.run_id[0]) rand_hex(self.run_id, 40);
    return self.run_id;
}

/* When all modules are up: from here on memory in use counts as data. */
static void info_start(void) {
    self.startup_bytes = alloc_used();
    info_run_id();
}

/* --- server, clients ------------------------------------------------------------------------- */

static void write_listeners(struct buf *out) {
    int n = 0;
    if (listen_port()) {
        buf_printf(out, "listener%d:name=tcp", n++);
        for (size_t i = 0; i < listen_address_count(); i++)
            buf_printf(out, ",bind=%s", listen_address(i));
        buf_printf(out, ",port=%d\r\n", listen_port());
    }
    if (listen_unix_path()[0]) buf_printf(out, "listener%d:name=unix,bind=%s\r\n", n, listen_unix_path());
}

static void write_server(struct buf *out) {
    struct utsname os = {0};
    uname(&os);
    int64_t now_us = clock_wall_us(), uptime_s = (now_us / 1000 - stats.started_ms) / 1000;
    buf_printf(
        out,
        "redis_version:%s\r\nserver_name:kura\r\nkura_version:%s\r\nredis_git_sha1:00000000\r\nredis_git_dirty:0\r\n"
        "redis_build_id:0\r\nredis_mode:standalone\r\nos:%s %s %s\r\narch_bits:%zu\r\n",
        VERSION_REDIS, VERSION_KURA, os.sysname, os.release, os.machine, sizeof(void *) * 8);
    buf_printf(out,
               "monotonic_clock:%s\r\nmultiplexing_api:epoll\r\natomicvar_api:c11-builtin\r\ngcc_version:%d.%d.%d\r\n"
               "process_id:%d\r\nprocess_supervised:no\r\nrun_id:%s\r\ntcp_port:%d\r\nserver_time_usec:%lld\r\n",
#if defined(__x86_64__)
               "X86 TSC",
#else
               "POSIX clock_gettime",
#endif
               __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__, (int)getpid(), info_run_id(), listen_port(),
               (long long)now_us);
    buf_printf(out,
               "uptime_in_seconds:%lld\r\nuptime_in_days:%lld\r\nhz:%d\r\nconfigured_hz:%d\r\nlru_clock:%lld\r\n"
               "executable:%s\r\nconfig_file:%s\r\nio_threads_active:0\r\n",
               (long long)uptime_s, (long long)(uptime_s / 86400), cron_hz(), cron_hz(),
               (long long)(now_us / 1000000 & 0xffffff), process_executable(), config_path());
    write_listeners(out);
}

static void write_clients(struct buf *out) {
    buf_printf(
        out,
        "connected_clients:%zu\r\ncluster_connections:0\r\nmaxclients:%lld\r\nclient_recent_max_input_buffer:0\r\n"
        "client_recent_max_output_buffer:0\r\nblocked_clients:%zu\r\ntracking_clients:%zu\r\n"
        "clients_in_timeout_table:%zu\r\ntotal_blocking_keys:%zu\r\ntotal_blocking_keys_on_nokey:0\r\n",
        client_count(), (long long)limits_options.max_clients, block_metrics.clients + block_metrics.postponed,
        tracking_metrics.clients, block_metrics.deadlines, block_metrics.keys);
}

/* --- memory ---------------------------------------------------------------------------------- */

/* Resident bytes of this process: the second field of statm, in pages. */
static size_t resident_bytes(void) {
    char text[128];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) return 0;
    text[n] = '\0';
    char *resident;
    strtoull(text, &resident, 10);
    return (size_t)strtoull(resident, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}

static void write_bytes(struct buf *out, const char *name, size_t bytes) {
    buf_printf(out, "%s:%zu\r\n", name, bytes);
}

/* "name:123\r\nname_human:123B\r\n" */
static void write_bytes_human(struct buf *out, const char *name, size_t bytes) {
    char human[64];
    int len = num_print_memory(human, bytes);
    buf_printf(out, "%s:%zu\r\n%s_human:%.*s\r\n", name, bytes, name, len, human);
}

/* "name_ratio:1.08\r\nname_bytes:12\r\n" for what takes `more` bytes where `less` would do. */
static void write_excess(struct buf *out, const char *ratio, const char *bytes, size_t more, size_t less) {
    buf_printf(out, "%s:%.2f\r\n%s:%lld\r\n", ratio, less ? (double)more / (double)less : 0.0, bytes,
               (long long)more - (long long)less);
}

static double percent(size_t part, size_t whole) {
    return whole ? (double)part * 100 / (double)whole : 0;
}

static size_t clients_bytes(void) {
    return client_count() * alloc_class(sizeof(struct client)) + conn_metrics.input_bytes + conn_metrics.output_bytes;
}

/* What is in use without being a key or a value: tables, wheels, clients, and what was there at start. */
static size_t overhead_bytes(void) {
    size_t total = self.startup_bytes + clients_bytes() + conn_arena_bytes() + pubsub_memory();
    for (int i = 0; i < db_count(); i++) {
        const struct db *db = db_at(i);
        total += table_memory(&db->keys);
        if (db->wheel) total += wheel_memory(db->wheel);
    }
    return total;
}

static void write_memory_used(struct buf *out, size_t used, size_t rss) {
    size_t peak = alloc_peak(), overhead = overhead_bytes(), startup = self.startup_bytes;
    size_t data = used > overhead ? used - overhead : 0;
    write_bytes_human(out, "used_memory", used);
    write_bytes_human(out, "used_memory_rss", rss);
    write_bytes_human(out, "used_memory_peak", peak);
    buf_printf(out, "used_memory_peak_perc:%.2f%%\r\n", percent(used, peak));
    write_bytes(out, "used_memory_overhead", overhead);
    write_bytes(out, "used_memory_startup", startup);
    write_bytes(out, "used_memory_dataset", data);
    buf_printf(out, "used_memory_dataset_perc:%.2f%%\r\n", used > startup ? percent(data, used - startup) : 0);
}

static void write_memory_scripts(struct buf *out) {
    buf_append_cstr(out, "used_memory_lua:0\r\nused_memory_vm_eval:0\r\nused_memory_lua_human:0B\r\n"
                         "used_memory_scripts_eval:0\r\nnumber_of_cached_scripts:0\r\nnumber_of_functions:0\r\n"
                         "number_of_libraries:0\r\nused_memory_vm_functions:0\r\nused_memory_vm_total:0\r\n"
                         "used_memory_vm_total_human:0B\r\nused_memory_functions:0\r\nused_memory_scripts:0\r\n"
                         "used_memory_scripts_human:0B\r\n");
}

/* What maxmemory and its policy are set to; the module that obeys them is still to come. */
static void write_limits(struct buf *out) {
    struct buf text = {0};
    uint64_t bytes = 0;
    directive_print(config_find(SLICE("maxmemory")), &text);
    num_parse_u64(buf_slice(&text), &bytes);
    buf_free(&text);
    write_bytes_human(out, "maxmemory", bytes);
    buf_append_cstr(out, "maxmemory_policy:");
    directive_print(config_find(SLICE("maxmemory-policy")), out);
    buf_append_cstr(out, "\r\n");
}

static void write_memory(struct buf *out) {
    struct alloc_stats heap;
    alloc_sample_peak();
    alloc_read_stats(&heap);
    size_t used = alloc_used(), rss = resident_bytes();
    write_memory_used(out, used, rss);
    write_bytes(out, "allocator_allocated", heap.allocated);
    write_bytes(out, "allocator_active", heap.active);
    write_bytes(out, "allocator_resident", heap.resident);
    write_bytes_human(out, "total_system_memory", (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE));
    write_memory_scripts(out);
    write_limits(out);
    write_excess(out, "allocator_frag_ratio", "allocator_frag_bytes", heap.active, heap.allocated);
    write_excess(out, "allocator_rss_ratio", "allocator_rss_bytes", heap.resident, heap.active);
    write_excess(out, "rss_overhead_ratio", "rss_overhead_bytes", rss, heap.resident);
    write_excess(out, "mem_fragmentation_ratio", "mem_fragmentation_bytes", rss, used);
    buf_printf(
        out,
        "mem_not_counted_for_evict:0\r\nmem_replication_backlog:0\r\nmem_total_replication_buffers:0\r\n"
        "mem_clients_slaves:0\r\nmem_clients_normal:%zu\r\nmem_cluster_links:0\r\nmem_aof_buffer:0\r\n"
        "mem_allocator:%s\r\nactive_defrag_running:0\r\nlazyfree_pending_objects:%zu\r\nlazyfreed_objects:%llu\r\n",
        clients_bytes(), alloc_library(), worker_pending(), (unsigned long long)entry_lazyfreed);
}

/* --- replication: until its module brings its own ---------------------------------------------- */

static void write_replication(struct buf *out) {
    buf_printf(out,
               "role:master\r\nconnected_slaves:0\r\nmaster_failover_state:no-failover\r\nmaster_replid:%s\r\n"
               "master_replid2:%040d\r\nmaster_repl_offset:0\r\nsecond_repl_offset:-1\r\nrepl_backlog_active:0\r\n"
               "repl_backlog_size:1048576\r\nrepl_backlog_first_byte_offset:0\r\nrepl_backlog_histlen:0\r\n",
               info_run_id(), 0);
}

/* --- cpu, modules, cluster, keyspace --------------------------------------------------------- */

static void write_usage(struct buf *out, int who, const char *suffix) {
    struct rusage use = {0};
    getrusage(who, &use);
    buf_printf(out, "used_cpu_sys%s:%lld.%06lld\r\nused_cpu_user%s:%lld.%06lld\r\n", suffix,
               (long long)use.ru_stime.tv_sec, (long long)use.ru_stime.tv_usec, suffix, (long long)use.ru_utime.tv_sec,
               (long long)use.ru_utime.tv_usec);
}

static void write_cpu(struct buf *out) {
    write_usage(out, RUSAGE_SELF, "");
    write_usage(out, RUSAGE_CHILDREN, "_children");
    write_usage(out, RUSAGE_THREAD, "_main_thread");
}

static void write_modules(struct buf *out) {
    (void)out;
}

static void write_cluster(struct buf *out) {
    buf_append_cstr(out, "cluster_enabled:0\r\n");
}

static void write_keyspace(struct buf *out) {
    for (int i = 0; i < db_count(); i++) {
        struct db *db = db_at(i);
        if (db_size(db) == 0) continue;
        buf_printf(out, "db%d:keys=%zu,expires=%zu,avg_ttl=%lld\r\n", i, db_size(db), db->expiring,
                   (long long)(db->expiring ? expire_mean_ttl_ms(db) : 0));
    }
}

/* --- the sections ---------------------------------------------------------------------------- */

struct info_section {
    const char *title;              /* "Server"; requests name it in any case */
    bool by_default;                /* part of INFO without arguments */
    void (*write)(struct buf *out); /* the lines, each with CR LF */
};

static const struct info_section sections[] = {
    {"Server", true, write_server},
    {"Clients", true, write_clients},
    {"Memory", true, write_memory},
    {"Persistence", true, durability_write_info},
    {"Stats", true, info_figures_stats},
    {"Replication", true, write_replication},
    {"CPU", true, write_cpu},
    {"Modules", true, write_modules},
    {"Commandstats", false, info_figures_commands},
    {"Errorstats", true, info_figures_errors},
    {"Latencystats", false, info_figures_latencies},
    {"Cluster", true, write_cluster},
    {"Keyspace", true, write_keyspace},
};

static bool title_is(const char *title, struct slice name) {
    char lower[32];
    size_t len = strlen(title);
    assert(len < sizeof lower);
    for (size_t i = 0; i <= len; i++)
        lower[i] = (char)(title[i] >= 'A' && title[i] <= 'Z' ? title[i] | 0x20 : title[i]);
    return slice_is(name, lower);
}

static bool section_wanted(const struct info_section *section, const struct slice *names, int count) {
    if (count == 0) return section->by_default;
    for (int i = 0; i < count; i++) {
        if (slice_is(names[i], "all") || slice_is(names[i], "everything")) return true;
        if (slice_is(names[i], "default") && section->by_default) return true;
        if (title_is(section->title, names[i])) return true;
    }
    return false;
}

void info_write(const struct slice *names, int count, struct buf *out) {
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        if (!section_wanted(&sections[i], names, count)) continue;
        buf_printf(out, "%s# %s\r\n", out->len ? "\r\n" : "", sections[i].title);
        sections[i].write(out);
    }
}

const struct module info_module = {.start = info_start};
