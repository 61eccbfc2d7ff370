/* Members drawn from sets: how many, which, and that replicas are told of those that are gone. */
#include "command_lab.h"

extern const struct module set_walk_module, sets_module;

enum { MEMBERS = 3000 };

static bool in_set[MEMBERS];

static void fill(int n) {
    memset(in_set, 0, sizeof in_set);
    for (int i = 0; i < n; i++) {
        lab_run("SADD s m%d", i);
        in_set[i] = true;
    }
}

/* The members named in a text: each is taken out of the model, so it must have been there. Returns how many. */
static int take(const char *text) {
    int n = 0;
    for (const char *at = text; (at = strchr(at, 'm')); at++, n++) {
        int member = atoi(at + 1);
        assert_in_range(member, 0, MEMBERS - 1);
        assert_true(in_set[member]);
        in_set[member] = false;
    }
    return n;
}

static void popped_members_are_propagated_as_srem(void **state) {
    (void)state;
    static const int counts[] = {1, 1023, 1024, 1025, 2500};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        int srems = 0;
        lab_run("SPOP s 100000");
        fill(MEMBERS);
        assert_int_equal(take(lab_run("SPOP s %d", counts[i])), counts[i]);
        buf_append(&lab_propagated, "", 1);
        for (const char *at = lab_propagated.data; (at = strstr(at, "SREM s")); at++)
            srems++;
        assert_int_equal(srems, (counts[i] + 1023) / 1024);
        fill(MEMBERS); /* those that are back must be those that were said to go */
        lab_run("SPOP s %d", counts[i]);
        buf_append(&lab_propagated, "", 1);
        assert_int_equal(take(lab_propagated.data), counts[i]);
        assert_int_equal(take(lab_run("SMEMBERS s")), MEMBERS - counts[i]);
    }
}

static void all_members_are_propagated_as_del(void **state) {
    (void)state;
    fill(5);
    assert_int_equal(take(lab_run("SPOP s 7")), 5);
    lab_expect_propagated("DEL s");
    fill(1);
    assert_string_equal(lab_run("SPOP s"), "$2 m0");
    lab_expect_propagated("SREM s m0");
    assert_string_equal(lab_run("SPOP s"), "$-1");
    assert_string_equal(lab_run("SPOP s 1"), "*0");
    assert_string_equal(lab_run("SPOP s -1"), "-ERR value is out of range, must be positive");
    assert_string_equal(lab_run("SPOP s 1 1"), "-ERR syntax error");
}

static void positive_counts_draw_different_members(void **state) {
    (void)state;
    for (int n = 1; n <= 40; n += 3) {
        for (int count = 0; count <= 45; count += 5) {
            lab_run("SPOP s 100");
            fill(n);
            assert_int_equal(take(lab_run("SRANDMEMBER s %d", count)), count < n ? count : n);
            lab_expect_propagated("");
        }
    }
}

static void negative_counts_draw_again(void **state) {
    (void)state;
    int counts[4] = {0}, draws = 0;
    fill(4);
    assert_int_equal(atoi(lab_run("SRANDMEMBER s -400") + 1), 400);
    for (const char *at = lab_reply.data; (at = strchr(at, 'm')); at++, draws++)
        counts[atoi(at + 1)]++;
    assert_int_equal(draws, 400);
    for (int i = 0; i < 4; i++)
        assert_in_range(counts[i], 40, 160); /* 100 on average; 7 standard deviations */
    assert_string_equal(lab_run("SRANDMEMBER none -5"), "*0");
    assert_string_equal(lab_run("SRANDMEMBER none"), "$-1");
}

int main(void) {
    lab_start((const struct module *const[]){&set_walk_module, &sets_module, NULL});
    const struct CMUnitTest tests[] = {
        LAB_TEST(popped_members_are_propagated_as_srem),
        LAB_TEST(all_members_are_propagated_as_del),
        LAB_TEST(positive_counts_draw_different_members),
        LAB_TEST(negative_counts_draw_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
