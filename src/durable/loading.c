/* See loading.h. Commands of the append-only file are run in batches, in which their keys are prefetched, as the wave
 * does with the requests of clients. They belong to a client without a connection; call_replay() keeps them from being
 * propagated again. */
#include "durable/loading.h"
#include "aof/aof.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/likely.h"
#include "base/log.h"
#include "disk/files.h"
#include "durable/snapshot.h"
#include "exec/call.h"
#include "exec/wave.h"
#include "net/loop.h"
#include "process/process.h"
#include "process/shutdown.h"
#include "rdb/rdb.h"
#include "session/client.h"
#include "session/gates.h"
#include "session/server_metrics.h"
#include "store/db.h"
#include "store/expire.h"
#include "store/prefetch.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TELL_EVERY_US 1000000
#define TURN_EVERY_US 10000 /* clients wait this long for -LOADING at most */

static struct {
    bool active;
    bool serving;       /* at start-up: the loop is not running yet, so it may be turned here */
    int64_t started_s;  /* wall clock */
    int64_t started_us; /* monotonic, as the next two */
    int64_t turned_us, told_us;
    const struct rdb_read *rdb;                    /* the snapshot or base that is being read, or NULL */
    uint64_t total_bytes, files_bytes, file_bytes; /* of all files; of those that are done; of the current one so far */
} loading;

static const struct gate loading_gate = {.passes = CMD_LOADING,
                                         .error = "LOADING Redis is loading the dataset in memory"};

bool loading_is_active(void) {
    return loading.active;
}

/* --- During loading -------------------------------------------------------------------------- */

/* Like cron_turn(), but nothing expires. */
static int loading_turn(void) {
    clock_update();
    wave_run();
    shutdown_turn();
    client_reap();
    return 0;
}

static double loaded_percent(void) {
    uint64_t done = loading.files_bytes + loading.file_bytes;
    return loading.total_bytes ? (double)done * 100 / (double)loading.total_bytes : 0;
}

/* The service manager shows how far the start has come. */
static void tell_progress(int64_t now_us) {
    char status[64];
    if (now_us - loading.told_us < TELL_EVERY_US) return;
    loading.told_us = now_us;
    snprintf(status, sizeof status, "STATUS=Loading the dataset: %.0f %%\n", loaded_percent());
    process_notify(status);
}

void loading_progress(void *ctx, uint64_t bytes) {
    (void)ctx;
    loading.file_bytes = bytes;
    int64_t now_us = clock_mono_us();
    if (!loading.serving || now_us - loading.turned_us < TURN_EVERY_US) return;
    tell_progress(now_us);
    loop_poll(loading_turn);
    loading.turned_us = clock_mono_us();
    if (!shutdown_is_requested()) return;
    shutdown_finish();
    _exit(0);
}

void loading_begin(uint64_t total_bytes) {
    loading.active = true;
    loading.started_s = clock_wall_us() / 1000000;
    loading.started_us = clock_mono_us();
    loading.total_bytes = total_bytes;
    loading.files_bytes = loading.file_bytes = 0;
    gates_set(GATES_LOADING, &loading_gate);
    expire_hold(EXPIRE_LOADING, true);
}

void loading_end(void) {
    loading.active = false;
    gates_set(GATES_LOADING, NULL);
    expire_hold(EXPIRE_LOADING, false);
    clock_update();
}

void loading_describe(struct buf *out) {
    if (!loading.active) return;
    uint64_t done = loading.files_bytes + loading.file_bytes, total = loading.total_bytes;
    uint64_t left = total > done ? total - done : 0;
    int64_t elapsed_s = (clock_mono_us() - loading.started_us) / 1000000;
    int64_t eta_s = elapsed_s > 0 ? (int64_t)((double)elapsed_s * (double)left / (double)(done + 1)) : 1;
    buf_printf(out,
               "loading_start_time:%lld\r\nloading_total_bytes:%llu\r\nloading_rdb_used_mem:%llu\r\n"
               "loading_loaded_bytes:%llu\r\nloading_loaded_perc:%.2f\r\nloading_eta_seconds:%lld\r\n",
               (long long)loading.started_s, (unsigned long long)total,
               (unsigned long long)(loading.rdb ? loading.rdb->used_memory : 0), (unsigned long long)done,
               loaded_percent(), (long long)eta_s);
}

/* --- Commands -------------------------------------------------------------------------------- */

/* The client without a connection to which the commands belong. */
static struct client *replayer(void) {
    static struct client c;
    if (c.db == NULL) {
        c.conn.source.fd = -1;
        c.flags = CLIENT_AUTHENTICATED;
        c.resp = 2;
        c.db = db_at(0);
    }
    return &c;
}

/* A log has only commands that can change something, and SELECT. Others could do harm: their clients do not exist. */
static bool belongs_in_log(const struct command *command) {
    return command && command->body && (command->flags & (CMD_WRITE | CMD_MAY_REPLICATE | CMD_IN_LOG));
}

/* Prepare up to count requests and begin to prefetch their keys. Returns the number of those before the first one that
 * does not belong in a log. */
static size_t prepare_commands(struct request *requests, const struct aof_command *commands, size_t count,
                               struct prefetch *ahead) {
    struct client *c = replayer();
    prefetch_begin(ahead);
    for (size_t i = 0; i < count; i++) {
        struct request *r = &requests[i];
        *r = (struct request){.client = c, .argv = commands[i].argv, .argc = commands[i].argc};
        request_prepare(r);
        if (!belongs_in_log(r->command)) return i;
        if (r->key.name.ptr) prefetch_key(ahead, c->db, r->key.hash);
    }
    return count;
}

/* For tests that need a slow load. */
static void delay_load(size_t commands) {
    rdb_load_delay(commands + 1);
    loading_progress(NULL, loading.file_bytes);
}

/* Commands of a log have succeeded once. If one fails now, the log is not of this dataset: the administrator should
 * hear of it, but what else is there is worth having. */
static bool replay(struct request *r) {
    client_clear(r->client, CLIENT_FAILED);
    if (!call_replay(r)) return false;
    if (unlikely(r->client->flags & CLIENT_FAILED)) server_metrics.unexpected_errors++;
    return true;
}

size_t loading_apply(void *ctx, const struct aof_command *commands, size_t count) {
    struct request requests[PREFETCH_MAX];
    struct prefetch ahead;
    (void)ctx;
    for (size_t done = 0; done < count;) {
        size_t some = count - done < PREFETCH_MAX ? count - done : PREFETCH_MAX;
        size_t known = prepare_commands(requests, commands + done, some, &ahead);
        prefetch_records(&ahead);
        for (size_t i = 0; i < known; i++) {
            if (!replay(&requests[i])) return done + i;
            if (rdb_options.key_load_delay_us) delay_load(done + i);
        }
        done += known;
        if (known < some) return done;
    }
    return count;
}

static bool read_snapshot(struct rdb_read *job, const char *name) {
    loading.rdb = job;
    bool ok = snapshot_read(job, name);
    loading.rdb = NULL;
    return ok;
}

/* --- The append-only file -------------------------------------------------------------------- */

static bool read_base(void *ctx, int fd, uint64_t *end) {
    (void)ctx;
    struct rdb_read job = {.fd = fd, .flags = RDB_KEEP_EXPIRED, .progress = loading_progress};
    log_notice("Reading RDB base file on AOF loading...");
    if (lseek(fd, 0, SEEK_SET) != 0) return false;
    if (!read_snapshot(&job, "the base")) {
        if (loading.serving) log_warning("Terminating server after rdb file reading failure.");
        return false;
    }
    *end = job.end;
    return true;
}

static void aof_sized(void *ctx, uint64_t bytes) {
    (void)ctx;
    loading_begin(bytes);
}

static void aof_file_begun(void *ctx, const char *name) {
    (void)ctx;
    (void)name;
    loading.files_bytes += loading.file_bytes;
    loading.file_bytes = 0;
    replayer()->db = db_at(0);
}

static enum aof_load load_aof(void) {
    static const struct aof_load_hooks hooks = {
        .reader = {.apply = loading_apply, .read_base = read_base, .progress = loading_progress},
        .sized = aof_sized,
        .begun = aof_file_begun,
    };
    int64_t began_us = clock_mono_us();
    enum aof_load result = aof_load(&hooks);
    if (loading.active) loading_end();
    if (result == AOF_LOAD_OK)
        log_notice("DB loaded from append only file: %.3f seconds", (double)(clock_mono_us() - began_us) / 1e6);
    db_metrics.dirty = 0;
    return result;
}

bool loading_again(void) {
    for (int i = 0; i < db_count(); i++)
        db_empty(db_at(i), false);
    return load_aof() == AOF_LOAD_OK;
}

/* --- The snapshot ---------------------------------------------------------------------------- */

enum loading_result loading_snapshot(bool merge) {
    struct rdb_read job = {.flags = merge ? RDB_ALLOW_TWICE : 0, .progress = loading_progress};
    int64_t began_us = clock_mono_us();
    const char *name = snapshot_name();
    job.fd = open(name, O_RDONLY | O_CLOEXEC);
    if (job.fd < 0) {
        if (errno == ENOENT) return LOADING_ABSENT;
        log_warning("Can't open %s: %s", name, strerror(errno));
        return LOADING_BROKEN;
    }
    int64_t size = files_size("", name);
    loading_begin(size > 0 ? (uint64_t)size : 0);
    bool ok = read_snapshot(&job, name);
    loading_end();
    close(job.fd);
    if (!ok) return LOADING_BROKEN;
    log_notice("DB loaded from disk: %.3f seconds", (double)(clock_mono_us() - began_us) / 1e6);
    return LOADING_DONE;
}

static _Noreturn void end_at_start(void) {
    log_warning("Fatal error loading the DB, check server logs. Exiting.");
    log_warning("Terminating server after rdb file reading failure.");
    _exit(1);
}

/* Whoever switches the append-only file on beside a snapshot wants to go on with its data. */
static void start_from_aof(void) {
    if (load_aof() == AOF_LOAD_FAILED) _exit(1);
    if (!aof_exists()) {
        enum loading_result result = loading_snapshot(false);
        if (result == LOADING_BROKEN) end_at_start();
        if (result == LOADING_DONE)
            log_notice("There is no append-only file yet: it begins with the data of %s", snapshot_name());
    }
    aof_open();
}

void loading_start_up(bool from_aof) {
    loading.serving = true;
    if (from_aof)
        start_from_aof();
    else if (loading_snapshot(false) == LOADING_BROKEN)
        end_at_start();
    db_metrics.dirty = 0;
    loading.serving = false;
}
