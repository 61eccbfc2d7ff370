/* MIGRATE with a target that is played here: its answers are written before MIGRATE asks, on a connection that is kept
 * for it, and what it asked is read afterwards. */
#include "command_lab.h"
#include "net/links.h"
#include "net/loop.h"
#include "net/socket.h"
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

extern const struct module migrate_module, strings_module, keys_module;

#define WAIT_MS 10000

static int listener, port, target; /* target: the other end of the connection */

static int set_up(void **state) {
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    const char *why;
    lab_setup(state);
    listener = socket_listen_tcp("127.0.0.1", 0, 8, &why);
    if (getsockname(listener, (struct sockaddr *)&address, &len) < 0) return -1;
    port = ntohs(address.sin_port);
    target = -1;
    return 0;
}

/* No link outlives a test: its port may come again. */
static int tear_down(void **state) {
    if (target >= 0) close(target);
    if (links_count()) links_drop(links_get(SLICE("127.0.0.1"), port, WAIT_MS));
    close(listener);
    return lab_teardown(state);
}

static int start_loop(void **state) {
    (void)state;
    return loop_init(16) ? 0 : -1;
}

static int end_loop(void **state) {
    (void)state;
    loop_close();
    return 0;
}

/* Connect, and answer in advance. */
static void answer(const char *answers) {
    if (target < 0) {
        assert_non_null(links_get(SLICE("127.0.0.1"), port, WAIT_MS));
        target = accept(listener, NULL, NULL);
        assert_true(target >= 0);
    }
    assert_int_equal(write(target, answers, strlen(answers)), (ssize_t)strlen(answers));
}

/* What the target was asked: the words but for payloads, with blanks between. */
static const char *asked(void) {
    static char text[4096];
    char bytes[4096], *to = text, *at = bytes;
    ssize_t n = recv(target, bytes, sizeof bytes - 1, MSG_DONTWAIT);
    if (n <= 0) return "";
    while (at < bytes + n) {
        long words = strtol(at + 1, &at, 10);
        for (long i = 0; i < words; i++) {
            long len = strtol(at + 3, &at, 10);
            bool binary = memchr(at + 2, '\0', (size_t)len);
            to += sprintf(to, "%s%.*s", to == text ? "" : " ", binary ? 1 : (int)len, binary ? "?" : at + 2);
            at += 2 + len;
        }
        at += 2;
    }
    return text;
}

static void keys_go_when_their_own_restore_was_answered(void **state) {
    (void)state;
    lab_run("MSET a 1 b 2 c 3");
    answer("+OK\r\n+OK\r\n-BUSYKEY b exists\r\n+OK\r\n");
    assert_string_equal(lab_run("MIGRATE 127.0.0.1 %d  5 10000 KEYS a b none c", port),
                        "-ERR Target instance replied with error: BUSYKEY b exists");
    lab_expect_propagated("DEL a c");
    assert_string_equal(asked(), "SELECT 5 RESTORE a 0 ? RESTORE b 0 ? RESTORE c 0 ?");
    assert_string_equal(lab_run("EXISTS a b c"), ":1");
}

static void the_connection_is_kept_with_its_database(void **state) {
    (void)state;
    lab_run("MSET a 1 b 2 c 3");
    answer("+OK\r\n+OK\r\n");
    assert_string_equal(lab_run("MIGRATE 127.0.0.1 %d a 5 10000 COPY", port), "+OK");
    lab_expect_propagated("");
    assert_string_equal(asked(), "SELECT 5 RESTORE a 0 ?");
    answer("+OK\r\n");
    assert_string_equal(lab_run("MIGRATE 127.0.0.1 %d b 5 10000 REPLACE", port), "+OK");
    lab_expect_propagated("DEL b");
    assert_string_equal(asked(), "RESTORE b 0 ? REPLACE");
    answer("-ERR full\r\n"); /* after an error nothing is known of the target's database */
    lab_run("MIGRATE 127.0.0.1 %d c 5 10000", port);
    assert_string_equal(asked(), "RESTORE c 0 ?");
    answer("+OK\r\n+OK\r\n");
    assert_string_equal(lab_run("MIGRATE 127.0.0.1 %d c 5 10000", port), "+OK");
    assert_string_equal(asked(), "SELECT 5 RESTORE c 0 ?");
    assert_string_equal(lab_run("EXISTS a b c"), ":1");
}

static void keys_stay_where_the_password_is_refused(void **state) {
    (void)state;
    lab_run("MSET a 1 b 2");
    answer("-WRONGPASS no\r\n+OK\r\n+OK\r\n+OK\r\n");
    assert_string_equal(lab_run("MIGRATE 127.0.0.1 %d  0 10000 AUTH2 me secret KEYS a b", port),
                        "-ERR Target instance replied with error: WRONGPASS no");
    lab_expect_propagated("");
    assert_string_equal(asked(), "AUTH me secret SELECT 0 RESTORE a 0 ? RESTORE b 0 ?");
    assert_string_equal(lab_run("EXISTS a b"), ":2");
    answer("+OK\r\n+OK\r\n+OK\r\n");
    assert_string_equal(lab_run("MIGRATE 127.0.0.1 %d a 0 10000 AUTH secret", port), "+OK");
    assert_string_equal(asked(), "AUTH secret SELECT 0 RESTORE a 0 ?");
}

static void what_is_not_answered_stays(void **state) {
    (void)state;
    lab_run("MSET a 1 b 2");
    answer("+OK\r\n+OK\r\n");
    assert_string_equal(lab_run("MIGRATE 127.0.0.1 %d  0 20 KEYS a b", port),
                        "-IOERR error or timeout reading to target instance");
    lab_expect_propagated("DEL a");
    assert_int_equal(links_count(), 0);
    assert_string_equal(lab_run("EXISTS a b"), ":1");
}

/* The second attempt gets a connection that nobody accepts, so that it times out. */
static void a_connection_that_the_target_has_closed_is_made_anew(void **state) {
    (void)state;
    lab_run("SET a 1");
    answer("");
    close(target);
    target = -1;
    assert_string_equal(lab_run("MIGRATE 127.0.0.1 %d a 0 20", port),
                        "-IOERR error or timeout reading to target instance");
    target = accept(listener, NULL, NULL);
    assert_string_equal(asked(), "SELECT 0 RESTORE a 0 ?");
    assert_string_equal(lab_run("EXISTS a"), ":1");
}

static void arguments_are_checked_before_anything_is_sent(void **state) {
    (void)state;
    lab_run("SET a 1");
    assert_string_equal(lab_run("MIGRATE 127.0.0.1 %d none 0 20", port), "+NOKEY");
    assert_string_equal(lab_run("MIGRATE 127.0.0.1 %d a 0 20 KEYS a", port),
                        "-ERR When using MIGRATE KEYS option, the key argument must be set to the empty string");
    assert_string_equal(lab_run("MIGRATE 127.0.0.1 %d a 0 20 AUTH2 x", port), "-ERR syntax error");
    assert_string_equal(lab_run("MIGRATE 127.0.0.1 %d a x 20", port), "-ERR value is not an integer or out of range");
    assert_int_equal(links_count(), 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    lab_start((const struct module *const[]){&migrate_module, &strings_module, &keys_module, NULL});
    const struct CMUnitTest tests[] = {
        TEST(keys_go_when_their_own_restore_was_answered),
        TEST(the_connection_is_kept_with_its_database),
        TEST(keys_stay_where_the_password_is_refused),
        TEST(what_is_not_answered_stays),
        TEST(a_connection_that_the_target_has_closed_is_made_anew),
        TEST(arguments_are_checked_before_anything_is_sent),
    };
    return cmocka_run_group_tests(tests, start_loop, end_loop);
}
