/* See replace.h. The old data go as late as can be: in place when the first bytes are about to be read, aside when all
 * of the snapshot has proved to be sound.
 *
 * Invariant: run.job is set exactly inside replace_run(), and run.spare exactly while a job loads aside. */
#include "repl/replace.h"
#include "base/clock.h"
#include "base/log.h"
#include "durable/loading.h"
#include "net/loop.h"
#include "rdb/rdb.h"
#include "rdb/rdb_functions.h"
#include "store/db.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct {
    struct replace_job *job;
    struct rdb_read rdb;
    struct db *spare; /* the databases beside the live ones, or NULL */
    struct function_set *spare_functions;
} run;

struct replace_job *replace_running(void) {
    return run.job;
}

static void replace_progress(void *ctx, uint64_t bytes) {
    loading_progress(ctx, bytes);
    if (run.job->stop || loop_is_stopping()) run.rdb.stop = true;
}

static void log_loaded(const struct rdb_read *rdb, int64_t began_us) {
    if (rdb->created_s) log_notice("RDB age %lld seconds", (long long)(clock_wall_us() / 1000000 - rdb->created_s));
    if (rdb->used_memory) log_notice("RDB memory usage when created %.2f Mb", (double)rdb->used_memory / (1 << 20));
    log_notice("Done loading RDB, keys loaded: %llu, keys expired: %llu.", (unsigned long long)rdb->keys,
               (unsigned long long)rdb->expired);
    log_notice("DB loaded from the primary's snapshot: %.3f seconds", (double)(clock_mono_us() - began_us) / 1e6);
}

static struct replace_place place_of(const struct rdb_read *rdb) {
    return (struct replace_place){.db = rdb->repl_db < db_count() ? rdb->repl_db : -1, .former = rdb->former};
}

/* False: job->why. */
static bool is_sound(struct replace_job *job, enum rdb_result result) {
    if (job->stop) {
        snprintf(job->why, sizeof job->why, "%s", job->stop);
        return false;
    }
    if (result == RDB_OK) return job->complete(job);
    snprintf(job->why, sizeof job->why, "the snapshot is bad at offset %llu: %s", (unsigned long long)run.rdb.failed_at,
             run.rdb.message);
    return false;
}

/* Read the snapshot into the spare databases, or into the live ones. */
static bool read_all(struct replace_job *job) {
    int64_t began_us = clock_mono_us();
    run.rdb = (struct rdb_read){.fd = job->fd,
                                .source = job->source,
                                .size = job->size,
                                .flags = RDB_KEEP_EXPIRED,
                                .progress = replace_progress,
                                .into = run.spare,
                                .functions = run.spare_functions,
                                .rest = &job->rest};
    log_notice("MASTER <-> REPLICA sync: Loading DB in memory");
    loading_serve(&run.rdb);
    enum rdb_result result = rdb_read(&run.rdb);
    job->end = run.rdb.end;
    if (!is_sound(job, result)) return false;
    job->place = place_of(&run.rdb);
    log_loaded(&run.rdb, began_us);
    return true;
}

static void empty_all(bool in_background, void (*meanwhile)(void)) {
    rdb_functions_empty(in_background);
    db_empty_all(in_background, meanwhile);
}

static bool replace_in_place(struct replace_job *job) {
    job->replaces();
    job->gave_up_data = true;
    loading_begin(job->size);
    loading_serve(NULL);
    log_notice("MASTER <-> REPLICA sync: Flushing old data");
    empty_all(job->lazy, loading_breathe);
    bool ok = read_all(job);
    if (!ok) empty_all(true, NULL);
    loading_end();
    return ok;
}

static bool replace_aside(struct replace_job *job) {
    run.spare = db_spare_new();
    run.spare_functions = rdb_functions_begin();
    if (job->served)
        loading_begin_aside(job->size);
    else
        loading_begin(job->size);
    bool ok = read_all(job);
    if (ok) {
        job->replaces();
        job->gave_up_data = true;
        log_notice("MASTER <-> REPLICA sync: Swapping active DB with loaded DB");
        rdb_functions_use(run.spare_functions, job->lazy);
        db_spare_use(run.spare, job->lazy, loading_breathe);
    } else {
        log_notice("MASTER <-> REPLICA sync: Discarding temporary DB in background");
        rdb_functions_drop(run.spare_functions, true);
        db_spare_drop(run.spare, true);
    }
    run.spare = NULL;
    run.spare_functions = NULL;
    loading_end();
    return ok;
}

bool replace_run(struct replace_job *job) {
    run.job = job;
    bool ok = job->aside ? replace_aside(job) : replace_in_place(job);
    run.job = NULL;
    return ok;
}
