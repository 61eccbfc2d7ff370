/* Look-ups: what they count, what they publish, and which of them touch the access clock. */
#include "base/clock.h"
#include "cmd/lookup.h"
#include "command_lab.h"
#include "store/changes.h"
#include "store/evict.h"

extern const struct module strings_module, lists_module;

static int misses;

static void on_changed(struct db *db, const struct key *key, unsigned class, const char *event) {
    (void)db;
    (void)key;
    (void)event;
    misses += class == DB_MISS;
}

static struct request request_for(struct slice *name) {
    return (struct request){.client = &lab_client, .argv = name, .argc = 1, .key = key_of(*name)};
}

static void a_wrong_type_is_replied_and_an_absent_key_is_not(void **state) {
    (void)state;
    struct slice text = SLICE("text"), none = SLICE("none");
    struct request of_text = request_for(&text), of_none = request_for(&none);
    struct entry *e;
    lab_run("SET text 1");
    size_t mark = conn_mark();
    assert_true(lookup_read(&of_text, ENTRY_STRING, &e) && e);
    assert_true(lookup_write(&of_none, ENTRY_STRING, &e) && !e);
    assert_int_equal(conn_mark(), mark);
    assert_false(lookup_read(&of_text, ENTRY_LIST, &e));
    assert_string_equal(lab_lines(lab_take_reply(mark)),
                        "-WRONGTYPE Operation against a key holding the wrong kind of value");
    assert_false(lookup_write(&of_text, ENTRY_LIST, &e));
    conn_truncate(mark);
}

static void only_reads_count_hits_and_misses(void **state) {
    (void)state;
    static const struct db_hooks hooks = {.changed = on_changed};
    struct slice text = SLICE("text"), none = SLICE("none");
    struct request of_text = request_for(&text), of_none = request_for(&none);
    struct entry *e;
    lab_run("SET text 1");
    struct db_metrics before = db_metrics;
    changes_listen(CHANGES_NOTIFY, &hooks);
    misses = 0;
    lookup_write(&of_text, ENTRY_STRING, &e);
    lookup_write(&of_none, ENTRY_STRING, &e);
    assert_int_equal(db_metrics.hits + db_metrics.misses, before.hits + before.misses);
    assert_int_equal(misses, 0);
    lookup_read(&of_text, ENTRY_STRING, &e);
    lookup_untouched(lab_client.db, &of_text.key);
    assert_int_equal(db_metrics.hits - before.hits, 2);
    lookup_read(&of_none, ENTRY_STRING, &e);
    assert_int_equal(misses, 1);
    lookup_untouched(lab_client.db, &of_none.key);
    assert_int_equal(misses, 2);
    assert_int_equal(db_metrics.misses - before.misses, 2);
    changes_listen(CHANGES_NOTIFY, NULL);
}

static void asking_about_a_key_does_not_use_it(void **state) {
    (void)state;
    evict_tick(clock_steady_ms());
    lab_run("SET text 1");
    struct key key = key_of(SLICE("text"));
    evict_set_idle(db_peek(lab_client.db, &key), 100);
    assert_in_range(evict_idle_s(lookup_untouched(lab_client.db, &key)), 100, 101);
    assert_in_range(evict_idle_s(db_read(lab_client.db, &key)), 0, 1);
}

static void keys_are_hashed_ahead_in_batches(void **state) {
    (void)state;
    struct slice argv[40];
    struct key keys[LOOKUP_AHEAD];
    char names[40][3];
    for (int i = 0; i < 40; i++)
        argv[i] = slice_of(names[i], (size_t)snprintf(names[i], sizeof names[i], "%d", i));
    for (int step = 1; step <= 2; step++) {
        for (int left = 1; left <= 40; left++) {
            int n = lookup_ahead(lab_client.db, argv, left, step, keys), all = (left + step - 1) / step;
            assert_int_equal(n, all < LOOKUP_AHEAD ? all : LOOKUP_AHEAD);
            for (int i = 0; i < n; i++) {
                assert_true(slice_eq(keys[i].name, argv[i * step]));
                assert_true(keys[i].hash == key_of(argv[i * step]).hash);
            }
        }
    }
}

static void elements_are_text_or_integers(void **state) {
    (void)state;
    size_t mark = conn_mark();
    lookup_reply(&lab_client, (struct listpack_value){"abc", 2, 7});
    lookup_reply(&lab_client, (struct listpack_value){NULL, 0, -7});
    assert_string_equal(lab_lines(lab_take_reply(mark)), "$2 ab $2 -7");
}

int main(void) {
    lab_start((const struct module *const[]){&strings_module, &lists_module, NULL});
    const struct CMUnitTest tests[] = {
        LAB_TEST(a_wrong_type_is_replied_and_an_absent_key_is_not),
        LAB_TEST(only_reads_count_hits_and_misses),
        LAB_TEST(asking_about_a_key_does_not_use_it),
        LAB_TEST(keys_are_hashed_ahead_in_batches),
        LAB_TEST(elements_are_text_or_integers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
