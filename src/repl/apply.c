/* See apply.h. Commands run in batches, in which their keys are prefetched, as the wave does with requests of clients.
 * The EXEC of a transaction is searched first; then its commands are parsed a second time and run. So only its bytes
 * are kept.
 *
 * Invariant: bytes before `done` are applied and in the log; oplog_end() is the offset of `done`. The bytes behind are
 * parsed up to parser.next, and their commands are in the batch, unless they are part of a transaction. */
#include "repl/apply.h"
#include "aof/aof.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/likely.h"
#include "base/log.h"
#include "base/module.h"
#include "base/num.h"
#include "base/option.h"
#include "durable/bgsave.h"
#include "exec/block.h"
#include "exec/call.h"
#include "exec/exec.h"
#include "exec/propagate.h"
#include "exec/replay.h"
#include "net/resp.h"
#include "oplog/oplog.h"
#include "session/client.h"
#include "session/limits.h"
#include "session/server_metrics.h"
#include "store/db.h"
#include "store/expire.h"
#include "store/prefetch.h"
#include <stdlib.h>
#include <string.h>

#define ROOM_MIN 16384 /* bytes to be read at once; a busy stream raises it up to ROOM_MAX */
#define ROOM_MAX (512 << 10)
#define BUFFER_KEPT (1 << 20) /* a larger buffer is given back when it is empty */
#define BATCH_ARGS (PREFETCH_MAX * 8)
#define ARGS_COPIED (BATCH_ARGS / 8) /* a command with more arguments runs before the parser goes on */
#define SHOWN_MAX 64                 /* bytes of a word in a message */
#define WARN_MS 10000

struct apply_options apply_options;
struct apply_metrics apply_metrics;
void (*apply_moved)(void);

static struct {
    struct client *client; /* NULL: no stream */
    char *bytes;
    size_t len, cap;
    size_t done;   /* bytes that are applied */
    size_t wanted; /* room for the next read */
    struct resp_parser parser;
    enum propagate_target target; /* of the bytes from `done` to the batch's end */
    bool in_multi;                /* the EXEC of the transaction that begins at `done` has not come yet */
    bool running;                 /* inside apply_bytes() */
    bool asked;                   /* for an acknowledgement */
} stream;

static struct {
    struct request requests[PREFETCH_MAX];
    struct slice args[BATCH_ARGS];
    int count, args_used;
    struct prefetch ahead;
} batch;

/* --- The buffer ------------------------------------------------------------------------------ */

/* The unread bytes lie at `to` from now on, which was `from`. */
static void rebase(const char *from, char *to) {
    resp_rebase(&stream.parser, to + (stream.parser.start - from));
}

static void move_to_front(void) {
    char *from = stream.bytes + stream.done;
    memmove(stream.bytes, from, stream.len - stream.done);
    rebase(from, stream.bytes);
    stream.len -= stream.done;
    stream.done = 0;
}

/* False: there is no memory. */
static bool resize_buffer(size_t cap) {
    const char *before = stream.bytes;
    size_t parsed = before ? (size_t)(stream.parser.start - before) : 0;
    char *bytes = alloc_try_resize(stream.bytes, stream.cap, cap);
    if (!bytes) return false;
    stream.bytes = bytes;
    stream.cap = cap;
    if (before)
        resp_rebase(&stream.parser, bytes + parsed);
    else
        resp_begin(&stream.parser, bytes);
    return true;
}

/* A large command has left a large buffer. */
static void shrink_buffer(void) {
    if (stream.done < stream.len || stream.cap <= BUFFER_KEPT) return;
    alloc_put(stream.bytes, stream.cap);
    stream.bytes = NULL;
    stream.cap = stream.len = stream.done = 0;
}

static char *refuse_unit(const char *why) {
    log_warning("The primary's command at offset %lld has more than %zu bytes: %s. The link is dropped.",
                (long long)oplog_end(), stream.len - stream.done, why);
    return NULL;
}

char *apply_room(size_t *room) {
    if (stream.cap - stream.len < stream.wanted && stream.done > 0) move_to_front();
    if (stream.cap - stream.len < stream.wanted) {
        if (stream.len > (size_t)limits_options.query_buffer_limit) {
            return refuse_unit("that is the limit, client-query-buffer-limit");
        }
        size_t cap = stream.len + stream.wanted > stream.cap * 2 ? stream.len + stream.wanted : stream.cap * 2;
        if (!resize_buffer(cap)) return refuse_unit("there is no memory for them");
    }
    *room = stream.cap - stream.len;
    return stream.bytes + stream.len;
}

size_t apply_waiting(void) {
    return stream.len - stream.done;
}

size_t apply_memory(void) {
    return stream.cap + stream.parser.argv_cap * sizeof *stream.parser.argv;
}

/* --- The log --------------------------------------------------------------------------------- */

/* The bytes up to `end` are applied. */
static void pass_on(const char *end) {
    char *from = stream.bytes + stream.done;
    if (end == from) return;
    propagate_pass_on(slice_of(from, (size_t)(end - from)), stream.client->db->id, stream.target);
    stream.done = (size_t)(end - stream.bytes);
}

/* --- Errors ---------------------------------------------------------------------------------- */

static bool is_fatal(void) {
    return apply_options.on_error != APPLY_IGNORE;
}

/* The primary's command has failed here: so the data differ. `mark` is where the error begins. */
static __attribute__((noinline)) void report_error(const struct request *r, size_t mark) {
    struct buf text = {0};
    conn_copy(mark, conn_mark(), &text);
    while (text.len && (text.data[text.len - 1] == '\r' || text.data[text.len - 1] == '\n'))
        text.len--;
    apply_metrics.errors++;
    server_metrics.unexpected_errors++;
    struct slice error = buf_slice(&text);
    if (error.len && error.ptr[0] == '-') error = slice_of(error.ptr + 1, error.len - 1);
    log_warning(
        "== CRITICAL == This replica is sending an error to its master: '%.*s' after processing the command '%s'",
        (int)error.len, error.ptr, r->command->name);
    log_warning("That command ends at the offset %lld of the primary's stream",
                (long long)(oplog_end() + (r->raw.ptr + r->raw.len - (stream.bytes + stream.done))));
    buf_free(&text);
    if (!is_fatal()) return;
    log_warning("This replica panicked sending an error to its master after processing the command '%s'",
                r->command->name);
    abort();
}

/* A write would not survive here: that is to be ignored, or to be noticed. */
static __attribute__((noinline)) void report_disk(void) {
    static int64_t warned_ms;
    int64_t now_ms = clock_steady_ms();
    if (!apply_options.ignores_write_errors) {
        log_warning("Replica was unable to write command to disk.");
        abort();
    }
    if (warned_ms && now_ms - warned_ms < WARN_MS) return;
    warned_ms = now_ms;
    log_warning("Replica is applying a command even though it is unable to write to disk.");
}

static bool batch_writes(void) {
    for (int i = 0; i < batch.count; i++)
        if (batch.requests[i].command->flags & CMD_WRITE) return true;
    return false;
}

static void check_disk(void) {
    if (unlikely(bgsave_stops_writes() || aof_refusal()) && batch_writes()) report_disk();
}

static enum apply_result break_stream(const char *why, struct slice word) {
    struct buf shown = {0};
    if (word.len) buf_append_quoted(&shown, slice_of(word.ptr, word.len < SHOWN_MAX ? word.len : SHOWN_MAX));
    long long at = (long long)(oplog_end() + (stream.parser.start - (stream.bytes + stream.done)));
    log_warning("The primary's stream is broken at offset %lld: %s%s%.*s. The link is dropped.", at, why,
                word.len ? " " : "", (int)shown.len, shown.data ? shown.data : "");
    buf_free(&shown);
    return APPLY_BROKEN;
}

/* --- A batch --------------------------------------------------------------------------------- */

/* Clients waited for a key that the command has changed. Their commands follow it in the log. */
static __attribute__((noinline)) void serve_waiting(const struct request *r) {
    if (!stream.in_multi) pass_on(r->raw.ptr + r->raw.len);
    expire_hold(EXPIRE_STREAM, false);
    block_serve(exec_run);
    expire_hold(EXPIRE_STREAM, true);
}

static inline void run_command(struct request *r) {
    size_t mark = conn_mark();
    call_stream(r);
    if (unlikely(r->client->flags & CLIENT_FAILED)) report_error(r, mark);
    conn_truncate(mark);
    if (unlikely(block_ready) && !stream.in_multi) serve_waiting(r);
}

static void begin_batch(void) {
    batch.count = batch.args_used = 0;
    prefetch_begin(&batch.ahead);
}

static void run_batch(void) {
    struct conn_range range;
    if (batch.count == 0) return;
    check_disk();
    prefetch_records(&batch.ahead);
    conn_open(&range, CONN_NO_LIMIT);
    expire_hold(EXPIRE_STREAM, true);
    client_current = client_writing = stream.client;
    call_start_clock();
    for (int i = 0; i < batch.count; i++)
        run_command(&batch.requests[i]);
    client_current = client_writing = NULL;
    expire_hold(EXPIRE_STREAM, false);
    conn_take_back(&range);
    apply_metrics.commands += (uint64_t)batch.count;
    begin_batch();
}

static struct request parsed_request(void) {
    const struct resp_parser *p = &stream.parser;
    return (struct request){.client = stream.client,
                            .argv = p->argv,
                            .argc = (int)p->argc,
                            .raw = slice_of(p->start, (size_t)(p->next - p->start))};
}

/* Put the command into the batch, and run that if it is full. */
static void add_request(struct request *r) {
    bool at_once = r->argc > ARGS_COPIED;
    if (!at_once) {
        struct slice *args = batch.args + batch.args_used;
        memcpy(args, r->argv, (size_t)r->argc * sizeof *args);
        r->argv = args;
        batch.args_used += r->argc;
    }
    batch.requests[batch.count++] = *r;
    if (at_once || batch.count == PREFETCH_MAX || batch.args_used > BATCH_ARGS - ARGS_COPIED) run_batch();
}

/* The bytes from `from` on are for another target than those before. */
static __attribute__((noinline)) void change_target(const char *from, enum propagate_target target) {
    run_batch();
    pass_on(from);
    stream.target = target;
}

/* Messages are in the stream only, not in the append-only file. */
static enum propagate_target target_of(const struct command *command) {
    bool is_message = (command->flags & CMD_PUBSUB) && (oplog_is_kept & OPLOG_FILE);
    return is_message ? PROPAGATE_STREAM : PROPAGATE_BOTH;
}

/* --- Commands -------------------------------------------------------------------------------- */

/* Commands that a stream has, but a log has not. */
enum stream_word { STREAM_OTHER, STREAM_MULTI, STREAM_EXEC, STREAM_PING, STREAM_REPLCONF, STREAM_WORDS };

static enum stream_word word_of(const struct request *r) {
    static const char *const words[STREAM_WORDS] = {"", "multi", "exec", "ping", "replconf"};
    for (int i = STREAM_OTHER + 1; i < STREAM_WORDS; i++)
        if (slice_is(r->argv[0], words[i])) return (enum stream_word)i;
    return STREAM_OTHER;
}

/* The command does nothing here; it is only counted. */
static void note_command(struct request *r) {
    apply_metrics.commands++;
    if (r->command) call_noted(r);
}

/* The second pass over the transaction, whose EXEC was parsed last. */
static void run_transaction(struct request *exec) {
    const char *end = stream.parser.next;
    struct resp_limits limits = {.max_bulk = INT64_MAX, .authenticated = true};
    call_start_clock();
    resp_begin(&stream.parser, stream.bytes + stream.done);
    for (;;) {
        resp_parse(&stream.parser, end, &limits);
        if (stream.parser.next == end) break;
        struct request r = parsed_request();
        if (replay_prepare(&r, &batch.ahead))
            add_request(&r);
        else
            note_command(&r);
    }
    run_batch();
    *exec = parsed_request();
    request_prepare(exec);
    note_command(exec);
    stream.in_multi = false;
    pass_on(end);
    if (block_ready) block_serve(exec_run);
}

static enum apply_result take_word(struct request *r) {
    enum stream_word word = word_of(r);
    switch (word) {
    case STREAM_OTHER:
        if (!r->command) return break_stream("unknown command", r->argv[0]);
        return break_stream("no log has the command", r->argv[0]);
    case STREAM_MULTI:
        if (stream.in_multi) return break_stream("MULTI inside MULTI", r->argv[0]);
        stream.in_multi = true; /* the commands before it have run */
        break;
    case STREAM_EXEC:
        if (!stream.in_multi) return break_stream("EXEC without MULTI", r->argv[0]);
        run_transaction(r);
        break;
    case STREAM_REPLCONF:
        if (r->argc > 1 && slice_is(r->argv[1], "getack")) stream.asked = true;
        /* fallthrough */
    default:
        if (stream.in_multi) break;
        stream.target = PROPAGATE_STREAM;
        note_command(r);
    }
    return APPLY_OK;
}

/* SELECT of a database that is not there would send the commands behind it to the wrong one. */
static bool selects_nothing(const struct request *r) {
    int64_t db;
    if (!slice_is(r->argv[0], "select")) return false; /* SCRIPT is in logs, too */
    return !num_parse_i64(r->argv[1], &db) || db < 0 || db >= db_count();
}

/* Between MULTI and EXEC a command is only looked at. */
static enum apply_result take_command(void) {
    struct request r = parsed_request();
    struct prefetch unused;
    prefetch_begin(&unused);
    bool belongs = replay_prepare(&r, stream.in_multi ? &unused : &batch.ahead);
    if (belongs && unlikely(r.command->flags & CMD_IN_LOG) && selects_nothing(&r))
        return break_stream("there is no database", r.argv[1]);
    if (stream.in_multi) return belongs ? APPLY_OK : take_word(&r);
    if (unlikely(!belongs)) {
        change_target(r.raw.ptr, PROPAGATE_BOTH);
        return take_word(&r);
    }
    enum propagate_target target = target_of(r.command);
    if (unlikely(target != stream.target)) change_target(r.raw.ptr, target);
    add_request(&r);
    return APPLY_OK;
}

/* A newline keeps a connection alive. It is no part of the log. */
static enum apply_result take_nothing(void) {
    if (stream.parser.start[0] == '*') return APPLY_OK;
    if (stream.in_multi) return break_stream("an empty line inside MULTI", slice_of("", 0));
    run_batch();
    pass_on(stream.parser.start);
    stream.done = (size_t)(stream.parser.next - stream.bytes);
    return APPLY_OK;
}

static enum apply_result take_request(void) {
    if (stream.parser.argc == 0) return take_nothing();
    if (stream.parser.start[0] == '*') return take_command();
    return break_stream("this is no command in RESP:", stream.parser.argv[0]);
}

static enum apply_result parse_bytes(void) {
    struct resp_limits limits = {.max_bulk = limits_max_bulk(), .authenticated = true};
    const char *end = stream.bytes + stream.len;
    for (enum apply_result result = APPLY_OK; result == APPLY_OK && stream.client;) {
        switch (resp_parse(&stream.parser, end, &limits)) {
        case RESP_REQUEST: result = take_request(); break;
        case RESP_MORE: return APPLY_OK;
        case RESP_ERROR: return break_stream(stream.parser.error, slice_of("", 0));
        case RESP_TLS: return break_stream("a TLS handshake", slice_of("", 0));
        }
        if (result != APPLY_OK) return result;
    }
    return APPLY_OK;
}

/* --- The stream ------------------------------------------------------------------------------ */

static void drop_stream(void) {
    alloc_put(stream.bytes, stream.cap);
    resp_free(&stream.parser);
    memset(&stream, 0, sizeof stream);
    begin_batch();
}

void apply_begin(struct client *primary) {
    drop_stream();
    stream.client = primary;
    stream.wanted = ROOM_MIN;
    stream.target = PROPAGATE_BOTH;
    resp_init(&stream.parser);
}

void apply_end(void) {
    if (stream.running)
        stream.client = NULL;
    else
        drop_stream();
}

/* The commands before a broken one are sound, but not those of a transaction. */
static void settle(void) {
    if (stream.in_multi) return;
    run_batch();
    if (stream.client) pass_on(stream.parser.start);
}

enum apply_result apply_bytes(size_t n) {
    int64_t before = oplog_end();
    if (n == stream.cap - stream.len && stream.wanted < ROOM_MAX) stream.wanted *= 2;
    stream.len += n;
    stream.running = true;
    enum apply_result result = parse_bytes();
    settle();
    stream.running = false;
    if (apply_moved && oplog_end() != before) apply_moved();
    if (!stream.client) {
        drop_stream();
        return APPLY_CLOSED;
    }
    if (result != APPLY_OK) return result;
    shrink_buffer();
    result = stream.asked ? APPLY_ASKED : APPLY_OK;
    stream.asked = false;
    return result;
}

static const struct option_name error_names[] = {
    {"ignore", APPLY_IGNORE}, {"panic", APPLY_PANIC}, {"panic-on-replicas", APPLY_PANIC_ON_REPLICAS}, {NULL, 0}};

static const struct option apply_rows[] = {
    {"propagation-error-behavior", .type = OPTION_ENUM, .address = &apply_options.on_error, .initial = "ignore",
     .names = error_names},
    {"replica-ignore-disk-write-errors", .type = OPTION_BOOL, .address = &apply_options.ignores_write_errors,
     .initial = "no"},
    {NULL},
};

const struct module apply_module = {.options = apply_rows};
