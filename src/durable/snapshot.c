/* See snapshot.h. Invariant: nothing here changes or removes a file that could not be read or written as a whole. */
#include "durable/snapshot.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/module.h"
#include "base/option.h"
#include "disk/child.h"
#include "disk/temp_file.h"
#include "durable/snapshot_lock.h"
#include "rdb/rdb.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct snapshot_metrics snapshot_metrics;

static char *file_name;

static bool check_file_name(const char **error) {
    *error = "dbfilename can't be a path, just a filename";
    return strchr(file_name, '/') == NULL && snapshot_lock_name(file_name, error);
}

static const struct option snapshot_rows[] = {
    {"dbfilename", .type = OPTION_STRING, .flags = OPTION_PROTECTED, .address = &file_name, .initial = "dump.rdb",
     .apply = check_file_name},
    {NULL},
};

static void report_progress(void *ctx, uint64_t keys, uint64_t bytes) {
    (void)ctx;
    (void)bytes;
    child_report((size_t)keys);
}

const char *snapshot_name(void) {
    return file_name;
}

bool snapshot_write(const char *temporary) {
    struct rdb_write job = {.fd = -1, .progress = report_progress};
    bool ok = rdb_write_file(&job, temporary, file_name);
    if (ok)
        log_notice("DB saved on disk");
    else
        log_warning("Write error saving DB on disk: %s", strerror(job.error));
    return ok;
}

void snapshot_saved(void) {
    snapshot_metrics.saved_s = clock_wall_us() / 1000000;
    snapshot_metrics.saved_ms = clock_steady_ms();
}

bool snapshot_save(void) {
    bool ok = snapshot_write(temp_file_choose(TEMP_SNAPSHOT));
    temp_file_drop(TEMP_SNAPSHOT);
    if (!ok) return false;
    db_metrics.dirty = 0;
    snapshot_saved();
    snapshot_metrics.saves++;
    return true;
}

/* --- Reading --------------------------------------------------------------------------------- */

static const char *advice_for(enum rdb_result result) {
    switch (result) {
    case RDB_UNSUPPORTED:
    case RDB_VERSION: return "The file is left as it is; the server that wrote it can read it.";
    case RDB_FOREIGN: return "Is dbfilename the right file?";
    default:
        return "The file is left as it is. kura-check-rdb tells more about it; a backup or a replica has the data.";
    }
}

static void log_broken(const struct rdb_read *job, enum rdb_result result, const char *name) {
    log_warning("%s, offset %llu: %s. %llu keys before it are sound.", name, (unsigned long long)job->failed_at,
                job->message, (unsigned long long)job->keys);
    log_warning("%s", advice_for(result));
}

static void log_loaded(const struct rdb_read *job) {
    if (job->created_s) log_notice("RDB age %lld seconds", (long long)(clock_wall_us() / 1000000 - job->created_s));
    if (job->used_memory) log_notice("RDB memory usage when created %.2f Mb", (double)job->used_memory / (1 << 20));
    if (job->empty) log_notice("Done loading RDB, empty keys skipped: %llu.", (unsigned long long)job->empty);
    log_notice("Done loading RDB, keys loaded: %llu, keys expired: %llu.", (unsigned long long)job->keys,
               (unsigned long long)job->expired);
}

bool snapshot_read(struct rdb_read *job, const char *name) {
    enum rdb_result result = rdb_read(job);
    snapshot_metrics.loaded = job->keys;
    snapshot_metrics.expired = job->expired;
    if (result == RDB_OK)
        log_loaded(job);
    else
        log_broken(job, result, name);
    return result == RDB_OK;
}

const struct module snapshot_module = {.options = snapshot_rows};
