/* See info_memory.h. The kernel's and the allocator's figures take longer to get than all of INFO: they are read at
 * most once in SAMPLE_MS, as Redis reads them in its cron. */
#include "admin/info_memory.h"
#include "aof/aof_write.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/num.h"
#include "base/report.h"
#include "conf/config.h"
#include "conf/directive.h"
#include "ds/wheel.h"
#include "exec/memory.h"
#include "publish/pubsub.h"
#include "session/client.h"
#include "store/db.h"
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define SAMPLE_MS 100

static size_t startup_bytes;  /* memory in use before there was any data */
static size_t startup_arenas; /* of these, the arenas of connections */

static struct {
    int64_t taken_ms; /* monotonic; 0: never */
    size_t resident;  /* bytes of this process */
    struct alloc_metrics heap;
} sample;

void info_memory_start(void) {
    startup_bytes = alloc_used();
    startup_arenas = conn_arena_bytes();
}

/* --- Samples --------------------------------------------------------------------------------- */

/* The second field of statm, in pages. */
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

static void take_sample(void) {
    int64_t now_ms = clock_mono_us() / 1000;
    if (sample.taken_ms && now_ms - sample.taken_ms < SAMPLE_MS) return;
    sample.taken_ms = now_ms;
    sample.resident = resident_bytes();
    alloc_read_metrics(&sample.heap);
}

static size_t system_bytes(void) {
    static size_t bytes; /* does not change */
    if (bytes == 0) bytes = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
    return bytes;
}

static size_t clients_bytes(void) {
    return client_count() * alloc_class(sizeof(struct client)) + conn_metrics.input_bytes + conn_metrics.output_bytes;
}

/* Memory that is neither a key nor a value: tables, wheels, clients, scripts, and what was in use at the start. */
static size_t overhead_bytes(const struct info_memory *m) {
    const struct repl_info_memory *repl = &m->repl;
    size_t total = startup_bytes - startup_arenas + conn_arena_bytes(); /* arenas come and go */
    total += m->clients + pubsub_memory() + m->log + repl->backlog + repl->of_feeds;
    total += m->scripts.bytes + m->scripts.lua_bytes + m->functions.bytes + m->functions.lua_bytes;
    for (int i = 0; i < db_count(); i++) {
        const struct db *db = db_at(i);
        total += table_memory(&db->keys);
        if (db->wheel) total += wheel_memory(db->wheel);
    }
    return total;
}

void info_memory_read(struct info_memory *out, size_t own) {
    take_sample();
    alloc_sample_peak();
    *out = (struct info_memory){
        .used = alloc_used() - own,
        .peak = alloc_peak(),
        .startup = startup_bytes,
        .uncounted = memory_status().uncounted,
        .clients = clients_bytes(),
        .log = aof_write_metrics().memory,
        .repl = repl_info_memory(),
        .scripts = cache_metrics(),
        .functions = functions_metrics(),
        .resident = sample.resident,
        .heap = sample.heap,
    };
    out->overhead = overhead_bytes(out);
    out->data = out->used > out->overhead ? out->used - out->overhead : 0;
}

/* --- Lines ----------------------------------------------------------------------------------- */

/* "name_human:1.50K" */
static void write_human(struct buf *out, const char *name, size_t bytes) {
    buf_append_cstr(out, name);
    buf_append_cstr(out, "_human:");
    out->len += (size_t)num_print_memory(buf_reserve(out, NUM_I64_MAX), bytes);
    buf_append(out, "\r\n", 2);
}

/* The same behind "name:1536". */
static void write_bytes(struct buf *out, const char *name, size_t bytes) {
    report_int(out, name, (int64_t)bytes);
    write_human(out, name, bytes);
}

/* How much larger `more` is than `less`, as a ratio and in bytes. */
static void write_excess(struct buf *out, const char *ratio, const char *bytes, size_t more, size_t less) {
    report_ratio(out, ratio, (double)more, (double)less, "");
    report_int(out, bytes, (int64_t)more - (int64_t)less);
}

static void write_used(struct buf *out, const struct info_memory *m) {
    size_t grown = m->used > m->startup ? m->used - m->startup : 0;
    write_bytes(out, "used_memory", m->used);
    write_bytes(out, "used_memory_rss", m->resident);
    write_bytes(out, "used_memory_peak", m->peak);
    report_ratio(out, "used_memory_peak_perc", (double)m->used * 100, (double)m->peak, "%");
    report_int(out, "used_memory_overhead", (int64_t)m->overhead);
    report_int(out, "used_memory_startup", (int64_t)m->startup);
    report_int(out, "used_memory_dataset", (int64_t)m->data);
    report_ratio(out, "used_memory_dataset_perc", (double)m->data * 100, (double)grown, "%");
}

static void write_scripts(struct buf *out, const struct info_memory *m) {
    const struct cache_metrics *scripts = &m->scripts;
    const struct functions_metrics *functions = &m->functions;
    report_int(out, "used_memory_lua", (int64_t)scripts->lua_bytes);
    report_int(out, "used_memory_vm_eval", (int64_t)scripts->lua_bytes);
    write_human(out, "used_memory_lua", scripts->lua_bytes);
    report_int(out, "used_memory_scripts_eval", (int64_t)scripts->bytes);
    report_int(out, "number_of_cached_scripts", (int64_t)scripts->scripts);
    report_int(out, "number_of_functions", (int64_t)functions->functions);
    report_int(out, "number_of_libraries", (int64_t)functions->libraries);
    report_int(out, "used_memory_vm_functions", (int64_t)functions->lua_bytes);
    write_bytes(out, "used_memory_vm_total", scripts->lua_bytes + functions->lua_bytes);
    report_int(out, "used_memory_functions", (int64_t)functions->bytes);
    write_bytes(out, "used_memory_scripts", scripts->bytes + functions->bytes);
}

static void write_limit(struct buf *out) {
    static const struct option *policy;
    if (!policy) policy = config_find(SLICE("maxmemory-policy"));
    write_bytes(out, "maxmemory", (size_t)memory_options.limit);
    buf_append_cstr(out, "maxmemory_policy:");
    directive_print(policy, out);
    buf_append(out, "\r\n", 2);
}

static void write_waste(struct buf *out, const struct info_memory *m) {
    const struct alloc_metrics *heap = &m->heap;
    write_excess(out, "allocator_frag_ratio", "allocator_frag_bytes", heap->active, heap->allocated);
    write_excess(out, "allocator_rss_ratio", "allocator_rss_bytes", heap->resident, heap->active);
    write_excess(out, "rss_overhead_ratio", "rss_overhead_bytes", m->resident, heap->resident);
    write_excess(out, "mem_fragmentation_ratio", "mem_fragmentation_bytes", m->resident, m->used);
}

void info_memory_write(struct buf *out) {
    struct info_memory m;
    info_memory_read(&m, alloc_class(out->cap));
    write_used(out, &m);
    report_int(out, "allocator_allocated", (int64_t)m.heap.allocated);
    report_int(out, "allocator_active", (int64_t)m.heap.active);
    report_int(out, "allocator_resident", (int64_t)m.heap.resident);
    write_bytes(out, "total_system_memory", system_bytes());
    write_scripts(out, &m);
    write_limit(out);
    write_waste(out, &m);
    report_int(out, "mem_not_counted_for_evict", (int64_t)m.uncounted);
    report_int(out, "mem_replication_backlog", (int64_t)m.repl.backlog);
    report_int(out, "mem_total_replication_buffers", (int64_t)m.repl.buffers);
    report_int(out, "mem_clients_slaves", (int64_t)m.repl.of_feeds);
    report_int(out, "mem_clients_normal", (int64_t)m.clients);
    report_int(out, "mem_cluster_links", 0);
    report_int(out, "mem_aof_buffer", (int64_t)m.log);
    report_text(out, "mem_allocator", alloc_library());
    report_int(out, "active_defrag_running", 0);
    report_int(out, "lazyfree_pending_objects", (int64_t)entry_lazyfree_pending());
    report_int(out, "lazyfreed_objects", (int64_t)entry_lazyfreed());
}
