/* Listeners are called in their fixed order, in whatever order they registered. Without listeners the store has no
 * hooks. A listener without a hook for swaps gets two flushes, one without a hook for replacements one. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "store/changes.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct buf heard;

static void note(const char *who, const char *what, int db_id) {
    buf_printf(&heard, "%s:%s%d ", who, what, db_id);
}

static void blocked_changed(struct db *db, const struct key *key, unsigned class, const char *event) {
    (void)key;
    (void)class;
    note("block", event, db->id);
}
static void tx_changed(struct db *db, const struct key *key, unsigned class, const char *event) {
    (void)key;
    (void)class;
    note("tx", event, db->id);
}
static void tx_flushed(struct db *db) {
    note("tx", "flushed", db->id);
}
static void tracking_swapped(struct db *one, struct db *other) {
    note("tracking", "swapped", one->id * 10 + other->id);
}

static void tracking_replaced(struct db *db, const struct db *by) {
    note("tracking", "replaced", db->id * 10 + by->id);
}

static const struct db_hooks block_hooks = {.changed = blocked_changed};
static const struct db_hooks tx_hooks = {.changed = tx_changed, .flushed = tx_flushed};
static const struct db_hooks tracking_hooks = {.swapped = tracking_swapped, .replaced = tracking_replaced};

static void assert_heard(const char *text) {
    buf_append(&heard, "", 1);
    assert_string_equal(heard.data, text);
    heard.len = 0;
}

static void change(void) {
    struct key key = key_of(SLICE("k"));
    db_changed(db_at(1), &key, DB_GENERIC, "set");
}

static int silence(void **state) {
    (void)state;
    for (int i = 0; i < CHANGES_LISTENERS; i++)
        changes_listen((enum changes_listener)i, NULL);
    buf_free(&heard);
    return 0;
}

static void without_listeners_there_are_no_hooks(void **state) {
    (void)state;
    changes_listen(CHANGES_BLOCK, &block_hooks);
    assert_non_null(db_hooks.changed);
    assert_null(db_hooks.flushed);
    assert_null(db_hooks.swapped);
    assert_null(db_hooks.replaced);
    changes_listen(CHANGES_BLOCK, NULL);
    assert_null(db_hooks.changed);
    change();
    assert_heard("");
}

static void listeners_keep_their_order(void **state) {
    (void)state;
    changes_listen(CHANGES_BLOCK, &block_hooks);
    changes_listen(CHANGES_TX, &tx_hooks);
    change();
    assert_heard("tx:set1 block:set1 ");
    changes_listen(CHANGES_TX, NULL);
    change();
    assert_heard("block:set1 ");
}

static void a_swap_is_two_flushes(void **state) {
    (void)state;
    changes_listen(CHANGES_TX, &tx_hooks);
    changes_listen(CHANGES_TRACKING, &tracking_hooks);
    changes_listen(CHANGES_BLOCK, &block_hooks);
    db_hooks.swapped(db_at(0), db_at(2));
    assert_heard("tx:flushed0 tx:flushed2 tracking:swapped2 ");
}

static void a_replacement_is_a_flush(void **state) {
    (void)state;
    changes_listen(CHANGES_TX, &tx_hooks);
    changes_listen(CHANGES_TRACKING, &tracking_hooks);
    changes_listen(CHANGES_BLOCK, &block_hooks);
    db_hooks.replaced(db_at(1), db_at(2));
    assert_heard("tx:flushed1 tracking:replaced12 ");
}

int main(void) {
    clock_init();
    hash_init();
    db_init(3);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(without_listeners_there_are_no_hooks, silence),
        cmocka_unit_test_teardown(listeners_keep_their_order, silence),
        cmocka_unit_test_teardown(a_swap_is_two_flushes, silence),
        cmocka_unit_test_teardown(a_replacement_is_a_flush, silence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
