/* For tests of what is propagated: reads the commands that the log has got. */
#pragma once
#include "base/buf.h"
#include "base/num.h"
#include "net/resp.h"
#include "oplog/oplog.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef void (*log_reader_fn)(void *ctx, int db_id, const struct slice *argv, int argc, struct slice raw);

static struct oplog_cursor log_reader_cursor;
static int log_reader_db;

/* What is appended from here on is read. The log must be kept. */
static inline void log_reader_begin(void) {
    oplog_forget_db();
    assert_true(oplog_seek(&log_reader_cursor, oplog_end()));
    log_reader_db = -1;
}

static inline void log_reader_end(void) {
    oplog_leave(&log_reader_cursor);
}

static inline void log_reader_take(struct buf *to) {
    struct iovec pieces[8];
    for (int n; (n = oplog_peek(&log_reader_cursor, pieces, 8, SIZE_MAX));) {
        size_t before = to->len;
        for (int i = 0; i < n; i++)
            buf_append(to, pieces[i].iov_base, pieces[i].iov_len);
        oplog_advance(&log_reader_cursor, to->len - before);
    }
}

/* Pass on each command since the last call; SELECT becomes the db_id of those behind it. */
static inline void log_reader_run(log_reader_fn fn, void *ctx) {
    static const struct resp_limits limits = {.max_bulk = INT64_MAX / 2, .authenticated = true};
    struct resp_parser parser;
    struct buf text = {0};
    int64_t db_id;
    if (log_reader_cursor.block == NULL) return;
    log_reader_take(&text);
    resp_init(&parser);
    for (char *at = text.data, *end = at + text.len; at < end;) {
        resp_begin(&parser, at);
        assert_int_equal(resp_parse(&parser, end, &limits), RESP_REQUEST);
        char *next = at + (parser.next - at);
        if (parser.argc == 2 && slice_is(parser.argv[0], "select")) {
            assert_true(num_parse_i64(parser.argv[1], &db_id));
            log_reader_db = (int)db_id;
        } else {
            fn(ctx, log_reader_db, parser.argv, (int)parser.argc, slice_of(at, (size_t)(next - at)));
        }
        at = next;
    }
    resp_free(&parser);
    buf_free(&text);
}
