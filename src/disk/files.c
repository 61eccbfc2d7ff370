/* Paths are put together on the stack. Interrupted and short system calls are continued. */
#include "disk/files.h"
#include "base/worker.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_STEP 65536

static bool join_path(const char *dir, const char *name, char path[PATH_MAX]) {
    int n = dir && dir[0] ? snprintf(path, PATH_MAX, "%s/%s", dir, name) : snprintf(path, PATH_MAX, "%s", name);
    if (n >= 0 && n < PATH_MAX) return true;
    errno = ENAMETOOLONG;
    return false;
}

int files_open(const char *dir, const char *name, int flags) {
    char path[PATH_MAX];
    return join_path(dir, name, path) ? open(path, flags | O_CLOEXEC, 0644) : -1;
}

int64_t files_size(const char *dir, const char *name) {
    char path[PATH_MAX];
    struct stat about;
    return join_path(dir, name, path) && stat(path, &about) == 0 ? (int64_t)about.st_size : -1;
}

bool files_exists(const char *dir, const char *name) {
    return files_size(dir, name) >= 0;
}

bool files_rename(const char *from_dir, const char *from, const char *to_dir, const char *to) {
    char old_path[PATH_MAX], new_path[PATH_MAX];
    return join_path(from_dir, from, old_path) && join_path(to_dir, to, new_path) && rename(old_path, new_path) == 0;
}

bool files_make_dir(const char *dir) {
    struct stat about;
    if (mkdir(dir, 0755) == 0) return true;
    if (errno != EEXIST || stat(dir, &about) < 0) return false;
    if (S_ISDIR(about.st_mode)) return true;
    errno = ENOTDIR;
    return false;
}

/* Some file systems do not know this, and so there is nothing to do. */
static bool is_unknown(int reason) {
    return reason == EINVAL || reason == EBADF || reason == ENOTSUP || reason == ENOSYS;
}

bool files_sync_dir(const char *dir) {
    int fd = open(dir && dir[0] ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return false;
    bool ok = fsync(fd) == 0 || is_unknown(errno);
    int reason = errno;
    close(fd);
    errno = reason;
    return ok;
}

/* The kernel frees the blocks of a removed file when its last descriptor is closed. */
static void close_descriptor(void *fd) {
    close((int)(intptr_t)fd);
}

void files_remove_later(const char *dir, const char *name) {
    char path[PATH_MAX];
    int reason = errno;
    if (!join_path(dir, name, path)) return;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    unlink(path);
    if (fd >= 0) worker_submit(close_descriptor, (void *)(intptr_t)fd);
    errno = reason;
}

bool files_write_all(int fd, const void *bytes, size_t n) {
    const char *p = bytes;
    while (n > 0) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        p += done;
        n -= (size_t)done;
    }
    return true;
}

bool files_read_all(int fd, struct buf *out) {
    for (;;) {
        ssize_t got = read(fd, buf_reserve(out, READ_STEP), READ_STEP);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return got == 0;
        out->len += (size_t)got;
    }
}
