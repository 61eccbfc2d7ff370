/* Members drawn from sorted sets, few and many of all: all different, all equally likely; or drawn again and again. */
#include "command_lab.h"

extern const struct module zset_walk_module, zsets_module;

enum { MEMBERS = 30 };

static void fill(void) {
    for (int i = 0; i < MEMBERS; i++)
        lab_run("ZADD z %d m%d", i, i);
}

/* Count each member of a reply with scores, which must be its number. Returns how many there are. */
static int count_members(const char *reply, int *counts) {
    int n = 0;
    for (const char *at = reply; (at = strchr(at, 'm')); at++, n++) {
        int member = atoi(at + 1);
        assert_in_range(member, 0, MEMBERS - 1);
        assert_int_equal(strtol(strchr(strchr(at, ' ') + 1, ' '), NULL, 10), member);
        counts[member]++;
    }
    return n;
}

static void positive_counts_draw_different_members(void **state) {
    (void)state;
    fill();
    for (int count = 0; count <= MEMBERS + 5; count++) {
        int counts[MEMBERS] = {0}, n = count < MEMBERS ? count : MEMBERS;
        assert_int_equal(count_members(lab_run("ZRANDMEMBER z %d WITHSCORES", count), counts), n);
        for (int i = 0; i < MEMBERS; i++)
            assert_in_range(counts[i], 0, 1);
    }
}

/* Of 3000 samples of 3 or of 20, each member is in 300 or in 2000 on average: 8 standard deviations to either side. */
static void every_member_is_drawn_as_often(void **state) {
    (void)state;
    static const int sizes[] = {3, 20}, least[] = {169, 1793}, most[] = {431, 2207};
    fill();
    for (int k = 0; k < 2; k++) {
        int counts[MEMBERS] = {0};
        for (int round = 0; round < 3000; round++)
            count_members(lab_run("ZRANDMEMBER z %d WITHSCORES", sizes[k]), counts);
        for (int i = 0; i < MEMBERS; i++)
            assert_in_range(counts[i], least[k], most[k]);
    }
}

static void negative_counts_draw_again(void **state) {
    (void)state;
    int counts[MEMBERS] = {0};
    fill();
    assert_int_equal(count_members(lab_run("ZRANDMEMBER z -3000 WITHSCORES"), counts), 3000);
    for (int i = 0; i < MEMBERS; i++)
        assert_in_range(counts[i], 30, 200);
}

static void replies_without_members(void **state) {
    (void)state;
    assert_string_equal(lab_run("ZRANDMEMBER none"), "$-1");
    assert_string_equal(lab_run("ZRANDMEMBER none 5"), "*0");
    lab_run("ZADD z 1.5 a");
    assert_string_equal(lab_run("ZRANDMEMBER z"), "$1 a");
    assert_string_equal(lab_run("ZRANDMEMBER z 0"), "*0");
    assert_string_equal(lab_run("ZRANDMEMBER z -2"), "*2 $1 a $1 a");
    lab_client.resp = 3;
    assert_string_equal(lab_run("ZRANDMEMBER z -2 WITHSCORES"), "*2 *2 $1 a ,1.5 *2 $1 a ,1.5");
    assert_string_equal(lab_run("ZSCAN z 0"), "*2 $1 0 *2 $1 a $3 1.5");
}

int main(void) {
    lab_start((const struct module *const[]){&zset_walk_module, &zsets_module, NULL});
    const struct CMUnitTest tests[] = {
        LAB_TEST(positive_counts_draw_different_members),
        LAB_TEST(every_member_is_drawn_as_often),
        LAB_TEST(negative_counts_draw_again),
        LAB_TEST(replies_without_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
