/* See snapshot.h. */
#include "server/snapshot.h"
#include "base/clock.h"
#include "base/log.h"
#include "persist/rdb.h"
#include "server/lifecycle.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct snapshot_figures snapshot_figures;

static char *file_name;

static bool check_file_name(const char **error) {
    *error = "dbfilename can't be a path, just a filename";
    return strchr(file_name, '/') == NULL;
}

const struct option snapshot_rows[] = {
    {.name = "dbfilename",
     .type = OPTION_STRING,
     .flags = OPTION_PROTECTED,
     .address = &file_name,
     .initial = "dump.rdb",
     .apply = check_file_name},
    {.name = NULL},
};

const char *snapshot_file(void) {
    return file_name;
}

bool snapshot_save(void) {
    struct rdb_write job = {.fd = -1};
    if (!rdb_write_file(&job, file_name)) {
        log_warning("Write error saving DB on disk: %s", strerror(job.error));
        return false;
    }
    log_notice("DB saved on disk");
    db_metrics.dirty = 0;
    snapshot_figures.saved_s = clock_wall_us() / 1000000;
    snapshot_figures.saves++;
    return true;
}

/* --- Loading ----------------------------------------------------------------------------------- */

static const char *advice(enum rdb_result result) {
    switch (result) {
    case RDB_UNSUPPORTED:
    case RDB_VERSION: return "The file is left as it is; the server that wrote it can read it.";
    case RDB_FOREIGN: return "Is dbfilename the right file?";
    default:
        return "The file is left as it is. kura-check-rdb tells more about it; a backup or a replica has the data.";
    }
}

static void tell_broken(const struct rdb_read *job, enum rdb_result result) {
    log_warning("%s, offset %llu: %s. %llu keys before it are sound.", file_name, (unsigned long long)job->failed_at,
                job->message, (unsigned long long)job->keys);
    log_warning("%s", advice(result));
}

static void tell_loaded(const struct rdb_read *job, int64_t began_us) {
    if (job->created_s) log_notice("RDB age %lld seconds", (long long)(clock_wall_us() / 1000000 - job->created_s));
    if (job->used_memory) log_notice("RDB memory usage when created %.2f Mb", (double)job->used_memory / (1 << 20));
    if (job->empty) log_notice("Done loading RDB, empty keys skipped: %llu.", (unsigned long long)job->empty);
    log_notice("Done loading RDB, keys loaded: %llu, keys expired: %llu.", (unsigned long long)job->keys,
               (unsigned long long)job->expired);
    log_notice("DB loaded from disk: %.3f seconds", (double)(clock_mono_us() - began_us) / 1e6);
}

enum snapshot_state snapshot_load(bool merge) {
    struct rdb_read job = {.flags = merge ? RDB_ALLOW_TWICE : 0};
    int64_t began_us = clock_mono_us();
    job.fd = open(file_name, O_RDONLY | O_CLOEXEC);
    if (job.fd < 0) {
        if (errno == ENOENT) return SNAPSHOT_ABSENT;
        log_warning("Can't open %s: %s", file_name, strerror(errno));
        return SNAPSHOT_BROKEN;
    }
    enum rdb_result result = rdb_read(&job);
    close(job.fd);
    snapshot_figures.loaded = job.keys;
    snapshot_figures.expired = job.expired;
    if (result == RDB_OK) {
        tell_loaded(&job, began_us);
    } else {
        tell_broken(&job, result);
    }
    return result == RDB_OK ? SNAPSHOT_LOADED : SNAPSHOT_BROKEN;
}

static bool before_end(unsigned flags) {
    return !(flags & LIFECYCLE_SAVE) || snapshot_save();
}

void snapshot_start(void) {
    snapshot_figures.saved_s = clock_wall_us() / 1000000;
    lifecycle_before_end = before_end;
    if (snapshot_load(false) != SNAPSHOT_BROKEN) return;
    log_warning("Fatal error loading the DB, check server logs. Exiting.");
#ifdef KURA_LIBC_ALLOC
    db_shutdown(); /* as in main(): for leak checkers */
#endif
    exit(1);
}
