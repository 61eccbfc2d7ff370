/* See memory.h.
 *
 * What counts is the memory in use, less
 *   - what the worker has been given to free: a big value that was dropped must not cost a second one;
 *   - what grows by evicting: the log of changes beyond the backlog, and messages to clients about the victims of this
 *     turn. Messages that are still unsent in the next turn count, as all unsent output does;
 *   - what the arenas of this turn have grown: a reply must not evict keys while it is on its way.
 * Everything but the worker's share is known to the main thread, and so is that (base/worker.h). The figure is exact;
 * and below the limit a check is one comparison, of the main thread's balance with what it may reach.
 *
 * Invariants: the gate is closed exactly while there is a limit that is not ignored. It asks from the limit on, or
 * always if there is an excess, so that its end is seen. `excess` tells what the last check has left. */
#include "exec/memory.h"
#include "aof/aof_write.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/likely.h"
#include "base/log.h"
#include "base/module.h"
#include "base/option.h"
#include "base/worker.h"
#include "conf/config.h"
#include "exec/call.h"
#include "net/conn.h"
#include "oplog/oplog.h"
#include "session/client.h"
#include "session/client_evict.h"
#include "session/gates.h"
#include "session/push.h"
#include "session/request.h"
#include "store/evict.h"
#include "store/evict_pool.h"
#include "store/expire.h"
#include <math.h>

#define CHECK_US 1000         /* the most time that a command evicts: one value of 1 GB may weigh as much as all keys */
#define PRESSURE_EVERY_MS 100 /* how often the choice of victims hears of a limit that is near */
#define CLOCK_EVERY 8         /* victims between two looks at the clock: mostly one is enough, which needs none */
#define CLIENTS_MIN (128 << 10)

struct memory_options memory_options;
static int64_t limit_bytes; /* memory_options.limit, as far as it can be reached; 0: none */

static bool ignored; /* the limit: memory_ignore_limit() */

static uint64_t check_ticks, slice_ticks; /* the most time that a command, and a turn, evicts */

static struct {
    size_t arena_bytes; /* of the arenas, when it began */
    size_t messages;    /* about victims, since it began, in bytes */
} turn;

static struct {
    int64_t bytes;    /* above the limit, after the last check; 0: none */
    int64_t since_us; /* monotonic; 0: there is none */
    int64_t total_us; /* of those that have ended */
    bool stuck;       /* the last check found nothing to evict, or did not look */
} excess;

static struct {
    bool on;
    int64_t told_ms;
} pressure;

/* --- what counts ----------------------------------------------------------------------------- */

static size_t unsent_messages(void) {
    return conn_metrics.output_bytes + push_kept_bytes;
}

/* What the file or replicas have not got yet. The backlog itself counts, as far as it has its configured size. */
static size_t unwritten_log(void) {
    size_t file = aof_write_metrics().memory;
    return oplog_is_kept & OPLOG_BACKLOG ? file + oplog_metrics().excess : file;
}

/* What is left out, apart from the worker's share. */
static size_t left_out(void) {
    size_t bytes = unwritten_log(), arenas = conn_arena_bytes(), unsent = unsent_messages();
    if (limit_bytes == 0) return bytes;
    if (arenas > turn.arena_bytes) bytes += arenas - turn.arena_bytes;
    return bytes + (turn.messages < unsent ? turn.messages : unsent);
}

/* Memory in use when the worker is done. */
static inline int64_t used_bytes(void) {
    return alloc_main_balance() - worker_freed();
}

static int64_t counted_bytes(void) {
    return used_bytes() - (int64_t)left_out();
}

static bool memory_stops(const struct request *r, unsigned flags);
static const struct gate memory_gate = {.holds = memory_stops,
                                        .error = "OOM command not allowed when used memory > 'maxmemory'.",
                                        .stops_calls = CMD_DENYOOM};

/* --- the excess ------------------------------------------------------------------------------ */

static void end_excess(void) {
    excess.total_us += clock_mono_us() - excess.since_us;
    excess.bytes = excess.since_us = 0;
    excess.stuck = false;
}

static int64_t bytes_over(void) {
    return counted_bytes() - limit_bytes;
}

/* The worker's share is that of now: should it change before the next check, its change counts from then on. */
static void fit_gate(void) {
    int64_t balance = INT64_MIN;
    if (excess.since_us == 0 && __builtin_add_overflow(limit_bytes, worker_freed(), &balance)) balance = INT64_MAX;
    gates_set_above(GATES_MEMORY, limit_bytes > 0 ? &memory_gate : NULL, balance);
}

/* A check ends with so many bytes above the limit. */
static void note_excess(int64_t over) {
    if (over > 0) {
        if (excess.since_us == 0) excess.since_us = clock_mono_us();
        excess.bytes = over;
    } else if (excess.since_us) {
        end_excess();
    }
    fit_gate();
}

/* --- evicting -------------------------------------------------------------------------------- */

static bool may_evict(void) {
    return !(expire_holds & ~(unsigned)EXPIRE_REPLICA) && !call_is_nested;
}

/* Evict until so many bytes are free, or the time is over. False: no key may be evicted any more. */
static bool evict_bytes(int64_t bytes, uint64_t ticks) {
    uint64_t began = 0;
    int64_t until = counted_bytes() - bytes;
    for (unsigned n = 1;; n++) {
        size_t unsent = unsent_messages();
        if (!evict_one()) return false;
        turn.messages += unsent_messages() - unsent;
        if (counted_bytes() <= until) return true;
        if (n % CLOCK_EVERY != 0) continue;
        if (began == 0) began = clock_ticks();
        if (clock_ticks() - began >= ticks) return true;
    }
}

static void tell_pressure(bool on) {
    if (!on && !pressure.on) return;
    pressure.on = on;
    pressure.told_ms = clock_now_ms();
    evict_set_pressure(on);
}

/* The limit counts as near from 95 % on. */
static void fit_pressure(int64_t over) {
    bool on = over > -limit_bytes / 20;
    int64_t age_ms = clock_now_ms() - pressure.told_ms;
    if (on != pressure.on || age_ms >= PRESSURE_EVERY_MS || age_ms < 0) tell_pressure(on);
}

/* An arena that large replies have made large goes before any key does. */
static void begin_turn(void) {
    turn.messages = 0;
    turn.arena_bytes = conn_arena_bytes();
    if (bytes_over() <= 0) return;
    conn_arena_shrink();
    turn.arena_bytes = conn_arena_bytes();
}

bool memory_turn(void) {
    if (likely(limit_bytes == 0)) return false;
    begin_turn();
    int64_t over = bytes_over();
    fit_pressure(over);
    bool evicts = over > 0 && may_evict();
    if (evicts) {
        excess.stuck = !evict_bytes(over, slice_ticks);
        over = bytes_over();
    }
    note_excess(over);
    return evicts && over > 0 && !excess.stuck;
}

/* --- the gate -------------------------------------------------------------------------------- */

/* Bytes of the request that do not speak against it: if any key may be evicted, a value that is too large is stored,
 * and is a victim next. Else the limit would be exceeded for good. */
static int64_t own_bytes(const struct request *r) {
    bool may_go = evict_policy_evicts() && !evict_is_volatile();
    return may_go ? (int64_t)conn_input_memory(&r->client->conn) : 0;
}

/* There is an excess. What has grown since the last check is paid for twice. If no key could go then, a request that
 * needs memory looks again, and so does a script, whose calls may need it: EXPIRE may have made one a victim. When a
 * script begins, nothing is evicted any more: what counts is how the check before it ended. */
static __attribute__((noinline)) bool must_refuse(const struct request *r, unsigned flags) {
    int64_t over = bytes_over(), grown = over - excess.bytes;
    bool evicts = over > 0 && may_evict(), needs_memory = flags & CMD_DENYOOM;
    if (evicts && !pressure.on) tell_pressure(true);
    if (evicts && (grown > 0 || (excess.stuck && flags & (CMD_DENYOOM | CMD_RUNS_SCRIPT)))) {
        excess.stuck = !evict_bytes(grown > over / 2 ? over : 2 * grown, check_ticks);
        over = bytes_over();
    }
    note_excess(over);
    return (evicts || call_is_nested) && excess.stuck && needs_memory && over > own_bytes(r);
}

static bool memory_stops(const struct request *r, unsigned flags) {
    if (unlikely(used_bytes() > limit_bytes)) return must_refuse(r, flags);
    note_excess(0);
    return false;
}

/* --- metrics --------------------------------------------------------------------------------- */

struct memory_status memory_status(void) {
    int64_t now_us = excess.since_us ? clock_mono_us() - excess.since_us : 0;
    int64_t pending = (int64_t)alloc_used() - used_bytes();
    return (struct memory_status){.uncounted = left_out() + (pending > 0 ? (size_t)pending : 0),
                                  .exceeded_us = now_us,
                                  .exceeded_us_in_total = excess.total_us + now_us};
}

void memory_reset_metrics(void) {
    excess.total_us = 0;
    if (excess.since_us) excess.since_us = clock_mono_us();
}

/* --- options --------------------------------------------------------------------------------- */

/* Time for a slice: 50 us a step up to 10, then 15 % more with each step, and no bound at 100. */
static uint64_t ticks_for(int tenacity) {
    if (tenacity == 100) return UINT64_MAX;
    double us = tenacity <= 10 ? 50.0 * tenacity : 500.0 * pow(1.15, tenacity - 10);
    return clock_ns_to_ticks((uint64_t)(us * 1000));
}

static bool apply_tenacity(const char **error) {
    (void)error;
    slice_ticks = ticks_for(memory_options.tenacity);
    return true;
}

/* The option has 64 bits: more than any memory is as good as the most that can be counted. */
static int64_t known_limit(void) {
    return memory_options.limit < INT64_MAX ? (int64_t)memory_options.limit : INT64_MAX;
}

static size_t clients_limit(void) {
    int64_t bytes = memory_options.clients;
    if (bytes < 0) bytes = known_limit() / 100 * -bytes;
    if (bytes == 0) return 0;
    return bytes < CLIENTS_MIN ? CLIENTS_MIN : (size_t)bytes;
}

static bool apply_clients(const char **error) {
    (void)error;
    client_evict_set_limit(clients_limit());
    return true;
}

static void warn_of_excess(void) {
    log_warning("WARNING: the new maxmemory value set via CONFIG SET (%llu) is smaller than the current memory usage "
                "(%lld). This will result in key eviction and/or the inability to accept new write commands depending "
                "on the maxmemory-policy.",
                (unsigned long long)memory_options.limit, (long long)counted_bytes());
}

/* An excess that comes from a lower limit is for the turns of the loop. */
static bool apply_limit(const char **error) {
    limit_bytes = ignored ? 0 : known_limit();
    bool is_on = limit_bytes > 0;
    turn.arena_bytes = conn_arena_bytes();
    int64_t over = is_on ? bytes_over() : 0;
    note_excess(over);
    excess.stuck = over > 0;
    if (over > 0 && !config_is_starting()) warn_of_excess();
    if (!is_on) tell_pressure(false);
    return apply_clients(error);
}

void memory_ignore_limit(bool is_ignored) {
    const char *error;
    if (ignored == is_ignored) return;
    ignored = is_ignored;
    apply_limit(&error);
}

static void memory_start(void) {
    check_ticks = clock_ns_to_ticks(CHECK_US * 1000);
    slice_ticks = ticks_for(memory_options.tenacity);
    if (memory_options.limit > 0 && memory_options.limit < 1 << 20)
        log_warning("WARNING: You specified a maxmemory value that is less than 1MB (current value is %llu bytes). Are "
                    "you sure this is what you really want?",
                    (unsigned long long)memory_options.limit);
}

static const struct option memory_rows[] = {
    {"maxmemory", .type = OPTION_MEMORY, .flags = OPTION_UNSIGNED, .address = &memory_options.limit, .initial = "0",
     .apply = apply_limit},
    {"maxmemory-clients", .type = OPTION_MEMORY, .flags = OPTION_PERCENT, .address = &memory_options.clients,
     .initial = "0", .min = -100, .apply = apply_clients},
    {"maxmemory-eviction-tenacity", .type = OPTION_INT, .address = &memory_options.tenacity, .initial = "10",
     .max = 100, .apply = apply_tenacity},
    {NULL},
};

const struct module memory_module = {.options = memory_rows, .start = memory_start};
