/* Waiting for keys, seen from inside: the order of events and propagated commands when the command of one client serves
 * others (redis-server 7.0.15 did the same). */
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/module.h"
#include "base/rand.h"
#include "catalog/catalog.h"
#include "exec/block.h"
#include "exec/call.h"
#include "exec/exec.h"
#include "exec/propagate.h"
#include "session/client.h"
#include "session/reply.h"
#include "store/changes.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

extern const struct module block_module, keys_module, list_block_module, list_pop_module, lists_module, strings_module,
    zset_block_module, zsets_module;

enum { CLIENTS = 4, DRIVER = 0 }; /* the commands of the driver do not wait */

static struct client clients[CLIENTS];
static int ends[CLIENTS]; /* the other ends of their sockets */
static struct buf events, propagated;

static void on_changed(struct db *db, const struct key *key, unsigned class, const char *event) {
    (void)db;
    if (class == DB_NEW) return;
    buf_printf(&events, "%s%s:%.*s", events.len ? " " : "", event, (int)key->name.len, key->name.ptr);
}

static void on_propagated(void *ctx, int db_id, const struct slice *argv, int argc, struct slice raw) {
    (void)ctx;
    (void)db_id;
    (void)raw;
    if (propagated.len) buf_append_cstr(&propagated, "; ");
    for (int i = 0; i < argc; i++) {
        if (i) buf_append_cstr(&propagated, " ");
        buf_append_slice(&propagated, argv[i]);
    }
}

/* Executes the words of a command that blanks separate, as the wave does. */
static void run(int who, const char *text) {
    struct slice argv[16];
    struct request r = {.client = &clients[who], .argv = argv};
    for (const char *end; *text; text = *end ? end + 1 : end) {
        end = text + strcspn(text, " ");
        argv[r.argc++] = slice_of(text, (size_t)(end - text));
    }
    request_prepare(&r);
    assert_non_null(r.command);
    struct conn_range range;
    conn_open(&range, CONN_NO_LIMIT);
    client_current = r.client;
    call_start_clock();
    exec_run(&r);
    client_current = NULL;
    conn_keep(&r.client->conn, &range);
}

/* What a client was sent since it was asked last. */
static const char *sent_to(int who) {
    static char text[4096];
    conn_flush(NULL);
    ssize_t n = recv(ends[who], text, sizeof text - 1, MSG_DONTWAIT);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

/* The driver runs a command; then these were the events and the commands propagated. */
static void expect(const char *command, const char *expected_events, const char *expected_propagated) {
    events.len = propagated.len = 0;
    run(DRIVER, command);
    sent_to(DRIVER);
    buf_append(&events, "", 1);
    buf_append(&propagated, "", 1);
    assert_string_equal(events.data, expected_events);
    assert_string_equal(propagated.data, expected_propagated);
}

static void effects_of_serving(void **state) {
    (void)state;
    run(1, "BLPOP k 0");
    expect("RPUSH k 1", "rpush:k lpop:k del:k", "RPUSH k 1; LPOP k");
    run(1, "BRPOP k 0");
    expect("RPUSH k 1 2", "rpush:k rpop:k", "RPUSH k 1 2; RPOP k");
    expect("DEL k", "del:k", "DEL k");
    run(1, "BLMPOP 0 2 j k LEFT COUNT 5");
    expect("LPUSH k 1 2 3", "lpush:k lpop:k del:k", "LPUSH k 1 2 3; LPOP k 3");
    run(1, "BLMOVE a b left RIGHT 0");
    run(2, "BLPOP b 0");
    expect("RPUSH a x y", "rpush:a rpush:b lpop:a lpop:b del:b", "RPUSH a x y; LMOVE a b left RIGHT; LPOP b");
    expect("DEL a b", "del:a", "DEL a b");
    run(1, "BRPOPLPUSH a a 0");
    expect("RPUSH a 1 2", "rpush:a lpush:a rpop:a", "RPUSH a 1 2; RPOPLPUSH a a");
    run(1, "BZPOPMIN z 0");
    run(2, "BZMPOP 0 1 z MAX COUNT 2");
    expect("ZADD z 1 a 2 b 3 c 4 d", "zadd:z zpopmin:z zpopmax:z", "ZADD z 1 a 2 b 3 c 4 d; ZPOPMIN z; ZPOPMAX z 2");
    run(1, "BLPOP to 0");
    expect("RPUSH from 1 2", "rpush:from", "RPUSH from 1 2");
    expect("RENAME from to", "rename_from:from rename_to:to lpop:to", "RENAME from to; LPOP to");
    expect("SET s text", "set:s", "SET s text");
    run(1, "BLMOVE q s LEFT LEFT 0");
    expect("RPUSH q 1", "rpush:q", "RPUSH q 1");
    for (int i = 1; i < CLIENTS; i++)
        assert_false(clients[i].flags & CLIENT_WAITS);
}

static void nested_is_timed_out(void **state) {
    (void)state;
    call_is_nested = true;
    run(1, "BLPOP none 0");
    assert_string_equal(sent_to(1), "*-1\r\n");
    run(1, "BLMOVE none k LEFT LEFT 0");
    assert_string_equal(sent_to(1), "$-1\r\n");
    run(1, "BZMPOP 0 1 none MIN");
    assert_string_equal(sent_to(1), "*-1\r\n");
    run(2, "RPUSH k 1");
    run(1, "BLPOP k 0");
    assert_string_equal(sent_to(1), "*2\r\n$1\r\nk\r\n$1\r\n1\r\n");
    call_is_nested = false;
    assert_int_equal(block_metrics.clients, 0);
}

/* What is nested makes ready as well; served is when the outermost command is over. */
static void served_behind_what_is_nested(void **state) {
    (void)state;
    run(1, "BLPOP k 0");
    run(3, "BLPOP k 0");
    call_is_nested = true;
    run(DRIVER, "RPUSH k 1");
    run(DRIVER, "DEL k");
    run(DRIVER, "RPUSH k 2");
    assert_string_equal(sent_to(1), "");
    call_is_nested = false;
    run(DRIVER, "EXISTS k");
    assert_string_equal(sent_to(1), "*2\r\n$1\r\nk\r\n$1\r\n2\r\n");
    assert_true(clients[3].flags & CLIENT_WAITS);
    block_module.part->forget(&clients[3]);
}

static void ignore(struct loop_source *source, uint32_t seen) {
    (void)source;
    (void)seen;
}

static int setup(void **state) {
    (void)state;
    static const struct db_hooks hooks = {.changed = on_changed};
    clock_update();
    db_init(16);
    for (int i = 0; i < CLIENTS; i++) {
        int fds[2];
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0) return -1;
        clients[i] = (struct client){.db = db_at(0), .resp = 2, .flags = CLIENT_AUTHENTICATED};
        conn_init(&clients[i].conn, fds[0], ignore);
        ends[i] = fds[1];
    }
    changes_listen(CHANGES_NOTIFY, &hooks);
    propagate_attach(on_propagated, NULL);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    propagate_attach(NULL, NULL);
    changes_listen(CHANGES_NOTIFY, NULL);
    for (int i = 0; i < CLIENTS; i++) {
        conn_flush(NULL);
        block_module.part->forget(&clients[i]);
        conn_close(&clients[i].conn);
        close(ends[i]);
    }
    db_shutdown();
    buf_free(&events);
    buf_free(&propagated);
    events = propagated = (struct buf){0};
    return 0;
}

int main(void) {
    clock_init();
    rand_init();
    hash_init();
    catalog_register(lists_module.commands);
    catalog_register(list_pop_module.commands);
    catalog_register(list_block_module.commands);
    catalog_register(zsets_module.commands);
    catalog_register(zset_block_module.commands);
    catalog_register(strings_module.commands);
    catalog_register(keys_module.commands);
    catalog_ready();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(effects_of_serving, setup, teardown),
        cmocka_unit_test_setup_teardown(nested_is_timed_out, setup, teardown),
        cmocka_unit_test_setup_teardown(served_behind_what_is_nested, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
