/* For LD_PRELOAD: the order of writes, syncs, renames, cuts and removals decides what a power cut leaves. Each of them
 * adds a line to the file that DISK_TRACE names: "<pid> write|sync|rename|truncate|remove <name of the file>". Writes
 * are noted only if they begin a frame of the append-only file. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static ssize_t real_write(int fd, const void *bytes, size_t n) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    return real(fd, bytes, n);
}

static void note(const char *what, const char *path) {
    char line[PATH_MAX + 64];
    const char *file = getenv("DISK_TRACE"), *slash = strrchr(path, '/');
    int reason = errno;
    if (file == NULL) return;
    int fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644); /* a forked child has closed what was open */
    int n = snprintf(line, sizeof line, "%d %s %s\n", (int)getpid(), what, slash ? slash + 1 : path);
    if (fd >= 0 && real_write(fd, line, (size_t)n) != n) abort();
    if (fd >= 0) close(fd);
    errno = reason;
}

static void note_fd(const char *what, int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0 || path[0] != '/') return;
    path[n] = '\0';
    note(what, path);
}

static int sync_by(const char *name, int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    int result = real(fd);
    note_fd("sync", fd);
    return result;
}

int fsync(int fd) {
    return sync_by("fsync", fd);
}

int fdatasync(int fd) {
    return sync_by("fdatasync", fd);
}

ssize_t write(int fd, const void *bytes, size_t n) {
    if (n >= 3 && memcmp(bytes, "#K:", 3) == 0) note_fd("write", fd);
    return real_write(fd, bytes, n);
}

int ftruncate(int fd, off_t length) {
    int (*real)(int, off_t) = (int (*)(int, off_t))dlsym(RTLD_NEXT, "ftruncate");
    int result = real(fd, length);
    note_fd("truncate", fd);
    return result;
}

int unlink(const char *path) {
    int (*real)(const char *) = (int (*)(const char *))dlsym(RTLD_NEXT, "unlink");
    int result = real(path);
    note("remove", path);
    return result;
}

int rename(const char *from, const char *to) {
    int (*real)(const char *, const char *) = (int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename");
    int result = real(from, to);
    note("rename", to);
    return result;
}
