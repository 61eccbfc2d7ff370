/* The commands that are propagated in place of requests. test_effects.c has the same seen from the requests. */
#include "cmd/effect.h"
#include "command_lab.h"

static void say_all(void) {
    struct slice request = SLICE("REQUEST"), key = SLICE("k"), value = SLICE("v");
    lab_propagated.len = 0;
    propagate_begin();
    effect_delete(key);
    effect_expire(key, INT64_MAX);
    effect_persist(key);
    effect_set(key, value);
    effect_set_keeping(key, value);
    effect_set_until(key, value, 1700000000000);
    propagate_end(lab_client.db, &request, 1, slice_of(NULL, 0), true);
    log_reader_run(lab_on_propagated, NULL);
}

static void they_replace_the_request_in_order(void **state) {
    (void)state;
    say_all();
    lab_expect_propagated("MULTI; DEL k; PEXPIREAT k 9223372036854775807; PERSIST k; SET k v; SET k v KEEPTTL; "
                          "SET k v PXAT 1700000000000; EXEC");
}

static void nobody_listens(void **state) {
    (void)state;
    log_reader_end();
    propagate_want(PROPAGATE_STREAM, false);
    say_all();
    propagate_want(PROPAGATE_STREAM, true);
    log_reader_begin();
    lab_expect_propagated(""); /* nor is anything left for the next command: */
    say_all();
    assert_int_equal(memcmp(lab_propagated.data, "MULTI; DEL k; PEXP", 18), 0);
}

int main(void) {
    lab_start((const struct module *const[]){NULL});
    const struct CMUnitTest tests[] = {
        LAB_TEST(they_replace_the_request_in_order),
        LAB_TEST(nobody_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
