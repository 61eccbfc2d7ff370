/* For LD_PRELOAD: fork fails with ENOMEM while the file that FORK_FAILS names exists. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

pid_t fork(void) {
    const char *switch_file = getenv("FORK_FAILS");
    if (switch_file && access(switch_file, F_OK) == 0) {
        errno = ENOMEM;
        return -1;
    }
    pid_t (*real)(void) = (pid_t(*)(void))dlsym(RTLD_NEXT, "fork");
    return real();
}
