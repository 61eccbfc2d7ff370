/* What a change of role brings with it, and which requests it stops. The link, the replicas and the backlog are fakes;
 * gates, expiry and the history are real. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/module.h"
#include "base/option.h"
#include "base/rand.h"
#include "catalog/catalog.h"
#include "durable/loading.h"
#include "exec/block.h"
#include "exec/exec_lab.h"
#include "exec/memory.h"
#include "exec/propagate.h"
#include "oplog/oplog.h"
#include "process/oom.h"
#include "repl/backlog.h"
#include "repl/feed.h"
#include "repl/history.h"
#include "repl/link.h"
#include "repl/role.h"
#include "session/client_lab.h"
#include "session/gates.h"
#include "store/db.h"
#include "store/expire.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

extern const struct module role_module;

static struct client *client;
static int end;
static struct buf events; /* what the neighbours were told, a word each */

static void note(const char *word) {
    if (events.len) buf_append(&events, " ", 1);
    buf_append_cstr(&events, word);
}

static void expect_events(const char *expected) {
    buf_append(&events, "", 1);
    assert_string_equal(events.data, expected);
    events.len = 0;
}

/* --- The neighbours -------------------------------------------------------------------------- */

struct link_status link_status;
void (*link_changed)(void), (*link_history_changed)(void);
static bool has_place;

void link_begin(const char *host, int port) {
    buf_printf(&events, "%sbegin(%s,%d)", events.len ? " " : "", host, port);
}

void link_hand_over(const char *host, int port) {
    buf_printf(&events, "%shand_over(%s,%d)", events.len ? " " : "", host, port);
}

void link_end(void) {
    note("end");
}

void link_keep_place(void) {
    has_place = true;
    note("keep_place");
}

const char *link_state_name(void) {
    static const char *const names[] = {"", "connect", "connecting", "handshake", "sync", "connected"};
    return names[link_status.state];
}

struct feed *feed_first;

void feed_close_subreplicas(void) {
    note("close_subreplicas");
}

const char *feed_ip(const struct feed *feed, char *text) {
    (void)text;
    return feed->announced_ip;
}

void backlog_start(bool renew) {
    assert_false(renew);
    note("backlog");
}

void backlog_touch(void) {
    note("touch");
}

void block_end_all(block_reply_fn error) {
    assert_non_null(error);
    note("end_waits");
}

static bool local_only, ignores_limit, is_oom_replica;

void propagate_local_only(bool on) {
    local_only = on;
}

void memory_ignore_limit(bool on) {
    ignores_limit = on;
}

void oom_set_replica(bool is_replica) {
    is_oom_replica = is_replica;
}

bool loading_keeps_expired;
void (*loading_recalled)(const struct loading_place *place);

static void history_news(void) {
    note("news");
}

/* --- Steps ----------------------------------------------------------------------------------- */

#define ID "a123456789012345678901234567890123456789"

static const char *run(const char *text) {
    struct request r = lab_request(client, text);
    struct conn_range range;
    conn_open(&range, CONN_NO_LIMIT);
    assert_non_null(r.command);
    r.command->body(&r);
    conn_push(&client->conn, &range);
    conn_flush(NULL);
    return lab_heard(end);
}

#define EXPECT(text, reply) assert_string_equal(run(text), reply)

/* The error of the gate that stops a request with these flags, or "". */
static const char *stopped_by(unsigned flags) {
    struct request r = {.client = client};
    const struct gate *gate = gates_find_closed(&r, flags);
    if (!gate) return "";
    return gate->error ? gate->error : "(waits)";
}

static void link_is(enum link_state state) {
    link_status.state = state;
    link_changed();
}

static void ignore(struct loop_source *source, uint32_t events) {
    (void)source;
    (void)events;
}

static int setup(void **state) {
    (void)state;
    clock_update();
    role_options = (struct role_options){true, true, true, true, 100};
    client = lab_connect(&end, ignore);
    link_is(LINK_OFF);
    oplog_restart(100, 0);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    role_promote();
    events.len = 0;
    feed_first = NULL;
    client_close(client);
    close(end);
    client_reap();
    return 0;
}

/* --- Changes --------------------------------------------------------------------------------- */

static void a_primary_becomes_a_replica(void **state) {
    (void)state;
    role_follow("somewhere", 7000);
    expect_events("end_waits keep_place backlog begin(somewhere,7000) news");
    assert_true(role_is_replica() && local_only && ignores_limit && is_oom_replica && loading_keeps_expired);
    assert_true(expire_holds & EXPIRE_REPLICA);
    assert_string_equal(role_host(), "somewhere");
    assert_int_equal(role_port(), 7000);
    role_follow("elsewhere", 7001); /* its place is the link's already */
    expect_events("end_waits backlog begin(elsewhere,7001) news");
}

static void a_replica_becomes_a_primary(void **state) {
    (void)state;
    char id[HISTORY_ID_LEN + 1];
    role_promote(); /* it is one */
    role_follow("somewhere", 7000);
    events.len = 0;
    strcpy(id, history.id);
    role_promote();
    expect_events("end close_subreplicas touch news");
    assert_false(role_is_replica() || local_only || ignores_limit || is_oom_replica || loading_keeps_expired);
    assert_false(expire_holds & EXPIRE_REPLICA);
    assert_string_equal(role_host(), "");
    assert_string_equal(history.former_id, id);
    assert_int_equal(history.former_end, 101);
    assert_string_not_equal(history.id, id);
    assert_int_equal(oplog_db(), -1);
}

static void a_failover_hands_over(void **state) {
    (void)state;
    role_hand_over("somewhere", 7000);
    expect_events("end_waits keep_place backlog hand_over(somewhere,7000) news");
    assert_true(role_is_replica());
}

static void a_history_that_changes_is_news_for_replicas(void **state) {
    (void)state;
    role_follow("somewhere", 7000);
    events.len = 0;
    link_history_changed();
    expect_events("close_subreplicas news");
}

static void files_tell_the_place(void **state) {
    (void)state;
    struct loading_place place = {.id = ID, .offset = 500, .db = 3};
    char id[HISTORY_ID_LEN + 1];
    strcpy(id, history.id);
    loading_recalled(&place);
    expect_events("backlog");
    assert_string_equal(history.id, id); /* a primary goes on under its own */
    assert_string_equal(history.former_id, ID);
    assert_int_equal(history.former_end, 501);
    assert_int_equal(oplog_end(), 500);
    role_follow("somewhere", 7000);
    events.len = 0;
    place.offset = 600;
    loading_recalled(&place);
    expect_events("backlog keep_place");
    assert_string_equal(history.id, ID);
    assert_int_equal(oplog_end(), 600);
}

static void down_counts_from_the_first_link(void **state) {
    (void)state;
    role_follow("somewhere", 7000);
    link_status.down_ms = clock_steady_ms() - 5000;
    assert_int_equal(role_down_s(), -1);
    link_is(LINK_UP);
    link_is(LINK_WAITS);
    assert_int_equal(role_down_s(), 5);
    role_promote();
    role_follow("somewhere", 7000);
    assert_int_equal(role_down_s(), -1);
}

/* --- Gates ----------------------------------------------------------------------------------- */

#define READONLY "READONLY You can't write against a read only replica."
#define MASTERDOWN "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."

static void options_take_effect(void) {
    const char *error;
    for (const struct option *o = role_module.options; o->name; o++)
        if (o->apply) assert_true(o->apply(&error));
}

static void a_replica_takes_no_writes(void **state) {
    (void)state;
    assert_string_equal(stopped_by(CMD_WRITE), "");
    role_follow("somewhere", 7000);
    assert_string_equal(stopped_by(CMD_WRITE), READONLY);
    assert_string_equal(stopped_by(CMD_READONLY), "");
    role_options.read_only = false;
    options_take_effect();
    assert_string_equal(stopped_by(CMD_WRITE), "");
}

static void stale_data_are_served_or_not(void **state) {
    (void)state;
    role_options.serves_stale = role_options.read_only = false;
    options_take_effect();
    assert_string_equal(stopped_by(CMD_READONLY), "");
    role_follow("somewhere", 7000);
    for (int at = LINK_OFF; at < LINK_UP; at++) {
        link_is((enum link_state)at);
        assert_true(role_is_stale());
        assert_string_equal(stopped_by(CMD_READONLY), MASTERDOWN);
        assert_string_equal(stopped_by(CMD_READONLY | CMD_STALE), "");
    }
    link_is(LINK_UP);
    assert_false(role_is_stale());
    assert_string_equal(stopped_by(CMD_READONLY), "");
    role_options.read_only = true;
    options_take_effect();
    link_is(LINK_SYNCS);
    assert_string_equal(stopped_by(CMD_WRITE), READONLY); /* before MASTERDOWN */
}

static void who_follows_redirections_is_redirected(void **state) {
    (void)state;
    role_follow("fe80::1%eth0", 7000);
    EXPECT("readonly", "-ERR This instance has cluster support disabled\r\n");
    EXPECT("capa x redirect y", "+OK\r\n");
    assert_string_equal(stopped_by(CMD_WRITE), "REDIRECT fe80::1%%eth0:7000"); /* it is a format */
    assert_string_equal(stopped_by(CMD_READONLY), "REDIRECT fe80::1%%eth0:7000");
    assert_string_equal(stopped_by(0), "");
    EXPECT("readonly", "+OK\r\n");
    assert_string_equal(stopped_by(CMD_READONLY), "");
    assert_string_equal(stopped_by(CMD_WRITE), "REDIRECT fe80::1%%eth0:7000");
    EXPECT("readwrite", "+OK\r\n");
    role_hold_redirects(true);
    assert_string_equal(stopped_by(CMD_READONLY), "(waits)");
    role_hold_redirects(false);
    role_promote();
    assert_string_equal(stopped_by(CMD_WRITE), "");
}

/* --- Commands and the directive -------------------------------------------------------------- */

static bool changing;

static bool is_changing(void) {
    return changing;
}

static void replicaof_is_refused_or_obeyed(void **state) {
    (void)state;
    role_is_changing = is_changing;
    changing = true;
    EXPECT("replicaof no one", "-ERR REPLICAOF not allowed while failing over.\r\n");
    changing = false;
    EXPECT("replicaof a 65536", "-ERR Invalid master port\r\n");
    client->flags |= CLIENT_REPLICA;
    EXPECT("replicaof a 1", "-ERR Command is not valid when client is a replica.\r\n");
    client->flags &= ~CLIENT_REPLICA;
    expect_events("");
    EXPECT("replicaof a 1", "+OK\r\n");
    expect_events("end_waits keep_place backlog begin(a,1) news");
    EXPECT("slaveof A 1", "+OK Already connected to specified master\r\n");
    expect_events("");
    EXPECT("replicaof NO one", "+OK\r\n");
    assert_false(role_is_replica());
}

static void role_tells(void **state) {
    struct feed feeds[] = {{.announced_ip = "1.2.3.4", .port = 5, .acked = 77, .state = FEED_ONLINE, .next = &feeds[1]},
                           {.announced_ip = "x", .state = FEED_WAITS_END, .next = &feeds[2]},
                           {.announced_ip = "y", .state = FEED_ONLINE, .flags = FEED_IS_CHANNEL}};
    (void)state;
    feed_first = feeds;
    EXPECT("role", "*3\r\n$6\r\nmaster\r\n:100\r\n*1\r\n*3\r\n$7\r\n1.2.3.4\r\n$1\r\n5\r\n$2\r\n77\r\n");
    role_follow("p", 6379);
    EXPECT("role", "*5\r\n$5\r\nslave\r\n$1\r\np\r\n:6379\r\n$7\r\nconnect\r\n:-1\r\n");
    link_is(LINK_UP);
    EXPECT("role", "*5\r\n$5\r\nslave\r\n$1\r\np\r\n:6379\r\n$9\r\nconnected\r\n:100\r\n");
}

static void the_directive_is_read_and_written(void **state) {
    const struct option *o = role_module.options;
    const char *const nobody[] = {"no", "ONE"}, *const host[] = {"h", "5"}, *const wrong[] = {"h", "65536"};
    const char *error;
    struct buf out = {0};
    (void)state;
    assert_string_equal(o->name, "replicaof");
    assert_false(o->set(host, 1, &error));
    assert_string_equal(error, "wrong number of arguments");
    assert_false(o->set(wrong, 2, &error));
    assert_string_equal(error, "Invalid master port");
    assert_true(o->set(host, 2, &error));
    o->get(&out);
    o->lines(&out);
    assert_true(slice_is(buf_slice(&out), "h 5replicaof h 5\n"));
    assert_true(o->set(nobody, 2, &error));
    out.len = 0;
    o->get(&out);
    o->lines(&out);
    assert_int_equal(out.len, 0);
    buf_free(&out);
}

int main(void) {
    clock_init();
    rand_init();
    hash_init();
    db_init(1);
    catalog_register(role_module.commands);
    static const struct command capa[] = {LAB_ROW("capa", role_command_capa, -1), {NULL}};
    catalog_register(capa);
    catalog_ready();
    if (!loop_init(64)) return 1;
    conn_prepare();
    role_history_changed = history_news;
    role_module.start();
    role_start();
    events.len = 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_primary_becomes_a_replica, setup, teardown),
        cmocka_unit_test_setup_teardown(a_replica_becomes_a_primary, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failover_hands_over, setup, teardown),
        cmocka_unit_test_setup_teardown(a_history_that_changes_is_news_for_replicas, setup, teardown),
        cmocka_unit_test_setup_teardown(files_tell_the_place, setup, teardown),
        cmocka_unit_test_setup_teardown(down_counts_from_the_first_link, setup, teardown),
        cmocka_unit_test_setup_teardown(a_replica_takes_no_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(stale_data_are_served_or_not, setup, teardown),
        cmocka_unit_test_setup_teardown(who_follows_redirections_is_redirected, setup, teardown),
        cmocka_unit_test_setup_teardown(replicaof_is_refused_or_obeyed, setup, teardown),
        cmocka_unit_test_setup_teardown(role_tells, setup, teardown),
        cmocka_unit_test_setup_teardown(the_directive_is_read_and_written, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
