/* Kept connections to servers, which are listening sockets of this process: kept, dropped, dropped as the oldest,
 * dropped when idle. */
#include "base/alloc.h"
#include "base/clock.h"
#include "net/links.h"
#include "net/loop.h"
#include "net/socket.h"
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define SERVERS (LINKS_MAX + 1)
#define WAIT_MS 10000

static int listeners[SERVERS], ports[SERVERS];
static const struct slice host = {"127.0.0.1", 9};

static struct peer_link *get(int server) {
    struct peer_link *link = links_get(host, ports[server], WAIT_MS);
    assert_non_null(link);
    return link;
}

static int set_up(void **state) {
    (void)state;
    for (int i = 0; i < SERVERS; i++) {
        const char *why;
        struct sockaddr_in address;
        socklen_t len = sizeof address;
        listeners[i] = socket_listen_tcp("127.0.0.1", 0, 8, &why);
        if (getsockname(listeners[i], (struct sockaddr *)&address, &len) < 0) return -1;
        ports[i] = ntohs(address.sin_port);
    }
    return loop_init(16) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    for (int i = 0; i < SERVERS; i++)
        close(listeners[i]);
    loop_close();
    return 0;
}

static void a_link_is_kept_until_it_is_dropped(void **state) {
    (void)state;
    size_t before = alloc_used();
    struct peer_link *link = get(0);
    assert_int_equal(link->db, -1);
    link->db = 5;
    assert_ptr_equal(get(0), link);
    assert_int_equal(get(1)->db, -1);
    assert_int_equal(links_count(), 2);
    assert_int_equal(get(0)->db, 5);
    links_drop(link);
    assert_int_equal(links_count(), 1);
    assert_int_equal(get(0)->db, -1); /* a new one */
    links_drop(get(0));
    links_drop(get(1));
    assert_int_equal(links_count(), 0);
    assert_true(alloc_used() - before <= 1024); /* the loop's timers */
}

static void a_server_that_does_not_listen_has_no_link(void **state) {
    (void)state;
    const char *why;
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    int fd = socket_listen_tcp("127.0.0.1", 0, 8, &why);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    close(fd);
    assert_null(links_get(host, ntohs(address.sin_port), WAIT_MS));
    assert_int_equal(errno, ECONNREFUSED);
    assert_int_equal(links_count(), 0);
}

static void the_oldest_makes_room(void **state) {
    (void)state;
    for (int i = 0; i < LINKS_MAX; i++)
        get(i)->db = i;
    int64_t used_ms = clock_mono_us() / 1000;
    while (clock_mono_us() / 1000 == used_ms) {
    }
    get(0); /* now link 1 is the oldest */
    get(LINKS_MAX);
    assert_int_equal(links_count(), LINKS_MAX);
    assert_int_equal(get(0)->db, 0);
    for (int i = 2; i < LINKS_MAX; i++)
        assert_int_equal(get(i)->db, i);
    for (int i = 0; i <= LINKS_MAX; i++)
        if (i != 1) links_drop(get(i));
    assert_int_equal(links_count(), 0);
}

static int stop_when_one_is_left(void) {
    if (links_count() == 1) loop_stop();
    return -1;
}

static void idle_links_are_dropped(void **state) {
    (void)state;
    get(1)->db = 1;
    get(0)->used_ms -= 10001;
    loop_run(stop_when_one_is_left);
    assert_int_equal(get(1)->db, 1);
    links_drop(get(1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_link_is_kept_until_it_is_dropped),
        cmocka_unit_test(a_server_that_does_not_listen_has_no_link),
        cmocka_unit_test(the_oldest_makes_room),
        cmocka_unit_test(idle_links_are_dropped),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
