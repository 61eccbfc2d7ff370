/* Rosters compared with an array, small and large ones. To repeat a failed run, pass the SEED that it prints. */
#include "base/alloc.h"
#include "base/hash.h"
#include "base/rand.h"
#include "store/roster.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

struct thing {
    struct roster_named named;
    uint64_t number;
};

static uint64_t thing_hash(const void *thing);
static const struct roster_kind kind = {{thing_hash}, sizeof(struct thing)};

static uint64_t thing_hash(const void *thing) {
    struct slice name = roster_name(&kind, thing);
    return hash_bytes(name.ptr, name.len);
}

#define NAMES 300
static struct thing *model[NAMES];
static struct roster *roster;
static uint32_t count;

static struct slice name_of(char text[16], size_t i) {
    return slice_of(text, (size_t)sprintf(text, "%zx", i * 2654435761u % 1000003));
}

static void check(void) {
    char text[16];
    assert_int_equal(roster_count(roster), count);
    /* A few records at high places still need the table: a search one by one passes all places. */
    if (roster && roster->table) assert_true(count > ROSTER_ARRAY / 2 || roster->used > ROSTER_ARRAY);
    for (size_t i = 0; i < NAMES; i++) {
        struct thing *found = roster_find(roster, &kind, name_of(text, i));
        assert_ptr_equal(found, model[i]);
        if (found) assert_ptr_equal(roster_at(roster, found->named.index), found);
    }
}

static void add(size_t i) {
    char text[16];
    struct thing *t = roster_record(&kind, name_of(text, i));
    assert_int_equal(t->number, 0);
    assert_true(slice_eq(roster_name(&kind, t), name_of(text, i)));
    t->number = i;
    roster_add(&roster, &kind, t);
    assert_true(t->named.index <= count); /* indexes are given again */
    model[i] = t;
    count++;
}

static void take_out(size_t i) {
    roster_remove(roster, &kind, model[i]);
    roster_free_record(&kind, model[i]);
    model[i] = NULL;
    count--;
}

static void *copy_thing(const void *from) {
    struct thing *t = roster_record(&kind, roster_name(&kind, from));
    t->number = ((const struct thing *)from)->number;
    return t;
}

static void free_all(void) {
    for (size_t i = 0; i < NAMES; i++) {
        if (model[i]) roster_free_record(&kind, model[i]);
        model[i] = NULL;
    }
    roster_free(roster);
    roster = NULL;
    count = 0;
}

static void swap_for_copy(void) {
    struct roster *copy = roster_copy(roster, &kind, copy_thing);
    struct thing *copies[NAMES] = {NULL};
    char text[16];
    for (size_t i = 0; i < NAMES; i++) {
        struct thing *t = copies[i] = roster_find(copy, &kind, name_of(text, i));
        assert_int_equal(t != NULL, model[i] != NULL);
        if (t) assert_true(t != model[i] && t->number == i && t->named.index == model[i]->named.index);
    }
    uint32_t had = count;
    free_all();
    roster = copy;
    count = had;
    memcpy(model, copies, sizeof model);
}

static void is_sorted(void) {
    size_t bytes;
    void **sorted = roster_sorted(roster, &kind, &bytes);
    assert_int_equal(bytes, count * sizeof *sorted);
    for (uint32_t i = 1; i < count; i++)
        assert_true(slice_compare(roster_name(&kind, sorted[i - 1]), roster_name(&kind, sorted[i])) < 0);
    alloc_put(sorted, bytes);
}

static void equals_an_array(void **state) {
    (void)state;
    const char *given = getenv("SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    hash_seed(seed);
    size_t names = NAMES;
    for (int i = 0; i < 20000; i++) {
        if (i % 1000 == 0) names = rand_below(2) ? NAMES : 1 + rand_below(40);
        size_t which = rand_below(names);
        if (model[which])
            take_out(which);
        else
            add(which);
        if (i % 16 == 0) check();
        if (i % 500 == 0) is_sorted();
        if (rand_below(200) == 0) swap_for_copy();
    }
    free_all();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(equals_an_array)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
