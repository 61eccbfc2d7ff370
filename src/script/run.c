/* See run.h. Ticks come from a count hook that is always set, not from a timer that sets it when the threshold is over.
 * The hook costs about a twelfth of the time of an empty loop and nothing that shows where strings or tables are made,
 * as in Redis. A timer would need a signal in the middle of whatever runs, and would have to find the coroutine that
 * runs then; and the engine has other work for the hook. */
#include "script/run.h"
#include "base/clock.h"
#include "base/likely.h"
#include "base/log.h"
#include "base/module.h"
#include "base/num.h"
#include "base/option.h"
#include "catalog/command_row.h"
#include "exec/busy.h"
#include "session/client.h"
#include "session/gates.h"
#include "session/reply.h"
#include "session/request.h"
#include <stddef.h>

struct script_run *run_current;
size_t run_reply_limit = CONN_NO_LIMIT;

static struct { int64_t threshold_ms; /* 0: a run is never busy */ } options;

static uint64_t threshold_ticks; /* of the clock: the same, or UINT64_MAX */

/* --- Beginning and end ----------------------------------------------------------------------- */

bool run_read_arguments(struct script_run *run, struct request *r, const char *bad_count) {
    enum { COUNT_AT = 2, KEYS_AT };
    const char *error = NULL;
    int64_t count;
    if (unlikely(!num_parse_i64(r->argv[COUNT_AT], &count)))
        error = bad_count;
    else if (unlikely(count > r->argc - KEYS_AT))
        error = "ERR Number of keys can't be greater than number of args";
    else if (unlikely(count < 0))
        error = "ERR Number of keys can't be negative";
    if (unlikely(error != NULL)) {
        reply_error(r->client, error);
        return false;
    }
    run->request = r;
    run->is_ro_command = r->command->flags & CMD_READONLY;
    run->key_count = (int)count;
    run->arg_count = r->argc - KEYS_AT - (int)count;
    run->keys = r->argv + KEYS_AT;
    run->args = run->keys + count;
    return true;
}

/* A script without flags begins, and fails at its first write. */
static bool may_write(const struct script_run *run) {
    return !(run->flags & (SCRIPT_NO_WRITES | SCRIPT_OLD_RULES));
}

static unsigned inner_flags(const struct script_run *run) {
    unsigned flags = 0;
    if (run->is_ro_command || (run->flags & SCRIPT_NO_WRITES)) flags |= INNER_NO_WRITES;
    if (run->flags & (SCRIPT_NO_WRITES | SCRIPT_ALLOW_OOM)) flags |= INNER_ALLOW_OOM;
    return flags;
}

bool run_begin(struct script_run *run) {
    if (unlikely(run->is_ro_command && may_write(run))) {
        reply_error(run->request->client, "ERR Can not execute a script with write flag using *_ro command.");
        return false;
    }
    run->began = call_began();
    run->is_replayed = call_is_replayed;
    run->is_busy = run->killed = false;
    inner_begin(&run->inner, run->request->client, inner_flags(run), run_reply_limit);
    run_current = run;
    return true;
}

void run_end(struct script_run *run) {
    if (unlikely(run->is_busy)) busy_end();
    inner_end(&run->inner);
    run_current = NULL;
}

/* --- Busy ------------------------------------------------------------------------------------ */

#define BUSY_TEXT(kill) "BUSY Redis is busy running a script. You can only call " kill " or SHUTDOWN NOSAVE."

static const struct gate script_gate = {.passes = CMD_ALLOW_BUSY, .error = BUSY_TEXT("SCRIPT KILL")};
static const struct gate function_gate = {.passes = CMD_ALLOW_BUSY, .error = BUSY_TEXT("FUNCTION KILL")};

static const struct gate *gate_of(const struct script_run *run) {
    return run->is_function ? &function_gate : &script_gate;
}

int64_t run_threshold_us(void) {
    return options.threshold_ms && options.threshold_ms < INT64_MAX / 1000 ? options.threshold_ms * 1000 : INT64_MAX;
}

int64_t run_duration_ms(const struct script_run *run) {
    return (int64_t)(clock_ticks_to_ns(clock_ticks() - run->began) / 1000000);
}

static void become_busy(struct script_run *run) {
    log_warning("Slow script detected: still in execution after %lld milliseconds. You can try killing the script "
                "using the %s command. Script name is: %s.",
                (long long)run_duration_ms(run), run->is_function ? "FUNCTION KILL" : "SCRIPT KILL", run->name);
    run->is_busy = true;
    busy_begin(gate_of(run));
}

bool run_tick(struct script_run *run) {
    if (likely(!run->is_busy)) {
        if (likely(clock_ticks() - run->began < threshold_ticks)) return run->killed;
        become_busy(run);
    }
    if (!run->killed) busy_turn();
    return run->killed;
}

void run_kill(struct client *c, bool is_function) {
    struct script_run *run = run_current;
    if (run == NULL)
        reply_error(c, "NOTBUSY No scripts in execution right now.");
    else if (run->is_replayed)
        reply_error(c, "UNKILLABLE The busy script was sent by a master instance in the context of replication and "
                       "cannot be killed.");
    else if (inner_has_written(&run->inner))
        reply_error(c, "UNKILLABLE Sorry the script already executed write commands against the dataset. You can "
                       "either wait the script termination or kill the server in a hard way using the SHUTDOWN "
                       "NOSAVE command.");
    else if (run->is_function != is_function)
        reply_error(c, gate_of(run)->error);
    else {
        log_warning("Lua script killed by user with SCRIPT KILL.");
        run->killed = true;
        reply_ok(c);
    }
}

/* --- Options --------------------------------------------------------------------------------- */

#define NS_A_MS 1000000

static bool apply_threshold(const char **error) {
    (void)error;
    int64_t ms = options.threshold_ms;
    threshold_ticks = ms == 0 || ms > INT64_MAX / NS_A_MS / 4 ? UINT64_MAX : clock_ns_to_ticks((uint64_t)ms * NS_A_MS);
    return true;
}

static void run_start(void) {
    const char *error;
    apply_threshold(&error); /* not called for the default */
}

static const struct option run_rows[] = {
    {"busy-reply-threshold", .alias = "lua-time-limit", .type = OPTION_I64, .address = &options.threshold_ms,
     .initial = "5000", .apply = apply_threshold},
    {NULL},
};

const struct module run_module = {.options = run_rows, .start = run_start};
