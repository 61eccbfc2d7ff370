/* Locks on files and folders, so that two servers do not write the same ones. A lock is a flock(2) on a descriptor: it
 * ends with the process, however that ends. Forked children close the descriptor, and so do not prolong it. */
#pragma once
#include <sys/types.h>

/* {.fd = -1} is one that is not held. */
struct lock {
    int fd;
    dev_t device;
    ino_t inode;
};

enum lock_result {
    LOCK_TAKEN, /* or held already */
    LOCK_BUSY,  /* another process holds it */
    LOCK_NONE,  /* errno: this file system has no locks, or the descriptor is -1 */
};

/* Hold a lock on what this descriptor is open for, instead of the one that *l was, and own the descriptor. If the
 * result is not LOCK_TAKEN, the descriptor is closed, *l is as it was, and *holder is the other process (0:
 * unknown). */
enum lock_result lock_take(struct lock *l, int fd, pid_t *holder);
void lock_release(struct lock *l);
