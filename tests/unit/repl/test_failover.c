/* The states of a failover and of a shutdown that waits, step by step. The replicas, the role and the link are fakes;
 * pauses and timers are real. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/module.h"
#include "base/rand.h"
#include "catalog/catalog.h"
#include "exec/block.h"
#include "exec/exec_lab.h"
#include "exec/pause.h"
#include "net/loop.h"
#include "oplog/oplog.h"
#include "process/shutdown.h"
#include "repl/acks.h"
#include "repl/failover.h"
#include "repl/feed.h"
#include "repl/link.h"
#include "repl/role.h"
#include "session/client_lab.h"
#include "store/db.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

extern const struct module failover_module;

enum { FEEDS = 3 };

static struct client *client;
static int end;

/* --- The neighbours -------------------------------------------------------------------------- */

static struct feed feeds[FEEDS];
struct feed *feed_first;
bool feed_is_quiet;
static int asked, promoted, resumed;
static bool holds_redirects;
static char handed_to[64];
bool role_replica;
bool (*role_is_changing)(void);
void (*acks_news)(void);
void (*link_handed_over)(bool accepted, const char *reply);
bool (*shutdown_is_ready)(bool first);
void (*shutdown_waited)(bool ends);

size_t feed_count(void) {
    size_t count = 0;
    for (struct feed *feed = feed_first; feed; feed = feed->next)
        count++;
    return count;
}

struct feed *feed_for_address(struct slice host, int port) {
    for (struct feed *feed = feed_first; feed; feed = feed->next)
        if (slice_is(host, feed->announced_ip) && feed->port == port) return feed;
    return NULL;
}

const char *feed_ip(const struct feed *feed, char *text) {
    return strcpy(text, feed->announced_ip);
}

const char *feed_name(const struct feed *feed, char *text) {
    return strcpy(text, feed->announced_ip);
}

const char *feed_state_name(const struct feed *feed) {
    return feed_is_online(feed) ? "online" : "wait_bgsave";
}

int64_t feed_lag_s(const struct feed *feed) {
    (void)feed;
    return 0;
}

void feed_ask_for_acks(void) {
    asked++;
}

void role_hand_over(const char *host, int port) {
    snprintf(handed_to, sizeof handed_to, "%s:%d", host, port);
    role_replica = true;
}

void role_promote(void) {
    promoted++;
    role_replica = false;
}

void role_hold_redirects(bool hold) {
    holds_redirects = hold;
}

void block_resume_all(void) {
    resumed++;
}

/* --- Steps ----------------------------------------------------------------------------------- */

static int no_turn(void) {
    return 0;
}

static void turn(void) {
    loop_poll(no_turn);
}

static const char *run(const char *text) {
    struct request r = lab_request(client, text);
    struct conn_range range;
    conn_open(&range, CONN_NO_LIMIT);
    r.command->body(&r);
    conn_push(&client->conn, &range);
    conn_flush(NULL);
    return lab_heard(end);
}

#define EXPECT(text, reply) assert_string_equal(run(text), reply)

static void expect_state(const char *name, bool paused) {
    assert_string_equal(failover_state_name(), name);
    assert_int_equal(pause_is_on(PAUSE_WRITES), paused);
    assert_int_equal(feed_is_quiet, paused);
    assert_int_equal(role_is_changing(), paused);
}

static void ack(int who, int64_t offset) {
    feeds[who].acked = offset;
    if (acks_news) acks_news();
    turn();
}

static void set_feeds(int count) {
    static char *const names[] = {"a", "b", "c"};
    feed_first = count ? &feeds[0] : NULL;
    for (int i = 0; i < count; i++)
        feeds[i] = (struct feed){.announced_ip = names[i],
                                 .port = 1000 + i,
                                 .state = FEED_ONLINE,
                                 .next = i + 1 < count ? &feeds[i + 1] : NULL};
}

static void ignore(struct loop_source *source, uint32_t events) {
    (void)source;
    (void)events;
}

static int setup(void **state) {
    (void)state;
    clock_update();
    oplog_restart(100, 0);
    set_feeds(2);
    asked = promoted = resumed = 0;
    handed_to[0] = '\0';
    role_replica = false;
    client = lab_connect(&end, ignore);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    run("failover abort");
    shutdown_waited(false);
    assert_false(pause_is_on(PAUSE_WRITES));
    client_close(client);
    close(end);
    client_reap();
    return 0;
}

/* --- FAILOVER -------------------------------------------------------------------------------- */

static void a_level_replica_gets_the_lead_at_once(void **state) {
    (void)state;
    feeds[1].acked = 100;
    EXPECT("failover", "+OK\r\n");
    expect_state("waiting-for-sync", true);
    assert_int_equal(asked, 0);
    turn();
    expect_state("failover-in-progress", true);
    assert_string_equal(handed_to, "b:1001");
    assert_true(holds_redirects);
    link_handed_over(true, "+CONTINUE");
    expect_state("no-failover", false);
    assert_false(holds_redirects);
    assert_int_equal(promoted, 0);
    assert_true(resumed > 0);
    assert_null(acks_news);
}

static void it_waits_for_all_of_the_log(void **state) {
    (void)state;
    EXPECT("failover to a 1000", "+OK\r\n");
    assert_int_equal(asked, 1);
    turn();
    ack(1, 100); /* another one */
    ack(0, 99);
    expect_state("waiting-for-sync", true);
    oplog_restart(137, 0); /* a transaction goes on behind FAILOVER, or it is what asks for acknowledgements */
    ack(0, 100);
    expect_state("waiting-for-sync", true);
    ack(0, 137);
    expect_state("failover-in-progress", true);
    assert_string_equal(handed_to, "a:1000");
}

static void who_cannot_be_level_is_no_target(void **state) {
    (void)state;
    set_feeds(3);
    for (int i = 0; i < 3; i++)
        feeds[i].acked = 100;
    feeds[0].flags = FEED_IS_CHANNEL;
    feeds[1].flags = FEED_RDB_ONLY;
    feeds[2].state = FEED_WAITS_END;
    EXPECT("failover", "+OK\r\n");
    turn();
    expect_state("waiting-for-sync", true);
    EXPECT("failover to c 1002", "-ERR FAILOVER already in progress.\r\n");
    EXPECT("failover abort", "+OK\r\n");
    expect_state("no-failover", false);
    EXPECT("failover abort", "-ERR No failover in progress.\r\n");
    EXPECT("failover to c 1002", "-ERR FAILOVER target replica is not online.\r\n");
}

static void await_state(enum failover_state state) {
    int64_t began_us = clock_mono_us();
    while (failover_state() != state && clock_mono_us() - began_us < 10000000)
        turn();
    assert_int_equal(failover_state(), state);
}

static void the_time_may_be_over(void **state) {
    (void)state;
    int64_t began_us = clock_mono_us();
    EXPECT("failover timeout 5", "+OK\r\n");
    await_state(FAILOVER_NONE);
    assert_true(clock_mono_us() - began_us >= 5000);
    expect_state("no-failover", false);
    assert_string_equal(handed_to, "");
    EXPECT("failover timeout 5 to b 1001 force", "+OK\r\n");
    await_state(FAILOVER_HANDS_OVER);
    assert_string_equal(handed_to, "b:1001");
}

static void a_target_that_refuses_leaves_a_primary(void **state) {
    (void)state;
    feeds[0].acked = 100;
    run("failover");
    turn();
    link_handed_over(false, "-ERR no");
    expect_state("failover-in-progress", true); /* not from inside the hook */
    turn();
    expect_state("no-failover", false);
    assert_int_equal(promoted, 1);
    link_handed_over(false, "late");
    turn();
    assert_int_equal(promoted, 1);
}

static void an_abort_takes_the_lead_back(void **state) {
    (void)state;
    feeds[0].acked = 100;
    run("failover");
    turn();
    EXPECT("failover abort", "+OK\r\n");
    expect_state("no-failover", false);
    assert_int_equal(promoted, 1);
}

/* --- Shutdown -------------------------------------------------------------------------------- */

static void a_shutdown_waits_for_all(void **state) {
    (void)state;
    feeds[0].acked = 100;
    assert_false(shutdown_is_ready(true));
    assert_int_equal(asked, 1);
    assert_true(pause_is_on(PAUSE_WRITES) && feed_is_quiet);
    pause_end(PAUSE_OF_CLIENT);
    pause_end(PAUSE_OF_FAILOVER);
    assert_true(pause_is_on(PAUSE_WRITES));
    assert_false(shutdown_is_ready(false));
    feeds[1].acked = 100;
    assert_true(shutdown_is_ready(false));
    shutdown_waited(false); /* taken back */
    assert_false(pause_is_on(PAUSE_WRITES) || feed_is_quiet);
}

static void a_shutdown_waits_for_nobody_who_cannot_be_level(void **state) {
    (void)state;
    feeds[0].flags = FEED_OLD;
    feeds[1].flags = FEED_RDB_ONLY;
    assert_true(shutdown_is_ready(true));
    set_feeds(0);
    assert_true(shutdown_is_ready(true));
    assert_false(pause_is_on(PAUSE_WRITES));
    shutdown_waited(true);
}

int main(void) {
    clock_init();
    rand_init();
    hash_init();
    db_init(1);
    catalog_register(failover_module.commands);
    catalog_ready();
    if (!loop_init(64)) return 1;
    conn_prepare();
    failover_module.start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_level_replica_gets_the_lead_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(it_waits_for_all_of_the_log, setup, teardown),
        cmocka_unit_test_setup_teardown(who_cannot_be_level_is_no_target, setup, teardown),
        cmocka_unit_test_setup_teardown(the_time_may_be_over, setup, teardown),
        cmocka_unit_test_setup_teardown(a_target_that_refuses_leaves_a_primary, setup, teardown),
        cmocka_unit_test_setup_teardown(an_abort_takes_the_lead_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_shutdown_waits_for_all, setup, teardown),
        cmocka_unit_test_setup_teardown(a_shutdown_waits_for_nobody_who_cannot_be_level, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
