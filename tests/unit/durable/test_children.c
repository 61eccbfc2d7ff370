/* Forked children: each gets its name and its processors, the parent leaves memory alone while one lives, and the end
 * waits for a child that writes the only copy. Children are fakes. */
#include "aof/aof.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/module.h"
#include "base/words.h"
#include "conf/config.h"
#include "disk/child.h"
#include "durable/children.h"
#include "exec/propagate.h"
#include "process/process.h"
#include "store/db.h"
#include "store/evict.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

extern const struct module children_module;

/* --- Fakes ----------------------------------------------------------------------------------- */

static struct buf done;
static enum child_kind running;
static struct aof_status aof;
static int changes, killed;

void (*child_inside)(enum child_kind kind);
void (*child_changed)(bool lives);

enum child_kind child_running(void) {
    return running;
}
void child_kill(void) {
    killed++;
}
struct aof_status aof_status(void) {
    return aof;
}
void process_become_child(const char *name, const char *cpus) {
    buf_printf(&done, "%s:%s ", name, cpus);
}

static void note_change(void) {
    changes++;
}

static void sink(void *ctx, int db_id, const struct slice *argv, int argc, struct slice raw) {
    (void)ctx, (void)db_id, (void)argv, (void)argc, (void)raw;
}

static void set(const char *name, const char *value) {
    const char *error;
    struct words w;
    assert_true(words_split(&w, slice_cstr(value)));
    assert_true(config_set_at_start(config_find(slice_cstr(name)), (const char *const *)w.at, w.count, &error));
    words_free(&w);
}

static void a_child_takes_its_name_and_processors(void **state) {
    (void)state;
    set("aof_rewrite_cpulist", "1,3");
    set("bgsave_cpulist", "0-2");
    propagate_attach(sink, NULL);
    child_inside(CHILD_AOF);
    assert_false(propagate_wanted); /* it must not write to the parent's file */
    child_inside(CHILD_RDB);
    child_inside(CHILD_TRANSFER);
    buf_append(&done, "", 1);
    assert_string_equal(done.data, "kura-aof-rewrite:1,3 kura-rdb-bgsave:0-2 kura-rdb-to-slaves:0-2 ");
    buf_free(&done);
}

static void memory_is_left_alone_while_a_child_lives(void **state) {
    (void)state;
    enum { MANY = 1000 };
    struct key key = key_of(SLICE("key"));
    struct entry *e = db_set_string(db_at(0), &key, NULL, SLICE("v"), ENTRY_NO_TTL);
    child_changed(true);
    assert_int_equal(changes, 1);
    clock_cached_ms += 100000;
    evict_tick(clock_now_ms());
    db_read(db_at(0), &key);
    assert_true(evict_idle_s(e) >= 99); /* reading it has not written to it */
    child_changed(false);
    evict_tick(clock_now_ms());
    assert_int_equal(changes, 2);
    db_read(db_at(0), &key);
    assert_int_equal(evict_idle_s(e), 0);
}

static void change_many(bool put) {
    for (uint32_t i = 0; i < 20000; i++) {
        struct key key = key_of(slice_of((char *)&i, sizeof i));
        struct entry *e = db_look(db_at(0), &key);
        if (put)
            db_set_int(db_at(0), &key, e, 1, ENTRY_NO_TTL);
        else
            db_remove(db_at(0), &key, e);
    }
}

static void tables_do_not_shrink_while_a_child_lives(void **state) {
    (void)state;
    change_many(true);
    size_t full = table_memory(&db_at(0)->keys);
    child_changed(true);
    change_many(false);
    assert_int_equal(table_memory(&db_at(0)->keys), full);
    child_changed(false);
    change_many(true);
    change_many(false);
    assert_true(table_memory(&db_at(0)->keys) < full / 2);
    db_shutdown();
}

static void the_end_kills_a_child(void **state) {
    (void)state;
    killed = 0;
    running = CHILD_RDB;
    assert_true(children_end(false));
    running = CHILD_AOF;
    aof.state = AOF_ON;
    assert_true(children_end(false));
    assert_int_equal(killed, 2);
}

static void the_end_waits_for_the_first_copy(void **state) {
    (void)state;
    killed = 0;
    running = CHILD_AOF;
    aof.state = AOF_WAITING;
    assert_false(children_end(false));
    assert_int_equal(killed, 0);
    assert_true(children_end(true));
    assert_int_equal(killed, 1);
}

int main(void) {
    log_set_level(LOG_NOTHING);
    hash_init();
    clock_init();
    clock_update();
    db_init(1);
    evict_tick(clock_now_ms());
    config_register(children_module.options);
    children_watch(note_change);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_takes_its_name_and_processors),
        cmocka_unit_test(memory_is_left_alone_while_a_child_lives),
        cmocka_unit_test(tables_do_not_shrink_while_a_child_lives),
        cmocka_unit_test(the_end_kills_a_child),
        cmocka_unit_test(the_end_waits_for_the_first_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
