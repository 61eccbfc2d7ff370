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
#include "exec/busy.h"
#include "exec/call.h"
#include "exec/propagate.h"
#include "exec/replay.h"
#include "exec/wave.h"
#include "net/loop.h"
#include "process/cron.h"
#include "process/process.h"
#include "process/shutdown.h"
#include "rdb/rdb.h"
#include "rdb/rdb_functions.h"
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
    bool aside;         /* the data are loaded beside those that are served */
    bool starts;        /* at start-up */
    bool serving;       /* the loop may be turned here: at start-up it does not run yet, later only if so told */
    int64_t started_s;  /* wall clock */
    int64_t started_us; /* monotonic, as the next two */
    int64_t turned_us, told_us;
    const struct rdb_read *rdb;                    /* the snapshot or base that is being read, or NULL */
    uint64_t total_bytes, files_bytes, file_bytes; /* of all files; of those that are done; of the current one so far */
} loading;

#define LOADING_ERROR "LOADING Redis is loading the dataset in memory"

static const struct gate loading_gate = {.passes = CMD_LOADING, .error = LOADING_ERROR};

/* Beside the data, only what changes the roles of servers or needs memory for all of them is kept out. */
static bool disturbs(const struct request *r, unsigned flags) {
    (void)r;
    return flags & CMD_NO_ASYNC_LOADING;
}
static const struct gate aside_gate = {.holds = disturbs, .error = LOADING_ERROR, .stops_calls = CMD_NO_ASYNC_LOADING};

void (*loading_recalled)(const struct loading_place *place);
bool loading_keeps_expired;

/* What the files tell about the history. */
static struct {
    struct loading_place place;
    bool known;         /* this is the place of all that has been applied so far */
    bool lost;          /* no place is right */
    struct buf expired; /* keys that were left out: database, length, name */
} recalled;

bool loading_is_active(void) {
    return loading.active && !loading.aside;
}

bool loading_is_aside(void) {
    return loading.active && loading.aside;
}

/* --- During loading -------------------------------------------------------------------------- */

/* Like cron_turn(), but nothing expires. */
static int turn_without_data(void) {
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

static _Noreturn void end_at_signal(void) {
    shutdown_finish();
    _exit(0);
}

void loading_wait(int wait_ms) {
    loop_wait(wait_ms, loading.aside ? cron_turn : turn_without_data);
    loading.turned_us = clock_mono_us();
    if (loading.starts && shutdown_is_requested()) end_at_signal();
}

/* A command of the log is busy: a signal does not wait for its end. */
static void loading_looks(void) {
    shutdown_turn();
    if (shutdown_is_requested()) end_at_signal();
}

void loading_breathe(void) {
    int64_t now_us = clock_mono_us();
    if (!loading.serving || now_us - loading.turned_us < TURN_EVERY_US) return;
    if (loading.starts) tell_progress(now_us);
    loading_wait(0);
}

void loading_progress(void *ctx, uint64_t bytes) {
    (void)ctx;
    loading.file_bytes = bytes;
    loading_breathe();
}

static void count_from_here(uint64_t total_bytes) {
    loading.active = true;
    loading.started_s = clock_wall_us() / 1000000;
    loading.started_us = clock_mono_us();
    loading.total_bytes = total_bytes;
    loading.files_bytes = loading.file_bytes = 0;
}

void loading_begin(uint64_t total_bytes) {
    count_from_here(total_bytes);
    gates_set(GATES_LOADING, &loading_gate);
    expire_hold(EXPIRE_LOADING, true);
}

void loading_begin_aside(uint64_t total_bytes) {
    count_from_here(total_bytes);
    loading.aside = true;
    gates_set(GATES_LOADING, &aside_gate);
}

void loading_serve(const struct rdb_read *rdb) {
    loading.serving = true;
    loading.rdb = rdb;
}

void loading_end(void) {
    loading.active = loading.aside = false;
    loading.serving = loading.starts;
    loading.rdb = NULL;
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

/* Prepare up to count requests and begin to prefetch their keys. Returns the number of those before the first one that
 * does not belong in a log. */
static size_t prepare_commands(struct request *requests, const struct aof_command *commands, size_t count,
                               struct prefetch *ahead) {
    struct client *c = replayer();
    prefetch_begin(ahead);
    for (size_t i = 0; i < count; i++) {
        struct request *r = &requests[i];
        *r = (struct request){.client = c, .argv = commands[i].argv, .argc = commands[i].argc};
        if (!replay_prepare(r, ahead)) return i;
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
static void replay(struct request *r) {
    client_clear(r->client, CLIENT_FAILED);
    call_replay(r);
    if (unlikely(r->client->flags & CLIENT_FAILED)) server_metrics.unexpected_errors++;
}

size_t loading_apply(void *ctx, const struct aof_command *commands, size_t count) {
    struct request requests[PREFETCH_MAX];
    struct prefetch ahead;
    (void)ctx;
    if (count) recalled.known = false;
    for (size_t done = 0; done < count;) {
        size_t some = count - done < PREFETCH_MAX ? count - done : PREFETCH_MAX;
        size_t known = prepare_commands(requests, commands + done, some, &ahead);
        prefetch_records(&ahead);
        for (size_t i = 0; i < known; i++) {
            replay(&requests[i]);
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

/* --- The history ----------------------------------------------------------------------------- */

/* A snapshot may come from anywhere. */
static bool is_place(const char *id, int64_t offset, int db) {
    return strlen(id) == sizeof recalled.place.id - 1 && strspn(id, "0123456789abcdef") == strlen(id) && offset >= 0 &&
           db >= -1 && db < db_count();
}

/* The lines of a log say nothing of a former history: the base's holds as long as they go on in the same one. */
static void recall(const char *id, int64_t offset, int db, bool from_aof) {
    struct oplog_former former = recalled.place.former;
    if (strcmp(recalled.place.id, id) != 0) former = (struct oplog_former){.end = -1};
    recalled.known = is_place(id, offset, db);
    recalled.place = (struct loading_place){.offset = offset, .db = db, .from_aof = from_aof};
    snprintf(recalled.place.id, sizeof recalled.place.id, "%s", id);
    recalled.place.former = former;
}

static void aof_place(void *ctx, const struct aof_place *place) {
    (void)ctx;
    if (place)
        recall(place->id, place->offset, place->db, true);
    else
        recalled.lost = true;
}

static void keep_left_out(void *ctx, int db_id, struct slice key) {
    (void)ctx;
    buf_append(&recalled.expired, &db_id, sizeof db_id);
    buf_append(&recalled.expired, &key.len, sizeof key.len);
    buf_append_slice(&recalled.expired, key);
}

static void delete_left_out(void) {
    const char *at = recalled.expired.data, *end = at + recalled.expired.len;
    int db_id;
    struct slice argv[] = {SLICE("DEL"), {NULL, 0}};
    while (at < end) {
        memcpy(&db_id, at, sizeof db_id);
        memcpy(&argv[1].len, at + sizeof db_id, sizeof argv[1].len);
        argv[1].ptr = at + sizeof db_id + sizeof argv[1].len;
        propagate_extra(db_at(db_id), argv, 2);
        at = argv[1].ptr + argv[1].len;
    }
}

static void tell_recalled(void) {
    if (recalled.known && !recalled.lost && loading_recalled) {
        loading_recalled(&recalled.place);
        delete_left_out();
    }
    buf_free(&recalled.expired);
}

/* --- The append-only file -------------------------------------------------------------------- */

static bool read_base(void *ctx, int fd, uint64_t *end) {
    (void)ctx;
    struct rdb_read job = {.fd = fd, .flags = RDB_KEEP_EXPIRED, .progress = loading_progress};
    log_notice("Reading RDB base file on AOF loading...");
    if (lseek(fd, 0, SEEK_SET) != 0) return false;
    if (!read_snapshot(&job, "the base")) {
        if (loading.starts) log_warning("Terminating server after rdb file reading failure.");
        return false;
    }
    *end = job.end;
    recall(job.repl_id, job.repl_offset, job.repl_db, true);
    recalled.place.former = job.former;
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
        .reader = {.apply = loading_apply, .read_base = read_base, .progress = loading_progress, .place = aof_place},
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
    rdb_functions_empty(false);
    return load_aof() == AOF_LOAD_OK;
}

/* --- The snapshot ---------------------------------------------------------------------------- */

enum loading_result loading_snapshot(bool merge) {
    struct rdb_read job = {.flags = merge ? RDB_ALLOW_TWICE : 0, .progress = loading_progress};
    int64_t began_us = clock_mono_us();
    const char *name = snapshot_name();
    if (loading.serving && loading_keeps_expired) job.flags |= RDB_KEEP_EXPIRED;
    if (loading.serving && loading_recalled) job.left_out = keep_left_out;
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
    recall(job.repl_id, job.repl_offset, job.repl_db, false);
    recalled.place.former = job.former;
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
    tell_recalled();
    aof_open();
}

static void start_from_snapshot(void) {
    if (loading_snapshot(false) == LOADING_BROKEN) end_at_start();
    tell_recalled();
}

void loading_start_up(bool from_aof) {
    loading.starts = loading.serving = true;
    busy_looks = loading_looks;
    recalled.known = recalled.lost = false;
    if (from_aof)
        start_from_aof();
    else
        start_from_snapshot();
    db_metrics.dirty = 0;
    loading.starts = loading.serving = false;
    busy_looks = NULL;
}
