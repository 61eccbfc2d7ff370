/* Full syncs: which replicas share a snapshot, when it begins, what they are told, and what becomes of it when they or
 * the child are gone. The child, BGSAVE and the link are fakes; a replica is the other end of a socket pair. */
#include "aof/aof.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/module.h"
#include "base/option.h"
#include "disk/child.h"
#include "durable/bgsave.h"
#include "durable/loading.h"
#include "durable/snapshot.h"
#include "net/loop.h"
#include "repl/backlog.h"
#include "repl/backoff.h"
#include "repl/feed.h"
#include "repl/history.h"
#include "repl/intake.h"
#include "repl/link.h"
#include "repl/sync.h"
#include "repl/transfer.h"
#include "session/client_lab.h"
#include "store/db.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* --- Fakes ----------------------------------------------------------------------------------- */

struct link_status link_status;
struct link_options link_options = {.timeout_s = 60};
struct intake_options intake_options;
void (*link_data_replaced)(void);

struct child_metrics child_metrics;
static enum child_kind running;
static bool fork_fails, loads, has_points;
static int transfers, saves, kills;
static unsigned transfer_filter;
static void (*transfer_ends)(bool ok);

enum child_kind child_running(void) {
    return running;
}
bool transfer_start(unsigned filter, void (*done)(bool ok)) {
    if (fork_fails) return false;
    transfers++;
    transfer_filter = filter;
    transfer_ends = done;
    running = CHILD_TRANSFER;
    return true;
}

struct bgsave_status bgsave_status;
void (*bgsave_done)(bool ok);
struct snapshot_metrics snapshot_metrics;

bool bgsave_start(void) {
    if (fork_fails) return false;
    saves++;
    snapshot_metrics.saves++;
    running = CHILD_RDB;
    return true;
}
bool bgsave_has_points(void) {
    return has_points;
}
static char file_name[] = "/tmp/kura-test-sync-XXXXXX";
const char *snapshot_name(void) {
    return file_name;
}
bool loading_is_active(void) {
    return loads;
}
struct aof_status aof_status(void) {
    return (struct aof_status){.state = AOF_OFF};
}

static void end_child(bool ok) {
    enum child_kind was = running;
    running = CHILD_NONE;
    if (was == CHILD_TRANSFER)
        transfer_ends(ok);
    else
        bgsave_done(ok);
}

void child_kill(void) {
    kills++;
    end_child(false);
}

/* --- The lab --------------------------------------------------------------------------------- */

extern const struct module feed_module, backlog_module, sync_module;

static void write_file(const char *text) {
    FILE *file = fopen(file_name, "w");
    fputs(text, file);
    fclose(file);
}

static int begin(void **state) {
    (void)state;
    clock_update();
    sync_options = (struct sync_options){.diskless = true};
    intake_options.deletes_files = false;
    fork_fails = loads = has_points = false;
    transfers = saves = kills = 0;
    running = CHILD_NONE;
    backlog_start(true);
    write_file("the snapshot");
    return 0;
}

static int end(void **state) {
    (void)state;
    feed_close_all();
    client_reap();
    oplog_restart(oplog_end(), -1);
    remove(file_name);
    return 0;
}

static void ignore(struct loop_source *source, uint32_t events) {
    (void)source;
    (void)events;
}

static struct feed *ask(int *peer, int port, unsigned flags) {
    struct feed *feed = feed_of(lab_connect(peer, ignore));
    feed->port = port;
    feed->announced_ip = alloc_copy_string("10.0.0.1");
    feed->flags = flags;
    feed_begin(feed, FEED_WAITS_START);
    sync_join(feed);
    return feed;
}

static const char *full_resync(void) {
    static char line[80];
    snprintf(line, sizeof line, "+FULLRESYNC %s %lld\r\n", history.id, (long long)oplog_end());
    return line;
}

static void write_key(void) {
    const struct slice argv[] = {SLICE("DEL"), SLICE("k")};
    oplog_append(0, argv, 2, SLICE(""));
    oplog_end_unit();
}

/* The cached clock stands still in a test: it is moved by hand. */
static void pass_ms(int64_t ms) {
    clock_cached_steady_ms += ms;
}

/* --- The beginning --------------------------------------------------------------------------- */

static void one_child_serves_all_who_wait(void **state) {
    (void)state;
    int peers[3];
    struct feed *feeds[3];
    for (int i = 0; i < 3; i++)
        feeds[i] = ask(&peers[i], i, FEED_EOF);
    assert_int_equal(sync_status.waiting, 3);
    feed_send_all();
    assert_int_equal(transfers, 1);
    assert_int_equal(sync_status.waiting, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(feeds[i]->state, FEED_WAITS_END);
        assert_true(feeds[i]->client->conn.flags & CONN_SHARED);
        assert_string_equal(lab_heard(peers[i]), full_resync());
    }
    write_key();
    feed_send_all();
    assert_string_equal(lab_heard(peers[0]), ""); /* the child has the socket */
    end_child(true);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(feeds[i]->state, FEED_WAITS_ACK);
        assert_false(feeds[i]->client->conn.flags & CONN_SHARED);
        close(peers[i]);
    }
}

static void a_snapshot_waits_for_other_children_and_for_loading(void **state) {
    (void)state;
    int peer;
    ask(&peer, 1, FEED_EOF);
    running = CHILD_AOF;
    feed_send_all();
    assert_int_equal(transfers, 0);
    running = CHILD_NONE;
    loads = true;
    feed_send_all();
    assert_int_equal(transfers, 0);
    loads = false;
    feed_send_all();
    assert_int_equal(transfers, 1);
    close(peer);
}

static void diskless_the_first_waits_for_others(void **state) {
    (void)state;
    int one, two;
    sync_options.delay_s = 5;
    ask(&one, 1, FEED_EOF);
    pass_ms(4999);
    feed_send_all();
    assert_int_equal(transfers, 0);
    ask(&two, 2, FEED_EOF);
    pass_ms(1);
    feed_send_all();
    assert_int_equal(transfers, 1);
    assert_string_equal(lab_heard(two), full_resync());
    close(one);
    close(two);
}

static void enough_replicas_need_not_wait(void **state) {
    (void)state;
    int one, two;
    sync_options.delay_s = 5;
    sync_options.max_replicas = 2;
    ask(&one, 1, FEED_EOF);
    feed_send_all();
    assert_int_equal(transfers, 0);
    ask(&two, 2, FEED_EOF);
    feed_send_all();
    assert_int_equal(transfers, 1);
    close(one);
    close(two);
}

static void who_cannot_take_a_stream_gets_a_file_at_once(void **state) {
    (void)state;
    int one, two;
    sync_options.delay_s = 5;
    struct feed *streamed = ask(&one, 1, FEED_EOF), *filed = ask(&two, 2, 0);
    feed_send_all();
    assert_int_equal(saves, 1);
    assert_int_equal(filed->state, FEED_WAITS_END);
    assert_int_equal(streamed->state, FEED_WAITS_START);
    end_child(true);
    pass_ms(5000);
    feed_send_all();
    assert_int_equal(transfers, 1);
    assert_int_equal(streamed->state, FEED_WAITS_END);
    close(one);
    close(two);
}

static void what_is_left_out_tells_snapshots_apart(void **state) {
    (void)state;
    int one, two;
    sync_options.diskless = false;
    ask(&one, 1, FEED_EOF | FEED_NO_DATA | FEED_RDB_ONLY);
    ask(&two, 2, FEED_EOF);
    feed_send_all();
    assert_int_equal(transfers, 1);
    assert_true(transfer_filter & FEED_NO_DATA);
    end_child(true);
    assert_string_equal(lab_heard(one), full_resync());
    assert_string_equal(lab_heard(one), "(closed)");
    feed_send_all();
    assert_int_equal(saves, 1);
    close(one);
    close(two);
}

static void a_replica_that_failed_waits_for_its_time(void **state) {
    (void)state;
    int one, two;
    backoff_fail("10.0.0.1:1");
    struct feed *failed = ask(&one, 1, FEED_EOF), *good = ask(&two, 2, FEED_EOF);
    feed_send_all();
    assert_int_equal(failed->state, FEED_WAITS_START);
    assert_int_equal(good->state, FEED_WAITS_END);
    end_child(true);
    pass_ms(1000);
    feed_send_all();
    assert_int_equal(failed->state, FEED_WAITS_END);
    backoff_succeed("10.0.0.1:1");
    close(one);
    close(two);
}

static void a_failed_fork_is_told(void **state) {
    (void)state;
    static const bool both[] = {true, false};
    for (int i = 0; i < 2; i++) {
        int peer;
        sync_options.diskless = both[i];
        fork_fails = true;
        ask(&peer, 1, FEED_EOF);
        feed_send_all();
        assert_non_null(strstr(lab_heard(peer), "-ERR BGSAVE failed, replication can't continue\r\n"));
        assert_null(feed_first);
        close(peer);
    }
}

static void sync_is_not_announced(void **state) {
    (void)state;
    int peer;
    ask(&peer, 1, FEED_EOF | FEED_OLD);
    feed_send_all();
    assert_string_equal(lab_heard(peer), "");
    close(peer);
}

static void who_waits_hears_newlines(void **state) {
    (void)state;
    int one, two;
    sync_options.delay_s = 60;
    ask(&one, 1, FEED_EOF);
    sync_tick();
    sync_tick();
    assert_string_equal(lab_heard(one), "\n\n");
    sync_options.delay_s = 0;
    feed_send_all();
    assert_string_equal(lab_heard(one), full_resync());
    sync_tick();
    assert_string_equal(lab_heard(one), ""); /* it would be within the snapshot */
    sync_options.diskless = false;
    end_child(true);
    ask(&two, 2, 0);
    feed_send_all();
    lab_heard(two);
    sync_tick();
    assert_string_equal(lab_heard(two), "\n");
    close(one);
    close(two);
}

/* --- A file ---------------------------------------------------------------------------------- */

static void late_comers_get_the_same_file_and_the_stream_from_there(void **state) {
    (void)state;
    int one, two;
    sync_options.diskless = false;
    ask(&one, 1, 0);
    feed_send_all();
    const char *line = full_resync();
    assert_string_equal(lab_heard(one), line);
    int64_t start = oplog_end();
    write_key();
    ask(&two, 2, FEED_EOF);
    char expected[80];
    snprintf(expected, sizeof expected, "+FULLRESYNC %s %lld\r\n", history.id, (long long)start);
    assert_string_equal(lab_heard(two), expected);
    assert_int_equal(saves, 1);
    end_child(true);
    feed_send_all();
    feed_send_all();
    const char *rest = "$12\r\nthe snapshot*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n";
    assert_string_equal(lab_heard(one), rest);
    assert_string_equal(lab_heard(two), rest);
    close(one);
    close(two);
}

static void a_failed_save_ends_those_who_wait(void **state) {
    (void)state;
    int peer;
    sync_options.diskless = false;
    ask(&peer, 1, 0);
    feed_send_all();
    end_child(false);
    assert_null(feed_first);
    close(peer);
}

static void a_file_that_cannot_be_read_ends_them_too(void **state) {
    (void)state;
    int peer;
    sync_options.diskless = false;
    ask(&peer, 1, 0);
    feed_send_all();
    remove(file_name);
    end_child(true);
    assert_null(feed_first);
    close(peer);
}

static void a_file_for_nobody_is_given_up_unless_a_save_point_wants_it(void **state) {
    (void)state;
    int peer;
    sync_options.diskless = false;
    struct feed *feed = ask(&peer, 1, 0);
    feed_send_all();
    client_close(feed->client);
    assert_int_equal(kills, 1);
    close(peer);
    has_points = true;
    feed = ask(&peer, 1, 0);
    feed_send_all();
    client_close(feed->client);
    assert_int_equal(kills, 1);
    assert_int_equal(running, CHILD_RDB);
    close(peer);
}

/* Another save may have put another file there. */
static void only_a_file_that_was_made_for_replicas_is_removed(void **state) {
    (void)state;
    int peer;
    sync_options.diskless = false;
    intake_options.deletes_files = true;
    ask(&peer, 1, 0);
    feed_send_all();
    end_child(true);
    sync_tick();
    assert_int_equal(access(file_name, F_OK), 0); /* it is being sent */
    feed_send_all();
    snapshot_metrics.saves++;
    sync_tick();
    assert_int_equal(access(file_name, F_OK), 0);
    snapshot_metrics.saves--;
    sync_tick();
    assert_int_not_equal(access(file_name, F_OK), 0);
    close(peer);
}

/* --- Diskless -------------------------------------------------------------------------------- */

static void the_child_ends_with_the_last_replica(void **state) {
    (void)state;
    int one, two;
    struct feed *first = ask(&one, 1, FEED_EOF), *second = ask(&two, 2, FEED_EOF);
    feed_send_all();
    client_close(first->client);
    assert_int_equal(kills, 0);
    client_close(second->client);
    assert_int_equal(kills, 1);
    assert_false(sync_status.sends);
    close(one);
    close(two);
}

static void a_failed_child_ends_its_replicas(void **state) {
    (void)state;
    int one, two;
    ask(&one, 1, FEED_EOF);
    feed_send_all();
    sync_options.delay_s = 60;
    struct feed *waits = ask(&two, 2, FEED_EOF);
    end_child(false);
    assert_ptr_equal(feed_first, waits);
    assert_null(waits->next);
    close(one);
    close(two);
}

/* The parent may hear the first ACK before it hears that the child has ended. */
static void an_ack_before_the_end_of_the_child_counts(void **state) {
    (void)state;
    int peer;
    struct feed *feed = ask(&peer, 1, FEED_EOF);
    feed_send_all();
    feed_take_ack(feed, oplog_end(), -1);
    end_child(true);
    assert_int_equal(feed->state, FEED_ONLINE);
    close(peer);
}

static struct feed *channel_of(struct feed *first, int *peer) {
    struct feed *feed = feed_of(lab_connect(peer, ignore));
    feed->announced_ip = alloc_copy_string("10.0.0.1");
    feed->flags = FEED_EOF | FEED_IS_CHANNEL | FEED_RDB_ONLY;
    feed_begin(feed, FEED_WAITS_START);
    feed->other = first;
    first->other = feed;
    sync_join(feed);
    return feed;
}

static void by_a_second_connection_the_stream_flows_meanwhile(void **state) {
    (void)state;
    int one, two;
    struct feed *first = feed_of(lab_connect(&one, ignore));
    first->announced_ip = alloc_copy_string("10.0.0.1");
    feed_begin(first, FEED_WAITS_CHANNEL);
    channel_of(first, &two);
    write_key();
    feed_send_all();
    assert_string_equal(lab_heard(two), full_resync());
    write_key();
    feed_send_all();
    assert_string_equal(lab_heard(one), "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n");
    assert_string_equal(feed_state_name(first), "send_bulk_and_stream");
    end_child(true);
    assert_string_equal(lab_heard(two), "(closed)");
    assert_int_equal(first->state, FEED_STREAMS);
    feed_take_ack(first, first->start, -1);
    assert_int_equal(first->state, FEED_ONLINE);
    close(one);
    close(two);
}

/* Its second connection may close because it has everything; when the first one closes too, nobody is left. */
static void the_child_ends_with_both_connections(void **state) {
    (void)state;
    int one, two;
    struct feed *first = feed_of(lab_connect(&one, ignore));
    first->announced_ip = alloc_copy_string("10.0.0.1");
    feed_begin(first, FEED_WAITS_CHANNEL);
    struct feed *second = channel_of(first, &two);
    feed_send_all();
    client_close(second->client);
    assert_int_equal(kills, 0);
    client_close(first->client);
    assert_int_equal(kills, 1);
    close(one);
    close(two);
}

static void a_second_connection_never_gets_a_file(void **state) {
    (void)state;
    int one, two;
    sync_options.diskless = false; /* it was on when the second connection was asked for */
    struct feed *first = feed_of(lab_connect(&one, ignore));
    first->announced_ip = alloc_copy_string("10.0.0.1");
    feed_begin(first, FEED_WAITS_CHANNEL);
    channel_of(first, &two);
    feed_send_all();
    assert_int_equal(transfers, 1);
    end_child(false);
    assert_null(feed_first);
    close(one);
    close(two);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_child_serves_all_who_wait, begin, end),
        cmocka_unit_test_setup_teardown(a_snapshot_waits_for_other_children_and_for_loading, begin, end),
        cmocka_unit_test_setup_teardown(diskless_the_first_waits_for_others, begin, end),
        cmocka_unit_test_setup_teardown(enough_replicas_need_not_wait, begin, end),
        cmocka_unit_test_setup_teardown(who_cannot_take_a_stream_gets_a_file_at_once, begin, end),
        cmocka_unit_test_setup_teardown(what_is_left_out_tells_snapshots_apart, begin, end),
        cmocka_unit_test_setup_teardown(a_replica_that_failed_waits_for_its_time, begin, end),
        cmocka_unit_test_setup_teardown(a_failed_fork_is_told, begin, end),
        cmocka_unit_test_setup_teardown(sync_is_not_announced, begin, end),
        cmocka_unit_test_setup_teardown(who_waits_hears_newlines, begin, end),
        cmocka_unit_test_setup_teardown(late_comers_get_the_same_file_and_the_stream_from_there, begin, end),
        cmocka_unit_test_setup_teardown(a_failed_save_ends_those_who_wait, begin, end),
        cmocka_unit_test_setup_teardown(a_file_that_cannot_be_read_ends_them_too, begin, end),
        cmocka_unit_test_setup_teardown(a_file_for_nobody_is_given_up_unless_a_save_point_wants_it, begin, end),
        cmocka_unit_test_setup_teardown(only_a_file_that_was_made_for_replicas_is_removed, begin, end),
        cmocka_unit_test_setup_teardown(the_child_ends_with_the_last_replica, begin, end),
        cmocka_unit_test_setup_teardown(a_failed_child_ends_its_replicas, begin, end),
        cmocka_unit_test_setup_teardown(an_ack_before_the_end_of_the_child_counts, begin, end),
        cmocka_unit_test_setup_teardown(by_a_second_connection_the_stream_flows_meanwhile, begin, end),
        cmocka_unit_test_setup_teardown(the_child_ends_with_both_connections, begin, end),
        cmocka_unit_test_setup_teardown(a_second_connection_never_gets_a_file, begin, end),
    };
    log_set_level(LOG_NOTHING);
    clock_init();
    loop_init(64);
    db_init(16);
    if (mkstemp(file_name) < 0) return 1;
    *(int64_t *)backlog_module.options[0].address = 1 << 20;
    client_register(sync_module.part);
    client_register(feed_module.part);
    sync_module.start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
