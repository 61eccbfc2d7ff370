/* What reaches the propagation log: the request itself, what the body put in its place, or nothing; in order, and only
 * after something changed. */
#include "base/alloc.h"
#include "base/buf.h"
#include "exec/propagate.h"
#include "store/db.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct buf log_text; /* "3: SET k v; " a command */
static struct slice last_raw;

static void note(void *ctx, int db_id, const struct slice *argv, int argc, struct slice raw) {
    assert_ptr_equal(ctx, &log_text);
    buf_printf(&log_text, "%d:", db_id);
    for (int i = 0; i < argc; i++)
        buf_printf(&log_text, " %.*s", (int)argv[i].len, argv[i].ptr);
    buf_append_cstr(&log_text, "; ");
    last_raw = raw;
}

static void expect_log(const char *expected) {
    if (!slice_eq(buf_slice(&log_text), slice_cstr(expected)))
        fail_msg("logged \"%.*s\", not \"%s\"", (int)log_text.len, log_text.data ? log_text.data : "", expected);
    buf_free(&log_text);
}

static struct db db = {.id = 3};
static struct slice request[] = {{"SET", 3}, {"k", 1}, {"v", 1}};

static void end(bool changed) {
    propagate_end(&db, request, 3, SLICE("raw"), changed);
}

static void as(char *a, char *b) {
    propagate_as((struct slice[]){slice_cstr(a), slice_cstr(b)}, 2);
}

static int attach(void **state) {
    (void)state;
    propagate_attach(note, &log_text);
    assert_true(propagate_wanted);
    return 0;
}

static int detach(void **state) {
    (void)state;
    propagate_attach(NULL, NULL);
    assert_false(propagate_wanted);
    return 0;
}

static void the_request_itself(void **state) {
    (void)state;
    propagate_begin();
    end(true);
    expect_log("3: SET k v; ");
    assert_true(slice_eq(last_raw, SLICE("raw")));
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
    propagate_attach(NULL, NULL);
    assert_null(db_hooks.expired);
    assert_null(db_hooks.evicted);
}

/* A sink that is detached inside a unit hears no more of it, and nothing is left of the unit. */
static void detaching_inside_a_unit(void **state) {
    (void)state;
    size_t used = alloc_used();
    propagate_begin();
    propagate_begin();
    as("DEL", "a");
    end(true);
    propagate_attach(NULL, NULL);
    propagate_begin();
    as("DEL", "b");
    end(true);
    end(true);
    expect_log("");
    propagate_attach(note, &log_text);
    propagate_begin();
    as("DEL", "c");
    propagate_attach(NULL, NULL);
    end(true);
    propagate_attach(note, &log_text);
    propagate_begin();
    propagate_begin();
    end(true);
    propagate_attach(NULL, NULL);
    end(false);
    expect_log("");
    assert_int_equal(propagate_call.depth, 0);
    assert_int_equal(alloc_used(), used);
    propagate_attach(note, &log_text);
    propagate_begin();
    end(true);
    expect_log("3: SET k v; ");
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
        cmocka_unit_test_setup_teardown(nothing, attach, detach),
        cmocka_unit_test_setup_teardown(dropped_without_a_change, attach, detach),
        cmocka_unit_test_setup_teardown(extras_come_first, attach, detach),
        cmocka_unit_test_setup_teardown(a_unit_of_many_calls, attach, detach),
        cmocka_unit_test_setup_teardown(raw_bytes_survive_being_held, attach, detach),
        cmocka_unit_test_setup_teardown(always_is_without_a_change, attach, detach),
        cmocka_unit_test_setup_teardown(keys_that_time_or_memory_removed, attach, detach),
        cmocka_unit_test_setup_teardown(detaching_inside_a_unit, attach, detach),
        cmocka_unit_test_setup_teardown(what_expires_apart_is_no_unit, attach, detach),
        cmocka_unit_test(nobody_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
