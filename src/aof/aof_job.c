/* See aof_job.h. Rules for each job: names are on disk before the manifest names them, and files are removed only when
 * a manifest without them is on disk. */
#include "aof/aof_job.h"
#include "aof/aof_folder.h"
#include "aof/aof_load.h"
#include "aof/aof_write.h"
#include "base/log.h"
#include "disk/files.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static struct aof_job *job_of(struct background_job *background) {
    return (struct aof_job *)background;
}

void aof_job_free(struct aof_job *j) {
    manifest_free(&j->former);
    manifest_free(&j->next);
}

static const char *last_name(const struct manifest *m) {
    const struct manifest_file *last = manifest_last_incr(m);
    return last ? last->name : "";
}

/* Remove a file after saving the manifest that names it has failed. If that failed at its last step, the new manifest
 * may be in place all the same, so the former one is restored first; if that fails too, the file stays. */
static void discard(const struct aof_job *j, const char *name) {
    int reason = errno;
    if (aof_folder_save(&j->former)) files_remove_later(aof_options.dirname, name);
    errno = reason;
}

static void finish(struct aof_job *j, bool ok) {
    j->error = ok ? 0 : errno;
    j->ok = ok;
}

static bool sync_log(const struct aof_job *j) {
    if (j->log_fd < 0 || aof_write_sync_file(j->log_fd)) return true;
    log_warning("Can't bring the AOF to disk before a new file is begun: %s", strerror(errno));
    return false;
}

/* --- Opening --------------------------------------------------------------------------------- */

static bool open_incr(struct aof_job *j, int flags) {
    const char *name = last_name(&j->next);
    j->fd = files_open(aof_options.dirname, name, O_WRONLY | O_APPEND | flags);
    j->fd_size = j->fd < 0 ? 0 : lseek(j->fd, 0, SEEK_END);
    if (j->fd >= 0) return true;
    if (!j->quiet) log_warning("Can't open the append-only file %s: %s", name, strerror(errno));
    return false;
}

static void close_incr(struct aof_job *j) {
    int reason = errno;
    if (j->fd >= 0) close(j->fd);
    j->fd = -1;
    errno = reason;
}

static bool make_incr(struct aof_job *j) {
    return open_incr(j, O_CREAT | O_TRUNC | O_NOFOLLOW) && aof_folder_sync();
}

static bool make_and_name_incr(struct aof_job *j) {
    if (make_incr(j) && aof_folder_save(&j->next)) return true;
    if (j->fd >= 0) discard(j, last_name(&j->next));
    return false;
}

void aof_job_open(struct background_job *background) {
    struct aof_job *j = job_of(background);
    bool is_there = strcmp(last_name(&j->former), last_name(&j->next)) == 0;
    j->fd = -1;
    bool ok = aof_load_cut_owed(j->quiet) && (is_there ? open_incr(j, 0) : make_and_name_incr(j));
    if (!ok) close_incr(j);
    finish(j, ok);
}

/* --- The next increment ---------------------------------------------------------------------- */

void aof_job_prepare(struct background_job *background) {
    struct aof_job *j = job_of(background);
    j->fd = -1;
    bool ok = make_incr(j) && sync_log(j) && manifest_prepare(aof_options.dirname, aof_folder_manifest(), &j->next);
    if (!ok && j->fd >= 0) files_remove_later(aof_options.dirname, last_name(&j->next));
    if (!ok) close_incr(j);
    finish(j, ok);
}

void aof_job_switch(struct background_job *background) {
    struct aof_job *j = job_of(background);
    bool ok = sync_log(j) && manifest_commit(aof_options.dirname, aof_folder_manifest());
    if (!ok) discard(j, last_name(&j->next));
    if (!ok) close_incr(j);
    finish(j, ok);
}

/* --- The end of a rewrite -------------------------------------------------------------------- */

static bool rename_base(const struct aof_job *j) {
    const char *base = manifest_base(&j->next)->name;
    if (files_rename("", j->temp_base, aof_options.dirname, base)) {
        log_notice("Successfully renamed the temporary AOF base file %s into %s", j->temp_base, base);
        return true;
    }
    log_warning("Error trying to rename the temporary AOF base file %s into %s/%s: %s", j->temp_base,
                aof_options.dirname, base, strerror(errno));
    return false;
}

static bool rename_incr(const struct aof_job *j) {
    const char *incr = last_name(&j->next), *temp = aof_folder_temp_incr();
    if (!j->has_temp_incr) return true;
    if (files_rename(aof_options.dirname, temp, aof_options.dirname, incr)) {
        log_notice("Successfully renamed the temporary AOF incr file %s into %s", temp, incr);
        return true;
    }
    log_warning("Error trying to rename the temporary AOF incr file %s into %s/%s: %s", temp, aof_options.dirname, incr,
                strerror(errno));
    return false;
}

static void remove_history(struct aof_job *j) {
    bool any = false;
    for (size_t i = 0; i < j->next.count && !j->keep_history; i++) {
        if (j->next.files[i].type != MANIFEST_HISTORY) continue;
        log_notice("Removing the history file %s in the background", j->next.files[i].name);
        files_remove_later(aof_options.dirname, j->next.files[i].name);
        any = true;
    }
    if (!any) return;
    manifest_drop_history(&j->next);
    aof_folder_save(&j->next);
}

void aof_job_place(struct background_job *background) {
    struct aof_job *j = job_of(background);
    if (!rename_base(j)) {
        finish(j, false);
        return;
    }
    bool ok = rename_incr(j) && aof_folder_sync() && aof_folder_save(&j->next);
    finish(j, ok);
    if (ok) {
        remove_history(j);
        return;
    }
    discard(j, manifest_base(&j->next)->name);
    if (j->has_temp_incr) discard(j, last_name(&j->next));
}

void aof_job_remove_history(struct background_job *background) {
    struct aof_job *j = job_of(background);
    remove_history(j);
    finish(j, true);
}
