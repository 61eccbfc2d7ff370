/* Waits for acknowledgements, disks and tokens: who is answered by which news, and with what. The replicas, the
 * append-only file and the role are fakes; waiting itself is real. */
#include "aof/aof.h"
#include "aof/aof_write.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/module.h"
#include "base/option.h"
#include "base/rand.h"
#include "catalog/catalog.h"
#include "exec/block.h"
#include "exec/call.h"
#include "exec/exec_lab.h"
#include "net/loop.h"
#include "oplog/oplog.h"
#include "process/cron.h"
#include "repl/acks.h"
#include "repl/apply.h"
#include "repl/backlog.h"
#include "repl/feed.h"
#include "repl/good_replicas.h"
#include "repl/history.h"
#include "repl/link.h"
#include "repl/role.h"
#include "repl/token.h"
#include "session/client_lab.h"
#include "session/gates.h"
#include "session/reply.h"
#include "store/db.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

extern const struct module acks_module, block_module;

enum { CLIENTS = 4, FEEDS = 3 };

static struct client *clients[CLIENTS];
static int ends[CLIENTS];

/* --- Replicas -------------------------------------------------------------------------------- */

static struct feed feeds[FEEDS];
static int asked, good;
struct feed *feed_first;
void (*feed_acked)(void);

static void set_feeds(int count) {
    feed_first = count ? &feeds[0] : NULL;
    for (int i = 0; i < count; i++)
        feeds[i] = (struct feed){.state = FEED_ONLINE, .next = i + 1 < count ? &feeds[i + 1] : NULL};
}

int feed_count_acked(int64_t offset) {
    int count = 0;
    for (struct feed *feed = feed_first; feed; feed = feed->next)
        count += feed->acked >= offset;
    return count;
}

int feed_count_acked_aof(int64_t offset) {
    int count = 0;
    for (struct feed *feed = feed_first; feed; feed = feed->next)
        count += feed->acked_aof >= offset;
    return count;
}

int feed_count_good(int64_t max_lag_s) {
    (void)max_lag_s;
    return good;
}

void feed_ask_for_acks(void) {
    asked++;
}

/* --- The other neighbours -------------------------------------------------------------------- */

void (*apply_moved)(void);
void (*aof_write_synced)(void);
void (*role_history_changed)(void);
static int64_t synced;
static enum aof_state aof_is;
bool role_replica;

struct aof_status aof_status(void) {
    return (struct aof_status){.state = aof_is};
}

int64_t aof_synced_offset(void) {
    return synced;
}

const char *role_host(void) {
    return "primary.example";
}

int role_port(void) {
    return 7000;
}

static bool has_place;

bool link_has_place(void) {
    return has_place;
}

static int backlogs;

void backlog_start(bool renew) {
    assert_true(renew);
    backlogs++;
}

static void (*tick)(void);

void cron_add(void (*fn)(void)) {
    tick = fn;
}

bool call_is_nested;

void call_end(struct request *r, void (*reply)(struct client *c)) {
    reply(r->client);
}

/* --- Steps ----------------------------------------------------------------------------------- */

#define TOKEN(digit, offset) digit "123456789012345678901234567890123456789:" offset
#define THIS_ID "a123456789012345678901234567890123456789"
#define FORMER_ID "b123456789012345678901234567890123456789"

static void run(int who, const char *text) {
    struct request r = lab_request(clients[who], text);
    struct conn_range range;
    assert_non_null(r.command);
    conn_open(&range, CONN_NO_LIMIT);
    client_current = clients[who];
    r.command->body(&r);
    client_current = NULL;
    conn_push(&clients[who]->conn, &range);
}

static const char *sent_to(int who) {
    conn_flush(NULL);
    return lab_heard(ends[who]);
}

#define EXPECT(who, text) assert_string_equal(sent_to(who), text)

static bool waits(int who) {
    return clients[who]->flags & CLIENT_WAITS;
}

static void ignore(struct loop_source *source, uint32_t events) {
    (void)source;
    (void)events;
}

static int no_turn(void) {
    return 0;
}

static size_t used;

static int setup(void **state) {
    (void)state;
    clock_update();
    set_feeds(2);
    asked = backlogs = good = 0;
    synced = 0;
    aof_is = AOF_OFF;
    role_replica = call_is_nested = false;
    has_place = true;
    good_replicas_options = (struct good_replicas_options){.max_lag_s = 10};
    oplog_restart(100, 0);
    history_adopt(SLICE(THIS_ID));
    history_recall(FORMER_ID, 51); /* offsets up to 50 */
    role_history_changed();
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = lab_connect(&ends[i], ignore);
    used = alloc_used();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    for (int i = 0; i < CLIENTS; i++) {
        client_close(clients[i]);
        close(ends[i]);
    }
    client_reap();
    assert_int_equal(block_metrics.clients, 0);
    return 0;
}

/* --- WAIT ------------------------------------------------------------------------------------ */

static void a_wait_that_is_over_is_answered_at_once(void **state) {
    (void)state;
    run(0, "wait 2 0"); /* it has written nothing */
    EXPECT(0, ":2\r\n");
    clients[0]->written = 40;
    feeds[0].acked = 40;
    run(0, "wait 1 0");
    EXPECT(0, ":1\r\n");
    run(0, "wait 0 0");
    run(0, "wait -5 0");
    clients[0]->written = 5000; /* in a history that was longer */
    feeds[0].acked = 100;
    run(0, "wait 1 0");
    EXPECT(0, ":1\r\n:1\r\n:1\r\n");
    assert_int_equal(asked, 0);
}

static void an_ack_wakes_whom_it_satisfies(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++)
        clients[i]->written = 10 * (i + 1);
    run(0, "wait 1 0");
    run(1, "wait 2 0");
    run(2, "wait 1 0");
    assert_int_equal(asked, 3);
    feeds[1].acked = 20;
    feed_acked();
    EXPECT(0, ":1\r\n");
    EXPECT(1, "");
    EXPECT(2, "");
    feeds[0].acked = 20;
    feed_acked();
    EXPECT(1, ":2\r\n");
    assert_true(waits(2));
    feeds[0].acked = 30;
    feed_acked();
    EXPECT(2, ":1\r\n");
    assert_int_equal(block_metrics.clients, 0);
}

static void what_is_not_online_acknowledges_nothing(void **state) {
    (void)state;
    feeds[0].state = FEED_WAITS_END;
    feeds[1].flags = FEED_IS_CHANNEL;
    feeds[0].acked = feeds[1].acked = 0;
    clients[0]->written = 10;
    run(0, "wait 1 0");
    feeds[0].acked = feeds[1].acked = 10;
    feed_acked();
    EXPECT(0, "");
    assert_true(waits(0));
}

static void more_replicas_than_there_are_wait_for_the_timeout(void **state) {
    (void)state;
    clients[0]->written = 10;
    feeds[0].acked = 10;
    run(0, "wait 3 5");
    feed_acked();
    EXPECT(0, "");
    int64_t start_us = clock_mono_us();
    while (waits(0) && clock_mono_us() - start_us < 10000000)
        loop_poll(no_turn);
    EXPECT(0, ":1\r\n");
}

static void nothing_waits_inside_a_transaction(void **state) {
    (void)state;
    clients[0]->written = 10;
    call_is_nested = true;
    run(0, "wait 1 0");
    EXPECT(0, ":0\r\n");
    aof_is = AOF_ON;
    run(0, "waitaof 1 1 0");
    EXPECT(0, "*2\r\n:0\r\n:0\r\n");
    role_replica = true;
    run(0, "waitoffset " TOKEN("a", "200") " 0");
    EXPECT(0, "-BEHIND " TOKEN("a", "100") " primary primary.example:7000\r\n");
    assert_false(waits(0));
    assert_int_equal(asked, 0);
}

static void a_client_that_goes_is_forgotten(void **state) {
    (void)state;
    clients[0]->written = clients[1]->written = 10;
    run(0, "wait 1 0");
    run(1, "wait 1 0");
    client_close(clients[0]);
    feeds[0].acked = 10;
    feed_acked();
    EXPECT(1, ":1\r\n");
}

static void a_replica_refuses(void **state) {
    (void)state;
    role_replica = true;
    run(0, "wait x x");
    EXPECT(0, "-ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is "
              "configured to be writable (which is not the default) writes to replicas are just local and are not "
              "propagated.\r\n");
    run(0, "waitaof 0 0 0");
    EXPECT(0, "-ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas are just "
              "local and are not propagated.\r\n");
}

/* --- WAITAOF --------------------------------------------------------------------------------- */

static void waitaof_needs_both(void **state) {
    (void)state;
    aof_is = AOF_ON;
    clients[0]->written = 10;
    run(0, "waitaof 1 1 0");
    feeds[0].acked_aof = 10;
    feed_acked();
    EXPECT(0, "");
    feeds[0].acked_aof = 0; /* that replica has gone, */
    synced = 10;
    aof_write_synced();
    EXPECT(0, ""); /* so both are looked at again */
    feeds[1].acked_aof = 11;
    feed_acked();
    EXPECT(0, "*2\r\n:1\r\n:1\r\n");
}

static void waitaof_without_a_file_is_an_error(void **state) {
    (void)state;
    run(0, "waitaof 1 0 0");
    EXPECT(0, "-ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.\r\n");
    run(0, "waitaof 2 0 0");
    EXPECT(0, "-ERR value is out of range, must be between 0 and 1\r\n");
    clients[0]->written = 10;
    aof_is = AOF_ON;
    run(0, "waitaof 1 0 0");
    aof_is = AOF_OFF;
    clock_cached_ms += 2000;
    acks_moved();
    EXPECT(0, "-ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.\r\n");
}

/* --- Tokens ---------------------------------------------------------------------------------- */

static void a_token_names_the_place(void **state) {
    (void)state;
    run(0, "token");
    EXPECT(0, "$44\r\n" THIS_ID ":100\r\n");
    assert_int_equal(backlogs, 1);
    role_replica = true;
    run(0, "token");
    EXPECT(0, "$44\r\n" THIS_ID ":100\r\n");
    assert_int_equal(backlogs, 1);
}

static void what_is_no_token_is_refused(void **state) {
    static const char *const wrong[] = {"x",
                                        ":",
                                        THIS_ID,
                                        THIS_ID ":",
                                        THIS_ID ":-1",
                                        THIS_ID ":1x",
                                        THIS_ID ":99999999999999999999",
                                        "a12345678901234567890123456789012345678:1",
                                        "g123456789012345678901234567890123456789:1"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[128];
        snprintf(text, sizeof text, "waitoffset %s 0", wrong[i]);
        run(0, text);
        EXPECT(0, "-ERR Invalid token\r\n");
    }
}

static void a_primary_knows_at_once(void **state) {
    (void)state;
    run(0, "waitoffset " TOKEN("a", "100"));
    run(0, "waitoffset " TOKEN("A", "1") " 0"); /* in any case */
    run(0, "waitoffset " TOKEN("b", "50") " 0");
    EXPECT(0, "+OK\r\n+OK\r\n+OK\r\n");
#define DIVERGED "-DIVERGED " THIS_ID ":100 is another history\r\n"
    run(0, "waitoffset " TOKEN("a", "101") " 0");
    run(0, "waitoffset " TOKEN("b", "51") " 0");
    run(0, "waitoffset " TOKEN("c", "1") " 0");
    EXPECT(0, DIVERGED DIVERGED DIVERGED);
}

static void a_replica_waits_for_its_stream(void **state) {
    (void)state;
    role_replica = true;
    run(0, "waitoffset " TOKEN("a", "120") " 0");
    run(1, "waitoffset " TOKEN("a", "140") " 0");
    run(2, "waitoffset " TOKEN("a", "101"));
    EXPECT(2, "-BEHIND " THIS_ID ":100 primary primary.example:7000\r\n");
    clients[2]->flags |= CLIENT_REDIRECTS;
    run(2, "waitoffset " TOKEN("a", "101"));
    EXPECT(2, "-REDIRECT primary.example:7000\r\n");
    oplog_restart(120, 0);
    apply_moved();
    EXPECT(0, "+OK\r\n");
    EXPECT(1, "");
    oplog_restart(150, 0);
    apply_moved();
    EXPECT(1, "+OK\r\n");
}

static void a_replica_may_learn_of_the_history(void **state) {
    (void)state;
    role_replica = true;
    run(0, "waitoffset " TOKEN("c", "90") " 0");
    run(1, "waitoffset " TOKEN("c", "130") " 0");
    run(2, "waitoffset " TOKEN("a", "110") " 0");
    apply_moved();
    EXPECT(0, "");
    history_rename(SLICE("c123456789012345678901234567890123456789"));
    role_history_changed();
    EXPECT(0, "+OK\r\n");
    EXPECT(1, "");
    EXPECT(2, "-DIVERGED c123456789012345678901234567890123456789:100 is another history\r\n");
    role_replica = false; /* promoted: what it has not is lost */
    role_history_changed();
    EXPECT(1, "-DIVERGED c123456789012345678901234567890123456789:100 is another history\r\n");
}

/* A snapshot has begun to replace the data. */
static void data_without_a_place_reach_no_token(void **state) {
    (void)state;
    role_replica = true;
    has_place = false;
    run(0, "waitoffset " TOKEN("a", "1"));
    EXPECT(0, "-BEHIND " THIS_ID ":100 primary primary.example:7000\r\n");
    run(0, "waitoffset " TOKEN("a", "1") " 0");
    apply_moved();
    EXPECT(0, "");
    has_place = true;
    role_history_changed();
    EXPECT(0, "+OK\r\n");
}

static void a_change_of_role_spares_tokens(void **state) {
    (void)state;
    role_replica = true;
    run(0, "waitoffset " TOKEN("a", "120") " 0");
    block_end_all(reply_syntax_error);
    assert_true(waits(0));
}

/* --- Many ------------------------------------------------------------------------------------ */

/* News that satisfy nobody cost a look at each condition, not at each client. */
static void many_waits_cost_nothing_until_they_are_over(void **state) {
    enum { MANY = 10000 };
    static struct client fakes[MANY];
    (void)state;
    oplog_restart(MANY * 2, 0);
    for (int i = 0; i < MANY; i++) {
        struct request r = lab_request(clients[0], i % 2 ? "wait 1 0" : "wait 2 0");
        fakes[i] = (struct client){.written = 1000 + (i * 7919) % MANY};
        fakes[i].conn.source.fd = -1;
        r.client = &fakes[i];
        r.command->body(&r);
    }
    assert_int_equal(block_metrics.clients, MANY);
    uint64_t best = UINT64_MAX;
    for (int round = 0; round < 50; round++) {
        feeds[0].acked = feeds[1].acked = round;
        uint64_t began = clock_ticks();
        feed_acked();
        uint64_t spent = clock_ticks_to_ns(clock_ticks() - began);
        if (spent < best) best = spent;
    }
    printf("an ACK with %d waits: %llu ns\n", MANY, (unsigned long long)best);
    assert_true(best < 100000);
    for (int i = 0; i < MANY; i++)
        block_module.part->forget(&fakes[i]);
}

/* --- min-replicas-to-write ------------------------------------------------------------------- */

static bool writes_are_refused(void) {
    struct request r = {.client = clients[0]};
    const struct gate *gate = gates_find_closed(&r, CMD_WRITE);
    assert_null(gates_find_closed(&r, CMD_READONLY));
    if (gate) assert_string_equal(gate->error, "NOREPLICAS Not enough good replicas to write.");
    return gate != NULL;
}

static void writes_need_good_replicas(void **state) {
    (void)state;
    good_replicas_options.min = 1;
    acks_moved();
    assert_true(writes_are_refused());
    good = 1;
    feed_acked();
    assert_false(writes_are_refused());
    assert_int_equal(good_replicas_count(), 1);
    good = 0;
    clock_cached_ms += 1000;
    clock_update();
    acks_moved();
    assert_true(writes_are_refused());
    role_replica = true; /* a replica has another gate for that */
    role_history_changed();
    assert_false(writes_are_refused());
    good_replicas_options.min = 0;
    role_history_changed();
}

int main(void) {
    clock_init();
    rand_init();
    hash_init();
    db_init(1);
    history_start();
    catalog_register(acks_module.commands);
    static const struct command token[] = {LAB_ROW("token", token_command, 1), {NULL}};
    catalog_register(token);
    catalog_ready();
    client_register(block_module.part);
    if (!loop_init(64)) return 1;
    conn_prepare();
    acks_module.start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_wait_that_is_over_is_answered_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(an_ack_wakes_whom_it_satisfies, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_online_acknowledges_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(more_replicas_than_there_are_wait_for_the_timeout, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_waits_inside_a_transaction, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_that_goes_is_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(a_replica_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(waitaof_needs_both, setup, teardown),
        cmocka_unit_test_setup_teardown(waitaof_without_a_file_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(a_token_names_the_place, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_token_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_primary_knows_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_replica_waits_for_its_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(a_replica_may_learn_of_the_history, setup, teardown),
        cmocka_unit_test_setup_teardown(data_without_a_place_reach_no_token, setup, teardown),
        cmocka_unit_test_setup_teardown(a_change_of_role_spares_tokens, setup, teardown),
        cmocka_unit_test_setup_teardown(many_waits_cost_nothing_until_they_are_over, setup, teardown),
        cmocka_unit_test_setup_teardown(writes_need_good_replicas, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
