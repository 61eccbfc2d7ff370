/* Metrics of the whole server: errors by their code, rates over the last samples, and what a reset sets to 0. */
#include "base/clock.h"
#include "catalog/catalog.h"
#include "net/conn.h"
#include "session/server_metrics.h"
#include "store/db.h"
#include "store/expire.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

static int reset(void **state) {
    (void)state;
    server_metrics_reset();
    return 0;
}

static void expect_code(size_t i, const char *code, uint64_t count) {
    struct slice seen;
    uint64_t times;
    server_metrics_error_at(i, &seen, &times);
    assert_true(slice_eq(seen, slice_cstr(code)));
    assert_int_equal(times, count);
}

static void errors_are_counted_by_their_first_word(void **state) {
    (void)state;
    server_metrics_count_error(SLICE("ERR one"));
    server_metrics_count_error(SLICE("WRONGTYPE two"));
    server_metrics_count_error(SLICE("ERR"));
    server_metrics_count_error(SLICE("ER one"));
    server_metrics_count_error(SLICE(" no code"));
    server_metrics_count_error(SLICE(""));
    assert_int_equal(server_metrics.errors, 6);
    assert_int_equal(server_metrics_error_codes(), 3);
    expect_code(0, "ERR", 2);
    expect_code(1, "WRONGTYPE", 1);
    expect_code(2, "ER", 1);
}

static void codes_have_a_bound(void **state) {
    (void)state;
    char text[80];
    memset(text, 'X', sizeof text);
    server_metrics_count_error(slice_of(text, 64)); /* too long */
    assert_int_equal(server_metrics_error_codes(), 0);
    server_metrics_count_error(slice_of(text, 63));
    assert_int_equal(server_metrics_error_codes(), 1);
    for (int i = 0; i < 200; i++) {
        snprintf(text, sizeof text, "CODE%d text", i);
        server_metrics_count_error(slice_cstr(text));
    }
    assert_int_equal(server_metrics_error_codes(), 128);
    server_metrics_count_error(SLICE("CODE126"));
    expect_code(127, "CODE126", 2);
    assert_int_equal(server_metrics.errors, 203);
}

/* A code becomes a part of a line of INFO. */
static void codes_cannot_end_a_field(void **state) {
    (void)state;
    server_metrics_count_error(SLICE("A:B#C\r\nD text"));
    server_metrics_count_error(SLICE("A_B_C__D text"));
    assert_int_equal(server_metrics_error_codes(), 1);
    expect_code(0, "A_B_C__D", 2);
}

static void expect_peaks(size_t input, size_t output) {
    struct server_peaks peaks = server_metrics_peaks();
    assert_int_equal(peaks.input, input);
    assert_int_equal(peaks.output, output);
}

static void peaks_last_for_some_seconds(void **state) {
    (void)state;
    clock_cached_steady_ms = 100000;
    server_metrics_sample();
    expect_peaks(0, 0);
    conn_metrics.largest_input = 10; /* as connections do that grow */
    conn_metrics.largest_output = 20;
    expect_peaks(10, 20);
    server_metrics_sample();
    assert_int_equal(conn_metrics.largest_input + conn_metrics.largest_output, 0);
    clock_cached_steady_ms += 2000;
    conn_metrics.largest_input = 7;
    conn_metrics.largest_output = 30;
    server_metrics_sample();
    expect_peaks(10, 30);
    clock_cached_steady_ms += 5000;
    server_metrics_sample();
    expect_peaks(10, 30);
    clock_cached_steady_ms += 1000;
    server_metrics_sample();
    expect_peaks(7, 30);
    clock_cached_steady_ms += 3600000; /* the server was stopped */
    server_metrics_sample();
    expect_peaks(0, 0);
}

/* Let some time pass and take a sample. */
static void sample_after(int64_t us) {
    int64_t start_us = clock_mono_us();
    while (clock_mono_us() - start_us < us) {
    }
    server_metrics_sample();
}

static void a_rate_is_the_mean_of_16_samples(void **state) {
    (void)state;
    int64_t start_us = clock_mono_us();
    sample_after(0);
    assert_int_equal(server_metrics_rate(RATE_COMMANDS), 0);
    server_metrics.commands += 1600;
    server_metrics.turns += 160;
    server_metrics.turn_ticks += 16000;
    conn_metrics.bytes_in += 3200;
    conn_metrics.bytes_out += 4800;
    sample_after(1000);
    int64_t most_us = clock_mono_us() - start_us; /* between both samples; at least 1,000 */
    uint64_t rate = server_metrics_rate(RATE_COMMANDS);
    assert_in_range(rate, 100 * 1000000 / most_us - 1, 100 * 1000); /* 1,600 in one sample of 16, the others being 0 */
    assert_in_range(server_metrics_rate(RATE_TURNS), rate / 10 - 1, rate / 10 + 1);
    assert_in_range(server_metrics_rate(RATE_TURN_TICKS), rate * 10 - 16, rate * 10 + 16);
    assert_in_range(server_metrics_rate(RATE_BYTES_IN), rate * 2 - 4, rate * 2 + 4);
    assert_in_range(server_metrics_rate(RATE_BYTES_OUT), rate * 3 - 4, rate * 3 + 4);
    for (int i = 0; i < 15; i++)
        sample_after(10);
    assert_true(server_metrics_rate(RATE_COMMANDS) == rate);
    sample_after(10); /* replaces the sample that counted */
    assert_int_equal(server_metrics_rate(RATE_COMMANDS), 0);
}

/* Counters that were set back elsewhere count from 0. */
static void a_counter_may_go_back(void **state) {
    (void)state;
    server_metrics.commands = 1000000;
    sample_after(0);
    server_metrics.commands = 1600;
    sample_after(1000);
    assert_in_range(server_metrics_rate(RATE_COMMANDS), 1, 100 * 1000);
}

static void a_reset_keeps_the_start_alone(void **state) {
    (void)state;
    server_metrics.started_s = 76;
    server_metrics.started_ms = 77;
    server_metrics.logins_failed = 3;
    server_metrics.unexpected_errors = 5;
    server_metrics.connections_received = server_metrics.protocol_disconnects = 5;
    server_metrics_count_error(SLICE("ERR one"));
    conn_metrics.reads = conn_metrics.writes = conn_metrics.bytes_in = conn_metrics.bytes_out = 5;
    conn_metrics.input_bytes = 9;
    db_metrics.hits = db_metrics.misses = db_metrics.expired = db_metrics.expired_stale_permille = 5;
    db_metrics.dirty = 9;
    entry_lazyfree_begins(5);
    entry_lazyfree_done(5);
    expire_metrics.ticks = expire_metrics.capped = 5;
    sample_after(0);
    server_metrics.commands = 1000;
    sample_after(10);
    assert_true(server_metrics_rate(RATE_COMMANDS) > 0);
    server_metrics_reset();
    assert_true(server_metrics.started_s == 76 && server_metrics.started_ms == 77);
    assert_int_equal(server_metrics.logins_failed, 3);
    assert_int_equal(server_metrics.unexpected_errors, 0);
    assert_int_equal(server_metrics.connections_received + server_metrics.protocol_disconnects, 0);
    assert_int_equal(server_metrics.errors + server_metrics.commands + server_metrics_error_codes(), 0);
    assert_int_equal(conn_metrics.reads + conn_metrics.writes + conn_metrics.bytes_in + conn_metrics.bytes_out, 0);
    assert_int_equal(db_metrics.hits + db_metrics.misses + db_metrics.expired, 0);
    assert_int_equal(db_metrics.expired_stale_permille + entry_lazyfreed(), 0);
    assert_int_equal(expire_metrics.ticks + expire_metrics.capped, 0);
    assert_int_equal(server_metrics_rate(RATE_COMMANDS), 0);
    assert_true(conn_metrics.input_bytes == 9 && db_metrics.dirty == 9); /* these are states, no counts */
    conn_metrics.input_bytes = 0;
}

static void body(struct request *r) {
    (void)r;
}

static void a_reset_includes_the_command_table(void **state) {
    (void)state;
    struct command_metrics *s = catalog_metrics(catalog_find(SLICE("get")));
    s->calls = s->failed = s->rejected = 3;
    server_metrics_reset();
    assert_int_equal(s->calls + s->failed + s->rejected, 0);
}

int main(void) {
    static const struct command rows[] = {{"get", body, 2, .since = "1.0.0", .summary = "x"}, {NULL}};
    clock_init();
    catalog_register(rows);
    catalog_ready();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(errors_are_counted_by_their_first_word, reset),
        cmocka_unit_test_setup(codes_have_a_bound, reset),
        cmocka_unit_test_setup(codes_cannot_end_a_field, reset),
        cmocka_unit_test_setup(peaks_last_for_some_seconds, reset),
        cmocka_unit_test_setup(a_rate_is_the_mean_of_16_samples, reset),
        cmocka_unit_test_setup(a_counter_may_go_back, reset),
        cmocka_unit_test_setup(a_reset_keeps_the_start_alone, reset),
        cmocka_unit_test_setup(a_reset_includes_the_command_table, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
