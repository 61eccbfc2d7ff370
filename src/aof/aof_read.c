/* A window moves along the file: [start, start + len) is in memory, and `at` is the next byte to read. Bytes from an
 * unfinished MULTI on must be kept. Commands are collected in a batch, so that the cache misses of many can overlap
 * when they are applied; their slices point into the window, so a batch is applied before the window moves. */
#include "aof/aof_read.h"
#include "aof/aof_frame.h"
#include "base/alloc.h"
#include "base/crc64.h"
#include "disk/files.h"
#include "net/resp.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WINDOW ((size_t)1 << 20) /* bytes read at a time */
#define LINE_MAX_BYTES 1024      /* bytes of an annotation, as in Redis */
#define BATCH_COMMANDS 64
#define BATCH_ARGS 512

struct reading {
    int fd;
    const struct aof_reader_hooks *hooks;
    struct aof_finding *found;
    char *window;
    size_t room, len; /* of the window */
    uint64_t start;   /* offset of its first byte in the file */
    size_t at;
    uint64_t frame_end;  /* offset of the end of the frame that contains `at`; 0: none does */
    uint64_t verified;   /* frames that begin before this offset have been verified */
    bool in_multi;       /* searching the EXEC of a MULTI ... */
    uint64_t multi;      /* ... at this offset */
    uint64_t unit_end;   /* end of the transaction that is being applied; 0: none is */
    uint64_t unit_frame; /* the frame_end at unit_end */
    struct resp_parser parser;
    struct aof_command commands[BATCH_COMMANDS];
    struct slice args[BATCH_ARGS];
    size_t count, args_used;
};

static uint64_t offset_of(const struct reading *r) {
    return r->start + r->at;
}

/* --- The window ------------------------------------------------------------------------------ */

static void drop_done(struct reading *r) {
    size_t keep = r->in_multi ? (size_t)(r->multi - r->start) : r->at;
    if (keep == 0) return;
    memmove(r->window, r->window + keep, r->len - keep);
    r->start += keep;
    r->len -= keep;
    r->at -= keep;
}

static void grow_window(struct reading *r, size_t room) {
    if (room <= r->room) return;
    size_t grown = r->room * 2 > room ? r->room * 2 : room;
    r->window = alloc_resize(r->window, r->room, grown);
    r->room = grown;
}

/* Move the window and read on, until n bytes from `at` on are in memory. False: the file has ended, or found->error is
 * set. Slices of the window become invalid. */
static bool want_bytes(struct reading *r, size_t n) {
    if (r->len - r->at >= n) return true;
    drop_done(r);
    uint64_t left = r->found->size > r->start ? r->found->size - r->start : 0;
    size_t wanted = r->at + n < WINDOW ? WINDOW : r->at + n;
    if (r->in_multi && wanted < r->len + WINDOW) wanted = r->len + WINDOW;
    if (wanted > left) wanted = (size_t)left; /* no memory for lengths beyond the end of the file */
    grow_window(r, wanted ? wanted : 1);
    while (r->len < wanted) {
        ssize_t got = pread(r->fd, r->window + r->len, wanted - r->len, (off_t)(r->start + r->len));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) r->found->error = errno;
        if (got <= 0) break;
        r->len += (size_t)got;
    }
    if (r->hooks->progress) r->hooks->progress(r->hooks->ctx, r->start);
    return r->len - r->at >= n;
}

/* --- Applying -------------------------------------------------------------------------------- */

static enum aof_read_result apply_batch(struct reading *r) {
    size_t count = r->count, done = count;
    if (count == 0) return AOF_READ_OK;
    if (r->hooks->apply) done = r->hooks->apply(r->hooks->ctx, r->commands, count);
    r->count = r->args_used = 0;
    r->found->commands += done;
    if (done == count) return AOF_READ_OK;
    struct slice name = r->commands[done].argv[0];
    snprintf(r->found->command, sizeof r->found->command, "%.*s", (int)(name.len < 60 ? name.len : 60), name.ptr);
    return AOF_READ_UNKNOWN;
}

static enum aof_read_result add_command(struct reading *r) {
    uint32_t argc = r->parser.argc;
    enum aof_read_result result = AOF_READ_OK;
    if (r->count == BATCH_COMMANDS || (r->args_used + argc > BATCH_ARGS && r->count)) result = apply_batch(r);
    if (result != AOF_READ_OK) return result;
    struct aof_command *command = &r->commands[r->count++];
    command->argc = (int)argc;
    command->argv = r->parser.argv;
    if (argc > BATCH_ARGS) return apply_batch(r); /* the parser reuses this array for the next request */
    command->argv = r->args + r->args_used;
    memcpy(command->argv, r->parser.argv, argc * sizeof *command->argv);
    r->args_used += argc;
    return AOF_READ_OK;
}

/* --- Damage ---------------------------------------------------------------------------------- */

static enum aof_read_result report_torn(struct reading *r, const char *what, uint64_t missing) {
    struct aof_finding *f = r->found;
    unsigned long long at = offset_of(r);
    if (f->error) return AOF_READ_FAILED;
    if (missing)
        snprintf(f->reason, sizeof f->reason, "%s at offset %llu lacks %llu bytes", what, at,
                 (unsigned long long)missing);
    else
        snprintf(f->reason, sizeof f->reason, "%s at offset %llu is cut off", what, at);
    return AOF_READ_TORN;
}

static enum aof_read_result report_rotten(struct reading *r, const char *what) {
    if (r->found->error) return AOF_READ_FAILED;
    snprintf(r->found->reason, sizeof r->found->reason, "%s at offset %llu", what, (unsigned long long)offset_of(r));
    return r->found->frames ? AOF_READ_ROTTEN : AOF_READ_FOREIGN;
}

/* --- Annotations ----------------------------------------------------------------------------- */

/* At "#K:": verify the frame. */
static enum aof_read_result enter_frame(struct reading *r) {
    uint64_t crc, len;
    if (!want_bytes(r, AOF_FRAME_LINE)) return report_torn(r, "the annotation", 0);
    r->found->frames++;
    if (!aof_frame_parse(r->window + r->at, &crc, &len)) return report_rotten(r, "a damaged annotation");
    uint64_t begin = offset_of(r) + AOF_FRAME_LINE;
    if (begin >= r->verified) {
        if (len > r->found->size - begin) return report_torn(r, "the write", begin + len - r->found->size);
        if (!want_bytes(r, AOF_FRAME_LINE + (size_t)len)) return report_torn(r, "the write", 0);
        if (crc64(0, r->window + r->at + AOF_FRAME_LINE, (size_t)len) != crc)
            return report_rotten(r, "wrong checksum of the write");
        r->verified = begin + len;
    }
    r->at += AOF_FRAME_LINE;
    r->frame_end = begin + len;
    return AOF_READ_OK;
}

static enum aof_read_result read_stamp(struct reading *r, const char *line, size_t len) {
    int64_t seconds = 0;
    if (r->hooks->stamp == NULL || len < 5 || memcmp(line, "#TS:", 4) != 0) return AOF_READ_OK;
    for (size_t i = 4; i < len && line[i] >= '0' && line[i] <= '9' && seconds < INT64_MAX / 100; i++)
        seconds = seconds * 10 + (line[i] - '0');
    return r->hooks->stamp(r->hooks->ctx, seconds, offset_of(r)) ? AOF_READ_OK : AOF_READ_STOPPED;
}

static enum aof_read_result read_annotation(struct reading *r) {
    want_bytes(r, LINE_MAX_BYTES);
    size_t have = r->len - r->at, most = have < LINE_MAX_BYTES ? have : LINE_MAX_BYTES;
    const char *line = r->window + r->at;
    if (have >= 3 && memcmp(line, "#K:", 3) == 0) return enter_frame(r);
    const char *lf = memchr(line, '\n', most);
    if (lf == NULL)
        return have < LINE_MAX_BYTES ? report_torn(r, "the annotation", 0) : report_rotten(r, "a line without end");
    enum aof_read_result result = read_stamp(r, line, (size_t)(lf - line));
    if (result == AOF_READ_OK) r->at += (size_t)(lf + 1 - line);
    return result;
}

/* --- Commands -------------------------------------------------------------------------------- */

/* Add a command to the batch. Between MULTI and EXEC only search the end: EXEC sets `at` back to the MULTI, and the
 * transaction is read a second time, by replay_command(). */
static enum aof_read_result take_command(struct reading *r, uint64_t began) {
    struct slice name = r->parser.argv[0];
    bool alone = r->parser.argc == 1;
    if (!r->in_multi && alone && slice_is(name, "multi")) {
        r->in_multi = true;
        r->multi = began;
    } else if (r->in_multi && alone && slice_is(name, "exec")) {
        r->unit_end = offset_of(r);
        r->unit_frame = r->frame_end;
        if (r->frame_end) r->frame_end = r->unit_end;
        r->at = (size_t)(r->multi - r->start);
        r->in_multi = false;
    } else if (!r->in_multi) {
        return add_command(r);
    }
    return AOF_READ_OK;
}

/* The second pass over a transaction: apply everything except MULTI and EXEC. */
static enum aof_read_result replay_command(struct reading *r) {
    struct slice name = r->parser.argv[0];
    bool is_bracket = r->parser.argc == 1 && (slice_is(name, "multi") || slice_is(name, "exec"));
    enum aof_read_result result = is_bracket ? AOF_READ_OK : add_command(r);
    if (offset_of(r) >= r->unit_end) {
        r->unit_end = 0;
        r->frame_end = r->unit_frame;
    }
    return result;
}

/* The command is incomplete: read on, or report the damage. */
static enum aof_read_result read_more(struct reading *r) {
    if (r->frame_end) return report_rotten(r, "a command beyond the end of its write");
    enum aof_read_result result = apply_batch(r);
    if (result != AOF_READ_OK) return result;
    size_t have = r->len - r->at;
    if (want_bytes(r, have + (have > WINDOW ? have : WINDOW)) || r->len - r->at > have) return AOF_READ_OK;
    return report_torn(r, "the command", 0);
}

static enum aof_read_result read_command(struct reading *r) {
    static const struct resp_limits limits = {.max_bulk = INT64_MAX / 2, .authenticated = true};
    uint64_t began = offset_of(r);
    const char *end = r->window + (r->frame_end ? (size_t)(r->frame_end - r->start) : r->len);
    resp_begin(&r->parser, r->window + r->at);
    switch (resp_parse(&r->parser, end, &limits)) {
    case RESP_MORE: return read_more(r);
    case RESP_TLS:
    case RESP_ERROR: return report_rotten(r, "a malformed command");
    case RESP_REQUEST: break;
    }
    if (r->parser.argc == 0) return report_rotten(r, "a command without arguments");
    r->at = (size_t)(r->parser.next - r->window);
    if (!r->unit_end) r->found->lines += 1 + 2 * (uint64_t)r->parser.argc;
    return r->unit_end ? replay_command(r) : take_command(r, began);
}

static enum aof_read_result read_item(struct reading *r) {
    char first = r->window[r->at];
    if (first == '*') return read_command(r);
    if (first != '#') return report_rotten(r, "neither a command nor an annotation");
    enum aof_read_result result = apply_batch(r);
    return result == AOF_READ_OK ? read_annotation(r) : result;
}

/* Read item by item. found->good is the offset before which everything was applied or is in the batch. */
static enum aof_read_result read_items(struct reading *r) {
    enum aof_read_result result = AOF_READ_OK;
    while (result == AOF_READ_OK) {
        if (r->frame_end && offset_of(r) >= r->frame_end) r->frame_end = 0;
        if (!r->in_multi && !r->unit_end && !r->frame_end) r->found->good = offset_of(r);
        if (r->at == r->len) {
            result = apply_batch(r);
            if (result != AOF_READ_OK) return result;
            if (!want_bytes(r, 1)) return r->found->error ? AOF_READ_FAILED : AOF_READ_OK;
        }
        result = read_item(r);
    }
    return result;
}

static enum aof_read_result read_file(struct reading *r) {
    char magic[5];
    if (pread(r->fd, magic, sizeof magic, 0) == sizeof magic && memcmp(magic, "REDIS", 5) == 0) {
        uint64_t end = 0;
        if (r->hooks->read_base == NULL) return report_rotten(r, "a snapshot");
        if (!r->hooks->read_base(r->hooks->ctx, r->fd, &end)) return AOF_READ_BASE;
        r->start = r->found->good = r->found->base = end;
    }
    enum aof_read_result result = read_items(r);
    enum aof_read_result last = apply_batch(r); /* all that came before the damage is good */
    if (last != AOF_READ_OK) result = last;
    if (result == AOF_READ_OK && r->in_multi) {
        r->at = (size_t)(r->multi - r->start);
        result = report_torn(r, "the transaction", 0);
    }
    if (result == AOF_READ_TORN) r->found->in_multi = r->in_multi;
    return result;
}

/* A sound frame behind the damage proves two things: the file is a log, and this is not where it ended. */
static enum aof_read_result look_behind(struct reading *r, enum aof_read_result result) {
    if (result != AOF_READ_TORN && result != AOF_READ_ROTTEN && result != AOF_READ_FOREIGN) return result;
    r->found->behind = aof_frame_search(r->fd, r->found->good, r->found->size);
    return r->found->behind.frames ? AOF_READ_ROTTEN : result;
}

enum aof_read_result aof_read(const char *dir, const char *name, const struct aof_reader_hooks *hooks,
                              struct aof_finding *found) {
    struct reading r = {.hooks = hooks, .found = found};
    *found = (struct aof_finding){0};
    r.fd = files_open(dir, name, O_RDONLY);
    if (r.fd < 0) {
        found->error = errno;
        return errno == ENOENT ? AOF_READ_ABSENT : AOF_READ_FAILED;
    }
    found->opened = true;
    off_t size = lseek(r.fd, 0, SEEK_END);
    found->size = size > 0 ? (uint64_t)size : 0;
    if (size < 0) found->error = errno;
    posix_fadvise(r.fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    resp_init(&r.parser);
    enum aof_read_result result = size < 0 ? AOF_READ_FAILED : size == 0 ? AOF_READ_EMPTY : read_file(&r);
    result = look_behind(&r, result);
    resp_free(&r.parser);
    alloc_put(r.window, r.room);
    close(r.fd);
    if (hooks->progress && size > 0) hooks->progress(hooks->ctx, found->size);
    return result;
}
