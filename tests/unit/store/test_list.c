/* Lists against a model, in all encodings and at the changes between them. */
#include "base/clock.h"
#include "base/rand.h"
#include "base/worker.h"
#include "seed.h"
#include "store/list.h"
#include "store/value.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct db *db;
static struct key key;

static struct entry *now(void) {
    return db_write(db, &key);
}

static void assert_encoding(const char *name, unsigned encoding) {
    assert_string_equal(entry_encoding_name(now()), name);
    assert_int_equal(entry_encoding(now()), encoding);
}

static void push(enum quicklist_end end, size_t len) {
    static char bytes[70000];
    memset(bytes, 'x', sizeof bytes);
    list_push(db, &key, now(), end, &(struct slice){bytes, len}, 1);
}

static void start_over(int fill, int depth) {
    list_options = (struct list_options){fill, depth};
    if (now()) db_remove(db, &key, now());
}

static void becomes_a_quicklist_and_a_listpack_again(void **state) {
    (void)state;
    start_over(-1, 0);
    for (int i = 0; i < 5; i++)
        push(QUICKLIST_TAIL, 100);
    assert_encoding("listpack", LIST_INLINE);
    for (int i = 0; i < 34; i++)
        push(QUICKLIST_TAIL, 100);
    assert_encoding("listpack", LIST_PACKED); /* 39 * 103 + 7 = 4024 bytes */
    push(QUICKLIST_HEAD, 68);
    assert_encoding("listpack", LIST_PACKED); /* 71 bytes more: 4095 */
    push(QUICKLIST_HEAD, 2);
    assert_encoding("quicklist", LIST_QUICKLIST);
    while (list_length(now()) > 20)
        list_drop(db, &key, now(), QUICKLIST_HEAD);
    assert_encoding("quicklist", LIST_QUICKLIST);
    list_drop(db, &key, now(), QUICKLIST_HEAD);
    assert_encoding("listpack", LIST_PACKED); /* 19 * 103 + 7 = 1964 bytes: at most half of 4096 */
    list_trim(db, now(), 3, 4);
    assert_encoding("listpack", LIST_INLINE);
    assert_int_equal(list_length(now()), 4);
}

static void a_limit_of_elements(void **state) {
    (void)state;
    start_over(3, 0);
    for (int i = 0; i < 3; i++)
        push(QUICKLIST_TAIL, 10);
    assert_encoding("listpack", LIST_INLINE);
    push(QUICKLIST_TAIL, 10);
    assert_encoding("quicklist", LIST_QUICKLIST);
    list_trim(db, now(), 0, 2);
    assert_encoding("quicklist", LIST_QUICKLIST); /* 2 are more than half of 3 */
    list_drop(db, &key, now(), QUICKLIST_TAIL);
    assert_encoding("listpack", LIST_INLINE);
}

static void the_first_element_is_large(void **state) {
    (void)state;
    start_over(-2, 0);
    push(QUICKLIST_HEAD, 1000);
    assert_encoding("listpack", LIST_INLINE);
    start_over(-2, 0);
    push(QUICKLIST_HEAD, 5000);
    assert_encoding("listpack", LIST_PACKED);
    start_over(-2, 0);
    push(QUICKLIST_HEAD, 65000);
    assert_encoding("quicklist", LIST_QUICKLIST);
    bool found;
    list_set(db, now(), 0, SLICE("small"), &found);
    assert_true(found);
    assert_encoding("listpack", LIST_INLINE);
    list_set(db, now(), 1, SLICE("none"), &found);
    assert_false(found);
}

static void an_empty_list_is_gone(void **state) {
    (void)state;
    size_t n;
    static const struct slice same[] = {{"a", 1}, {"a", 1}, {"a", 1}};
    for (int fill = 1; fill <= 10; fill += 9) { /* 1: a quicklist */
        start_over(fill, 0);
        list_push(db, &key, NULL, QUICKLIST_TAIL, same, 3);
        assert_null(list_remove_equal(db, &key, now(), SLICE("a"), QUICKLIST_TAIL, SIZE_MAX, &n));
        assert_int_equal(n, 3);
        assert_null(now());
        list_push(db, &key, NULL, QUICKLIST_TAIL, same, 3);
        assert_null(list_remove(db, &key, now(), 0, 3));
        list_push(db, &key, NULL, QUICKLIST_TAIL, same, 1);
        assert_null(list_drop(db, &key, now(), QUICKLIST_HEAD));
        assert_null(now());
    }
}

/* --- The model: an array of small numbers, of which an element is the text, or as many letters --- */

#define MODEL_MAX 4000
static int model[MODEL_MAX + 8];
static size_t model_len;

static struct slice text_of(int value, char *to) {
    if (value % 3 > 0) return slice_of(to, (size_t)sprintf(to, "%d", value));
    memset(to, 'a' + value % 26, (size_t)value);
    return slice_of(to, (size_t)value);
}

static void model_insert(size_t at, int value) {
    memmove(model + at + 1, model + at, (model_len++ - at) * sizeof *model);
    model[at] = value;
}
static void model_remove(size_t at, size_t n) {
    model_len -= n;
    memmove(model + at, model + at + n, (model_len - at) * sizeof *model);
}

static void compare_all(void) {
    char text[512], scratch[NUM_I64_MAX];
    struct list_view view;
    struct quicklist_iter it;
    assert_int_equal(now() ? list_length(now()) : 0, model_len);
    if (!now()) return;
    const struct quicklist *q = list_read(now(), &view);
    if (entry_encoding(now()) != LIST_INLINE) quicklist_check(q);
    bool more = quicklist_start(&it, q, 0);
    for (size_t i = 0; i < model_len; i++, more = quicklist_next(&it)) {
        assert_true(more);
        assert_true(slice_eq(listpack_value_text(quicklist_get(&it), scratch), text_of(model[i], text)));
    }
    assert_false(more);
    quicklist_stop(&it);
}

static size_t below(size_t n) {
    return (size_t)rand_below(n);
}

static void random_push(void) {
    char text[512];
    int value = (int)below(below(20) ? 12 : 400);
    enum quicklist_end end = below(2) ? QUICKLIST_TAIL : QUICKLIST_HEAD;
    struct slice element = text_of(value, text);
    list_push(db, &key, now(), end, &element, 1);
    model_insert(end == QUICKLIST_HEAD ? 0 : model_len, value);
}

static void random_insert(void) {
    char text[512], pivot[512];
    int value = (int)below(12), wanted = (int)below(12);
    bool after = below(2), found;
    size_t at = 0;
    while (at < model_len && model[at] != wanted)
        at++;
    list_insert(db, now(), text_of(wanted, pivot), after, text_of(value, text), &found);
    assert_int_equal(found, at < model_len);
    if (found) model_insert(at + after, value);
}

static void random_set(void) {
    char text[512];
    int value = (int)below(200);
    size_t at = below(model_len);
    bool found;
    list_set(db, now(), (int64_t)(below(2) ? at : at - model_len), text_of(value, text), &found);
    assert_true(found);
    model[at] = value;
}

static void random_remove(void) {
    size_t at = below(model_len), n = below(model_len - at < 20 ? model_len - at + 1 : 20);
    if (n == 0) n = 1;
    list_remove(db, &key, now(), at, n);
    model_remove(at, n);
}

static void random_trim(void) {
    size_t at = below(model_len < 9 ? model_len : 9), n = model_len - at;
    if (n > 1 && below(2)) n -= below(n < 10 ? n : 10);
    if (below(30) == 0) n = 1 + below(n);
    list_trim(db, now(), at, n);
    model_remove(at + n, model_len - at - n);
    model_remove(0, at);
}

static void random_remove_equal(void) {
    char text[512];
    int value = (int)below(12);
    size_t max = 1 + below(4), n = 0, removed;
    bool back = below(2);
    list_remove_equal(db, &key, now(), text_of(value, text), back ? QUICKLIST_TAIL : QUICKLIST_HEAD, max, &removed);
    for (size_t k = 0, length = model_len; k < length && n < max; k++) {
        size_t at = back ? length - 1 - k : k - n;
        if (model[at] != value) continue;
        model_remove(at, 1);
        n++;
    }
    assert_int_equal(n, removed);
}

static void random_step(void) {
    size_t what = below(20);
    if (model_len == 0 || (what < 12 && model_len < MODEL_MAX)) {
        random_push();
        return;
    }
    switch (what % 6) {
    case 0: random_insert(); return;
    case 1: random_set(); return;
    case 2: random_remove(); return;
    case 3: random_trim(); return;
    case 4: random_remove_equal(); return;
    default: list_drop(db, &key, now(), QUICKLIST_HEAD); model_remove(0, 1);
    }
}

static void behaves_like_an_array(void **state) {
    (void)state;
    static const int fills[] = {-2, -1, 1, 5, 40, 128};
    for (size_t i = 0; i < 2 * sizeof fills / sizeof *fills; i++) {
        start_over(fills[i / 2], (int)(i % 2));
        model_len = 0;
        for (int step = 0; step < 6000; step++) {
            random_step();
            if (step % 50 == 0 || model_len < 4) compare_all();
        }
    }
}

static int set_up(void **state) {
    (void)state;
    clock_init();
    hash_init();
    worker_start();
    db_init(1);
    db = db_at(0);
    key = key_of(SLICE("list"));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    db_shutdown();
    worker_stop();
    return 0;
}

int main(void) {
    uint64_t seed = seed_of_run();
    printf("test_list: seed %" PRIu64 "\n", seed);
    rand_seed(seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(becomes_a_quicklist_and_a_listpack_again),
        cmocka_unit_test(a_limit_of_elements),
        cmocka_unit_test(the_first_element_is_large),
        cmocka_unit_test(an_empty_list_is_gone),
        cmocka_unit_test(behaves_like_an_array),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
