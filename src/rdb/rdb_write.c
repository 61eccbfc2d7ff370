/* Writing a snapshot of all databases, or of one value. The tables are walked in their own order, and the iterator
 * fetches entries ahead. Nothing is allocated for a key, and nothing in the keyspace changes. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/num.h"
#include "base/version.h"
#include "disk/files.h"
#include "disk/temp_file.h"
#include "oplog/oplog.h"
#include "rdb/rdb.h"
#include "rdb/rdb_encode.h"
#include "rdb/rdb_format.h"
#include "store/evict.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROGRESS_KEYS 1024 /* between two calls of the progress callback */

/* --- The frame ------------------------------------------------------------------------------- */

static void put_aux(struct rdb_out *out, const char *name, struct slice value) {
    writer_byte(out->w, RDB_OP_AUX);
    rdb_put_string(out, slice_cstr(name));
    rdb_put_string(out, value);
}

static void put_aux_int(struct rdb_out *out, const char *name, int64_t value) {
    char digits[NUM_I64_MAX];
    put_aux(out, name, slice_of(digits, (size_t)num_print_i64(digits, value)));
}

/* kura's own: a replica that gets this snapshot knows tokens of the former history, too. Redis ignores such fields. */
static void put_former(struct rdb_out *out) {
    if (!oplog_former.id[0]) return;
    put_aux(out, "repl-former-id", slice_cstr(oplog_former.id));
    put_aux_int(out, "repl-former-end", oplog_former.end);
}

static void put_head(struct rdb_out *out, const struct rdb_write *job) {
    char head[16];
    int n = snprintf(head, sizeof head, RDB_MAGIC "%04d", RDB_VERSION_WRITTEN);
    writer_put(out->w, head, (size_t)n);
    put_aux(out, "redis-ver", SLICE(VERSION_REDIS));
    put_aux_int(out, "redis-bits", 64);
    put_aux_int(out, "ctime", clock_wall_us() / 1000000);
    put_aux_int(out, "used-mem", (int64_t)alloc_used());
    if (job->repl_id) {
        put_aux_int(out, "repl-stream-db", job->repl_db);
        put_aux(out, "repl-id", slice_cstr(job->repl_id));
        put_aux_int(out, "repl-offset", job->repl_offset);
        put_former(out);
    }
    put_aux_int(out, "aof-base", job->flags & RDB_AOF_BASE ? 1 : 0);
}

static void put_checksum(struct writer *w) {
    uint64_t crc = writer_crc(w);
    writer_put(w, &crc, sizeof crc);
}

/* --- Keys ------------------------------------------------------------------------------------ */

/* How long ago or how often the key was used, under a policy that evicts by it. */
static void put_access(struct rdb_out *out, const struct entry *e) {
    int policy = evict_options.policy;
    if (policy == EVICT_ALLKEYS_LRU || policy == EVICT_VOLATILE_LRU) {
        writer_byte(out->w, RDB_OP_IDLE);
        rdb_put_length(out->w, evict_idle_s(e));
    } else if (evict_uses_lfu()) {
        writer_byte(out->w, RDB_OP_FREQUENCY);
        writer_byte(out->w, evict_frequency(e));
    }
}

static void put_entry(struct rdb_out *out, const struct entry *e) {
    if (entry_has_ttl(e)) {
        int64_t deadline_ms = entry_deadline_ms(e);
        writer_byte(out->w, RDB_OP_DEADLINE_MS);
        writer_put(out->w, &deadline_ms, sizeof deadline_ms);
    }
    put_access(out, e);
    writer_byte(out->w, rdb_type_of(e));
    rdb_put_string(out, entry_key(e));
    rdb_put_value(out, e);
}

/* For tests that need a slow save. */
static void delay_save(uint64_t keys) {
    int us = rdb_options.key_save_delay_us;
    if (us > 0) usleep((useconds_t)us);
    if (us < 0 && keys % (uint64_t)(-(int64_t)us) == 0) usleep(1);
}

static void put_db(struct rdb_out *out, struct rdb_write *job, const struct db *db) {
    struct table_iter it;
    const struct entry *e;
    writer_byte(out->w, RDB_OP_SELECT);
    rdb_put_length(out->w, (uint64_t)db->id);
    writer_byte(out->w, RDB_OP_RESIZE);
    rdb_put_length(out->w, db_size(db));
    rdb_put_length(out->w, db->expiring);
    table_iter_init(&it, &db->keys);
    while ((e = table_iter_next(&it)) && !out->w->error) {
        put_entry(out, e);
        job->keys++;
        if (rdb_options.key_save_delay_us) delay_save(job->keys);
        if (job->keys % PROGRESS_KEYS == 0 && job->progress) job->progress(job->ctx, job->keys, writer_bytes(out->w));
    }
}

void rdb_write_place(struct rdb_write *job) {
    if (oplog_unit_end() != oplog_end()) return;
    job->repl_id = oplog_id;
    job->repl_offset = oplog_end();
    job->repl_db = oplog_db();
}

bool rdb_write(struct rdb_write *job) {
    struct writer w;
    bool sync = !(job->flags & RDB_NO_SYNC) && !job->sink;
    if (job->sink)
        writer_to_sink(&w, job->sink, job->sink_ctx, rdb_options.checksum);
    else
        writer_to_fd(&w, job->fd, rdb_options.checksum, sync && rdb_options.incremental_sync);
    struct rdb_out out = {.w = &w, .compress = rdb_options.compression};
    job->keys = 0;
    put_head(&out, job);
    if (!(job->flags & RDB_NO_FUNCTIONS)) rdb_put_functions(&out);
    for (int i = 0; i < db_count() && !(job->flags & RDB_NO_KEYS); i++) {
        if (db_size(db_at(i)) > 0) put_db(&out, job, db_at(i));
    }
    writer_byte(&w, RDB_OP_END);
    put_checksum(&w);
    bool ok = sync ? writer_sync(&w) : writer_flush(&w);
    job->error = w.error;
    job->bytes = writer_bytes(&w);
    rdb_out_free(&out);
    writer_free(&w);
    return ok;
}

/* --- A file ---------------------------------------------------------------------------------- */

/* Make the new name survive a power cut, too. */
static bool sync_folder(const char *path) {
    char folder[PATH_MAX] = "";
    const char *slash = strrchr(path, '/');
    if (slash) memcpy(folder, path, (size_t)(slash - path) + 1);
    return files_sync_dir(folder);
}

static bool write_temporary(struct rdb_write *job, const char *temporary) {
    job->fd = temp_file_create(temporary, 0666);
    if (job->fd < 0) {
        job->error = errno;
        return false;
    }
    bool ok = rdb_write(job);
    if (close(job->fd) != 0 && ok) {
        job->error = errno;
        ok = false;
    }
    job->fd = -1;
    if (!ok) unlink(temporary);
    return ok;
}

bool rdb_write_file(struct rdb_write *job, const char *temporary, const char *path) {
    if (strlen(path) >= PATH_MAX) {
        job->error = ENAMETOOLONG;
        return false;
    }
    if (!write_temporary(job, temporary)) return false;
    if (rename(temporary, path) == 0 && sync_folder(path)) return true;
    job->error = errno;
    unlink(temporary);
    return false;
}

/* --- One value ------------------------------------------------------------------------------- */

void rdb_put_footer(struct writer *w) {
    uint16_t version = RDB_VERSION_WRITTEN;
    writer_put(w, &version, sizeof version);
    put_checksum(w);
}

void rdb_dump(struct writer *w, const struct entry *e) {
    struct rdb_out out = {.w = w, .compress = rdb_options.compression, .patient = true};
    writer_byte(w, rdb_type_of(e));
    rdb_put_value(&out, e);
    rdb_put_footer(w);
    rdb_out_free(&out);
}
