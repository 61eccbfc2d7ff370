/* See snapshot_lock.h. A server that ends may remove the file between the moment another one opens it and the moment it
 * gets the lock: so a lock counts only if its file still has the name. */
#include "durable/snapshot_lock.h"
#include "base/log.h"
#include "disk/lock.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ATTEMPTS 10

static bool started, has_points;
static char snapshot[NAME_MAX + 1]; /* its name */
static struct {
    struct lock lock;
    int folder; /* where the file is, which stays so when dir changes */
    char name[NAME_MAX + 1];
} held = {.lock.fd = -1, .folder = -1};

static void release_held(void) {
    if (held.lock.fd >= 0) unlinkat(held.folder, held.name, 0); /* the lock is still held: nobody else uses the file */
    lock_release(&held.lock);
    if (held.folder >= 0) close(held.folder);
    held.folder = -1;
}

/* In a folder like /tmp a file of another user can be opened, but not with O_CREAT. */
static int open_file(const char *name) {
    int fd = open(name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 || errno != ENOENT) return fd;
    return open(name, O_RDONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
}

static bool has_name(const struct lock *lock, const char *name) {
    struct stat about;
    return lstat(name, &about) == 0 && about.st_dev == lock->device && about.st_ino == lock->inode;
}

static enum lock_result take_lock(struct lock *lock, const char *name, pid_t *holder) {
    enum lock_result result = LOCK_NONE;
    for (int i = 0; i < ATTEMPTS; i++) {
        result = lock_take(lock, open_file(name), holder);
        if (result != LOCK_TAKEN || has_name(lock, name)) return result;
        lock_release(lock);
    }
    return result;
}

static bool refuse_second(pid_t holder) {
    char who[32] = "another process", folder[PATH_MAX];
    if (holder) snprintf(who, sizeof who, "the process %ld", (long)holder);
    log_warning(
        "The snapshot %s in %s is in use by %s: two servers would overwrite each other's data. Give each server "
        "a dir or a dbfilename of its own, or set save \"\".",
        snapshot, getcwd(folder, sizeof folder) ? folder : ".", who);
    return false;
}

bool snapshot_lock_fit(const char **error) {
    struct lock lock = {.fd = -1};
    char name[NAME_MAX + 1];
    pid_t holder;
    if (!started) return true;
    if (!has_points) {
        release_held();
        return true;
    }
    snprintf(name, sizeof name, ".%.*s.lock", NAME_MAX - 6, snapshot);
    if (held.lock.fd >= 0 && has_name(&held.lock, name)) return true;
    *error = "Another server saves to this file. Check server logs.";
    enum lock_result result = take_lock(&lock, name, &holder);
    if (result == LOCK_BUSY) return refuse_second(holder);
    if (result == LOCK_NONE) log_notice("Can't lock the snapshot %s: %s", snapshot, strerror(errno));
    release_held();
    if (result == LOCK_NONE) return true;
    held.lock = lock;
    held.folder = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    memcpy(held.name, name, sizeof name);
    return true;
}

bool snapshot_lock_points(bool any, const char **error) {
    bool before = has_points;
    has_points = any;
    if (snapshot_lock_fit(error)) return true;
    has_points = before;
    return false;
}

bool snapshot_lock_name(const char *name, const char **error) {
    char before[sizeof snapshot];
    memcpy(before, snapshot, sizeof before);
    snprintf(snapshot, sizeof snapshot, "%s", name);
    if (snapshot_lock_fit(error)) return true;
    memcpy(snapshot, before, sizeof before);
    return false;
}

bool snapshot_lock_start(void) {
    const char *error;
    started = true;
    return snapshot_lock_fit(&error);
}

void snapshot_lock_end(void) {
    release_held();
    started = false;
}
