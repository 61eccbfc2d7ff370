/* Unions, intersections and differences of sorted sets and sets against arrays of scores. */
#include "command_lab.h"
#include <math.h>

extern const struct module zset_algebra_module, zsets_module, sets_module, set_algebra_module, strings_module;

enum { SOURCES = 4, MEMBERS = 12 };
enum operation { UNION, INTER, DIFF };
enum aggregate { SUM, MIN, MAX };

static const char *const names[] = {"ZUNION", "ZINTER", "ZDIFF"}, *const aggregates[] = {"SUM", "MIN", "MAX"};

/* NaN: the member is not there. */
static double scores[SOURCES][MEMBERS];

static void fill(void) {
    for (int k = 0; k < SOURCES; k++) {
        bool is_set = lab_below(3) == 0;
        lab_run("SADD k%d x", k);
        lab_run("SUNIONSTORE k%d none", k);
        for (int i = 0; i < MEMBERS; i++) {
            scores[k][i] = lab_below(3) == 0 ? NAN : is_set ? 1 : lab_below(9) - 4;
            if (isnan(scores[k][i])) continue;
            if (is_set) {
                lab_run("SADD k%d %d", k, i);
            } else {
                lab_run("ZADD k%d %d %d", k, (int)scores[k][i], i);
            }
        }
    }
}

static double combine(enum aggregate how, double a, double b) {
    return how == SUM ? a + b : how == MIN ? (a < b ? a : b) : (a > b ? a : b);
}

static double score_of(enum operation op, enum aggregate how, const int *sources, const int *weights, int n, int i) {
    double result = NAN;
    for (int k = 0; k < n; k++) {
        double one = scores[sources[k]][i] * weights[k];
        if (op == DIFF) {
            if (k == 0) result = scores[sources[0]][i];
            if (k > 0 && !isnan(one)) return NAN;
        } else if (isnan(one)) {
            if (op == INTER) return NAN;
        } else {
            result = isnan(result) ? one : combine(how, result, one);
        }
    }
    return result;
}

static void results_are_those_of_arrays(void **state) {
    (void)state;
    for (int round = 0; round < 500; round++) {
        fill();
        int op = lab_below(3), how = lab_below(3), n = 1 + lab_below(SOURCES), sources[SOURCES], weights[SOURCES];
        int count = 0;
        char keys[64] = "", options[96] = "";
        for (int k = 0; k < n; k++) {
            sources[k] = lab_below(SOURCES);
            weights[k] = op == DIFF ? 1 : lab_below(7) - 3;
            sprintf(keys + strlen(keys), " k%d", sources[k]);
        }
        if (op != DIFF) {
            strcpy(options, " WEIGHTS");
            for (int k = 0; k < n; k++)
                sprintf(options + strlen(options), " %d", weights[k]);
            sprintf(options + strlen(options), " AGGREGATE %s", aggregates[how]);
        }
        for (int i = 0; i < MEMBERS; i++)
            count += !isnan(score_of(op, how, sources, weights, n, i));
        assert_int_equal(atoi(lab_run("%s %d%s%s", names[op], n, keys, options) + 1), count);
        if (op == INTER) assert_int_equal(atoi(lab_run("ZINTERCARD %d%s", n, keys) + 1), count);
        assert_int_equal(atoi(lab_run("%sSTORE d %d%s%s", names[op], n, keys, options) + 1), count);
        for (int i = 0; i < MEMBERS; i++) {
            double expected = score_of(op, how, sources, weights, n, i);
            const char *reply = lab_run("ZSCORE d %d", i);
            assert_int_equal(strcmp(reply, "$-1") == 0, isnan(expected));
            if (!isnan(expected)) assert_true(strtod(strchr(reply, ' '), NULL) == expected);
        }
    }
}

static void replies_are_in_order(void **state) {
    (void)state;
    lab_run("ZADD a 3 x 1 y");
    lab_run("ZADD b 1 x 5 z");
    assert_string_equal(lab_run("ZUNION 2 a b WITHSCORES"), "*6 $1 y $1 1 $1 x $1 4 $1 z $1 5");
    assert_string_equal(lab_run("ZUNIONSTORE a 2 a b WEIGHTS 2 1"), ":3"); /* over one of the sources */
    assert_string_equal(lab_run("ZDIFF 1 a WITHSCORES"), "*6 $1 y $1 2 $1 z $1 5 $1 x $1 7");
    assert_string_equal(lab_run("ZDIFFSTORE a 2 a a"), ":0");
    lab_expect_propagated("ZDIFFSTORE a 2 a a");
    assert_string_equal(lab_run("ZCARD a"), ":0");
}

static void no_result_is_nan(void **state) {
    (void)state;
    lab_run("ZADD a inf x 0 y");
    lab_run("ZADD b -inf x inf y");
    assert_string_equal(lab_run("ZUNION 2 a b WITHSCORES"), "*4 $1 x $1 0 $1 y $3 inf");
    assert_string_equal(lab_run("ZUNION 1 a WEIGHTS 0 WITHSCORES"), "*4 $1 x $1 0 $1 y $1 0");
    assert_string_equal(lab_run("ZINTER 2 a b WEIGHTS 1 0 WITHSCORES"), "*4 $1 x $1 0 $1 y $1 0");
}

static void options_are_those_of_the_command(void **state) {
    (void)state;
    lab_run("ZADD a 1 x");
    lab_run("SET text 1");
    assert_string_equal(lab_run("ZDIFF 1 a WEIGHTS 1"), "-ERR syntax error");
    assert_string_equal(lab_run("ZUNIONSTORE d 1 a WITHSCORES"), "-ERR syntax error");
    assert_string_equal(lab_run("ZUNION 1 a AGGREGATE AVG"), "-ERR syntax error");
    assert_string_equal(lab_run("ZUNION 1 a WEIGHTS x"), "-ERR weight value is not a float");
    assert_string_equal(lab_run("ZINTERCARD 1 a LIMIT -1"), "-ERR LIMIT can't be negative");
    assert_string_equal(lab_run("ZUNION 0 a"), "-ERR at least 1 input key is needed for 'zunion' command");
    assert_string_equal(lab_run("ZUNION 2 a"), "-ERR syntax error");
    assert_string_equal(lab_run("ZUNION 2 a text"),
                        "-WRONGTYPE Operation against a key holding the wrong kind of value");
}

int main(void) {
    lab_start((const struct module *const[]){&zset_algebra_module, &zsets_module, &sets_module, &set_algebra_module,
                                             &strings_module, NULL});
    const struct CMUnitTest tests[] = {
        LAB_TEST(results_are_those_of_arrays),
        LAB_TEST(replies_are_in_order),
        LAB_TEST(no_result_is_nan),
        LAB_TEST(options_are_those_of_the_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
