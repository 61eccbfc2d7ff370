/* Lines: however the bytes come, a line is whole, and what follows it stays in the socket. */
#include "repl/lines.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int here, there;
static struct lines lines;

static int setup(void **state) {
    int pair[2];
    (void)state;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return -1;
    here = pair[0];
    there = pair[1];
    lines.len = 0;
    return fcntl(here, F_SETFL, O_NONBLOCK);
}

static int teardown(void **state) {
    (void)state;
    close(here);
    close(there);
    return 0;
}

static void say(const char *bytes) {
    assert_int_equal(write(there, bytes, strlen(bytes)), strlen(bytes));
}

static void expect_line(const char *expected) {
    struct slice line;
    assert_int_equal(lines_read(&lines, here, &line), LINES_LINE);
    assert_int_equal(line.len, strlen(expected));
    assert_memory_equal(line.ptr, expected, line.len);
}

static void expect(enum lines_result expected) {
    struct slice line;
    assert_int_equal(lines_read(&lines, here, &line), expected);
}

static void lines_come_one_by_one(void **state) {
    (void)state;
    say("+PONG\r\n\n+OK\nx\ry\r\n\r\n");
    expect_line("+PONG");
    expect_line("");
    expect_line("+OK");
    expect_line("x\ry");
    expect_line("");
    expect(LINES_MORE);
}

static void a_line_may_come_in_pieces(void **state) {
    (void)state;
    say("+FULL");
    expect(LINES_MORE);
    say("RESYNC");
    expect(LINES_MORE);
    say("\r");
    expect(LINES_MORE);
    say("\nrest");
    expect_line("+FULLRESYNC");
}

static void what_follows_a_line_is_left_alone(void **state) {
    char rest[16];
    (void)state;
    say("+CONTINUE\r\n*1\r\n$4");
    expect_line("+CONTINUE");
    assert_int_equal(read(here, rest, sizeof rest), 6);
    assert_memory_equal(rest, "*1\r\n$4", 6);
}

static void the_longest_line_fits_and_no_longer_one(void **state) {
    static char text[LINES_MAX + 1];
    (void)state;
    memset(text, 'x', sizeof text);
    text[LINES_MAX - 1] = '\n';
    assert_int_equal(write(there, text, LINES_MAX), LINES_MAX);
    text[LINES_MAX - 1] = '\0';
    expect_line(text);
    memset(text, 'x', sizeof text);
    assert_int_equal(write(there, text, LINES_MAX - 1), LINES_MAX - 1);
    expect(LINES_MORE);
    say("xx");
    expect(LINES_TOO_LONG);
    expect(LINES_TOO_LONG);
}

static void the_end_of_the_connection_is_told(void **state) {
    (void)state;
    say("half");
    shutdown(there, SHUT_WR);
    expect(LINES_CLOSED);
    assert_int_equal(errno, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_come_one_by_one, setup, teardown),
        cmocka_unit_test_setup_teardown(a_line_may_come_in_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(what_follows_a_line_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(the_longest_line_fits_and_no_longer_one, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_of_the_connection_is_told, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
