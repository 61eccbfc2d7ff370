/* See durability.h. Invariant: changes go to the file exactly while it collects commands, one gate is closed exactly
 * while a write might not survive, and another one while a write has to wait for the next file. All may change whenever
 * a child is born or dies, a save ends, a rewrite goes on, the file fails to be written, or an option is set; each of
 * these calls fit_target() or fit_gates() at once, since the next request must find them right. */
#include "durable/durability.h"
#include "aof/aof.h"
#include "aof/aof_write.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/module.h"
#include "base/option.h"
#include "disk/child.h"
#include "disk/temp_file.h"
#include "durable/bgsave.h"
#include "durable/children.h"
#include "durable/loading.h"
#include "durable/snapshot.h"
#include "durable/snapshot_lock.h"
#include "exec/block.h"
#include "exec/call.h"
#include "exec/propagate.h"
#include "exec/wave.h"
#include "process/cron.h"
#include "process/process.h"
#include "process/shutdown.h"
#include "session/gates.h"
#include "session/server_metrics.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RETRY_MS 1000 /* between two attempts to begin the log anew */
#define SYNCED_WAVE 8 /* with appendfsync always, this many times the usual number of requests share a sync */

static bool wanted;  /* appendonly */
static bool started; /* the dataset is loaded, so options take effect at once */
static struct {
    bool is_stopped;  /* a snapshot of the primary comes in */
    int64_t retry_ms; /* clock_steady_ms(): the log could not be begun behind it; 0: it could */
} resync;

/* --- The log --------------------------------------------------------------------------------- */

/* Commands that nobody wants are not even formatted. */
static void fit_target(void) {
    static bool attached;
    bool collects = started && aof_collects();
    wave_width = collects && aof_write_options.fsync == AOF_FSYNC_ALWAYS ? SYNCED_WAVE : 1;
    if (collects == attached) return;
    attached = collects;
    propagate_want(PROPAGATE_FILE, collects);
}

/* --- The gate -------------------------------------------------------------------------------- */

/* Probes fail too, so that health checks notice; a queued probe does not. */
static bool is_write_or_probe(const struct request *r, unsigned flags) {
    return (flags & CMD_WRITE) || (r->command->flags & CMD_PROBE);
}

static const struct gate snapshot_gate = {
    .holds = is_write_or_probe,
    .error = "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. "
             "Commands that may modify the data set are disabled, because this instance is configured to report "
             "errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check "
             "the Redis logs for details about the RDB error.",
    .stops_calls = CMD_WRITE};
static char aof_error[256];
static const struct gate aof_gate = {.holds = is_write_or_probe, .error = aof_error, .stops_calls = CMD_WRITE};

/* A log that is about to go on in another file takes no commands. */
static const struct gate log_gate = {.stops = CMD_WRITE | CMD_MAY_REPLICATE};

static void fit_disk_gate(void) {
    int reason = aof_refusal();
    const struct gate *gate = NULL;
    if (bgsave_stops_writes()) {
        gate = &snapshot_gate;
    } else if (reason) {
        snprintf(aof_error, sizeof aof_error, "MISCONF Errors writing to the AOF file: %s", strerror(reason));
        gate = &aof_gate;
    }
    gates_set(GATES_DISK, gate);
}

static void fit_log_gate(void) {
    static bool closed;
    bool close = aof_holds_writes();
    if (close == closed) return;
    closed = close;
    gates_set(GATES_LOG, close ? &log_gate : NULL);
}

static void fit_gates(void) {
    fit_disk_gate();
    fit_log_gate();
}

/* --- Hooks ----------------------------------------------------------------------------------- */

static void durability_before_send(void) {
    if (!propagate_wanted || !aof_collects()) return;
    int before = aof_write_metrics().write_errno;
    aof_write_flush(false);
    if (aof_write_metrics().write_errno != before) fit_gates();
}

static void durability_tick(void) {
    if (!started || loading_is_active()) return;
    if (resync.retry_ms && clock_steady_ms() >= resync.retry_ms) durability_restart_log();
    durability_before_send(); /* bytes may still wait for their sync */
    if (!shutdown_is_requested()) {
        aof_tick();
        bgsave_tick();
    }
    fit_target();
    fit_gates();
}

/* A rewrite begins a file that collects from the next command on, and after a failed save the next write is refused. */
static void child_changed_state(void) {
    fit_target();
    fit_gates();
}

/* Requests may have waited for this: writes, and BGREWRITEAOF. */
static void aof_changed_state(void) {
    if (!started) return;
    fit_target();
    fit_gates();
    if (aof_rewrite_begun() != AOF_BEGINS) block_resume_all();
}

/* --- The end --------------------------------------------------------------------------------- */

static bool save_before_end(unsigned flags) {
    bool force = flags & SHUTDOWN_FORCE;
    if (!started || loading_is_active()) return true; /* data that are half loaded must not replace the whole */
    if (!children_end(force)) return false;
    aof_end();
    if (!(flags & SHUTDOWN_SAVE) && ((flags & SHUTDOWN_NOSAVE) || !bgsave_has_points())) return true;
    log_notice("Saving the final RDB snapshot before exiting.");
    if (snapshot_save()) return true;
    log_warning(force ? "Error trying to save the DB. Exit anyway." : "Error trying to save the DB, can't exit.");
    return force;
}

static bool before_end(unsigned flags) {
    bool may_end = save_before_end(flags);
    if (may_end) snapshot_lock_end();
    return may_end;
}

/* --- The folder ------------------------------------------------------------------------------ */

/* The files that the manifest names stay where they are. */
static bool before_dir(const char *path, const char **error) {
    struct stat here, there;
    if (stat(path, &there) != 0 || stat(".", &here) != 0) return true; /* chdir() will tell why */
    *error = "dir can't be changed while the append-only file is on or being rewritten";
    bool is_same = here.st_dev == there.st_dev && here.st_ino == there.st_ino;
    return is_same || (aof_status().state == AOF_OFF && !aof_status().is_busy);
}

/* Nobody else may write the files that are about to be read. What dead processes have left is in nobody's way then. */
static void claim_files(void) {
    const char *error; /* logged */
    bool ok = snapshot_lock_name(snapshot_name(), &error) && snapshot_lock_points(bgsave_has_points(), &error);
    if (!ok || !snapshot_lock_start()) _exit(1);
    if (wanted || bgsave_has_points()) temp_file_sweep();
    process_before_dir = before_dir;
    process_after_dir = snapshot_lock_fit;
}

/* --- Starting -------------------------------------------------------------------------------- */

void durability_start(void) {
    static const struct wave_hooks wave = {.before_send = durability_before_send};
    children_watch(child_changed_state);
    aof_changed = aof_changed_state;
    shutdown_before_end = before_end;
    snapshot_metrics.saved_s = server_metrics.started_s;
    snapshot_metrics.saved_ms = server_metrics.started_ms;
    bgsave_ended = fit_gates;
    claim_files();
    loading_start_up(wanted);
    wave_listen(WAVE_DURABILITY, &wave);
    cron_add(durability_tick);
    started = true;
    fit_target();
    fit_gates();
}

/* Commands that are replayed are in the file already, so they must not be appended again. */
bool durability_reload(void) {
    aof_write_flush(true);
    started = false;
    fit_target();
    bool ok = loading_again();
    started = true;
    fit_target();
    fit_gates();
    return ok;
}

/* --- The data of a primary replace ours ------------------------------------------------------ */

static void end_saving_child(void) {
    if (child_running() != CHILD_RDB && child_running() != CHILD_TRANSFER) return;
    log_notice("Replica is about to load the RDB file received from the master, but there is a pending RDB child "
               "running. Killing process %ld and removing its temp file to avoid any race",
               (long)child_pid());
    child_kill();
}

void durability_stop_log(void) {
    end_saving_child();
    resync.is_stopped = true;
    resync.retry_ms = 0;
    aof_stop();
    fit_target();
    fit_gates();
}

void durability_restart_log(void) {
    resync.is_stopped = false;
    resync.retry_ms = 0;
    if (!wanted) return;
    if (!aof_start(false)) {
        log_warning("Failed enabling the AOF after successful master synchronization! Trying it again in one second.");
        resync.retry_ms = clock_steady_ms() + RETRY_MS;
    }
    fit_target();
    fit_gates();
}

/* --- Options --------------------------------------------------------------------------------- */

static bool apply_appendonly(const char **error) {
    bool ok = true;
    *error = "Unable to turn on AOF. Check server logs.";
    if (!started || resync.is_stopped) return true;
    resync.retry_ms = 0;
    if (wanted)
        ok = aof_start(call_is_nested);
    else
        aof_stop();
    fit_target();
    fit_gates();
    return ok;
}

/* The new policy covers bytes that are buffered already. */
static bool apply_appendfsync(const char **error) {
    (void)error;
    if (started) durability_before_send();
    fit_target();
    return true;
}

static const struct option_name fsync_modes[] = {
    {"everysec", AOF_FSYNC_EVERYSEC}, {"always", AOF_FSYNC_ALWAYS}, {"no", AOF_FSYNC_NO}, {NULL, 0}};

static const struct option durability_rows[] = {
    {"appendonly", .type = OPTION_BOOL, .flags = OPTION_DENY_LOADING, .address = &wanted, .initial = "no",
     .apply = apply_appendonly},
    {"appendfsync", .type = OPTION_ENUM, .address = &aof_write_options.fsync, .initial = "everysec",
     .names = fsync_modes, .apply = apply_appendfsync},
    {NULL},
};

const struct module durability_module = {.options = durability_rows};
