/* The options of limits: output limits are read, shown, written per class; the default is no line of the file. */
#include "base/buf.h"
#include "base/module.h"
#include "base/option.h"
#include "conf/config.h"
#include "conf/directive.h"
#include "session/limits.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

extern const struct module limits_module;

#define NAME "client-output-buffer-limit"
#define INITIAL "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"

static bool set(const char *name, const char *value, const char **text) {
    struct slice pair[2] = {slice_cstr(name), slice_cstr(value)};
    struct config_error error = {0};
    bool ok = config_set(pair, 1, true, &error);
    *text = error.text;
    return ok;
}

static void assert_shown(const char *value) {
    struct buf out = {0};
    directive_print(config_find(SLICE(NAME)), &out);
    assert_true(slice_eq(buf_slice(&out), slice_cstr(value)));
    buf_free(&out);
}

static void assert_lines(const char *lines) {
    struct buf out = {0};
    config_find(SLICE(NAME))->lines(&out);
    assert_true(slice_eq(buf_slice(&out), slice_cstr(lines)));
    buf_free(&out);
}

static void the_default_is_shown_and_not_written(void **state) {
    (void)state;
    assert_shown(INITIAL);
    assert_lines("");
    assert_int_equal(limits_options.output_limit[LIMITS_REPLICA].hard, 256 << 20);
    assert_int_equal(limits_options.output_limit[LIMITS_PUBSUB].soft, 8 << 20);
    assert_int_equal(limits_options.output_limit[LIMITS_PUBSUB].soft_s, 60);
}

static void a_class_that_is_not_named_keeps_its_limits(void **state) {
    (void)state;
    const char *error;
    assert_true(set(NAME, "Normal 1mb 2 3", &error));
    assert_shown("normal 1048576 2 3 slave 268435456 67108864 60 pubsub 33554432 8388608 60");
    assert_true(set(NAME, "replica 5 6 7 pubsub 0 0 0", &error));
    assert_shown("normal 1048576 2 3 slave 5 6 7 pubsub 0 0 0");
    assert_lines(NAME " normal 1mb 2 3\n" NAME " replica 5 6 7\n" NAME " pubsub 0 0 0\n");
    assert_true(set(NAME, INITIAL, &error));
    assert_lines("");
}

static void bad_limits_change_nothing(void **state) {
    (void)state;
    static const char invalid[] = "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
    const char *error;
    assert_false(set(NAME, "normal 1 2", &error));
    assert_string_equal(error, "Wrong number of arguments in buffer limit configuration.");
    assert_false(set(NAME, "normal 1 2 3 nobody 1 2 3", &error));
    assert_string_equal(error, "Invalid client class specified in buffer limit configuration.");
    static const char *const bad[] = {"normal -1 2 3", "normal 1 x 3", "normal 1 2 -1", "normal 1 2 2147483648",
                                      "normal 1 2 3 pubsub 9223372036854775808 1 1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(set(NAME, bad[i], &error));
        assert_string_equal(error, invalid);
    }
    assert_shown(INITIAL);
}

static void an_argument_never_exceeds_what_an_int_holds(void **state) {
    (void)state;
    const char *error;
    assert_int_equal(limits_max_bulk(), 512 << 20);
    assert_true(set("proto-max-bulk-len", "5gb", &error));
    assert_int_equal(limits_max_bulk(), LIMITS_ARGUMENT_MAX);
}

static void maxclients_follows_the_limit_on_open_files(void **state) {
    (void)state;
    const char *error;
    struct rlimit files = {100, 200};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    limits_options.max_clients = 150;
    limits_fit_files(); /* raises the soft limit */
    assert_int_equal(limits_options.max_clients, 150);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    assert_int_equal(files.rlim_cur, 150 + LIMITS_RESERVED_FDS);
    assert_true(set("maxclients", "160", &error));
    assert_int_equal(limits_options.max_clients, 160);
}

int main(void) {
    config_register(limits_module.options);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_is_shown_and_not_written),
        cmocka_unit_test(a_class_that_is_not_named_keeps_its_limits),
        cmocka_unit_test(bad_limits_change_nothing),
        cmocka_unit_test(an_argument_never_exceeds_what_an_int_holds),
        cmocka_unit_test(maxclients_follows_the_limit_on_open_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
