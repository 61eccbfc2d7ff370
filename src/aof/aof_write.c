/* A frame begins with room for its annotation, which is filled in when the frame ends. So the payload is copied once
 * (from the request to the buffer) and read once (by the checksum, while it is in the cache).
 *
 * A failed fsync may have dropped the dirty pages, so that a later one succeeds although data is lost. Therefore any
 * failure under `always` ends the process; under `everysec` writes are refused until a later sync succeeds, as in
 * Redis. */
#include "aof/aof_write.h"
#include "aof/aof_frame.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/likely.h"
#include "base/log.h"
#include "base/worker.h"
#include "disk/child.h"
#include "net/resp.h"
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NO_FRAME SIZE_MAX
#define KEEP_BYTES (256 << 10) /* a larger buffer is freed after the write */
#define LOG_ERRORS_US 30000000 /* between two log lines about the same error */
#define SYNC_EVERY_MS 1000

struct aof_write_options aof_write_options = {.checksums = true};

static struct {
    bool collects;      /* commands are appended to `waiting` */
    bool framed;        /* commands are in frames */
    bool held;          /* nothing is written: the next file gets it */
    int fd;             /* -1: there is no file */
    int64_t bytes;      /* written to the file */
    int64_t synced;     /* of these, given to a sync */
    struct buf waiting; /* frames to be written; the last one may be open */
    size_t frame;       /* offset of the open frame in `waiting`, or NO_FRAME */
    int db_id;          /* the database selected in the file; -1: unknown */
    bool in_unit;       /* between MULTI and EXEC */
    int64_t stamped_s;  /* the last "#TS:" */
    int64_t synced_ms;  /* clock_steady_ms() when the last sync began */
    int write_errno;
    int64_t complained_us;
    uint64_t delayed_syncs;
} out = {.fd = -1, .frame = NO_FRAME, .db_id = -1};

/* Shared with the worker. */
static atomic_uint pending_syncs; /* given to the worker and not done */
static atomic_int sync_errno;     /* of the last one that is done */

struct aof_write_metrics aof_write_metrics(void) {
    return (struct aof_write_metrics){.file_bytes = out.bytes,
                                      .buffered = out.waiting.len,
                                      .memory = out.waiting.cap,
                                      .delayed_syncs = out.delayed_syncs,
                                      .pending_syncs = atomic_load(&pending_syncs),
                                      .write_errno = out.write_errno,
                                      .sync_errno = atomic_load(&sync_errno)};
}

/* --- Frames ---------------------------------------------------------------------------------- */

static void end_frame(void) {
    if (out.frame == NO_FRAME) return;
    char *line = out.waiting.data + out.frame;
    size_t payload = out.waiting.len - out.frame - AOF_FRAME_LINE;
    aof_frame_print(line, line + AOF_FRAME_LINE, payload);
    out.frame = NO_FRAME;
}

static void begin_frame(void) {
    if (!out.framed || out.frame != NO_FRAME) return;
    out.frame = out.waiting.len;
    buf_reserve(&out.waiting, AOF_FRAME_LINE);
    out.waiting.len += AOF_FRAME_LINE;
}

/* --- Commands -------------------------------------------------------------------------------- */

static void put_args(const struct slice *argv, int argc) {
    resp_put_header(&out.waiting, '*', argc);
    for (int i = 0; i < argc; i++)
        resp_put_word(&out.waiting, argv[i]);
}

static void put_select(int db_id) {
    if (db_id == out.db_id) return;
    out.db_id = db_id;
    resp_put_header(&out.waiting, '*', 2);
    resp_put_word(&out.waiting, SLICE("SELECT"));
    resp_put_int(&out.waiting, db_id);
}

/* Only between transactions, so that a tool that cuts at a stamp cuts none in two. */
static void put_stamp(void) {
    int64_t now_s = clock_now_ms() / 1000;
    if (now_s <= out.stamped_s) return;
    out.stamped_s = now_s;
    end_frame();
    buf_printf(&out.waiting, "#TS:%lld\r\n", (long long)now_s);
}

void aof_write_append(int db_id, const struct slice *argv, int argc, struct slice raw) {
    if (!out.collects) return;
    if (aof_write_options.timestamps && !out.in_unit) put_stamp();
    begin_frame();
    if (unlikely(argc == 1)) {
        if (slice_is(argv[0], "multi")) {
            put_select(db_id);
            out.in_unit = true;
        } else if (slice_is(argv[0], "exec")) {
            out.in_unit = false;
        }
    }
    if (unlikely(db_id != out.db_id)) put_select(db_id);
    if (raw.len)
        buf_append_slice(&out.waiting, raw);
    else
        put_args(argv, argc);
    if (out.waiting.len - out.frame > AOF_FRAME_MAX && !out.in_unit) end_frame();
}

/* --- Writing --------------------------------------------------------------------------------- */

static bool may_complain(void) {
    int64_t now_us = clock_mono_us();
    if (out.complained_us && now_us - out.complained_us < LOG_ERRORS_US) return false;
    out.complained_us = now_us;
    return true;
}

/* Only a part was written: cut it off, so that a reader does not find half a frame. If that fails, keep only the
 * rest. */
static void take_back(size_t written, bool complain) {
    if (complain)
        log_warning("Short write while writing to the AOF file: (nwritten=%zu, expected=%zu)", written,
                    out.waiting.len);
    if (ftruncate(out.fd, out.bytes) == 0) return;
    if (complain)
        log_warning("Could not remove short write from the append-only file.  Redis may refuse to load the AOF the "
                    "next time it starts.  ftruncate: %s",
                    strerror(errno));
    out.bytes += (int64_t)written;
    memmove(out.waiting.data, out.waiting.data + written, out.waiting.len - written);
    out.waiting.len -= written;
}

static void write_failed(size_t written, int reason, bool force) {
    bool complain = may_complain();
    if (written)
        take_back(written, complain);
    else if (complain)
        log_warning("Error writing to the AOF file: %s", strerror(reason));
    out.write_errno = reason;
    if (aof_write_options.fsync != AOF_FSYNC_ALWAYS || force) return;
    log_warning("Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting...");
    _exit(1);
}

static void forget_write_error(void) {
    if (out.write_errno) log_warning("AOF write error looks solved, Redis can write again.");
    out.write_errno = 0;
    out.complained_us = 0;
}

static bool write_waiting(bool force) {
    size_t written = 0;
    while (written < out.waiting.len) {
        ssize_t n = write(out.fd, out.waiting.data + written, out.waiting.len - written);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            write_failed(written, n < 0 ? errno : ENOSPC, force);
            return false;
        }
        written += (size_t)n;
    }
    out.bytes += (int64_t)written;
    if (out.waiting.cap > KEEP_BYTES)
        buf_free(&out.waiting);
    else
        out.waiting.len = 0;
    forget_write_error();
    return true;
}

/* --- Syncing --------------------------------------------------------------------------------- */

bool aof_write_sync_file(int fd) {
    int failed = fdatasync(fd) < 0 ? errno : 0;
    /* Pipes and the like need no sync. */
    if (failed == EINVAL || failed == EROFS) failed = 0;
    int before = atomic_exchange(&sync_errno, failed);
    if (failed && !before)
        log_warning("Fail to fsync the AOF file: %s", strerror(failed));
    else if (!failed && before)
        log_warning("AOF fsync error looks solved, Redis can write again.");
    errno = failed;
    return failed == 0;
}

static void sync_in_worker(void *fd) {
    aof_write_sync_file((int)(intptr_t)fd);
    atomic_fetch_sub(&pending_syncs, 1);
}

static void close_file(void *fd) {
    close((int)(intptr_t)fd);
}

static void sync_always(void) {
    if (fdatasync(out.fd) < 0) {
        log_warning("Can't persist AOF for fsync error when the AOF fsync policy is 'always': %s. Exiting...",
                    strerror(errno));
        _exit(1);
    }
    out.synced = out.bytes;
    out.synced_ms = clock_steady_ms();
}

static void sync_in_background(void) {
    out.synced = out.bytes;
    atomic_fetch_add(&pending_syncs, 1);
    worker_submit(sync_in_worker, (void *)(intptr_t)out.fd);
}

static void sync_later(void) {
    int64_t now_ms = clock_steady_ms();
    if (now_ms - out.synced_ms < SYNC_EVERY_MS) return;
    out.synced_ms = now_ms;
    if (atomic_load(&pending_syncs)) {
        if (out.delayed_syncs++ == 0 || may_complain())
            log_notice("Asynchronous AOF fsync is taking too long (disk is busy?). Writing the AOF buffer without "
                       "waiting for fsync to complete, this may slow down Redis.");
        return;
    }
    sync_in_background();
}

static void sync_by_policy(void) {
    bool failed = atomic_load(&sync_errno) != 0;
    if (out.synced == out.bytes && !failed) return;
    if (aof_write_options.no_sync_meanwhile && child_running() != CHILD_NONE) return;
    if (aof_write_options.fsync == AOF_FSYNC_ALWAYS)
        sync_always();
    else if (aof_write_options.fsync == AOF_FSYNC_EVERYSEC)
        sync_later();
}

bool aof_write_flush(bool force) {
    if (!out.collects) return true;
    if (out.held || out.fd < 0) return out.waiting.len == 0;
    if (out.waiting.len == 0 && out.synced == out.bytes && atomic_load(&sync_errno) == 0) return true;
    end_frame();
    if (unlikely(aof_write_options.sleep_us > 0) && out.waiting.len) usleep((useconds_t)aof_write_options.sleep_us);
    if (out.waiting.len && !write_waiting(force)) return false;
    sync_by_policy();
    return true;
}

bool aof_write_sync_now(void) {
    if (out.fd < 0) return true;
    if (fsync(out.fd) < 0 && errno != EINVAL && errno != EROFS) return false;
    out.synced = out.bytes;
    return true;
}

void aof_write_sync_last(void) {
    if (out.fd >= 0 && out.synced != out.bytes) sync_in_background();
}

bool aof_write_is_synced(void) {
    return out.synced == out.bytes && !atomic_load(&pending_syncs) && !atomic_load(&sync_errno);
}

int aof_write_fd(void) {
    return out.fd;
}

void aof_write_forget_errors(void) {
    if (atomic_exchange(&sync_errno, 0)) log_warning("AOF reopen, just ignore the AOF fsync error in bio job");
    if (out.write_errno) log_warning("AOF reopen, just ignore the last error.");
    out.write_errno = 0;
}

/* --- Files ----------------------------------------------------------------------------------- */

bool aof_write_is_framed(void) {
    return out.framed;
}

bool aof_write_is_open(void) {
    return out.collects;
}

/* The next command is the first one of a file. */
static void begin_collecting(void) {
    out.collects = true;
    out.held = false;
    out.framed = aof_write_options.checksums;
    out.frame = NO_FRAME;
    out.db_id = -1;
    out.in_unit = false;
    out.stamped_s = 0;
}

void aof_write_begin(int fd, int64_t bytes) {
    assert(out.fd < 0);
    if (!out.collects) begin_collecting();
    forget_write_error();
    out.fd = fd;
    out.bytes = out.synced = bytes;
}

void aof_write_await(int reason) {
    assert(!out.collects);
    begin_collecting();
    out.write_errno = reason;
}

void aof_write_hold(void) {
    assert(out.collects && out.waiting.len == 0);
    begin_collecting();
    out.held = true;
}

void aof_write_release(void) {
    out.held = false;
}

static void close_later(void) {
    if (out.fd >= 0) worker_submit(close_file, (void *)(intptr_t)out.fd); /* after a sync that may be pending */
    out.fd = -1;
    out.bytes = out.synced = 0;
}

void aof_write_replace(int fd) {
    assert(out.held);
    close_later();
    out.held = false;
    out.fd = fd;
}

void aof_write_end(void) {
    if (!out.collects) return;
    close_later();
    out.collects = out.held = false;
    out.frame = NO_FRAME;
    buf_free(&out.waiting);
}
