/* For LD_PRELOAD: fsync and fdatasync fail with EIO while the file that FSYNC_FAILS names exists. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int fails(void) {
    const char *switch_file = getenv("FSYNC_FAILS");
    if (switch_file == NULL || access(switch_file, F_OK) < 0) return 0;
    errno = EIO;
    return 1;
}

static int pass_on(const char *name, int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    return real(fd);
}

int fsync(int fd) {
    return fails() ? -1 : pass_on("fsync", fd);
}

int fdatasync(int fd) {
    return fails() ? -1 : pass_on("fdatasync", fd);
}
