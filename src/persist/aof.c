/* No part of the dataset is ever overwritten. Files are only appended to, and the manifest is replaced by a rename
 * after all that it names is on disk. If the process dies in between, it leaves at most files that no manifest
 * names. */
#include "persist/aof.h"
#include "base/clock.h"
#include "base/log.h"
#include "persist/aof_load.h"
#include "persist/aof_rewrite.h"
#include "persist/aof_write.h"
#include "persist/child.h"
#include "persist/files.h"
#include "persist/manifest.h"
#include "persist/rdb.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FAILURES_TOLERATED 3 /* in a row; after more, automatic rewrites wait for 1 minute, 2, 4 ... */
#define DELAY_MAX_MINUTES 60

static struct manifest manifest;
static struct aof_status status = {.rewrite_took_s = -1}; /* current_size: without the file being written */
static struct {
    int delay_minutes;
    int64_t next_s;
} backoff;

struct aof_status aof_status(void) {
    struct aof_status shown = status;
    shown.current_size += aof_write_metrics().file_bytes;
    return shown;
}

bool aof_collects(void) {
    return status.state != AOF_OFF && aof_write_is_open();
}

static const char *manifest_name(void) {
    static char name[512];
    snprintf(name, sizeof name, "%s.manifest", aof_options.filename);
    return name;
}

static const char *temp_incr_name(void) {
    static char name[512];
    snprintf(name, sizeof name, "temp-%s.incr", aof_options.filename);
    return name;
}

static const char *temp_base_name(pid_t pid) {
    static char name[64];
    snprintf(name, sizeof name, "temp-rewriteaof-bg-%d.aof", (int)pid);
    return name;
}

/* The directory's own name must be on disk too, or a power cut loses all files in it. */
static bool make_dir(void) {
    bool is_there = files_exists("", aof_options.dirname);
    if (files_make_dir(aof_options.dirname) && (is_there || files_sync_dir(""))) return true;
    log_warning("Can't open or create append-only dir %s: %s", aof_options.dirname, strerror(errno));
    return false;
}

static bool save_manifest(const struct manifest *m) {
    return manifest_save(aof_options.dirname, manifest_name(), m);
}

/* Remove a file after saving the manifest that names it has failed. If manifest_save() failed at its last step, the new
 * manifest may be in place all the same, so the old one is restored first; if that fails too, the file stays. */
static void discard_file(const char *name) {
    if (save_manifest(&manifest)) files_remove_later(aof_options.dirname, name);
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

/* --- at start-up ----------------------------------------------------------------------------- */

/* Versions before 7 had one file, outside the directory. It becomes the base. */
static bool is_upgrade(void) {
    if (!files_exists("", aof_options.filename)) return false;
    if (manifest_live(&manifest) == 0) return true;
    const struct manifest_file *base = manifest_base(&manifest);
    return base && manifest_live(&manifest) == 1 && strcmp(base->name, aof_options.filename) == 0 &&
           !files_exists(aof_options.dirname, aof_options.filename);
}

static bool upgrade_old_file(void) {
    if (!make_dir()) return false;
    manifest_adopt_base(&manifest, aof_options.filename);
    if (!save_manifest(&manifest)) return false;
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
    manifest_free(&manifest);
    if (!aof_load_manifest(manifest_name(), &manifest)) return AOF_LOAD_FAILED;
    if (is_upgrade() && !upgrade_old_file()) return AOF_LOAD_FAILED;
    if (manifest_live(&manifest) == 0) return AOF_LOAD_NOTHING;
    enum aof_load result = aof_load_files(&manifest, hooks);
    const struct manifest_file *base = manifest_base(&manifest);
    int64_t base_size = base ? files_size(aof_options.dirname, base->name) : 0;
    status.base_size = base_size > 0 ? base_size : 0;
    return result;
}

static void report_progress(void *ctx, uint64_t keys, uint64_t bytes) {
    (void)ctx;
    (void)bytes;
    child_report((size_t)keys);
}

/* Write a base to this file. False: failed (logged). */
static bool write_base(const char *dir, const char *name) {
    int fd = files_open(dir, name, O_WRONLY | O_CREAT | O_TRUNC);
    if (fd < 0) {
        log_warning("Opening the temp file for AOF rewrite in rewriteAppendOnlyFile(): %s", strerror(errno));
        return false;
    }
    bool fine;
    if (aof_options.base_is_rdb) {
        struct rdb_write job = {.fd = fd, .flags = RDB_AOF_BASE, .progress = report_progress};
        fine = rdb_write(&job);
        errno = job.error;
    } else {
        fine = aof_rewrite_commands(fd, aof_options.incremental_sync);
    }
    int reason = errno;
    if (close(fd) < 0 && fine) {
        fine = false;
        reason = errno;
    }
    if (!fine) log_warning("Write error writing append only file on disk: %s", strerror(reason));
    return fine;
}

static int open_incr(const char *name, int flags) {
    int fd = files_open(aof_options.dirname, name, O_WRONLY | O_APPEND | O_CREAT | flags);
    if (fd < 0) log_warning("Can't open the append-only file %s: %s", name, strerror(errno));
    return fd;
}

static void remove_history(void) {
    bool any = false;
    for (size_t i = 0; i < manifest.count && !aof_options.keep_history; i++) {
        if (manifest.files[i].type != MANIFEST_HISTORY) continue;
        log_notice("Removing the history file %s in the background", manifest.files[i].name);
        files_remove_later(aof_options.dirname, manifest.files[i].name);
        any = true;
    }
    if (!any) return;
    manifest_drop_history(&manifest);
    save_manifest(&manifest);
}

void aof_open(void) {
    if (!make_dir()) _exit(1);
    if (manifest_live(&manifest) == 0) {
        const char *base = manifest_new_base(&manifest, aof_options.filename, aof_options.base_is_rdb);
        if (!write_base(aof_options.dirname, base)) _exit(1);
        log_notice("Creating AOF base file %s on server start", base);
        status.base_size = files_size(aof_options.dirname, base);
    }
    const struct manifest_file *last = manifest_last_incr(&manifest);
    const char *name = last ? last->name : manifest_new_incr(&manifest, aof_options.filename);
    int fd = open_incr(name, 0);
    if (fd < 0 || !save_manifest(&manifest)) _exit(1);
    log_notice("%s AOF incr file %s on server start", last ? "Opening" : "Creating", name);
    aof_write_begin(fd, files_size(aof_options.dirname, name));
    status.state = AOF_ON;
    count_other_files();
    remove_history();
}

/* --- the end of a rewrite -------------------------------------------------------------------- */

static int rewrite_in_child(void *ctx) {
    (void)ctx;
    const char *name = temp_base_name(getpid());
    if (!write_base("", name)) return 1;
    log_notice("Successfully created the temporary AOF base file %s", name);
    return 0;
}

static bool place_base(struct manifest *m, pid_t pid) {
    const char *base = manifest_new_base(m, aof_options.filename, aof_options.base_is_rdb), *temp = temp_base_name(pid);
    if (!files_rename("", temp, aof_options.dirname, base)) {
        log_warning("Error trying to rename the temporary AOF base file %s into %s/%s: %s", temp, aof_options.dirname,
                    base, strerror(errno));
        return false;
    }
    log_notice("Successfully renamed the temporary AOF base file %s into %s", temp, base);
    return true;
}

static bool place_incr(struct manifest *m) {
    const char *incr = manifest_new_incr(m, aof_options.filename);
    if (!files_rename(aof_options.dirname, temp_incr_name(), aof_options.dirname, incr)) {
        log_warning("Error trying to rename the temporary AOF incr file %s into %s/%s: %s", temp_incr_name(),
                    aof_options.dirname, incr, strerror(errno));
        return false;
    }
    log_notice("Successfully renamed the temporary AOF incr file %s into %s", temp_incr_name(), incr);
    return true;
}

/* Rename the files of the child and the parent into their places, and save a manifest that names them. */
static bool put_in_place(struct manifest *m, pid_t pid) {
    bool waiting = status.state == AOF_WAITING;
    if (!place_base(m, pid)) return false;
    if (waiting && !place_incr(m)) {
        files_remove_later(aof_options.dirname, manifest_base(m)->name);
        return false;
    }
    manifest_retire_incrs(m, status.state == AOF_OFF ? 0 : 1);
    if (files_sync_dir(aof_options.dirname) && save_manifest(m)) return true;
    discard_file(manifest_base(m)->name);
    if (waiting) discard_file(manifest_last_incr(m)->name);
    return false;
}

static bool finish_rewrite(pid_t pid) {
    struct manifest next;
    log_notice("Background AOF rewrite terminated with success");
    manifest_copy(&next, &manifest);
    if (!put_in_place(&next, pid)) {
        manifest_free(&next);
        return false;
    }
    manifest_free(&manifest);
    manifest = next;
    if (status.state != AOF_OFF) {
        status.state = AOF_ON;
        count_other_files();
        status.base_size = aof_status().current_size;
    }
    remove_history();
    log_notice("Background AOF rewrite finished successfully");
    return true;
}

static void drop_temp_incr(void) {
    aof_write_end();
    if (!files_exists(aof_options.dirname, temp_incr_name())) return;
    log_notice("Removing the temp incr aof file %s in the background", temp_incr_name());
    files_remove_later(aof_options.dirname, temp_incr_name());
}

static void count_result(bool fine) {
    status.failures = fine ? 0 : status.failures + 1;
    status.rewrite_failed = !fine;
}

static void rewrite_done(void *ctx, const struct child_end *end) {
    (void)ctx;
    bool fine = false;
    if (end->signal)
        log_warning("Background AOF rewrite terminated by signal %d", end->signal);
    else if (end->status)
        log_warning("Background AOF rewrite terminated with error");
    else
        fine = finish_rewrite(end->pid);
    if (end->signal != SIGUSR1) count_result(fine); /* child_kill() is no failure */
    if (!fine && files_exists("", temp_base_name(end->pid))) files_remove_later("", temp_base_name(end->pid));
    status.rewrite_took_s = time(NULL) - status.rewrite_began_s;
    status.rewrite_began_s = 0;
    if (status.state != AOF_WAITING) return;
    drop_temp_incr();
    status.rewrite_scheduled = true;
}

/* --- the beginning of a rewrite -------------------------------------------------------------- */

/* Buffered commands still belong to the old file, and all of it must be on disk before the manifest names another file:
 * only the last file may have a torn end, and a later file must never survive a power cut without the earlier ones. */
static bool close_former(void) {
    if (aof_write_flush(true) && aof_write_sync_now()) return true;
    log_warning("Can't bring the AOF to disk before a new file is begun: %s", strerror(errno));
    return false;
}

/* In AOF_WAITING the manifest names the increment only when the base exists, which holds all that came before the
 * fork. */
static bool open_temp_incr(void) {
    int fd = open_incr(temp_incr_name(), O_TRUNC);
    if (fd < 0) return false;
    log_notice("Creating AOF incr file %s on background rewrite", temp_incr_name());
    aof_write_begin(fd, 0);
    return true;
}

/* From now on commands go to a new increment. The base that the child writes does not contain them. */
static bool open_next_incr(void) {
    struct manifest next;
    manifest_copy(&next, &manifest);
    const char *name = manifest_new_incr(&next, aof_options.filename);
    int fd = open_incr(name, O_TRUNC);
    if (fd >= 0 && close_former() && save_manifest(&next)) {
        log_notice("Creating AOF incr file %s on background rewrite", name);
        aof_write_end();
        aof_write_begin(fd, 0);
        manifest_free(&manifest);
        manifest = next;
        count_other_files();
        return true;
    }
    if (fd >= 0) {
        close(fd);
        discard_file(name);
    }
    manifest_free(&next);
    return false;
}

static bool begin_incr(void) {
    if (!make_dir()) return false;
    if (status.state == AOF_OFF) return true;
    return status.state == AOF_WAITING ? open_temp_incr() : open_next_incr();
}

static size_t count_keys(void) {
    size_t keys = 0;
    for (int i = 0; i < db_count(); i++)
        keys += db_size(db_at(i));
    return keys;
}

bool aof_rewrite(void) {
    struct child_job job = {.kind = CHILD_AOF, .run = rewrite_in_child, .done = rewrite_done, .keys = count_keys()};
    if (child_running() != CHILD_NONE) return false;
    status.rewrite_scheduled = false;
    if (!begin_incr()) {
        count_result(false);
        return false;
    }
    status.rewrites++;
    if (!child_start(&job)) {
        log_warning("Can't rewrite append only file in background: fork: %s", strerror(errno));
        count_result(false);
        if (status.state == AOF_WAITING) drop_temp_incr();
        return false;
    }
    log_notice("Background append only file rewriting started by pid %ld", (long)child_pid());
    status.rewrite_began_s = time(NULL);
    return true;
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

void aof_tick(void) {
    int64_t now_s = clock_now_ms() / 1000;
    if (child_running() != CHILD_NONE) return;
    if (status.rewrite_scheduled) {
        if (!rewrite_must_wait(now_s)) aof_rewrite();
        return;
    }
    if (status.state != AOF_ON || aof_options.rewrite_percent == 0) return;
    int64_t size = aof_status().current_size, base = status.base_size ? status.base_size : 1;
    if (size <= aof_options.rewrite_min_size) return;
    double growth = (double)size * 100 / (double)base - 100;
    if (growth < aof_options.rewrite_percent || rewrite_must_wait(now_s) || !aof_write_sync_ahead()) return;
    log_notice("Starting automatic rewriting of AOF on %.0f%% growth", growth);
    aof_rewrite();
}

/* --- on and off ------------------------------------------------------------------------------ */

static bool start_now(void) {
    if (child_running() == CHILD_AOF) {
        log_warning("AOF was enabled but there is already an AOF rewriting in background. Stopping background AOF and "
                    "starting a rewrite now.");
        child_kill();
    }
    if (aof_rewrite()) return true;
    status.state = AOF_OFF;
    log_warning("Redis needs to enable the AOF but can't trigger a background AOF rewrite operation. Check the above "
                "logs for more info about the error.");
    return false;
}

bool aof_start(bool later) {
    if (status.state != AOF_OFF) return true;
    enum child_kind child = child_running();
    status.state = AOF_WAITING;
    if (child != CHILD_NONE && child != CHILD_AOF) {
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

void aof_stop(void) {
    bool waiting = status.state == AOF_WAITING;
    if (status.state == AOF_OFF) return;
    if (aof_write_is_open() && !waiting) {
        aof_write_flush(true);
        if (!aof_write_sync_now()) log_warning("Fail to fsync the AOF file: %s", strerror(errno));
    }
    aof_write_end();
    status.state = AOF_OFF;
    status.rewrite_scheduled = false;
    status.current_size = status.base_size = 0;
    if (child_running() == CHILD_AOF) {
        log_notice("Killing running AOF rewrite child: %ld", (long)child_pid());
        child_kill();
    }
    if (waiting) drop_temp_incr();
}

void aof_end(void) {
    if (!aof_collects()) return;
    log_notice("Calling fsync() on the AOF file.");
    aof_write_flush(true);
    if (!aof_write_sync_now()) log_warning("Fail to fsync the AOF file: %s.", strerror(errno));
}
