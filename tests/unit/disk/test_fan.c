/* One stream to several sockets of this process: each gets every byte, however slowly it reads; one that does not read,
 * or has gone, is given up without the others noticing. */
#include "base/clock.h"
#include "disk/fan.h"
#include "disk/writer.h"
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { SOCKETS = 4, BYTES = 5 << 20 };

static struct fan_socket sockets[SOCKETS];
static struct fan fan;
static struct reading {
    int fd, pause_us;
    size_t stop_at; /* it reads no more than this, and keeps the socket open */
    size_t got;
    int wrong; /* bytes that differ */
    pthread_t thread;
} readings[SOCKETS];

static unsigned char byte_at(size_t i) {
    return (unsigned char)(i * 31 + i / 1000);
}

static void *read_all(void *arg) {
    struct reading *r = arg;
    static _Thread_local unsigned char bytes[30000];
    while (r->got < r->stop_at) {
        ssize_t n = read(r->fd, bytes, sizeof bytes);
        if (n <= 0) break;
        for (ssize_t i = 0; i < n; i++)
            r->wrong += bytes[i] != byte_at(r->got + (size_t)i);
        r->got += (size_t)n;
        if (r->pause_us) usleep((useconds_t)r->pause_us);
    }
    return NULL;
}

static int open_all(void **state) {
    (void)state;
    for (int i = 0; i < SOCKETS; i++) {
        int fds[2];
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) return -1;
        sockets[i] = (struct fan_socket){.fd = fds[0]};
        readings[i] = (struct reading){.fd = fds[1], .stop_at = SIZE_MAX};
    }
    fan = (struct fan){sockets, SOCKETS, 30000};
    return 0;
}

static int close_all(void **state) {
    (void)state;
    for (int i = 0; i < SOCKETS; i++) {
        close(sockets[i].fd);
        if (readings[i].fd >= 0) close(readings[i].fd);
    }
    return 0;
}

static void write_stream(struct writer *w) {
    writer_to_sink(w, fan_write, &fan, false);
    for (size_t i = 0; i < BYTES; i++)
        writer_byte(w, byte_at(i));
    writer_flush(w);
}

static void read_and_write(int expected_error) {
    struct writer w;
    for (int i = 0; i < SOCKETS; i++)
        pthread_create(&readings[i].thread, NULL, read_all, &readings[i]);
    write_stream(&w);
    assert_int_equal(w.error, expected_error);
    writer_free(&w);
    for (int i = 0; i < SOCKETS; i++) {
        shutdown(sockets[i].fd, SHUT_RDWR);
        pthread_join(readings[i].thread, NULL);
        assert_int_equal(readings[i].wrong, 0);
    }
}

static void each_gets_every_byte(void **state) {
    (void)state;
    readings[1].pause_us = 500;
    readings[3].pause_us = 100;
    read_and_write(0);
    for (int i = 0; i < SOCKETS; i++) {
        assert_int_equal(sockets[i].error, 0);
        assert_int_equal(readings[i].got, BYTES);
    }
    assert_int_equal(fan_alive(&fan), SOCKETS);
}

static void one_that_does_not_read_is_given_up(void **state) {
    (void)state;
    fan.timeout_ms = 1500;
    readings[2].stop_at = 1 << 20;
    read_and_write(0);
    assert_int_equal(sockets[2].error, ETIMEDOUT);
    assert_int_equal(fan_alive(&fan), SOCKETS - 1);
    assert_int_equal(readings[0].got, BYTES);
    assert_int_equal(readings[3].got, BYTES);
}

/* It takes a little again and again, and so is never idle for long. */
static void one_that_is_slow_is_not_given_up(void **state) {
    (void)state;
    fan.timeout_ms = 500;
    readings[0].pause_us = 5000; /* in all, it takes longer than that */
    read_and_write(0);
    assert_int_equal(sockets[0].error, 0);
    assert_int_equal(readings[0].got, BYTES);
}

static void those_that_have_gone_are_given_up(void **state) {
    (void)state;
    struct writer w;
    close(readings[1].fd);
    readings[1].fd = -1;
    read_and_write(0);
    assert_int_equal(sockets[1].error, EPIPE);
    assert_int_equal(fan_alive(&fan), SOCKETS - 1);
    write_stream(&w); /* all sockets are shut down by now */
    assert_int_equal(w.error, EPIPE);
    assert_int_equal(fan_alive(&fan), 0);
    writer_free(&w);
}

static void none_at_all(void **state) {
    (void)state;
    struct fan none = {.count = 0};
    assert_int_equal(fan_write(&none, "x", 1), EPIPE);
}

int main(void) {
    clock_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_gets_every_byte, open_all, close_all),
        cmocka_unit_test_setup_teardown(one_that_does_not_read_is_given_up, open_all, close_all),
        cmocka_unit_test_setup_teardown(one_that_is_slow_is_not_given_up, open_all, close_all),
        cmocka_unit_test_setup_teardown(those_that_have_gone_are_given_up, open_all, close_all),
        cmocka_unit_test(none_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
