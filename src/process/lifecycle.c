/* A handler only sets a flag and wakes the loop; the log is written by the turn that
 * sees the flag. The exception is a second SIGINT, which must work while the loop is
 * stuck, and so ends the process from the handler. */
#include "process/lifecycle.h"
#include "base/log.h"
#include "base/module.h"
#include "base/option.h"
#include "exec/block.h"
#include "net/loop.h"
#include "process/listen.h"
#include "process/process.h"
#include <signal.h>
#include <string.h>
#include <unistd.h>

static int on_sigint, on_sigterm;       /* enum lifecycle_flag; 0: default */
static int timeout_s;                   /* for how long replicas may catch up */
static volatile sig_atomic_t signalled; /* the first signal that asked for the end, 0: none */
static bool asked;
static unsigned asked_flags;
static bool ending;

bool (*lifecycle_before_end)(unsigned flags);

/* --- signals --------------------------------------------------------------------------------- */

static void ended_by_signal(int number) {
    if (signalled && number == SIGINT) {
        static const char text[] = "You insist... exiting now.\n";
        int fd = log_crash_fd();
        if (fd >= 0 && write(fd, text, sizeof text - 1) < 0) _exit(1);
        _exit(1);
    }
    signalled = number;
    loop_wake();
}

void lifecycle_watch_signals(void) {
    struct sigaction action = {.sa_handler = ended_by_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
}

static void take_signal(void) {
    int number = signalled;
    log_warning("Received %s scheduling shutdown...", number == SIGINT ? "SIGINT" : "SIGTERM");
    lifecycle_shutdown((unsigned)(number == SIGINT ? on_sigint : on_sigterm));
}

/* --- the end --------------------------------------------------------------------------------- */

void lifecycle_shutdown(unsigned flags) {
    asked = true;
    asked_flags = flags;
}

/* There will be no end: whoever asked for it learns that now. */
static void go_on(void) {
    asked = false;
    signalled = 0;
    block_resume_all();
}

bool lifecycle_abort(void) {
    if (!asked) return false;
    log_notice("Shutdown manually aborted.");
    go_on();
    return true;
}

bool lifecycle_is_ending(void) {
    return asked;
}

void lifecycle_turn(void) {
    if (signalled && !asked) take_signal();
    if (!asked || ending) return;
    log_notice("User requested shutdown...");
    if (lifecycle_before_end && !lifecycle_before_end(asked_flags) && !(asked_flags & LIFECYCLE_FORCE)) {
        log_warning("Errors trying to shut down the server. Check the logs for more information.");
        go_on();
        return;
    }
    ending = true;
    loop_stop();
}

void lifecycle_end(void) {
    process_notify("STOPPING=1\n");
    process_remove_pid_file();
    listen_stop();
    log_warning("Redis is now ready to exit, bye bye...");
}

/* --- options --------------------------------------------------------------------------------- */

static bool check_flags(const char **error) {
    int both = LIFECYCLE_SAVE | LIFECYCLE_NOSAVE;
    *error = "shutdown options SAVE and NOSAVE can't be used simultaneously";
    return (on_sigint & both) != both && (on_sigterm & both) != both;
}

static const struct option_name flags[] = {
    {"default", 0},         {"save", LIFECYCLE_SAVE},   {"nosave", LIFECYCLE_NOSAVE},
    {"now", LIFECYCLE_NOW}, {"force", LIFECYCLE_FORCE}, {NULL, 0}};

static const struct option lifecycle_rows[] = {
    {.name = "shutdown-on-sigint",
     .type = OPTION_FLAGS,
     .address = &on_sigint,
     .initial = "default",
     .names = flags,
     .apply = check_flags},
    {.name = "shutdown-on-sigterm",
     .type = OPTION_FLAGS,
     .address = &on_sigterm,
     .initial = "default",
     .names = flags,
     .apply = check_flags},
    {.name = "shutdown-timeout", .type = OPTION_INT, .address = &timeout_s, .initial = "10"},
    {.name = NULL},
};

const struct module lifecycle_module = {.options = lifecycle_rows};
