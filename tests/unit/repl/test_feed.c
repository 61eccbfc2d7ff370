/* Feeds: what a replica is sent, what its acknowledgements are worth, and what the log keeps for it. The log is the
 * real one; a replica is the other end of a socket pair. This server follows nobody, unless a test says so. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/module.h"
#include "base/option.h"
#include "base/rand.h"
#include "exec/propagate.h"
#include "exec/wave.h"
#include "net/loop.h"
#include "repl/backlog.h"
#include "repl/feed.h"
#include "repl/history.h"
#include "repl/link.h"
#include "session/client_lab.h"
#include "session/limits.h"
#include "store/db.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

struct link_status link_status;
struct link_options link_options = {.timeout_s = 60};
void (*link_data_replaced)(void);

extern const struct module feed_module, backlog_module;

static int64_t *backlog_bytes; /* the value of repl-backlog-size */
static int news;

static void count_news(void) {
    news++;
}

static void set_backlog(int64_t bytes) {
    *backlog_bytes = bytes;
    oplog_keep((size_t)bytes);
}

static int begin(void **state) {
    (void)state;
    clock_update();
    link_status.state = LINK_OFF;
    limits_options.output_limit[LIMITS_REPLICA] = (struct limits_output){0, 0, 0};
    set_backlog(1 << 20);
    backlog_start(true);
    feed_acked = count_news;
    news = 0;
    return 0;
}

/* The history goes on in a log of its own, so that no test sees the bytes of another one. */
static int end(void **state) {
    (void)state;
    feed_close_all();
    client_reap();
    oplog_restart(oplog_end(), -1);
    feed_acked = NULL;
    return 0;
}

static void ignore(struct loop_source *source, uint32_t events) {
    (void)source;
    (void)events;
}

static struct feed *connect_feed(int *peer, int port) {
    struct feed *feed = feed_of(lab_connect(peer, ignore));
    feed->port = port;
    feed->announced_ip = alloc_copy_string("10.0.0.1");
    return feed;
}

/* A replica that has its snapshot. */
static struct feed *online_feed(int *peer, int port) {
    struct feed *feed = connect_feed(peer, port);
    feed_begin(feed, FEED_WAITS_START);
    feed_place(feed);
    feed_go_online(feed, FEED_ONLINE);
    return feed;
}

static void set_key(const char *value, size_t len) {
    const struct slice argv[] = {SLICE("SET"), SLICE("k"), slice_of(value, len)};
    oplog_append(0, argv, 3, SLICE(""));
    oplog_end_unit();
}

static void set_big(size_t len) {
    char *value = alloc_get(len);
    memset(value, 'x', len);
    set_key(value, len);
    alloc_put(value, len);
}

/* Everything that this end can read, and how many bytes that is. */
static size_t drain(int peer) {
    static char bytes[1 << 16];
    size_t total = 0;
    ssize_t n;
    while ((n = recv(peer, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        total += (size_t)n;
    return total;
}

#define SELECT_0 "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"
#define SET_K(v) "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\n" v "\r\n"

/* --- The stream ------------------------------------------------------------------------------ */

static void the_log_reaches_a_replica_once_and_in_order(void **state) {
    (void)state;
    int peer;
    online_feed(&peer, 1);
    feed_send_all();
    assert_string_equal(lab_heard(peer), "");
    set_key("1", 1);
    set_key("2", 1);
    feed_send_all();
    assert_string_equal(lab_heard(peer), SELECT_0 SET_K("1") SET_K("2"));
    set_key("3", 1);
    feed_send_all();
    assert_string_equal(lab_heard(peer), SET_K("3"));
    close(peer);
}

static void a_new_replica_begins_with_select(void **state) {
    (void)state;
    int first, second;
    online_feed(&first, 1);
    set_key("1", 1);
    online_feed(&second, 2);
    set_key("2", 1);
    feed_send_all();
    assert_string_equal(lab_heard(first), SELECT_0 SET_K("1") SELECT_0 SET_K("2"));
    assert_string_equal(lab_heard(second), SELECT_0 SET_K("2"));
    close(first);
    close(second);
}

/* The stream is the primary's, byte for byte. */
static void behind_a_primary_nothing_is_added_to_the_log(void **state) {
    (void)state;
    int peer;
    link_status.state = LINK_UP;
    propagate_local_only(true);
    online_feed(&peer, 1);
    feed_ask_for_acks();
    oplog_pass_on(SLICE("*1\r\n$4\r\nPING\r\n"), 0);
    feed_send_all();
    assert_string_equal(lab_heard(peer), "*1\r\n$4\r\nPING\r\n");
    propagate_local_only(false);
    close(peer);
}

static void a_replica_that_waits_for_its_first_ack_gets_nothing(void **state) {
    (void)state;
    int peer;
    struct feed *feed = connect_feed(&peer, 1);
    feed_begin(feed, FEED_WAITS_START);
    feed_place(feed);
    feed_go_online(feed, FEED_WAITS_ACK);
    set_key("1", 1);
    feed_send_all();
    assert_string_equal(lab_heard(peer), "");
    assert_true(feed_is_online(feed));
    feed_take_ack(feed, 0, -1);
    feed_send_all();
    assert_string_equal(lab_heard(peer), SELECT_0 SET_K("1"));
    close(peer);
}

static void a_slow_replica_gets_the_rest_later_and_holds_up_no_other(void **state) {
    (void)state;
    int slow, fast;
    struct feed *feed = online_feed(&slow, 1);
    online_feed(&fast, 2);
    int64_t began = oplog_end();
    size_t total_slow = 0, total_fast = 0;
    for (int i = 0; i < 40; i++) {
        set_big(50000);
        feed_send_all();
        total_fast += drain(fast);
    }
    assert_true(feed_behind(feed) > 0);
    while (feed_behind(feed)) {
        total_slow += drain(slow);
        conn_writable(&feed->client->conn); /* as the loop does when the socket has room */
        feed_send_all();
        total_fast += drain(fast);
    }
    total_slow += drain(slow);
    assert_int_equal(total_slow, oplog_end() - began);
    assert_int_equal(total_fast, oplog_end() - began);
    close(slow);
    close(fast);
}

static void getack_is_said_once_for_all_who_ask(void **state) {
    (void)state;
    int peer;
    online_feed(&peer, 1);
    feed_ask_for_acks();
    feed_ask_for_acks();
    feed_send_all();
    feed_send_all();
    assert_string_equal(lab_heard(peer), "*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n");
    close(peer);
}

/* --- Acknowledgements ------------------------------------------------------------------------ */

static void only_what_was_sent_can_be_acknowledged(void **state) {
    (void)state;
    int peer;
    struct feed *feed = online_feed(&peer, 1);
    int64_t start = oplog_end();
    set_key("1", 1);
    feed_take_ack(feed, oplog_end(), oplog_end()); /* it was not sent yet */
    assert_int_equal(feed->acked, 0);
    assert_int_equal(feed_count_acked(start + 1), 0);
    feed_send_all();
    feed_take_ack(feed, oplog_end() + 1, -1);
    feed_take_ack(feed, INT64_MAX, INT64_MAX);
    feed_take_ack(feed, -1, -1);
    assert_int_equal(feed_count_acked(start + 1), 0);
    assert_int_equal(feed_count_acked_aof(start + 1), 0);
    feed_take_ack(feed, oplog_end(), start);
    assert_int_equal(feed_count_acked(oplog_end()), 1);
    assert_int_equal(feed_count_acked_aof(start), 1);
    assert_int_equal(feed_count_acked_aof(start + 1), 0);
    feed_take_ack(feed, start, -1);
    assert_int_equal(feed_count_acked(oplog_end()), 1);
    assert_true(news > 0);
    close(peer);
}

static void a_replica_is_good_while_it_acknowledges(void **state) {
    (void)state;
    int peer;
    struct feed *feed = online_feed(&peer, 1);
    assert_int_equal(feed_count_good(10), 1);
    feed->acked_ms -= 11000;
    assert_int_equal(feed_lag_s(feed), 11);
    assert_int_equal(feed_count_good(10), 0);
    feed_take_ack(feed, oplog_end(), -1);
    assert_int_equal(feed_count_good(10), 1);
    feed->state = FEED_SENDS;
    assert_int_equal(feed_count_good(10), 0);
    assert_int_equal(feed_count_acked(0), 0);
    close(peer);
}

/* --- What the log keeps ---------------------------------------------------------------------- */

/* Bytes that are in the socket when it breaks are lost: so what counts is the last acknowledgement. */
static void a_replica_that_was_cut_goes_on_behind_its_last_ack(void **state) {
    (void)state;
    int peer;
    set_backlog(1);
    struct feed *feed = online_feed(&peer, 1);
    set_key("1", 1);
    feed_send_all();
    int64_t acked = oplog_end();
    feed_take_ack(feed, acked, -1);
    set_key("2", 1);
    feed_send_all();
    client_close(feed->client);
    for (int i = 0; i < 100; i++) {
        set_big(20000);
        feed_send_all();
    }
    close(peer);
    feed = connect_feed(&peer, 1);
    feed_begin(feed, FEED_ONLINE);
    assert_true(feed_continue(feed, acked));
    feed_send_all();
    assert_memory_equal(lab_heard(peer), SET_K("2"), strlen(SET_K("2")));
    close(peer);
}

/* Its ACK is no more than the 0 that it begins with. */
static void so_does_one_that_was_cut_before_anything_was_written(void **state) {
    (void)state;
    int peer;
    oplog_restart(0, -1);
    set_backlog(1);
    struct feed *feed = online_feed(&peer, 1);
    feed_take_ack(feed, 0, -1);
    client_close(feed->client);
    for (int i = 0; i < 100; i++) {
        set_big(20000);
        feed_send_all();
    }
    close(peer);
    feed = connect_feed(&peer, 1);
    feed_begin(feed, FEED_ONLINE);
    assert_true(feed_continue(feed, 0));
    close(peer);
}

static void without_a_place_only_the_backlog_is_kept(void **state) {
    (void)state;
    int peer;
    set_backlog(1);
    struct feed *feed = online_feed(&peer, 1);
    set_key("1", 1);
    feed_send_all();
    int64_t acked = oplog_end();
    feed_take_ack(feed, acked, -1);
    feed_drop(feed);
    for (int i = 0; i < 100; i++) {
        set_big(20000);
        feed_send_all();
    }
    close(peer);
    feed = connect_feed(&peer, 1);
    feed_begin(feed, FEED_ONLINE);
    assert_false(feed_continue(feed, acked));
    close(peer);
}

static void a_place_ends_at_the_limits_and_with_its_time(void **state) {
    (void)state;
    int peer;
    set_backlog(1);
    limits_options.output_limit[LIMITS_REPLICA].hard = 100000;
    struct feed *feed = online_feed(&peer, 1);
    set_key("1", 1);
    feed_send_all();
    feed_take_ack(feed, oplog_end(), -1);
    client_close(feed->client);
    size_t with_place = backlog_memory();
    assert_true(with_place > 0);
    backlog_tick(0, true);
    assert_int_equal(backlog_memory(), with_place);
    for (int i = 0; i < 6; i++)
        set_big(20000);
    backlog_tick(0, true);
    assert_int_equal(backlog_memory(), 0);
    close(peer);
}

static void a_replica_beyond_its_limit_is_dropped(void **state) {
    (void)state;
    int peer;
    set_backlog(1);
    limits_options.output_limit[LIMITS_REPLICA].hard = 1000000;
    struct feed *feed = online_feed(&peer, 1);
    for (int i = 0; i < 19; i++)
        set_big(50000);
    assert_false(feed_drop_if_over_limit(feed));
    for (int i = 0; i < 3; i++)
        set_big(50000);
    assert_true(feed_drop_if_over_limit(feed));
    assert_null(feed_first);
    assert_int_equal(backlog_memory(), 0);
    close(peer);
}

static void the_limits_are_never_below_the_backlog(void **state) {
    (void)state;
    limits_options.output_limit[LIMITS_REPLICA] = (struct limits_output){1000, 500, 60};
    assert_int_equal(backlog_limits().hard, 1 << 20);
    assert_int_equal(backlog_limits().soft, 1 << 20);
    limits_options.output_limit[LIMITS_REPLICA] = (struct limits_output){0, 5 << 20, 60};
    assert_int_equal(backlog_limits().hard, 0);
    assert_int_equal(backlog_limits().soft, 5 << 20);
}

/* --- Endings --------------------------------------------------------------------------------- */

static void both_connections_of_a_replica_end_together(void **state) {
    (void)state;
    int one, two;
    struct feed *first = connect_feed(&one, 1), *second = connect_feed(&two, 1);
    second->flags |= FEED_IS_CHANNEL;
    feed_begin(first, FEED_WAITS_CHANNEL);
    feed_begin(second, FEED_WAITS_START);
    first->other = second;
    second->other = first;
    assert_int_equal(feed_count(), 1);
    client_close(first->client);
    assert_null(feed_first);
    assert_int_equal(feed_count(), 0);
    close(one);
    close(two);
}

/* The replica has read the last byte, and closes before this server knows that the child has ended. */
static void a_second_connection_in_the_childs_hands_may_close_first(void **state) {
    (void)state;
    int one, two;
    struct feed *first = connect_feed(&one, 1), *second = connect_feed(&two, 1);
    second->flags |= FEED_IS_CHANNEL | FEED_HOLDS;
    feed_begin(first, FEED_STREAMS);
    feed_begin(second, FEED_WAITS_END);
    first->other = second;
    second->other = first;
    feed_place(first);
    client_close(second->client);
    assert_ptr_equal(feed_first, first);
    feed_take_ack(first, oplog_end(), -1);
    assert_int_equal(first->state, FEED_ONLINE);
    close(one);
    close(two);
}

static void nothing_is_placed_in_the_log_after_all_have_been_closed(void **state) {
    (void)state;
    int peers[3];
    for (int i = 0; i < 3; i++)
        online_feed(&peers[i], i);
    set_key("1", 1);
    feed_send_all();
    client_close(feed_first->client);
    feed_close_all();
    assert_null(feed_first);
    oplog_restart(12345, -1); /* asserts it */
    for (int i = 0; i < 3; i++)
        close(peers[i]);
}

static int visited;

static void visit_and_close(struct feed *feed, void *ctx) {
    (void)ctx;
    visited++;
    if (feed->port % 2) client_close(feed->client);
}

static void walking_survives_what_is_closed_meanwhile(void **state) {
    (void)state;
    int peers[6];
    struct feed *feeds[6];
    for (int i = 0; i < 6; i++)
        feeds[i] = online_feed(&peers[i], i);
    feeds[1]->other = feeds[2]; /* closing 1 closes 2, the next one */
    feeds[2]->other = feeds[1];
    visited = 0;
    feed_each(visit_and_close, NULL);
    assert_int_equal(visited, 5);
    assert_int_equal(feed_count(), 2);
    for (int i = 0; i < 6; i++)
        close(peers[i]);
}

/* --- At random ------------------------------------------------------------------------------- */

#define REPLICAS 4

/* All that was ever written, from offset model.start on; and what each replica has of it. */
static struct {
    struct buf bytes;
    int64_t start;
    struct oplog_cursor cursor;
} model;

static struct replica {
    struct feed *feed;
    int peer;
    int64_t has; /* offset: it has everything before */
} replicas[REPLICAS];

static void extend_model(void) {
    struct iovec piece;
    while (oplog_peek(&model.cursor, &piece, 1, SIZE_MAX)) {
        buf_append(&model.bytes, piece.iov_base, piece.iov_len);
        oplog_advance(&model.cursor, piece.iov_len);
    }
}

static void write_at_random(void) {
    static const size_t sizes[] = {1, 10, 100, 1000, 20000, 200000};
    size_t len = 1 + rand_below(sizes[rand_below(sizeof sizes / sizeof *sizes)]);
    char *value = alloc_get(len);
    for (size_t i = 0; i < len; i++)
        value[i] = (char)rand_u64();
    set_key(value, len);
    alloc_put(value, len);
    extend_model();
}

static void read_some(struct replica *r, size_t most) {
    static char bytes[300000];
    ssize_t n = recv(r->peer, bytes, 1 + rand_below(most), MSG_DONTWAIT);
    if (n <= 0) return;
    assert_true(r->has + n <= oplog_end());
    assert_memory_equal(bytes, model.bytes.data + (r->has - model.start), (size_t)n);
    r->has += n;
    conn_writable(&r->feed->client->conn);
}

/* All but this one are level, so that the log keeps nothing for them. */
static void level_all_but(const struct replica *absent) {
    for (struct replica *r = replicas; r < replicas + REPLICAS; r++) {
        if (r == absent) continue;
        while (r->has < oplog_end()) {
            feed_send_all();
            read_some(r, sizeof(char[300000]));
        }
        feed_take_ack(r->feed, r->has, -1);
    }
    feed_send_all();
}

/* What is in its socket is lost. */
static void cut_and_return(struct replica *r, int port) {
    close(r->peer);
    client_close(r->feed->client);
    for (uint64_t i = rand_below(5); i > 0; i--)
        write_at_random();
    if (rand_below(2)) level_all_but(r);
    r->feed = connect_feed(&r->peer, port);
    feed_begin(r->feed, FEED_ONLINE);
    assert_true(feed_continue(r->feed, r->has));
}

static void step_at_random(void) {
    int i = (int)rand_below(REPLICAS);
    struct replica *r = &replicas[i];
    switch (rand_below(8)) {
    case 0:
    case 1: write_at_random(); break;
    case 2: feed_send_all(); break;
    case 3: read_some(r, 10); break;
    case 4:
    case 5: read_some(r, sizeof(char[300000])); break;
    case 6: feed_take_ack(r->feed, r->has - (int64_t)rand_below(3), -1); break;
    case 7:
        if (rand_below(4) == 0) cut_and_return(r, i);
        break;
    }
}

/* No byte is lost or comes twice, whatever is cut and whenever: the log keeps what was not acknowledged. */
static void every_replica_gets_every_byte_once(void **state) {
    (void)state;
    uint64_t seed = (uint64_t)clock_mono_us();
    print_message("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    set_backlog(1);
    model.start = oplog_end();
    oplog_seek(&model.cursor, model.start);
    for (int i = 0; i < REPLICAS; i++) {
        replicas[i].feed = online_feed(&replicas[i].peer, i);
        replicas[i].has = oplog_end();
        feed_take_ack(replicas[i].feed, oplog_end(), -1);
    }
    for (int i = 0; i < 20000; i++) {
        step_at_random();
        if (model.bytes.len > (64 << 20)) break;
    }
    level_all_but(NULL);
    for (int i = 0; i < REPLICAS; i++)
        close(replicas[i].peer);
    oplog_leave(&model.cursor);
    buf_free(&model.bytes);
}

/* --- Names ----------------------------------------------------------------------------------- */

static void names_are_as_in_redis(void **state) {
    (void)state;
    int peer;
    char text[FEED_IP_MAX];
    struct feed *feed = connect_feed(&peer, 6379);
    assert_string_equal(feed_name(feed, text), "10.0.0.1:6379");
    assert_string_equal(feed_ip(feed, text), "10.0.0.1");
    feed->port = 0;
    assert_string_equal(feed_name(feed, text), "10.0.0.1:<unknown-replica-port>");
    alloc_put_string(feed->announced_ip);
    feed->announced_ip = alloc_copy_string("::1");
    feed->port = 7;
    assert_string_equal(feed_name(feed, text), "[::1]:7");
    feed_begin(feed, FEED_WAITS_START);
    assert_ptr_equal(feed_for_address(SLICE("::1"), 7), feed);
    assert_null(feed_for_address(SLICE("::1"), 8));
    assert_null(feed_for_address(SLICE("::2"), 7));
    close(peer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_log_reaches_a_replica_once_and_in_order, begin, end),
        cmocka_unit_test_setup_teardown(a_new_replica_begins_with_select, begin, end),
        cmocka_unit_test_setup_teardown(behind_a_primary_nothing_is_added_to_the_log, begin, end),
        cmocka_unit_test_setup_teardown(a_replica_that_waits_for_its_first_ack_gets_nothing, begin, end),
        cmocka_unit_test_setup_teardown(a_slow_replica_gets_the_rest_later_and_holds_up_no_other, begin, end),
        cmocka_unit_test_setup_teardown(getack_is_said_once_for_all_who_ask, begin, end),
        cmocka_unit_test_setup_teardown(only_what_was_sent_can_be_acknowledged, begin, end),
        cmocka_unit_test_setup_teardown(a_replica_is_good_while_it_acknowledges, begin, end),
        cmocka_unit_test_setup_teardown(a_replica_that_was_cut_goes_on_behind_its_last_ack, begin, end),
        cmocka_unit_test_setup_teardown(so_does_one_that_was_cut_before_anything_was_written, begin, end),
        cmocka_unit_test_setup_teardown(without_a_place_only_the_backlog_is_kept, begin, end),
        cmocka_unit_test_setup_teardown(a_place_ends_at_the_limits_and_with_its_time, begin, end),
        cmocka_unit_test_setup_teardown(a_replica_beyond_its_limit_is_dropped, begin, end),
        cmocka_unit_test_setup_teardown(the_limits_are_never_below_the_backlog, begin, end),
        cmocka_unit_test_setup_teardown(both_connections_of_a_replica_end_together, begin, end),
        cmocka_unit_test_setup_teardown(a_second_connection_in_the_childs_hands_may_close_first, begin, end),
        cmocka_unit_test_setup_teardown(nothing_is_placed_in_the_log_after_all_have_been_closed, begin, end),
        cmocka_unit_test_setup_teardown(walking_survives_what_is_closed_meanwhile, begin, end),
        cmocka_unit_test_setup_teardown(every_replica_gets_every_byte_once, begin, end),
        cmocka_unit_test_setup_teardown(names_are_as_in_redis, begin, end),
    };
    log_set_level(LOG_NOTHING);
    clock_init();
    loop_init(64);
    db_init(16);
    client_register(feed_module.part);
    backlog_bytes = backlog_module.options[0].address;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
