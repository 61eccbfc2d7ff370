/* CLIENT LIST of more clients than a slice has: every client that stays is in it once and in order, whatever closes
 * meanwhile, and other clients are served between the slices. */
#include "base/clock.h"
#include "base/hash.h"
#include "base/module.h"
#include "base/rand.h"
#include "base/worker.h"
#include "catalog/catalog.h"
#include "conf/config.h"
#include "exec/block.h"
#include "exec/pause.h"
#include "exec/wave.h"
#include "net/loop.h"
#include "seed.h"
#include "session/client.h"
#include "store/db.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define CLIENTS 3500 /* four slices */
#define REPLY_MAX (1 << 22)

extern const struct module limits_module, block_module, clients_module, client_list_module, connection_module,
    tx_module;

/* A client with the test at the other end of its socket. */
struct peer {
    int fd;
    struct client *client;
    char *reply;
    size_t len;
};

static struct client *crowd[CLIENTS]; /* silent clients */

static int turn(void) {
    clock_update();
    wave_run();
    client_reap();
    return 0;
}

static void open_peer(struct peer *peer) {
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    *peer = (struct peer){.fd = fds[1], .reply = malloc(REPLY_MAX)};
    peer->client = client_new(fds[0], wave_ready);
    peer->client->flags |= CLIENT_AUTHENTICATED;
}

static void close_peer(struct peer *peer) {
    close(peer->fd);
    free(peer->reply);
    loop_poll(turn);
    loop_poll(turn);
}

static void say(struct peer *peer, const char *text) {
    assert_int_equal(write(peer->fd, text, strlen(text)), strlen(text));
}

/* Read what has come so far. */
static void hear(struct peer *peer) {
    ssize_t n;
    while ((n = read(peer->fd, peer->reply + peer->len, REPLY_MAX - peer->len)) > 0)
        peer->len += (size_t)n;
}

/* The text of the bulk reply, once all of it has come; else NULL. */
static const char *whole_bulk(struct peer *peer, size_t *len) {
    hear(peer);
    peer->reply[peer->len] = '\0';
    const char *text = strstr(peer->reply, "\r\n");
    if (!text) return NULL;
    assert_int_equal(peer->reply[0], '$');
    *len = strtoull(peer->reply + 1, NULL, 10);
    text += 2;
    return peer->len >= (size_t)(text - peer->reply) + *len + 2 ? text : NULL;
}

/* Turns until the list has come; calls `meanwhile` between them. Returns how many turns there were. */
static int list_turns(struct peer *peer, void (*meanwhile)(void), const char **text, size_t *len) {
    for (int turns = 1; turns < 1000; turns++) {
        loop_poll(turn);
        if ((*text = whole_bulk(peer, len))) return turns;
        if (meanwhile) meanwhile();
    }
    fail_msg("no reply");
    return 0;
}

/* The ids in the list, of which no line is there twice or out of order. */
static size_t read_ids(const char *text, size_t len, uint64_t *ids) {
    size_t count = 0;
    for (const char *line = text; line < text + len; line = strchr(line, '\n') + 1) {
        assert_memory_equal(line, "id=", 3);
        ids[count] = strtoull(line + 3, NULL, 10);
        assert_true(count == 0 || ids[count] > ids[count - 1]);
        count++;
    }
    return count;
}

static bool has_id(const uint64_t *ids, size_t count, uint64_t id) {
    for (size_t i = 0; i < count; i++)
        if (ids[i] == id) return true;
    return false;
}

static void gather_crowd(void) {
    for (int i = 0; i < CLIENTS; i++)
        if (!crowd[i]) crowd[i] = client_new(eventfd(0, EFD_NONBLOCK), wave_ready);
    loop_poll(turn);
    for (int i = 0; i < CLIENTS; i++)
        if (crowd[i]->flags & CLIENT_CLOSE_NOW) fail_msg("a client that has sent nothing was closed");
}

/* --- Tests ----------------------------------------------------------------------------------- */

static uint64_t listed[2 * CLIENTS];

static void all_are_listed_and_others_are_served_meanwhile(void **state) {
    (void)state;
    struct peer asker, other;
    const char *text = NULL;
    size_t len = 0;
    gather_crowd();
    open_peer(&asker);
    open_peer(&other);
    say(&asker, "CLIENT LIST\r\nPING\r\n");
    loop_poll(turn);
    assert_true(asker.client->flags & CLIENT_WAITS);
    assert_int_equal(block_metrics.postponed, 1);
    say(&other, "PING\r\n");
    loop_poll(turn);
    hear(&other);
    assert_memory_equal(other.reply, "+PONG\r\n", 7);
    assert_true(asker.client->flags & CLIENT_WAITS);
    assert_true(list_turns(&asker, NULL, &text, &len) >= 2);
    assert_int_equal(read_ids(text, len, listed), CLIENTS + 2);
    const char *own = strstr(text, "flags=b");
    assert_null(own); /* nobody waited when the list was asked for */
    for (int i = 0; i < 10; i++)
        loop_poll(turn);
    hear(&asker);
    assert_memory_equal(text + len, "\r\n+PONG\r\n", 9); /* the request behind the list */
    assert_int_equal(block_metrics.postponed, 0);
    close_peer(&asker);
    close_peer(&other);
}

static void close_some(void) {
    for (int n = (int)rand_below(300); n > 0; n--) {
        int i = (int)rand_below(CLIENTS);
        if (crowd[i]) client_close(crowd[i]);
        crowd[i] = NULL;
    }
    client_reap();
}

static void those_that_stay_are_listed(void **state) {
    (void)state;
    for (int round = 0; round < 10; round++) {
        struct peer asker;
        const char *text;
        size_t len = 0;
        gather_crowd();
        open_peer(&asker);
        say(&asker, rand_below(2) ? "CLIENT LIST\r\n" : "CLIENT LIST TYPE normal\r\n");
        list_turns(&asker, close_some, &text, &len);
        size_t count = read_ids(text, len, listed);
        assert_true(has_id(listed, count, asker.client->id));
        for (int i = 0; i < CLIENTS; i++)
            if (crowd[i]) assert_true(has_id(listed, count, crowd[i]->id));
        close_peer(&asker);
    }
}

static void askers_may_close_and_wait_for_each_other(void **state) {
    (void)state;
    struct peer askers[4];
    const char *text = NULL;
    size_t len = 0;
    gather_crowd();
    for (int i = 0; i < 4; i++) {
        open_peer(&askers[i]);
        say(&askers[i], i == 2 ? "CLIENT LIST TYPE pubsub\r\n" : "CLIENT LIST\r\n");
    }
    loop_poll(turn);
    client_close(askers[0].client); /* its list is being written */
    client_close(askers[3].client); /* its list is the last */
    loop_poll(turn);
    list_turns(&askers[1], NULL, &text, &len);
    assert_int_equal(read_ids(text, len, listed), CLIENTS + 2);
    list_turns(&askers[2], NULL, &text, &len);
    assert_int_equal(len, 0);
    for (int i = 0; i < 4; i++)
        close_peer(&askers[i]);
}

static void a_list_survives_pauses(void **state) {
    (void)state;
    struct peer asker;
    const char *text = NULL;
    size_t len = 0;
    gather_crowd();
    open_peer(&asker);
    say(&asker, "CLIENT LIST\r\n");
    loop_poll(turn);
    loop_poll(turn);
    pause_begin(PAUSE_OF_CLIENT, PAUSE_ALL, 1000000);
    loop_poll(turn);
    pause_end(PAUSE_OF_CLIENT); /* the request runs again */
    list_turns(&asker, NULL, &text, &len);
    assert_int_equal(read_ids(text, len, listed), CLIENTS + 1);
    hear(&asker);
    assert_int_equal(asker.reply + asker.len - text, len + 2); /* one reply */
    close_peer(&asker);
}

static void a_transaction_gets_its_list_at_once(void **state) {
    (void)state;
    struct peer asker;
    gather_crowd();
    open_peer(&asker);
    say(&asker, "MULTI\r\nCLIENT LIST\r\nPING\r\nEXEC\r\n");
    loop_poll(turn);
    assert_false(asker.client->flags & CLIENT_WAITS);
    static const char begin[] = "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$";
    for (int i = 0; i < 1000 && (asker.len < 7 || memcmp(asker.reply + asker.len - 7, "+PONG\r\n", 7) != 0); i++) {
        hear(&asker);
        loop_poll(turn);
    }
    assert_memory_equal(asker.reply, begin, strlen(begin));
    const char *text = strstr(asker.reply + strlen(begin), "\r\n") + 2;
    assert_int_equal(read_ids(text, strtoull(asker.reply + strlen(begin), NULL, 10), listed), CLIENTS + 1);
    close_peer(&asker);
}

static void add_module(const struct module *module) {
    if (module->options) config_register(module->options);
    if (module->commands) catalog_register(module->commands);
    if (module->part) client_register(module->part);
}

static int start(void **state) {
    (void)state;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < CLIENTS + 100) {
        printf("test_client_list: only %llu files may be open\n", (unsigned long long)files.rlim_cur);
        return -1;
    }
    clock_init();
    hash_init();
    worker_start();
    assert_true(loop_init(CLIENTS));
    clock_update();
    db_init(1);
    const struct module *const modules[] = {&limits_module,     &block_module,   &tx_module,
                                            &connection_module, &clients_module, &client_list_module};
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++)
        add_module(modules[i]);
    catalog_ready();
    return 0;
}

static int stop(void **state) {
    (void)state;
    while (client_first)
        client_close(client_first);
    client_reap();
    db_shutdown();
    loop_close();
    worker_stop();
    return 0;
}

int main(void) {
    uint64_t seed = seed_of_run();
    printf("test_client_list: seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_listed_and_others_are_served_meanwhile),
        cmocka_unit_test(those_that_stay_are_listed),
        cmocka_unit_test(askers_may_close_and_wait_for_each_other),
        cmocka_unit_test(a_list_survives_pauses),
        cmocka_unit_test(a_transaction_gets_its_list_at_once),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
