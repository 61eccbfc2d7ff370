/* Clients alone: how they come and go, in which order their parts are asked, and when output closes them. The parts are
 * fakes; the peer is the other end of a socket pair. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "net/conn.h"
#include "net/conn_private.h"
#include "session/client.h"
#include "session/client_lab.h"
#include "session/limits.h"
#include "session/server_metrics.h"
#include "store/db.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define START_MS 1700000000000

/* --- The parts: two that note each call, and one without functions --------------------------- */

static struct buf calls; /* "first.forget 1; " for each call of a part */
static bool silent;      /* the parts have nothing to describe */

static void note(const char *what, const struct client *c) {
    buf_printf(&calls, "%s %llu; ", what, (unsigned long long)c->id);
}

static void first_forget(struct client *c) {
    note("first.forget", c);
    assert_true(c->flags & CLIENT_CLOSE_NOW);
}

static void first_reset(struct client *c) {
    note("first.reset", c);
}

static size_t first_memory(const struct client *c) {
    (void)c;
    return 1000;
}

static void first_describe(const struct client *c, struct client_line *line) {
    (void)c;
    if (silent) return;
    client_line_flag(line, 'P');
    line->channels = 3;
    line->patterns = 4;
    line->shard_channels = 5;
    line->redirect = 77;
}

static void last_forget(struct client *c) {
    note("last.forget", c);
}

static void last_reset(struct client *c) {
    note("last.reset", c);
}

static size_t last_memory(const struct client *c) {
    (void)c;
    return 20000;
}

static void last_describe(const struct client *c, struct client_line *line) {
    (void)c;
    if (silent) return;
    client_line_flag(line, 'x');
    line->queued = 2;
    line->queue_bytes = 99;
    assert_int_equal(line->channels, 3); /* the parts before this one were asked */
}

static const struct client_part first = {first_forget, first_reset, first_memory, first_describe};
static const struct client_part none = {NULL, NULL, NULL, NULL};
static const struct client_part last = {last_forget, last_reset, last_memory, last_describe};

static void expect_calls(const char *expected) {
    buf_append(&calls, "", 1);
    assert_string_equal(calls.data, expected);
    calls.len = 0;
}

/* --- A test's clients ------------------------------------------------------------------------ */

static int ends[4];

static void ignore(struct loop_source *source, uint32_t events) {
    (void)source;
    (void)events;
}

static struct client *connect_client(int i) {
    struct client *c = lab_connect(&ends[i], ignore);
    assert_non_null(c);
    return c;
}

static int setup(void **state) {
    (void)state;
    clock_cached_steady_ms = START_MS;
    memset(limits_options.output_limit, 0, sizeof limits_options.output_limit);
    client_needs_password = false;
    buf_free(&calls);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    while (client_first)
        client_close(client_first);
    client_reap();
    for (int i = 0; i < 4; i++)
        if (ends[i]) close(ends[i]);
    memset(ends, 0, sizeof ends);
    return 0;
}

/* --- Coming and going ------------------------------------------------------------------------ */

static void a_new_client(void **state) {
    (void)state;
    uint64_t received = server_metrics.connections_received;
    struct client *one = connect_client(0);
    client_needs_password = true;
    clock_cached_steady_ms += 5;
    struct client *two = connect_client(1);
    assert_ptr_equal(one->db, db_at(0));
    assert_int_equal(one->resp, 2);
    assert_int_equal(one->flags, CLIENT_AUTHENTICATED | CLIENT_UNIX_SOCKET);
    assert_int_equal(two->flags, CLIENT_UNIX_SOCKET);
    assert_true(one->created_ms == START_MS && two->created_ms == START_MS + 5 && two->active_ms == START_MS + 5);
    assert_true(two->id > one->id);
    assert_int_equal(client_count(), 2);
    assert_true(client_first == one && one->next == two && two->prev == one && two->next == NULL);
    assert_ptr_equal(client_by_id(one->id), one);
    assert_ptr_equal(client_by_id(two->id), two);
    assert_null(client_by_id(two->id + 1));
    assert_null(client_by_id(one->id - 1));
    assert_int_equal(server_metrics.connections_received, received + 2);
}

/* One that this server has made needs no password, and nobody counts it as one that came. */
static void an_outgoing_client(void **state) {
    (void)state;
    uint64_t received = server_metrics.connections_received;
    int fds[2];
    client_needs_password = true;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    struct client *c = client_new_outgoing(fds[0], ignore);
    assert_true(c->flags & CLIENT_AUTHENTICATED);
    assert_int_equal(server_metrics.connections_received, received);
    assert_ptr_equal(client_by_id(c->id), c);
    client_close(c);
    client_reap();
    close(fds[1]);
}

/* Connects over TCP, whose clients have no flag for their socket, and a probe for peers that have gone. */
static void a_client_over_tcp(void **state) {
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 0;
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    ends[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(ends[0], (struct sockaddr *)&address, sizeof address), 0);
    limits_options.keepalive_s = 300;
    struct client *c = client_new(accept(listener, NULL, NULL), ignore);
    assert_int_equal(c->flags, CLIENT_AUTHENTICATED);
    len = sizeof on;
    assert_int_equal(getsockopt(c->conn.source.fd, SOL_SOCKET, SO_KEEPALIVE, &on, &len), 0);
    assert_true(on);
    close(listener);
}

static void a_refused_socket_is_closed(void **state) {
    (void)state;
    size_t used = alloc_used();
    int fd = open("/dev/null", O_RDONLY); /* epoll refuses what cannot be waited for */
    assert_null(client_new(fd, ignore));
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_int_equal(client_count(), 0);
    assert_int_equal(alloc_used(), used);
}

static void closing_takes_it_apart_and_reaping_frees_it(void **state) {
    (void)state;
    size_t used = alloc_used();
    struct client *a = connect_client(0), *b = connect_client(1), *c = connect_client(2);
    client_set_label(b, &client_labels(b)->name, SLICE("name"));
    client_cursor = b;
    char expected[64];
    snprintf(expected, sizeof expected, "first.forget %d; last.forget %d; ", (int)b->id, (int)b->id);
    client_close(b);
    expect_calls(expected);
    assert_string_equal(lab_heard(ends[1]), "(closed)");
    assert_true(b->flags & CLIENT_CLOSE_NOW); /* the struct is still there */
    assert_true(client_is_leaving(b));
    assert_ptr_equal(client_cursor, c);
    assert_true(a->next == c && c->prev == a);
    assert_int_equal(client_count(), 2);
    assert_null(client_by_id(b->id));
    client_close(b); /* a second time changes nothing */
    expect_calls("");
    client_close(c);
    assert_null(client_cursor);
    struct client *d = connect_client(3);
    assert_true(a->next == d && d->prev == a);
    client_close(d);
    client_close(a);
    assert_null(client_first);
    assert_true(alloc_used() > used);
    client_reap();
    client_reap();
    buf_free(&calls);
    assert_int_equal(alloc_used(), used);
}

static void a_client_that_executes_is_killed_after_its_reply(void **state) {
    (void)state;
    struct client *c = connect_client(0), *other = connect_client(1);
    client_current = c;
    client_kill(c);
    client_kill(other);
    client_current = NULL;
    assert_true(c->flags & CLIENT_CLOSE_AFTER_REPLY);
    assert_false(c->flags & CLIENT_CLOSE_NOW);
    assert_true(client_is_leaving(c));
    assert_true(other->flags & CLIENT_CLOSE_NOW);
    assert_int_equal(client_count(), 1);
}

static void reset_is_a_new_session_of_the_same_connection(void **state) {
    (void)state;
    struct client *c = connect_client(0);
    uint64_t id = c->id;
    char expected[64];
    c->db = db_at(1);
    c->resp = 3;
    unsigned kept = CLIENT_UNIX_SOCKET | CLIENT_CLOSE_AFTER_REPLY | CLIENT_REPLY_SKIP | CLIENT_UNPARSED;
    c->flags = kept | CLIENT_REPLY_OFF | CLIENT_NO_EVICT | CLIENT_NO_TOUCH;
    client_set_label(c, &client_labels(c)->name, SLICE("name"));
    client_set_label(c, &client_labels(c)->lib_name, SLICE("library"));
    client_reset(c);
    snprintf(expected, sizeof expected, "first.reset %d; last.reset %d; ", (int)id, (int)id);
    expect_calls(expected);
    assert_int_equal(c->flags, kept | CLIENT_AUTHENTICATED);
    assert_true(c->db == db_at(0) && c->resp == 2 && c->id == id);
    assert_null(c->labels->name);
    assert_string_equal(c->labels->lib_name, "library");
    client_needs_password = true;
    client_reset(c);
    assert_false(c->flags & CLIENT_AUTHENTICATED);
    client_clear(c, CLIENT_CLOSE_AFTER_REPLY);
}

/* --- Limits on output ------------------------------------------------------------------------ */

/* Let the client have this many unsent bytes. */
static void leave_unsent(struct client *c, size_t bytes) {
    conn_drop_output(&c->conn);
    struct conn_range range;
    conn_open(&range, CONN_NO_LIMIT);
    assert_true(conn_has_room(bytes));
    memset(conn_tail(), 'x', bytes);
    conn_arena.len += bytes;
    conn_push(&c->conn, &range);
    assert_int_equal(conn_unsent(&c->conn), bytes);
}

static bool is_closed(const struct client *c) {
    return c->flags & CLIENT_CLOSE_NOW;
}

static void the_hard_limit_counts_from_16k_on(void **state) {
    (void)state;
    uint64_t before = server_metrics.output_limit_disconnects;
    struct client *c = connect_client(0), *free_of_limits = connect_client(1);
    leave_unsent(free_of_limits, 1 << 20);
    client_limit_output(free_of_limits);
    assert_false(is_closed(free_of_limits));
    limits_options.output_limit[LIMITS_NORMAL].hard = 10;
    leave_unsent(c, 16384);
    client_limit_output(c);
    assert_false(is_closed(c));
    leave_unsent(c, 16385);
    client_limit_output(c);
    assert_true(is_closed(c));
    assert_int_equal(server_metrics.output_limit_disconnects, before + 1);
}

static void a_hard_limit_may_be_reached_not_exceeded(void **state) {
    (void)state;
    struct client *c = connect_client(0);
    limits_options.output_limit[LIMITS_NORMAL].hard = 20000;
    leave_unsent(c, 20000);
    client_limit_output(c);
    assert_false(is_closed(c));
    leave_unsent(c, 20001);
    client_limit_output(c);
    assert_true(is_closed(c));
}

static void subscribers_have_limits_of_their_own(void **state) {
    (void)state;
    struct client *c = connect_client(0), *subscriber = connect_client(1);
    subscriber->subscriber = (struct subscriber *)&ends; /* never looked at */
    assert_int_equal(client_class(c), LIMITS_NORMAL);
    assert_int_equal(client_class(subscriber), LIMITS_PUBSUB);
    assert_true(client_has_only_messages(subscriber));
    assert_false(client_has_only_messages(c));
    limits_options.output_limit[LIMITS_PUBSUB].hard = 20000;
    leave_unsent(c, 30000);
    leave_unsent(subscriber, 30000);
    client_limit_output(c);
    client_limit_output(subscriber);
    assert_false(is_closed(c));
    assert_true(is_closed(subscriber));
}

static void without_the_password_1k_beyond_is_all(void **state) {
    (void)state;
    client_needs_password = true;
    struct client *c = connect_client(0), *authenticated = connect_client(1);
    authenticated->flags |= CLIENT_AUTHENTICATED;
    leave_unsent(c, 16384 + 1024);
    client_limit_output(c);
    assert_false(is_closed(c));
    leave_unsent(c, 16384 + 1025);
    leave_unsent(authenticated, 16384 + 1025);
    client_limit_output(c);
    client_limit_output(authenticated);
    assert_true(is_closed(c));
    assert_false(is_closed(authenticated));
}

static void the_soft_limit_gives_time(void **state) {
    (void)state;
    struct client *c = connect_client(0);
    limits_options.output_limit[LIMITS_NORMAL] = (struct limits_output){.soft = 20000, .soft_s = 3};
    leave_unsent(c, 20001);
    client_limit_output(c);
    assert_true(c->flags & CLIENT_SOFT_LIMIT);
    clock_cached_steady_ms += 3000;
    clock_cached_ms += 3600000; /* the wall clock tells no durations */
    client_limit_output(c);
    assert_false(is_closed(c));
    leave_unsent(c, 20000);
    client_limit_output(c);
    assert_false(c->flags & CLIENT_SOFT_LIMIT);
    leave_unsent(c, 20001);
    client_limit_output(c); /* the time starts again */
    assert_false(is_closed(c));
    clock_cached_steady_ms += 4000;
    clock_cached_ms -= 7200000;
    client_limit_output(c);
    assert_true(is_closed(c));
}

static void replies_count_before_they_are_sent(void **state) {
    (void)state;
    struct client *c = connect_client(0);
    limits_options.output_limit[LIMITS_NORMAL].hard = 20000;
    struct blob *blob = blob_new(20000);
    blob->len = 20000;
    struct conn_range range;
    client_open_replies(c, &range);
    conn_write("$", 1);
    conn_write_blob(blob); /* only referred to, and counted all the same */
    conn_write("\r\n", 2);
    client_keep_replies(c, &range);
    assert_true(is_closed(c));
    conn_flush(NULL);
    blob_drop(blob);
}

/* It would be taken for a part of the stream. */
static void a_reply_closes_a_replica_and_is_not_sent(void **state) {
    (void)state;
    struct client *kept = connect_client(0), *pushed = connect_client(1);
    struct conn_range range;
    kept->flags |= CLIENT_REPLICA;
    pushed->flags |= CLIENT_REPLICA;
    client_open_replies(kept, &range);
    client_keep_replies(kept, &range);
    assert_false(is_closed(kept));
    client_open_replies(kept, &range);
    conn_write("+OK\r\n", 5);
    client_keep_replies(kept, &range);
    assert_true(is_closed(kept));
    client_open_replies(pushed, &range);
    conn_write("+OK\r\n", 5);
    client_push_replies(pushed, &range);
    assert_true(is_closed(pushed));
    assert_int_equal(conn_mark(), 0);
    conn_flush(NULL);
}

static void replies_over_the_limit_are_not_even_written(void **state) {
    (void)state;
    struct client *kept = connect_client(0), *pushed = connect_client(1);
    uint64_t before = server_metrics.output_limit_disconnects;
    limits_options.output_limit[LIMITS_NORMAL].hard = 20000;
    leave_unsent(kept, 5000); /* what waits is taken off the limit */
    struct conn_range range;
    client_open_replies(kept, &range);
    for (int i = 0; i < 1000; i++)
        conn_write("forty bytes, one thousand times, or less", 40);
    assert_in_range(conn_mark() - range.start, 14900, 15100);
    client_keep_replies(kept, &range);
    assert_true(is_closed(kept));
    assert_int_equal(conn_mark(), range.start);
    client_open_replies(pushed, &range);
    for (int i = 0; i < 1000; i++)
        conn_write("forty bytes, one thousand times, or less", 40);
    client_push_replies(pushed, &range);
    assert_false(is_closed(pushed)); /* the caller may be walking along a list */
    conn_flush(client_sent);
    assert_true(is_closed(pushed));
    assert_int_equal(server_metrics.output_limit_disconnects, before + 2);
}

static void what_a_client_sends_to_itself_is_limited(void **state) {
    (void)state;
    struct client *c = connect_client(0), *free_of_limits = connect_client(1);
    assert_true(client_may_owe(free_of_limits, SIZE_MAX / 2));
    limits_options.output_limit[LIMITS_NORMAL].hard = 20000;
    uint64_t before = server_metrics.output_limit_disconnects;
    assert_true(client_may_owe(c, 20000));
    assert_false(client_may_owe(c, 20001));
    assert_false(client_may_owe(c, 1));
    assert_int_equal(server_metrics.output_limit_disconnects, before + 1);
    conn_flush(client_sent);
    assert_true(is_closed(c));
}

static void monitors_are_of_the_class_of_subscribers(void **state) {
    (void)state;
    struct client *c = connect_client(0);
    assert_int_equal(client_class(c), LIMITS_NORMAL);
    c->flags |= CLIENT_MONITOR;
    assert_int_equal(client_class(c), LIMITS_PUBSUB);
    client_clear(c, CLIENT_MONITOR);
}

/* The sender may be walking along a list that the receiver is in. */
static void messages_close_only_when_they_are_sent(void **state) {
    (void)state;
    struct client *c = connect_client(0);
    limits_options.output_limit[LIMITS_NORMAL].hard = 20000;
    leave_unsent(c, 20000);
    client_limit_pushes(c);
    assert_false(c->conn.flags & CONN_BROKEN);
    uint64_t before = server_metrics.output_limit_disconnects;
    leave_unsent(c, 20001);
    client_limit_pushes(c);
    client_limit_pushes(c);
    assert_int_equal(server_metrics.output_limit_disconnects, before + 1); /* reported once */
    assert_true(c->conn.flags & CONN_BROKEN);
    assert_false(is_closed(c));
    client_sent(&c->conn);
    assert_true(is_closed(c));
}

/* --- After sending --------------------------------------------------------------------------- */

static void leaving_clients_are_closed_when_all_is_sent(void **state) {
    (void)state;
    struct client *staying = connect_client(0), *leaving = connect_client(1), *broken = connect_client(2);
    client_sent(&staying->conn);
    assert_false(is_closed(staying));
    leave_unsent(leaving, 100);
    leaving->flags |= CLIENT_CLOSE_AFTER_REPLY;
    client_sent(&leaving->conn);
    assert_false(is_closed(leaving));
    assert_int_equal(leaving->conn.source.events, LOOP_WRITE); /* it is not read any more */
    conn_flush(client_sent);
    assert_true(is_closed(leaving));
    assert_int_equal(strlen(lab_heard(ends[1])), 100);
    broken->conn.flags |= CONN_BROKEN;
    client_sent(&broken->conn);
    assert_true(is_closed(broken));
}

/* Unsent output that exceeds the limit after sending. */
static void sending_enforces_the_limit(void **state) {
    (void)state;
    struct client *c = connect_client(0);
    limits_options.output_limit[LIMITS_NORMAL].hard = 20000;
    leave_unsent(c, 20001);
    client_sent(&c->conn);
    assert_true(is_closed(c));
}

/* --- Descriptions ---------------------------------------------------------------------------- */

static void expect_line(struct client *c, struct client_executing executing, const char *expected) {
    struct buf line = {0};
    client_describe(c, executing, &line);
    buf_append(&line, "", 1);
    assert_string_equal(line.data, expected);
    buf_free(&line);
}

static void a_line_has_what_the_parts_say(void **state) {
    (void)state;
    struct client *c = connect_client(0);
    struct buf line = {0};
    char expected[1024];
    clock_cached_steady_ms += 61999;
    clock_cached_ms -= 3600000;
    c->active_ms += 60000;
    struct client_executing executing = {.raw_bytes = 7, .args_bytes = 5};
    client_describe(c, executing, &line); /* what this allocates for the client is part of tot-mem */
    snprintf(expected, sizeof expected,
             "id=%d addr=:0 laddr=:0 fd=%d name= age=61 idle=1 flags=PxU db=0 sub=3 psub=4 ssub=5 multi=2 qbuf=7 "
             "qbuf-free=0 argv-mem=5 multi-mem=99 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=%zu events=r cmd=NULL "
             "user=default redir=77 resp=2 lib-name= lib-ver=",
             (int)c->id, c->conn.source.fd, client_memory(c));
    expect_line(c, executing, expected);
    buf_free(&line);
}

/* Does the line have this field, with a blank on both sides? */
static bool line_has(struct client *c, const char *field) {
    struct buf line = {0};
    client_describe(c, (struct client_executing){0}, &line);
    buf_append(&line, " ", 2);
    bool found = strstr(line.data, field);
    buf_free(&line);
    return found;
}

static void a_line_has_what_the_client_says(void **state) {
    (void)state;
    struct client *c = connect_client(0);
    client_set_label(c, &client_labels(c)->name, SLICE("some name"));
    client_set_label(c, &client_labels(c)->name, SLICE("other"));
    client_set_label(c, &client_labels(c)->lib_name, SLICE("library"));
    client_set_label(c, &client_labels(c)->lib_version, SLICE("1.2"));
    c->db = db_at(1);
    c->resp = 3;
    leave_unsent(c, 1000);
    loop_set_events(&c->conn.source, LOOP_READ | LOOP_WRITE);
    assert_true(line_has(c, " name=other age=0 "));
    assert_true(line_has(c, " db=1 "));
    assert_true(line_has(c, " omem=1000 "));
    assert_true(line_has(c, " events=rw "));
    assert_true(line_has(c, " resp=3 lib-name=library lib-ver=1.2 "));
    assert_int_equal(c->labels->bytes, 8 + 8 + 8); /* "other", "library", "1.2", each with its NUL */
    client_set_label(c, &c->labels->name, SLICE(""));
    assert_int_equal(c->labels->bytes, 8 + 8);
    assert_null(c->labels->name);
    assert_true(line_has(c, " name= age=0 "));
    c->flags |= CLIENT_NO_EVICT | CLIENT_NO_TOUCH;
    assert_true(line_has(c, " flags=PxUeT "));
    c->flags |= CLIENT_CLOSE_AFTER_REPLY;
    assert_true(line_has(c, " flags=PxcUeT "));
    silent = true;
    c->flags = CLIENT_AUTHENTICATED;
    assert_true(line_has(c, " flags=N "));
    silent = false;
}

static void addresses_are_kept(void **state) {
    (void)state;
    size_t used = alloc_used();
    struct client *c = connect_client(0);
    size_t memory = client_memory(c);
    assert_true(slice_eq(client_peer(c), SLICE(":0"))); /* those of a socket pair have no names */
    assert_true(slice_eq(client_local(c), SLICE(":0")));
    assert_ptr_equal(client_peer(c).ptr, client_peer(c).ptr);
    assert_in_range(client_memory(c), memory + 4, memory + 16);
    client_close(c);
    assert_true(slice_eq(client_peer(c), SLICE(":0"))); /* for messages about a client that is closed */
    client_reap();
    buf_free(&calls);
    assert_int_equal(alloc_used(), used);
}

static void memory_is_that_of_the_client_and_its_parts(void **state) {
    (void)state;
    struct client *c = connect_client(0);
    size_t plain = client_memory(c);
    assert_true(plain >= 21000 + sizeof *c && plain < 22000);
    leave_unsent(c, 500);
    client_labels(c);
    assert_int_equal(client_memory(c), plain + 500 + sizeof *c->labels);
}

int main(void) {
    clock_init();
    hash_init();
    db_init(2);
    if (!loop_init(64)) return 1;
    log_set_level(LOG_NOTHING);
    client_register(&first);
    client_register(&none);
    client_register(&last);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_client, setup, teardown),
        cmocka_unit_test_setup_teardown(an_outgoing_client, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_over_tcp, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refused_socket_is_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(closing_takes_it_apart_and_reaping_frees_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_that_executes_is_killed_after_its_reply, setup, teardown),
        cmocka_unit_test_setup_teardown(reset_is_a_new_session_of_the_same_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(the_hard_limit_counts_from_16k_on, setup, teardown),
        cmocka_unit_test_setup_teardown(a_hard_limit_may_be_reached_not_exceeded, setup, teardown),
        cmocka_unit_test_setup_teardown(subscribers_have_limits_of_their_own, setup, teardown),
        cmocka_unit_test_setup_teardown(without_the_password_1k_beyond_is_all, setup, teardown),
        cmocka_unit_test_setup_teardown(the_soft_limit_gives_time, setup, teardown),
        cmocka_unit_test_setup_teardown(replies_count_before_they_are_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reply_closes_a_replica_and_is_not_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(replies_over_the_limit_are_not_even_written, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_client_sends_to_itself_is_limited, setup, teardown),
        cmocka_unit_test_setup_teardown(monitors_are_of_the_class_of_subscribers, setup, teardown),
        cmocka_unit_test_setup_teardown(messages_close_only_when_they_are_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(leaving_clients_are_closed_when_all_is_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(sending_enforces_the_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(a_line_has_what_the_parts_say, setup, teardown),
        cmocka_unit_test_setup_teardown(a_line_has_what_the_client_says, setup, teardown),
        cmocka_unit_test_setup_teardown(addresses_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_is_that_of_the_client_and_its_parts, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
