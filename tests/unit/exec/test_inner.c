/* Calls of scripts: what is refused and with which words, what the script leaves of its client, where replies are, what
 * is counted, and what reaches the log. A script is a function here. */
#include "base/clock.h"
#include "base/hash.h"
#include "base/num.h"
#include "catalog/catalog.h"
#include "catalog/command_metrics.h"
#include "exec/call.h"
#include "exec/exec_lab.h"
#include "exec/inner.h"
#include "exec/log_reader.h"
#include "exec/propagate.h"
#include "session/gates.h"
#include "session/reply.h"
#include "session/server_metrics.h"
#include "store/db.h"
#include "store/evict.h"

#define TEXTS 512

static struct client client;
static struct inner in;

/* --- The commands ---------------------------------------------------------------------------- */

static struct key seen_key;
static bool was_nested;

static void reads(struct request *r) {
    seen_key = r->key;
    was_nested = call_is_nested;
    assert_int_equal(r->raw.len, 0);
    reply_bulk(r->client, r->key.name);
}

static void writes(struct request *r) {
    db_metrics.dirty++;
    reply_ok(r->client);
}

static void says(struct request *r) {
    propagate_message();
    reply_int(r->client, 0);
}

static void fails(struct request *r) {
    reply_wrong_type(r->client);
}

static void selects(struct request *r) {
    int64_t id;
    assert_true(num_parse_i64(r->argv[1], &id));
    r->client->db = db_at((int)id);
    r->client->flags |= CLIENT_READS_HERE;
    reply_ok(r->client);
}

static void maps(struct request *r) {
    reply_map(r->client, 0);
}

static void is_large(struct request *r) {
    char bytes[1000];
    memset(bytes, 'x', sizeof bytes);
    for (int i = 0; i < 100 && !reply_is_pointless(r->client); i++)
        reply_bulk(r->client, slice_of(bytes, sizeof bytes));
}

static const struct command rows[] = {
    LAB_ROW("reads", reads, 2, .flags = CMD_READONLY, .first_key = 1),
    LAB_ROW("writes", writes, -2, .flags = CMD_WRITE, .first_key = 1),
    LAB_ROW("enlarges", writes, 2, .flags = CMD_WRITE | CMD_DENYOOM, .first_key = 1),
    LAB_ROW("needs-memory", maps, 1, .flags = CMD_DENYOOM),
    LAB_ROW("says", says, 2, .flags = CMD_MAY_REPLICATE | CMD_STALE),
    LAB_ROW("fails", fails, 1, .flags = CMD_READONLY),
    LAB_ROW("selects", selects, 2, .flags = CMD_STALE),
    LAB_ROW("maps", maps, 1),
    LAB_ROW("is-large", is_large, 1),
    LAB_ROW("forbidden", maps, 1, .flags = CMD_NOSCRIPT),
    LAB_ROW("disturbs", maps, 1, .flags = CMD_NO_ASYNC_LOADING),
    {NULL},
};

/* --- A script -------------------------------------------------------------------------------- */

static bool passed; /* what the last inner_call() returned */

/* The reply to a call, which is cut off. Valid until the next. */
static const char *reply_to(const char *text) {
    struct request r = lab_request(&client, text);
    size_t mark = conn_mark();
    r.command = NULL;
    passed = inner_call(&in, &r);
    return lab_written(mark);
}

static void expect_refused(const char *text, const char *error) {
    uint64_t errors = server_metrics.errors;
    char expected[TEXTS];
    snprintf(expected, sizeof expected, "-%s\r\n", error);
    assert_string_equal(reply_to(text), expected);
    assert_false(passed);
    assert_int_equal(server_metrics.errors, errors + 1);
}

static void expect_passes(const char *text) {
    const char *reply = reply_to(text);
    if (!passed || reply[0] == '-') fail_msg("%s: %s", text, reply);
}

static void begin(unsigned flags) {
    inner_begin(&in, &client, flags, CONN_NO_LIMIT);
}

/* As the body of a request: propagation has a call open. */
static void run(unsigned flags, void (*script)(void)) {
    propagate_begin();
    call_start_clock();
    begin(flags);
    script();
    inner_end(&in);
    struct slice request = SLICE("EVAL");
    propagate_end(client.db, &request, 1, slice_of(NULL, 0), true);
}

static const struct command_metrics *metrics_of(const char *name) {
    return catalog_metrics(catalog_find(slice_cstr(name)));
}

static int setup(void **state) {
    (void)state;
    client = (struct client){.resp = 3, .db = db_at(2)};
    catalog_reset_metrics();
    server_metrics = (struct server_metrics){0};
    clock_update();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    inner_end(&in);
    for (int i = 0; i < GATES_PLACES; i++)
        gates_set((enum gates_place)i, NULL);
    assert_int_equal(conn_mark(), 0);
    assert_null(inner_current);
    assert_int_equal(client.flags, 0);
    assert_int_equal(propagate_targets, PROPAGATE_BOTH);
    return 0;
}

/* --- Refusals -------------------------------------------------------------------------------- */

static void what_is_no_call_of_a_command_is_refused(void **state) {
    (void)state;
    begin(0);
    expect_refused("nosuch a b", "ERR Unknown Redis command called from script");
    expect_refused("reads", "ERR Wrong number of args calling Redis command from script");
    expect_refused("reads a b", "ERR Wrong number of args calling Redis command from script");
    expect_refused("writes", "ERR Wrong number of args calling Redis command from script");
    expect_refused("forbidden", "ERR This Redis command is not allowed from script");
    assert_int_equal(metrics_of("reads")->rejected, 2);
    assert_int_equal(metrics_of("forbidden")->rejected, 1);
    assert_int_equal(metrics_of("forbidden")->calls + metrics_of("reads")->calls, 0);
    assert_int_equal(server_metrics.commands, 0);
    assert_int_equal(in.called, 0);
}

static void a_script_that_only_reads_may_not_write(void **state) {
    (void)state;
    begin(INNER_NO_WRITES);
    expect_refused("writes k", "ERR Write commands are not allowed from read-only scripts.");
    expect_refused("says x", "ERR Write commands are not allowed from read-only scripts.");
    expect_passes("reads k");
    assert_false(inner_has_written(&in));
}

/* Stops such calls, if `is_on`. */
static bool is_on;
static bool asks(const struct request *r, unsigned flags) {
    assert_true(r->client == &client && flags);
    return is_on;
}

static const struct gate for_writes = {.stops = CMD_WRITE, .holds = asks, .error = "ERR w", .stops_calls = CMD_WRITE};
static const struct gate for_memory = {.holds = asks, .error = "OOM m", .stops_calls = CMD_DENYOOM};
static const struct gate for_all = {
    .passes = CMD_STALE, .error = "ERR not in scripts", .stops_calls = GATES_ANY, .call_error = "ERR stale"};
static const struct gate for_requests = {.error = "ERR not in scripts"};

static void a_gate_stops_calls_that_it_names(void **state) {
    (void)state;
    gates_set(GATES_AUTH, &for_requests);
    gates_set(GATES_DISK, &for_writes);
    is_on = true;
    begin(0);
    expect_refused("writes k", "ERR w");
    expect_refused("enlarges k", "ERR w");
    assert_int_equal(metrics_of("writes")->rejected, 1);
    expect_passes("reads k");
    expect_passes("needs-memory");
    expect_refused("forbidden", "ERR This Redis command is not allowed from script");
}

static void a_gate_is_judged_when_the_script_begins(void **state) {
    (void)state;
    gates_set(GATES_REPLICAS, &for_writes);
    is_on = false;
    begin(0);
    is_on = true;
    expect_passes("writes k");
    gates_set(GATES_DISK, &for_writes);
    expect_passes("writes k");
    inner_end(&in);
    begin(0);
    is_on = false;
    expect_refused("writes k", "ERR w");
}

static void behind_its_first_write_a_script_may_write_on(void **state) {
    (void)state;
    gates_set(GATES_MEMORY, &for_memory);
    is_on = true;
    begin(0);
    expect_refused("enlarges k", "OOM m");
    expect_refused("needs-memory", "OOM m");
    assert_false(inner_has_written(&in));
    expect_passes("writes k");
    assert_true(inner_has_written(&in));
    expect_passes("enlarges k");
    expect_passes("needs-memory");
}

static void memory_is_no_matter_to_a_script_that_says_so(void **state) {
    (void)state;
    gates_set(GATES_MEMORY, &for_memory);
    gates_set(GATES_DISK, &for_writes);
    is_on = true;
    begin(INNER_ALLOW_OOM);
    expect_passes("needs-memory");
    expect_refused("enlarges k", "ERR w");
}

static void a_stale_replica_calls_what_is_fit_for_it(void **state) {
    (void)state;
    gates_set(GATES_STALE, &for_all);
    gates_set(GATES_READONLY, &for_writes);
    is_on = true;
    begin(INNER_NO_WRITES);
    expect_refused("reads k", "ERR stale");
    expect_refused("writes k", "ERR stale");
    expect_refused("says x", "ERR Write commands are not allowed from read-only scripts.");
    expect_passes("selects 0");
    expect_refused("nosuch", "ERR Unknown Redis command called from script");
}

static void the_order_of_gates_is_that_of_redis(void **state) {
    (void)state;
    static const struct gate disk = {.error = "ERR disk", .stops_calls = CMD_WRITE},
                             replicas = {.error = "ERR replicas", .stops_calls = CMD_WRITE},
                             readonly = {.error = "ERR readonly", .stops_calls = CMD_WRITE},
                             memory = {.error = "ERR memory", .stops_calls = CMD_DENYOOM};
    (void)state;
    static const struct {
        enum gates_place place;
        const struct gate *gate;
    } last_first[] = {{GATES_MEMORY, &memory},
                      {GATES_REPLICAS, &replicas},
                      {GATES_DISK, &disk},
                      {GATES_READONLY, &readonly},
                      {GATES_STALE, &for_all}};
    for (size_t i = 0; i < sizeof last_first / sizeof *last_first; i++) {
        const struct gate *gate = last_first[i].gate;
        gates_set(last_first[i].place, gate);
        begin(0);
        expect_refused("enlarges k", gate->call_error ? gate->call_error : gate->error);
        inner_end(&in);
    }
}

/* --- Calls ----------------------------------------------------------------------------------- */

static void what_the_caller_knows_is_used(void **state) {
    (void)state;
    begin(0);
    expect_passes("reads some");
    assert_true(slice_eq(seen_key.name, SLICE("some")) && seen_key.hash == key_of(SLICE("some")).hash);
    assert_true(was_nested); /* so nothing may wait */
    struct request r = lab_request(&client, "reads other");
    r.key.hash = 4711; /* if it were looked up, the hash would be another */
    size_t mark = conn_mark();
    assert_true(inner_call(&in, &r));
    assert_int_equal(seen_key.hash, 4711);
    assert_string_equal(lab_written(mark), "$5\r\nother\r\n");
    r.key = (struct key){.hash = 4711}; /* the hash is not known */
    assert_true(inner_call(&in, &r));
    assert_int_equal(seen_key.hash, key_of(SLICE("other")).hash);
    assert_string_equal(lab_written(mark), "$5\r\nother\r\n");
}

static void a_client_gets_back_what_was_its_own(void **state) {
    (void)state;
    begin(0);
    assert_string_equal(reply_to("maps"), "*0\r\n"); /* RESP2 at first */
    expect_passes("selects 1");
    inner_set_resp(&in, 3);
    assert_string_equal(reply_to("maps"), "%0\r\n");
    assert_ptr_equal(client.db, db_at(1));
    inner_set_resp(&in, 2);
    assert_string_equal(reply_to("maps"), "*0\r\n");
    reply_to("fails");
    assert_true(inner_is_by(&client) && call_is_nested);
    inner_end(&in);
    assert_false(inner_is_by(&client) || call_is_nested);
    assert_ptr_equal(client.db, db_at(2));
    assert_int_equal(client.resp, 3);
    assert_int_equal(client.flags, 0); /* the script itself has not failed */
    inner_end(&in);                    /* once more changes nothing */
    assert_int_equal(client.resp, 3);
}

/* CLIENT REPLY concerns what the client is sent. */
static void replies_that_the_client_does_not_want_reach_its_script(void **state) {
    (void)state;
    client.flags = CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP;
    begin(0);
    assert_string_equal(reply_to("reads k"), "$1\r\nk\r\n");
    inner_end(&in);
    assert_int_equal(client.flags, CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP);
    client.flags = 0;
}

static void messages_keep_the_protocol_of_the_client(void **state) {
    (void)state;
    struct client other = {.resp = 2};
    begin(0);
    assert_int_equal(client.resp, 2);
    assert_int_equal(client_message_resp(&client), 3);
    assert_int_equal(client_message_resp(&other), 2);
    inner_end(&in);
    assert_int_equal(client_message_resp(&client), 3);
    client.resp = 2;
    begin(0);
    inner_set_resp(&in, 3);
    assert_int_equal(client_message_resp(&client), 2);
}

static void the_clock_stands_still(void **state) {
    (void)state;
    begin(0);
    int64_t us = clock_time_us(), began_us = clock_mono_us();
    while (clock_mono_us() - began_us < 3000) {
    }
    expect_passes("reads k");
    clock_update();
    assert_int_equal(clock_time_us(), us);
    assert_int_equal(clock_now_ms(), us / 1000);
    inner_end(&in);
    assert_true(clock_time_us() - us >= 3000);
}

static void a_script_may_run_inside_exec(void **state) {
    (void)state;
    struct call_outer exec = call_nest();
    begin(0);
    expect_passes("reads k");
    inner_end(&in);
    assert_true(call_is_nested);
    call_unnest(exec);
    assert_false(call_is_nested);
}

static void the_range_of_the_client_has_no_part_in_it(void **state) {
    (void)state;
    struct conn_range range;
    conn_open(&range, 100);
    reply_ok(&client);
    begin(0);
    size_t mark = conn_mark();
    assert_true(strlen(reply_to("is-large")) > 1000);
    assert_true(passed && conn_mark() == mark);
    expect_passes("reads k");
    inner_end(&in);
    assert_string_equal(lab_written(0), "+OK\r\n");
    assert_int_equal(conn_room(), 100);
    conn_take_back(&range);
}

static void a_reply_may_be_too_large_for_the_script(void **state) {
    (void)state;
    inner_begin(&in, &client, 0, 10000);
    expect_refused("is-large", "ERR Reply of a command is too large for the script");
    expect_passes("reads k");
    assert_int_equal(metrics_of("is-large")->calls, 1);
}

static void calls_are_counted(void **state) {
    (void)state;
    call_start_clock();
    uint64_t outer = call_began();
    begin(0);
    expect_passes("reads k");
    expect_passes("writes k");
    assert_string_equal(reply_to("fails"), "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
    assert_true(passed); /* by the gates */
    expect_passes("reads k");
    assert_true(call_began() > outer);
    inner_end(&in);
    assert_int_equal(call_began(), outer); /* the script is charged for all of its time */
    assert_int_equal(metrics_of("reads")->calls, 2);
    assert_true(metrics_of("fails")->calls == 1 && metrics_of("fails")->failed == 1);
    assert_int_equal(metrics_of("fails")->rejected, 0);
    assert_int_equal(server_metrics.commands, 4);
    assert_int_equal(server_metrics.errors, 1);
}

static uint64_t heard_ticks;
static int heard;
static void listener(const struct request *r, uint64_t spent) {
    assert_true(r->client == &client && inner_is_by(&client));
    heard_ticks = spent;
    heard++;
}

/* What the script does between two calls is not the time of a command. */
static void the_time_of_a_call_is_its_own(void **state) {
    (void)state;
    begin(0);
    call_listen(CALL_MONITOR, listener);
    heard = 0;
    int64_t began_us = clock_mono_us();
    while (clock_mono_us() - began_us < 3000) {
    }
    expect_passes("reads k");
    call_listen(CALL_MONITOR, NULL);
    assert_int_equal(heard, 1);
    assert_true(heard_ticks < clock_ns_to_ticks(3000000));
}

/* --- What reaches the log -------------------------------------------------------------------- */

static struct buf log_text; /* "2: WRITES k; " a command */

static void note(void *ctx, int db_id, const struct slice *argv, int argc, struct slice raw) {
    (void)ctx;
    (void)raw;
    buf_printf(&log_text, "%d:", db_id);
    for (int i = 0; i < argc; i++)
        buf_printf(&log_text, " %.*s", (int)argv[i].len, argv[i].ptr);
    buf_append_cstr(&log_text, "; ");
}

static void expect_log(const char *expected) {
    log_reader_run(note, NULL);
    buf_append(&log_text, "", 1);
    assert_string_equal(log_text.data, expected);
    buf_free(&log_text);
}

static int setup_log(void **state) {
    propagate_want(PROPAGATE_STREAM, true);
    log_reader_begin();
    return setup(state);
}

static int teardown_log(void **state) {
    log_reader_end();
    propagate_want(PROPAGATE_STREAM, false);
    return teardown(state);
}

static void reads_only(void) {
    expect_passes("reads k");
    expect_refused("writes", "ERR Wrong number of args calling Redis command from script");
}

static void writes_once(void) {
    expect_passes("reads k");
    expect_passes("writes a");
    reply_to("fails");
}

static void writes_here_and_there(void) {
    expect_passes("writes a");
    expect_passes("selects 5");
    expect_passes("writes b c");
}

static void says_something(void) {
    expect_passes("writes a");
    expect_passes("says x");
}

static void effects_leave_as_one_unit(void **state) {
    (void)state;
    run(0, reads_only);
    expect_log("");
    run(0, writes_once);
    expect_log("2: writes a; ");
    run(0, writes_here_and_there);
    expect_log("2: MULTI; 2: writes a; 5: writes b c; 5: EXEC; ");
    assert_ptr_equal(client.db, db_at(2));
    run(0, says_something);
    expect_log("2: MULTI; 2: writes a; 2: says x; 2: EXEC; ");
}

static void chooses_targets(void) {
    inner_set_targets(&in, PROPAGATE_FILE);
    expect_passes("writes file");
    inner_set_targets(&in, 0);
    expect_passes("writes nobody");
    expect_passes("says nobody");
    inner_set_targets(&in, PROPAGATE_STREAM);
    expect_passes("writes stream");
    inner_set_targets(&in, PROPAGATE_BOTH);
    expect_passes("writes both");
}

static void a_script_chooses_the_targets_of_its_calls(void **state) {
    (void)state;
    run(0, chooses_targets);
    assert_int_equal(propagate_targets, PROPAGATE_BOTH);
    expect_log("2: MULTI; 2: writes stream; 2: writes both; 2: EXEC; ");
}

static void tells_nobody(void) {
    inner_set_targets(&in, 0);
    expect_passes("writes a");
    expect_passes("writes b");
}

static void effects_for_nobody_are_no_unit(void **state) {
    (void)state;
    run(0, tells_nobody);
    expect_log("");
}

/* The log has the script's request. */
static void a_script_of_a_log_propagates_nothing(void **state) {
    (void)state;
    gates_set(GATES_READONLY, &for_writes);
    is_on = true;
    call_is_replayed = true;
    run(0, chooses_targets);
    run(0, writes_here_and_there);
    assert_true(call_is_replayed); /* the rest of the log follows */
    call_is_replayed = false;
    expect_log("");
    assert_int_equal(propagate_targets, PROPAGATE_BOTH);
}

int main(void) {
    hash_init();
    clock_init();
    db_init(16);
    catalog_register(rows);
    catalog_ready();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_no_call_of_a_command_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_script_that_only_reads_may_not_write, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gate_stops_calls_that_it_names, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gate_is_judged_when_the_script_begins, setup, teardown),
        cmocka_unit_test_setup_teardown(behind_its_first_write_a_script_may_write_on, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_is_no_matter_to_a_script_that_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stale_replica_calls_what_is_fit_for_it, setup, teardown),
        cmocka_unit_test_setup_teardown(the_order_of_gates_is_that_of_redis, setup, teardown),
        cmocka_unit_test_setup_teardown(what_the_caller_knows_is_used, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_gets_back_what_was_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(replies_that_the_client_does_not_want_reach_its_script, setup, teardown),
        cmocka_unit_test_setup_teardown(messages_keep_the_protocol_of_the_client, setup, teardown),
        cmocka_unit_test_setup_teardown(the_clock_stands_still, setup, teardown),
        cmocka_unit_test_setup_teardown(a_script_may_run_inside_exec, setup, teardown),
        cmocka_unit_test_setup_teardown(the_range_of_the_client_has_no_part_in_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reply_may_be_too_large_for_the_script, setup, teardown),
        cmocka_unit_test_setup_teardown(calls_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(the_time_of_a_call_is_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(effects_leave_as_one_unit, setup_log, teardown_log),
        cmocka_unit_test_setup_teardown(a_script_chooses_the_targets_of_its_calls, setup_log, teardown_log),
        cmocka_unit_test_setup_teardown(effects_for_nobody_are_no_unit, setup_log, teardown_log),
        cmocka_unit_test_setup_teardown(a_script_of_a_log_propagates_nothing, setup_log, teardown_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
