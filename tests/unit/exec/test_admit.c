/* Admission alone: unknown commands, wrong numbers of arguments, and gates. Transactions and waiting are fakes. */
#include "base/hash.h"
#include "base/log.h"
#include "catalog/catalog.h"
#include "exec/admit.h"
#include "exec/block.h"
#include "exec/exec_lab.h"
#include "exec/tx.h"
#include "session/gates.h"
#include "session/reply.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* --- The neighbours -------------------------------------------------------------------------- */

static int spoilt, postponed;
static char refusal[512]; /* of the last tx_refuse() */
static unsigned queued_any, queued_lacking;

void tx_spoil(struct client *c) {
    (void)c;
    spoilt++;
}

void tx_refuse(struct request *r, const char *error) {
    (void)r;
    snprintf(refusal, sizeof refusal, "%s", error);
}

void tx_flags(const struct client *c, unsigned *any, unsigned *lacking) {
    (void)c;
    *any = queued_any;
    *lacking = queued_lacking;
}

void block_postpone(struct request *r) {
    (void)r;
    postponed++;
}

/* --- Requests -------------------------------------------------------------------------------- */

static void body(struct request *r) {
    fail_msg("admission ran %s", r->command->name);
}

static const struct command subcommands[] = {LAB_ROW("get", body, -3), {NULL}};
static const struct command rows[] = {
    LAB_ROW("get", body, 2, .flags = CMD_READONLY | CMD_LOADING),
    LAB_ROW("set", body, -3, .flags = CMD_WRITE),
    LAB_ROW("exec", body, 1, .flags = CMD_EXEC | CMD_LOADING),
    LAB_ROW("config", NULL, -2, .subcommands = subcommands),
    {NULL},
};

static struct client client;

static int setup(void **state) {
    (void)state;
    client = (struct client){.resp = 2};
    spoilt = postponed = 0;
    refusal[0] = '\0';
    queued_any = queued_lacking = 0;
    catalog_reset_metrics();
    for (int i = 0; i < GATES_PLACES; i++)
        gates_set((enum gates_place)i, NULL);
    return 0;
}

/* True if the request is admitted. What was replied is in *reply. */
static bool admitted(const char *text, const char **reply) {
    struct request r = lab_request(&client, text);
    size_t mark = conn_mark();
    bool result = admit(&r);
    *reply = lab_written(mark);
    return result;
}

static void expect_admitted(const char *text) {
    const char *reply;
    assert_true(admitted(text, &reply));
    assert_string_equal(reply, "");
    assert_true(spoilt == 0 && postponed == 0 && refusal[0] == '\0');
}

/* The request gets this reply, and EXEC will fail. */
static void expect_error(const char *text, const char *error) {
    const char *reply;
    int before = spoilt;
    assert_false(admitted(text, &reply));
    assert_string_equal(reply, error);
    assert_int_equal(spoilt, before + 1);
    assert_string_equal(refusal, "");
}

static uint64_t rejected(const char *full_name) {
    return catalog_metrics(catalog_find_full(slice_cstr(full_name)))->rejected;
}

/* --- Unknown commands ------------------------------------------------------------------------ */

static void unknown_commands(void **state) {
    (void)state;
    expect_error("nope", "-ERR unknown command 'nope', with args beginning with: \r\n");
    expect_error("nope a b", "-ERR unknown command 'nope', with args beginning with: 'a' 'b' \r\n");
    expect_error("config nope", "-ERR unknown subcommand 'nope'. Try CONFIG HELP.\r\n");
}

static void an_error_repeats_128_bytes(void **state) {
    (void)state;
    char text[512], expected[512], x[130] = {0}, y[200] = {0};
    memset(x, 'x', 129);
    memset(y, 'y', 199);
    snprintf(text, sizeof text, "%s a %s b", x, y);
    /* 'a' and its quotes and blank take four of the bytes; arguments behind are not begun */
    snprintf(expected, sizeof expected, "-ERR unknown command '%.128s', with args beginning with: 'a' '%.124s' \r\n", x,
             y);
    expect_error(text, expected);
    snprintf(text, sizeof text, "config %s", y);
    snprintf(expected, sizeof expected, "-ERR unknown subcommand '%.128s'. Try CONFIG HELP.\r\n", y);
    expect_error(text, expected);
}

/* Words of HTTP close the client, without a reply. */
static void http_is_not_served(void **state) {
    (void)state;
    static const char *const lines[] = {"POST /", "Host: example.com"};
    for (size_t i = 0; i < 2; i++) {
        const char *reply;
        client.flags = 0;
        client_current = &client;
        assert_false(admitted(lines[i], &reply));
        client_current = NULL;
        assert_string_equal(reply, "");
        assert_true(client.flags & CLIENT_CLOSE_AFTER_REPLY);
    }
}

/* --- Arguments ------------------------------------------------------------------------------- */

static void the_number_of_arguments(void **state) {
    (void)state;
    expect_admitted("get k");
    expect_admitted("set k v");
    expect_admitted("set k v x y z");
    expect_admitted("config get x");
    expect_error("get", "-ERR wrong number of arguments for 'get' command\r\n");
    expect_error("get a b", "-ERR wrong number of arguments for 'get' command\r\n");
    expect_error("set k", "-ERR wrong number of arguments for 'set' command\r\n");
    expect_error("config", "-ERR wrong number of arguments for 'config' command\r\n");
    expect_error("config get", "-ERR wrong number of arguments for 'config|get' command\r\n");
    assert_int_equal(rejected("get"), 2);
    assert_int_equal(rejected("set"), 1);
    assert_int_equal(rejected("config|get"), 1);
}

/* The transaction ends, and its error has no code of its own. */
static void exec_with_arguments(void **state) {
    (void)state;
    const char *reply;
    assert_false(admitted("exec now", &reply));
    assert_string_equal(reply, "");
    assert_string_equal(refusal, "wrong number of arguments for 'exec' command");
    assert_int_equal(spoilt, 0);
    assert_int_equal(rejected("exec"), 1);
}

/* --- Gates ----------------------------------------------------------------------------------- */

static bool stops_writes(const struct request *r, unsigned flags) {
    assert_ptr_equal(r->client, &client);
    return flags & CMD_WRITE;
}

static const struct gate loading = {.passes = CMD_LOADING, .error = "LOADING not '%s'"};
static const struct gate disk = {.holds = stops_writes, .error = "MISCONF no writes"};
static const struct gate pause_gate = {.holds = stops_writes};

static void expect_refused(const char *text, const char *error) {
    const char *reply;
    refusal[0] = '\0';
    assert_false(admitted(text, &reply));
    assert_string_equal(reply, "");
    assert_string_equal(refusal, error);
    refusal[0] = '\0';
}

static void a_gate_refuses_with_its_error(void **state) {
    (void)state;
    gates_set(GATES_LOADING, &loading);
    expect_admitted("get k");
    expect_refused("set k v", "LOADING not 'set'");
    expect_refused("config get x", "LOADING not 'config|get'");
    assert_int_equal(rejected("set"), 1);
    expect_error("set k", "-ERR wrong number of arguments for 'set' command\r\n"); /* this is found first */
    spoilt = 0;
    gates_set(GATES_LOADING, NULL);
    expect_admitted("set k v");
}

static void a_gate_without_an_error_postpones(void **state) {
    (void)state;
    const char *reply;
    gates_set(GATES_PAUSE, &pause_gate);
    expect_admitted("get k");
    assert_false(admitted("set k v", &reply));
    assert_string_equal(reply, "");
    assert_int_equal(postponed, 1);
    assert_int_equal(rejected("set"), 0);
    assert_string_equal(refusal, "");
}

/* EXEC is judged by the commands that it would run. */
static void exec_has_the_flags_of_its_queue(void **state) {
    (void)state;
    gates_set(GATES_DISK, &disk);
    expect_admitted("exec");
    queued_any = CMD_READONLY | CMD_WRITE;
    queued_lacking = ~CMD_WRITE | ~CMD_READONLY;
    expect_refused("exec", "MISCONF no writes");
    expect_admitted("get k"); /* other commands are not */
    gates_set(GATES_DISK, NULL);
    gates_set(GATES_LOADING, &loading);
    queued_any = CMD_LOADING | CMD_READONLY;
    queued_lacking = ~(unsigned)(CMD_LOADING | CMD_READONLY);
    expect_admitted("exec"); /* all of the queue may run, as EXEC itself */
    queued_lacking |= CMD_LOADING;
    expect_refused("exec", "LOADING not 'exec'");
}

int main(void) {
    hash_init();
    log_set_level(LOG_NOTHING);
    catalog_register(rows);
    catalog_ready();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(unknown_commands, setup),
        cmocka_unit_test_setup(an_error_repeats_128_bytes, setup),
        cmocka_unit_test_setup(http_is_not_served, setup),
        cmocka_unit_test_setup(the_number_of_arguments, setup),
        cmocka_unit_test_setup(exec_with_arguments, setup),
        cmocka_unit_test_setup(a_gate_refuses_with_its_error, setup),
        cmocka_unit_test_setup(a_gate_without_an_error_postpones, setup),
        cmocka_unit_test_setup(exec_has_the_flags_of_its_queue, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
