/* For LD_PRELOAD: fsync and fdatasync fail with EIO while the file that FSYNC_FAILS names exists, and of directories
 * with EINVAL if FSYNC_KNOWS_NO_DIRECTORY is set, as on some file systems. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int is_directory(int fd) {
    struct stat about;
    return fstat(fd, &about) == 0 && S_ISDIR(about.st_mode);
}

static int fails(int fd) {
    const char *switch_file = getenv("FSYNC_FAILS");
    if (getenv("FSYNC_KNOWS_NO_DIRECTORY") && is_directory(fd)) {
        errno = EINVAL;
        return 1;
    }
    if (switch_file == NULL || access(switch_file, F_OK) < 0) return 0;
    errno = EIO;
    return 1;
}

static int pass_on(const char *name, int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    return real(fd);
}

int fsync(int fd) {
    return fails(fd) ? -1 : pass_on("fsync", fd);
}

int fdatasync(int fd) {
    return fails(fd) ? -1 : pass_on("fdatasync", fd);
}
