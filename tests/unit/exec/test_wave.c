/* Waves alone: what is read, in which order it is executed, when replies leave, what becomes of errors, of clients that
 * leave and of those that wait. Execution, transactions and waiting are fakes. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "catalog/catalog.h"
#include "exec/block.h"
#include "exec/call.h"
#include "exec/exec.h"
#include "exec/exec_lab.h"
#include "exec/propagate.h"
#include "exec/tx.h"
#include "exec/wave.h"
#include "session/client_evict.h"
#include "session/client_lab.h"
#include "session/limits.h"
#include "session/push.h"
#include "session/ready.h"
#include "session/reply.h"
#include "session/server_metrics.h"
#include "store/set.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { CLIENTS = 66 };

static struct client *clients[CLIENTS];
static int ends[CLIENTS];
static struct buf events; /* "0:get a; " for each request that is executed */

static void note(const char *format, ...) {
    va_list args;
    va_start(args, format);
    buf_vprintf(&events, format, args);
    va_end(args);
}

static void expect_events(const char *expected) {
    buf_append(&events, "", 1);
    assert_string_equal(events.data, expected);
    events.len = 0;
}

static int index_of(const struct client *c) {
    for (int i = 0; i < CLIENTS; i++)
        if (clients[i] == c) return i;
    return -1;
}

/* --- Execution ------------------------------------------------------------------------------- */

static bool quiet;                               /* requests are not noted */
static int executed, clocks_started;             /* how often */
static void (*check_request)(struct request *r); /* or NULL */
static char waiting[CLIENTS];                    /* what client->waiter points to */

static void call_body(struct request *r) {
    r->command->body(r);
}

void exec_run(struct request *r) {
    executed++;
    assert_ptr_equal(client_current, r->client);
    if (check_request) check_request(r);
    if (!quiet) {
        note("%d:", index_of(r->client));
        for (int i = 0; i < r->argc; i++)
            note("%s%.*s", i ? " " : "", (int)r->argv[i].len, r->argv[i].ptr);
        note("; ");
    }
    if (r->command)
        call_body(r);
    else
        reply_error(r->client, "ERR unknown");
}

void call_start_clock(void) {
    clocks_started++;
}

static void get(struct request *r) {
    if (r->argc > 1)
        reply_status_slice(r->client, r->argv[1]);
    else
        reply_ok(r->client);
}

static void quit(struct request *r) {
    reply_ok(r->client);
    r->client->flags |= CLIENT_CLOSE_AFTER_REPLY;
}

static void leave(struct request *r) {
    r->client->flags |= CLIENT_CLOSE_AFTER_REPLY;
}

static int argument(const struct request *r) {
    return atoi(r->argv[1].ptr);
}

/* Reply as many bytes as asked for. */
static void big(struct request *r) {
    size_t n = (size_t)argument(r);
    if (!conn_has_room(n)) return;
    memset(conn_tail(), 'b', n);
    conn_arena.len += n;
}

static void close_other(struct request *r) {
    client_kill(clients[argument(r)]);
    reply_ok(r->client);
}

static void tell_other(struct request *r) {
    struct conn_range range;
    conn_open(&range, CONN_NO_LIMIT);
    conn_write("+message\r\n", 10);
    push_copy(clients[argument(r)], range.start, conn_mark());
    conn_take_back(&range);
    reply_ok(r->client);
}

static void auth(struct request *r) {
    r->client->flags |= CLIENT_AUTHENTICATED;
    reply_ok(r->client);
}

static void wait_for_something(struct request *r) {
    r->client->flags |= CLIENT_WAITS;
    r->client->waiter = (struct waiter *)&waiting[index_of(r->client)];
}

static void become_replica(struct request *r) {
    r->client->flags |= CLIENT_REPLICA;
}

static void (*meanwhile)(struct client *c); /* while `busy` runs, before and inside of its wave */
static int turns;                           /* of one `busy` */

static void hear(struct loop_source *source, uint32_t events_seen) {
    if (!wave_holds((struct client *)source)) source->ready(source, events_seen);
}

static void busy(struct request *r) {
    struct client *current = client_current, *writing = client_writing;
    reply_status(r->client, "begins");
    for (int i = 0; i < turns; i++) {
        if (meanwhile) meanwhile(r->client);
        wave_enter();
        loop_hear(hear);
        wave_run();
        wave_leave();
        note("turn; ");
    }
    assert_true(client_current == current && client_writing == writing);
    reply_status(r->client, "ends");
}

static const struct command rows[] = {
    LAB_ROW("busy", busy, 1),
    LAB_ROW("get", get, -1, .first_key = 1),
    LAB_ROW("hget", get, -1, .first_key = 1, .member = 2),
    LAB_ROW("quit", quit, 1),
    LAB_ROW("leave", leave, 1),
    LAB_ROW("big", big, 2),
    LAB_ROW("kill", close_other, 2),
    LAB_ROW("tell", tell_other, 2),
    LAB_ROW("auth", auth, 1),
    LAB_ROW("wait", wait_for_something, 1),
    LAB_ROW("sync", become_replica, 1),
    LAB_ROW("set", get, -1, .flags = CMD_WRITE),
    {NULL},
};

/* --- Waiting and transactions ---------------------------------------------------------------- */

/* Requests that were held: their first arguments, and how many were taken again. */
static struct {
    struct request requests[8];
    struct slice argv[8][2];
    char text[8][32];
    int count, taken, released;
} held;
static size_t queue_bytes;
static int heard;

void block_hold(struct request *r) {
    int i = held.count++;
    held.requests[i] = *r;
    held.requests[i].argv = held.argv[i];
    for (int k = 0; k < r->argc; k++) {
        memcpy(held.text[i] + 16 * k, r->argv[k].ptr, r->argv[k].len);
        held.argv[i][k] = slice_of(held.text[i] + 16 * k, r->argv[k].len);
    }
    note("hold %.*s; ", (int)r->argv[r->argc - 1].len, r->argv[r->argc - 1].ptr);
}

struct held_request *block_next(struct client *c) {
    if (c->flags & CLIENT_WAITS) return NULL;
    if (held.taken < held.count) return (struct held_request *)&held.requests[held.taken++];
    c->waiter = NULL;
    return NULL;
}

struct request *block_request(struct held_request *h) {
    return (struct request *)h;
}

void block_release(struct held_request *h) {
    (void)h;
    held.released++;
}

void block_heard(struct client *c, uint32_t seen) {
    (void)c;
    heard = (int)seen;
}

bool block_ready;
static int served; /* whose wait ends when keys are served */

void block_serve(void (*run)(struct request *r)) {
    assert_ptr_equal(run, exec_run);
    block_ready = false;
    client_clear(clients[served], CLIENT_WAITS);
    ready_add(clients[served]);
}

size_t tx_queue_bytes(const struct client *c) {
    return c->tx ? queue_bytes : 0;
}

/* The wait of a client is over. */
static void end_wait(int who) {
    client_clear(clients[who], CLIENT_WAITS);
    ready_add(clients[who]);
}

/* --- A turn ---------------------------------------------------------------------------------- */

static int sends;

static void count_send(void) {
    sends++;
}

static const struct wave_hooks counting = {.before_send = count_send};

static int turn(void) {
    wave_run();
    return 0;
}

/* Turn the loop once: all that was said is read. */
static void run_wave(void) {
    sends = 0;
    loop_poll(turn);
}

/* As many clients as wanted connect. */
static void connect_clients(int n) {
    for (int i = 0; i < n; i++)
        clients[i] = lab_connect(&ends[i], wave_ready);
}

static int setup(void **state) {
    (void)state;
    clock_update();
    memset(&held, 0, sizeof held);
    memset(clients, 0, sizeof clients);
    for (int i = 0; i < CLIENTS; i++)
        ends[i] = -1;
    memset(limits_options.output_limit, 0, sizeof limits_options.output_limit);
    limits_options.max_bulk = 1 << 29;
    limits_options.query_buffer_limit = 1 << 30;
    client_needs_password = quiet = false;
    check_request = NULL;
    executed = clocks_started = heard = 0;
    wave_width = 1;
    events.len = 0;
    wave_listen(WAVE_DURABILITY, &counting);
    connect_clients(3);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    wave_listen(WAVE_TRACKING, NULL);
    for (int i = 0; i < CLIENTS; i++) {
        if (clients[i] == NULL) continue;
        clients[i]->waiter = NULL;
        clients[i]->tx = NULL;
        if (!(clients[i]->flags & CLIENT_CLOSE_NOW)) client_close(clients[i]);
        close(ends[i]);
    }
    client_reap();
    assert_null(client_current);
    assert_null(client_writing);
    return 0;
}

static bool is_closed(int who) {
    return clients[who]->flags & CLIENT_CLOSE_NOW;
}

/* --- Order ----------------------------------------------------------------------------------- */

static void a_request_and_its_reply(void **state) {
    (void)state;
    lab_say(ends[0], "*2\r\n$3\r\nget\r\n$1\r\na\r\n");
    run_wave();
    expect_events("0:get a; ");
    assert_string_equal(lab_heard(ends[0]), "+a\r\n");
    assert_true(clocks_started == 1 && sends == 1);
    assert_int_equal(conn_mark(), 0);
}

static void requests_of_a_client_are_answered_in_order_and_at_once(void **state) {
    (void)state;
    lab_say(ends[0], "*2\r\n$3\r\nget\r\n$1\r\na\r\n*2\r\n$3\r\nget\r\n$1\r\nb\r\n*1\r\n$4\r\nnope\r\n*2\r\n$"
                     "3\r\nget\r\n$1\r\nc\r\n");
    uint64_t writes = conn_metrics.writes;
    run_wave();
    expect_events("0:get a; 0:get b; 0:nope; 0:get c; ");
    assert_string_equal(lab_heard(ends[0]), "+a\r\n+b\r\n-ERR unknown\r\n+c\r\n");
    assert_int_equal(conn_metrics.writes, writes + 1);
}

static uint64_t reads_before;

static void all_have_been_read(struct request *r) {
    (void)r;
    assert_int_equal(conn_metrics.reads, reads_before + 3);
}

static void clients_share_a_batch(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++)
        lab_say(ends[i], "*2\r\n$3\r\nget\r\n$1\r\na\r\n*3\r\n$4\r\nhget\r\n$1\r\nb\r\n$1\r\nm\r\n");
    reads_before = conn_metrics.reads;
    check_request = all_have_been_read;
    run_wave();
    check_request = NULL;
    assert_int_equal(clocks_started, 1);
    assert_int_equal(executed, 6);
    for (int i = 0; i < 3; i++)
        assert_string_equal(lab_heard(ends[i]), "+a\r\n+b\r\n");
}

/* Append request number n, whose arguments tell it from all others. */
static void add_numbered(struct buf *text, int n, int argc) {
    buf_printf(text, "*%d\r\n$3\r\nget\r\n", argc);
    for (int i = 1; i < argc; i++)
        buf_printf(text, "$9\r\n%05d-%03d\r\n", n, i);
}

static int args_of(int n) {
    return 2 + (n % 97 == 96 ? 100 : n % 20); /* some have more than a batch copies */
}

static int in_one_place; /* requests with their raw bytes */

static void is_numbered(struct request *r) {
    int n = executed - 1;
    assert_int_equal(r->argc, args_of(n));
    for (int i = 1; i < r->argc; i++) {
        char expected[32];
        snprintf(expected, sizeof expected, "%05d-%03d", n, i);
        assert_true(slice_eq(r->argv[i], slice_cstr(expected)));
    }
    assert_true(slice_eq(r->key.name, r->argv[1]));
    if (r->raw.len == 0) return;
    in_one_place++;
    assert_int_equal(r->raw.ptr[0], '*');
    assert_ptr_equal(r->raw.ptr + r->raw.len, r->argv[r->argc - 1].ptr + 11);
}

static void any_number_of_requests_and_arguments(void **state) {
    (void)state;
    quiet = true;
    check_request = is_numbered;
    struct buf all = {0};
    for (int n = 0; n < 500; n++)
        add_numbered(&all, n, args_of(n));
    buf_append(&all, "", 1);
    lab_say(ends[0], all.data);
    buf_free(&all);
    in_one_place = 0;
    run_wave();
    run_wave(); /* it is more than one read takes */
    assert_int_equal(executed, 500);
    assert_in_range(in_one_place, 300, 499); /* not the one that both reads share, nor those behind it in its batch */
    const char *text = lab_heard(ends[0]);
    for (int n = 0; n < 500; n++) {
        char expected[32];
        snprintf(expected, sizeof expected, "+%05d-001\r\n", n);
        assert_memory_equal(text + 12 * n, expected, 12);
    }
}

static void in_one_place_or_not(struct request *r) {
    bool whole = r->argc == 2 && slice_eq(r->argv[1], SLICE("a"));
    assert_int_equal(r->raw.len, whole ? 20 : 0);
}

static void a_request_may_come_in_pieces(void **state) {
    (void)state;
    static const char text[] = "*2\r\n$3\r\nget\r\n$1\r\nb\r\n";
    check_request = in_one_place_or_not;
    lab_say(ends[0], "*2\r\n$3\r\nget\r\n$1\r\na\r\n");
    run_wave();
    expect_events("0:get a; ");
    for (size_t i = 0; i < sizeof text - 1; i++) {
        expect_events("");
        lab_say(ends[0], ((char[]){text[i], 0}));
        run_wave();
    }
    expect_events("0:get b; ");
    assert_null(clients[0]->conn.input); /* what only it needed is gone */
    lab_say(ends[0], "*2\r\n$3\r\nget\r\n$1\r\na\r\n*2\r\n$3\r\nget");
    run_wave();
    lab_say(ends[0], "\r\n$1\r\nc\r\n");
    run_wave();
    expect_events("0:get a; 0:get c; ");
    assert_string_equal(lab_heard(ends[0]), "+a\r\n+b\r\n+a\r\n+c\r\n");
}

/* A request of which much is missing is read into memory of its own, where others may follow it. */
static void requests_behind_a_long_one_that_came_in_pieces(void **state) {
    (void)state;
    struct buf text = {0};
    quiet = true;
    buf_append_cstr(&text, "*1001\r\n$3\r\nget\r\n");
    for (int i = 0; i < 1000; i++)
        buf_printf(&text, "$40\r\n%040d\r\n", i);
    buf_append_cstr(&text, "*2\r\n$3\r\nget\r\n$1\r\na\r\n*2\r\n$3\r\nget\r\n$1\r\nb\r\n*2\r\n$3");
    buf_append(&text, "", 1);
    char middle = text.data[20000];
    text.data[20000] = '\0';
    lab_say(ends[0], text.data);
    run_wave();
    assert_int_equal(executed, 0);
    text.data[20000] = middle;
    lab_say(ends[0], text.data + 20000);
    run_wave();
    run_wave();
    assert_int_equal(executed, 3);
    assert_string_equal(lab_heard(ends[0]), "+0000000000000000000000000000000000000000\r\n+a\r\n+b\r\n");
    buf_free(&text);
}

/* Members of big collections are prefetched, from requests of any form. */
static void requests_for_members(void **state) {
    (void)state;
    struct key key = key_of(SLICE("set"));
    struct entry *e = NULL;
    for (int i = 0; i < 2000; i++) {
        char text[16];
        int64_t added = 0;
        struct slice member = slice_of(text, (size_t)snprintf(text, sizeof text, "member%d", i));
        e = set_add(db_at(0), &key, e, &member, 1, &added);
    }
    assert_non_null(db_members(db_at(0), &key));
    lab_say(ends[0], "hget none m\r\n");
    lab_say(ends[1],
            "*3\r\n$4\r\nhget\r\n$3\r\nset\r\n$7\r\nmember5\r\n*2\r\n$4\r\nhget\r\n$3\r\nset\r\n*1\r\n$4\r\nnope\r\n"
            "*3\r\n$4\r\nhget\r\n$3\r\nset\r\n$1\r\nx\r\n*2\r\n$3\r\nget\r\n$3\r\nset\r\n");
    run_wave();
    assert_string_equal(lab_heard(ends[1]), "+set\r\n+set\r\n-ERR unknown\r\n+set\r\n+set\r\n");
    db_empty(db_at(0), false);
}

static void a_replica_that_uses_keys_is_closed_before_it_does(void **state) {
    (void)state;
    lab_say(ends[0], "sync\r\nleave\r\n");
    lab_say(ends[1], "sync\r\nset k\r\nget k\r\n");
    lab_say(ends[2], "set k\r\n");
    run_wave();
    expect_events("0:sync; 0:leave; 1:sync; 2:set k; ");
    assert_true(is_closed(1));
    assert_string_equal(lab_heard(ends[1]), "(closed)");
    assert_string_equal(lab_heard(ends[2]), "+k\r\n");
}

static void inline_requests(void **state) {
    (void)state;
    lab_say(ends[0], "get one\r\n\r\nget 'two words'\n*2\r\n$3\r\nget\r\n$1\r\na\r\nget \"x\\x41\"\r\n");
    run_wave();
    expect_events("0:get one; 0:get two words; 0:get a; 0:get xA; ");
    assert_string_equal(lab_heard(ends[0]), "+one\r\n+two words\r\n+a\r\n+xA\r\n");
}

/* --- The size of a wave ---------------------------------------------------------------------- */

static void a_wave_has_at_most_32_clients(void **state) {
    (void)state;
    for (int i = 3; i < CLIENTS; i++)
        clients[i] = lab_connect(&ends[i], wave_ready);
    for (int width = 1; width < 3; width++) {
        wave_width = width;
        for (int i = 0; i < 64; i++)
            lab_say(ends[i], "get a\r\n");
        run_wave();
        assert_int_equal(sends, width == 1 ? 3 : 2); /* the last one finds no client */
        for (int i = 0; i < 64; i++)
            assert_string_equal(lab_heard(ends[i]), "+a\r\n");
    }
}

/* Of the same request, n times. */
static void say_often(int who, const char *text, int n) {
    struct buf all = {0};
    for (int i = 0; i < n; i++)
        buf_append_cstr(&all, text);
    buf_append(&all, "", 1);
    lab_say(ends[who], all.data);
    buf_free(&all);
}

static void a_wave_has_about_512_requests(void **state) {
    (void)state;
    quiet = true;
    for (int width = 1; width < 3; width++) {
        wave_width = width;
        for (int i = 0; i < 3; i++)
            say_often(i, "*1\r\n$3\r\nget\r\n", 512);
        run_wave();
        assert_int_equal(sends, width == 1 ? 4 : 2);
        for (int i = 0; i < 3; i++)
            assert_int_equal(strlen(lab_heard(ends[i])), 512 * 5);
    }
}

/* What was sent to a client in all, while it is read. */
static size_t heard_bytes(int who) {
    size_t bytes = 0, n;
    while ((n = strlen(lab_heard(ends[who]))) > 0) {
        bytes += n;
        loop_poll(turn); /* the rest goes out when there is room */
    }
    return bytes;
}

static size_t largest_arena;

static void note_arena(struct request *r) {
    (void)r;
    if (conn_mark() > largest_arena) largest_arena = conn_mark();
}

static void large_replies_leave_early(void **state) {
    (void)state;
    quiet = true;
    check_request = note_arena;
    largest_arena = 0;
    say_often(0, "*2\r\n$3\r\nbig\r\n$5\r\n10000\r\n", 640);
    run_wave();
    assert_int_equal(executed, 640);
    assert_in_range(largest_arena, 1, 64 * 10000); /* one batch, not all ten */
    assert_int_equal(sends, 3);                    /* early, at the end of this wave, and at that of an empty one */
    assert_int_equal(heard_bytes(0), 6400000);
    say_often(1, "*2\r\n$3\r\nbig\r\n$3\r\n100\r\n", 640);
    run_wave();
    assert_int_equal(sends, 2);
    assert_int_equal(heard_bytes(1), 64000);
}

/* Many large requests fill the memory for input, which waves share. */
static void a_full_input_arena_ends_the_wave(void **state) {
    (void)state;
    static char request[61000];
    quiet = true;
    for (int i = 3; i < 20; i++)
        clients[i] = lab_connect(&ends[i], wave_ready);
    int head = snprintf(request, sizeof request, "*2\r\n$3\r\nget\r\n$60000\r\n");
    memset(request + head, 'x', 60000);
    strcpy(request + head + 60000, "\r\n");
    for (int i = 0; i < 20; i++)
        lab_say(ends[i], request);
    run_wave();
    assert_int_equal(executed, 20);
    assert_true(sends >= 2);
    for (int i = 0; i < 20; i++)
        assert_int_equal(heard_bytes(i), 60003);
}

/* --- Errors of the protocol ------------------------------------------------------------------ */

static void a_protocol_error_closes_behind_the_replies(void **state) {
    (void)state;
    uint64_t before = server_metrics.protocol_disconnects;
    lab_say(ends[0], "*1\r\n$3\r\nget\r\n*1\r\n!3\r\nget\r\n*1\r\n$3\r\nget\r\n");
    lab_say(ends[1], "*1\r\n$3\r\nget\r\n");
    run_wave();
    assert_int_equal(executed, 2);
    assert_string_equal(lab_heard(ends[0]), "+OK\r\n-ERR Protocol error: expected '$', got '!'\r\n");
    assert_string_equal(lab_heard(ends[0]), "(closed)");
    assert_true(is_closed(0) && !is_closed(1));
    assert_int_equal(server_metrics.protocol_disconnects, before + 1);
}

static void a_protocol_error_behind_quit_is_not_looked_at(void **state) {
    (void)state;
    lab_say(ends[0], "*1\r\n$4\r\nquit\r\n*1\r\n!3\r\nget\r\n");
    run_wave();
    assert_string_equal(lab_heard(ends[0]), "+OK\r\n");
    assert_string_equal(lab_heard(ends[0]), "(closed)");
}

/* --- Clients that leave ---------------------------------------------------------------------- */

static void nothing_is_executed_behind_quit(void **state) {
    (void)state;
    lab_say(ends[0], "*1\r\n$3\r\nget\r\n*1\r\n$4\r\nquit\r\n*1\r\n$3\r\nget\r\n");
    lab_say(ends[1], "*1\r\n$3\r\nget\r\n");
    run_wave();
    assert_int_equal(executed, 3);
    assert_string_equal(lab_heard(ends[0]), "+OK\r\n+OK\r\n");
    assert_string_equal(lab_heard(ends[0]), "(closed)");
    assert_string_equal(lab_heard(ends[1]), "+OK\r\n");
    assert_true(is_closed(0));
}

static void a_client_may_leave_without_a_reply(void **state) {
    (void)state;
    lab_say(ends[0], "*1\r\n$5\r\nleave\r\n");
    run_wave();
    assert_true(is_closed(0));
}

static void a_client_may_be_closed_by_another_one(void **state) {
    (void)state;
    lab_say(ends[0], "*2\r\n$4\r\nkill\r\n$1\r\n1\r\n");
    lab_say(ends[1], "*1\r\n$3\r\nget\r\n");
    lab_say(ends[2], "*1\r\n$3\r\nget\r\n");
    ready_add(clients[0]); /* before the others, whatever the loop says */
    run_wave();
    expect_events("0:kill 1; 2:get; ");
    assert_string_equal(lab_heard(ends[2]), "+OK\r\n");
    assert_string_equal(lab_heard(ends[1]), "(closed)");
    lab_say(ends[2], "*2\r\n$4\r\nkill\r\n$1\r\n2\r\n"); /* or by itself, after its reply */
    run_wave();
    assert_string_equal(lab_heard(ends[2]), "+OK\r\n");
    assert_string_equal(lab_heard(ends[2]), "(closed)");
}

static void closed_clients_in_the_queue_are_skipped(void **state) {
    (void)state;
    lab_say(ends[0], "*1\r\n$3\r\nget\r\n");
    ready_add(clients[0]);
    client_close(clients[0]);
    wave_run();
    expect_events("");
}

static void the_end_of_its_stream_closes(void **state) {
    (void)state;
    lab_say(ends[0], "*1\r\n$3\r\nget\r\n");
    shutdown(ends[0], SHUT_WR);
    run_wave();
    run_wave();
    expect_events("0:get; ");
    assert_true(is_closed(0));
    assert_string_equal(lab_heard(ends[0]), "+OK\r\n");
}

/* --- Limits ---------------------------------------------------------------------------------- */

static void replies_beyond_the_hard_limit_close(void **state) {
    (void)state;
    limits_options.output_limit[LIMITS_NORMAL].hard = 50000;
    say_often(0, "*2\r\n$3\r\nbig\r\n$5\r\n10000\r\n", 6);
    say_often(1, "*2\r\n$3\r\nbig\r\n$5\r\n10000\r\n", 5);
    run_wave();
    assert_true(is_closed(0) && !is_closed(1));
    assert_string_equal(lab_heard(ends[0]), "(closed)"); /* nothing of them was sent */
    assert_int_equal(heard_bytes(1), 50000);
}

static void unfinished_input_has_a_limit(void **state) {
    (void)state;
    uint64_t before = server_metrics.query_limit_disconnects;
    limits_options.query_buffer_limit = 1000;
    static char head[2000] = "*2\r\n$3\r\nget\r\n$5000\r\n";
    memset(head + strlen(head), 'x', 990 - strlen(head));
    lab_say(ends[0], head);
    run_wave();
    assert_false(is_closed(0));
    lab_say(ends[0], "xxxxxxxxxxx");
    run_wave();
    assert_true(is_closed(0));
    assert_int_equal(server_metrics.query_limit_disconnects, before + 1);
    lab_say(ends[1], "*1\r\n$3\r\nget\r\n"); /* the queue of its transaction counts */
    clients[1]->tx = (struct tx *)&queue_bytes;
    queue_bytes = 1000;
    run_wave();
    assert_false(is_closed(1));
    lab_say(ends[1], "*1\r\n$3\r\nget\r\n");
    queue_bytes = 1001;
    run_wave();
    assert_true(is_closed(1));
}

static void a_large_bulk_that_is_unfinished_has_the_same_limit(void **state) {
    (void)state;
    static char part[49001];
    memset(part, 'x', 49000);
    limits_options.query_buffer_limit = 100000;
    lab_say(ends[0], "*2\r\n$3\r\nget\r\n$1000000\r\n");
    for (int i = 0; i < 3; i++) {
        assert_false(is_closed(0));
        lab_say(ends[0], part);
        for (int wave = 0; wave < 10; wave++) /* its memory grows as it arrives, so that takes some reads */
            run_wave();
    }
    assert_true(is_closed(0));
}

/* --- Before authentication ------------------------------------------------------------------- */

/* A bulk that is too large for a client without a password. */
static void say_large(int who, const char *before) {
    static char text[30000];
    int n = snprintf(text, sizeof text, "%s*2\r\n$3\r\nget\r\n$20000\r\n", before);
    memset(text + n, 'x', 20000);
    strcpy(text + n + 20000, "\r\n");
    lab_say(ends[who], text);
}

static void limits_follow_authentication_at_once(void **state) {
    (void)state;
    quiet = true;
    client_needs_password = true;
    clients[0]->flags &= ~(unsigned)CLIENT_AUTHENTICATED;
    clients[1]->flags &= ~(unsigned)CLIENT_AUTHENTICATED;
    say_large(0, "*1\r\n$3\r\nget\r\n*1\r\n$4\r\nauth\r\n");
    say_large(1, "*1\r\n$3\r\nget\r\n");
    run_wave();
    assert_int_equal(heard_bytes(0), 5 + 5 + 20003);
    assert_string_equal(lab_heard(ends[1]), "+OK\r\n-ERR Protocol error: unauthenticated bulk length\r\n");
    assert_true(!is_closed(0) && is_closed(1));
    client_needs_password = false; /* none is needed any more */
    clients[2]->flags &= ~(unsigned)CLIENT_AUTHENTICATED;
    say_large(2, "");
    run_wave();
    assert_int_equal(heard_bytes(2), 20003);
}

/* --- Waiting --------------------------------------------------------------------------------- */

static void requests_behind_one_that_waits(void **state) {
    (void)state;
    lab_say(ends[0], "*1\r\n$4\r\nwait\r\n*2\r\n$3\r\nget\r\n$1\r\na\r\n*2\r\n$3\r\nget\r\n$1\r\nb\r\n");
    run_wave();
    expect_events("0:wait; hold a; hold b; ");
    assert_string_equal(lab_heard(ends[0]), "");
    end_wait(0);
    run_wave();
    expect_events("0:get a; 0:get b; ");
    assert_int_equal(held.released, 2);
    assert_string_equal(lab_heard(ends[0]), "+a\r\n+b\r\n");
    assert_null(clients[0]->waiter);
}

/* A batch is 64 requests: what is not parsed yet when it runs is stashed. */
static void input_behind_one_that_waits(void **state) {
    (void)state;
    quiet = true;
    say_often(0, "*1\r\n$3\r\nget\r\n", 63);
    lab_say(ends[0], "*1\r\n$4\r\nwait\r\n*2\r\n$3\r\nget\r\n$1\r\na\r\n*2\r\n$3\r\nget\r\n$1\r\nb\r\n");
    run_wave();
    assert_int_equal(executed, 64);
    assert_true(clients[0]->flags & CLIENT_UNPARSED);
    lab_heard(ends[0]);
    quiet = false;
    end_wait(0);
    run_wave();
    expect_events("0:get a; 0:get b; ");
    assert_false(clients[0]->flags & CLIENT_UNPARSED);
    assert_string_equal(lab_heard(ends[0]), "+a\r\n+b\r\n");
}

/* A key that a client waits for has expired, and no request has noticed. What is behind the wait follows. */
static void a_wait_may_end_between_waves(void **state) {
    (void)state;
    lab_say(ends[0], "*1\r\n$4\r\nwait\r\n*2\r\n$3\r\nget\r\n$1\r\na\r\n");
    run_wave();
    expect_events("0:wait; hold a; ");
    wave_serve_waiting();
    expect_events("");
    served = 0;
    block_ready = true;
    wave_serve_waiting();
    expect_events("0:get a; ");
    assert_string_equal(lab_heard(ends[0]), "+a\r\n");
}

static void held_requests_come_before_stashed_input(void **state) {
    (void)state;
    quiet = true;
    say_often(0, "*1\r\n$3\r\nget\r\n", 62);
    lab_say(ends[0], "*1\r\n$4\r\nwait\r\n*2\r\n$3\r\nget\r\n$1\r\na\r\n*2\r\n$3\r\nget\r\n$1\r\nb\r\n");
    run_wave();
    quiet = false;
    expect_events("hold a; ");
    end_wait(0);
    run_wave();
    expect_events("0:get a; 0:get b; ");
}

static void a_held_request_may_wait_too(void **state) {
    (void)state;
    lab_say(ends[0], "*1\r\n$4\r\nwait\r\n*1\r\n$4\r\nwait\r\n*2\r\n$3\r\nget\r\n$1\r\na\r\n");
    run_wave();
    expect_events("0:wait; hold wait; hold a; ");
    end_wait(0);
    run_wave();
    expect_events("0:wait; ");
    assert_int_equal(held.released, 1);
    end_wait(0);
    run_wave();
    expect_events("0:get a; ");
}

static void a_protocol_error_waits_too(void **state) {
    (void)state;
    lab_say(ends[0], "*1\r\n$4\r\nwait\r\n*1\r\n!3\r\nget\r\n");
    run_wave();
    expect_events("0:wait; ");
    assert_string_equal(lab_heard(ends[0]), "");
    assert_false(is_closed(0));
    end_wait(0);
    run_wave();
    assert_string_equal(lab_heard(ends[0]), "-ERR Protocol error: expected '$', got '!'\r\n");
    assert_true(is_closed(0));
}

static void a_client_that_waits_is_not_read(void **state) {
    (void)state;
    lab_say(ends[0], "*1\r\n$4\r\nwait\r\n");
    run_wave();
    expect_events("0:wait; ");
    lab_say(ends[0], "*1\r\n$3\r\nget\r\n");
    run_wave();
    assert_int_equal(heard, LOOP_READ);
    expect_events("");
}

/* --- Events of a socket ---------------------------------------------------------------------- */

static void what_was_unsent_goes_on(void **state) {
    (void)state;
    quiet = true;
    lab_say(ends[0], "*2\r\n$3\r\nbig\r\n$7\r\n4000000\r\n");
    run_wave();
    assert_true(conn_unsent(&clients[0]->conn) > 0);
    clock_cached_steady_ms += 5000;
    clients[0]->active_ms = 1;
    size_t before = conn_unsent(&clients[0]->conn);
    while (conn_unsent(&clients[0]->conn) == before) {
        assert_true(lab_heard(ends[0])[0] != '\0');
        loop_poll(turn);
    }
    assert_true(clients[0]->active_ms > 1); /* a slow reader is not idle */
    heard_bytes(0);
    assert_int_equal(conn_unsent(&clients[0]->conn), 0);
}

/* Else another client would go for output that is not there any more. */
static void what_was_sent_weighs_no_more(void **state) {
    (void)state;
    quiet = true;
    lab_say(ends[0], "*2\r\n$3\r\nbig\r\n$7\r\n4000000\r\n");
    run_wave();
    size_t unsent = conn_unsent(&clients[0]->conn), sent = 4000000 - unsent;
    assert_true(unsent > 1000000);
    client_evict_set_limit(12000000 - sent + unsent / 2);
    heard_bytes(0);
    lab_say(ends[1], "*2\r\n$3\r\nbig\r\n$8\r\n12000000\r\n");
    run_wave();
    assert_true(conn_unsent(&clients[1]->conn) > 2 * unsent);
    assert_true(!is_closed(0) && !is_closed(1));
    client_evict_set_limit(0);
}

static void a_slow_reader_that_leaves(void **state) {
    (void)state;
    quiet = true;
    for (int i = 0; i < 2; i++)
        lab_say(ends[i], "*2\r\n$3\r\nbig\r\n$7\r\n4000000\r\n*1\r\n$4\r\nquit\r\n");
    run_wave();
    assert_true(!is_closed(0) && !is_closed(1)); /* not before all is sent */
    lab_say(ends[0], "*1\r\n$3\r\nget\r\n");
    wave_ready(&clients[0]->conn.source, LOOP_READ);
    executed = 0;
    wave_run();
    assert_int_equal(executed, 0); /* it is not served any more */
    heard_bytes(0);
    assert_true(is_closed(0));
    wave_ready(&clients[1]->conn.source, LOOP_HANGUP); /* the rest is dropped */
    assert_true(is_closed(1));
}

static void writing_is_not_reading(void **state) {
    (void)state;
    wave_ready(&clients[1]->conn.source, LOOP_WRITE);
    assert_null(ready_take());
    wave_ready(&clients[1]->conn.source, LOOP_WRITE | LOOP_READ);
    assert_ptr_equal(ready_take(), clients[1]);
    clients[1]->conn.flags |= CONN_BROKEN;
    wave_ready(&clients[1]->conn.source, LOOP_WRITE | LOOP_READ);
    assert_true(is_closed(1)); /* that was found on writing */
    assert_null(ready_take());
}

static void reading_is_activity(void **state) {
    (void)state;
    clients[0]->active_ms = 1;
    lab_say(ends[0], "*1\r\n");
    run_wave();
    assert_int_equal(clients[0]->active_ms, clock_steady_ms());
}

/* --- Messages -------------------------------------------------------------------------------- */

static void messages_to_itself_follow_its_replies(void **state) {
    (void)state;
    lab_say(ends[0], "*2\r\n$4\r\ntell\r\n$1\r\n0\r\n*2\r\n$3\r\nget\r\n$1\r\na\r\n");
    run_wave();
    assert_string_equal(lab_heard(ends[0]), "+OK\r\n+a\r\n+message\r\n");
    lab_say(ends[0], "*2\r\n$4\r\ntell\r\n$1\r\n1\r\n");
    run_wave();
    assert_string_equal(lab_heard(ends[1]), "+message\r\n");
}

/* --- Listeners ------------------------------------------------------------------------------- */

static bool is_unsettled;

static bool unsettled(void) {
    return is_unsettled;
}

static void tracking_before_send(void) {
    note("tracking; ");
}

static void durability_before_send(void) {
    note("durability; ");
    assert_true(conn_flush_wanted()); /* the replies have not left */
}

static void listeners_are_asked_in_order(void **state) {
    (void)state;
    static struct table keys;
    static const struct table_type type = {0};
    static const struct wave_hooks tracking = {&keys, tracking_before_send, NULL};
    static const struct wave_hooks durability = {.before_send = durability_before_send, .is_unsettled = unsettled};
    table_init(&keys, &type);
    wave_listen(WAVE_DURABILITY, &durability);
    wave_listen(WAVE_TRACKING, &tracking);
    lab_say(ends[0], "*2\r\n$3\r\nget\r\n$1\r\na\r\n");
    ready_add(clients[0]);
    wave_run();
    expect_events("0:get a; tracking; durability; ");
    assert_false(wave_is_unsettled());
    is_unsettled = true;
    assert_true(wave_is_unsettled());
    wave_listen(WAVE_DURABILITY, NULL);
    assert_false(wave_is_unsettled());
    is_unsettled = false;
    wave_send();
    expect_events("tracking; ");
}

/* --- A wave inside of a command -------------------------------------------------------------- */

#define BUSY "*1\r\n$4\r\nbusy\r\n"
#define GET(key) "*2\r\n$3\r\nget\r\n$1\r\n" key "\r\n"

static void run_busy_wave(int n, void (*step)(struct client *c)) {
    turns = n;
    meanwhile = step;
    run_wave();
}

static void second_speaks(struct client *c) {
    (void)c;
    lab_say(ends[1], GET("i"));
}

static void second_has_heard(struct request *r) {
    if (r->argv[1].ptr[0] == 'z') assert_string_equal(lab_heard(ends[1]), "+i\r\n");
}

static void others_are_answered_inside_of_a_command(void **state) {
    (void)state;
    lab_say(ends[0], BUSY GET("z"));
    check_request = second_has_heard;
    run_busy_wave(1, second_speaks);
    expect_events("0:busy; 1:get i; turn; 0:get z; ");
    assert_string_equal(lab_heard(ends[0]), "+begins\r\n+ends\r\n+z\r\n");
    assert_string_equal(lab_heard(ends[1]), "");
    assert_int_equal(conn_mark(), 0);
}

static void requests_behind_it_in_the_batch_are_executed_inside(void **state) {
    (void)state;
    lab_say(ends[0], GET("a") BUSY GET("b"));
    lab_say(ends[1], GET("c") GET("d"));
    lab_say(ends[2], GET("e"));
    run_busy_wave(2, NULL);
    expect_events("0:get a; 0:busy; 1:get c; 1:get d; 2:get e; turn; turn; 0:get b; ");
    assert_string_equal(lab_heard(ends[0]), "+a\r\n+begins\r\n+ends\r\n+b\r\n");
    assert_string_equal(lab_heard(ends[1]), "+c\r\n+d\r\n");
    assert_string_equal(lab_heard(ends[2]), "+e\r\n");
}

/* It has been put into the queue by the turn around the command. */
static void its_client_speaks(struct client *c) {
    if (turns-- == 3) lab_say(ends[0], GET("l"));
    ready_add(c);
}

static void the_client_of_the_command_is_read_when_it_is_over(void **state) {
    (void)state;
    lab_say(ends[0], BUSY);
    run_busy_wave(3, its_client_speaks);
    expect_events("0:busy; turn; turn; 0:get l; ");
    assert_string_equal(lab_heard(ends[0]), "+begins\r\n+ends\r\n+l\r\n");
}

static const char *expected_meanwhile;

static void first_has_heard(struct client *c) {
    if (expected_meanwhile) assert_string_equal(lab_heard(ends[0]), expected_meanwhile);
    expected_meanwhile = NULL;
    if (c == clients[2]) lab_say(ends[0], GET("m"));
}

static void what_was_complete_before_is_sent_at_the_first_turn(void **state) {
    (void)state;
    lab_say(ends[0], GET("a"));
    lab_say(ends[1], BUSY);
    expected_meanwhile = "";
    run_busy_wave(1, first_has_heard);
    assert_int_equal(sends, 2);
    assert_string_equal(lab_heard(ends[0]), "+a\r\n");
    assert_string_equal(lab_heard(ends[1]), "+begins\r\n+ends\r\n");
}

static int sends_inside;

static void first_has_heard_nothing(struct request *r) {
    if (r->client != clients[0] || r->argv[1].ptr[0] != 'm') return;
    assert_string_equal(lab_heard(ends[0]), "");
    sends_inside = sends;
}

/* The log has a part of what the command changes: what was acknowledged before waits for the rest of it, and what is
 * said inside to the same client stays behind it. */
static void it_is_kept_while_the_log_has_half_of_the_command(void **state) {
    (void)state;
    lab_say(ends[0], GET("a"));
    lab_say(ends[2], BUSY);
    propagate_call.pending = true;
    expected_meanwhile = "";
    check_request = first_has_heard_nothing;
    run_busy_wave(1, first_has_heard);
    propagate_call.pending = false;
    assert_int_equal(sends_inside, 0);
    assert_int_equal(sends, 1);
    expect_events("0:get a; 2:busy; 0:get m; turn; ");
    assert_string_equal(lab_heard(ends[0]), "+a\r\n+m\r\n");
    assert_string_equal(lab_heard(ends[2]), "+begins\r\n+ends\r\n");
}

static void a_client_whose_parser_is_in_use_may_quit_inside(void **state) {
    (void)state;
    char text[4096] = "";
    for (int i = 0; i < 60; i++)
        strcat(text, i == 20 ? "*1\r\n$4\r\nquit\r\n" : GET("a"));
    lab_say(ends[0], BUSY);
    lab_say(ends[1], text);
    quiet = true;
    run_busy_wave(2, NULL);
    assert_int_equal(executed, 22);
    assert_string_equal(lab_heard(ends[0]), "+begins\r\n+ends\r\n");
    assert_int_equal(strlen(lab_heard(ends[1])), 20 * 4 + 5);
    assert_true(is_closed(1));
}

static void a_client_whose_parser_is_in_use_goes_on_behind_it(void **state) {
    (void)state;
    char text[4096] = "";
    for (int i = 0; i < 60; i++)
        strcat(text, GET("a"));
    lab_say(ends[0], BUSY);
    lab_say(ends[1], text);
    quiet = true;
    run_busy_wave(2, NULL);
    assert_int_equal(executed, 61);
    assert_int_equal(strlen(lab_heard(ends[1])), 60 * 4);
    assert_false(is_closed(1));
}

/* A message to it cannot be sent: it is closed when the command is over, since that uses its input. */
static void first_breaks(struct client *c) {
    assert_false(c->flags & CLIENT_CLOSE_NOW);
    if (ends[0] >= 0) close(ends[0]);
    ends[0] = -1;
    lab_say(ends[1], "*2\r\n$4\r\ntell\r\n$1\r\n0\r\n");
}

static void the_client_of_the_command_may_break_inside(void **state) {
    (void)state;
    lab_say(ends[0], BUSY);
    run_busy_wave(3, first_breaks);
    expect_events("0:busy; 1:tell 0; turn; 1:tell 0; turn; 1:tell 0; turn; ");
    assert_true(is_closed(0));
    assert_string_equal(lab_heard(ends[1]), "+OK\r\n+OK\r\n+OK\r\n");
    ends[0] = dup(ends[1]);
}

/* It has a reply in the outer arena, which the closing must find. */
static void first_is_killed(struct client *c) {
    (void)c;
    lab_say(ends[2], "*2\r\n$4\r\nkill\r\n$1\r\n0\r\n");
}

static void a_client_with_a_reply_outside_may_be_closed_inside(void **state) {
    (void)state;
    lab_say(ends[0], GET("a"));
    lab_say(ends[1], BUSY);
    propagate_call.pending = true;
    run_busy_wave(1, first_is_killed);
    propagate_call.pending = false;
    assert_true(is_closed(0));
    assert_string_equal(lab_heard(ends[0]), "(closed)");
    assert_string_equal(lab_heard(ends[1]), "+begins\r\n+ends\r\n");
}

int main(void) {
    clock_init();
    hash_init();
    db_init(1);
    log_set_level(LOG_NOTHING);
    if (!loop_init(128)) return 1;
    catalog_register(rows);
    catalog_ready();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_request_and_its_reply, setup, teardown),
        cmocka_unit_test_setup_teardown(requests_of_a_client_are_answered_in_order_and_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(clients_share_a_batch, setup, teardown),
        cmocka_unit_test_setup_teardown(any_number_of_requests_and_arguments, setup, teardown),
        cmocka_unit_test_setup_teardown(a_request_may_come_in_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(requests_for_members, setup, teardown),
        cmocka_unit_test_setup_teardown(requests_behind_a_long_one_that_came_in_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(a_replica_that_uses_keys_is_closed_before_it_does, setup, teardown),
        cmocka_unit_test_setup_teardown(inline_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wave_has_at_most_32_clients, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wave_has_about_512_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(large_replies_leave_early, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_input_arena_ends_the_wave, setup, teardown),
        cmocka_unit_test_setup_teardown(a_protocol_error_closes_behind_the_replies, setup, teardown),
        cmocka_unit_test_setup_teardown(a_protocol_error_behind_quit_is_not_looked_at, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_executed_behind_quit, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_may_leave_without_a_reply, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_may_be_closed_by_another_one, setup, teardown),
        cmocka_unit_test_setup_teardown(closed_clients_in_the_queue_are_skipped, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_of_its_stream_closes, setup, teardown),
        cmocka_unit_test_setup_teardown(replies_beyond_the_hard_limit_close, setup, teardown),
        cmocka_unit_test_setup_teardown(unfinished_input_has_a_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(a_large_bulk_that_is_unfinished_has_the_same_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(limits_follow_authentication_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(requests_behind_one_that_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(input_behind_one_that_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wait_may_end_between_waves, setup, teardown),
        cmocka_unit_test_setup_teardown(held_requests_come_before_stashed_input, setup, teardown),
        cmocka_unit_test_setup_teardown(a_held_request_may_wait_too, setup, teardown),
        cmocka_unit_test_setup_teardown(a_protocol_error_waits_too, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_that_waits_is_not_read, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_unsent_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_sent_weighs_no_more, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slow_reader_that_leaves, setup, teardown),
        cmocka_unit_test_setup_teardown(writing_is_not_reading, setup, teardown),
        cmocka_unit_test_setup_teardown(reading_is_activity, setup, teardown),
        cmocka_unit_test_setup_teardown(messages_to_itself_follow_its_replies, setup, teardown),
        cmocka_unit_test_setup_teardown(listeners_are_asked_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(others_are_answered_inside_of_a_command, setup, teardown),
        cmocka_unit_test_setup_teardown(requests_behind_it_in_the_batch_are_executed_inside, setup, teardown),
        cmocka_unit_test_setup_teardown(the_client_of_the_command_is_read_when_it_is_over, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_complete_before_is_sent_at_the_first_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(it_is_kept_while_the_log_has_half_of_the_command, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_whose_parser_is_in_use_may_quit_inside, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_whose_parser_is_in_use_goes_on_behind_it, setup, teardown),
        cmocka_unit_test_setup_teardown(the_client_of_the_command_may_break_inside, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_with_a_reply_outside_may_be_closed_inside, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
