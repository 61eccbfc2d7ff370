/* The primary's stream: in whatever pieces it comes, the same commands run, the same bytes go to the log, and the log's
 * end is behind complete units only. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/module.h"
#include "base/option.h"
#include "base/rand.h"
#include "catalog/catalog.h"
#include "catalog/command_metrics.h"
#include "exec/propagate.h"
#include "net/conn.h"
#include "oplog/oplog.h"
#include "repl/apply.h"
#include "seed.h"
#include "session/client.h"
#include "session/limits.h"
#include "session/server_metrics.h"
#include "store/db.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

extern const struct module strings_module, counters_module, databases_module, lists_module, keys_module, tx_module,
    ranges_module, pubsub_commands_module, expiry_module;

static struct client primary;
static int moved;

static void note_moved(void) {
    moved++;
}

static struct slice value_of(int db, const char *name) {
    struct key key = key_of(slice_cstr(name));
    struct entry *e = db_peek(db_at(db), &key);
    static char digits[32];
    if (!e) return SLICE("(none)");
    if (entry_encoding(e) != STRING_INT) return slice_of(entry_value(e), e->value_len);
    int64_t n;
    memcpy(&n, entry_value(e), sizeof n);
    return slice_of(digits, (size_t)snprintf(digits, sizeof digits, "%lld", (long long)n));
}

static void has_value(int db, const char *name, const char *expected) {
    struct slice value = value_of(db, name);
    assert_int_equal(value.len, strlen(expected));
    assert_memory_equal(value.ptr, expected, value.len);
}

/* --- Streams --------------------------------------------------------------------------------- */

/* Append a command, whose words blanks divide. */
static void add(struct buf *to, const char *text) {
    char copy[256], *rest, *words[32];
    int n = 0;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        words[n++] = word;
    buf_printf(to, "*%d\r\n", n);
    for (int i = 0; i < n; i++)
        buf_printf(to, "$%zu\r\n%s\r\n", strlen(words[i]), words[i]);
}

static struct buf stream_of(const char *const *commands) {
    struct buf b = {0};
    for (; *commands; commands++)
        add(&b, *commands);
    return b;
}
#define STREAM(...) stream_of((const char *const[]){__VA_ARGS__, NULL})

/* Feed bytes, at most `piece` at a time. Stops at the first result that is not APPLY_OK, and returns it. */
static enum apply_result feed(struct slice bytes, size_t piece) {
    while (bytes.len) {
        size_t room, n = piece < bytes.len ? piece : bytes.len;
        char *to = apply_room(&room);
        if (!to) return APPLY_BROKEN;
        if (n > room) n = room;
        memcpy(to, bytes.ptr, n);
        bytes = slice_of(bytes.ptr + n, bytes.len - n);
        enum apply_result result = apply_bytes(n);
        if (result != APPLY_OK) return result;
    }
    return APPLY_OK;
}

/* What the log has from an offset on. */
static struct buf log_from(int64_t offset) {
    struct oplog_cursor cursor = {0};
    struct iovec pieces[64];
    struct buf bytes = {0};
    assert_true(oplog_seek(&cursor, offset));
    for (int n; (n = oplog_peek(&cursor, pieces, 64, SIZE_MAX)) > 0;) {
        for (int i = 0; i < n; i++) {
            buf_append(&bytes, pieces[i].iov_base, pieces[i].iov_len);
            oplog_advance(&cursor, pieces[i].iov_len);
        }
    }
    oplog_leave(&cursor);
    return bytes;
}

static int64_t began;

static int setup(void **state) {
    (void)state;
    db_empty_all(false, NULL);
    primary = (struct client){.conn.source.fd = -1, .flags = CLIENT_AUTHENTICATED | CLIENT_PRIMARY, .resp = 2};
    primary.db = db_at(0);
    limits_options.query_buffer_limit = 1 << 30;
    limits_options.max_bulk = 512 << 20;
    server_metrics.unexpected_errors = 0;
    moved = 0;
    apply_moved = note_moved;
    apply_begin(&primary);
    began = oplog_end();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    apply_end();
    return 0;
}

/* --- Tests ----------------------------------------------------------------------------------- */

static void commands_run_and_their_bytes_go_to_the_log(void **state) {
    (void)state;
    struct buf s = STREAM("SELECT 1", "SET k v", "INCR n", "SELECT 0", "SET k w", "NOSUCH");
    size_t sound = s.len - strlen("*1\r\n$6\r\nNOSUCH\r\n");
    assert_int_equal(feed(slice_of(s.data, sound), SIZE_MAX), APPLY_OK);
    has_value(1, "k", "v");
    has_value(1, "n", "1");
    has_value(0, "k", "w");
    assert_int_equal(oplog_end() - began, sound);
    assert_int_equal(oplog_db(), 0);
    assert_int_equal(moved, 1);
    assert_int_equal(conn_mark(), 0);
    struct buf logged = log_from(began);
    assert_memory_equal(logged.data, s.data, sound);
    assert_int_equal(feed(slice_of(s.data + sound, s.len - sound), SIZE_MAX), APPLY_BROKEN);
    assert_int_equal(oplog_end() - began, sound);
    buf_free(&logged);
    buf_free(&s);
}

static void a_transaction_counts_when_it_is_complete(void **state) {
    (void)state;
    struct buf s = STREAM("SET a 1", "MULTI", "SET b 1", "LPUSH l x", "EXEC", "SET c 1");
    struct buf before = STREAM("SET a 1");
    for (size_t cut = before.len; cut < s.len - 27; cut++) {
        setup(NULL);
        assert_int_equal(feed(slice_of(s.data, cut), SIZE_MAX), APPLY_OK);
        assert_int_equal(oplog_end() - began, before.len);
        assert_int_equal(apply_waiting(), cut - before.len);
        has_value(0, "a", "1");
        has_value(0, "b", "(none)");
        apply_end();
        assert_int_equal(apply_waiting(), 0);
    }
    setup(NULL);
    assert_int_equal(feed(buf_slice(&s), 3), APPLY_OK);
    assert_int_equal(oplog_end() - began, s.len);
    has_value(0, "b", "1");
    buf_free(&before);
    buf_free(&s);
}

static void what_no_log_has_is_not_run(void **state) {
    static const char *const forbidden[] = {"GET k",   "CONFIG GET x",   "EXEC",       "SET k",     "BLPOP l 0",
                                            "WATCH k", "SUBSCRIBE news", "NOSUCH 1 2", "MULTI x y", "PSUBSCRIBE x"};
    (void)state;
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++) {
        for (int inside = 0; inside < 2; inside++) {
            if (inside && strcmp(forbidden[i], "EXEC") == 0) continue; /* it belongs there */
            setup(NULL);
            struct buf s = STREAM("SET sound 1");
            size_t sound = s.len;
            if (inside) add(&s, "MULTI");
            if (inside) add(&s, "SET k 1");
            add(&s, forbidden[i]);
            add(&s, "SET after 1");
            if (strncmp(forbidden[i], "MULTI", 5) == 0 && !inside) add(&s, "MULTI");
            assert_int_equal(feed(buf_slice(&s), SIZE_MAX), APPLY_BROKEN);
            has_value(0, "sound", "1");
            has_value(0, "k", "(none)");
            has_value(0, "after", "(none)");
            assert_int_equal(oplog_end() - began, sound);
            buf_free(&s);
        }
    }
}

static void errors_are_counted_and_the_stream_goes_on(void **state) {
    (void)state;
    struct buf s = STREAM("SET k v", "LPUSH k x", "SET after 1");
    assert_int_equal(feed(buf_slice(&s), SIZE_MAX), APPLY_OK);
    has_value(0, "after", "1");
    assert_int_equal(server_metrics.unexpected_errors, 1);
    assert_int_equal(oplog_end() - began, s.len);
    buf_free(&s);
}

static void an_acknowledgement_is_asked_for(void **state) {
    (void)state;
    struct buf s = STREAM("SET k v", "REPLCONF GETACK *"), quiet = STREAM("REPLCONF listening-port 1", "PING");
    assert_int_equal(feed(buf_slice(&s), SIZE_MAX), APPLY_ASKED);
    assert_int_equal(feed(buf_slice(&quiet), SIZE_MAX), APPLY_OK);
    assert_int_equal(oplog_end() - began, s.len + quiet.len);
    buf_free(&s);
    buf_free(&quiet);
}

static void newlines_are_no_part_of_the_log(void **state) {
    (void)state;
    struct buf s = STREAM("SET k v"), mixed = {0};
    buf_printf(&mixed, "\n\r\n%.*s\n\n%.*s\n", (int)s.len, s.data, (int)s.len, s.data);
    assert_int_equal(feed(buf_slice(&mixed), 1), APPLY_OK);
    assert_int_equal(oplog_end() - began, 2 * s.len);
    struct buf logged = log_from(began);
    assert_memory_equal(logged.data, s.data, s.len);
    assert_memory_equal(logged.data + s.len, s.data, s.len);
    buf_free(&logged);
    buf_free(&mixed);
    buf_free(&s);
}

static void memory_is_bounded(void **state) {
    (void)state;
    limits_options.query_buffer_limit = 1 << 20;
    struct buf s = STREAM("MULTI");
    assert_int_equal(feed(buf_slice(&s), SIZE_MAX), APPLY_OK);
    struct buf command = STREAM("SET key value");
    size_t before = alloc_used(), fed = 0;
    while (feed(buf_slice(&command), SIZE_MAX) == APPLY_OK) {
        fed += command.len;
        assert_true(fed < 4 << 20);
    }
    assert_true(fed > 1 << 20);
    assert_true(alloc_used() - before < 4 << 20);
    has_value(0, "key", "(none)");
    apply_end();
    assert_int_equal(apply_memory(), 0);
    buf_free(&command);
    buf_free(&s);
}

static void a_large_value_leaves_no_large_buffer(void **state) {
    (void)state;
    struct buf s = {0};
    size_t len = 5000000;
    buf_printf(&s, "*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$%zu\r\n", len);
    memset(buf_reserve(&s, len), 'x', len);
    s.len += len;
    buf_append_cstr(&s, "\r\n");
    assert_int_equal(feed(buf_slice(&s), 100000), APPLY_OK);
    assert_int_equal(oplog_end() - began, s.len);
    assert_true(apply_memory() < 2 << 20);
    buf_free(&s);
}

/* --- Random streams -------------------------------------------------------------------------- */

static void add_random(struct buf *s, bool *in_multi) {
    char text[64];
    int key = rand() % 20;
    switch (rand() % 8) {
    case 0:
        add(s, *in_multi ? "EXEC" : "MULTI");
        *in_multi = !*in_multi;
        return;
    case 1: snprintf(text, sizeof text, "SELECT %d", rand() % 3); break;
    case 2: snprintf(text, sizeof text, "INCRBY n:%d %d", key, rand() % 100); break;
    case 3: snprintf(text, sizeof text, "APPEND s:%d x%d", key, rand() % 100); break;
    case 4: snprintf(text, sizeof text, "DEL s:%d", key); break;
    case 5: snprintf(text, sizeof text, "PUBLISH c %d", key); break;
    case 6: snprintf(text, sizeof text, "PING"); break;
    default: snprintf(text, sizeof text, "SET s:%d %d", key, rand()); break;
    }
    add(s, text);
}

static uint64_t state_hash(void) {
    uint64_t sum = 0;
    char name[16];
    for (int db = 0; db < 3; db++) {
        for (int i = 0; i < 40; i++) {
            snprintf(name, sizeof name, "%c:%d", i < 20 ? 'n' : 's', i % 20);
            struct slice value = value_of(db, name);
            sum = sum * 31 + hash_bytes(value.ptr, value.len);
        }
    }
    return sum;
}

static void pieces_make_no_difference(void **state) {
    (void)state;
    unsigned seed = (unsigned)seed_of_run();
    printf("seed %u\n", seed);
    srand(seed);
    for (int round = 0; round < 100; round++) {
        struct buf s = {0};
        bool in_multi = false;
        for (int i = 0; i < 300; i++)
            add_random(&s, &in_multi);
        if (in_multi) add(&s, "EXEC");
        setup(NULL);
        assert_int_equal(feed(buf_slice(&s), SIZE_MAX), APPLY_OK);
        assert_int_equal(oplog_end() - began, s.len);
        uint64_t expected = state_hash();
        setup(NULL);
        assert_int_equal(feed(buf_slice(&s), (size_t)(rand() % 500 + 1)), APPLY_OK);
        assert_int_equal(oplog_end() - began, s.len);
        assert_true(state_hash() == expected);
        struct buf logged = log_from(began);
        assert_int_equal(logged.len, s.len);
        assert_memory_equal(logged.data, s.data, s.len);
        buf_free(&logged);
        buf_free(&s);
    }
}

/* Whatever comes, the log has only whole units of it, and memory stays small. */
static void damage_does_no_harm(void **state) {
    (void)state;
    unsigned seed = (unsigned)seed_of_run();
    printf("seed %u\n", seed);
    srand(seed);
    for (int round = 0; round < 2000; round++) {
        struct buf s = {0};
        bool in_multi = false;
        for (int i = 0; i < 10; i++)
            add_random(&s, &in_multi);
        for (int n = rand() % 4; n > 0; n--)
            s.data[(size_t)rand() % s.len] = (char)rand();
        setup(NULL);
        feed(buf_slice(&s), (size_t)(rand() % 100 + 1));
        assert_in_range(oplog_end() - began, 0, s.len);
        assert_int_equal(conn_mark(), 0);
        apply_end();
        buf_free(&s);
    }
}

static void register_module(const struct module *m) {
    if (m->commands) catalog_register(m->commands);
}

int main(void) {
    log_set_level(LOG_NOTHING);
    clock_init();
    rand_init();
    hash_init();
    db_init(16);
    register_module(&strings_module);
    register_module(&counters_module);
    register_module(&databases_module);
    register_module(&lists_module);
    register_module(&keys_module);
    register_module(&expiry_module);
    register_module(&ranges_module);
    register_module(&tx_module);
    register_module(&pubsub_commands_module);
    catalog_ready();
    clock_update();
    propagate_want(PROPAGATE_STREAM, true);
    propagate_local_only(true);
    oplog_keep(1 << 30);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(commands_run_and_their_bytes_go_to_the_log, setup, teardown),
        cmocka_unit_test_setup_teardown(a_transaction_counts_when_it_is_complete, setup, teardown),
        cmocka_unit_test_setup_teardown(what_no_log_has_is_not_run, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_are_counted_and_the_stream_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(an_acknowledgement_is_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(newlines_are_no_part_of_the_log, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(a_large_value_leaves_no_large_buffer, setup, teardown),
        cmocka_unit_test_setup_teardown(pieces_make_no_difference, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_does_no_harm, setup, teardown),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    propagate_want(PROPAGATE_STREAM, false);
    db_shutdown();
    return failed;
}
