/* Replies are written where they will be sent from: at the tail of the output arena, which is the open range of their
 * client. This module knows which form a client's protocol has for a value; net/resp_out.h writes the bytes. */
#include "session/reply.h"
#include "base/buf.h"
#include "base/num.h"
#include "net/conn.h"
#include "net/resp_out.h"
#include "session/client.h"
#include "session/server_metrics.h"
#include <assert.h>

/* --- Scalars --------------------------------------------------------------------------------- */

void reply_ok(struct client *c) {
    (void)c;
    conn_write("+OK\r\n", 5);
}

void reply_status(struct client *c, const char *text) {
    reply_status_slice(c, slice_cstr(text));
}

void reply_status_slice(struct client *c, struct slice text) {
    (void)c;
    resp_out_line('+', text);
}

/* A text may hold an argument of the request, which must not end the line: line ends behind it are dropped, and those
 * within it become blanks. */
void reply_error_again(struct client *c, struct slice text) {
    resp_out_clean_line('-', slice_without_line_end(text));
    c->flags |= CLIENT_FAILED;
}

static void write_error(struct client *c, struct slice text) {
    reply_error_again(c, text);
    server_metrics_count_error(slice_without_line_end(text));
}

void reply_error(struct client *c, const char *text) {
    write_error(c, slice_cstr(text));
}

void reply_errorf(struct client *c, const char *format, ...) {
    struct buf text = {0};
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    write_error(c, buf_slice(&text));
    buf_free(&text);
}

void reply_reason(struct client *c, struct buf *why) {
    reply_errorf(c, "ERR %.*s", (int)why->len, why->data);
    buf_free(why);
}

void reply_int(struct client *c, int64_t value) {
    (void)c;
    resp_out_header(':', value);
}

void reply_bulk(struct client *c, struct slice bytes) {
    (void)c;
    resp_out_bulk(bytes);
}

void reply_bulk_cstr(struct client *c, const char *s) {
    reply_bulk(c, slice_cstr(s));
}

void reply_bulk_int(struct client *c, int64_t value) {
    char digits[NUM_I64_MAX];
    reply_bulk(c, slice_of(digits, (size_t)num_print_i64(digits, value)));
}

void reply_bulk_blob(struct client *c, struct blob *blob) {
    (void)c;
    resp_out_blob(blob);
}

void reply_bulk_ld(struct client *c, long double value) {
    char text[NUM_LD_MAX];
    reply_bulk(c, slice_of(text, (size_t)num_print_ld(text, value)));
}

void reply_null(struct client *c) {
    if (c->resp == 2)
        conn_write("$-1\r\n", 5);
    else
        conn_write("_\r\n", 3);
}

void reply_null_array(struct client *c) {
    if (c->resp == 2)
        conn_write("*-1\r\n", 5);
    else
        conn_write("_\r\n", 3);
}

void reply_bool(struct client *c, bool value) {
    if (c->resp == 2)
        reply_int(c, value);
    else
        conn_write(value ? "#t\r\n" : "#f\r\n", 4);
}

void reply_double(struct client *c, double value) {
    char text[NUM_F64_MAX];
    struct slice digits = slice_of(text, (size_t)num_print_f64(text, value));
    if (c->resp == 2)
        reply_bulk(c, digits);
    else
        resp_out_line(',', digits);
}

void reply_big_number(struct client *c, struct slice digits) {
    if (c->resp == 2)
        reply_bulk(c, digits);
    else
        resp_out_line('(', digits);
}

void reply_verbatim(struct client *c, struct slice text, const char *format3) {
    if (c->resp == 2) {
        reply_bulk(c, text);
        return;
    }
    resp_out_header('=', (int64_t)text.len + 4);
    conn_write(format3, 3);
    conn_write(":", 1);
    conn_write(text.ptr, text.len);
    conn_write("\r\n", 2);
}

/* --- Aggregates ------------------------------------------------------------------------------ */

/* The beginning of an aggregate of n elements, or of n pairs for the types % and |, in the client's protocol. */
static char *put_aggregate(const struct client *c, char *p, char type3, size_t n) {
    if (c->resp > 2) return resp_out_put_header(p, type3, (int64_t)n);
    return resp_out_put_header(p, '*', (int64_t)(type3 == '%' || type3 == '|' ? 2 * n : n));
}

static void write_aggregate(const struct client *c, char type3, size_t n) {
    if (!conn_has_room(RESP_OUT_HEADER_MAX)) return;
    resp_out_commit(put_aggregate(c, conn_tail(), type3, n));
}

static void insert_aggregate(const struct client *c, size_t place, char type3, size_t n) {
    char header[RESP_OUT_HEADER_MAX];
    conn_insert(place, header, (size_t)(put_aggregate(c, header, type3, n) - header));
}

void reply_array(struct client *c, size_t elements) {
    write_aggregate(c, '*', elements);
}

void reply_map(struct client *c, size_t pairs) {
    write_aggregate(c, '%', pairs);
}

void reply_set(struct client *c, size_t elements) {
    write_aggregate(c, '~', elements);
}

void reply_push(struct client *c, size_t elements) {
    write_aggregate(c, '>', elements);
}

void reply_attribute(struct client *c, size_t pairs) {
    write_aggregate(c, '|', pairs);
}

void reply_raw(struct client *c, struct slice protocol) {
    (void)c;
    conn_write(protocol.ptr, protocol.len);
}

bool reply_would_be_pointless(const struct client *c, size_t bytes) {
    (void)c;
    return conn_arena.refuses || !conn_has_room(bytes);
}

size_t reply_hold(struct client *c) {
    (void)c;
    return conn_mark();
}

void reply_array_at(struct client *c, size_t place, size_t elements) {
    insert_aggregate(c, place, '*', elements);
}

void reply_map_at(struct client *c, size_t place, size_t pairs) {
    insert_aggregate(c, place, '%', pairs);
}

void reply_set_at(struct client *c, size_t place, size_t elements) {
    insert_aggregate(c, place, '~', elements);
}

void reply_bulk_at(struct client *c, size_t place, struct slice bytes) {
    (void)c;
    char text[RESP_OUT_HEADER_MAX + 64 + 2];
    assert(bytes.len <= 64);
    char *p = resp_out_put_bytes(resp_out_put_header(text, '$', (int64_t)bytes.len), bytes);
    *p++ = '\r';
    *p++ = '\n';
    conn_insert(place, text, (size_t)(p - text));
}

/* --- Common errors --------------------------------------------------------------------------- */

void reply_wrong_type(struct client *c) {
    reply_error(c, "WRONGTYPE Operation against a key holding the wrong kind of value");
}

void reply_syntax_error(struct client *c) {
    reply_error(c, "ERR syntax error");
}

void reply_not_integer(struct client *c) {
    reply_error(c, "ERR value is not an integer or out of range");
}

void reply_no_key(struct client *c) {
    reply_error(c, "ERR no such key");
}

void reply_no_memory(struct client *c) {
    reply_error(c, "ERR Not enough memory for a string of this length");
}

void reply_out_of_range(struct client *c) {
    reply_error(c, "ERR index out of range");
}

void reply_wrong_arity(struct client *c, const char *full_name) {
    reply_errorf(c, "ERR wrong number of arguments for '%s' command", full_name);
}

void reply_unknown_subcommand(struct client *c, struct slice subcommand, const char *container_upper) {
    int shown = subcommand.len < 128 ? (int)subcommand.len : 128;
    reply_errorf(c, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try %s HELP.", shown,
                 subcommand.ptr, container_upper);
}

void reply_help(struct client *c, const char *container_upper, const char *const *lines) {
    size_t count = 0;
    while (lines[count])
        count++;
    reply_array(c, count + 3);
    struct buf head = {0};
    buf_printf(&head, "%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", container_upper);
    reply_status_slice(c, buf_slice(&head));
    buf_free(&head);
    for (size_t i = 0; i < count; i++)
        reply_status(c, lines[i]);
    reply_status(c, "HELP");
    reply_status(c, "    Print this text.");
}
