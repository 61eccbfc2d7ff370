/* Intersections, unions and differences of sets against masks of bits. The sets are intsets, small ones and tables. */
#include "command_lab.h"

extern const struct module set_algebra_module, sets_module, set_walk_module, strings_module;

enum { SETS = 5, NUMBERS = 24, MEMBERS = 48 }; /* the first are numbers */

static uint64_t masks[SETS];

static const char *name_of(int member) {
    static char name[64];
    snprintf(name, sizeof name, member < NUMBERS ? "%d" : "a rather long name, to make tables: %d", member);
    return name;
}

static int member_of(const char *name) {
    return atoi(name[0] == 'a' ? strchr(name, ':') + 2 : name);
}

static void fill(void) {
    for (int k = 0; k < SETS; k++) {
        lab_run("SPOP s%d 100", k);
        int most = lab_below(2) ? NUMBERS : MEMBERS;
        masks[k] = 0;
        for (int n = lab_below(6) ? lab_below(40) : 0; n > 0; n--) {
            int member = lab_below(most);
            masks[k] |= UINT64_C(1) << member;
            lab_call((struct slice[]){SLICE("SADD"), slice_of((char[]){'s', (char)('0' + k)}, 2),
                                      slice_cstr(name_of(member))},
                     3);
        }
    }
}

/* The members of a reply, each of which must be there once. */
static uint64_t mask_of(struct slice reply) {
    uint64_t mask = 0;
    const char *at = reply.ptr + 1;
    for (int n = atoi(at); n > 0; n--) {
        at = strchr(strchr(at, '\n') + 1, '\n') + 1;
        uint64_t bit = UINT64_C(1) << member_of(at);
        assert_false(mask & bit);
        mask |= bit;
    }
    return mask;
}

static uint64_t combine(int op, const int *sets, int n) {
    uint64_t mask = masks[sets[0]];
    for (int i = 1; i < n; i++)
        mask = op == 0 ? mask & masks[sets[i]] : op == 1 ? mask | masks[sets[i]] : mask & ~masks[sets[i]];
    return mask;
}

static void results_are_those_of_masks(void **state) {
    (void)state;
    static const char *const names[] = {"SINTER", "SUNION", "SDIFF"}, *const stores[] = {"SINTERSTORE", "SUNIONSTORE",
                                                                                         "SDIFFSTORE"};
    for (int round = 0; round < 600; round++) {
        struct slice words[SETS + 3];
        char keys[SETS][3];
        int op = lab_below(3), n = 1 + lab_below(SETS), sets[SETS] = {0};
        fill();
        for (int i = 0; i < n; i++) {
            sets[i] = lab_below(SETS);
            words[2 + i] = slice_of(keys[i], (size_t)snprintf(keys[i], 3, "s%d", sets[i]));
        }
        uint64_t expected = combine(op, sets, n);
        words[1] = slice_cstr(names[op]);
        assert_true(mask_of(lab_call(words + 1, n + 1)) == expected);
        int to = lab_below(SETS + 1); /* over one of the sets, perhaps one of the sources */
        char key[] = {'s', (char)('0' + to)};
        words[0] = slice_cstr(stores[op]);
        words[1] = slice_of(key, 2);
        assert_int_equal(atoi(lab_call(words, n + 2).ptr + 1), __builtin_popcountll(expected));
        assert_true(mask_of(lab_call((struct slice[]){SLICE("SMEMBERS"), words[1]}, 2)) == expected);
    }
}

static void an_intersection_is_counted_up_to_a_limit(void **state) {
    (void)state;
    lab_run("SADD s0 1 2 3 4");
    lab_run("SADD s1 2 3 4 5");
    assert_string_equal(lab_run("SINTERCARD 2 s0 s1"), ":3");
    assert_string_equal(lab_run("SINTERCARD 2 s0 s1 LIMIT 2"), ":2");
    assert_string_equal(lab_run("SINTERCARD 2 s0 s1 LIMIT 0"), ":3");
    assert_string_equal(lab_run("SINTERCARD 2 s0 none"), ":0");
    assert_string_equal(lab_run("SINTERCARD 0 s0"), "-ERR numkeys should be greater than 0");
    assert_string_equal(lab_run("SINTERCARD 3 s0 s1"), "-ERR Number of keys can't be greater than number of args");
    assert_string_equal(lab_run("SINTERCARD 1 s0 LIMIT -1"), "-ERR LIMIT can't be negative");
    assert_string_equal(lab_run("SINTERCARD 1 s0 LIMIT"), "-ERR syntax error");
}

static void another_type_changes_nothing(void **state) {
    (void)state;
    const char *wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    lab_run("SET text 1");
    lab_run("SADD s0 1");
    lab_run("SADD d 7");
    assert_string_equal(lab_run("SINTERSTORE d none text"), wrong);
    assert_string_equal(lab_run("SUNION s0 text"), wrong);
    assert_string_equal(lab_run("SDIFFSTORE d s0 text"), wrong);
    assert_string_equal(lab_run("SMEMBERS d"), "*1 $1 7");
    assert_string_equal(lab_run("SUNIONSTORE text s0"), ":1"); /* only sources need be sets */
}

int main(void) {
    lab_start(
        (const struct module *const[]){&set_algebra_module, &sets_module, &set_walk_module, &strings_module, NULL});
    const struct CMUnitTest tests[] = {
        LAB_TEST(results_are_those_of_masks),
        LAB_TEST(an_intersection_is_counted_up_to_a_limit),
        LAB_TEST(another_type_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
