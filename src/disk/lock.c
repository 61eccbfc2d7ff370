/* flock(2) does not tell the holder; the kernel's list of locks does. */
#include "disk/lock.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The list names devices as the kernel numbers them, which may differ from what stat(2) says (btrfs, overlays). So the
 * inode decides. */
static pid_t find_holder(ino_t inode) {
    FILE *file = fopen("/proc/locks", "re");
    char line[256], kind[16];
    long pid, found = 0;
    unsigned long long node;
    if (!file) return 0;
    while (!found && fgets(line, sizeof line, file)) {
        int n = sscanf(line, "%*d: %15s %*s %*s %ld %*x:%*x:%llu", kind, &pid, &node);
        if (n == 3 && strcmp(kind, "FLOCK") == 0 && node == inode && pid > 0) found = pid;
    }
    fclose(file);
    return (pid_t)found;
}

static enum lock_result refuse(int fd, enum lock_result result, int reason) {
    close(fd);
    errno = reason;
    return result;
}

enum lock_result lock_take(struct lock *l, int fd, pid_t *holder) {
    struct stat about;
    *holder = 0;
    if (fd < 0) return LOCK_NONE;
    if (fstat(fd, &about) < 0) return refuse(fd, LOCK_NONE, errno);
    if (l->fd >= 0 && l->device == about.st_dev && l->inode == about.st_ino) {
        close(fd); /* another open file: closing it does not end the lock */
        return LOCK_TAKEN;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK) return refuse(fd, LOCK_NONE, errno);
        *holder = find_holder(about.st_ino);
        return refuse(fd, LOCK_BUSY, EWOULDBLOCK);
    }
    lock_release(l);
    *l = (struct lock){.fd = fd, .device = about.st_dev, .inode = about.st_ino};
    return LOCK_TAKEN;
}

void lock_release(struct lock *l) {
    if (l->fd >= 0) close(l->fd);
    l->fd = -1;
}
