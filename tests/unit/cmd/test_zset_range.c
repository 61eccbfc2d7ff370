/* Ranges of sorted sets against a check of every member: by rank, score and text; limited, reversed, counted and
 * removed. */
#include "command_lab.h"

extern const struct module zset_range_module, zsets_module;

enum { MOST = 40, SCORES = 6 };

struct model {
    int n;
    struct {
        int score;
        char name[16];
    } members[MOST]; /* in order */
};

/* With all scores 0 the order is that of the names, as ranges of text require. */
static void fill(struct model *m, int most, bool same_score) {
    lab_run("ZADD z 0 a");
    lab_run("ZREM z a");
    m->n = 1 + lab_below(most);
    for (int i = 0; i < m->n; i++) {
        m->members[i].score = same_score ? 0 : i == 0 ? lab_below(2) : m->members[i - 1].score + lab_below(2);
        snprintf(m->members[i].name, sizeof m->members[i].name, "m%02d", 2 * i);
    }
    for (int i = m->n; i-- > 0;)
        assert_string_equal(lab_run("ZADD z %d %s", m->members[i].score, m->members[i].name), ":1");
}

/* The reply that has those members, from an end, between offset and limit, that are marked. */
static const char *expected(const struct model *m, const bool *in, bool reverse, int offset, int limit) {
    static char text[MOST * 16];
    char *to = text;
    int count = 0;
    for (int pass = 0; pass < 2; pass++) {
        int skipped = 0, taken = 0;
        if (pass) to += sprintf(to, "*%d", count);
        for (int k = 0; k < m->n; k++) {
            int i = reverse ? m->n - 1 - k : k;
            if (!in[i] || skipped++ < offset || (limit >= 0 && taken == limit)) continue;
            taken++;
            if (pass) to += sprintf(to, " $3 %s", m->members[i].name);
        }
        count = taken;
    }
    return text;
}

static void expect_all_forms(const struct model *m, const bool *in, const char *min, const char *max, const char *by) {
    int offset = lab_below(6), limit = lab_below(8) - 1;
    assert_string_equal(lab_run("ZRANGE z %s %s %s", min, max, by), expected(m, in, false, 0, -1));
    assert_string_equal(lab_run("ZRANGE z %s %s REV %s", max, min, by), expected(m, in, true, 0, -1));
    assert_string_equal(lab_run("ZRANGE z %s %s %s LIMIT %d %d", min, max, by, offset, limit),
                        expected(m, in, false, offset, limit));
    assert_string_equal(lab_run("ZRANGE z %s %s %s REV LIMIT %d %d", max, min, by, offset, limit),
                        expected(m, in, true, offset, limit));
    int n = 0;
    for (int i = 0; i < m->n; i++)
        n += in[i];
    bool lex = by[2] == 'L';
    assert_int_equal(atoi(lab_run("%s z %s %s", lex ? "ZLEXCOUNT" : "ZCOUNT", min, max) + 1), n);
    assert_int_equal(atoi(lab_run("ZRANGESTORE d z %s %s %s", min, max, by) + 1), n);
    assert_int_equal(atoi(lab_run("ZCARD d") + 1), n);
    assert_int_equal(atoi(lab_run("%s z %s %s", lex ? "ZREMRANGEBYLEX" : "ZREMRANGEBYSCORE", min, max) + 1), n);
    assert_int_equal(atoi(lab_run("ZCARD z") + 1), m->n - n);
    lab_run("ZREMRANGEBYRANK z 0 -1");
}

static void ranks_count_from_either_end(void **state) {
    (void)state;
    struct model m;
    for (int round = 0; round < 300; round++) {
        bool in[MOST];
        fill(&m, 8, false);
        int first = lab_below(24) - 12, last = lab_below(24) - 12;
        int low = first < 0 ? first + m.n : first, high = last < 0 ? last + m.n : last, n = 0;
        for (int i = 0; i < m.n; i++)
            n += in[i] = i >= low && i <= high;
        assert_string_equal(lab_run("ZRANGE z %d %d", first, last), expected(&m, in, false, 0, -1));
        for (int i = 0; i < m.n; i++)
            in[m.n - 1 - i] = i >= low && i <= high;
        assert_string_equal(lab_run("ZREVRANGE z %d %d", first, last), expected(&m, in, true, 0, -1));
        assert_int_equal(atoi(lab_run("ZREMRANGEBYRANK z %d %d", first, last) + 1), n);
        lab_run("ZREMRANGEBYRANK z 0 -1");
    }
}

static void scores_have_open_and_closed_ends(void **state) {
    (void)state;
    static const char *const infinite[] = {"-inf", "+inf"};
    struct model m;
    for (int round = 0; round < 300; round++) {
        bool in[MOST], open[2];
        char ends[2][16];
        int at[2];
        fill(&m, MOST, false);
        for (int k = 0; k < 2; k++) {
            at[k] = lab_below(SCORES + 2) - 1;
            open[k] = lab_below(2);
            snprintf(ends[k], sizeof ends[k], "%s%d", open[k] ? "(" : "", at[k]);
            if (lab_below(5)) continue;
            at[k] = k ? 1000 : -1000;
            snprintf(ends[k], sizeof ends[k], "%s%s", open[k] ? "(" : "", infinite[k]);
        }
        for (int i = 0; i < m.n; i++) {
            int s = m.members[i].score;
            in[i] = (open[0] ? s > at[0] : s >= at[0]) && (open[1] ? s < at[1] : s <= at[1]);
        }
        expect_all_forms(&m, in, ends[0], ends[1], "BYSCORE");
    }
}

static void texts_have_open_closed_and_infinite_ends(void **state) {
    (void)state;
    struct model m;
    for (int round = 0; round < 300; round++) {
        bool in[MOST], open[2];
        char ends[2][16], *names[2] = {ends[0] + 1, ends[1] + 1};
        fill(&m, MOST, true);
        for (int k = 0; k < 2; k++) {
            open[k] = lab_below(2);
            snprintf(ends[k], sizeof ends[k], "%cm%02d", open[k] ? '(' : '[', lab_below(2 * MOST));
            if (lab_below(5) == 0) strcpy(ends[k], k ? "+" : "-");
        }
        for (int i = 0; i < m.n; i++) {
            int low = strcmp(m.members[i].name, names[0]), high = strcmp(m.members[i].name, names[1]);
            in[i] = (ends[0][0] == '-' || (open[0] ? low > 0 : low >= 0)) &&
                    (ends[1][0] == '+' || (open[1] ? high < 0 : high <= 0));
        }
        expect_all_forms(&m, in, ends[0], ends[1], "BYLEX");
    }
}

static void ends_and_options_are_checked(void **state) {
    (void)state;
    const char *score = "-ERR min or max is not a float", *lex = "-ERR min or max not valid string range item";
    lab_run("ZADD z 1 a 2 b");
    assert_string_equal(lab_run("ZCOUNT z ( 0x2"), ":2"); /* as strtod reads them: "" is 0 */
    assert_string_equal(lab_run("ZCOUNT z nan 2"), score);
    assert_string_equal(lab_run("ZCOUNT z 1 2x"), score);
    assert_string_equal(lab_run("ZCOUNT z 1 (("), score);
    assert_string_equal(lab_run("ZLEXCOUNT z a +"), lex);
    assert_string_equal(lab_run("ZLEXCOUNT z  +"), lex);
    assert_string_equal(lab_run("ZLEXCOUNT z -a +"), lex);
    assert_string_equal(lab_run("ZLEXCOUNT z [ +"), ":2");
    assert_string_equal(lab_run("ZRANGE z 0 1 LIMIT 0 1"),
                        "-ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX");
    assert_string_equal(lab_run("ZRANGE z - + BYLEX WITHSCORES"),
                        "-ERR syntax error, WITHSCORES not supported in combination with BYLEX");
    assert_string_equal(lab_run("ZRANGE z 0 1 BYSCORE BYLEX"), "-ERR syntax error");
    assert_string_equal(lab_run("ZRANGE z 0 1 REV REV"), "-ERR syntax error");
    assert_string_equal(lab_run("ZRANGEBYSCORE z 0 1 REV"), "-ERR syntax error");
    assert_string_equal(lab_run("ZRANGESTORE d z 0 1 WITHSCORES"), "-ERR syntax error");
    assert_string_equal(lab_run("ZRANGE z 0 1 BYSCORE LIMIT 0"), "-ERR syntax error");
    assert_string_equal(lab_run("ZRANGE z 0 -1 WITHSCORES"), "*4 $1 a $1 1 $1 b $1 2");
    lab_client.resp = 3;
    assert_string_equal(lab_run("ZRANGE z 0 -1 WITHSCORES"), "*2 *2 $1 a ,1 *2 $1 b ,2");
}

int main(void) {
    lab_start((const struct module *const[]){&zset_range_module, &zsets_module, NULL});
    const struct CMUnitTest tests[] = {
        LAB_TEST(ranks_count_from_either_end),
        LAB_TEST(scores_have_open_and_closed_ends),
        LAB_TEST(texts_have_open_closed_and_infinite_ends),
        LAB_TEST(ends_and_options_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
