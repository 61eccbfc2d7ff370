/* The fields of INFO persistence, in Redis's order. */
#include "aof/aof.h"
#include "aof/aof_write.h"
#include "base/clock.h"
#include "base/report.h"
#include "disk/child.h"
#include "durable/bgsave.h"
#include "durable/durability.h"
#include "durable/loading.h"
#include "durable/snapshot.h"
#include "store/db.h"

static void write_children(struct buf *out) {
    const struct child_metrics *m = &child_metrics;
    report_int(out, "loading", loading_is_active());
    report_int(out, "async_loading", loading_is_aside());
    report_int(out, "current_cow_peak", (int64_t)m->cow_peak);
    report_int(out, "current_cow_size", (int64_t)m->cow_bytes);
    report_int(out, "current_cow_size_age", m->cow_bytes ? (clock_mono_us() - m->cow_us) / 1000000 : 0);
    report_ratio(out, "current_fork_perc", (double)m->keys_done * 100, (double)m->keys_total, "");
    report_int(out, "current_save_keys_processed", (int64_t)m->keys_done);
    report_int(out, "current_save_keys_total", (int64_t)m->keys_total);
}

static int64_t running_s(int64_t began_ms) {
    return began_ms ? (clock_steady_ms() - began_ms) / 1000 : -1;
}

static void write_snapshots(struct buf *out) {
    const struct bgsave_status *s = &bgsave_status;
    const struct snapshot_metrics *f = &snapshot_metrics;
    report_int(out, "rdb_changes_since_last_save", db_metrics.dirty);
    report_int(out, "rdb_bgsave_in_progress", child_running() == CHILD_RDB || child_running() == CHILD_TRANSFER);
    report_int(out, "rdb_last_save_time", f->saved_s);
    report_text(out, "rdb_last_bgsave_status", s->failed ? "err" : "ok");
    report_int(out, "rdb_last_bgsave_time_sec", s->took_s);
    report_int(out, "rdb_current_bgsave_time_sec", running_s(s->began_ms));
    report_int(out, "rdb_saves", (int64_t)f->saves);
    report_int(out, "rdb_last_cow_size", (int64_t)child_metrics.last_cow_bytes[CHILD_RDB]);
    report_int(out, "rdb_last_load_keys_expired", (int64_t)f->expired);
    report_int(out, "rdb_last_load_keys_loaded", (int64_t)f->loaded);
}

static void write_log(struct buf *out, const struct aof_status *s, const struct aof_write_metrics *m) {
    report_int(out, "aof_current_size", s->current_size);
    report_int(out, "aof_base_size", s->base_size);
    report_int(out, "aof_pending_rewrite", s->rewrite_scheduled);
    report_int(out, "aof_buffer_length", (int64_t)m->buffered);
    report_int(out, "aof_pending_bio_fsync", m->pending_syncs);
    report_int(out, "aof_delayed_fsync", (int64_t)m->delayed_syncs);
}

static void write_aof(struct buf *out) {
    struct aof_status s = aof_status();
    struct aof_write_metrics m = aof_write_metrics();
    report_int(out, "aof_enabled", s.state != AOF_OFF);
    report_int(out, "aof_rewrite_in_progress", child_running() == CHILD_AOF);
    report_int(out, "aof_rewrite_scheduled", s.rewrite_scheduled);
    report_int(out, "aof_last_rewrite_time_sec", s.rewrite_took_s);
    report_int(out, "aof_current_rewrite_time_sec", running_s(s.rewrite_began_ms));
    report_text(out, "aof_last_bgrewrite_status", s.rewrite_failed ? "err" : "ok");
    report_int(out, "aof_rewrites", (int64_t)s.rewrites);
    report_int(out, "aof_rewrites_consecutive_failures", (int64_t)s.failures);
    report_text(out, "aof_last_write_status", aof_write_failing(m) ? "err" : "ok");
    report_int(out, "aof_last_cow_size", (int64_t)child_metrics.last_cow_bytes[CHILD_AOF]);
    report_int(out, "module_fork_in_progress", 0);
    report_int(out, "module_fork_last_cow_size", 0);
    if (s.state != AOF_OFF) write_log(out, &s, &m);
}

void durability_write_info(struct buf *out) {
    write_children(out);
    write_snapshots(out);
    write_aof(out);
    loading_describe(out);
}
