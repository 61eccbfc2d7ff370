/* Calls alone: the order of what follows from a body, what is counted, and whose replies are dropped. Propagation is a
 * fake. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "catalog/catalog.h"
#include "catalog/command_metrics.h"
#include "exec/call.h"
#include "exec/exec_lab.h"
#include "exec/propagate.h"
#include "session/reply.h"
#include "session/server_metrics.h"
#include "store/db.h"
#include "store/evict.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct buf events; /* "body; propagate; " */

static void note(const char *what) {
    buf_append_cstr(&events, what);
    buf_append_cstr(&events, "; ");
}

static void expect_events(const char *expected) {
    buf_append(&events, "", 1);
    assert_string_equal(events.data, expected);
    events.len = 0;
}

/* --- The neighbours -------------------------------------------------------------------------- */

bool propagate_wanted;
struct propagate_call propagate_call;

void propagate_settle(struct db *db, const struct slice *argv, int argc, struct slice raw, bool changed) {
    char text[128];
    assert_ptr_equal(db, db_at(0));
    snprintf(text, sizeof text, "propagate %.*s of %d%s%s", (int)argv[0].len, argv[0].ptr, argc,
             raw.len ? " with raw bytes" : "", changed ? ", changed" : "");
    note(text);
    propagate_call.depth--;
}

/* --- The commands ---------------------------------------------------------------------------- */

static void reads(struct request *r) {
    note("body");
    assert_int_equal(propagate_call.depth, call_is_nested ? 2 : 1);
    reply_int(r->client, r->argc);
}

static void writes(struct request *r) {
    note("body");
    db_metrics.dirty++;
    reply_ok(r->client);
}

static void fails(struct request *r) {
    reply_syntax_error(r->client);
}

static void waits(struct request *r) {
    r->client->flags |= CLIENT_WAITS;
}

static bool clocks_are_held;

static void touches(struct request *r) {
    struct key key = key_of(r->argv[1]);
    clock_cached_ms += 60000;
    evict_tick(clock_cached_ms);
    clocks_are_held = evict_idle_s(db_read(db_at(0), &key)) >= 60;
}

static void takes_long(struct request *r) {
    (void)r;
    int64_t start_us = clock_mono_us();
    while (clock_mono_us() - start_us < 3000) {
    }
}

static const struct command rows[] = {
    LAB_ROW("reads", reads, -1, .flags = CMD_READONLY),
    LAB_ROW("writes", writes, 2, .flags = CMD_WRITE),
    LAB_ROW("fails", fails, -1),
    LAB_ROW("waits", waits, -1),
    LAB_ROW("touches", touches, 2),
    LAB_ROW("touches-always", touches, 2, .flags = CMD_TOUCHES_ALWAYS),
    LAB_ROW("takes-long", takes_long, 1),
    {NULL},
};

static struct client client;

static int setup(void **state) {
    (void)state;
    clock_update();
    client = (struct client){.resp = 2, .db = db_at(0)};
    events.len = 0;
    propagate_wanted = true;
    catalog_reset_metrics();
    server_metrics = (struct server_metrics){0};
    return 0;
}

static int teardown(void **state) {
    (void)state;
    for (int i = 0; i < CALL_LISTENERS; i++)
        call_listen((enum call_listener)i, NULL);
    conn_truncate(0);
    db_empty(db_at(0), false);
    assert_int_equal(propagate_call.depth, 0);
    return 0;
}

static const struct command_metrics *metrics_of(const char *name) {
    return catalog_metrics(catalog_find(slice_cstr(name)));
}

static void run(const char *text) {
    struct request r = lab_request(&client, text);
    call_start_clock();
    call(&r);
}

/* --- The order of events --------------------------------------------------------------------- */

static void tracking_hears(const struct request *r, uint64_t spent) {
    assert_ptr_equal(r->client, &client);
    assert_true(spent > 0);
    note("tracking");
    assert_int_equal(r->metrics->calls, 0); /* it is not counted yet */
}

static void monitor_hears(const struct request *r, uint64_t spent) {
    (void)r;
    (void)spent;
    note("monitor");
}

static void the_order_of_events(void **state) {
    (void)state;
    call_listen(CALL_MONITOR, monitor_hears);
    call_listen(CALL_TRACKING, tracking_hears);
    run("writes k");
    expect_events("body; propagate writes of 2, changed; tracking; monitor; ");
    assert_int_equal(metrics_of("writes")->calls, 1);
    call_listen(CALL_TRACKING, NULL);
    run("reads");
    expect_events("body; propagate reads of 1; monitor; ");
    call_listen(CALL_MONITOR, NULL);
    run("reads a b");
    expect_events("body; propagate reads of 3; ");
    propagate_wanted = false;
    run("reads a b");
    expect_events("body; ");
}

static void raw_bytes_are_propagated(void **state) {
    (void)state;
    struct request r = lab_request(&client, "writes k");
    r.raw = SLICE("*2...");
    call(&r);
    expect_events("body; propagate writes of 2 with raw bytes, changed; ");
}

/* --- What is counted ------------------------------------------------------------------------- */

static void calls_failures_and_time(void **state) {
    (void)state;
    run("reads");
    run("fails");
    client.flags &= ~(unsigned)CLIENT_FAILED;
    run("reads");
    assert_true(metrics_of("reads")->calls == 2 && metrics_of("reads")->failed == 0 && metrics_of("reads")->ticks > 0);
    assert_true(metrics_of("fails")->calls == 1 && metrics_of("fails")->failed == 1);
    assert_int_equal(server_metrics.commands, 3);
}

/* A command is charged for the time since the one before. */
static void time_goes_on_from_command_to_command(void **state) {
    (void)state;
    struct request r = lab_request(&client, "reads");
    uint64_t before = call_began();
    call_start_clock(); /* the time before it is not charged */
    uint64_t start = call_began();
    assert_true(start > before);
    call(&r);
    uint64_t middle = call_began();
    call(&r);
    assert_true(middle > start && call_began() > middle);
    assert_true(metrics_of("reads")->ticks == call_began() - start);
    call_listen(CALL_MONITOR, monitor_hears); /* the time of listeners is nobody's */
    call(&r);
    assert_true(metrics_of("reads")->ticks < call_began() - start);
}

static void a_client_that_waits_is_counted_later(void **state) {
    (void)state;
    run("waits k");
    assert_int_equal(metrics_of("waits")->calls + server_metrics.commands, 0);
    client.flags &= ~(unsigned)CLIENT_WAITS;
    struct request r = lab_request(&client, "waits k");
    client.flags |= CLIENT_FAILED; /* of a request before */
    size_t mark = conn_mark();
    call_end(&r, reply_null_array);
    assert_string_equal(lab_written(mark), "*-1\r\n");
    assert_true(metrics_of("waits")->calls == 1 && metrics_of("waits")->failed == 0);
    call_end(&r, reply_syntax_error);
    assert_true(metrics_of("waits")->calls == 2 && metrics_of("waits")->failed == 1);
    assert_int_equal(server_metrics.commands, 2);
}

static void a_long_command_refreshes_the_clock(void **state) {
    (void)state;
    clock_cached_ms = 1;
    run("reads");
    assert_int_equal(clock_cached_ms, 1);
    run("takes-long");
    assert_true(clock_cached_ms > 1);
}

static void no_touch_holds_the_access_clocks(void **state) {
    (void)state;
    struct key key = key_of(SLICE("k"));
    evict_tick(clock_cached_ms);
    db_set_string(db_at(0), &key, db_write(db_at(0), &key), SLICE("v"), ENTRY_NO_TTL);
    run("touches k");
    assert_false(clocks_are_held);
    client.flags |= CLIENT_NO_TOUCH;
    run("touches-always k");
    assert_false(clocks_are_held);
    run("touches k");
    assert_true(clocks_are_held);
    client.flags &= ~(unsigned)CLIENT_NO_TOUCH; /* another client */
    run("touches k");
    assert_false(clocks_are_held);
}

/* --- Replies that are not wanted ------------------------------------------------------------- */

static const char *settled(const char *reply) {
    size_t mark = conn_mark();
    conn_write(reply, strlen(reply));
    call_settle_reply(&client, mark);
    return lab_written(mark);
}

static void off_drops_every_reply(void **state) {
    (void)state;
    client.flags = CLIENT_REPLY_OFF;
    assert_string_equal(settled("one"), "");
    assert_string_equal(settled("two"), "");
    assert_int_equal(client.flags, CLIENT_REPLY_OFF);
    client.flags = 0;
    assert_string_equal(settled("three"), "three");
}

static void skip_drops_the_next_reply(void **state) {
    (void)state;
    client.flags = CLIENT_REPLY_SKIP_NEXT; /* as CLIENT REPLY SKIP leaves it */
    assert_string_equal(settled("of CLIENT REPLY"), "of CLIENT REPLY");
    assert_int_equal(client.flags, CLIENT_REPLY_SKIP);
    assert_string_equal(settled("next"), "");
    assert_int_equal(client.flags, 0);
}

static void a_reply_that_is_still_to_come_is_skipped_then(void **state) {
    (void)state;
    client.flags = CLIENT_REPLY_SKIP | CLIENT_WAITS;
    settled("");
    assert_int_equal(client.flags, CLIENT_REPLY_SKIP | CLIENT_WAITS);
    client.flags = CLIENT_REPLY_SKIP;
    struct request r = lab_request(&client, "waits k");
    size_t mark = conn_mark();
    call_end(&r, reply_ok);
    assert_string_equal(lab_written(mark), "");
    assert_int_equal(client.flags, 0);
}

/* --- Calls inside a call --------------------------------------------------------------------- */

static void nested_calls(void **state) {
    (void)state;
    struct request r = lab_request(&client, "reads a");
    call_start_clock();
    uint64_t start = call_began();
    propagate_call.depth = 1; /* the outer command's */
    struct call_outer outer = call_nest();
    assert_true(call_is_nested && outer.began == start && call_began() > start);
    size_t mark = conn_mark();
    call_nested(&r);
    assert_string_equal(lab_written(mark), ":2\r\n");
    client.flags = CLIENT_REPLY_OFF;
    call_nested(&r);
    assert_string_equal(lab_written(mark), "");
    client.flags = 0;
    struct request failing = lab_request(&client, "fails");
    call_nested(&failing);
    assert_int_equal(client.flags, 0); /* the outer command has not failed */
    assert_true(metrics_of("reads")->calls == 2 && metrics_of("fails")->failed == 1);
    struct call_outer inner = call_nest(); /* a script inside EXEC */
    call_unnest(inner);
    assert_true(call_is_nested && call_began() == inner.began);
    call_unnest(outer);
    assert_false(call_is_nested);
    assert_true(call_began() == start); /* the outer command is charged for all of it */
    propagate_call.depth = 0;
}

/* EXEC itself may come from a client that does not touch; each queued command decides by itself. */
static void nested_calls_touch(void **state) {
    (void)state;
    struct key key = key_of(SLICE("k"));
    db_set_string(db_at(0), &key, db_write(db_at(0), &key), SLICE("v"), ENTRY_NO_TTL);
    evict_hold(true);
    struct call_outer outer = call_nest();
    struct request r = lab_request(&client, "touches k");
    call_nested(&r);
    call_unnest(outer);
    assert_false(clocks_are_held);
}

/* --- A log that is replayed ------------------------------------------------------------------ */

static void replaying_runs_the_body_only(void **state) {
    (void)state;
    call_listen(CALL_MONITOR, monitor_hears);
    struct request r = lab_request(&client, "writes k");
    call_replay(&r);
    expect_events("body; propagate writes of 2; "); /* as if nothing had changed */
    assert_int_equal(conn_mark(), 0);
    assert_int_equal(metrics_of("writes")->calls + server_metrics.commands, 0);
}

static void a_command_of_the_stream_counts_and_is_heard_but_not_propagated(void **state) {
    (void)state;
    call_listen(CALL_MONITOR, monitor_hears);
    struct request r = lab_request(&client, "writes k");
    call_stream(&r);
    expect_events("body; propagate writes of 2; monitor; ");
    assert_int_equal(metrics_of("writes")->calls, 1);
    assert_int_equal(server_metrics.commands, 1);
    assert_ptr_equal(client.last_command, r.command);
    call_noted(&r);
    expect_events("monitor; ");
    assert_int_equal(metrics_of("writes")->calls, 2);
}

int main(void) {
    clock_init();
    hash_init();
    db_init(1);
    catalog_register(rows);
    catalog_ready();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_order_of_events, setup, teardown),
        cmocka_unit_test_setup_teardown(raw_bytes_are_propagated, setup, teardown),
        cmocka_unit_test_setup_teardown(calls_failures_and_time, setup, teardown),
        cmocka_unit_test_setup_teardown(time_goes_on_from_command_to_command, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_that_waits_is_counted_later, setup, teardown),
        cmocka_unit_test_setup_teardown(a_long_command_refreshes_the_clock, setup, teardown),
        cmocka_unit_test_setup_teardown(no_touch_holds_the_access_clocks, setup, teardown),
        cmocka_unit_test_setup_teardown(off_drops_every_reply, setup, teardown),
        cmocka_unit_test_setup_teardown(skip_drops_the_next_reply, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reply_that_is_still_to_come_is_skipped_then, setup, teardown),
        cmocka_unit_test_setup_teardown(nested_calls, setup, teardown),
        cmocka_unit_test_setup_teardown(nested_calls_touch, setup, teardown),
        cmocka_unit_test_setup_teardown(replaying_runs_the_body_only, setup, teardown),
        cmocka_unit_test_setup_teardown(a_command_of_the_stream_counts_and_is_heard_but_not_propagated, setup,
                                        teardown),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    db_shutdown();
    return failed;
}
