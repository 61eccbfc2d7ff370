/* What reaches the log, and the file: the request itself, what the body put in its place, or nothing; in order, and
 * only after something changed. */
#include "aof/aof_write.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/worker.h"
#include "exec/log_reader.h"
#include "exec/propagate.h"
#include "session/client.h"
#include "store/db.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static struct buf log_text; /* "3: SET k v; " a command */
static struct slice last_raw;
static char last_bytes[64];

static void note(void *ctx, int db_id, const struct slice *argv, int argc, struct slice raw) {
    assert_ptr_equal(ctx, &log_text);
    buf_printf(&log_text, "%d:", db_id);
    for (int i = 0; i < argc; i++)
        buf_printf(&log_text, " %.*s", (int)argv[i].len, argv[i].ptr);
    buf_append_cstr(&log_text, "; ");
    last_raw.len = raw.len < sizeof last_bytes ? raw.len : sizeof last_bytes;
    memcpy(last_bytes, raw.ptr, last_raw.len);
    last_raw.ptr = last_bytes;
}

static void expect_log(const char *expected) {
    log_reader_run(note, &log_text);
    if (!slice_eq(buf_slice(&log_text), slice_cstr(expected)))
        fail_msg("logged \"%.*s\", not \"%s\"", (int)log_text.len, log_text.data ? log_text.data : "", expected);
    buf_free(&log_text);
}

static struct db db = {.id = 3};
#define RAW "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n"
static struct slice request[] = {{"SET", 3}, {"k", 1}, {"v", 1}};

static void end(bool changed) {
    propagate_end(&db, request, 3, SLICE(RAW), changed);
}

static void as(char *a, char *b) {
    propagate_as((struct slice[]){slice_cstr(a), slice_cstr(b)}, 2);
}

static void begin_log(void) {
    propagate_want(PROPAGATE_STREAM, true);
    assert_true(propagate_wanted);
    log_reader_begin();
}

static void end_log(void) {
    log_reader_end();
    propagate_want(PROPAGATE_STREAM, false);
    assert_false(propagate_wanted);
}

static int attach(void **state) {
    (void)state;
    begin_log();
    return 0;
}

static int detach(void **state) {
    (void)state;
    end_log();
    return 0;
}

static void the_request_itself(void **state) {
    (void)state;
    propagate_begin();
    end(true);
    expect_log("3: SET k v; ");
    assert_true(slice_eq(last_raw, SLICE(RAW)));
    propagate_begin();
    end(false);
    expect_log("");
}

static void in_its_place(void **state) {
    (void)state;
    size_t used = alloc_used();
    propagate_begin();
    for (int i = 0; i < 9; i++) {
        char digit[2] = {(char)('0' + i), 0}; /* copied: gone when the call ends */
        as("DEL", digit);
    }
    end(true);
    expect_log("3: MULTI; 3: DEL 0; 3: DEL 1; 3: DEL 2; 3: DEL 3; 3: DEL 4; 3: DEL 5; 3: DEL 6; 3: DEL 7; 3: DEL 8; "
               "3: EXEC; ");
    assert_true(slice_eq(last_raw, SLICE("*1\r\n$4\r\nEXEC\r\n")));
    assert_true(alloc_used() - used < 1024); /* only the list of copies is kept */
    propagate_begin();
    as("DEL", "");
    end(true);
    expect_log("3: DEL ; ");
}

static void now(char *a, char *b, enum propagate_rest rest) {
    propagate_now(&db, (struct slice[]){slice_cstr(a), slice_cstr(b)}, 2, rest);
}

static void at_once(void **state) {
    (void)state;
    size_t used = alloc_used();
    propagate_begin();
    now("DEL", "a", PROPAGATE_END);
    assert_int_equal(alloc_used(), used); /* nothing is kept */
    expect_log("3: DEL a; ");
    end(true);
    expect_log(""); /* not the request */
    propagate_begin();
    now("DEL", "a", PROPAGATE_MORE);
    now("DEL", "b", PROPAGATE_MORE);
    assert_int_equal(alloc_used(), used);
    expect_log("3: MULTI; 3: DEL a; 3: DEL b; ");
    now("DEL", "c", PROPAGATE_END);
    end(true);
    expect_log("3: DEL c; 3: EXEC; ");
    propagate_begin();
    now("DEL", "a", PROPAGATE_UNKNOWN);
    end(false);
    expect_log("3: DEL a; ");
    propagate_begin();
    now("DEL", "a", PROPAGATE_UNKNOWN);
    now("DEL", "b", PROPAGATE_END);
    end(true);
    expect_log("3: MULTI; 3: DEL a; 3: DEL b; 3: EXEC; ");
    propagate_begin();
    propagate_extra(&db, (struct slice[]){{"DEL", 3}, {"old", 3}}, 2);
    now("DEL", "a", PROPAGATE_END);
    end(true);
    expect_log("3: MULTI; 3: DEL old; 3: DEL a; 3: EXEC; ");
}

/* In EXEC, more may follow whatever the body says. */
static void at_once_inside_a_unit(void **state) {
    (void)state;
    propagate_begin();
    propagate_begin();
    now("DEL", "a", PROPAGATE_END);
    end(true);
    propagate_begin();
    now("DEL", "b", PROPAGATE_MORE);
    now("DEL", "c", PROPAGATE_END);
    end(true);
    propagate_nothing();
    end(true);
    expect_log("3: MULTI; 3: DEL a; 3: DEL b; 3: DEL c; 3: EXEC; ");
}

static void nothing(void **state) {
    (void)state;
    propagate_begin();
    propagate_nothing();
    end(true);
    expect_log("");
    propagate_begin(); /* holds for one call */
    end(true);
    expect_log("3: SET k v; ");
}

static void dropped_without_a_change(void **state) {
    (void)state;
    propagate_begin();
    as("DEL", "a");
    end(false);
    propagate_begin();
    end(true);
    expect_log("3: SET k v; ");
}

/* A key that expires under a command is deleted before that command has its effect. */
static void extras_come_first(void **state) {
    (void)state;
    propagate_begin();
    as("SET", "k");
    propagate_extra(&db, (struct slice[]){{"DEL", 3}, {"old", 3}}, 2);
    end(true);
    expect_log("3: MULTI; 3: DEL old; 3: SET k; 3: EXEC; ");
}

/* EXEC: commands inside a command, which itself says nothing. */
static void a_unit_of_many_calls(void **state) {
    (void)state;
    size_t used = alloc_used();
    struct db other = {.id = 5};
    for (int changes = 0; changes < 4; changes++) {
        propagate_begin();
        assert_int_equal(propagate_call.depth, 1);
        for (int i = 0; i < 3; i++) {
            propagate_begin();
            propagate_end(i == 2 ? &other : &db, request, 3, slice_of(NULL, 0), i < changes);
        }
        propagate_nothing();
        end(changes > 0);
        assert_int_equal(propagate_call.depth, 0);
        static const char *const expected[] = {"", "3: SET k v; ", "3: MULTI; 3: SET k v; 3: SET k v; 3: EXEC; ",
                                               "3: MULTI; 3: SET k v; 3: SET k v; 5: SET k v; 5: EXEC; "};
        expect_log(expected[changes]);
    }
    assert_int_equal(alloc_used(), used);
}

/* The copy that is held back has its raw bytes and its arguments in them. */
static void raw_bytes_survive_being_held(void **state) {
    (void)state;
    char text[] = "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$0\r\n\r\n";
    struct slice argv[] = {slice_of(text + 8, 3), slice_of(text + 17, 1), slice_of(text + 24, 0)};
    propagate_begin();
    propagate_begin();
    propagate_end(&db, argv, 3, slice_cstr(text), true);
    memset(text, 'x', sizeof text - 1);
    expect_log("");
    propagate_nothing();
    end(true);
    expect_log("3: SET a ; ");
}

static void what_expires_apart_is_no_unit(void **state) {
    (void)state;
    struct slice argv[] = {{"DEL", 3}, {"old", 3}};
    propagate_begin();
    propagate_apart();
    propagate_extra(&db, argv, 2);
    propagate_extra(&db, argv, 2);
    end(false);
    expect_log("3: DEL old; 3: DEL old; ");
    propagate_begin(); /* but inside EXEC it is */
    propagate_begin();
    propagate_apart();
    propagate_extra(&db, argv, 2);
    propagate_extra(&db, argv, 2);
    end(false);
    propagate_nothing();
    end(false);
    expect_log("3: MULTI; 3: DEL old; 3: DEL old; 3: EXEC; ");
    propagate_extra(&db, argv, 2); /* active expiry */
    expect_log("3: DEL old; ");
}

static void always_is_without_a_change(void **state) {
    (void)state;
    propagate_begin();
    propagate_always();
    end(false);
    expect_log("3: SET k v; ");
    propagate_begin(); /* holds for one call */
    end(false);
    expect_log("");
}

/* Keys that no command removed: a DEL of their own, outside of any call. */
static void keys_that_time_or_memory_removed(void **state) {
    (void)state;
    struct key key = {SLICE("old"), 0};
    db_hooks.expired(&db, &key);
    db_hooks.evicted(&db, &key);
    expect_log("3: DEL old; 3: DEL old; ");
    propagate_begin();
    db_hooks.expired(&db, &key); /* with the command that met it */
    end(true);
    expect_log("3: MULTI; 3: DEL old; 3: SET k v; 3: EXEC; ");
    end_log();
    assert_null(db_hooks.expired);
    assert_null(db_hooks.evicted);
}

/* A sink that is detached inside a unit hears no more of it, and nothing is left of the unit. */
static void detaching_inside_a_unit(void **state) {
    (void)state;
    end_log();
    size_t used = alloc_used();
    begin_log();
    propagate_begin();
    propagate_begin();
    as("DEL", "a");
    end(true);
    end_log();
    propagate_begin();
    as("DEL", "b");
    end(true);
    end(true);
    expect_log("");
    begin_log();
    propagate_begin();
    as("DEL", "c");
    end_log();
    end(true);
    begin_log();
    propagate_begin();
    propagate_begin();
    end(true);
    end_log();
    end(false);
    expect_log("");
    assert_int_equal(propagate_call.depth, 0);
    assert_int_equal(alloc_used(), used);
    begin_log();
    propagate_begin();
    end(true);
    expect_log("3: SET k v; ");
}

/* --- Targets --------------------------------------------------------------------------------- */

static int file;

/* The file, too. Its bytes are compared, without frames. */
static void begin_file(void) {
    aof_write_options.checksums = false;
    file = memfd_create("file", MFD_CLOEXEC);
    aof_write_begin(dup(file), 0);
    propagate_want(PROPAGATE_FILE, true);
}

static void expect_file(const char *expected) {
    static char bytes[4096];
    assert_true(aof_write_flush(false));
    off_t n = lseek(file, 0, SEEK_END);
    assert_true(n < (off_t)sizeof bytes && pread(file, bytes, (size_t)n, 0) == n);
    bytes[n] = '\0';
    assert_string_equal(bytes, expected);
}

static void end_file(void) {
    propagate_want(PROPAGATE_FILE, false);
    aof_write_end();
    worker_drain();
    close(file);
    file = -1;
}

#define SELECT "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"
#define MULTI "*1\r\n$5\r\nMULTI\r\n"
#define EXEC "*1\r\n$4\r\nEXEC\r\n"

static void say(void) {
    propagate_begin();
    propagate_message();
    propagate_end(&db, (struct slice[]){SLICE("PUBLISH"), SLICE("c"), SLICE("m")}, 3, slice_of(NULL, 0), false);
}

static void messages_are_not_for_the_file(void **state) {
    (void)state;
    struct slice ping = SLICE("PING");
    begin_file();
    propagate_begin();
    end(true);
    say();
    propagate_to_replicas(&ping, 1);
    propagate_begin();
    end(true);
    propagate_begin(); /* EXEC */
    propagate_begin();
    end(true);
    say();
    propagate_nothing();
    end(true);
    expect_log("3: SET k v; 3: PUBLISH c m; 3: PING; 3: SET k v; 3: MULTI; 3: SET k v; 3: PUBLISH c m; 3: EXEC; ");
    expect_file(SELECT RAW RAW MULTI RAW EXEC);
    assert_int_equal(oplog_unit_end(), oplog_end());
    end_file();
}

/* Without replicas a message is nothing at all. */
static void messages_need_somebody_who_listens(void **state) {
    (void)state;
    struct slice ping = SLICE("PING");
    begin_file();
    log_reader_end();
    propagate_want(PROPAGATE_STREAM, false);
    say();
    propagate_to_replicas(&ping, 1);
    propagate_begin();
    end(true);
    say();
    expect_file(SELECT RAW);
    end_file();
    assert_false(propagate_wanted);
    say();
    begin_log();
}

static void a_replica_writes_to_its_file_only(void **state) {
    (void)state;
    struct slice ping = SLICE("PING");
    begin_file();
    propagate_local_only(true);
    propagate_begin();
    end(true);
    say();
    propagate_to_replicas(&ping, 1);
    propagate_begin();
    as("DEL", "a");
    as("DEL", "b");
    end(true);
    propagate_pass_on(SLICE("*2\r\n$6\r\nSELECT\r\n$1\r\n7\r\n" RAW), 7, PROPAGATE_BOTH);
    propagate_pass_on(SLICE("*1\r\n$4\r\nPING\r\n"), 7, PROPAGATE_STREAM);
    propagate_pass_on(SLICE(MULTI RAW EXEC), 7, PROPAGATE_BOTH);
    propagate_begin();
    end(true);
    propagate_pass_on(SLICE(RAW), 7, PROPAGATE_BOTH);
    expect_log("7: SET k v; 7: PING; 7: MULTI; 7: SET k v; 7: EXEC; 7: SET k v; ");
    expect_file(SELECT RAW MULTI "*2\r\n$3\r\nDEL\r\n$1\r\na\r\n*2\r\n$3\r\nDEL\r\n$1\r\nb\r\n" EXEC
                                 "*2\r\n$6\r\nSELECT\r\n$1\r\n7\r\n" RAW MULTI RAW EXEC SELECT RAW
                                 "*2\r\n$6\r\nSELECT\r\n$1\r\n7\r\n" RAW);
    end_file();
    assert_false(propagate_wanted); /* a write costs nothing */
    propagate_pass_on(SLICE(RAW), 7, PROPAGATE_BOTH);
    expect_log("7: SET k v; ");
    propagate_local_only(false);
    assert_true(propagate_wanted);
}

static void call_for(unsigned targets) {
    propagate_targets = targets;
    propagate_begin();
    end(true);
    propagate_targets = PROPAGATE_BOTH;
}

static void end_script(void) {
    propagate_nothing();
    end(true);
}

static void script_calls_for(unsigned targets) {
    propagate_begin();
    call_for(targets);
    end_script();
}

/* As redis.set_repl() chooses: the others get what is for them, in order. */
static void a_call_may_be_for_one_target(void **state) {
    (void)state;
    begin_file();
    script_calls_for(PROPAGATE_FILE);
    script_calls_for(PROPAGATE_STREAM);
    script_calls_for(0);
    script_calls_for(PROPAGATE_BOTH);
    expect_log("3: SET k v; 3: SET k v; ");
    expect_file(SELECT RAW RAW);
    propagate_begin();
    call_for(PROPAGATE_STREAM);
    call_for(PROPAGATE_FILE);
    call_for(PROPAGATE_FILE);
    call_for(PROPAGATE_BOTH);
    end_script();
    expect_log("3: MULTI; 3: SET k v; 3: SET k v; 3: EXEC; ");
    expect_file(SELECT RAW RAW MULTI RAW RAW RAW EXEC);
    assert_int_equal(oplog_unit_end(), oplog_end());
    end_file();
}

static void what_a_body_gives_instead_has_the_same_target(void **state) {
    (void)state;
    begin_file();
    propagate_begin();
    propagate_targets = PROPAGATE_FILE;
    propagate_begin();
    as("DEL", "a");
    end(true);
    propagate_begin();
    now("DEL", "b", PROPAGATE_END);
    end(true);
    say(); /* a message is for the stream, so for nobody */
    propagate_targets = 0;
    propagate_begin();
    now("DEL", "c", PROPAGATE_END);
    end(true);
    propagate_extra(&db, (struct slice[]){{"DEL", 3}, {"old", 3}}, 2); /* nobody has called it */
    propagate_targets = PROPAGATE_BOTH;
    end_script();
    expect_log("3: MULTI; 3: DEL old; 3: EXEC; ");
    expect_file(SELECT MULTI "*2\r\n$3\r\nDEL\r\n$1\r\na\r\n*2\r\n$3\r\nDEL\r\n$1\r\nb\r\n"
                             "*2\r\n$3\r\nDEL\r\n$3\r\nold\r\n" EXEC);
    end_file();
}

static void a_client_knows_where_its_writes_end(void **state) {
    (void)state;
    struct client c = {.written = 0};
    client_current = &c;
    propagate_begin();
    end(false);
    assert_int_equal(c.written, 0);
    propagate_begin();
    propagate_begin();
    end(true);
    propagate_nothing();
    end(false);
    assert_int_equal(c.written, oplog_end());
    client_current = NULL;
    propagate_begin();
    end(true);
    assert_true(c.written > 0 && c.written < oplog_end());
    expect_log("3: SET k v; 3: SET k v; ");
}

static void nobody_listens(void **state) {
    (void)state;
    size_t used = alloc_used();
    propagate_begin();
    as("DEL", "a");
    propagate_extra(&db, request, 3);
    end(true);
    assert_int_equal(alloc_used(), used);
    expect_log("");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_request_itself, attach, detach),
        cmocka_unit_test_setup_teardown(in_its_place, attach, detach),
        cmocka_unit_test_setup_teardown(at_once, attach, detach),
        cmocka_unit_test_setup_teardown(at_once_inside_a_unit, attach, detach),
        cmocka_unit_test_setup_teardown(nothing, attach, detach),
        cmocka_unit_test_setup_teardown(dropped_without_a_change, attach, detach),
        cmocka_unit_test_setup_teardown(extras_come_first, attach, detach),
        cmocka_unit_test_setup_teardown(a_unit_of_many_calls, attach, detach),
        cmocka_unit_test_setup_teardown(raw_bytes_survive_being_held, attach, detach),
        cmocka_unit_test_setup_teardown(always_is_without_a_change, attach, detach),
        cmocka_unit_test_setup_teardown(keys_that_time_or_memory_removed, attach, detach),
        cmocka_unit_test_setup_teardown(detaching_inside_a_unit, attach, detach),
        cmocka_unit_test_setup_teardown(what_expires_apart_is_no_unit, attach, detach),
        cmocka_unit_test_setup_teardown(messages_are_not_for_the_file, attach, detach),
        cmocka_unit_test_setup_teardown(messages_need_somebody_who_listens, attach, detach),
        cmocka_unit_test_setup_teardown(a_replica_writes_to_its_file_only, attach, detach),
        cmocka_unit_test_setup_teardown(a_client_knows_where_its_writes_end, attach, detach),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test_setup_teardown(a_call_may_be_for_one_target, attach, detach),
        cmocka_unit_test_setup_teardown(what_a_body_gives_instead_has_the_same_target, attach, detach),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
