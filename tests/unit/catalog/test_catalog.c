/* The command table: the look-up finds every row in any case and nothing else, and the keys of a request. */
#include "base/rand.h"
#include "catalog/catalog.h"
#include "seed.h"
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void body(struct request *r) {
    (void)r;
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
    ROW("get", body, -3),
    ROW("rewrite", body, 2),
    {NULL},
};

/* Names of all lengths, with digits and dashes, with common beginnings and ends. */
static const struct command first_family[] = {
    ROW("get", body, 2, .flags = CMD_READONLY, .first_key = 1),
    ROW("set", body, -3, .flags = CMD_WRITE, .first_key = 1, .last_key = 1, .key_step = 1),
    ROW("mset", body, -1, .flags = CMD_WRITE, .first_key = 1, .last_key = -1, .key_step = 2),
    ROW("lcs", body, -1, .first_key = 1, .last_key = 2),
    ROW("sort", body, -1, .flags = CMD_MOVABLE_KEYS, .find_keys = second_and_last),
    ROW("auth", body, -1, .flags = CMD_NO_AUTH),
    ROW("hello", body, -1, .flags = CMD_NO_AUTH | CMD_LOADING),
    ROW("config", NULL, -1, .subcommands = config_subcommands),
    ROW("wrong", body, -1),
    {NULL},
};
static const struct command second_family[] = {
    ROW("a", body, -1),
    ROW("ab", body, -1),
    ROW("expire", body, -1),
    ROW("expireat", body, -1),
    ROW("expiretime", body, -1),
    ROW("pexpireat", body, -1),
    ROW("pexpiretime", body, -1),
    ROW("bitfield", body, -1),
    ROW("bitfield_ro", body, -1),
    ROW("restore", body, -1),
    ROW("restore-asking", body, -1),
    ROW("zrevrangebyscore", body, -1),
    ROW("zrevrangebylex", body, -1),
    ROW("georadiusbymember_ro", body, -1),
    ROW("x2y", body, -1),
    ROW("pf-debug", body, -1),
    ROW("psync", body, -1),
    ROW("sync", body, -1),
    {NULL},
};

static void finds_in_any_case(const struct command *rows) {
    for (const struct command *row = rows; row->name; row++) {
        size_t len = strlen(row->name);
        char name[64];
        for (int round = 0; round < 50; round++) {
            for (size_t i = 0; i < len; i++)
                name[i] = (char)(rand_below(2) ? toupper(row->name[i]) : row->name[i]);
            assert_ptr_equal(catalog_find(slice_of(name, len)), row);
        }
        assert_true(catalog_metrics(row) != NULL);
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

/* Names that are one byte off: it is changed, missing, or added; among the changed ones are bytes that differ from
 * those of a name in bit 5 only, as upper and lower case do. */
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
    assert_int_equal(catalog_find_keys(catalog_find(SLICE("mset")), argv, 7, positions, 1), 3); /* all are counted */
    assert_int_equal(catalog_find_keys(catalog_find(SLICE("lcs")), argv, 3, positions, 8), 2);
    assert_int_equal(catalog_find_keys(catalog_find(SLICE("get")), argv, 1, positions, 8), 0);
    assert_int_equal(catalog_find_keys(catalog_find(SLICE("get")), argv, 3, positions, 8), 1);
    assert_int_equal(positions[0], 1);
    assert_int_equal(catalog_find_keys(catalog_find(SLICE("auth")), argv, 3, positions, 8), 0);
    assert_int_equal(catalog_find_keys(catalog_find(SLICE("sort")), argv, 5, positions, 8), 2);
    assert_int_equal(positions[1], 4);
    assert_int_equal(catalog_find_keys(catalog_find(SLICE("sort")), argv, 2, positions, 8), -1);
}

/* A request that names a container and a subcommand of it. */
static void resolves_subcommands(void **state) {
    (void)state;
    struct slice argv[] = {SLICE("Config"), SLICE("GET")};
    struct catalog_found found = catalog_resolve(argv, 2);
    assert_ptr_equal(found.command, &config_subcommands[0]);
    assert_ptr_equal(found.metrics, catalog_metrics(&config_subcommands[0]));
    argv[1] = SLICE("nope");
    assert_null(catalog_resolve(argv, 2).command);
    assert_null(catalog_resolve(argv, 2).metrics);
    argv[0] = SLICE("mset");
    found = catalog_resolve(argv, 2);
    assert_ptr_equal(found.command, &first_family[2]);
    assert_ptr_equal(found.metrics, catalog_metrics(&first_family[2]));
}

static void counts_are_of_one_row_each(void **state) {
    (void)state;
    catalog_reset_metrics();
    struct command_metrics *get = catalog_metrics(&first_family[0]), *sub = catalog_metrics(&config_subcommands[0]);
    command_metrics_add(get, 100, false);
    command_metrics_add(get, 100, true);
    command_metrics_add(sub, 100, false);
    assert_true(get->calls == 2 && get->failed == 1 && sub->calls == 1 && sub->failed == 0);
    assert_int_equal(catalog_metrics(&first_family[1])->calls, 0);
    catalog_reset_metrics();
    assert_int_equal(get->calls + get->failed + sub->calls, 0);
}

int main(void) {
    uint64_t seed = seed_of_run();
    printf("SEED=%llu\n", (unsigned long long)seed);
    rand_seed(seed);
    catalog_register(first_family);
    catalog_register(second_family);
    catalog_ready();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_in_any_case), cmocka_unit_test(nothing_else),
        cmocka_unit_test(subcommands),           cmocka_unit_test(resolves_subcommands),
        cmocka_unit_test(keys_of_a_request),     cmocka_unit_test(counts_are_of_one_row_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
