#include "script/ldb_log.h"
#include "base/buf.h"
#include "net/conn.h"
#include "script/ldb_show.h"
#include "script/ldb_wire.h"
#include <string.h>

enum { ARGS_SHOWN = 10 };

bool ldb_log_calls;

void ldb_log_call(const struct slice *argv, int argc) {
    struct buf line = {0};
    buf_append_cstr(&line, "<redis>");
    for (int i = 0; i < argc && i < ARGS_SHOWN; i++) {
        buf_append_cstr(&line, " ");
        buf_append_slice(&line, argv[i]);
    }
    if (argc > ARGS_SHOWN) buf_printf(&line, " ... (%d more)", argc - ARGS_SHOWN - 1); /* one less, as Redis says */
    ldb_say_text(buf_slice(&line));
    buf_free(&line);
}

void ldb_log_error(struct slice text) {
    struct buf line = {0};
    buf_append_cstr(&line, "<error> ");
    buf_append_slice(&line, text);
    ldb_say_text(buf_slice(&line));
    buf_free(&line);
}

static struct slice without_end(const struct buf *reply) {
    size_t len = reply->len >= 2 ? reply->len - 2 : 0;
    return slice_of(reply->data, len);
}

/* A call that was refused has an error, but no reply; and ERR is not what Redis calls its code then. */
static void log_refusal(struct slice error) {
    size_t skip = error.len >= 5 && !memcmp(error.ptr, "-ERR ", 5) ? 5 : 0;
    ldb_log_error(slice_of(error.ptr + skip, error.len - skip));
}

void ldb_log_reply(size_t mark, bool refused) {
    struct buf reply = {0}, line = {0};
    conn_copy(mark, conn_mark(), &reply);
    bool failed = reply.len && reply.data[0] == '-';
    if (failed && refused)
        log_refusal(without_end(&reply));
    else if (failed)
        ldb_log_error(without_end(&reply));
    if (!(failed && refused)) {
        buf_append_cstr(&line, "<reply> ");
        ldb_show_reply(buf_slice(&reply), &line);
        ldb_say_value(buf_slice(&line));
    }
    buf_free(&reply);
    buf_free(&line);
}
