/* See shutdown.h.
 *
 * The handler of a signal sets a flag and wakes the loop; the turn that sees the flag writes the log. The exception is
 * a second SIGINT, which must work while the loop is stuck: the handler itself ends the process.
 *
 * SHUTDOWN is not answered if the process ends; the connection is closed. So its client is postponed, with
 * CLIENT_ENDING set. If the shutdown fails, all postponed requests run again: a SHUTDOWN that finds CLIENT_ENDING set
 * and no shutdown under way replies the error. */
#include "process/shutdown.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/module.h"
#include "base/option.h"
#include "catalog/command_row.h"
#include "disk/temp_file.h"
#include "exec/block.h"
#include "exec/busy.h"
#include "net/loop.h"
#include "process/listen.h"
#include "process/process.h"
#include "session/client.h"
#include "session/reply.h"
#include <signal.h>
#include <string.h>
#include <unistd.h>

static struct {
    int on_sigint, on_sigterm; /* enum shutdown_flag; 0: default */
    int timeout_s;             /* how long replicas may take to catch up */
} options;

static volatile sig_atomic_t signalled; /* the first signal that asked for the end; 0: none */
static bool requested;
static unsigned requested_flags;
static bool ending; /* the loop has been told to stop */

/* A shutdown that waits for replicas. */
static struct {
    bool on;
    int64_t until_us; /* monotonic */
    struct loop_timer timer;
} waiting = {.timer = {.heap_index = -1}};

bool (*shutdown_before_end)(unsigned flags);
bool (*shutdown_is_ready)(bool first);
void (*shutdown_waited)(bool ends);

/* --- Signals --------------------------------------------------------------------------------- */

static void signal_arrived(int number) {
    if (signalled && number == SIGINT) {
        static const char text[] = "You insist... exiting now.\n";
        int fd = log_crash_fd();
        temp_file_abandon();
        if (fd >= 0 && write(fd, text, sizeof text - 1) < 0) _exit(1);
        _exit(1);
    }
    signalled = number;
    loop_wake();
}

/* Signals that others send for purposes of their own, and those that mean what a system call says as well: a closed
 * peer (EPIPE), a file that has reached its largest size (EFBIG). They end nothing. */
static const int harmless[] = {SIGHUP, SIGUSR1, SIGUSR2, SIGALRM, SIGPIPE, SIGXFSZ};

void shutdown_watch_signals(void) {
    struct sigaction action = {.sa_handler = signal_arrived};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        signal(harmless[i], SIG_IGN);
}

static void take_signal(void) {
    int number = signalled;
    log_warning("Received %s scheduling shutdown...", number == SIGINT ? "SIGINT" : "SIGTERM");
    shutdown_request((unsigned)(number == SIGINT ? options.on_sigint : options.on_sigterm));
}

/* --- The end --------------------------------------------------------------------------------- */

/* While a shutdown waits for replicas, another request can only end the waiting: SHUTDOWN's own request runs again and
 * again meanwhile, since other clients that are postponed go on. */
void shutdown_request(unsigned flags) {
    requested = true;
    requested_flags = waiting.on ? requested_flags | (flags & SHUTDOWN_NOW) : flags;
}

static void stop_waiting(bool ends) {
    waiting.on = false;
    loop_timer_stop(&waiting.timer);
    if (shutdown_waited) shutdown_waited(ends);
}

/* There is no end after all: the postponed clients go on, and learn it. */
static void give_up(void) {
    requested = false;
    signalled = 0;
    stop_waiting(false);
    block_resume_all();
}

/* Take the request back. False: there is none. */
static bool abort_shutdown(void) {
    if (!requested) return false;
    log_notice("Shutdown manually aborted.");
    give_up();
    return true;
}

bool shutdown_is_requested(void) {
    return requested;
}

bool shutdown_is_near(void) {
    return requested || signalled;
}

/* The turn in which it fires sees that the time is over. */
static void time_is_over(struct loop_timer *timer) {
    (void)timer;
}

static void begin_to_wait(void) {
    waiting.on = true;
    waiting.until_us = clock_mono_us() + (int64_t)options.timeout_s * 1000000;
    waiting.timer.fire = time_is_over;
    loop_timer_start(&waiting.timer, (int64_t)options.timeout_s * 1000000);
}

static bool must_wait(void) {
    if (!shutdown_is_ready || (requested_flags & SHUTDOWN_NOW) || options.timeout_s == 0) return false;
    if (shutdown_is_ready(!waiting.on)) return false;
    if (!waiting.on) begin_to_wait();
    return clock_mono_us() < waiting.until_us;
}

int64_t shutdown_left_ms(void) {
    if (!waiting.on) return -1;
    int64_t left_us = waiting.until_us - clock_mono_us();
    return left_us > 0 ? left_us / 1000 : 0;
}

static void end_process(void) {
    stop_waiting(true);
    if (shutdown_before_end && !shutdown_before_end(requested_flags) && !(requested_flags & SHUTDOWN_FORCE)) {
        log_warning("Errors trying to shut down the server. Check the logs for more information.");
        give_up();
        return;
    }
    ending = true;
    loop_stop();
}

void shutdown_turn(void) {
    if (signalled && !requested) take_signal();
    if (!requested || ending) return;
    if (!waiting.on) log_notice("User requested shutdown...");
    if (!must_wait()) end_process();
}

void shutdown_finish(void) {
    process_notify("STOPPING=1\n");
    process_remove_pid_file();
    listen_stop();
    log_warning("Redis is now ready to exit, bye bye...");
}

/* --- SHUTDOWN -------------------------------------------------------------------------------- */

/* False: a word is unknown, or the words do not go together. */
static bool read_options(const struct request *r, unsigned *flags, bool *abort) {
    for (int i = 1; i < r->argc; i++) {
        if (slice_is(r->argv[i], "nosave"))
            *flags |= SHUTDOWN_NOSAVE;
        else if (slice_is(r->argv[i], "save"))
            *flags |= SHUTDOWN_SAVE;
        else if (slice_is(r->argv[i], "now"))
            *flags |= SHUTDOWN_NOW;
        else if (slice_is(r->argv[i], "force"))
            *flags |= SHUTDOWN_FORCE;
        else if (slice_is(r->argv[i], "abort"))
            *abort = true;
        else
            return false;
    }
    if (*abort && *flags) return false;
    return !((*flags & SHUTDOWN_SAVE) && (*flags & SHUTDOWN_NOSAVE));
}

/* A command is busy, and may be for ever: nothing waits for its end. What it has changed so far is in no file. */
static _Noreturn void end_inside(unsigned flags) {
    log_notice("User requested shutdown...");
    if (shutdown_before_end) shutdown_before_end(flags | SHUTDOWN_FORCE);
    shutdown_finish();
    temp_file_abandon();
    _exit(0);
}

static void ask_inside(struct client *c, unsigned flags) {
    if (flags & SHUTDOWN_NOSAVE) end_inside(flags);
    reply_error(c, busy_error());
}

static void ask(struct request *r, unsigned flags) {
    struct client *c = r->client;
    if ((c->flags & CLIENT_ENDING) && !requested) {
        client_clear(c, CLIENT_ENDING);
        reply_error(c, "ERR Errors trying to SHUTDOWN. Check logs.");
        return;
    }
    c->flags |= CLIENT_ENDING;
    shutdown_request(flags);
    block_postpone(r);
}

/* SHUTDOWN [NOSAVE|SAVE] [NOW] [FORCE] [ABORT] */
static void shutdown_command(struct request *r) {
    unsigned flags = 0;
    bool abort = false;
    if (!read_options(r, &flags, &abort)) {
        reply_syntax_error(r->client);
        return;
    }
    if (!abort && busy_error())
        ask_inside(r->client, flags);
    else if (!abort)
        ask(r, flags);
    else if (abort_shutdown())
        reply_ok(r->client);
    else
        reply_error(r->client, "ERR No shutdown in progress.");
}

/* --- Rows ------------------------------------------------------------------------------------ */

static bool check_flags(const char **error) {
    int both = SHUTDOWN_SAVE | SHUTDOWN_NOSAVE;
    *error = "shutdown options SAVE and NOSAVE can't be used simultaneously";
    return (options.on_sigint & both) != both && (options.on_sigterm & both) != both;
}

static const struct option_name flags[] = {
    {"default", 0},        {"save", SHUTDOWN_SAVE},   {"nosave", SHUTDOWN_NOSAVE},
    {"now", SHUTDOWN_NOW}, {"force", SHUTDOWN_FORCE}, {NULL, 0}};

static const struct option shutdown_rows[] = {
    {"shutdown-on-sigint", .type = OPTION_FLAGS, .address = &options.on_sigint, .initial = "default", .names = flags,
     .apply = check_flags},
    {"shutdown-on-sigterm", .type = OPTION_FLAGS, .address = &options.on_sigterm, .initial = "default", .names = flags,
     .apply = check_flags},
    {"shutdown-timeout", .type = OPTION_INT, .address = &options.timeout_s, .initial = "10"},
    {NULL},
};

static const struct command shutdown_commands[] = {
    {"shutdown", shutdown_command, -1,
     .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_NO_MULTI | CMD_ALLOW_BUSY, .group = GROUP_SERVER,
     .since = "1.0.0", .summary = "End the server, after saving what is to be saved.",
     .complexity = "O(1), O(n) for n keys if they are saved",
     .syntax = "[save-selector:(NOSAVE | SAVE)] [NOW@7.0.0] [FORCE@7.0.0] [ABORT@7.0.0]",
     .history = "7.0.0|New: `NOW`, `FORCE`, `ABORT`."},
    {NULL},
};

const struct module shutdown_module = {.options = shutdown_rows, .commands = shutdown_commands};
