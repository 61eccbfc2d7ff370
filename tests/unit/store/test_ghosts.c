/* Ghosts: the last victims are remembered, each once. */
#include "base/rand.h"
#include "store/ghosts.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define KEYS 80000
#define VICTIMS (KEYS / 2)

static uint64_t hashes[VICTIMS];

static void put_all(void) {
    for (unsigned i = 0; i < VICTIMS; i++)
        ghosts_put(hashes[i] = rand_u64(), i % 16);
}

static void without_room_nothing_is_remembered(void **state) {
    (void)state;
    ghosts_put(1, 1);
    assert_int_equal(ghosts_take(1), -1);
    assert_int_equal(ghosts_memory(), 0);
}

static void the_last_victims_are_remembered_once(void **state) {
    (void)state;
    ghosts_resize(KEYS);
    assert_in_range(ghosts_memory(), KEYS, KEYS + 8); /* a byte a key */
    put_all();
    unsigned found[4] = {0};
    for (unsigned i = 0; i < VICTIMS; i++) {
        int what = ghosts_take(hashes[i]);
        if (what == (int)(i % 16)) found[i / (VICTIMS / 4)]++;
    }
    assert_true(found[3] > VICTIMS / 4 * 95 / 100); /* the newest nearly all: buckets differ in load */
    assert_true(found[0] > VICTIMS / 4 / 3 && found[0] < found[1] && found[1] < found[2]);
    for (unsigned i = 0; i < VICTIMS; i++)
        ghosts_take(hashes[i]);
    for (unsigned i = 0; i < VICTIMS; i++)
        assert_int_equal(ghosts_take(hashes[i]), -1);
}

static void others_are_hardly_ever_taken_for_a_ghost(void **state) {
    (void)state;
    put_all();
    unsigned wrong = 0;
    for (unsigned i = 0; i < 100000; i++)
        wrong += ghosts_take(rand_u64()) >= 0;
    assert_true(wrong < 150); /* 4 cells of 1 in 4096: 98 at most */
}

static void a_small_change_of_the_keys_forgets_nothing(void **state) {
    (void)state;
    put_all();
    ghosts_resize(KEYS + KEYS / 8);
    ghosts_resize(KEYS - KEYS / 8);
    assert_int_equal(ghosts_take(hashes[VICTIMS - 1]), (VICTIMS - 1) % 16);
    ghosts_resize(2 * KEYS);
    assert_in_range(ghosts_memory(), 2 * KEYS, 2 * KEYS + 8);
    assert_int_equal(ghosts_take(hashes[VICTIMS - 2]), -1);
    ghosts_resize(0);
    assert_int_equal(ghosts_memory(), 0);
}

int main(void) {
    const char *given = getenv("SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("SEED=%llu\n", (unsigned long long)seed);
    rand_seed(seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_room_nothing_is_remembered),
        cmocka_unit_test(the_last_victims_are_remembered_once),
        cmocka_unit_test(others_are_hardly_ever_taken_for_a_ghost),
        cmocka_unit_test(a_small_change_of_the_keys_forgets_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
