/* No part of the dataset is ever overwritten. Files are only appended to, and the manifest is replaced by a rename
 * after all that it names is on disk. If the process dies in between, it leaves at most files that no manifest
 * names. */
#include "aof/aof.h"
#include "aof/aof_folder.h"
#include "aof/aof_job.h"
#include "aof/aof_load.h"
#include "aof/aof_rewrite.h"
#include "aof/aof_write.h"
#include "aof/manifest.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/worker.h"
#include "disk/child.h"
#include "disk/files.h"
#include "disk/temp_file.h"
#include "rdb/rdb.h"
#include "store/db.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define FAILURES_TOLERATED 3 /* in a row; after more, automatic rewrites wait for 1 minute, 2, 4 ... */
#define DELAY_MAX_MINUTES 60
#define REOPEN_MS 1000       /* between two attempts to open a file that the disk has refused */
#define COMPLAIN_ATTEMPTS 60 /* between two log lines about that */

/* OPENING and TIDYING are jobs of the worker outside of a rewrite. */
enum stage { IDLE, OPENING, TIDYING, PREPARING, SWITCHING, WRITING, PLACING };

static struct manifest manifest;                          /* the one on disk, without what the running job changes */
static struct aof_status status = {.rewrite_took_s = -1}; /* current_size: without the file being written */
static struct {
    int delay_minutes;
    int64_t next_s; /* clock_steady_ms(), in seconds */
} backoff;
static enum stage stage;
static struct aof_job job;
static enum aof_begun begun; /* the last rewrite */
static int no_base;          /* errno: at start-up the disk refused the base of a dataset that had none */
static bool tidying_wanted;  /* aof_remove_history() came while another job was running */
static int64_t opened_ms;    /* monotonic time of the last attempt to open a file */
static bool incr_wanted;     /* the present increment has frames, or none, against aof-checksums */
static bool only_incr;       /* the present job ends with the next increment: no rewrite follows */

void (*aof_changed)(void);

struct aof_status aof_status(void) {
    struct aof_status shown = status;
    shown.is_busy = stage != IDLE;
    shown.current_size += aof_write_metrics().file_bytes;
    return shown;
}

bool aof_collects(void) {
    return status.state != AOF_OFF && aof_write_is_open();
}

bool aof_holds_writes(void) {
    return stage == SWITCHING;
}

int aof_refusal(void) {
    struct aof_write_metrics m = aof_write_metrics();
    if (status.state == AOF_WAITING && no_base) return no_base;
    if (!aof_collects()) return 0;
    return m.write_errno ? m.write_errno : m.sync_errno;
}

int64_t aof_synced_offset(void) {
    return status.state == AOF_ON ? aof_write_synced_offset() : -1;
}

enum aof_begun aof_rewrite_begun(void) {
    return begun;
}

static void enter_stage(enum stage next) {
    stage = next;
    bool is_rewrite = next >= PREPARING && !only_incr;
    child_reserve(is_rewrite ? CHILD_AOF : CHILD_NONE);
    if (aof_changed) aof_changed();
}

/* The size of all live files, without the one being written. */
static void count_other_files(void) {
    const struct manifest_file *last = manifest_last_incr(&manifest);
    status.current_size = 0;
    for (size_t i = 0; i < manifest.count; i++) {
        const struct manifest_file *file = &manifest.files[i];
        bool counts = file->type != MANIFEST_HISTORY && file != last;
        int64_t size = counts ? files_size(aof_options.dirname, file->name) : 0;
        if (size > 0) status.current_size += size;
    }
}

/* --- Jobs ------------------------------------------------------------------------------------ */

static void init_job(void) {
    aof_job_free(&job);
    job = (struct aof_job){.log_fd = -1, .fd = -1, .keep_history = aof_options.keep_history};
    manifest_copy(&job.former, &manifest);
    manifest_copy(&job.next, &manifest);
}

static void give_job(enum stage next, void (*run)(struct background_job *), void (*done)(struct background_job *)) {
    job.background = (struct background_job){.run = run, .done = done};
    background_run(&job.background);
    enter_stage(next);
}

/* The job has saved its manifest. */
static void adopt_manifest(void) {
    manifest_free(&manifest);
    manifest = job.next;
    job.next = (struct manifest){0};
}

/* --- The base -------------------------------------------------------------------------------- */

static void report_progress(void *ctx, uint64_t keys, uint64_t bytes) {
    (void)ctx;
    (void)bytes;
    child_report((size_t)keys);
}

static bool write_dataset(int fd) {
    if (!aof_options.base_is_rdb) return aof_rewrite_commands(fd, aof_options.incremental_sync);
    struct rdb_write write = {.fd = fd, .flags = RDB_AOF_BASE, .progress = report_progress};
    rdb_write_place(&write);
    bool ok = rdb_write(&write);
    errno = write.error;
    return ok;
}

/* Write a base to a new file of this name in the working directory. False: errno (logged). */
static bool write_base(const char *name) {
    int fd = temp_file_create(name, 0644);
    if (fd < 0) {
        log_warning("Opening the temp file for AOF rewrite in rewriteAppendOnlyFile(): %s", strerror(errno));
        return false;
    }
    bool ok = write_dataset(fd);
    int reason = errno;
    if (close(fd) < 0 && ok) {
        ok = false;
        reason = errno;
    }
    if (!ok) log_warning("Write error writing append only file on disk: %s", strerror(reason));
    errno = reason;
    return ok;
}

static const char *name_new_base(struct manifest *m) {
    return manifest_new_base(m, aof_options.filename, aof_options.base_is_rdb, aof_folder_taken);
}

static void name_new_incr(struct manifest *m) {
    manifest_new_incr(m, aof_options.filename, aof_folder_taken);
}

/* --- At start-up ----------------------------------------------------------------------------- */

/* Versions before 7 had one file, outside the directory. It becomes the base. */
static bool is_upgrade(void) {
    if (!files_exists("", aof_options.filename)) return false;
    if (manifest_live(&manifest) == 0) return true;
    const struct manifest_file *base = manifest_base(&manifest);
    return base && manifest_live(&manifest) == 1 && strcmp(base->name, aof_options.filename) == 0 &&
           !files_exists(aof_options.dirname, aof_options.filename);
}

static bool upgrade_old_file(void) {
    if (!aof_folder_make() || !aof_folder_sync() || aof_folder_taken(aof_options.filename)) return false;
    manifest_adopt_base(&manifest, aof_options.filename);
    if (!aof_folder_save(&manifest)) return false;
    if (!files_rename("", aof_options.filename, aof_options.dirname, aof_options.filename)) {
        log_warning("Error trying to move the old AOF file %s into dir %s: %s", aof_options.filename,
                    aof_options.dirname, strerror(errno));
        return false;
    }
    log_notice("Successfully migrated an old-style AOF file (%s) into the AOF directory (%s).", aof_options.filename,
               aof_options.dirname);
    return files_sync_dir(aof_options.dirname) && files_sync_dir("");
}

enum aof_load aof_load(const struct aof_load_hooks *hooks) {
    if (stage != IDLE) worker_drain(); /* it may be about to replace the manifest */
    manifest_free(&manifest);
    if (!aof_folder_lock() || !aof_load_manifest(aof_folder_manifest(), &manifest)) return AOF_LOAD_FAILED;
    if (manifest.count == 0 && aof_folder_has_lost_files(&hooks->reader)) return AOF_LOAD_FAILED;
    if (is_upgrade() && !upgrade_old_file()) return AOF_LOAD_FAILED;
    if (manifest_live(&manifest) == 0) return AOF_LOAD_NOTHING;
    enum aof_load result = aof_load_files(&manifest, hooks);
    const struct manifest_file *base = manifest_base(&manifest);
    int64_t base_size = base ? files_size(aof_options.dirname, base->name) : 0;
    status.base_size = base_size > 0 ? base_size : 0;
    return result;
}

bool aof_exists(void) {
    return manifest_live(&manifest) > 0;
}

/* Make the first base. The increment and the manifest follow at once. False: errno (logged). */
static bool open_base(void) {
    if (!aof_folder_make()) return false;
    const char *base = name_new_base(&job.next), *temp = temp_file_choose(TEMP_AOF_BASE);
    bool ok = write_base(temp) && files_rename("", temp, aof_options.dirname, base);
    int reason = errno;
    temp_file_drop(TEMP_AOF_BASE);
    errno = reason;
    if (!ok) return false;
    log_notice("Creating AOF base file %s on server start", base);
    status.base_size = files_size(aof_options.dirname, base);
    return true;
}

static void begin_writing(void) {
    bool is_new = job.next.incr_seq != job.former.incr_seq;
    log_notice("%s AOF incr file %s on server start", is_new ? "Creating" : "Opening",
               manifest_last_incr(&job.next)->name);
    aof_write_begin(job.fd, job.fd_size);
    adopt_manifest();
    count_other_files();
}

static void job_opened(struct background_job *background) {
    (void)background;
    if (job.ok && status.state == AOF_ON && aof_write_fd() < 0) {
        begin_writing();
    } else if (job.ok) { /* switched off meanwhile */
        close(job.fd);
        adopt_manifest();
    }
    enter_stage(IDLE);
}

static void prepare_to_open(void) {
    init_job();
    if (!manifest_last_incr(&job.next)) name_new_incr(&job.next);
    opened_ms = clock_mono_us() / 1000;
}

/* A disk that has refused a file is not asked at once again. */
static bool must_rest(void) {
    return clock_mono_us() / 1000 - opened_ms < REOPEN_MS;
}

/* The disk refused the file at start-up; perhaps it does not any more. */
static void open_again(void) {
    static unsigned attempts;
    prepare_to_open();
    job.quiet = ++attempts % COMPLAIN_ATTEMPTS != 0;
    give_job(OPENING, aof_job_open, job_opened);
}

static bool make_first_files(void) {
    if (!open_base()) return false;
    aof_job_open(&job.background);
    if (job.ok) return true;
    files_remove_later(aof_options.dirname, manifest_base(&job.next)->name);
    errno = job.error;
    return false;
}

static bool open_files(void) {
    aof_job_open(&job.background);
    errno = job.error;
    return job.ok;
}

/* The base of a dataset that has none is left to a rewrite, which is tried again and again. */
static void await_disk(bool is_new, int reason) {
    /* Without data there is nothing to serve, and the administrator should hear of a folder that cannot be used. */
    if (is_new && db_keys() == 0) _exit(1);
    log_warning("The append-only file cannot be written. Reads are served; writes are refused until it can be.");
    status.state = is_new ? AOF_WAITING : AOF_ON;
    status.rewrite_scheduled = is_new;
    if (is_new)
        no_base = reason ? reason : EIO;
    else
        aof_write_await(reason);
}

void aof_open(void) {
    bool is_new = !aof_exists();
    prepare_to_open();
    if (is_new ? !make_first_files() : !open_files()) {
        await_disk(is_new, errno);
        return;
    }
    status.state = AOF_ON;
    begin_writing();
    incr_wanted = !is_new && !aof_load_fits(aof_write_options.checksums);
    aof_folder_sweep();
    aof_remove_history();
}

/* --- History --------------------------------------------------------------------------------- */

static bool has_history(void) {
    for (size_t i = 0; i < manifest.count; i++)
        if (manifest.files[i].type == MANIFEST_HISTORY) return true;
    return false;
}

static void job_tidied(struct background_job *background) {
    (void)background;
    adopt_manifest();
    enter_stage(IDLE);
}

void aof_remove_history(void) {
    if (aof_options.keep_history) return;
    tidying_wanted = stage != IDLE;               /* perhaps a job makes history that it was told to keep */
    if (tidying_wanted || !has_history()) return; /* aof_tick() comes back to it */
    init_job();
    give_job(TIDYING, aof_job_remove_history, job_tidied);
}

/* --- The end of a rewrite -------------------------------------------------------------------- */

static void drop_temp_incr(void) {
    aof_write_end();
    if (!files_exists(aof_options.dirname, aof_folder_temp_incr())) return;
    log_notice("Removing the temp incr aof file %s in the background", aof_folder_temp_incr());
    files_remove_later(aof_options.dirname, aof_folder_temp_incr());
}

static void count_result(bool ok) {
    status.failures = ok ? 0 : status.failures + 1;
    status.rewrite_failed = !ok;
}

/* The rewrite is over, one way or the other. */
static void end_rewrite(void) {
    temp_file_drop(TEMP_AOF_BASE);
    if (status.rewrite_began_ms) status.rewrite_took_s = (clock_steady_ms() - status.rewrite_began_ms) / 1000;
    status.rewrite_began_ms = 0;
    if (status.state == AOF_WAITING) {
        drop_temp_incr();
        status.rewrite_scheduled = true;
    }
    enter_stage(IDLE);
}

static void job_placed(struct background_job *background) {
    (void)background;
    count_result(job.ok);
    if (job.ok) {
        adopt_manifest();
        no_base = 0;
        if (aof_write_is_open()) {
            status.state = AOF_ON;
            count_other_files();
            status.base_size = aof_status().current_size;
            if (aof_write_synced) aof_write_synced();
        }
        log_notice("Background AOF rewrite finished successfully");
    }
    end_rewrite();
}

/* The child has written the base. */
static void place_files(void) {
    log_notice("Background AOF rewrite terminated with success");
    init_job();
    job.temp_base = temp_file_name(TEMP_AOF_BASE);
    job.has_temp_incr = status.state == AOF_WAITING;
    name_new_base(&job.next);
    if (job.has_temp_incr) name_new_incr(&job.next);
    manifest_retire_incrs(&job.next, status.state == AOF_OFF ? 0 : 1);
    give_job(PLACING, aof_job_place, job_placed);
}

static void child_ended(void *ctx, const struct child_end *end) {
    (void)ctx;
    if (!end->signal && !end->status) {
        place_files();
        return;
    }
    if (end->signal)
        log_warning("Background AOF rewrite terminated by signal %d", end->signal);
    else
        log_warning("Background AOF rewrite terminated with error");
    if (end->signal != SIGUSR1) count_result(false); /* not wanted any more: no failure */
    end_rewrite();
}

/* --- The beginning of a rewrite -------------------------------------------------------------- */

static int rewrite_in_child(void *ctx) {
    (void)ctx;
    const char *name = temp_file_name(TEMP_AOF_BASE);
    if (!write_base(name)) return 1;
    log_notice("Successfully created the temporary AOF base file %s", name);
    return 0;
}

static enum aof_begun fail_to_begin(void) {
    if (only_incr) {
        enter_stage(IDLE); /* aof_tick() tries again */
        return AOF_FAILED;
    }
    count_result(false);
    status.rewrite_began_ms = 0;
    begun = AOF_FAILED;
    enter_stage(IDLE);
    return begun;
}

/* From here on commands go to the increment that follows the base. */
static enum aof_begun begin_child(void) {
    struct child_job child = {.kind = CHILD_AOF, .run = rewrite_in_child, .done = child_ended, .keys = db_keys()};
    temp_file_choose(TEMP_AOF_BASE);
    status.rewrites++;
    if (!child_start(&child)) {
        log_warning("Can't rewrite append only file in background: fork: %s", strerror(errno));
        if (status.state == AOF_WAITING) drop_temp_incr();
        return fail_to_begin();
    }
    log_notice("Background append only file rewriting started by pid %ld", (long)child_pid());
    status.rewrite_began_ms = clock_steady_ms();
    begun = AOF_BEGUN;
    enter_stage(WRITING);
    return begun;
}

/* In AOF_WAITING the manifest names the increment only when the base exists, which holds all that came before the
 * fork. */
static bool open_temp_incr(void) {
    int fd =
        files_open(aof_options.dirname, aof_folder_temp_incr(), O_WRONLY | O_APPEND | O_CREAT | O_TRUNC | O_NOFOLLOW);
    if (fd < 0) {
        log_warning("Can't open the append-only file %s: %s", aof_folder_temp_incr(), strerror(errno));
        return false;
    }
    log_notice("Creating AOF incr file %s on background rewrite", aof_folder_temp_incr());
    aof_write_begin(fd, 0);
    return true;
}

/* The manifest names the next increment, and all before it is on disk. */
/* The file was switched off meanwhile, so this is no failure of the rewrite. */
static void cancel_rewrite(void) {
    if (job.ok) close(job.fd);
    if (!only_incr) begun = AOF_FAILED;
    end_rewrite();
}

/* The manifest names the next increment, and all before it is on disk. */
static void job_switched(struct background_job *background) {
    (void)background;
    if (job.ok) adopt_manifest();
    if (status.state != AOF_ON) {
        cancel_rewrite();
    } else if (!job.ok) {
        aof_write_release();
        fail_to_begin();
    } else {
        log_notice("Creating AOF incr file %s on background rewrite", manifest_last_incr(&manifest)->name);
        aof_write_replace(job.fd);
        count_other_files();
        incr_wanted = false;
        if (only_incr)
            enter_stage(IDLE);
        else
            begin_child();
        aof_fit_increment(); /* the option may have changed again meanwhile */
    }
}

static void switch_files(void) {
    aof_write_hold();
    job.log_fd = aof_write_is_synced() ? -1 : aof_write_fd();
    give_job(SWITCHING, aof_job_switch, job_switched);
}

static void job_prepared(struct background_job *background) {
    (void)background;
    bool is_on = status.state == AOF_ON && aof_write_fd() >= 0;
    if (job.ok && is_on && aof_write_flush(true)) {
        switch_files();
        return;
    }
    if (job.ok) files_remove_later(aof_options.dirname, manifest_last_incr(&job.next)->name);
    if (!is_on) {
        cancel_rewrite();
        return;
    }
    if (job.ok) close(job.fd);
    fail_to_begin();
}

static void prepare_increment(void) {
    init_job();
    name_new_incr(&job.next);
    job.log_fd = aof_write_fd();
    give_job(PREPARING, aof_job_prepare, job_prepared);
}

static enum aof_begun prepare_rewrite(void) {
    if (aof_write_fd() < 0) return fail_to_begin();
    begun = AOF_BEGINS;
    status.rewrite_began_ms = clock_steady_ms();
    prepare_increment();
    return begun;
}

static void prepare_incr(void) {
    only_incr = true;
    opened_ms = clock_mono_us() / 1000;
    prepare_increment();
}

void aof_fit_increment(void) {
    incr_wanted = status.state == AOF_ON && aof_write_is_framed() != aof_write_options.checksums;
    if (incr_wanted && stage == IDLE && aof_write_fd() >= 0) prepare_incr();
}

enum aof_begun aof_rewrite(void) {
    if (child_running() != CHILD_NONE || stage != IDLE) return AOF_FAILED;
    status.rewrite_scheduled = false;
    only_incr = false;
    if (!aof_folder_make()) return fail_to_begin();
    if (status.state == AOF_ON) return prepare_rewrite();
    if (status.state == AOF_WAITING && !open_temp_incr()) return fail_to_begin();
    return begin_child();
}

void aof_schedule_rewrite(bool by_hand) {
    status.rewrite_scheduled = true;
    if (by_hand) status.failures = 0;
}

/* After some failures in a row, wait: keeping a full disk busy does not help. */
static bool rewrite_must_wait(int64_t now_s) {
    if (status.failures < FAILURES_TOLERATED) {
        backoff.delay_minutes = 0;
        backoff.next_s = 0;
        return false;
    }
    if (backoff.next_s) {
        if (now_s < backoff.next_s) return true;
        backoff.next_s = 0;
        return false;
    }
    backoff.delay_minutes = backoff.delay_minutes ? backoff.delay_minutes * 2 : 1;
    if (backoff.delay_minutes > DELAY_MAX_MINUTES) backoff.delay_minutes = DELAY_MAX_MINUTES;
    backoff.next_s = now_s + backoff.delay_minutes * 60;
    log_warning("Background AOF rewrite has repeatedly failed and triggered the limit, will retry in %d minutes",
                backoff.delay_minutes);
    return true;
}

static bool has_grown(double *growth) {
    if (status.state != AOF_ON || aof_options.rewrite_percent == 0) return false;
    int64_t size = aof_status().current_size, base = status.base_size ? status.base_size : 1;
    *growth = (double)size * 100 / (double)base - 100;
    return size > aof_options.rewrite_min_size && *growth >= aof_options.rewrite_percent;
}

void aof_tick(void) {
    int64_t now_s = clock_steady_ms() / 1000;
    double growth;
    if (stage != IDLE || child_running() != CHILD_NONE) return;
    if (tidying_wanted) {
        aof_remove_history();
    } else if (status.state == AOF_ON && aof_write_fd() < 0) {
        if (!must_rest()) open_again();
    } else if (status.rewrite_scheduled) {
        if (!rewrite_must_wait(now_s)) aof_rewrite();
    } else if (status.state == AOF_ON && incr_wanted) {
        if (!must_rest()) prepare_incr();
    } else if (has_grown(&growth) && !rewrite_must_wait(now_s)) {
        log_notice("Starting automatic rewriting of AOF on %.0f%% growth", growth);
        aof_rewrite();
    }
}

/* --- On and off ------------------------------------------------------------------------------ */

static bool start_now(void) {
    if (stage == WRITING) {
        log_warning("AOF was enabled but there is already an AOF rewriting in background. Stopping background AOF and "
                    "starting a rewrite now.");
        child_kill();
    }
    if (aof_rewrite() != AOF_FAILED) return true;
    status.state = AOF_OFF;
    log_warning("Redis needs to enable the AOF but can't trigger a background AOF rewrite operation. Check the above "
                "logs for more info about the error.");
    return false;
}

bool aof_start(bool later) {
    if (status.state != AOF_OFF) return true;
    bool is_busy = stage == WRITING ? false : stage != IDLE || child_running() != CHILD_NONE;
    status.state = AOF_WAITING;
    if (is_busy) {
        status.rewrite_scheduled = true;
        log_warning("AOF was enabled but there is already another background operation. An AOF background was "
                    "scheduled to start when possible.");
    } else if (later) {
        status.rewrite_scheduled = true;
        log_warning("AOF was enabled during a transaction. An AOF background was scheduled to start when possible.");
    } else if (!start_now()) {
        return false;
    }
    aof_write_forget_errors();
    return true;
}

/* What the worker has begun goes on: its report will find the file switched off. */
void aof_stop(void) {
    bool waiting = status.state == AOF_WAITING;
    if (status.state == AOF_OFF) return;
    aof_write_release();
    if (aof_write_is_open() && !waiting) {
        aof_write_flush(true);
        aof_write_sync_last();
    }
    aof_write_end();
    status.state = AOF_OFF;
    status.rewrite_scheduled = false;
    status.current_size = status.base_size = 0;
    no_base = 0;
    if (stage == WRITING) {
        log_notice("Killing running AOF rewrite child: %ld", (long)child_pid());
        child_kill();
    }
    if (waiting) drop_temp_incr();
}

static void write_last(void) {
    aof_write_flush(true);
    aof_write_tell_place();
    aof_write_flush(true);
}

/* The end may come inside of a unit: SHUTDOWN NOSAVE while a script is busy. Then nothing of the unit is written, and
 * what waits before it was acknowledged to nobody. */
void aof_end(void) {
    if (!aof_collects()) return;
    log_notice("Calling fsync() on the AOF file.");
    aof_write_release();
    if (!aof_write_is_in_unit()) write_last();
    if (!aof_write_sync_now()) log_warning("Fail to fsync the AOF file: %s.", strerror(errno));
}
