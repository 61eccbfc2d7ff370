/* The limit on memory alone: what a request pays, what a turn of the loop pays, who is refused, and what counts. Keys
 * are evicted at random, so only their number matters. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/module.h"
#include "base/rand.h"
#include "base/worker.h"
#include "conf/config.h"
#include "exec/call.h"
#include "exec/memory.h"
#include "net/conn.h"
#include "net/loop.h"
#include "session/client.h"
#include "session/gates.h"
#include "session/request.h"
#include "store/db.h"
#include "store/expire.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

extern const struct module memory_module, evict_module;

enum { KEY_BYTES = 300 }; /* about what a key of add_keys() takes, its place in the table included */

static void set(const char *name, const char *value) {
    struct config_error error;
    assert_true(config_set((struct slice[]){slice_cstr(name), slice_cstr(value)}, 1, true, &error));
}

/* A limit of so many bytes above what is in use. */
static void set_limit(int64_t above) {
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)alloc_used() + (long long)above);
    set("maxmemory", text);
}

static void add_keys(int n) {
    static int last;
    char name[32], value[240];
    memset(value, 'x', sizeof value);
    for (int i = 0; i < n; i++) {
        struct key key = key_of(slice_of(name, (size_t)snprintf(name, sizeof name, "key:%d", last++)));
        db_set_string(db_at(0), &key, NULL, slice_of(value, sizeof value), ENTRY_NO_TTL);
    }
}

static size_t keys(void) {
    return db_size(db_at(0));
}

static int64_t excess(void) {
    return (int64_t)alloc_used() - (int64_t)memory_options.limit;
}

/* Would a request with these flags be refused? Its check evicts. */
static bool refused(unsigned flags) {
    static struct client c;
    struct request r = {.client = &c};
    return gates_find_closed(&r, flags) != NULL;
}

static int setup(void **state) {
    (void)state;
    clock_update();
    set("maxmemory", "0");
    set("maxmemory-policy", "allkeys-random");
    set("maxmemory-eviction-tenacity", "10");
    db_empty(db_at(0), false);
    db_metrics.evicted = 0;
    return 0;
}

static void without_a_limit_nothing_is_asked(void **state) {
    (void)state;
    add_keys(100);
    assert_false(gates_may_stop());
    assert_false(memory_turn());
    set_limit(1000000);
    assert_false(gates_may_stop()); /* below the limit neither */
    assert_false(refused(CMD_DENYOOM));
    assert_false(memory_turn());
    set("maxmemory", "0");
    assert_false(gates_may_stop());
    assert_int_equal(keys(), 100);
}

static void free_block(void *block) {
    alloc_put(block, 10000000);
}

/* The main thread's balance is far above the limit then. */
static void what_the_worker_has_freed_does_not_close_the_gate(void **state) {
    (void)state;
    worker_start();
    worker_submit_free(free_block, alloc_get(10000000), 10000000);
    worker_drain();
    set_limit(100000);
    assert_false(gates_may_stop());
    add_keys(1000);
    assert_true(gates_may_stop());
    assert_false(refused(CMD_DENYOOM));
    assert_true(keys() < 1000 && !gates_may_stop());
    worker_submit_free(free_block, alloc_get(10000000), 10000000);
    worker_drain();
    assert_true(gates_may_stop()); /* until the figure is asked for */
    assert_false(refused(CMD_DENYOOM));
    assert_false(gates_may_stop());
    worker_stop();
}

static void a_request_brings_memory_below_the_limit(void **state) {
    (void)state;
    set_limit(100000);
    for (int i = 0; i < 2000; i++) {
        add_keys(1);
        assert_false(refused(CMD_DENYOOM));
        assert_true(excess() <= 0);
    }
    assert_true(db_metrics.evicted > 1000);
}

/* An excess that was there pays nobody but the turns; one that grows is paid for twice. */
static void a_request_pays_twice_what_was_allocated(void **state) {
    (void)state;
    add_keys(5000);
    set_limit(-1000000);
    assert_false(refused(CMD_DENYOOM));
    assert_int_equal(db_metrics.evicted, 1); /* it had to find out whether any may go */
    for (int round = 1; round <= 20; round++) {
        int64_t before = (int64_t)alloc_used();
        add_keys(20);
        int64_t grown = (int64_t)alloc_used() - before;
        assert_false(refused(CMD_DENYOOM));
        int64_t paid = before + grown - (int64_t)alloc_used();
        assert_true(paid >= 2 * grown && paid < 2 * grown + 5000);
        size_t left = keys();
        assert_false(refused(CMD_DENYOOM)); /* nothing is due now */
        assert_int_equal(keys(), left);
    }
}

/* What one request has brought may take longer to free: the next ones and the turns go on. */
static void a_request_pays_for_a_millisecond_at_most(void **state) {
    (void)state;
    set_limit(10000);
    add_keys(100000);
    assert_false(refused(CMD_DENYOOM));
    assert_true(excess() > 0 && keys() < 100000);
    while (memory_turn()) {
    }
    assert_true(excess() <= 0);
}

static void turns_evict_in_slices(void **state) {
    (void)state;
    add_keys(100000);
    set_limit(-20000000);
    size_t before = keys();
    int turns = 0;
    while (memory_turn()) {
        assert_true(keys() < before);
        before = keys();
        turns++;
    }
    assert_true(turns > 1);
    assert_true(excess() <= 0 && excess() > -2 * KEY_BYTES);
    before = keys();
    set("maxmemory-eviction-tenacity", "0");
    set_limit(-100000);
    assert_true(memory_turn()); /* the least that it may do */
    assert_true(before - keys() > 0 && before - keys() < 100);
    set("maxmemory-eviction-tenacity", "100");
    set_limit(-5000000);
    assert_false(memory_turn());
    assert_true(excess() <= 0);
}

/* A turn takes its slice while there is an excess, and hardly more. */
static void tenacity_makes_slices_longer(void **state) {
    (void)state;
    static const struct {
        const char *tenacity;
        int64_t slice_us;
    } steps[] = {{"1", 50}, {"10", 500}, {"11", 575}, {"25", 4068}};
    add_keys(100000);
    set_limit(-25000000);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        set("maxmemory-eviction-tenacity", steps[i].tenacity);
        int64_t began_us = clock_mono_us();
        assert_true(memory_turn());
        assert_true(clock_mono_us() - began_us >= steps[i].slice_us - 10);
    }
}

/* A request that needs no memory does not search where nothing was found, unless memory has grown. */
static void only_what_needs_memory_looks_again_for_victims(void **state) {
    (void)state;
    add_keys(100);
    set("maxmemory-policy", "noeviction");
    set_limit(-10000);
    assert_true(refused(CMD_DENYOOM));
    set("maxmemory-policy", "allkeys-random"); /* as if a key had become a victim */
    assert_false(refused(CMD_READONLY));
    assert_int_equal(db_metrics.evicted, 0);
    assert_false(refused(CMD_DENYOOM));
    assert_true(db_metrics.evicted > 0);
    size_t evicted = db_metrics.evicted;
    add_keys(10);
    assert_false(refused(CMD_READONLY));
    assert_true(db_metrics.evicted > evicted);
}

static void without_victims_what_needs_memory_is_refused(void **state) {
    (void)state;
    add_keys(100);
    set("maxmemory-policy", "noeviction");
    set_limit(-1000);
    assert_true(refused(CMD_WRITE | CMD_DENYOOM));
    assert_true(refused(CMD_DENYOOM));
    assert_false(refused(CMD_WRITE));
    assert_false(refused(CMD_READONLY));
    assert_false(memory_turn()); /* the loop may sleep */
    assert_int_equal(keys(), 100);
    set("maxmemory-policy", "volatile-lru"); /* no key has a deadline */
    assert_true(refused(CMD_DENYOOM));
    set("maxmemory-policy", "allkeys-random");
    assert_false(refused(CMD_DENYOOM));
    assert_true(keys() < 100);
    set("maxmemory", "1");
    while (memory_turn()) {
    }
    assert_int_equal(keys(), 0);
    assert_true(refused(CMD_DENYOOM));
}

/* What it may not do was known before it began: nothing goes while it runs. */
static void a_script_is_judged_by_the_check_before_it(void **state) {
    (void)state;
    static struct client c;
    add_keys(100);
    set("maxmemory-policy", "noeviction");
    set_limit(-1000);
    assert_false(refused(CMD_MAY_REPLICATE | CMD_RUNS_SCRIPT));
    struct call_outer outer = call_nest();
    struct gates_for_calls found = gates_for_calls(&c);
    assert_int_equal(found.stops, CMD_DENYOOM);
    assert_string_equal(gates_find_for_call(found.places, CMD_DENYOOM)->error,
                        "OOM command not allowed when used memory > 'maxmemory'.");
    call_unnest(outer);
    set("maxmemory-policy", "allkeys-random");
    assert_false(refused(CMD_MAY_REPLICATE | CMD_RUNS_SCRIPT)); /* it looks for victims: its calls may need memory */
    assert_true(db_metrics.evicted > 0);
    size_t evicted = db_metrics.evicted;
    outer = call_nest();
    add_keys(100);
    assert_int_equal(gates_for_calls(&c).stops, 0); /* what has grown since is no matter */
    assert_int_equal(db_metrics.evicted, evicted);
    call_unnest(outer);
    set("maxmemory", "0");
    assert_int_equal(gates_for_calls(&c).stops, 0);
}

static void while_data_stand_still_nothing_goes(void **state) {
    (void)state;
    add_keys(100);
    expire_hold(EXPIRE_PAUSED, true);
    set_limit(-10000);
    add_keys(10);
    assert_false(refused(CMD_DENYOOM));
    assert_false(memory_turn());
    assert_int_equal(keys(), 110);
    assert_true(memory_status().exceeded_us > 0);
    expire_hold(EXPIRE_PAUSED, false);
    while (memory_turn()) {
    }
    assert_true(keys() < 110 && excess() <= 0);
}

/* While replies are written the arena grows, and it is given back before a key would have to go. */
static void arenas_evict_nothing(void **state) {
    (void)state;
    add_keys(1000);
    conn_write("x", 1); /* it has its usual size */
    conn_truncate(0);
    set_limit(10000);
    memory_turn();
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 3000; k++)
            conn_write((char[1000]){0}, 1000);
        assert_true(excess() > 1000000);
        assert_false(refused(CMD_DENYOOM));
        assert_true(memory_status().uncounted > 1000000);
        conn_truncate(0);
        assert_false(memory_turn());
        assert_true(excess() <= 0);
        assert_false(refused(CMD_DENYOOM));
    }
    assert_int_equal(keys(), 1000);
}

/* Not the next turn: what frees memory and INFO may come at once. */
static void the_next_request_sees_the_end_of_an_excess(void **state) {
    (void)state;
    add_keys(100);
    set("maxmemory-policy", "noeviction");
    set_limit(-1000);
    assert_true(refused(CMD_DENYOOM));
    while (memory_status().exceeded_us == 0) {
    }
    db_empty(db_at(0), false);
    assert_true(gates_may_stop());
    assert_false(refused(CMD_DENYOOM));
    assert_int_equal(memory_status().exceeded_us, 0);
    assert_false(gates_may_stop());
}

static void time_above_the_limit_is_counted(void **state) {
    (void)state;
    add_keys(10);
    set("maxmemory-policy", "noeviction");
    memory_reset_metrics();
    assert_int_equal(memory_status().exceeded_us_in_total, 0);
    set_limit(-1);
    while (memory_status().exceeded_us < 1000) {
    }
    set("maxmemory", "0");
    int64_t total_us = memory_status().exceeded_us_in_total;
    assert_true(total_us >= 1000);
    assert_int_equal(memory_status().exceeded_us, 0);
    set_limit(-1);
    while (memory_status().exceeded_us < 1000) {
    }
    assert_true(memory_status().exceeded_us_in_total >= total_us + 1000);
    memory_reset_metrics();
    assert_true(memory_status().exceeded_us_in_total < total_us);
}

int main(void) {
    clock_init();
    hash_init();
    rand_init();
    db_init(1);
    if (!loop_init(8)) return 1;
    config_register(evict_module.options);
    config_register(memory_module.options);
    memory_module.start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(without_a_limit_nothing_is_asked, setup),
        cmocka_unit_test_setup(what_the_worker_has_freed_does_not_close_the_gate, setup),
        cmocka_unit_test_setup(a_request_brings_memory_below_the_limit, setup),
        cmocka_unit_test_setup(a_request_pays_twice_what_was_allocated, setup),
        cmocka_unit_test_setup(a_request_pays_for_a_millisecond_at_most, setup),
        cmocka_unit_test_setup(turns_evict_in_slices, setup),
        cmocka_unit_test_setup(tenacity_makes_slices_longer, setup),
        cmocka_unit_test_setup(only_what_needs_memory_looks_again_for_victims, setup),
        cmocka_unit_test_setup(without_victims_what_needs_memory_is_refused, setup),
        cmocka_unit_test_setup(while_data_stand_still_nothing_goes, setup),
        cmocka_unit_test_setup(arenas_evict_nothing, setup),
        cmocka_unit_test_setup(the_next_request_sees_the_end_of_an_excess, setup),
        cmocka_unit_test_setup(time_above_the_limit_is_counted, setup),
        cmocka_unit_test_setup(a_script_is_judged_by_the_check_before_it, setup),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    db_shutdown();
    return failed;
}
