/* ds/pack: random edits, made to a listpack beside it as well, and conversions in both directions after each. To repeat
 * a failed run, pass the SEED that it prints. */
#include "base/rand.h"
#include "ds/pack.h"
#include "seed.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define ROOM 65536
#define LONG 5000 /* the longest element: its head has more than two bytes */
static uint8_t pack[ROOM], lp[ROOM], other[ROOM];
static size_t len;
static char text[LONG];

static struct slice random_text(void) {
    if (rand_below(3) == 0) {
        uint64_t bits = rand_u64() >> rand_below(64);
        int64_t n = (int64_t)(rand_below(2) ? bits : 0 - bits);
        return slice_of(text, (size_t)num_print_i64(text, n));
    }
    static const size_t longest[] = {4, 62, 66, 140, LONG};
    size_t n = rand_below(longest[rand_below(rand_below(20) ? 3 : 5)]);
    for (size_t i = 0; i < n; i++)
        text[i] = (char)('a' + rand_below(3));
    return slice_of(text, n);
}

static void assert_same(void) {
    assert_int_equal(pack_count(pack), listpack_count(lp));
    assert_int_equal(pack_listpack_bytes(pack, len), listpack_bytes(lp));
    pack_to_listpack(pack, len, other);
    assert_memory_equal(other, lp, listpack_bytes(lp));
    assert_int_equal(listpack_check(other, listpack_bytes(other), NULL, NULL), LISTPACK_GOOD);
    assert_int_equal(pack_from_listpack(other, lp), len);
    assert_memory_equal(other, pack, len);
}

/* The same element of both; the end of both if index is the count. */
static void places(size_t index, uint8_t **in_pack, uint8_t **in_listpack) {
    *in_pack = pack_seek(pack, (int64_t)index);
    *in_listpack = listpack_seek(lp, (int64_t)index);
    assert_int_equal(*in_pack == NULL, *in_listpack == NULL);
    if (*in_pack) return;
    *in_pack = pack + len;
    *in_listpack = listpack_end(lp);
}

static void step(void) {
    size_t count = pack_count(pack);
    uint8_t *at, *model;
    struct listpack_item item = listpack_item(random_text());
    unsigned what = (unsigned)rand_below(len > 30000 ? 2 : 6);
    if (what < 2 && count > 0) {
        size_t index = rand_below(count), n = 1 + rand_below(rand_below(20) ? 2 : count);
        if (n > count - index) n = count - index;
        places(index, &at, &model);
        len = pack_remove(pack, len, at, n);
        listpack_remove(lp, model, n);
    } else if (what == 2 && count > 0) {
        places(rand_below(count), &at, &model);
        len = pack_replace(pack, len, at, &item);
        listpack_replace(lp, model, &item);
    } else if (what > 2) {
        places(rand_below(count + 1), &at, &model);
        len = pack_insert(pack, len, at, &item);
        listpack_insert(lp, model, &item);
    }
}

static void assert_finds(void) {
    struct listpack_item item = listpack_item(random_text());
    for (unsigned stride = 1; stride <= 2; stride++) {
        const uint8_t *at = pack_find(pack_first(pack), pack + len, &item, stride);
        const uint8_t *model = listpack_find(listpack_first(lp), &item, stride);
        assert_int_equal(at == NULL, model == NULL);
        size_t index = 0, wanted = 0;
        for (const uint8_t *p = pack_first(pack); at && p != at; p = pack_next(p))
            index++;
        for (const uint8_t *p = listpack_first(lp); model && p != model; p = listpack_next(p))
            wanted++;
        assert_int_equal(index, wanted);
    }
    int64_t count = (int64_t)pack_count(pack);
    assert_null(pack_seek(pack, count));
    assert_null(pack_seek(pack, -count - 1));
    if (count > 0) assert_ptr_equal(pack_seek(pack, -count), pack_first(pack));
    if (count > 0) assert_ptr_equal(pack_next(pack_seek(pack, -1)), pack + len);
}

static void against_a_listpack(void **state) {
    (void)state;
    uint64_t seed = seed_of_run();
    print_message("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    pack_init(pack);
    listpack_init(lp);
    len = PACK_EMPTY;
    for (int i = 0; i < 60000; i++) {
        step();
        if (i % 8 == 0) assert_same();
        if (i % 8 == 1) assert_finds();
    }
}

static void format(void **state) {
    (void)state;
    struct listpack_item one = listpack_item(SLICE("1")), word = listpack_item(SLICE("word"));
    pack_init(pack);
    len = pack_append(pack, PACK_EMPTY, &word);
    len = pack_append(pack, len, &one);
    assert_int_equal(len, 8);
    assert_memory_equal(pack, "\2\0\x84word\1", 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(format),
        cmocka_unit_test(against_a_listpack),
    };
    return cmocka_run_group_tests_name("pack", tests, NULL, NULL);
}
