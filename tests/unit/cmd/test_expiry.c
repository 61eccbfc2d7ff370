/* Deadlines: under which conditions they are set, in which units they are told, and how they are propagated. */
#include "command_lab.h"

extern const struct module expiry_module, strings_module, keys_module;

#define SOON 2000000000000
#define LATER 3000000000000

/* For each pair of conditions: is a deadline set on a key that has none, a later one, the same, an earlier one? */
static const struct {
    const char *conditions;
    bool none, later, same, earlier;
} rows[] = {
    {"", true, true, true, true},          {" NX", true, false, false, false},    {" XX", false, true, true, true},
    {" GT", false, false, false, true},    {" LT", true, true, false, false},     {" XX GT", false, false, false, true},
    {" XX LT", false, true, false, false}, {" nx NX", true, false, false, false},
};

static void expect_set(const char *conditions, int64_t old_ms, int64_t new_ms, bool expected) {
    lab_run("SET k v");
    if (old_ms) lab_run("PEXPIREAT k %lld", (long long)old_ms);
    assert_string_equal(lab_run("PEXPIREAT k %lld%s", (long long)new_ms, conditions), expected ? ":1" : ":0");
    assert_int_equal(lab_propagated.len > 0, expected);
    assert_int_equal(atoll(lab_run("PEXPIRETIME k") + 1), expected ? new_ms : old_ms ? old_ms : -1);
}

static void conditions_compare_with_the_old_deadline(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        expect_set(rows[i].conditions, 0, SOON, rows[i].none);
        expect_set(rows[i].conditions, LATER, SOON, rows[i].later);
        expect_set(rows[i].conditions, SOON, SOON, rows[i].same);
        expect_set(rows[i].conditions, SOON, LATER, rows[i].earlier);
    }
    assert_string_equal(lab_run("EXPIRE k 1 NX GT"),
                        "-ERR NX and XX, GT or LT options at the same time are not compatible");
    assert_string_equal(lab_run("EXPIRE k 1 LT GT"), "-ERR GT and LT options at the same time are not compatible");
    assert_string_equal(lab_run("EXPIRE k 1 GE"), "-ERR Unsupported option GE");
}

static void times_have_units(void **state) {
    (void)state;
    lab_run("SET k v");
    assert_string_equal(lab_run("EXPIREAT k 2000000000"), ":1");
    lab_expect_propagated("PEXPIREAT k 2000000000000");
    assert_string_equal(lab_run("PEXPIREAT k 2000000000499"), ":1");
    assert_string_equal(lab_run("EXPIRETIME k"), ":2000000000");
    assert_string_equal(lab_run("PEXPIREAT k 2000000000500"), ":1");
    assert_string_equal(lab_run("EXPIRETIME k"), ":2000000001");
    assert_string_equal(lab_run("EXPIRE k 100"), ":1");
    assert_string_equal(lab_run("TTL k"), ":100");
    assert_in_range(atoll(lab_run("PTTL k") + 1), 90000, 100000);
    assert_string_equal(lab_run("TTL none"), ":-2");
    assert_string_equal(lab_run("PERSIST k"), ":1");
    assert_string_equal(lab_run("PERSIST k"), ":0");
    assert_string_equal(lab_run("TTL k"), ":-1");
}

static void times_that_do_not_fit_are_refused(void **state) {
    (void)state;
    lab_run("SET k v");
    assert_string_equal(lab_run("EXPIRE k 9223372036854775"), "-ERR invalid expire time in 'expire' command");
    assert_string_equal(lab_run("EXPIREAT k 9223372036854776"), "-ERR invalid expire time in 'expireat' command");
    assert_string_equal(lab_run("PEXPIRE k 9223372036854775807"), "-ERR invalid expire time in 'pexpire' command");
    assert_string_equal(lab_run("PEXPIREAT k 9223372036854775807"), ":1");
    assert_string_equal(lab_run("PEXPIRETIME k"), ":9223372036854775807");
    assert_string_equal(lab_run("EXPIRE none x"), "-ERR value is not an integer or out of range");
}

static void a_deadline_in_the_past_deletes(void **state) {
    (void)state;
    lab_run("SET k v");
    assert_string_equal(lab_run("EXPIRE k 0"), ":1");
    lab_expect_propagated("DEL k");
    assert_string_equal(lab_run("EXISTS k"), ":0");
    assert_string_equal(lab_run("EXPIRE k 0"), ":0");
    lab_expect_propagated("");
    lab_run("SET k v");
    assert_string_equal(lab_run("EXPIREAT k -5"), ":1");
    lab_expect_propagated("DEL k");
}

int main(void) {
    lab_start((const struct module *const[]){&expiry_module, &strings_module, &keys_module, NULL});
    const struct CMUnitTest tests[] = {
        LAB_TEST(conditions_compare_with_the_old_deadline),
        LAB_TEST(times_have_units),
        LAB_TEST(times_that_do_not_fit_are_refused),
        LAB_TEST(a_deadline_in_the_past_deletes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
