/* Waiting alone: which changes make a key ready, in which order clients are served, how a wait ends, and what is held
 * meanwhile. The commands that wait are made by hand; ending a call is a fake. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/module.h"
#include "catalog/catalog.h"
#include "exec/block.h"
#include "exec/call.h"
#include "exec/exec_lab.h"
#include "session/client_lab.h"
#include "session/ready.h"
#include "session/reply.h"
#include "store/changes.h"
#include "store/db.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

extern const struct module block_module;

enum { CLIENTS = 4 };

static struct client *clients[CLIENTS];
static int ends[CLIENTS];
static size_t used;

/* --- The neighbours -------------------------------------------------------------------------- */

bool call_is_nested;

void call_end(struct request *r, void (*reply)(struct client *c)) {
    assert_true(slice_eq(r->argv[0], SLICE("take")));
    assert_false(r->client->flags & CLIENT_WAITS);
    reply(r->client);
}

/* --- A command that waits -------------------------------------------------------------------- */

static int64_t timeout_ms;
static enum entry_type awaited_type;
static struct buf events; /* "0:7 " for each event of client 0 with context 7 that has ended */
static struct buf runs;   /* "1 " for each time that client 1's request is run again */
static void (*during_run)(int who);

static void times_out(struct client *c) {
    reply_status(c, "timeout");
}

static int index_of(const struct client *c) {
    for (int i = 0; i < CLIENTS; i++)
        if (clients[i] == c) return i;
    return -1;
}

/* If it is not NULL, `take` waits for what this wish says. */
static const struct block_wish *wish;

/* take KEY...: replies the first key that exists and removes it, or waits for one. */
static void take(struct request *r) {
    for (int i = 1; i < r->argc; i++) {
        struct key key = key_of(r->argv[i]);
        struct entry *e = db_look(r->client->db, &key);
        if (e == NULL || entry_type(e) != awaited_type) continue;
        reply_bulk(r->client, key.name);
        db_remove(r->client->db, &key, e);
        return;
    }
    if (wish)
        block_for(r, wish, r->argv + 1, r->argc - 1, timeout_ms, times_out);
    else
        block_on(r, awaited_type, r->argv + 1, r->argc - 1, timeout_ms, times_out);
}

/* As block_serve() wants it. */
static void run_again(struct request *r) {
    buf_printf(&runs, "%d ", index_of(r->client));
    assert_ptr_equal(client_current, r->client);
    assert_false(r->client->flags & CLIENT_WAITS);
    assert_true(slice_eq(r->key.name, r->argv[1])); /* the request is prepared, and its own copy */
    take(r);
    if (during_run) during_run(index_of(r->client));
}

static const struct command rows[] = {LAB_ROW("take", take, -2, .first_key = 1), {NULL}};

static void run(int who, const char *text) {
    struct request r = lab_request(clients[who], text);
    struct conn_range range;
    conn_open(&range, CONN_NO_LIMIT);
    take(&r);
    conn_push(&clients[who]->conn, &range);
}

static const char *sent_to(int who) {
    conn_flush(NULL);
    return lab_heard(ends[who]);
}

/* --- Keys ------------------------------------------------------------------------------------ */

static void set_key(int db, const char *name) {
    struct key key = key_of(slice_cstr(name));
    struct entry *old = db_write(db_at(db), &key);
    db_set_string(db_at(db), &key, old, SLICE("v"), ENTRY_NO_TTL);
    db_changed(db_at(db), &key, DB_STRING, "set");
}

static void remove_key(int db, const char *name) {
    struct key key = key_of(slice_cstr(name));
    db_remove(db_at(db), &key, db_write(db_at(db), &key));
    db_changed(db_at(db), &key, DB_GENERIC, "del");
}

/* Serve; then the requests of these clients were run again. */
static void expect_runs(const char *expected) {
    runs.len = 0;
    if (block_ready) block_serve(run_again);
    assert_false(block_ready);
    buf_append(&runs, "", 1);
    assert_string_equal(runs.data, expected);
}

static bool waits(int who) {
    return clients[who]->flags & CLIENT_WAITS;
}

/* --- Setup ----------------------------------------------------------------------------------- */

static void ignore(struct loop_source *source, uint32_t events) {
    (void)source;
    (void)events;
}

static int setup(void **state) {
    (void)state;
    clock_update();
    timeout_ms = BLOCK_FOR_EVER;
    awaited_type = ENTRY_STRING;
    wish = NULL;
    during_run = NULL;
    call_is_nested = false;
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = lab_connect(&ends[i], ignore);
    conn_flush(NULL);
    buf_free(&runs);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    while (ready_take()) {
    }
    for (int i = 0; i < CLIENTS; i++) {
        client_close(clients[i]);
        close(ends[i]);
    }
    client_reap();
    buf_free(&events);
    if (block_ready) block_serve(run_again); /* forgets keys that are still in the ready list */
    assert_true(block_metrics.clients == 0 && block_metrics.postponed == 0 && block_metrics.deadlines == 0);
    assert_true(block_metrics.keys == 0 && block_metrics.keys_gone == 0);
    assert_null(db_hooks.changed); /* no client waits: no change is listened to */
    for (int i = 0; i < db_count(); i++)
        db_empty(db_at(i), false);
    return 0;
}

/* --- Becoming ready -------------------------------------------------------------------------- */

static void a_new_key_wakes_its_clients(void **state) {
    (void)state;
    run(0, "take a b");
    assert_true(waits(0));
    assert_non_null(db_hooks.changed);
    set_key(0, "other");
    set_key(1, "a"); /* in another database */
    expect_runs("");
    set_key(0, "b");
    assert_string_equal(sent_to(0), ""); /* not before it is served */
    expect_runs("0 ");
    assert_string_equal(sent_to(0), "$1\r\nb\r\n");
    assert_false(waits(0));
    assert_null(clients[0]->waiter);
}

static void first_come_first_served(void **state) {
    (void)state;
    run(2, "take k");
    run(0, "take k");
    run(1, "take k");
    set_key(0, "k");
    expect_runs("2 "); /* it took the key: the others have nothing to look for */
    set_key(0, "k");
    expect_runs("0 ");
    set_key(0, "k");
    expect_runs("1 ");
}

static void keys_are_served_in_the_order_of_becoming_ready(void **state) {
    (void)state;
    run(0, "take a");
    run(1, "take b");
    run(2, "take c");
    set_key(0, "c");
    set_key(0, "a");
    set_key(0, "b");
    set_key(0, "c"); /* it has a place already */
    expect_runs("2 0 1 ");
}

static void a_client_in_the_middle_may_leave(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++)
        run(i, "take k");
    client_close(clients[1]);
    run(3, "take k");
    static const char *const order[] = {"0 ", "2 ", "3 "};
    for (int i = 0; i < 3; i++) {
        set_key(0, "k");
        expect_runs(order[i]);
    }
}

static void a_key_that_has_gone_again_wakes_no_client(void **state) {
    (void)state;
    run(0, "take k");
    set_key(0, "k");
    assert_true(block_ready);
    remove_key(0, "k");
    expect_runs("");
    assert_true(waits(0));
    assert_int_equal(block_metrics.keys, 1);
}

static void only_events_that_may_bring_a_value_are_heard(void **state) {
    (void)state;
    static const struct {
        unsigned class;
        bool heard;
    } events[] = {{DB_NEW, true},    {DB_GENERIC, true}, {DB_LIST, true},     {DB_ZSET, true},
                  {DB_STREAM, true}, {DB_MODULE, true},  {DB_STRING, false},  {DB_EXPIRED, false},
                  {DB_HASH, false},  {DB_SET, false},    {DB_EVICTED, false}, {DB_MISS, false}};
    struct key key = key_of(SLICE("k"));
    run(0, "take k");
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        db_notify(db_at(0), &key, events[i].class, "event");
        assert_int_equal(block_ready, events[i].heard);
        expect_runs("");
    }
}

static void clients_that_wait_for_another_type_are_skipped(void **state) {
    (void)state;
    awaited_type = ENTRY_LIST;
    run(0, "take k");
    awaited_type = ENTRY_STRING;
    run(1, "take k");
    set_key(0, "k");
    expect_runs("1 ");
    assert_true(waits(0));
    assert_string_equal(sent_to(1), "$1\r\nk\r\n");
}

static void a_key_twice_is_one_wait(void **state) {
    (void)state;
    run(0, "take k k j k");
    assert_int_equal(block_metrics.keys, 2);
    set_key(0, "k");
    expect_runs("0 ");
    assert_int_equal(block_metrics.keys, 0);
}

static void flushing_and_swapping_look_at_every_key(void **state) {
    (void)state;
    run(0, "take k");
    clients[1]->db = db_at(1);
    run(1, "take k");
    set_key(2, "k");
    expect_runs("");
    db_swap(1, 2);
    assert_true(block_ready);
    expect_runs("1 ");
    assert_true(waits(0));
    db_empty(db_at(0), false);
    assert_true(block_ready); /* DEBUG RELOAD and others bring keys behind a flush */
    expect_runs("");
}

/* --- Kinds of waits -------------------------------------------------------------------------- */

/* Judges by the value: a digit, which must be above the mark. A subject that is in the value stops its queue. */
static struct buf judged;

static enum block_verdict judge(const struct entry *e, struct slice subject, const struct block_mark *mark) {
    const char *value = entry_value(e);
    buf_printf(&judged, "%.*s%d ", (int)subject.len, subject.ptr, (int)mark->low);
    if (subject.len && memchr(value, subject.ptr[0], e->value_len)) return BLOCK_SERVE_NOBODY;
    return value[0] > (char)('0' + mark->low) ? BLOCK_SERVE : BLOCK_SKIP;
}

static const struct block_kind judging = {.type = ENTRY_STRING, .judge = judge};
static const struct block_kind asking = {.type = ENTRY_LIST, .also_gone = true};

static void run_for(int who, const char *text, struct slice subject, int mark, int other_mark) {
    struct block_mark marks[] = {{0, (uint64_t)mark}, {0, (uint64_t)other_mark}};
    wish = &(struct block_wish){&judging, subject, marks};
    run(who, text);
    wish = NULL;
}

static void set_value(const char *name, const char *value) {
    struct key key = key_of(slice_cstr(name));
    db_set_text(db_at(0), &key, db_write(db_at(0), &key), slice_cstr(value), ENTRY_NO_TTL);
    db_changed(db_at(0), &key, DB_GENERIC, "set");
}

static void expect_judged(const char *expected) {
    buf_append(&judged, "", 1);
    assert_string_equal(judged.data, expected);
    buf_free(&judged);
}

static void waits_are_judged_by_their_marks(void **state) {
    (void)state;
    run_for(0, "take k j", slice_of("", 0), 5, 7);
    run_for(1, "take k", slice_of("", 0), 2, 0);
    run_for(2, "take j j", slice_of("", 0), 9, 3); /* with marks, a key twice is two waits */
    set_value("k", "3");
    expect_runs("1 ");
    expect_judged("5 2 ");
    set_value("j", "5");
    expect_runs("2 ");
    expect_judged("7 9 3 ");
    assert_true(waits(0));
    set_value("j", "8");
    expect_runs("0 ");
    expect_judged("7 ");
}

static void a_subject_has_a_queue_of_its_own(void **state) {
    (void)state;
    run_for(0, "take k", SLICE("a"), 0, 0);
    run_for(1, "take k", SLICE("a"), 0, 0);
    run_for(2, "take k", SLICE("b"), 9, 0);
    run_for(3, "take k", SLICE("b"), 0, 0);
    assert_int_equal(block_metrics.keys, 1);
    set_value("k", "5a"); /* nobody of a, and the second of b */
    expect_runs("3 ");
    expect_judged("a0 b9 b0 ");
}

static void some_ask_when_the_key_is_gone(void **state) {
    (void)state;
    static const struct block_wish gone = {.kind = &asking};
    wish = &gone;
    run(0, "take k");
    assert_int_equal(block_metrics.keys_gone, 1);
    struct key key = key_of(SLICE("k"));
    db_notify(db_at(0), &key, DB_EXPIRED, "expired"); /* the key is absent */
    expect_runs("0 ");
    assert_true(waits(0));
    set_value("k", "1"); /* of another type, which `take` takes */
    expect_runs("0 ");
    assert_false(waits(0));
    assert_int_equal(block_metrics.keys_gone, 0);
    wish = &gone;
    run(0, "take k");
    db_empty(db_at(0), false);
    expect_runs("0 ");
    assert_true(waits(0));
    wish = NULL;
}

/* Clients 0 and 1 wait for a list, and are asked each time. Who waits again is where it was. */
static void a_client_that_is_run_in_vain_keeps_its_place(void **state) {
    (void)state;
    wish = &(struct block_wish){.kind = &asking};
    for (int i = 0; i < 3; i++)
        run(i, "take k");
    struct key key = key_of(SLICE("k"));
    for (int i = 0; i < 2; i++) {
        db_notify(db_at(0), &key, DB_GENERIC, "del");
        expect_runs("0 1 2 ");
    }
    client_close(clients[1]);
    db_notify(db_at(0), &key, DB_GENERIC, "del");
    expect_runs("0 2 ");
    wish = NULL;
}

static void words_may_be_replaced_for_the_next_run(void **state) {
    (void)state;
    struct request r = lab_request(clients[0], "take $");
    struct slice raw = r.raw;
    r.argv[1] = SLICE("other");
    r.raw = slice_of(NULL, 0);
    block_on(&r, ENTRY_STRING, r.argv + 1, 1, BLOCK_FOR_EVER, times_out);
    r.raw = raw;
    set_key(0, "other");
    expect_runs("0 ");
    assert_string_equal(sent_to(0), "$5\r\nother\r\n");
}

/* --- While serving --------------------------------------------------------------------------- */

static void run_makes_ready(int who) {
    if (who == 0) set_key(0, "second");
}

static void serving_may_make_further_keys_ready(void **state) {
    (void)state;
    during_run = run_makes_ready;
    run(0, "take first");
    run(1, "take second");
    set_key(0, "first");
    expect_runs("0 1 ");
    assert_string_equal(sent_to(1), "$6\r\nsecond\r\n");
}

static void run_serves(int who) {
    if (who != 0) return;
    set_key(0, "second");
    size_t before = runs.len;
    block_serve(run_again); /* as a command inside the request would */
    assert_int_equal(runs.len, before);
}

static void serving_does_not_nest(void **state) {
    (void)state;
    during_run = run_serves;
    run(0, "take first");
    run(1, "take second");
    set_key(0, "first");
    expect_runs("0 1 ");
}

static void run_closes_itself(int who) {
    client_close(clients[who]);
}

static void a_client_may_be_closed_by_its_own_request(void **state) {
    (void)state;
    during_run = run_closes_itself;
    run(0, "take k");
    struct request r = lab_request(clients[0], "take behind");
    block_hold(&r);
    clients[0]->flags |= CLIENT_UNPARSED;
    set_key(0, "k");
    expect_runs("0 ");
    assert_null(ready_take());
    assert_null(clients[0]->waiter);
}

static void run_closes_the_next(int who) {
    if (who != 0) return;
    set_key(0, "k");
    client_close(clients[1]);
}

static void the_next_client_may_be_closed_meanwhile(void **state) {
    (void)state;
    during_run = run_closes_the_next;
    run(0, "take k");
    run(1, "take k");
    run(2, "take k");
    set_key(0, "k");
    expect_runs("0 2 ");
}

/* Clients that find nothing and wait again join the end of the key's list, whose beginning is served only. */
static void clients_that_wait_again_are_not_served_twice(void **state) {
    (void)state;
    run(0, "take k");
    run(1, "take k");
    set_key(0, "k");
    awaited_type = ENTRY_LIST; /* the value that they find now is not what they want */
    struct request r = lab_request(clients[0], "take behind");
    block_hold(&r);
    expect_runs("0 1 ");
    assert_true(waits(0) && waits(1));
    assert_null(ready_take()); /* though a request is held behind */
}

/* Each client that waits when serving begins is served at most once. */
static void clients_that_have_gone_are_not_counted(void **state) {
    (void)state;
    run(0, "take k");
    run(1, "take k");
    client_close(clients[0]);
    set_key(0, "k");
    awaited_type = ENTRY_LIST;
    expect_runs("1 "); /* in vain, and once */
}

/* A key that was in the ready list before has left nothing of its place there. */
static void a_key_may_be_ready_again(void **state) {
    (void)state;
    run(0, "take a");
    run(1, "take b");
    set_key(0, "a");
    remove_key(0, "a");
    set_key(0, "b");
    expect_runs("1 ");
    set_key(0, "a");
    expect_runs("0 ");
}

static void the_current_client_is_restored(void **state) {
    (void)state;
    run(0, "take k");
    set_key(0, "k");
    client_current = clients[3];
    block_serve(run_again);
    assert_ptr_equal(client_current, clients[3]);
    client_current = NULL;
}

/* --- The end of a wait ----------------------------------------------------------------------- */

static int no_turn(void) {
    return 0;
}

/* Turn the loop until the client waits no longer, for at most ten seconds. */
static void await_timeout(int who) {
    int64_t start_us = clock_mono_us();
    while (waits(who) && clock_mono_us() - start_us < 10000000)
        loop_poll(no_turn);
    assert_false(waits(who));
}

static void a_timeout_replies(void **state) {
    (void)state;
    timeout_ms = 10;
    int64_t start_us = clock_mono_us();
    run(0, "take a b");
    assert_int_equal(block_metrics.deadlines, 1);
    timeout_ms = INT64_MAX; /* beyond any clock: none */
    run(1, "take a");
    assert_int_equal(block_metrics.deadlines, 1);
    await_timeout(0);
    assert_true(clock_mono_us() - start_us >= 10000);
    assert_string_equal(sent_to(0), "+timeout\r\n");
    assert_int_equal(block_metrics.deadlines, 0);
    assert_int_equal(block_metrics.keys, 1);
    assert_null(clients[0]->waiter);
    assert_true(waits(1));
}

/* A client that is served in vain waits no longer than it asked for. */
static void a_request_that_is_run_again_keeps_its_deadline(void **state) {
    (void)state;
    timeout_ms = 20;
    int64_t start_us = clock_mono_us();
    run(0, "take k");
    while (clock_mono_us() - start_us < 10000) {
    }
    set_key(0, "k");
    awaited_type = ENTRY_LIST; /* it is run, finds nothing, and waits again */
    timeout_ms = 60000;
    expect_runs("0 ");
    assert_true(waits(0));
    assert_int_equal(block_metrics.deadlines, 1);
    await_timeout(0);
    assert_true(clock_mono_us() - start_us >= 20000);
    timeout_ms = 60000; /* but the next request has its own */
    run(0, "take k");
    int64_t again_us = clock_mono_us();
    while (clock_mono_us() - again_us < 1000)
        loop_poll(no_turn);
    assert_true(waits(0));
}

static void unblocks(struct client *c) {
    reply_error(c, "UNBLOCKED");
}

static void a_wait_can_be_ended_from_outside(void **state) {
    (void)state;
    assert_false(block_end(clients[0], NULL));
    run(0, "take k");
    run(1, "take k");
    assert_true(block_end(clients[0], NULL));
    assert_true(block_end(clients[1], unblocks));
    assert_false(block_end(clients[0], NULL));
    assert_string_equal(sent_to(0), "+timeout\r\n");
    assert_string_equal(sent_to(1), "-UNBLOCKED\r\n");
    assert_int_equal(block_metrics.keys, 0);
}

static void where_nothing_may_wait_it_times_out_at_once(void **state) {
    (void)state;
    call_is_nested = true;
    run(0, "take k");
    assert_string_equal(sent_to(0), "+timeout\r\n");
    assert_null(clients[0]->waiter);
}

static void a_closed_client_leaves_nothing_behind(void **state) {
    (void)state;
    timeout_ms = 60000;
    run(0, "take a b");
    run(1, "take b c");
    struct request r = lab_request(clients[0], "take held");
    block_hold(&r);
    assert_int_equal(block_metrics.clients, 2);
    assert_int_equal(block_metrics.keys, 3);
    set_key(0, "b"); /* it is in the ready list */
    client_close(clients[0]);
    client_close(clients[1]);
    assert_int_equal(block_metrics.clients + block_metrics.deadlines, 0);
    assert_true(clients[0]->waiter == NULL && clients[1]->waiter == NULL);
    expect_runs("");
    assert_int_equal(block_metrics.keys, 0);
}

/* All ways to begin and to end a wait. */
static void wait_in_every_way(void) {
    timeout_ms = 60000;
    run(0, "take a b");
    run(1, "take b c a");
    struct request r = lab_request(clients[0], "take held");
    block_hold(&r);
    set_key(0, "b");
    expect_runs("0 ");
    ready_take();
    block_release(block_next(clients[0]));
    assert_null(block_next(clients[0]));
    assert_true(block_end(clients[1], NULL));
    r = lab_request(clients[2], "take postponed");
    block_postpone(&r);
    block_resume_all();
    ready_take();
    block_release(block_next(clients[2]));
    assert_null(block_next(clients[2]));
    block_postpone(&r);
    block_hold(&r);
    block_module.part->forget(clients[2]);
    run(3, "take a b c");
    block_module.part->forget(clients[3]);
    conn_flush(NULL);
}

static void nothing_is_leaked(void **state) {
    (void)state;
    wait_in_every_way(); /* allocates what is kept */
    used = alloc_used();
    for (int i = 0; i < 10; i++)
        wait_in_every_way();
    assert_int_equal(alloc_used(), used);
}

/* --- Held requests --------------------------------------------------------------------------- */

static void hold(int who, const char *text) {
    struct request r = lab_request(clients[who], text);
    block_hold(&r);
}

static void expect_held(int who, const char *key) {
    struct held_request *held = block_next(clients[who]);
    assert_non_null(held);
    struct request *r = block_request(held);
    assert_ptr_equal(r->client, clients[who]);
    assert_true(slice_eq(r->argv[1], slice_cstr(key)));
    assert_true(slice_eq(r->key.name, slice_cstr(key)));
    block_release(held);
}

static void held_requests_come_in_order(void **state) {
    (void)state;
    run(0, "take k");
    hold(0, "take one");
    hold(0, "take two");
    hold(0, "take three");
    assert_null(block_next(clients[0])); /* it waits */
    size_t bytes = block_module.part->memory(clients[0]);
    assert_true(bytes > 4 * sizeof(struct request));
    set_key(0, "k");
    expect_runs("0 ");
    assert_ptr_equal(ready_take(), clients[0]); /* it has a place in the wave */
    assert_null(ready_take());
    expect_held(0, "one");
    assert_true(block_module.part->memory(clients[0]) < bytes);
    expect_held(0, "two");
    assert_non_null(clients[0]->waiter);
    expect_held(0, "three");
    assert_null(clients[0]->waiter);
    assert_null(block_next(clients[0]));
    assert_int_equal(block_module.part->memory(clients[0]), 0);
}

/* The last held request is taken and held again: others join behind it. */
static void a_request_that_waits_again_is_before_those_behind(void **state) {
    (void)state;
    run(0, "take k");
    set_key(0, "k");
    awaited_type = ENTRY_LIST;
    expect_runs("0 "); /* in vain */
    hold(0, "take one");
    hold(0, "take two");
    assert_true(block_end(clients[0], NULL));
    expect_held(0, "one");
    expect_held(0, "two");
    assert_null(block_next(clients[0]));
}

static void a_client_that_does_not_wait_may_have_held_requests(void **state) {
    (void)state;
    hold(0, "take one");
    hold(0, "take two");
    expect_held(0, "one");
    hold(0, "take three");
    expect_held(0, "two");
    expect_held(0, "three");
    assert_null(clients[0]->waiter);
}

/* A held request that waits in its turn goes before those that are still held. */
static void a_held_request_may_wait(void **state) {
    (void)state;
    run(0, "take k");
    hold(0, "take one");
    hold(0, "take two");
    set_key(0, "k");
    expect_runs("0 ");
    ready_take();
    struct held_request *held = block_next(clients[0]);
    take(block_request(held));
    block_release(held);
    assert_true(waits(0));
    assert_null(block_next(clients[0]));
    set_key(0, "one");
    expect_runs("0 ");
    assert_string_equal(sent_to(0), "$1\r\nk\r\n$3\r\none\r\n");
    expect_held(0, "two");
}

static void a_client_without_more_to_do_is_not_ready(void **state) {
    (void)state;
    run(0, "take k");
    set_key(0, "k");
    expect_runs("0 ");
    assert_null(ready_take());
    run(0, "take k");
    clients[0]->flags |= CLIENT_UNPARSED; /* its stashed input goes on */
    set_key(0, "k");
    expect_runs("0 ");
    assert_ptr_equal(ready_take(), clients[0]);
    client_clear(clients[0], CLIENT_UNPARSED);
}

/* --- Its socket while it waits --------------------------------------------------------------- */

static void input_stays_until_the_wait_is_over(void **state) {
    (void)state;
    run(0, "take k");
    block_heard(clients[0], LOOP_READ);
    assert_int_equal(clients[0]->conn.source.events, LOOP_READ); /* there was none */
    lab_say(ends[0], "PING\r\n");
    block_heard(clients[0], LOOP_READ);
    assert_int_equal(clients[0]->conn.source.events, LOOP_HANGUP);
    assert_false(clients[0]->flags & CLIENT_CLOSE_NOW);
    set_key(0, "k");
    expect_runs("0 ");
    assert_int_equal(clients[0]->conn.source.events, LOOP_READ);
    assert_ptr_equal(ready_take(), clients[0]); /* to be read */
}

static void a_hangup_closes(void **state) {
    (void)state;
    run(0, "take k");
    run(1, "take k");
    block_heard(clients[0], LOOP_HANGUP);
    assert_true(clients[0]->flags & CLIENT_CLOSE_NOW);
    close(ends[1]);
    ends[1] = dup(ends[0]);
    block_heard(clients[1], LOOP_READ); /* reads the end of the stream */
    assert_true(clients[1]->flags & CLIENT_CLOSE_NOW);
    assert_int_equal(block_metrics.clients, 0);
}

/* --- Postponing ------------------------------------------------------------------------------ */

static void postpone(int who, const char *text) {
    struct request r = lab_request(clients[who], text);
    block_postpone(&r);
}

static void postponed_clients_are_ready_in_order(void **state) {
    (void)state;
    postpone(2, "take c");
    postpone(0, "take a");
    postpone(3, "take d");
    postpone(1, "take b");
    assert_true(waits(0) && waits(1) && waits(2) && waits(3));
    assert_true(block_metrics.postponed == 4 && block_metrics.clients == 0);
    assert_false(block_end(clients[0], NULL)); /* it does not wait for a key */
    hold(0, "take behind");
    client_close(clients[3]);
    assert_int_equal(block_metrics.postponed, 3);
    block_resume_all();
    assert_int_equal(block_metrics.postponed, 0);
    assert_ptr_equal(ready_take(), clients[2]);
    assert_ptr_equal(ready_take(), clients[0]);
    assert_ptr_equal(ready_take(), clients[1]);
    assert_null(ready_take());
    expect_held(0, "a");
    expect_held(0, "behind");
    expect_held(1, "b");
    expect_held(2, "c");
    block_resume_all(); /* none is left */
}

/* --- Events ---------------------------------------------------------------------------------- */

static void event_ended(struct client *c, void *ctx) {
    buf_printf(&events, "%d:%d ", index_of(c), *(int *)ctx);
    assert_false(c->flags & CLIENT_WAITS);
}

static void expect_ended(const char *expected) {
    buf_append(&events, "", 1);
    assert_string_equal(events.data, expected);
    buf_free(&events);
}

static void replies_context(struct client *c) {
    reply_int(c, *(int *)block_context(c));
}

static const struct block_event event = {.ended = event_ended}, lasting = {.ended = event_ended, .stays = true};

static void await_event(int who, const struct block_event *what, int *ctx) {
    struct request r = lab_request(clients[who], "take place");
    struct conn_range range;
    conn_open(&range, CONN_NO_LIMIT);
    block_wait(&r, what, ctx, timeout_ms, replies_context);
    conn_push(&clients[who]->conn, &range);
}

static void an_event_is_finished_by_its_module(void **state) {
    int seven = 7, nine = 9;
    (void)state;
    await_event(0, &event, &seven);
    await_event(1, &event, &nine);
    hold(0, "take behind");
    assert_true(waits(0) && waits(1));
    assert_int_equal(block_metrics.clients, 2);
    assert_int_equal(block_metrics.keys, 0);
    assert_ptr_equal(block_context(clients[0]), &seven);
    set_key(0, "place"); /* keys are nothing to it */
    expect_runs("");
    block_resume_all();
    assert_true(waits(0));
    assert_true(block_finish(clients[0], replies_context));
    assert_false(block_finish(clients[0], replies_context));
    assert_null(block_context(clients[0]));
    assert_string_equal(sent_to(0), ":7\r\n");
    assert_string_equal(sent_to(1), "");
    expect_ended("0:7 ");
    assert_ptr_equal(ready_take(), clients[0]);
    expect_held(0, "behind");
}

static void waits_for_keys_are_no_events(void **state) {
    (void)state;
    run(0, "take k");
    postpone(1, "take k");
    assert_null(block_context(clients[0]));
    assert_false(block_finish(clients[0], replies_context));
    assert_false(block_finish(clients[1], replies_context));
    assert_false(block_finish(clients[2], replies_context));
}

static void an_event_has_a_deadline(void **state) {
    int seven = 7;
    (void)state;
    timeout_ms = 5;
    await_event(0, &event, &seven);
    assert_int_equal(block_metrics.deadlines, 1);
    while (waits(0))
        loop_poll(no_turn);
    assert_string_equal(sent_to(0), ":7\r\n");
    expect_ended("0:7 ");
}

static void an_event_can_be_ended_from_outside(void **state) {
    int seven = 7;
    (void)state;
    await_event(0, &event, &seven);
    await_event(1, &lasting, &seven);
    assert_true(block_end(clients[0], unblocks));
    assert_true(block_end(clients[1], NULL));
    assert_string_equal(sent_to(0), "-UNBLOCKED\r\n");
    assert_string_equal(sent_to(1), ":7\r\n");
    expect_ended("0:7 1:7 ");
    await_event(2, &event, &seven);
    client_close(clients[2]);
    expect_ended("2:7 ");
}

static void where_nothing_may_wait_an_event_is_over_at_once(void **state) {
    int seven = 7;
    (void)state;
    call_is_nested = true;
    await_event(0, &event, &seven);
    assert_false(waits(0));
    assert_null(block_context(clients[0]));
    assert_string_equal(sent_to(0), ":7\r\n");
    expect_ended("0:7 ");
}

static void closes_itself(struct client *c) {
    reply_status(c, "gone");
    client_close(c);
}

static void a_client_may_be_closed_by_its_answer(void **state) {
    int seven = 7;
    (void)state;
    await_event(0, &event, &seven);
    assert_true(block_finish(clients[0], closes_itself));
    buf_append(&events, "", 1);
    assert_string_equal(events.data, "0:7 ");
    buf_free(&events);
}

static void a_change_of_role_ends_waits(void **state) {
    int seven = 7;
    (void)state;
    run(0, "take k");
    await_event(1, &event, &seven);
    await_event(2, &lasting, &seven);
    postpone(3, "take k");
    block_end_all(unblocks);
    assert_string_equal(sent_to(0), "-UNBLOCKED\r\n");
    assert_string_equal(sent_to(1), "-UNBLOCKED\r\n");
    assert_true(clients[0]->flags & clients[1]->flags & CLIENT_CLOSE_AFTER_REPLY);
    assert_true(waits(2) && waits(3));
    expect_ended("1:7 ");
    block_finish(clients[2], replies_context);
    assert_false(client_is_leaving(clients[2]) || client_is_leaving(clients[3]));
    expect_ended("2:7 ");
}

static void says_nothing(struct client *c) {
    (void)c;
}

static void a_client_without_replies_is_closed_too(void **state) {
    (void)state;
    run(0, "take k");
    block_end_all(says_nothing); /* as with CLIENT REPLY OFF */
    assert_true(clients[0]->flags & CLIENT_CLOSE_NOW);
}

static void a_line_shows_that_it_waits(void **state) {
    (void)state;
    struct client_line line = {0};
    block_module.part->describe(clients[0], &line);
    assert_true(line.letters == 0);
    run(0, "take k");
    block_module.part->describe(clients[0], &line);
    assert_true(line.letters == (uint64_t)1 << ('b' - 'A'));
}

int main(void) {
    clock_init();
    hash_init();
    db_init(3);
    if (!loop_init(16)) return 1;
    catalog_register(rows);
    catalog_ready();
    client_register(block_module.part);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_key_wakes_its_clients, setup, teardown),
        cmocka_unit_test_setup_teardown(first_come_first_served, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_in_the_middle_may_leave, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_are_served_in_the_order_of_becoming_ready, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_that_has_gone_again_wakes_no_client, setup, teardown),
        cmocka_unit_test_setup_teardown(only_events_that_may_bring_a_value_are_heard, setup, teardown),
        cmocka_unit_test_setup_teardown(clients_that_wait_for_another_type_are_skipped, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_twice_is_one_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(flushing_and_swapping_look_at_every_key, setup, teardown),
        cmocka_unit_test_setup_teardown(waits_are_judged_by_their_marks, setup, teardown),
        cmocka_unit_test_setup_teardown(a_subject_has_a_queue_of_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(some_ask_when_the_key_is_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_that_is_run_in_vain_keeps_its_place, setup, teardown),
        cmocka_unit_test_setup_teardown(words_may_be_replaced_for_the_next_run, setup, teardown),
        cmocka_unit_test_setup_teardown(serving_may_make_further_keys_ready, setup, teardown),
        cmocka_unit_test_setup_teardown(serving_does_not_nest, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_may_be_closed_by_its_own_request, setup, teardown),
        cmocka_unit_test_setup_teardown(the_next_client_may_be_closed_meanwhile, setup, teardown),
        cmocka_unit_test_setup_teardown(clients_that_wait_again_are_not_served_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(clients_that_have_gone_are_not_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_may_be_ready_again, setup, teardown),
        cmocka_unit_test_setup_teardown(the_current_client_is_restored, setup, teardown),
        cmocka_unit_test_setup_teardown(a_timeout_replies, setup, teardown),
        cmocka_unit_test_setup_teardown(a_request_that_is_run_again_keeps_its_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wait_can_be_ended_from_outside, setup, teardown),
        cmocka_unit_test_setup_teardown(where_nothing_may_wait_it_times_out_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_closed_client_leaves_nothing_behind, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_leaked, setup, teardown),
        cmocka_unit_test_setup_teardown(held_requests_come_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_that_does_not_wait_may_have_held_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(a_request_that_waits_again_is_before_those_behind, setup, teardown),
        cmocka_unit_test_setup_teardown(a_held_request_may_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_without_more_to_do_is_not_ready, setup, teardown),
        cmocka_unit_test_setup_teardown(input_stays_until_the_wait_is_over, setup, teardown),
        cmocka_unit_test_setup_teardown(a_hangup_closes, setup, teardown),
        cmocka_unit_test_setup_teardown(postponed_clients_are_ready_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(an_event_is_finished_by_its_module, setup, teardown),
        cmocka_unit_test_setup_teardown(waits_for_keys_are_no_events, setup, teardown),
        cmocka_unit_test_setup_teardown(an_event_has_a_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(an_event_can_be_ended_from_outside, setup, teardown),
        cmocka_unit_test_setup_teardown(where_nothing_may_wait_an_event_is_over_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_may_be_closed_by_its_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(a_change_of_role_ends_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_without_replies_is_closed_too, setup, teardown),
        cmocka_unit_test_setup_teardown(a_line_shows_that_it_waits, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
