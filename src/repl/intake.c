/* See intake.h.
 *
 *     HEAD -> STORING -> DUE -> LOADING     a file first
 *     HEAD -----------> DUE -> LOADING      from the socket, into a file as well (tee) or not
 *
 * Memory is bounded by one block of the writer and one of the reader, for any length that the primary tells. */
#include "repl/intake.h"
#include "aof/aof.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/module.h"
#include "base/num.h"
#include "base/option.h"
#include "durable/bgsave.h"
#include "durable/loading.h"
#include "net/loop.h"
#include "process/cron.h"
#include "repl/lines.h"
#include "repl/replace.h"
#include "repl/sync_file.h"
#include "store/db.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define MARK_LEN 40
#define PIECE ((size_t)256 << 10) /* bytes of one read */
#define LINES_A_TURN 16           /* read at once before the snapshot */
#define WAIT_MS 100               /* while the primary sends nothing: the loop's timers run anyway */

struct intake_options intake_options;
struct intake_status intake_status;

enum phase { PHASE_NONE, PHASE_HEAD, PHASE_STORING, PHASE_DUE, PHASE_LOADING };

static struct {
    struct loop_source source; /* first */
    struct intake_order order;
    void (*ended)(const struct intake_end *end);
    enum phase phase;
    struct lines lines;
    bool has_mark;
    char mark[MARK_LEN], tail[MARK_LEN]; /* the bytes that end the snapshot; the last bytes so far */
    uint64_t size, got;                  /* bytes: of the snapshot, if there is no mark; that have come */
    bool stores;                         /* bytes go to a file */
    bool from_file;                      /* ... from which they are loaded */
    bool waits;                          /* while loading: nothing has come for a moment */
} intake;

bool intake_is_active(void) {
    return intake.phase != PHASE_NONE;
}

bool intake_is_loading(void) {
    return intake.phase == PHASE_LOADING;
}

bool intake_waits(void) {
    return intake.phase == PHASE_HEAD || intake.phase == PHASE_STORING || intake.waits;
}

/* --- Ends ------------------------------------------------------------------------------------ */

static void leave_socket(void) {
    if (intake.source.fd < 0) return;
    loop_remove(&intake.source);
    intake.source.fd = -1;
}

static void end_intake(const struct intake_end *end) {
    leave_socket();
    if (intake.stores) sync_file_drop();
    intake.phase = PHASE_NONE;
    intake.ended(end);
}

static void fail(const char *why) {
    log_warning("MASTER <-> REPLICA sync failed: %s", why);
    end_intake(&(struct intake_end){.why = why, .left = SLICE("")});
}

void intake_cancel(const char *why) {
    if (intake.phase == PHASE_LOADING) {
        if (replace_running()) replace_running()->stop = why;
        leave_socket(); /* its owner may close it now */
    } else if (intake.phase != PHASE_NONE) {
        leave_socket();
        if (intake.stores) sync_file_drop();
        intake.phase = PHASE_NONE;
    }
}

/* --- Bytes ----------------------------------------------------------------------------------- */

static void note_tail(const char *bytes, size_t n) {
    if (n >= MARK_LEN) {
        memcpy(intake.tail, bytes + n - MARK_LEN, MARK_LEN);
        return;
    }
    memmove(intake.tail, intake.tail + n, MARK_LEN - n);
    memcpy(intake.tail + MARK_LEN - n, bytes, n);
}

/* Bytes of the snapshot, at most n. 0: nothing has arrived. -1: errno, ECONNRESET at the end of the connection. */
static ssize_t receive(void *to, size_t n) {
    if (!intake.has_mark && n > intake.size - intake.got) n = (size_t)(intake.size - intake.got);
    ssize_t got;
    do
        got = recv(intake.source.fd, to, n, 0);
    while (got < 0 && errno == EINTR);
    if (got == 0) errno = ECONNRESET;
    if (got <= 0) return got < 0 && errno == EAGAIN ? 0 : -1;
    intake.got += (uint64_t)got;
    intake_status.read_bytes = (int64_t)intake.got;
    intake_status.heard_ms = clock_steady_ms();
    if (intake.has_mark) note_tail(to, (size_t)got);
    return got;
}

static const char *receive_error(void) {
    return errno == ECONNRESET ? "the connection with the primary was lost" : strerror(errno);
}

static bool all_is_there(void) {
    if (!intake.has_mark) return intake.got == intake.size;
    return intake.got >= MARK_LEN && memcmp(intake.tail, intake.mark, MARK_LEN) == 0;
}

/* --- Loading --------------------------------------------------------------------------------- */

static void wait_for_bytes(void) {
    intake.waits = true;
    loop_set_events(&intake.source, LOOP_READ);
    loading_wait(WAIT_MS);
    if (intake.source.fd >= 0) loop_set_events(&intake.source, 0);
    intake.waits = false;
}

/* A reader_source_fn: the socket. While it has nothing, the loop is turned. */
static ssize_t intake_source(void *ctx, void *to, size_t n) {
    const struct replace_job *job = replace_running();
    (void)ctx;
    if (!intake.has_mark && intake.got == intake.size) return 0;
    while (!job->stop && !loop_is_stopping()) {
        ssize_t got = receive(to, n);
        if (got > 0 && intake.stores) sync_file_put(to, (size_t)got);
        if (got != 0) return got;
        wait_for_bytes();
    }
    errno = ECANCELED;
    return -1;
}

static bool refuse(struct replace_job *job, const char *why) {
    snprintf(job->why, sizeof job->why, "%s", why);
    return false;
}

/* Read more until the rest has n bytes. */
static bool fill_rest(struct replace_job *job, size_t n) {
    while (job->rest.len < n) {
        char *to = buf_reserve(&job->rest, n - job->rest.len);
        ssize_t got = intake_source(NULL, to, n - job->rest.len);
        if (got <= 0) return false;
        job->rest.len += (size_t)got;
    }
    return true;
}

/* The snapshot has told its end; the framing has to tell the same. */
static bool intake_complete(struct replace_job *job) {
    if (intake.from_file) return job->end == intake.size || refuse(job, "bytes follow the end of the snapshot");
    if (!intake.has_mark) {
        return job->end == intake.size || refuse(job, "the snapshot is shorter than the primary has told");
    }
    if (!fill_rest(job, MARK_LEN)) return refuse(job, "the mark behind the snapshot is missing");
    return memcmp(job->rest.data, intake.mark, MARK_LEN) == 0 ||
           refuse(job, "something else than the mark follows the snapshot");
}

static bool has_persistence(void) {
    return bgsave_has_points() || aof_status().state != AOF_OFF;
}

/* The file is the snapshot of these data: it becomes the server's own. */
static void keep_file(uint64_t bytes) {
    if (!intake.stores) return;
    if (intake_options.deletes_files && !has_persistence()) return;
    intake.stores = false;
    sync_file_keep(bytes);
}

static void load_now(void) {
    if (intake.phase != PHASE_DUE) return; /* cancelled */
    struct replace_job job = {
        .source = intake.from_file ? NULL : intake_source,
        .fd = intake.from_file ? sync_file_fd() : -1,
        .size = intake.size,
        .aside = !intake.stores && intake_options.diskless_load == INTAKE_SWAP,
        .served = intake.order.same_history,
        .lazy = intake_options.lazy_flush,
        .complete = intake_complete,
        .replaces = intake.order.replaces,
    };
    intake.phase = PHASE_LOADING;
    bool ok = replace_run(&job);
    struct intake_end end = {.ok = ok, .gave_up_data = !ok && job.gave_up_data, .why = job.why, .left = SLICE("")};
    if (ok) {
        end.place = &job.place;
        size_t skip = intake.has_mark && !intake.from_file ? MARK_LEN : 0;
        if (job.rest.len > skip) end.left = slice_of(job.rest.data + skip, job.rest.len - skip);
        keep_file(job.end);
    } else {
        log_warning("Failed trying to load the MASTER synchronization DB: %s", job.why);
    }
    end_intake(&end);
    buf_free(&job.rest);
}

static void load_soon(void) {
    loop_set_events(&intake.source, 0);
    intake.phase = PHASE_DUE;
    cron_later(load_now);
}

/* --- Storing --------------------------------------------------------------------------------- */

/* The file has all bytes, or cannot be written: it is loaded without the mark, or the intake fails. */
static void finish_storing(void) {
    if (intake.has_mark) intake.size = intake.got - MARK_LEN;
    int error = sync_file_complete(intake.size);
    if (!error) {
        intake.from_file = true;
        load_soon();
        return;
    }
    char why[200];
    snprintf(why, sizeof why,
             "Write error or short write writing to the DB dump file needed for MASTER <-> REPLICA synchronization: %s",
             strerror(error));
    fail(why);
}

static void store_piece(void) {
    ssize_t got = receive(sync_file_room(PIECE), PIECE);
    if (got < 0) {
        fail(receive_error());
        return;
    }
    sync_file_advance((size_t)got);
    if (sync_file_error() || all_is_there()) finish_storing();
}

/* --- The head -------------------------------------------------------------------------------- */

/* False: the intake has failed. */
static bool begin_storing(void) {
    int error = sync_file_begin();
    if (!error) {
        intake.stores = true;
        return true;
    }
    char why[200];
    snprintf(why, sizeof why, "Opening the temp file needed for MASTER <-> REPLICA synchronization: %s",
             strerror(error));
    fail(why);
    return false;
}

static void choose_way(void) {
    bool is_empty = db_keys() == 0;
    bool diskless =
        intake_options.diskless_load == INTAKE_SWAP || (intake_options.diskless_load == INTAKE_ON_EMPTY && is_empty);
    const char *where = diskless ? "parser" : "disk";
    if (intake.has_mark)
        log_notice("MASTER <-> REPLICA sync: receiving streamed RDB from master with EOF to %s", where);
    else
        log_notice("MASTER <-> REPLICA sync: receiving %llu bytes from master to %s", (unsigned long long)intake.size,
                   where);
    if (!diskless && !begin_storing()) return;
    if (diskless || is_empty)
        load_soon();
    else
        intake.phase = PHASE_STORING;
}

static void take_head(struct slice line) {
    char why[200];
    if (line.len == 0) return; /* the primary is alive */
    if (line.len == 5 + MARK_LEN && memcmp(line.ptr, "$EOF:", 5) == 0) {
        intake.has_mark = true;
        memcpy(intake.mark, line.ptr + 5, MARK_LEN);
        choose_way();
        return;
    }
    if (line.ptr[0] == '$' && num_parse_u64(slice_of(line.ptr + 1, line.len - 1), &intake.size) &&
        intake.size <= INT64_MAX && intake.size > 0) {
        intake_status.total_bytes = (int64_t)intake.size;
        choose_way();
        return;
    }
    if (line.ptr[0] == '-')
        snprintf(why, sizeof why, "MASTER aborted replication with an error: %.*s", (int)line.len, line.ptr);
    else
        snprintf(why, sizeof why,
                 "Bad protocol from MASTER, the first byte is not '$' or no length follows it "
                 "(we received '%.*s'), are you sure the host and port are right?",
                 line.len < 64 ? (int)line.len : 64, line.ptr);
    fail(why);
}

static void read_head(void) {
    struct slice line;
    for (int i = 0; i < LINES_A_TURN && intake.phase == PHASE_HEAD; i++) {
        switch (lines_read(&intake.lines, intake.source.fd, &line)) {
        case LINES_MORE: return;
        case LINES_CLOSED: fail(errno ? receive_error() : "the connection with the primary was lost"); return;
        case LINES_TOO_LONG: fail("the primary sends a line without an end"); return;
        case LINES_LINE: break;
        }
        intake_status.heard_ms = clock_steady_ms();
        take_head(line);
    }
}

static void intake_ready(struct loop_source *source, uint32_t events) {
    (void)source;
    (void)events;
    if (intake.phase == PHASE_HEAD)
        read_head();
    else if (intake.phase == PHASE_STORING)
        store_piece();
}

void intake_begin(const struct intake_order *order, void (*ended)(const struct intake_end *end)) {
    memset(&intake, 0, sizeof intake);
    intake.order = *order;
    intake.ended = ended;
    intake.phase = PHASE_HEAD;
    intake.source = (struct loop_source){.fd = order->fd, .ready = intake_ready};
    intake_status = (struct intake_status){.heard_ms = clock_steady_ms()};
    if (loop_add(&intake.source, LOOP_READ)) return;
    intake.source.fd = -1;
    fail(strerror(errno));
}

static const struct option_name load_names[] = {
    {"disabled", INTAKE_FILE}, {"on-empty-db", INTAKE_ON_EMPTY}, {"swapdb", INTAKE_SWAP}, {NULL, 0}};

static const struct option intake_rows[] = {
    {"repl-diskless-load", .type = OPTION_ENUM, .flags = OPTION_DENY_LOADING, .address = &intake_options.diskless_load,
     .initial = "disabled", .names = load_names},
    {"replica-lazy-flush", .alias = "slave-lazy-flush", .type = OPTION_BOOL, .address = &intake_options.lazy_flush,
     .initial = "no"},
    {"replica-full-sync-buffer-limit", .type = OPTION_MEMORY, .address = &intake_options.buffer_limit, .initial = "0"},
    {NULL},
};

const struct module intake_module = {.options = intake_rows};
