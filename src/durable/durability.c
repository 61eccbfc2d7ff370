#include "durable/durability.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/module.h"
#include "base/option.h"
#include "durable/bgsave.h"
#include "durable/loading.h"
#include "durable/snapshot.h"
#include "exec/call.h"
#include "exec/propagate.h"
#include "exec/wave.h"
#include "persist/aof.h"
#include "persist/aof_write.h"
#include "persist/child.h"
#include "process/cron.h"
#include "process/lifecycle.h"
#include "process/process.h"
#include "session/gates.h"
#include "session/stats.h"
#include "store/evict.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SYNCED_WAVE 8 /* waves' worth of requests that share a sync */

static bool wanted;  /* appendonly */
static bool started; /* the dataset is loaded: options act at once */
static struct { char *of_rewrite, *of_bgsave; /* aof_rewrite_cpulist, bgsave_cpulist */ } cpus;

/* --- the log --------------------------------------------------------------------------------- */

static void sink(void *ctx, int db_id, const struct slice *argv, int argc, struct slice raw) {
    (void)ctx;
    aof_write_append(db_id, argv, argc, raw);
}

/* Nobody formats anything while nothing is collected. */
static void fit_sink(void) {
    static bool attached;
    bool collects = started && aof_collects();
    wave_width = collects && aof_write_options.fsync == AOF_FSYNC_ALWAYS ? SYNCED_WAVE : 1;
    if (collects == attached) return;
    attached = collects;
    propagate_attach(collects ? sink : NULL, NULL);
}

/* Probes fail too, so that health checks notice; a queued probe does not. */
static bool is_write_or_probe(const struct request *r, unsigned flags) {
    return (flags & CMD_WRITE) || (r->command->flags & CMD_PROBE);
}

static const struct gate snapshot_gate = {
    .holds = is_write_or_probe,
    .error = "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. "
             "Commands that may modify the data set are disabled, because this instance is configured to report "
             "errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check "
             "the Redis logs for details about the RDB error."};
static char aof_error[256];
static const struct gate aof_gate = {.holds = is_write_or_probe, .error = aof_error};

/* Writes are refused, with a reason, while they might not survive. */
static void fit_gate(void) {
    struct aof_write_metrics m = aof_write_metrics();
    const struct gate *gate = NULL;
    if (bgsave_stops_writes()) {
        gate = &snapshot_gate;
    } else if (aof_collects() && aof_write_failing(m)) {
        snprintf(aof_error, sizeof aof_error, "MISCONF Errors writing to the AOF file: %s",
                 strerror(m.write_errno ? m.write_errno : m.sync_errno));
        gate = &aof_gate;
    }
    gates_set(GATES_DISK, gate);
}

static void before_send(void) {
    if (!propagate_wanted || !aof_collects()) return;
    int before = aof_write_metrics().write_errno;
    aof_write_flush(false);
    if (aof_write_metrics().write_errno != before) fit_gate();
}

static void tick(void) {
    if (!started) return;
    before_send(); /* what waits for its sync */
    if (!lifecycle_is_ending()) {
        aof_tick();
        bgsave_tick();
    }
    fit_sink();
    fit_gate();
}

/* While a child lives, every page that is written to is copied: leave alone what need not be written.
 * Nothing may wait for the next tick: a rewrite begins a file that collects from the very next command on, whoever
 * asked for it, and the first write after a failed save is refused. */
static void child_comes_or_goes(bool lives) {
    table_set_resizing(!lives);
    evict_freeze(lives);
    fit_sink();
    fit_gate();
}

static void child_begins(enum child_kind kind) {
    propagate_attach(NULL, NULL);
    if (kind == CHILD_AOF)
        process_become_child("kura-aof-rewrite", cpus.of_rewrite);
    else
        process_become_child(kind == CHILD_RDB ? "kura-rdb-bgsave" : "kura-rdb-to-slaves", cpus.of_bgsave);
}

/* --- the end --------------------------------------------------------------------------------- */

static bool end_children(bool force) {
    enum child_kind child = child_running();
    if (child == CHILD_AOF && aof_status().state == AOF_WAITING) {
        log_warning(force ? "Writing initial AOF. Exit anyway." : "Writing initial AOF, can't exit.");
        if (!force) return false;
    }
    if (child == CHILD_RDB) log_warning("There is a child saving an .rdb. Killing it!");
    if (child == CHILD_AOF) log_warning("There is a child rewriting the AOF. Killing it!");
    child_kill();
    return true;
}

static bool before_end(unsigned flags) {
    bool force = flags & LIFECYCLE_FORCE;
    if (!started) return true; /* half a dataset must not replace a whole one */
    if (!end_children(force)) return false;
    aof_end();
    if (!(flags & LIFECYCLE_SAVE) && ((flags & LIFECYCLE_NOSAVE) || !bgsave_has_points())) return true;
    log_notice("Saving the final RDB snapshot before exiting.");
    if (snapshot_save()) return true;
    log_warning(force ? "Error trying to save the DB. Exit anyway." : "Error trying to save the DB, can't exit.");
    return force;
}

/* --- INFO ------------------------------------------------------------------------------------ */

static void write_children(struct buf *out) {
    const struct child_metrics *m = &child_metrics;
    double share = m->keys_total ? (double)m->keys_done * 100 / (double)m->keys_total : 0;
    int64_t age_s = m->cow_bytes ? (clock_mono_us() - m->cow_us) / 1000000 : 0;
    buf_printf(out,
               "loading:%d\r\nasync_loading:0\r\ncurrent_cow_peak:%zu\r\ncurrent_cow_size:%zu\r\n"
               "current_cow_size_age:%lld\r\ncurrent_fork_perc:%.2f\r\ncurrent_save_keys_processed:%zu\r\n"
               "current_save_keys_total:%zu\r\n",
               loading_is_active(), m->cow_peak, m->cow_bytes, (long long)age_s, share, m->keys_done, m->keys_total);
}

static int64_t running_s(int64_t began_s) {
    return began_s ? time(NULL) - began_s : -1;
}

static void write_snapshots(struct buf *out) {
    const struct bgsave_status *s = &bgsave_status;
    const struct snapshot_figures *f = &snapshot_figures;
    buf_printf(out,
               "rdb_changes_since_last_save:%lld\r\nrdb_bgsave_in_progress:%d\r\nrdb_last_save_time:%lld\r\n"
               "rdb_last_bgsave_status:%s\r\nrdb_last_bgsave_time_sec:%lld\r\nrdb_current_bgsave_time_sec:%lld\r\n"
               "rdb_saves:%llu\r\nrdb_last_cow_size:%zu\r\nrdb_last_load_keys_expired:%llu\r\n"
               "rdb_last_load_keys_loaded:%llu\r\n",
               (long long)db_metrics.dirty, child_running() == CHILD_RDB, (long long)f->saved_s,
               s->failed ? "err" : "ok", (long long)s->took_s, (long long)running_s(s->began_s),
               (unsigned long long)f->saves, child_metrics.last_cow_bytes[CHILD_RDB], (unsigned long long)f->expired,
               (unsigned long long)f->loaded);
}

static void write_aof(struct buf *out) {
    struct aof_status s = aof_status();
    struct aof_write_metrics m = aof_write_metrics();
    buf_printf(out,
               "aof_enabled:%d\r\naof_rewrite_in_progress:%d\r\naof_rewrite_scheduled:%d\r\n"
               "aof_last_rewrite_time_sec:%lld\r\naof_current_rewrite_time_sec:%lld\r\n"
               "aof_last_bgrewrite_status:%s\r\naof_rewrites:%llu\r\naof_rewrites_consecutive_failures:%llu\r\n"
               "aof_last_write_status:%s\r\naof_last_cow_size:%zu\r\nmodule_fork_in_progress:0\r\n"
               "module_fork_last_cow_size:0\r\n",
               s.state != AOF_OFF, child_running() == CHILD_AOF, s.rewrite_scheduled, (long long)s.rewrite_took_s,
               (long long)running_s(s.rewrite_began_s), s.rewrite_failed ? "err" : "ok", (unsigned long long)s.rewrites,
               (unsigned long long)s.failures, aof_write_failing(m) ? "err" : "ok",
               child_metrics.last_cow_bytes[CHILD_AOF]);
    if (s.state == AOF_OFF) return;
    buf_printf(out,
               "aof_current_size:%lld\r\naof_base_size:%lld\r\naof_pending_rewrite:%d\r\naof_buffer_length:%zu\r\n"
               "aof_pending_bio_fsync:%u\r\naof_delayed_fsync:%llu\r\n",
               (long long)s.current_size, (long long)s.base_size, s.rewrite_scheduled, m.buffered, m.pending_syncs,
               (unsigned long long)m.delayed_syncs);
}

void durability_write_info(struct buf *out) {
    write_children(out);
    write_snapshots(out);
    write_aof(out);
    loading_describe(out);
}

/* --- starting -------------------------------------------------------------------------------- */

void durability_start(void) {
    static const struct wave_hooks wave = {.before_send = before_send};
    child_changed = child_comes_or_goes;
    child_inside = child_begins;
    lifecycle_before_end = before_end;
    snapshot_figures.saved_s = stats.started_ms / 1000;
    bgsave_ended = fit_gate;
    loading_start_up(wanted);
    wave_listen(WAVE_DURABILITY, &wave);
    cron_add(tick);
    started = true;
    fit_sink();
}

/* What is replayed is in the file already: nothing listens meanwhile. */
bool durability_reload(void) {
    aof_write_flush(true);
    started = false;
    fit_sink();
    bool fine = loading_again();
    started = true;
    fit_sink();
    fit_gate();
    return fine;
}

/* --- options --------------------------------------------------------------------------------- */

static bool apply_appendonly(const char **error) {
    bool fine = true;
    *error = "Unable to turn on AOF. Check server logs.";
    if (!started) return true;
    if (wanted)
        fine = aof_start(call_is_nested);
    else
        aof_stop();
    fit_sink();
    fit_gate();
    return fine;
}

static bool is_name(const char *name, const char *const errors[2], const char **error) {
    if (name == NULL || (name[0] && strchr(name, '/') == NULL)) return true;
    *error = errors[name[0] != '\0'];
    return false;
}

static bool check_append_names(const char **error) {
    static const char *const file[] = {"appendfilename can't be empty",
                                       "appendfilename can't be a path, just a filename"};
    static const char *const folder[] = {"appenddirname can't be empty",
                                         "appenddirname can't be a path, just a dirname"};
    return is_name(aof_options.filename, file, error) && is_name(aof_options.dirname, folder, error);
}

/* The new policy also covers what is already buffered. */
static bool apply_appendfsync(const char **error) {
    (void)error;
    if (started) before_send();
    fit_sink();
    return true;
}

static const struct option_name fsync_modes[] = {
    {"everysec", AOF_FSYNC_EVERYSEC}, {"always", AOF_FSYNC_ALWAYS}, {"no", AOF_FSYNC_NO}, {NULL, 0}};

static const struct option durability_rows[] = {
    {.name = "appendonly",
     .type = OPTION_BOOL,
     .flags = OPTION_DENY_LOADING,
     .address = &wanted,
     .initial = "no",
     .apply = apply_appendonly},
    {.name = "appendfilename",
     .type = OPTION_STRING,
     .flags = OPTION_IMMUTABLE,
     .address = &aof_options.filename,
     .initial = "appendonly.aof",
     .apply = check_append_names},
    {.name = "appenddirname",
     .type = OPTION_STRING,
     .flags = OPTION_IMMUTABLE,
     .address = &aof_options.dirname,
     .initial = "appendonlydir",
     .apply = check_append_names},
    {.name = "appendfsync",
     .type = OPTION_ENUM,
     .address = &aof_write_options.fsync,
     .initial = "everysec",
     .names = fsync_modes,
     .apply = apply_appendfsync},
    {.name = "no-appendfsync-on-rewrite",
     .type = OPTION_BOOL,
     .address = &aof_write_options.no_sync_meanwhile,
     .initial = "no"},
    {.name = "auto-aof-rewrite-percentage",
     .type = OPTION_INT,
     .address = &aof_options.rewrite_percent,
     .initial = "100"},
    {.name = "auto-aof-rewrite-min-size",
     .type = OPTION_MEMORY,
     .address = &aof_options.rewrite_min_size,
     .initial = "67108864"},
    {.name = "aof-load-truncated", .type = OPTION_BOOL, .address = &aof_options.load_truncated, .initial = "yes"},
    {.name = "aof-use-rdb-preamble", .type = OPTION_BOOL, .address = &aof_options.base_is_rdb, .initial = "yes"},
    {.name = "aof-timestamp-enabled", .type = OPTION_BOOL, .address = &aof_write_options.timestamps, .initial = "no"},
    {.name = "aof-rewrite-incremental-fsync",
     .type = OPTION_BOOL,
     .address = &aof_options.incremental_sync,
     .initial = "yes"},
    {.name = "aof-disable-auto-gc", .type = OPTION_BOOL, .address = &aof_options.keep_history, .initial = "no"},
    {.name = "aof_rewrite_cpulist",
     .type = OPTION_STRING,
     .flags = OPTION_IMMUTABLE,
     .address = &cpus.of_rewrite,
     .initial = ""},
    {.name = "bgsave_cpulist",
     .type = OPTION_STRING,
     .flags = OPTION_IMMUTABLE,
     .address = &cpus.of_bgsave,
     .initial = ""},
    {.name = NULL},
};

const struct module durability_module = {.options = durability_rows};
