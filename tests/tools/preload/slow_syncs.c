/* For LD_PRELOAD: while the file that SLOW_SYNCS names exists, fsync and fdatasync take SLOW_SYNCS_MS milliseconds, and
 * add a line "main" or "worker" to it: the thread that waited. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void take_time(void) {
    const char *path = getenv("SLOW_SYNCS");
    int fd = path ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
    if (fd < 0) return;
    const char *line = gettid() == getpid() ? "main\n" : "worker\n";
    if (write(fd, line, strlen(line)) < 0) abort();
    close(fd);
    usleep((useconds_t)atoi(getenv("SLOW_SYNCS_MS")) * 1000);
}

int fsync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    take_time();
    return real(fd);
}

int fdatasync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    take_time();
    return real(fd);
}
