/* Client eviction: the sum follows each weighing, the largest clients go until the others are within the limit, and
 * those that are spared or leaving are not asked. A client's memory is what a part of the test says. */
#include "base/clock.h"
#include "base/hash.h"
#include "base/module.h"
#include "catalog/catalog.h"
#include "client_lab.h"
#include "net/loop.h"
#include "session/client_evict.h"
#include "session/server_metrics.h"
#include "store/db.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

extern const struct module client_evict_module;

enum { MANY = 200, KB = 1024 };
static struct client *clients[MANY];
static int ends[MANY];
static size_t taken[MANY]; /* by the client of this index */

static int index_of(const struct client *c) {
    for (int i = 0; i < MANY; i++)
        if (clients[i] == c) return i;
    return -1;
}

static size_t taken_by(const struct client *c) {
    int i = index_of(c);
    return i < 0 ? 0 : taken[i];
}

static const struct client_part taker = {.memory = taken_by};

static void ready(struct loop_source *source, uint32_t events) {
    (void)source;
    (void)events;
}

static void open_clients(int n, size_t bytes) {
    for (int i = 0; i < n; i++) {
        clients[i] = lab_connect(&ends[i], ready);
        taken[i] = bytes;
    }
}

static void close_clients(void) {
    for (int i = 0; i < MANY; i++) {
        if (!clients[i]) continue;
        client_close(clients[i]);
        close(ends[i]);
        clients[i] = NULL;
        taken[i] = 0;
    }
    client_evict_set_limit(0);
    client_reap();
    server_metrics.evicted_clients = 0;
    client_current = NULL;
}

static void weigh(int i, size_t bytes) {
    taken[i] = bytes;
    client_evict_weigh(clients[i]);
}

static bool is_gone(int i) {
    return clients[i]->flags & CLIENT_CLOSE_NOW;
}

static int gone(int n) {
    int count = 0;
    for (int i = 0; i < n; i++)
        count += is_gone(i);
    return count;
}

static void without_a_limit_nothing_is_kept(void **state) {
    (void)state;
    open_clients(3, 1000 * KB);
    weigh(0, 2000 * KB);
    client_evict_run();
    assert_int_equal(gone(3), 0);
    assert_null(clients[0]->weight);
    client_evict_set_limit(10000 * KB);
    assert_non_null(clients[0]->weight);
    client_evict_set_limit(0);
    assert_null(clients[0]->weight);
    close_clients();
}

static void a_limit_weighs_those_that_are_there(void **state) {
    (void)state;
    open_clients(3, 1000 * KB);
    client_evict_set_limit(2500 * KB);
    assert_int_equal(gone(3), 0); /* not yet */
    client_evict_run();
    assert_int_equal(gone(3), 1);
    assert_int_equal(server_metrics.evicted_clients, 1);
    client_evict_run();
    assert_int_equal(gone(3), 1);
    close_clients();
}

static void the_largest_go_first(void **state) {
    (void)state;
    open_clients(6, 0);
    client_evict_set_limit(700 * KB);
    for (int i = 0; i < 6; i++)
        weigh(i, (size_t)20 * KB << i); /* 20, 40, 80, 160, 320, 640 */
    client_evict_run();
    assert_true(is_gone(5) && gone(6) == 1);
    client_evict_set_limit(500 * KB);
    client_evict_run();
    assert_true(is_gone(4) && gone(6) == 2);
    close_clients();
}

static void a_client_that_shrinks_is_smaller(void **state) {
    (void)state;
    open_clients(2, 0);
    client_evict_set_limit(1000 * KB);
    weigh(0, 3000 * KB);
    weigh(1, 600 * KB);
    taken[0] = 500 * KB; /* nobody has weighed it since */
    client_evict_run();
    assert_true(!is_gone(0) && is_gone(1));
    close_clients();
}

static void at_the_limit_nobody_goes(void **state) {
    (void)state;
    open_clients(1, 1000 * KB);
    client_evict_set_limit(1);
    size_t bytes = client_memory(clients[0]);
    client_evict_set_limit(bytes);
    client_evict_run();
    assert_int_equal(gone(1), 0);
    weigh(0, taken[0] + 1);
    client_evict_run();
    assert_int_equal(gone(1), 1);
    close_clients();
}

static void spared_clients_count_but_stay(void **state) {
    (void)state;
    open_clients(3, 100 * KB);
    client_evict_set_limit(1000 * KB);
    clients[0]->flags |= CLIENT_NO_EVICT;
    weigh(0, 5000 * KB);
    client_evict_run();
    assert_true(!is_gone(0) && is_gone(1) && is_gone(2)); /* they did not help */
    client_clear(clients[0], CLIENT_NO_EVICT);
    client_evict_weigh(clients[0]);
    client_evict_run();
    assert_true(is_gone(0));
    close_clients();
}

static void clients_that_leave_do_not_count(void **state) {
    (void)state;
    open_clients(3, 0);
    client_evict_set_limit(1000 * KB);
    weigh(0, 900 * KB);
    weigh(1, 900 * KB);
    clients[1]->flags |= CLIENT_CLOSE_AFTER_REPLY;
    client_evict_weigh(clients[1]);
    weigh(2, 90 * KB);
    client_evict_run();
    assert_int_equal(gone(3), 0);
    client_close(clients[0]);
    weigh(2, 990 * KB);
    client_evict_run();
    assert_int_equal(gone(3), 1);
    close_clients();
}

static void nobody_goes_during_a_command(void **state) {
    (void)state;
    open_clients(1, 2000 * KB);
    client_evict_set_limit(1000 * KB);
    client_current = clients[0];
    client_evict_run();
    assert_false(is_gone(0));
    client_current = NULL;
    client_evict_run();
    assert_true(is_gone(0));
    close_clients();
}

static size_t sum_of_open(void) {
    size_t sum = 0;
    for (struct client *c = client_first; c; c = c->next)
        sum += client_memory(c);
    return sum;
}

/* Whatever the weights and the limit are, the sum is within the limit after a run, and nobody goes without need. */
static void random_weights_keep_the_limit(void **state) {
    (void)state;
    srand((unsigned)clock_wall_us());
    open_clients(MANY, 0);
    client_evict_set_limit(100000 * KB);
    for (int round = 0; round < 2000 && client_count() > 1; round++) {
        for (int k = 0; k < 20; k++) {
            int i = rand() % MANY;
            if (!is_gone(i)) weigh(i, (size_t)(rand() % 100 * KB) << rand() % 8);
        }
        size_t limit = (size_t)(2000 + rand() % 200000) * KB, before = sum_of_open();
        client_evict_set_limit(limit);
        size_t count = client_count();
        client_evict_run();
        assert_true(sum_of_open() <= limit);
        if (before <= limit) assert_int_equal(client_count(), count);
        if (client_count() < MANY / 2) {
            close_clients();
            open_clients(MANY, 0);
        }
    }
    close_clients();
}

static int start(void **state) {
    (void)state;
    hash_init();
    clock_init();
    clock_update();
    db_init(1);
    client_register(client_evict_module.part);
    client_register(&taker);
    return loop_init(MANY) ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_limit_nothing_is_kept),
        cmocka_unit_test(a_limit_weighs_those_that_are_there),
        cmocka_unit_test(the_largest_go_first),
        cmocka_unit_test(a_client_that_shrinks_is_smaller),
        cmocka_unit_test(at_the_limit_nobody_goes),
        cmocka_unit_test(spared_clients_count_but_stay),
        cmocka_unit_test(clients_that_leave_do_not_count),
        cmocka_unit_test(nobody_goes_during_a_command),
        cmocka_unit_test(random_weights_keep_the_limit),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
