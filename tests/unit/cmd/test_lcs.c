/* LCS against the recursive definition, on random short strings of few letters. */
#include "command_lab.h"

extern const struct module strings_module, lcs_module;

static size_t length_of(const char *a, const char *b) {
    if (!*a || !*b) return 0;
    if (*a == *b) return 1 + length_of(a + 1, b + 1);
    size_t one = length_of(a + 1, b), other = length_of(a, b + 1);
    return one > other ? one : other;
}

static bool is_subsequence(const char *part, size_t len, const char *of) {
    size_t n = 0;
    for (; *of && n < len; of++)
        n += *of == part[n];
    return n == len;
}

static void random_text(char *to, int max) {
    int len = 1 + lab_below(max);
    for (int i = 0; i < len; i++)
        to[i] = (char)('a' + lab_below(3));
    to[len] = '\0';
}

/* The sum of the lengths of IDX's matches. Each must be a run that both strings have there, before the match before. */
static size_t check_matches(const char *reply, const char *a, const char *b) {
    size_t total = 0;
    int first[2], last[2], len, before[2] = {1000, 1000}, taken = 0;
    const char *at = reply + strlen("*4 $7 matches ");
    int matches = atoi(at + 1);
    for (at = strchr(at, ' ') + 1; matches-- > 0; at += taken) {
        assert_int_equal(
            sscanf(at, "*3 *2 :%d :%d *2 :%d :%d :%d %n", &first[0], &last[0], &first[1], &last[1], &len, &taken), 5);
        assert_int_equal(last[0] - first[0] + 1, len);
        assert_int_equal(last[1] - first[1] + 1, len);
        assert_memory_equal(a + first[0], b + first[1], (size_t)len);
        for (int i = 0; i < 2; i++) {
            assert_true(last[i] < before[i]);
            before[i] = first[i];
        }
        total += (size_t)len;
    }
    return total;
}

static void all_forms_agree_with_the_definition(void **state) {
    (void)state;
    char a[12], b[12];
    for (int round = 0; round < 300; round++) {
        random_text(a, 10);
        random_text(b, 10);
        size_t len = length_of(a, b);
        lab_run("MSET a %s b %s", a, b);
        assert_int_equal(atoi(lab_run("LCS a b LEN") + 1), len);
        const char *found = strchr(lab_run("LCS a b"), ' ') + 1;
        assert_int_equal(strlen(found), len);
        assert_true(is_subsequence(found, len, a) && is_subsequence(found, len, b));
        assert_int_equal(check_matches(lab_run("LCS a b IDX WITHMATCHLEN"), a, b), len);
    }
}

static void short_matches_can_be_left_out(void **state) {
    (void)state;
    lab_run("MSET a xabcyd b abczd");
    assert_string_equal(lab_run("LCS a b IDX"), "*4 $7 matches *2 *2 *2 :5 :5 *2 :4 :4 *2 *2 :1 :3 *2 :0 :2 $3 len :4");
    assert_string_equal(lab_run("LCS a b IDX MINMATCHLEN 3"), "*4 $7 matches *1 *2 *2 :1 :3 *2 :0 :2 $3 len :4");
    assert_string_equal(lab_run("LCS a b IDX MINMATCHLEN 4"), "*4 $7 matches *0 $3 len :4");
    assert_string_equal(lab_run("LCS none b IDX"), "*4 $7 matches *0 $3 len :0");
}

static void memory_has_a_limit(void **state) {
    (void)state;
    lab_run("MSET a 1234567 b 123456789"); /* 8 * 10 lengths of 4 bytes */
    limits_options.max_bulk = 320;
    assert_string_equal(lab_run("LCS a b LEN"), ":7");
    limits_options.max_bulk = 319;
    assert_string_equal(lab_run("LCS a b LEN"),
                        "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
    assert_string_equal(lab_run("LCS a b LEN IDX"),
                        "-ERR If you want both the length and indexes, please just use IDX.");
}

int main(void) {
    lab_start((const struct module *const[]){&strings_module, &lcs_module, NULL});
    const struct CMUnitTest tests[] = {
        LAB_TEST(all_forms_agree_with_the_definition),
        LAB_TEST(short_matches_can_be_left_out),
        LAB_TEST(memory_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
