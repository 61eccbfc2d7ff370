/* The cron: ticks come `hz` times a second in their order; idle clients are found in bounded steps, each in its turn;
 * and a turn of the loop does its parts in order and sleeps until there is work. The wave, the shutdown and the
 * clients' output limits are fakes. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/module.h"
#include "conf/config.h"
#include "exec/memory.h"
#include "exec/wave.h"
#include "net/loop.h"
#include "process/cron.h"
#include "process/shutdown.h"
#include "publish/pubsub.h"
#include "session/client.h"
#include "session/client_evict.h"
#include "session/limits.h"
#include "session/server_metrics.h"
#include "store/db.h"
#include "store/evict.h"
#include "store/ticks.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

extern const struct module cron_module;

/* --- Fakes ----------------------------------------------------------------------------------- */

static struct buf done; /* what was called, in order */

static void expect_done(const char *expected) {
    buf_append(&done, "", 1);
    assert_string_equal(done.data, expected);
    buf_free(&done);
}

static bool unsettled, subscribers, over_limit;
bool client_evict_is_on;

void wave_serve_waiting(void) {
    buf_append_cstr(&done, "waiting ");
}
void wave_run(void) {
    buf_append_cstr(&done, "run ");
}
void wave_send(void) {
    buf_append_cstr(&done, "send ");
}
bool wave_is_unsettled(void) {
    return unsettled;
}
bool memory_turn(void) {
    buf_append_cstr(&done, "evict ");
    return over_limit;
}
void shutdown_turn(void) {
    buf_append_cstr(&done, "shutdown ");
}
bool pubsub_any(void) {
    return subscribers;
}

enum { CLIENTS = 1000 };
static struct client clients[CLIENTS];
static int looked[CLIENTS], closed[CLIENTS], weighed[CLIENTS];
struct client *client_first, *client_cursor;
struct client *client_current, *client_writing;

size_t client_count(void) {
    return CLIENTS;
}
void client_reap(void) {
    buf_append_cstr(&done, "reap ");
}
void client_close(struct client *c) {
    closed[c - clients]++;
}
void client_limit_output(struct client *c) {
    looked[c - clients]++;
}
void client_evict_note(struct client *c) {
    weighed[c - clients]++;
}

/* --- Ticks ----------------------------------------------------------------------------------- */

static int ticks;

static void first_tick(void) {
    ticks++;
    buf_append_cstr(&done, "1");
}
static void second_tick(void) {
    buf_append_cstr(&done, "2 ");
}

static void set(const char *name, const char *value) {
    struct config_error error;
    assert_true(config_set((struct slice[]){slice_cstr(name), slice_cstr(value)}, 1, true, &error));
}

static void hz_stays_within_its_bounds(void **state) {
    (void)state;
    assert_int_equal(cron_hz(), 10);
    set("hz", "0");
    assert_int_equal(cron_hz(), 1);
    set("hz", "100000");
    assert_int_equal(cron_hz(), 500);
    set("hz", "250");
    assert_int_equal(cron_hz(), 250);
}

static int sleep_until_a_timer(void) {
    if (ticks >= 5) loop_stop();
    return -1;
}

/* The fifth tick comes after at least as many periods; how much later depends on the machine. */
static void ticks_come_hz_times_a_second_in_their_order(void **state) {
    (void)state;
    set("hz", "100");
    cron_add(first_tick);
    cron_add(second_tick);
    clock_cached_ms = 1000000;
    int64_t began_us = clock_mono_us();
    cron_module.start();
    assert_true(ticks_began_ms(ticks_now) > 0); /* set before the first request */
    loop_run(sleep_until_a_timer);
    assert_true(clock_mono_us() - began_us >= 50000);
    expect_done("12 12 12 12 12 ");
    assert_true(clock_now_ms() > 1000000); /* a tick refreshes the clock */
}

static void tick(void) {
    int before = ticks;
    while (ticks == before)
        loop_poll(sleep_until_a_timer);
    buf_free(&done);
}

/* --- Clients --------------------------------------------------------------------------------- */

static int sum(const int *counts) {
    int n = 0;
    for (int i = 0; i < CLIENTS; i++)
        n += counts[i];
    return n;
}

static void reset_clients(int n) {
    memset(looked, 0, sizeof looked);
    memset(closed, 0, sizeof closed);
    memset(weighed, 0, sizeof weighed);
    memset(clients, 0, sizeof clients);
    for (int i = 0; i < n; i++) {
        clients[i].active_ms = clock_steady_ms();
        clients[i].next = i + 1 < n ? &clients[i + 1] : NULL;
    }
    client_first = n ? &clients[0] : NULL;
    client_cursor = NULL;
    memset(limits_options.output_limit, 0, sizeof limits_options.output_limit);
    limits_options.timeout_s = 0;
    subscribers = client_evict_is_on = false;
}

static void nobody_is_inspected_without_a_limit(void **state) {
    (void)state;
    set("hz", "500");
    reset_clients(CLIENTS);
    tick();
    limits_options.output_limit[LIMITS_PUBSUB].soft = 1;
    tick(); /* there are no subscribers */
    assert_int_equal(sum(looked) + sum(closed), 0);
    subscribers = true;
    tick();
    assert_true(sum(looked) > 0);
    reset_clients(CLIENTS);
    limits_options.output_limit[LIMITS_NORMAL].soft = 1;
    tick();
    assert_true(sum(looked) > 0);
    assert_int_equal(sum(weighed), 0);
    reset_clients(CLIENTS);
    client_evict_is_on = true;
    tick();
    assert_true(sum(weighed) > 0);
}

/* Each tick looks at a bounded number of clients, and the next one goes on behind them. */
static void clients_are_inspected_in_turn(void **state) {
    (void)state;
    reset_clients(CLIENTS);
    limits_options.timeout_s = 3600;
    tick();
    int step = sum(looked);
    assert_true(step > 0 && step < CLIENTS / 2);
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(looked[i], i < step);
    for (int n = 1; n < (CLIENTS + step - 1) / step; n++)
        tick();
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(looked[i], 1);
    assert_null(client_cursor);
    tick();
    assert_int_equal(looked[0], 2);
}

static void few_clients_are_inspected_once_a_tick(void **state) {
    (void)state;
    reset_clients(0);
    limits_options.timeout_s = 3600;
    tick();
    reset_clients(3);
    limits_options.timeout_s = 3600;
    client_cursor = &clients[1];
    tick();
    assert_true(looked[0] == 0 && looked[1] == 1 && looked[2] == 1);
    tick();
    assert_true(looked[0] == 1 && looked[1] == 2 && looked[2] == 2);
}

static void idle_clients_are_closed(void **state) {
    (void)state;
    reset_clients(4);
    limits_options.timeout_s = 100;
    for (int i = 0; i < 4; i++)
        clients[i].active_ms = clock_steady_ms() - 101000;
    clients[1].subscriber = (struct subscriber *)&done; /* subscribers and waiting clients may be idle */
    clients[2].flags = CLIENT_WAITS;
    clients[3].active_ms += 60000;
    tick();
    assert_true(closed[0] == 1 && closed[1] == 0 && closed[2] == 0 && closed[3] == 0);
    assert_true(looked[0] == 0 && looked[1] == 1 && looked[2] == 1 && looked[3] == 1);
}

/* Input and output that last are noted by every round, or the peaks would forget them. */
static void buffers_in_use_are_noted(void **state) {
    (void)state;
    reset_clients(3);
    clients[1].conn.out_bytes = 5000;
    tick();
    assert_int_equal(server_metrics_peaks().output, 0); /* without buffers nobody looks */
    conn_metrics.output_bytes = 5000;
    tick();
    assert_int_equal(server_metrics_peaks().output, 5000);
    conn_metrics.output_bytes = 0;
}

/* --- Turns ----------------------------------------------------------------------------------- */

static void set_key(const char *name, int64_t deadline_ms) {
    struct key key = key_of(slice_cstr(name));
    db_set_string(db_at(0), &key, NULL, SLICE("v"), deadline_ms);
}

static void a_turn_does_its_parts_in_order(void **state) {
    (void)state;
    uint64_t turns = server_metrics.turns, spent = server_metrics.turn_ticks;
    buf_free(&done);
    assert_int_equal(cron_turn(), -1); /* nothing waits for the clock */
    expect_done("run evict waiting send shutdown reap ");
    assert_int_equal(server_metrics.turns, turns + 1);
    assert_true(server_metrics.turn_ticks > spent);
    unsettled = true;
    assert_int_equal(cron_turn(), 0);
    unsettled = false;
    over_limit = true; /* there is more to evict */
    assert_int_equal(cron_turn(), 0);
    over_limit = false;
    buf_free(&done);
}

static void the_loop_sleeps_until_a_key_expires(void **state) {
    (void)state;
    clock_update();
    set_key("later", clock_now_ms() + 10 * 60000);
    int wait_ms = cron_turn();
    assert_true(wait_ms > 0 && wait_ms <= 60000);
    set_key("soon", clock_now_ms() + 50);
    wait_ms = cron_turn();
    assert_in_range(wait_ms, 0, 51);
    while (db_size(db_at(0)) == 2)
        cron_turn();
    assert_int_equal(db_size(db_at(0)), 1);
    db_shutdown();
}

static int start(void **state) {
    (void)state;
    hash_init();
    clock_init();
    clock_update();
    db_init(1);
    config_register(cron_module.options);
    return loop_init(16) ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hz_stays_within_its_bounds),
        cmocka_unit_test(ticks_come_hz_times_a_second_in_their_order),
        cmocka_unit_test(nobody_is_inspected_without_a_limit),
        cmocka_unit_test(clients_are_inspected_in_turn),
        cmocka_unit_test(few_clients_are_inspected_once_a_tick),
        cmocka_unit_test(idle_clients_are_closed),
        cmocka_unit_test(buffers_in_use_are_noted),
        cmocka_unit_test(a_turn_does_its_parts_in_order),
        cmocka_unit_test(the_loop_sleeps_until_a_key_expires),
    };
    int failed = cmocka_run_group_tests(tests, start, NULL);
    db_shutdown();
    return failed;
}
