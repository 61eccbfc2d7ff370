/* Transactions alone: what is queued comes out as it went in, whatever its size; what makes EXEC fail; how a
 * transaction ends. Calls and propagation are fakes. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/module.h"
#include "catalog/catalog.h"
#include "catalog/command_metrics.h"
#include "exec/call.h"
#include "exec/exec_lab.h"
#include "exec/propagate.h"
#include "exec/tx.h"
#include "session/gates.h"
#include "session/reply.h"
#include "store/db.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

extern const struct module tx_module;

/* --- The neighbours -------------------------------------------------------------------------- */

static struct buf events; /* "nest; call SET of 3; unnest; " */
static bool muted;
static void (*during_call)(struct request *r);

bool call_is_nested, propagate_wanted;
struct propagate_call propagate_call;

static void note(const char *what) {
    buf_append_cstr(&events, what);
    buf_append_cstr(&events, "; ");
}

struct call_outer call_nest(void) {
    note("nest");
    call_is_nested = true;
    return (struct call_outer){.began = 4711};
}

void call_unnest(struct call_outer outer) {
    note("unnest");
    assert_int_equal(outer.began, 4711);
    call_is_nested = false;
}

void call_nested(struct request *r) {
    assert_true(call_is_nested);
    if (during_call) {
        during_call(r);
        return;
    }
    char text[64];
    snprintf(text, sizeof text, "%s of %d", r->command->name, r->argc);
    note(text);
    reply_int(r->client, r->argc);
}

void call_mute(const struct client *c, size_t mark) {
    (void)c;
    if (muted) conn_truncate(mark);
}

void propagate_nothing(void) {
    note("propagate nothing");
}

/* --- Requests -------------------------------------------------------------------------------- */

static void body(struct request *r) {
    fail_msg("%s ran, though calls are a fake", r->command->name);
}

static const struct command rows[] = {
    LAB_ROW("get", body, 2, .flags = CMD_READONLY | CMD_FAST, .first_key = 1),
    LAB_ROW("set", body, -3, .flags = CMD_WRITE | CMD_FAST, .first_key = 1),
    LAB_ROW("ping", body, -1, .flags = CMD_FAST),
    LAB_ROW("script", body, -1, .flags = CMD_RUNS_SCRIPT),
    LAB_ROW("subscribe", body, -2, .flags = CMD_NO_MULTI),
    {NULL},
};

static struct client client;
static size_t used;

/* Run one of the transactions' own commands, or queue another one. Returns the reply. */
static const char *run(const char *text) {
    struct request r = lab_request(&client, text);
    size_t mark = conn_mark();
    if (r.command->flags & CMD_UNQUEUED || !(client.flags & CLIENT_MULTI))
        r.command->body(&r);
    else
        tx_queue(&r);
    return lab_written(mark);
}

/* EXEC gives this reply. */
static void expect_exec(const char *reply) {
    events.len = 0;
    assert_string_equal(run("exec"), reply);
    buf_append(&events, "", 1);
}

static void set_key(int db, const char *name, int64_t deadline_ms) {
    struct key key = key_of(slice_cstr(name));
    db_set_string(db_at(db), &key, db_write(db_at(db), &key), SLICE("v"), deadline_ms);
    db_changed(db_at(db), &key, DB_STRING, "set");
}

static int setup(void **state) {
    (void)state;
    client = (struct client){.resp = 2, .db = db_at(0)};
    muted = false;
    during_call = NULL;
    clock_cached_ms = 1700000000000;
    used = alloc_used();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    tx_module.part->forget(&client);
    db_empty(db_at(0), false);
    conn_truncate(0);
    return 0;
}

static void expect_no_transaction(void) {
    assert_null(client.tx);
    assert_false(client.flags & CLIENT_MULTI);
    assert_null(db_hooks.changed); /* nothing is watched */
}

/* --- From MULTI to EXEC ---------------------------------------------------------------------- */

static void requests_are_queued_and_run_in_order(void **state) {
    (void)state;
    assert_string_equal(run("multi"), "+OK\r\n");
    assert_true(client.flags & CLIENT_MULTI);
    assert_string_equal(run("set a 1"), "+QUEUED\r\n");
    assert_string_equal(run("get a"), "+QUEUED\r\n");
    assert_string_equal(run("ping"), "+QUEUED\r\n");
    expect_exec("*3\r\n:3\r\n:2\r\n:1\r\n");
    assert_string_equal(events.data, "nest; set of 3; get of 2; ping of 1; unnest; propagate nothing; ");
    expect_no_transaction();
}

static void an_empty_transaction(void **state) {
    (void)state;
    run("multi");
    expect_exec("*0\r\n");
    assert_string_equal(events.data, "nest; unnest; propagate nothing; ");
    expect_no_transaction();
}

static void what_cannot_begin_or_end(void **state) {
    (void)state;
    expect_exec("-ERR EXEC without MULTI\r\n");
    assert_string_equal(run("discard"), "-ERR DISCARD without MULTI\r\n");
    run("multi");
    run("ping");
    assert_string_equal(run("multi"), "-ERR MULTI calls can not be nested\r\n");
    assert_string_equal(run("watch k"), "-ERR WATCH inside MULTI is not allowed\r\n");
    expect_exec("*1\r\n:1\r\n"); /* these errors do not spoil it */
    run("multi");
    run("ping");
    assert_string_equal(run("discard"), "+OK\r\n");
    expect_no_transaction();
}

static void replies_are_muted_piece_by_piece(void **state) {
    (void)state;
    muted = true;
    run("multi");
    run("ping");
    expect_exec(":1\r\n"); /* the queued command mutes its own, which is a fake here */
    expect_exec("");
}

/* --- The queue ------------------------------------------------------------------------------- */

enum { REQUESTS = 3000, ARGS_MAX = 6 };

/* The argument's text is made of these numbers, so that it can be checked without being kept. */
static size_t argument_size(int request, int i) {
    if (i == 0) return 3;
    uint64_t n = (uint64_t)request * 7919 + (uint64_t)i * 104729;
    return request % 100 == 99 ? n % 100000 : n % 40; /* some are larger than any chunk */
}

static char argument_byte(int request, int i, size_t at) {
    return (char)('a' + (request + i * 5 + (int)at) % 26);
}

static int argument_count(int request) {
    return 2 + request % (ARGS_MAX - 1);
}

static int next_called;

static void check_request(struct request *r) {
    int n = next_called++;
    assert_int_equal(r->argc, argument_count(n));
    assert_ptr_equal(r->client, &client);
    assert_ptr_equal(r->command, catalog_find(SLICE("set")));
    assert_ptr_equal(r->metrics, catalog_metrics(r->command));
    for (int i = 1; i < r->argc; i++) {
        assert_int_equal(r->argv[i].len, argument_size(n, i));
        for (size_t at = 0; at < r->argv[i].len; at++)
            if (r->argv[i].ptr[at] != argument_byte(n, i, at)) fail_msg("request %d, argument %d, byte %zu", n, i, at);
    }
    struct key key = key_of(r->argv[1]);
    assert_true(r->key.hash == key.hash && slice_eq(r->key.name, r->argv[1]));
    assert_int_equal(r->raw.len, n % 2 ? r->argv[r->argc - 1].ptr + r->argv[r->argc - 1].len - r->argv[0].ptr : 0);
}

/* Queue request n; every second one has its raw bytes, which here are its arguments, one behind another. */
static void queue_request_number(int n) {
    static char text[ARGS_MAX * 100000];
    struct slice argv[ARGS_MAX];
    struct request r = {.client = &client, .argv = argv, .argc = argument_count(n)};
    char *p = text;
    for (int i = 0; i < r.argc; i++) {
        size_t size = argument_size(n, i);
        argv[i] = slice_of(p, size);
        for (size_t at = 0; at < size; at++)
            p[at] = i == 0 ? "set"[at] : argument_byte(n, i, at);
        p += size;
    }
    request_prepare(&r);
    if (n % 2) r.raw = slice_of(text, (size_t)(p - text));
    size_t mark = conn_mark(), before = tx_queue_bytes(&client);
    tx_queue(&r);
    assert_string_equal(lab_written(mark), "+QUEUED\r\n");
    assert_true(tx_queue_bytes(&client) > before + (size_t)(p - text));
    memset(text, '!', (size_t)(p - text)); /* it was copied */
}

static void a_long_queue_keeps_every_byte(void **state) {
    (void)state;
    during_call = check_request;
    for (int round = 0; round < 2; round++) {
        run("multi");
        for (int n = 0; n < REQUESTS; n++)
            queue_request_number(n);
        struct client_line line = {.queued = -1};
        tx_module.part->describe(&client, &line);
        assert_int_equal(line.queued, REQUESTS);
        assert_int_equal(line.queue_bytes, tx_module.part->memory(&client));
        assert_true(line.queue_bytes > tx_queue_bytes(&client));
        next_called = 0;
        events.len = 0;
        size_t mark = conn_mark();
        struct request r = lab_request(&client, "exec");
        r.command->body(&r);
        assert_string_equal(lab_written(mark), "*3000\r\n");
        assert_int_equal(next_called, REQUESTS);
        expect_no_transaction();
        buf_free(&events);
        if (round) assert_int_equal(alloc_used(), used);
        used = alloc_used(); /* a chunk is kept for the next transaction */
    }
}

/* A chunk has at most 64 KB, so the unused part of the last one is small beside a long queue. */
static void a_long_queue_wastes_little(void **state) {
    (void)state;
    run("multi");
    for (int n = 0; n < 30000; n++)
        run("set k v");
    size_t bytes = tx_queue_bytes(&client), memory = tx_module.part->memory(&client);
    assert_true(bytes > 3000000);
    assert_in_range(memory, bytes, bytes + 65536 + bytes / 100);
}

/* --- What makes EXEC fail -------------------------------------------------------------------- */

static void refused_requests_spoil_it(void **state) {
    (void)state;
    struct request get = lab_request(&client, "get k");
    size_t mark = conn_mark();
    run("multi");
    run("ping");
    uint64_t before = catalog_metrics(catalog_find(SLICE("subscribe")))->rejected;
    assert_string_equal(run("subscribe k"), "-ERR Command not allowed inside a transaction\r\n");
    assert_int_equal(catalog_metrics(catalog_find(SLICE("subscribe")))->rejected, before + 1);
    size_t bytes = tx_queue_bytes(&client);
    assert_string_equal(run("ping"), "+QUEUED\r\n");
    assert_int_equal(tx_queue_bytes(&client), bytes); /* it will never run, and is not kept */
    expect_exec("-EXECABORT Transaction discarded because of previous errors.\r\n");
    assert_string_equal(events.data, "");
    expect_no_transaction();
    run("multi");
    get = lab_request(&client, "get k");
    tx_refuse(&get, "OOM too much");
    assert_string_equal(lab_written(mark), "-OOM too much\r\n");
    expect_exec("-EXECABORT Transaction discarded because of previous errors.\r\n");
    run("multi");
    tx_spoil(&client);
    expect_exec("-EXECABORT Transaction discarded because of previous errors.\r\n");
    expect_no_transaction();
}

static void outside_of_it_a_refusal_is_an_error(void **state) {
    (void)state;
    struct request get = lab_request(&client, "get k");
    size_t mark = conn_mark();
    tx_refuse(&get, "ERR no");
    tx_spoil(&client);
    assert_string_equal(lab_written(mark), "-ERR no\r\n");
    run("multi");
    run("ping");
    expect_exec("*1\r\n:1\r\n");
}

static void a_refused_exec_ends_it(void **state) {
    (void)state;
    size_t mark = conn_mark();
    run("multi");
    run("ping");
    struct request exec = lab_request(&client, "exec");
    tx_refuse(&exec, "ERR wrong number of arguments");
    assert_string_equal(lab_written(mark),
                        "-EXECABORT Transaction discarded because of: wrong number of arguments\r\n");
    expect_no_transaction();
    run("multi");
    exec = lab_request(&client, "exec");
    tx_refuse(&exec, "MISCONF the disk");
    assert_string_equal(lab_written(mark), "-EXECABORT Transaction discarded because of: MISCONF the disk\r\n");
    expect_no_transaction();
}

/* --- WATCH ----------------------------------------------------------------------------------- */

static void a_touched_key_makes_it_fail(void **state) {
    (void)state;
    assert_string_equal(run("watch a b"), "+OK\r\n");
    run("multi");
    run("ping");
    set_key(0, "other", ENTRY_NO_TTL);
    size_t bytes = tx_queue_bytes(&client);
    set_key(0, "b", ENTRY_NO_TTL);
    assert_string_equal(run("ping"), "+QUEUED\r\n");
    assert_int_equal(tx_queue_bytes(&client), bytes);
    struct client_line line = {.queued = -1};
    tx_module.part->describe(&client, &line);
    assert_int_equal(line.queued, 1);
    assert_true(line.letters == ((uint64_t)1 << ('x' - 'A') | (uint64_t)1 << ('d' - 'A')));
    expect_exec("*-1\r\n");
    assert_string_equal(events.data, "");
    expect_no_transaction();
    client.resp = 3;
    run("watch a");
    set_key(0, "a", ENTRY_NO_TTL);
    run("multi");
    expect_exec("_\r\n");
}

static void untouched_keys_do_not(void **state) {
    (void)state;
    run("watch a");
    set_key(0, "b", ENTRY_NO_TTL);
    run("multi");
    run("ping");
    expect_exec("*1\r\n:1\r\n");
    expect_no_transaction();
}

static void a_key_that_is_due_makes_it_fail(void **state) {
    (void)state;
    set_key(0, "a", clock_now_ms() + 10);
    run("watch a");
    run("multi");
    clock_cached_ms += 20;
    expect_exec("*-1\r\n");
}

static void unwatch_forgets_the_keys(void **state) {
    (void)state;
    run("watch a");
    assert_true(tx_module.part->memory(&client) > 0);
    assert_string_equal(run("unwatch"), "+OK\r\n");
    expect_no_transaction();
    assert_int_equal(tx_module.part->memory(&client), 0);
    set_key(0, "a", ENTRY_NO_TTL);
    run("multi");
    expect_exec("*0\r\n");
}

static void unwatch_inside_exec_changes_nothing(void **state) {
    (void)state;
    run("watch a");
    run("multi");
    struct request r = lab_request(&client, "unwatch");
    r.command->body(&r);
    assert_true(client.flags & CLIENT_MULTI);
    set_key(0, "a", ENTRY_NO_TTL);
    expect_exec("*-1\r\n");
}

/* --- Flags ----------------------------------------------------------------------------------- */

static void flags_are_those_of_the_queue(void **state) {
    (void)state;
    unsigned any = 1, lacking = 1;
    tx_flags(&client, &any, &lacking);
    assert_int_equal(any | lacking, 0);
    run("multi");
    run("get k");
    tx_flags(&client, &any, &lacking);
    assert_int_equal(any, CMD_READONLY | CMD_FAST);
    assert_int_equal(lacking, ~(unsigned)(CMD_READONLY | CMD_FAST));
    run("set k v");
    run("ping");
    tx_flags(&client, &any, &lacking);
    assert_int_equal(any, CMD_READONLY | CMD_WRITE | CMD_FAST);
    assert_int_equal(lacking, ~(unsigned)CMD_FAST);
}

static unsigned script_writes(const struct request *r) {
    (void)r;
    return CMD_WRITE;
}

static void a_queued_script_counts_as_what_it_says(void **state) {
    (void)state;
    unsigned any, lacking;
    gates_judge_scripts(script_writes);
    run("multi");
    run("script");
    tx_flags(&client, &any, &lacking);
    assert_int_equal(any, CMD_WRITE);
    assert_int_equal(lacking, ~(unsigned)CMD_WRITE);
    gates_judge_scripts(NULL);
}

/* --- The end --------------------------------------------------------------------------------- */

static void forget_at_the_third(struct request *r) {
    assert_true(slice_eq(r->argv[0], SLICE("ping")));
    if (++next_called == 3) tx_module.part->forget(&client);
}

static void the_client_may_be_closed_by_what_it_runs(void **state) {
    (void)state;
    run("multi");
    for (int n = 0; n < 100; n++)
        run("ping");
    next_called = 0;
    during_call = forget_at_the_third;
    run("exec");
    assert_int_equal(next_called, 100); /* the queue stays until all of it has run */
    expect_no_transaction();
}

static void forgetting_and_reset_end_it(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        run("watch a");
        run("multi");
        run("ping");
        (i % 2 ? tx_module.part->reset : tx_module.part->forget)(&client);
        expect_no_transaction();
        assert_int_equal(tx_queue_bytes(&client), 0);
        struct client_line line = {.queued = -1};
        tx_module.part->describe(&client, &line);
        assert_true(line.queued == -1 && line.letters == 0);
        if (i) assert_int_equal(alloc_used(), used);
        used = alloc_used(); /* the first time, a chunk was kept for the next transaction */
    }
    tx_module.part->forget(&client); /* without a transaction */
}

int main(void) {
    clock_init();
    hash_init();
    db_init(1);
    catalog_register(rows);
    catalog_register(tx_module.commands);
    catalog_ready();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(requests_are_queued_and_run_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(an_empty_transaction, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_begin_or_end, setup, teardown),
        cmocka_unit_test_setup_teardown(replies_are_muted_piece_by_piece, setup, teardown),
        cmocka_unit_test_setup_teardown(a_long_queue_keeps_every_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(a_long_queue_wastes_little, setup, teardown),
        cmocka_unit_test_setup_teardown(refused_requests_spoil_it, setup, teardown),
        cmocka_unit_test_setup_teardown(outside_of_it_a_refusal_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refused_exec_ends_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_touched_key_makes_it_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(untouched_keys_do_not, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_that_is_due_makes_it_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(unwatch_forgets_the_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(unwatch_inside_exec_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(flags_are_those_of_the_queue, setup, teardown),
        cmocka_unit_test_setup_teardown(the_client_may_be_closed_by_what_it_runs, setup, teardown),
        cmocka_unit_test_setup_teardown(forgetting_and_reset_end_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_queued_script_counts_as_what_it_says, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
