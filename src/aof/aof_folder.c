/* See aof_folder.h. Invariant: no file is removed or overwritten here, or named by a new manifest, that may hold data
 * and that the present manifest does not name. */
#include "aof/aof_folder.h"
#include "aof/aof_load.h"
#include "base/log.h"
#include "disk/files.h"
#include "disk/lock.h"
#include "store/db.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define SMALL 4096 /* bytes of a file that may hold nothing: a snapshot of no keys takes about 100 */

static struct lock lock = {.fd = -1};
static bool is_new; /* the name of the folder is not on disk yet */

/* The options of the names do not change while the server runs, so the worker may call these, too. */
static const char *name_of(char name[512], const char *form) {
    if (!name[0]) snprintf(name, 512, form, aof_options.filename);
    return name;
}

const char *aof_folder_manifest(void) {
    static char name[512];
    return name_of(name, "%s.manifest");
}

const char *aof_folder_temp_incr(void) {
    static char name[512];
    return name_of(name, "temp-%s.incr");
}

/* --- The folder ------------------------------------------------------------------------------ */

static void refuse_second(pid_t holder) {
    char who[32] = "another process";
    if (holder) snprintf(who, sizeof who, "the process %ld", (long)holder);
    log_warning("The append-only dir %s is in use by %s: two servers would lose each other's writes. Give each server "
                "a dir or an appenddirname of its own.",
                aof_options.dirname, who);
}

bool aof_folder_lock(void) {
    pid_t holder;
    int fd = files_open("", aof_options.dirname, O_RDONLY | O_DIRECTORY);
    if (fd < 0 && errno == ENOENT) return true;
    switch (lock_take(&lock, fd, &holder)) {
    case LOCK_TAKEN: return true;
    case LOCK_BUSY: refuse_second(holder); return false;
    case LOCK_NONE: log_warning("Can't lock the append-only dir %s: %s", aof_options.dirname, strerror(errno)); break;
    }
    return true;
}

bool aof_folder_make(void) {
    bool is_there = files_exists("", aof_options.dirname);
    if (!files_make_dir(aof_options.dirname)) {
        log_warning("Can't open or create append-only dir %s: %s", aof_options.dirname, strerror(errno));
        return false;
    }
    if (!is_there) is_new = true;
    return aof_folder_lock();
}

bool aof_folder_sync(void) {
    if (!files_sync_dir(aof_options.dirname) || (is_new && !files_sync_dir(""))) return false;
    is_new = false;
    return true;
}

bool aof_folder_save(const struct manifest *m) {
    return manifest_save(aof_options.dirname, aof_folder_manifest(), m);
}

void aof_folder_sweep(void) {
    char prefix[512];
    DIR *dir = opendir(aof_options.dirname);
    int n = snprintf(prefix, sizeof prefix, "temp-%s.", aof_options.filename);
    if (!dir) return;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (strncmp(entry->d_name, prefix, (size_t)n) != 0) continue;
        log_notice("Removing the file %s/%s, which a process that is dead has left", aof_options.dirname,
                   entry->d_name);
        files_remove_later(aof_options.dirname, entry->d_name);
    }
    closedir(dir);
}

/* --- Files that no manifest names ------------------------------------------------------------ */

bool aof_folder_taken(const char *name) {
    if (files_size(aof_options.dirname, name) <= 0) return false;
    log_warning("The file %s/%s holds data, and the manifest does not name it. It is left alone: remove it if you do "
                "not need it.",
                aof_options.dirname, name);
    return true;
}

/* "<appendfilename>.<number>.base.rdb" and so on */
static bool is_data_name(const char *name) {
    size_t prefix = strlen(aof_options.filename);
    if (strncmp(name, aof_options.filename, prefix) != 0 || name[prefix] != '.') return false;
    const char *number = name + prefix + 1, *suffix = number + strspn(number, "0123456789");
    return suffix > number &&
           (strcmp(suffix, ".base.rdb") == 0 || strcmp(suffix, ".base.aof") == 0 || strcmp(suffix, ".incr.aof") == 0);
}

/* A start that was cut short before the manifest existed leaves an empty increment and a base without keys. */
static bool holds_nothing(const char *name, int64_t size, const struct aof_reader_hooks *hooks) {
    struct aof_reader_hooks only_base = {.read_base = hooks->read_base, .ctx = hooks->ctx};
    struct aof_finding found;
    if (size == 0) return true;
    if (size < 0 || size > SMALL || db_keys() > 0) return false;
    return aof_read(aof_options.dirname, name, &only_base, &found) == AOF_READ_OK && found.commands == 0 &&
           db_keys() == 0;
}

static void advise(void) {
    log_warning(
        "The manifest %s/%s is not there, but files with data are, and kura does not guess which of them belong "
        "together. Put the manifest back from a backup. Or write it anew: a line \"file <name> seq <number> "
        "type b\" for the newest base, and a line \"file <name> seq <number> type i\" for each increment that "
        "was begun after that base, oldest first. Or move the files elsewhere to start without them.",
        aof_options.dirname, aof_folder_manifest());
}

bool aof_folder_has_lost_files(const struct aof_reader_hooks *hooks) {
    bool any = false;
    DIR *dir = opendir(aof_options.dirname);
    if (!dir) return false;
    for (struct dirent *entry; (entry = readdir(dir));) {
        const char *name = entry->d_name;
        int64_t size = is_data_name(name) ? files_size(aof_options.dirname, name) : 0;
        if (size == 0 || holds_nothing(name, size, hooks)) continue;
        log_warning("Found the file %s/%s of %lld bytes", aof_options.dirname, name, (long long)size);
        any = true;
    }
    closedir(dir);
    if (any) advise();
    return any;
}
