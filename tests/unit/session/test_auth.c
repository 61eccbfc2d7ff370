/* The password: what opens and closes the gate, and which users and passwords are accepted. */
#include "base/log.h"
#include "base/module.h"
#include "conf/config.h"
#include "session/auth.h"
#include "session/client.h"
#include "session/gates.h"
#include "session/request.h"
#include "session/server_metrics.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

extern const struct module auth_module;

static void set_password(const char *text) {
    struct slice pair[] = {SLICE("requirepass"), slice_cstr(text)};
    struct config_error error = {0};
    assert_true(config_set(pair, 1, true, &error));
}

/* Does a client that is new get in with these? */
static bool logs_in(struct slice user, struct slice password) {
    struct client c = {.flags = CLIENT_NO_TOUCH};
    uint64_t failed = server_metrics.logins_failed;
    bool accepted = auth_login(&c, user, password);
    assert_int_equal(server_metrics.logins_failed, failed + !accepted);
    assert_int_equal(c.flags, CLIENT_NO_TOUCH | (accepted ? CLIENT_AUTHENTICATED : 0));
    return accepted;
}

static void without_a_password_any_is_right(void **state) {
    (void)state;
    set_password("");
    assert_false(client_needs_password);
    assert_false(gates_any_closed);
    assert_true(logs_in(SLICE("default"), SLICE("anything")));
    assert_false(logs_in(SLICE("other"), SLICE("anything")));
}

static void only_the_right_password_is_accepted(void **state) {
    (void)state;
    set_password("secret");
    assert_true(client_needs_password);
    assert_true(logs_in(SLICE("default"), SLICE("secret")));
    assert_false(logs_in(SLICE("Default"), SLICE("secret")));
    assert_false(logs_in(SLICE(""), SLICE("secret")));
    static const char *const wrong[] = {"", "s", "secre", "secrets", "Secret", "secreT", "sEcret"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(logs_in(SLICE("default"), slice_cstr(wrong[i])));
    assert_false(logs_in(SLICE("default"), SLICE("secret\0"))); /* it is longer by a zero byte */
    assert_true(logs_in(SLICE("default"), SLICE("secret")));
}

static void a_wrong_password_takes_nothing_away(void **state) {
    (void)state;
    struct client c = {.flags = CLIENT_AUTHENTICATED};
    set_password("secret");
    assert_false(auth_login(&c, SLICE("default"), SLICE("wrong")));
    assert_int_equal(c.flags, CLIENT_AUTHENTICATED);
}

static void the_gate_stops_clients_without_it(void **state) {
    (void)state;
    struct client c = {.flags = 0};
    struct request r = {.client = &c};
    set_password("secret");
    const struct gate *gate = gates_find_closed(&r, CMD_READONLY);
    assert_non_null(gate);
    assert_string_equal(gate->error, "NOAUTH Authentication required.");
    assert_null(gates_find_closed(&r, CMD_NO_AUTH));
    c.flags = CLIENT_AUTHENTICATED;
    assert_null(gates_find_closed(&r, CMD_READONLY));
    c.flags = 0;
    set_password("");
    assert_null(gates_find_closed(&r, CMD_READONLY));
}

int main(void) {
    log_set_level(LOG_NOTHING);
    config_register(auth_module.options);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_password_any_is_right),
        cmocka_unit_test(only_the_right_password_is_accepted),
        cmocka_unit_test(a_wrong_password_takes_nothing_away),
        cmocka_unit_test(the_gate_stops_clients_without_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
