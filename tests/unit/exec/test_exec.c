/* From a name to a call: the look-up finds every row in any case and nothing else; the
 * gates let pass whom they should; statistics count what was called, refused and failed. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/rand.h"
#include "catalog/catalog.h"
#include "exec/call.h"
#include "exec/exec.h"
#include "net/conn.h"
#include "session/client.h"
#include "session/gates.h"
#include "session/reply.h"
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int calls;

static void count(struct request *r) {
    calls++;
    reply_int(r->client, r->argc);
}

static void fails(struct request *r) {
    calls++;
    reply_syntax_error(r->client);
}

static int second_and_last(const struct slice *argv, int argc, int *positions, int max) {
    (void)argv;
    if (argc < 3) return -1;
    for (int i = 0; i < 2 && i < max; i++)
        positions[i] = i == 0 ? 1 : argc - 1;
    return 2;
}

#define ROW(n, b, a, ...) \
    { .name = n, .body = b, .arity = a, .summary = n, .since = "1.0.0", ##__VA_ARGS__ }

static const struct command config_subcommands[] = {
    ROW("get", count, -3),
    ROW("rewrite", count, 2),
    {NULL},
};

/* Names of all lengths, with digits and dashes, with common beginnings and ends. */
static const struct command first_family[] = {
    ROW("get", count, 2, .flags = CMD_READONLY, .first_key = 1),
    ROW("set", count, -3, .flags = CMD_WRITE, .first_key = 1, .last_key = 1, .key_step = 1),
    ROW("mset", count, -1, .flags = CMD_WRITE, .first_key = 1, .last_key = -1, .key_step = 2),
    ROW("lcs", count, -1, .first_key = 1, .last_key = 2),
    ROW("sort", count, -1, .flags = CMD_MOVABLE_KEYS, .find_keys = second_and_last),
    ROW("auth", count, -1, .flags = CMD_NO_AUTH),
    ROW("hello", count, -1, .flags = CMD_NO_AUTH | CMD_LOADING),
    ROW("config", NULL, -1, .subcommands = config_subcommands),
    ROW("wrong", fails, -1),
    {NULL},
};
static const struct command second_family[] = {
    ROW("a", count, -1),
    ROW("ab", count, -1),
    ROW("expire", count, -1),
    ROW("expireat", count, -1),
    ROW("expiretime", count, -1),
    ROW("pexpireat", count, -1),
    ROW("pexpiretime", count, -1),
    ROW("bitfield", count, -1),
    ROW("bitfield_ro", count, -1),
    ROW("restore", count, -1),
    ROW("restore-asking", count, -1),
    ROW("zrevrangebyscore", count, -1),
    ROW("zrevrangebylex", count, -1),
    ROW("georadiusbymember_ro", count, -1),
    ROW("x2y", count, -1),
    ROW("pf-debug", count, -1),
    ROW("psync", count, -1),
    ROW("sync", count, -1),
    {NULL},
};

static struct client client = {.resp = 2, .flags = CLIENT_AUTHENTICATED};

/* Run a request given as words with blanks between; returns the reply, valid until the next. */
static const char *run(const char *text) {
    static char reply[512], copy[256];
    static struct slice argv[16];
    struct request r = {.client = &client, .argv = argv};
    snprintf(copy, sizeof copy, "%s", text);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        argv[r.argc++] = slice_cstr(word);
    request_prepare(&r);
    call_start_clock();
    size_t mark = conn_mark();
    exec_run(&r);
    snprintf(reply, sizeof reply, "%.*s", (int)(conn_mark() - mark), conn_arena.data + mark);
    conn_truncate(mark);
    return reply;
}

/* --- look-up --------------------------------------------------------------------------------- */

static void finds_in_any_case(const struct command *rows) {
    for (const struct command *row = rows; row->name; row++) {
        size_t len = strlen(row->name);
        char name[64];
        for (int round = 0; round < 50; round++) {
            for (size_t i = 0; i < len; i++)
                name[i] = (char)(rand_below(2) ? toupper(row->name[i]) : row->name[i]);
            assert_ptr_equal(catalog_find(slice_of(name, len)), row);
        }
        assert_true(catalog_stats(row) != NULL);
        assert_string_equal(catalog_full_name(row), row->name);
        assert_null(catalog_container(row));
    }
}

static void every_row_in_any_case(void **state) {
    (void)state;
    finds_in_any_case(first_family);
    finds_in_any_case(second_family);
    assert_int_equal(catalog_count(), 9 + 18);
    for (size_t i = 0; i < 9; i++)
        assert_ptr_equal(catalog_at(i), &first_family[i]);
    assert_ptr_equal(catalog_at(9), &second_family[0]);
}

static bool is_known(struct slice name) {
    for (size_t i = 0; i < catalog_count(); i++)
        if (slice_is(name, catalog_at(i)->name)) return true;
    return false;
}

/* All that is one byte off: changed, missing, added; and bytes that only bit 5 tells from those of a name. */
static void nothing_else(void **state) {
    (void)state;
    assert_null(catalog_find(SLICE("")));
    assert_null(catalog_find(SLICE("config|get")));
    for (size_t k = 0; k < catalog_count(); k++) {
        const char *name = catalog_at(k)->name;
        size_t len = strlen(name);
        char other[64];
        memcpy(other, name, len + 1);
        for (size_t i = 0; i < len; i++) {
            for (int byte = 0; byte < 256; byte++) {
                other[i] = (char)byte;
                struct slice changed = slice_of(other, len);
                if (!!catalog_find(changed) != is_known(changed)) fail_msg("%s with byte %d at %zu", name, byte, i);
            }
            other[i] = name[i];
        }
        struct slice shorter = slice_of(name, len - 1);
        assert_int_equal(!!catalog_find(shorter), is_known(shorter));
        other[len] = 'x';
        assert_null(catalog_find(slice_of(other, len + 1)));
        other[len] = '\0';
        assert_null(catalog_find(slice_of(other, len + 1)));
    }
}

static void subcommands(void **state) {
    (void)state;
    const struct command *config = catalog_find(SLICE("CONFIG"));
    assert_ptr_equal(catalog_find_sub(config, SLICE("Get")), &config_subcommands[0]);
    assert_ptr_equal(catalog_find_full(SLICE("config|REWRITE")), &config_subcommands[1]);
    assert_ptr_equal(catalog_find_full(SLICE("Config")), config);
    assert_null(catalog_find_sub(config, SLICE("rewrit")));
    assert_null(catalog_find_sub(catalog_find(SLICE("get")), SLICE("get")));
    assert_null(catalog_find_full(SLICE("config|")));
    assert_null(catalog_find_full(SLICE("|get")));
    assert_string_equal(catalog_full_name(&config_subcommands[0]), "config|get");
    assert_ptr_equal(catalog_container(&config_subcommands[0]), config);
}

static void keys_of_a_request(void **state) {
    (void)state;
    struct slice argv[7] = {{"mset", 4}};
    int positions[8];
    assert_int_equal(catalog_find_keys(catalog_find(SLICE("mset")), argv, 7, positions, 8), 3);
    assert_int_equal(positions[0], 1);
    assert_int_equal(positions[2], 5);
    assert_int_equal(catalog_find_keys(catalog_find(SLICE("mset")), argv, 7, positions, 1),
                     3); /* as many as there are */
    assert_int_equal(catalog_find_keys(catalog_find(SLICE("lcs")), argv, 3, positions, 8), 2);
    assert_int_equal(catalog_find_keys(catalog_find(SLICE("get")), argv, 1, positions, 8), 0);
    assert_int_equal(catalog_find_keys(catalog_find(SLICE("get")), argv, 3, positions, 8), 1);
    assert_int_equal(positions[0], 1);
    assert_int_equal(catalog_find_keys(catalog_find(SLICE("auth")), argv, 3, positions, 8), 0);
    assert_int_equal(catalog_find_keys(catalog_find(SLICE("sort")), argv, 5, positions, 8), 2);
    assert_int_equal(positions[1], 4);
    assert_int_equal(catalog_find_keys(catalog_find(SLICE("sort")), argv, 2, positions, 8), -1);
}

/* --- the call -------------------------------------------------------------------------------- */

static void calls_and_refusals(void **state) {
    (void)state;
    catalog_reset_stats();
    calls = 0;
    assert_string_equal(run("GET k"), ":2\r\n");
    assert_string_equal(run("get"), "-ERR wrong number of arguments for 'get' command\r\n");
    assert_string_equal(run("get a b"), "-ERR wrong number of arguments for 'get' command\r\n");
    assert_string_equal(run("set a b c"), ":4\r\n");
    assert_string_equal(run("set a"), "-ERR wrong number of arguments for 'set' command\r\n");
    assert_string_equal(run("config get x"), ":3\r\n");
    assert_string_equal(run("config GET"), "-ERR wrong number of arguments for 'config|get' command\r\n");
    assert_string_equal(run("config nope"), "-ERR unknown subcommand 'nope'. Try CONFIG HELP.\r\n");
    assert_string_equal(run("nope a b"), "-ERR unknown command 'nope', with args beginning with: 'a' 'b' \r\n");
    assert_string_equal(run("nope"), "-ERR unknown command 'nope', with args beginning with: \r\n");
    assert_string_equal(run("wrong"), "-ERR syntax error\r\n");
    assert_int_equal(calls, 4);
    struct command_stats *get = catalog_stats(catalog_find(SLICE("get"))),
                         *wrong = catalog_stats(catalog_find(SLICE("wrong")));
    assert_int_equal(get->calls, 1);
    assert_int_equal(get->rejected, 2);
    assert_int_equal(get->failed, 0);
    assert_int_equal(wrong->calls, 1);
    assert_int_equal(wrong->failed, 1);
    assert_int_equal(catalog_stats(&config_subcommands[0])->calls, 1);
    uint32_t sum = 0;
    for (unsigned i = 0; i < COMMAND_STATS_BUCKETS; i++)
        sum += get->histogram[i];
    assert_int_equal(sum, 1);
    catalog_reset_stats();
    assert_int_equal(get->calls + get->rejected + wrong->failed, 0);
}

static bool lacks_password(const struct request *r, unsigned flags) {
    (void)flags;
    return !(r->client->flags & CLIENT_AUTHENTICATED);
}

static const struct gate auth_gate = {
    .passes = CMD_NO_AUTH, .holds = lacks_password, .error = "NOAUTH Authentication required."};
static const struct gate loading_gate = {.passes = CMD_LOADING,
                                         .error = "LOADING Redis is loading the dataset in memory"};

static void gates(void **state) {
    (void)state;
    static const char *const no_auth = "-NOAUTH Authentication required.\r\n";
    static const char *const loading = "-LOADING Redis is loading the dataset in memory\r\n";
    gates_set(GATES_AUTH, &auth_gate);
    assert_string_equal(run("get k"), ":2\r\n"); /* this client has the password */
    client.flags &= ~(unsigned)CLIENT_AUTHENTICATED;
    assert_string_equal(run("get k"), no_auth);
    assert_string_equal(run("config get x"), no_auth);
    assert_string_equal(run("auth x"), ":2\r\n");
    gates_set(GATES_LOADING, &loading_gate);
    assert_string_equal(run("get k"), no_auth);
    assert_string_equal(run("auth x"), loading);
    assert_string_equal(run("hello"), ":1\r\n");
    gates_set(GATES_AUTH, NULL);
    assert_string_equal(run("get k"), loading);
    gates_set(GATES_LOADING, NULL);
    assert_string_equal(run("get k"), ":2\r\n");
    client.flags |= CLIENT_AUTHENTICATED;
}

static void replies_that_are_not_wanted(void **state) {
    (void)state;
    client.flags |= CLIENT_REPLY_OFF;
    assert_string_equal(run("get k"), "");
    assert_string_equal(run("nope"), "");
    client.flags &= ~(unsigned)CLIENT_REPLY_OFF;
    client.flags |= CLIENT_REPLY_SKIP_NEXT; /* as CLIENT REPLY SKIP leaves it, within its own call */
    run("get k");
    assert_string_equal(run("get k"), "");
    assert_string_equal(run("get k"), ":2\r\n");
}

/* --- the histogram --------------------------------------------------------------------------- */

static void histogram_buckets(void **state) {
    (void)state;
    for (unsigned i = 1; i < COMMAND_STATS_BUCKETS; i++)
        assert_true(command_stats_ticks(i) > command_stats_ticks(i - 1));
    for (unsigned i = 0; i < COMMAND_STATS_BUCKETS - 1; i++) {
        assert_int_equal(command_stats_bucket(command_stats_ticks(i)), i); /* the bound belongs to the bucket, */
        assert_int_equal(command_stats_bucket(command_stats_ticks(i) + 1), i + 1); /* and the next one does not */
    }
    assert_int_equal(command_stats_bucket(0), 0);
    assert_int_equal(command_stats_bucket(UINT64_MAX), COMMAND_STATS_BUCKETS - 1);
    for (int round = 0; round < 100000; round++) {
        uint64_t ticks = rand_u64() >> (30 + rand_below(34));
        uint64_t bound = command_stats_ticks(command_stats_bucket(ticks));
        assert_true(bound >= ticks && bound - ticks <= ticks / 8);
    }
}

static int start(void **state) {
    (void)state;
    clock_init();
    rand_seed(1);
    hash_init();
    db_init(1);
    client.db = db_at(0);
    catalog_register(first_family);
    catalog_register(second_family);
    catalog_ready();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_in_any_case),
        cmocka_unit_test(nothing_else),
        cmocka_unit_test(subcommands),
        cmocka_unit_test(keys_of_a_request),
        cmocka_unit_test(calls_and_refusals),
        cmocka_unit_test(gates),
        cmocka_unit_test(replies_that_are_not_wanted),
        cmocka_unit_test(histogram_buckets),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
