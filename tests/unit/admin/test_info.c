/* INFO: which sections a request gets, and that every line is a field, each of them once. */
#include "admin/info.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/module.h"
#include "base/rand.h"
#include "catalog/catalog.h"
#include "conf/config.h"
#include "process/process.h"
#include "session/server_metrics.h"
#include "store/db.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

extern const struct module evict_module, listen_module, info_counters_module, planned_module;

#define DEFAULT "Server Clients Memory Persistence Stats Replication CPU Modules Errorstats Cluster Keyspace"
#define ALL                                                                                                         \
    "Server Clients Memory Persistence Stats Replication CPU Modules Commandstats Errorstats Latencystats Cluster " \
    "Keyspace"

/* The text of INFO with these words behind it, as a C string. The caller frees it. */
static struct buf info_of(const char *words) {
    struct slice names[8];
    struct buf out = {0};
    char copy[128];
    int count = 0;
    snprintf(copy, sizeof copy, "%s", words);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        names[count++] = slice_cstr(word);
    info_write(names, count, &out);
    buf_append(&out, "", 1);
    return out;
}

static void expect_sections(const char *words, const char *expected) {
    struct buf text = info_of(words), titles = {0};
    for (const char *at = text.data; (at = strstr(at, "# ")); at++)
        buf_printf(&titles, "%s%.*s", titles.len ? " " : "", (int)strcspn(at + 2, "\r"), at + 2);
    buf_append(&titles, "", 1);
    assert_string_equal(titles.data, expected);
    buf_free(&titles);
    buf_free(&text);
}

static void a_request_chooses_sections(void **state) {
    (void)state;
    expect_sections("", DEFAULT);
    expect_sections("default", DEFAULT);
    expect_sections("all", ALL);
    expect_sections("EVERYTHING", ALL);
    expect_sections("default everything", ALL);
    expect_sections("keyspace CPU cpu", "CPU Keyspace"); /* in INFO's order, each once */
    expect_sections("commandstats default",
                    "Server Clients Memory Persistence Stats Replication CPU Modules Commandstats Errorstats Cluster "
                    "Keyspace");
}

static void unknown_sections_are_ignored(void **state) {
    (void)state;
    expect_sections("nothing", "");
    expect_sections("serve", "");
    expect_sections("servers", "");
    expect_sections("nothing cluster", "Cluster");
}

/* Sections are separated by an empty line; all other lines are "name:value". */
static void every_field_is_there_once(void **state) {
    (void)state;
    struct buf text = info_of("everything"), seen = {0};
    buf_append_cstr(&seen, "\n");
    size_t fields = 0;
    for (char *line = text.data, *end; (end = strstr(line, "\r\n")); line = end + 2) {
        *end = '\0';
        char name[128];
        const char *colon = strchr(line, ':');
        if (line == end || line[0] == '#') continue;
        if (!colon) fail_msg("no field: %s", line);
        snprintf(name, sizeof name, "\n%.*s\n", (int)(colon - line), line);
        buf_append(&seen, "", 1);
        if (strstr(seen.data, name)) fail_msg("twice: %s", line);
        seen.len--;
        buf_append_cstr(&seen, name + 1);
        fields++;
    }
    assert_true(fields > 150);
    buf_free(&seen);
    buf_free(&text);
}

static void it_appends(void **state) {
    (void)state;
    struct buf out = {0};
    struct slice cluster = SLICE("cluster");
    buf_append_cstr(&out, "before ");
    info_write(&cluster, 1, &out);
    buf_append(&out, "", 1);
    assert_string_equal(out.data, "before # Cluster\r\ncluster_enabled:0\r\n");
    buf_free(&out);
}

/* --- Counters -------------------------------------------------------------------------------- */

static void body(struct request *r) {
    (void)r;
}

static const struct command subcommands[] = {
    {.name = "get", .body = body, .arity = 2, .since = "1.0.0", .summary = "-"},
    {.name = NULL},
};
static const struct command commands[] = {
    {.name = "set", .body = body, .arity = 3, .since = "1.0.0", .summary = "-"},
    {.name = "config", .arity = -2, .since = "1.0.0", .summary = "-", .subcommands = subcommands},
    {.name = NULL},
};

static void expect_info(const char *words, const char *expected) {
    struct buf text = info_of(words);
    assert_string_equal(text.data, expected);
    buf_free(&text);
}

static void calls_are_shown_with_their_times(void **state) {
    (void)state;
    expect_info("commandstats", "# Commandstats\r\n"); /* commands that were never called are left out */
    expect_info("latencystats", "# Latencystats\r\n");
    struct command_metrics *set = catalog_metrics(&commands[0]), *get = catalog_metrics(&subcommands[0]);
    set->rejected = 1;
    command_metrics_add(get, clock_ns_to_ticks(2000), true);
    command_metrics_add(get, clock_ns_to_ticks(2000), false);
    struct buf text = info_of("commandstats latencystats");
    assert_non_null(strstr(text.data, "cmdstat_set:calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,"
                                      "failed_calls=0\r\n"));
    assert_non_null(strstr(text.data, "cmdstat_config|get:calls=2,usec="));
    assert_non_null(strstr(text.data, ",rejected_calls=0,failed_calls=1\r\n"));
    assert_non_null(strstr(text.data, "latency_percentiles_usec_config|get:p50="));
    assert_null(strstr(text.data, "latency_percentiles_usec_set"));
    buf_free(&text);
}

static void percentiles_are_an_option(void **state) {
    (void)state;
    struct slice pair[] = {SLICE("latency-tracking-info-percentiles"), SLICE("0 12.5 100")};
    struct config_error error = {0};
    assert_true(config_set(pair, 1, true, &error));
    struct buf text = info_of("latencystats");
    assert_non_null(strstr(text.data, "config|get:p0="));
    assert_non_null(strstr(text.data, ",p12.5="));
    assert_non_null(strstr(text.data, ",p100="));
    buf_free(&text);
    pair[1] = SLICE("100.1");
    assert_false(config_set(pair, 1, true, &error));
    pair[1] = SLICE("-1");
    assert_false(config_set(pair, 1, true, &error));
    pair[1] = SLICE("x");
    assert_false(config_set(pair, 1, true, &error));
    struct slice off[] = {SLICE("latency-tracking"), SLICE("no")};
    assert_true(config_set(off, 1, true, &error));
    expect_info("latencystats", "# Latencystats\r\n");
}

static void errors_are_shown_by_code(void **state) {
    (void)state;
    expect_info("errorstats", "# Errorstats\r\n");
    server_metrics_count_error(SLICE("WRONGTYPE Operation"));
    server_metrics_count_error(SLICE("ERR syntax error"));
    server_metrics_count_error(SLICE("WRONGTYPE Operation"));
    expect_info("errorstats", "# Errorstats\r\nerrorstat_WRONGTYPE:count=2\r\nerrorstat_ERR:count=1\r\n");
}

static int start(void **state) {
    (void)state;
    clock_init();
    rand_init();
    hash_init();
    clock_update();
    db_init(2);
    config_register(evict_module.options);
    config_register(listen_module.options);
    config_register(planned_module.options);
    config_register(info_counters_module.options);
    catalog_register(commands);
    catalog_ready();
    return 0;
}

int main(int argc, char **argv) {
    process_init(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_chooses_sections),       cmocka_unit_test(unknown_sections_are_ignored),
        cmocka_unit_test(every_field_is_there_once),        cmocka_unit_test(it_appends),
        cmocka_unit_test(calls_are_shown_with_their_times), cmocka_unit_test(percentiles_are_an_option),
        cmocka_unit_test(errors_are_shown_by_code),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
