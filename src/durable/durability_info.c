/* The fields of INFO persistence, in Redis's order. */
#include "base/buf.h"
#include "base/clock.h"
#include "durable/bgsave.h"
#include "durable/durability.h"
#include "durable/loading.h"
#include "durable/snapshot.h"
#include "persist/aof.h"
#include "persist/aof_write.h"
#include "persist/child.h"
#include "store/db.h"
#include <time.h>

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
    const struct snapshot_metrics *f = &snapshot_metrics;
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
