/* CLIENT KILL: which clients fit which filters, and what is refused. */
#include "admin/client_kill.h"
#include "base/clock.h"
#include "net/conn.h"
#include "net/loop.h"
#include "session/client.h"
#include "session/request.h"
#include "store/db.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include <cmocka.h>

#define CLIENTS 5

static struct client *clients[CLIENTS];

static void ready(struct loop_source *source, uint32_t events) {
    (void)source;
    (void)events;
}

static void open_clients(void) {
    for (int i = 0; i < CLIENTS; i++)
        if (!clients[i]) clients[i] = client_new(eventfd(0, EFD_NONBLOCK), ready);
}

/* clients[0] sends CLIENT KILL with these words. Returns its reply, valid until the next call. */
static const char *kill_clients(const char *words) {
    static char reply[256];
    char copy[256];
    struct slice argv[16] = {SLICE("client"), SLICE("kill")};
    struct request r = {.client = clients[0], .argv = argv, .argc = 2};
    snprintf(copy, sizeof copy, "%s", words);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        argv[r.argc++] = slice_cstr(word);
    client_current = clients[0];
    size_t mark = conn_mark();
    client_kill_command(&r);
    client_current = NULL;
    snprintf(reply, sizeof reply, "%.*s", (int)(conn_mark() - mark), conn_arena.data + mark);
    conn_truncate(mark);
    return reply;
}

/* The reply, and which clients are left: "01234" if none was killed. All are there again afterwards. */
static void expect_left(const char *words, const char *reply, const char *left) {
    char text[CLIENTS + 1] = "";
    size_t len = 0;
    open_clients();
    assert_string_equal(kill_clients(words), reply);
    for (int i = 0; i < CLIENTS; i++) {
        if (!client_is_leaving(clients[i])) {
            text[len++] = (char)('0' + i);
            continue;
        }
        client_close(clients[i]);
        clients[i] = NULL;
    }
    client_reap();
    assert_string_equal(text, left);
    open_clients();
}

static const char *with_id(const char *format, int i) {
    static char words[128];
    open_clients();
    snprintf(words, sizeof words, format, (unsigned long long)clients[i]->id);
    return words;
}

static void an_id_names_one_client(void **state) {
    (void)state;
    expect_left(with_id("ID %llu", 2), ":1\r\n", "0134");
    expect_left("ID 999999", ":0\r\n", "01234");
    expect_left(with_id("ID %llu TYPE pubsub", 2), ":0\r\n", "01234");
    expect_left(with_id("id %llu type NORMAL", 2), ":1\r\n", "0134");
}

static void the_asker_is_spared_unless_it_says_otherwise(void **state) {
    (void)state;
    expect_left("TYPE normal", ":4\r\n", "0");
    expect_left("TYPE normal SKIPME yes", ":4\r\n", "0");
    expect_left("TYPE normal SKIPME no", ":5\r\n", "");
    expect_left(with_id("ID %llu", 0), ":0\r\n", "01234");
    expect_left(with_id("ID %llu SKIPME no", 0), ":1\r\n", "1234");
}

static void all_filters_must_fit(void **state) {
    (void)state;
    expect_left("TYPE normal MAXAGE 1000", ":0\r\n", "01234");
    clients[3]->created_ms -= 2000000;
    expect_left("TYPE normal MAXAGE 1000", ":1\r\n", "0124");
    expect_left("TYPE replica", ":0\r\n", "01234");
    expect_left("TYPE master", ":0\r\n", "01234");
    expect_left("USER default MAXAGE 1000", ":0\r\n", "01234");
    expect_left("ADDR 1.2.3.4:5", ":0\r\n", "01234");
    expect_left("ADDR ?:0 LADDR ?:0", ":4\r\n", "0"); /* these descriptors are no sockets */
    expect_left("ADDR ?:0 LADDR ?:1", ":0\r\n", "01234");
}

static void the_old_form_names_an_address(void **state) {
    (void)state;
    expect_left("1.2.3.4:5", "-ERR No such client\r\n", "01234");
    expect_left("?:0", "+OK\r\n", "");
}

static void mistakes_kill_nobody(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"ID 0", "-ERR client-id should be greater than 0\r\n"},
        {"ID x", "-ERR client-id should be greater than 0\r\n"},
        {"MAXAGE x", "-ERR maxage is not an integer or out of range\r\n"},
        {"MAXAGE 0", "-ERR maxage should be greater than 0\r\n"},
        {"TYPE foo", "-ERR Unknown client type 'foo'\r\n"},
        {"USER nobody", "-ERR No such user 'nobody'\r\n"},
        {"SKIPME maybe", "-ERR syntax error\r\n"},
        {"TYPE normal SKIPME", "-ERR syntax error\r\n"},
        {"TYPE normal WHAT ever", "-ERR syntax error\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_left(cases[i][0], cases[i][1], "01234");
}

static int start(void **state) {
    (void)state;
    clock_init();
    clock_update();
    hash_init();
    db_init(1);
    return loop_init(CLIENTS) ? 0 : -1;
}

static int stop(void **state) {
    (void)state;
    while (client_first)
        client_close(client_first);
    client_reap();
    db_shutdown();
    loop_close();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_names_one_client), cmocka_unit_test(the_asker_is_spared_unless_it_says_otherwise),
        cmocka_unit_test(all_filters_must_fit),   cmocka_unit_test(the_old_form_names_an_address),
        cmocka_unit_test(mistakes_kill_nobody),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
