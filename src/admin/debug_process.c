/* See debug_process.h. What a crash leaves (the exit status, the report in the log, a core file) is what tests look at:
 * so a crash is a real one, by a signal, by abort() or by a size that no allocator has. */
#include "admin/debug_process.h"
#include "base/alloc.h"
#include "base/log.h"
#include "cmd/args.h"
#include "conf/config.h"
#include "conf/config_rewrite.h"
#include "process/process.h"
#include "process/shutdown.h"
#include "session/reply.h"
#include "session/request.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* --- Crashes --------------------------------------------------------------------------------- */

void debug_process_segfault(struct request *r) {
    (void)r;
    raise(SIGSEGV);
}

void debug_process_panic(struct request *r) {
    (void)r;
    log_warning("DEBUG PANIC was called");
    abort();
}

void debug_process_assert(struct request *r) {
    (void)r;
    log_warning("=== ASSERTION FAILED === by DEBUG ASSERT");
    abort();
}

void debug_process_oom(struct request *r) {
    (void)r;
    volatile size_t too_much = SIZE_MAX / 2;
    alloc_put(alloc_get(too_much), too_much);
}

/* --- Memory ---------------------------------------------------------------------------------- */

/* The last copy stays reachable, so that a leak checker passes over a test. */
void debug_process_leak(struct request *r) {
    static char *volatile leaked;
    leaked = alloc_copy_text(r->argv[2].ptr, r->argv[2].len);
    (void)leaked;
    reply_ok(r->client);
}

/* MALLCTL name [value]: replies the setting as it was before. One that can only be written is replied by OK. */
void debug_process_mallctl(struct request *r) {
    int64_t value, old;
    if (r->argc > 3 && !args_i64(r->client, r->argv[3], &value)) return;
    char *name = alloc_copy_text(r->argv[2].ptr, r->argv[2].len);
    int error = alloc_get_setting(name, &old);
    bool readable = error == 0;
    if (r->argc > 3 && (readable || error == EPERM)) error = alloc_set_setting(name, value);
    alloc_put(name, r->argv[2].len + 1);
    if (error) {
        reply_errorf(r->client, "ERR %s", strerror(error));
    } else if (readable) {
        reply_int(r->client, old);
    } else {
        reply_ok(r->client);
    }
}

/* --- Running anew ---------------------------------------------------------------------------- */

/* -1: the argument is no number, and the error was replied. */
static int64_t parse_delay_ms(struct request *r) {
    int64_t delay_ms = 0;
    if (r->argc > 2 && !args_i64(r->client, r->argv[2], &delay_ms)) return -1;
    return delay_ms > 0 ? delay_ms : 0;
}

/* As before the end of the process: the configuration and the data are saved. */
static bool leave_in_order(void) {
    if (config_path()[0] != '\0' && !config_rewrite()) {
        log_warning("Can't restart: configuration rewrite process failed: %s", strerror(errno));
        return false;
    }
    if (shutdown_before_end && !shutdown_before_end(0)) {
        log_warning("Can't restart: error preparing for shutdown");
        return false;
    }
    shutdown_finish();
    return true;
}

/* If all goes well there is no reply: the connection ends with this life of the process. */
static void restart(struct request *r, bool in_order) {
    int64_t delay_ms = parse_delay_ms(r);
    if (delay_ms < 0) return;
    if (process_can_restart() && (!in_order || leave_in_order())) process_restart(delay_ms);
    reply_error(r->client, "ERR failed to restart the server. Check server logs.");
}

void debug_process_restart(struct request *r) {
    restart(r, true);
}

void debug_process_crash_and_recover(struct request *r) {
    restart(r, false);
}
