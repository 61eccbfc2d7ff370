/* What waits to be written is a list of parts: ranges of the log, usually one, and bytes of the file's own, such as a
 * SELECT where the log leaves out what selected the database. While the file follows the log, the last part is a range
 * that has no end yet. So a command costs the file nothing; the checksum reads the bytes once, when they are written.
 *
 * A failed fsync may have dropped the dirty pages, so that a later one succeeds although data is lost. Therefore any
 * failure under `always` ends the process; under `everysec` writes are refused until a later sync succeeds, as in
 * Redis. */
#include "aof/aof_write.h"
#include "aof/aof_frame.h"
#include "aof/aof_place.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/crc64.h"
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
#include <sys/uio.h>
#include <unistd.h>

#define PIECES 128             /* that one system call writes */
#define KEEP_BYTES (256 << 10) /* a larger buffer is freed after the write */
#define LOG_ERRORS_US 30000000 /* between two log lines about the same error */
#define SYNC_EVERY_MS 1000
/* Of what is in the log and not for the file, after which the place of the file is told again. */
#define PLACE_BYTES (1 << 16)
#define PLACE_MS 100 /* if this server leads */
#define LONG_AGO (INT64_MIN / 2)

struct aof_write_options aof_write_options = {.checksums = true};
struct aof_write_follow aof_write_follow = {.cut = INT64_MAX};
void (*aof_write_synced)(void);

enum part_kind {
    PART_LOG,   /* a range of the log, in offsets */
    PART_OWN,   /* bytes of out.own */
    PART_STAMP, /* the same, between frames */
};

struct part {
    enum part_kind kind;
    bool ends_frame;
    int64_t from, to;
    /* Of the last part of a frame: the place that the file has reached with it. */
    int64_t place;
    int place_db;
};

static struct {
    bool collects; /* commands are taken */
    bool framed;   /* they are written in frames */
    bool held;     /* nothing is written: the next file gets it */
    bool follows;  /* the last part is a range of the log that goes on */
    bool own_unit; /* a unit has own bytes, and has not ended */
    bool leads;    /* replicas are ahead of what the file tells */
    struct part *parts;
    size_t count, cap;
    size_t closed; /* bytes of the parts, without a range that goes on */
    size_t frame;  /* of these, in the last frame, which is open */
    struct buf own;
    struct buf rest;            /* what a failed write has left, byte by byte: it comes before the parts */
    struct oplog_cursor cursor; /* where the first range begins; nowhere: there is none */
    int db_id;                  /* the database selected in the file, unless it follows; -1: unknown */
    int fd;                     /* -1: there is no file */
    int64_t bytes;              /* written to the file */
    int64_t synced;             /* of these, given to a sync */
    int64_t stamped_s;          /* the last "#TS:" */
    int64_t synced_ms;          /* clock_steady_ms() when the last sync began */
    int64_t placed_ms;          /* the same when a place without commands was written */
    int write_errno;
    int64_t complained_us;
    uint64_t delayed_syncs;
    /* Offsets of the log: what the last line tells (-1: none); up to where all is written; of that, given to a sync;
     * synced. */
    int64_t told, written, syncing, durable;
} out = {.fd = -1, .db_id = -1, .placed_ms = LONG_AGO};

/* Shared with the worker. */
static atomic_uint pending_syncs; /* given to the worker and not done */
static atomic_int sync_errno;     /* of the last one that is done */

/* --- Parts ----------------------------------------------------------------------------------- */

/* Bytes of the range that goes on. */
static size_t open_bytes(void) {
    return out.follows ? (size_t)(oplog_end() - out.parts[out.count - 1].from) : 0;
}

static size_t waiting_bytes(void) {
    return out.rest.len + out.closed + open_bytes();
}

static bool is_waiting(void) {
    return out.count > (out.follows ? 1 : 0) || waiting_bytes() > 0;
}

static bool in_unit(void) {
    return out.own_unit || oplog_unit_end() != oplog_end();
}

bool aof_write_is_in_unit(void) {
    return in_unit();
}

/* After each change: when must the next command, or the next unit, be looked at? */
static void fit_follow(void) {
    aof_write_follow.asks = out.collects && !out.follows;
    if (out.own_unit)
        aof_write_follow.cut = INT64_MIN;
    else if (out.follows)
        aof_write_follow.cut = out.parts[out.count - 1].from + AOF_FRAME_MAX - (int64_t)out.frame;
    else
        aof_write_follow.cut = INT64_MAX;
}

static struct part *add_part(enum part_kind kind, int64_t from) {
    if (out.count == out.cap) out.parts = alloc_grow(out.parts, &out.cap, sizeof *out.parts, 4);
    struct part *part = &out.parts[out.count++];
    *part = (struct part){.kind = kind, .from = from};
    return part;
}

static void end_part(struct part *part, int64_t to) {
    part->to = to;
    out.closed += (size_t)(to - part->from);
    out.frame += (size_t)(to - part->from);
}

/* Follow the log from its end on. */
static void begin_range(void) {
    int64_t end = oplog_end();
    if (out.cursor.block == NULL) {
        bool is_there = oplog_seek(&out.cursor, end);
        assert(is_there);
        (void)is_there;
    }
    add_part(PART_LOG, end);
    out.follows = true;
}

static void end_range(void) {
    if (!out.follows) return;
    struct part *part = &out.parts[out.count - 1];
    out.follows = false;
    if (oplog_end() == part->from)
        out.count--;
    else
        end_part(part, oplog_end());
}

static void put_own(enum part_kind kind, size_t from) {
    struct part *last = out.count ? &out.parts[out.count - 1] : NULL;
    size_t bytes = out.own.len - from;
    if (kind == PART_OWN && last && last->kind == PART_OWN && !last->ends_frame && last->to == (int64_t)from) {
        last->to += (int64_t)bytes;
        out.closed += bytes;
        out.frame += bytes;
    } else {
        end_part(add_part(kind, (int64_t)from), (int64_t)out.own.len);
    }
}

/* The last part ends a frame, which has the place that the log has reached. */
static void mark_frame(void) {
    struct part *last = &out.parts[out.count - 1];
    last->ends_frame = true;
    last->place = oplog_unit_end();
    last->place_db = oplog_unit_db();
    out.frame = 0;
}

static void end_frame(void) {
    bool follows = out.follows;
    end_range();
    if (out.count && !out.parts[out.count - 1].ends_frame) mark_frame();
    if (follows) begin_range();
}

/* --- Commands -------------------------------------------------------------------------------- */

static void put_select(int db_id) {
    size_t from = out.own.len;
    out.db_id = db_id;
    resp_put_header(&out.own, '*', 2);
    resp_put_word(&out.own, SLICE("SELECT"));
    resp_put_int(&out.own, db_id);
    put_own(PART_OWN, from);
}

/* Only between transactions, so that a tool that cuts at a stamp cuts none in two. */
static void put_stamp(void) {
    int64_t now_s = clock_now_ms() / 1000;
    size_t from = out.own.len;
    if (now_s <= out.stamped_s) return;
    out.stamped_s = now_s;
    bool follows = out.follows;
    end_frame();
    end_range();
    buf_printf(&out.own, "#TS:%lld\r\n", (long long)now_s);
    put_own(PART_STAMP, from);
    out.parts[out.count - 1].ends_frame = true;
    out.frame = 0;
    if (follows) begin_range();
}

/* If the log's database is another one, the log is about to select this one. */
void aof_write_join(int db_id) {
    if (!out.collects) return;
    if (aof_write_options.timestamps && !in_unit()) put_stamp();
    if (!out.follows) {
        if (db_id >= 0 && db_id == oplog_db() && db_id != out.db_id) put_select(db_id);
        begin_range();
    }
    fit_follow();
}

static void stop_following(void) {
    if (!out.follows) return;
    out.db_id = oplog_db();
    end_range();
    if (out.closed == 0) oplog_leave(&out.cursor);
    fit_follow();
}

void aof_write_skip(bool leads) {
    out.leads |= leads;
    stop_following();
}

static void put_args(const struct slice *argv, int argc) {
    resp_put_header(&out.own, '*', argc);
    for (int i = 0; i < argc; i++)
        resp_put_word(&out.own, argv[i]);
}

void aof_write_own(int db_id, const struct slice *argv, int argc, struct slice raw) {
    if (!out.collects) return;
    if (aof_write_options.timestamps && !in_unit()) put_stamp();
    stop_following();
    if (db_id >= 0 && db_id != out.db_id) put_select(db_id);
    size_t from = out.own.len;
    if (raw.len)
        buf_append_slice(&out.own, raw);
    else
        put_args(argv, argc);
    put_own(PART_OWN, from);
    out.own_unit = true;
    fit_follow();
}

void aof_write_cut(void) {
    out.own_unit = false;
    if (out.frame + open_bytes() > AOF_FRAME_MAX) end_frame();
    fit_follow();
}

/* --- Output ---------------------------------------------------------------------------------- */

/* Pieces on their way to the file, or to a copy. */
struct output {
    struct iovec pieces[PIECES];
    int count;
    char lines[PIECES / 2][AOF_PLACE_MAX]; /* annotations among them */
    int n_lines;
    size_t written;
    int error;        /* errno of the failed write */
    struct buf *copy; /* not NULL: nothing is written */
};

typedef void (*piece_fn)(void *ctx, const char *bytes, size_t n);

/* Some of the first piece, and all before it, are done. */
static void drop_pieces(struct iovec **pieces, int *count, size_t done) {
    while (*count && done >= (*pieces)->iov_len) {
        done -= (*pieces)->iov_len;
        ++*pieces;
        --*count;
    }
    if (*count == 0) return;
    (*pieces)->iov_base = (char *)(*pieces)->iov_base + done;
    (*pieces)->iov_len -= done;
}

static void write_pieces(struct output *o) {
    struct iovec *left = o->pieces;
    int count = o->count;
    while (count && !o->error) {
        ssize_t n = writev(out.fd, left, count);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            o->error = n < 0 ? errno : ENOSPC;
        } else {
            o->written += (size_t)n;
            drop_pieces(&left, &count, (size_t)n);
        }
    }
    o->count = o->n_lines = 0;
}

static void add_piece(void *ctx, const char *bytes, size_t n) {
    struct output *o = ctx;
    if (o->copy) {
        buf_append(o->copy, bytes, n);
        return;
    }
    if (o->count == PIECES) write_pieces(o);
    o->pieces[o->count++] = (struct iovec){.iov_base = (char *)bytes, .iov_len = n};
}

/* Room for a line, and for the piece that it becomes. */
static char *get_line(struct output *o) {
    if (o->n_lines == PIECES / 2 || o->count == PIECES) write_pieces(o);
    return o->lines[o->n_lines++];
}

static void walk_range(int64_t from, int64_t to, piece_fn fn, void *ctx) {
    struct oplog_cursor at = {0};
    struct iovec pieces[16];
    bool is_there = oplog_seek(&at, from);
    assert(is_there);
    (void)is_there;
    for (size_t left = (size_t)(to - from), done; left; left -= done) {
        int n = oplog_peek(&at, pieces, 16, left);
        done = 0;
        for (int i = 0; i < n; i++) {
            fn(ctx, pieces[i].iov_base, pieces[i].iov_len);
            done += pieces[i].iov_len;
        }
        oplog_advance(&at, done);
    }
    oplog_leave(&at);
}

static void walk_part(const struct part *part, piece_fn fn, void *ctx) {
    if (part->kind == PART_LOG)
        walk_range(part->from, part->to, fn, ctx);
    else if (part->to > part->from)
        fn(ctx, out.own.data + part->from, (size_t)(part->to - part->from));
}

struct sum {
    uint64_t crc;
    size_t bytes;
};

static void add_to_sum(void *ctx, const char *bytes, size_t n) {
    struct sum *sum = ctx;
    sum->crc = crc64(sum->crc, bytes, n);
    sum->bytes += n;
}

static void put_frame(struct output *o, const struct part *parts, size_t count) {
    char place[AOF_PLACE_MAX];
    const struct part *last = &parts[count - 1];
    size_t place_len = aof_place_print(place, last->place, last->place_db);
    struct sum sum = {0};
    for (size_t i = 0; i < count; i++)
        walk_part(&parts[i], add_to_sum, &sum);
    if (place_len) add_to_sum(&sum, place, place_len);
    char *line = get_line(o);
    aof_frame_print_sum(line, sum.crc, sum.bytes);
    add_piece(o, line, AOF_FRAME_LINE);
    for (size_t i = 0; i < count; i++)
        walk_part(&parts[i], add_piece, o);
    if (place_len == 0) return;
    line = get_line(o);
    memcpy(line, place, place_len);
    add_piece(o, line, place_len);
}

/* All parts belong to frames that have ended. */
static void put_parts(struct output *o) {
    for (size_t first = 0, i = 0; i < out.count && !o->error; i++) {
        const struct part *part = &out.parts[i];
        if (!out.framed || part->kind == PART_STAMP)
            walk_part(part, add_piece, o);
        else if (part->ends_frame)
            put_frame(o, &out.parts[first], i + 1 - first);
        if (part->ends_frame) first = i + 1;
    }
}

static void put_all(struct output *o) {
    if (out.rest.len) add_piece(o, out.rest.data, out.rest.len);
    put_parts(o);
    write_pieces(o);
}

static void reset_buf(struct buf *b) {
    if (b->cap > KEEP_BYTES)
        buf_free(b);
    else
        b->len = 0;
}

/* All parts are done. If the file follows the log, it goes on to do so from the log's end. */
static void drop_parts(bool follow) {
    oplog_leave(&out.cursor);
    out.count = out.closed = out.frame = 0;
    out.follows = false;
    reset_buf(&out.own);
    if (follow) begin_range();
    fit_follow();
}

/* --- Writing --------------------------------------------------------------------------------- */

static bool may_complain(void) {
    int64_t now_us = clock_mono_us();
    if (out.complained_us && now_us - out.complained_us < LOG_ERRORS_US) return false;
    out.complained_us = now_us;
    return true;
}

/* So many bytes are in the file, and stay there. The others have to follow as they are, whatever comes behind them. */
static void keep_rest(size_t written, bool follow) {
    struct buf all = {0};
    struct output o = {.copy = &all};
    put_all(&o);
    out.bytes += (int64_t)written;
    memmove(all.data, all.data + written, all.len - written);
    all.len -= written;
    buf_free(&out.rest);
    out.rest = all;
    drop_parts(follow);
}

/* Only a part was written: cut it off, so that a reader does not find half a frame. If that fails, keep only the
 * rest. */
static void take_back(size_t written, bool follow, bool complain) {
    if (complain)
        log_warning("Short write while writing to the AOF file: (nwritten=%zu, expected=%zu)", written,
                    waiting_bytes());
    if (ftruncate(out.fd, out.bytes) == 0) return;
    if (complain)
        log_warning("Could not remove short write from the append-only file.  Redis may refuse to load the AOF the "
                    "next time it starts.  ftruncate: %s",
                    strerror(errno));
    keep_rest(written, follow);
}

static void write_failed(const struct output *o, bool follow, bool force) {
    bool complain = may_complain();
    if (o->written)
        take_back(o->written, follow, complain);
    else if (complain)
        log_warning("Error writing to the AOF file: %s", strerror(o->error));
    out.write_errno = o->error;
    if (aof_write_options.fsync != AOF_FSYNC_ALWAYS || force) return;
    log_warning("Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting...");
    _exit(1);
}

static void forget_write_error(void) {
    if (out.write_errno) log_warning("AOF write error looks solved, Redis can write again.");
    out.write_errno = 0;
    out.complained_us = 0;
}

/* Everything that waits is written, or nothing. */
static bool write_waiting(bool force) {
    static struct output o; /* large, and most of it is never touched */
    bool follow = out.follows;
    end_frame();
    end_range();
    o.count = o.n_lines = o.error = 0;
    o.written = 0;
    put_all(&o);
    if (o.error) {
        write_failed(&o, follow, force);
        if (follow && !out.follows) begin_range();
        fit_follow();
        return false;
    }
    out.bytes += (int64_t)o.written;
    reset_buf(&out.rest);
    if (oplog_id) out.told = oplog_unit_end();
    out.leads = false;
    out.written = oplog_unit_end();
    drop_parts(follow);
    forget_write_error();
    oplog_trim();
    return true;
}

/* The file has all that is for it, but not the place that the log has reached. */
static bool lacks_place(void) {
    return oplog_id && out.framed && out.told != oplog_unit_end() && !is_waiting() && !in_unit();
}

/* Soon, but not after each message, since the file must not grow by them: once after each write, as WAIT wants it, and
 * else each 100 ms. */
static bool place_is_due(void) {
    return (out.leads && clock_steady_ms() - out.placed_ms >= PLACE_MS) || oplog_unit_end() - out.told >= PLACE_BYTES;
}

/* A frame without commands. */
static void add_place(void) {
    bool follows = out.follows;
    end_range();
    end_part(add_part(PART_OWN, (int64_t)out.own.len), (int64_t)out.own.len);
    mark_frame();
    if (follows) begin_range();
    fit_follow();
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
    out.syncing = out.written;
    out.synced_ms = clock_steady_ms();
}

static void sync_in_background(void) {
    out.synced = out.bytes;
    out.syncing = out.written;
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

/* What was given to a sync is synced. */
static void note_synced(void) {
    bool moved = out.durable != out.syncing;
    if (!moved || atomic_load(&pending_syncs) || atomic_load(&sync_errno)) return;
    out.durable = out.syncing;
    if (aof_write_synced) aof_write_synced();
}

bool aof_write_flush(bool force) {
    if (!out.collects) return true;
    if (out.held || out.fd < 0) return !is_waiting();
    bool is_place = unlikely(lacks_place()) && place_is_due();
    if (is_place) add_place();
    bool waits = is_waiting();
    if (!waits && out.synced == out.bytes && out.durable == out.syncing && atomic_load(&sync_errno) == 0) return true;
    if (waits && in_unit() && !force) return false;
    if (unlikely(aof_write_options.sleep_us > 0) && waits) usleep((useconds_t)aof_write_options.sleep_us);
    if (waits && !write_waiting(force)) return false;
    if (waits) out.placed_ms = is_place ? clock_steady_ms() : LONG_AGO;
    sync_by_policy();
    note_synced();
    return true;
}

void aof_write_tell_place(void) {
    if (out.collects && !out.held && out.fd >= 0 && lacks_place()) add_place();
}

int64_t aof_write_synced_offset(void) {
    if (!out.collects || out.fd < 0) return -1;
    return !is_waiting() && aof_write_is_synced() ? oplog_unit_end() : out.durable;
}

bool aof_write_sync_now(void) {
    if (out.fd < 0) return true;
    if (fsync(out.fd) < 0 && errno != EINVAL && errno != EROFS) return false;
    out.synced = out.bytes;
    out.syncing = out.written;
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

/* The next command is the first one of a file. What waits already keeps its place before it. */
static void begin_collecting(void) {
    out.collects = true;
    oplog_want(OPLOG_FILE, true);
    stop_following();
    out.held = out.own_unit = false;
    out.framed = aof_write_options.checksums;
    out.db_id = -1;
    out.stamped_s = 0;
    out.written = oplog_unit_end();
    out.told = -1;
    fit_follow();
}

void aof_write_begin(int fd, int64_t bytes) {
    assert(out.fd < 0);
    if (!out.collects) begin_collecting();
    forget_write_error();
    out.fd = fd;
    out.bytes = out.synced = bytes;
    out.syncing = out.durable = out.written;
}

void aof_write_await(int reason) {
    assert(!out.collects);
    begin_collecting();
    out.write_errno = reason;
}

void aof_write_hold(void) {
    assert(out.collects && !is_waiting());
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
    out.syncing = out.written; /* all before it was synced */
}

void aof_write_end(void) {
    if (!out.collects) return;
    close_later();
    out.collects = out.held = out.own_unit = false;
    drop_parts(false);
    buf_free(&out.own);
    buf_free(&out.rest);
    alloc_put(out.parts, out.cap * sizeof *out.parts);
    out.parts = NULL;
    out.cap = 0;
    oplog_want(OPLOG_FILE, false);
}

struct aof_write_metrics aof_write_metrics(void) {
    size_t own = out.own.cap + out.rest.cap + out.cap * sizeof *out.parts;
    bool alone = oplog_is_kept == OPLOG_FILE;
    return (struct aof_write_metrics){.file_bytes = out.bytes,
                                      .buffered = waiting_bytes(),
                                      .memory = own + (alone ? oplog_metrics().memory : 0),
                                      .delayed_syncs = out.delayed_syncs,
                                      .pending_syncs = atomic_load(&pending_syncs),
                                      .write_errno = out.write_errno,
                                      .sync_errno = atomic_load(&sync_errno)};
}
