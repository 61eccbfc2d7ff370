/* Prefetching has no effect but on the cache: whatever the tables look like, look-ups find what they found before. */
#include "base/clock.h"
#include "base/rand.h"
#include "store/db.h"
#include "store/prefetch.h"
#include "store/set.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct key key_n(size_t n, char name[32]) {
    return key_of(slice_of(name, (size_t)snprintf(name, 32, "key:%zu", n)));
}

/* Note look-ups of present and absent keys, as many as there is room for, then make them. */
static void look_up(struct db *db, size_t keys) {
    struct prefetch ahead;
    char name[32];
    prefetch_begin(&ahead);
    for (size_t i = 0; i < PREFETCH_MAX; i++)
        prefetch_key(&ahead, i % 2 ? db : db_at(1), key_n(i, name).hash);
    assert_int_equal(ahead.n, PREFETCH_MAX);
    prefetch_records(&ahead);
    for (size_t i = 0; i < PREFETCH_MAX; i++) {
        struct key key = key_n(i, name);
        assert_true((db_peek(db, &key) != NULL) == (i < keys));
    }
}

static void tables_of_all_sizes(void **state) {
    static const size_t sizes[] = {0, 1, 7, 300, 100000};
    char name[32];
    size_t keys = 0;
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (; keys < sizes[i]; keys++) {
            struct key key = key_n(keys, name);
            db_set_text(db_at(0), &key, NULL, SLICE("value"), ENTRY_NO_TTL);
        }
        look_up(db_at(0), keys);
    }
    db_empty(db_at(0), false);
    look_up(db_at(0), 0);
}

static void members_of_a_collection(void **state) {
    struct key key = key_of(SLICE("set"));
    struct prefetch ahead;
    struct entry *e = NULL;
    char name[32];
    int64_t added;
    (void)state;
    for (size_t i = 0; i < 1000; i++) {
        struct slice member = key_n(i, name).name;
        e = set_add(db_at(0), &key, e, &member, 1, &added);
    }
    const struct table *members = db_members(db_at(0), &key);
    assert_non_null(members);
    prefetch_begin(&ahead);
    for (size_t i = 990; i < 1010; i++)
        prefetch_member(&ahead, members, key_n(i, name).hash);
    prefetch_records(&ahead);
    for (size_t i = 990; i < 1010; i++)
        assert_true(set_has(e, key_n(i, name).name) == (i < 1000));
}

int main(void) {
    clock_init();
    clock_update();
    rand_init();
    hash_init();
    db_init(2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_of_all_sizes),
        cmocka_unit_test(members_of_a_collection),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    db_shutdown();
    return failed;
}
