/* Lists by index and by element against an array: LRANGE, LINDEX, LSET, LTRIM, LPOS, LREM, LINSERT. */
#include "command_lab.h"

extern const struct module lists_module, keys_module;

enum { MOST = 12 };

struct model {
    int n;
    char elements[MOST * 2 + 1]; /* letters */
};

static void fill(struct model *m) {
    lab_run("DEL l");
    m->n = 1 + lab_below(MOST);
    for (int i = 0; i < m->n; i++) {
        m->elements[i] = (char)('a' + lab_below(3));
        lab_run("RPUSH l %c", m->elements[i]);
    }
}

static const char *array_of(const char *elements, int n) {
    static char text[16 + 5 * 2 * MOST];
    char *to = text + sprintf(text, "*%d", n);
    for (int i = 0; i < n; i++)
        to += sprintf(to, " $1 %c", elements[i]);
    return text;
}

static void expect_list(const struct model *m) {
    assert_string_equal(lab_run("LRANGE l 0 -1"), array_of(m->elements, m->n));
}

static void ranges_are_read_and_kept(void **state) {
    (void)state;
    struct model m;
    for (int round = 0; round < 300; round++) {
        int first = lab_below(40) - 20, last = lab_below(40) - 20, begin = -1, n = 0;
        fill(&m);
        for (int i = 0; i < m.n; i++) {
            if (i < (first < 0 ? first + m.n : first) || i > (last < 0 ? last + m.n : last)) continue;
            if (n++ == 0) begin = i;
        }
        assert_string_equal(lab_run("LRANGE l %d %d", first, last), array_of(m.elements + begin, n));
        assert_string_equal(lab_run("LTRIM l %d %d", first, last), "+OK");
        memmove(m.elements, m.elements + begin, (size_t)n);
        m.n = n;
        expect_list(&m);
        assert_int_equal(atoi(lab_run("EXISTS l") + 1), n > 0);
    }
}

static void elements_are_read_and_replaced(void **state) {
    (void)state;
    struct model m;
    for (int round = 0; round < 300; round++) {
        fill(&m);
        int index = lab_below(40) - 20, at = index < 0 ? index + m.n : index;
        bool there = at >= 0 && at < m.n;
        char expected[] = {'$', '1', ' ', there ? m.elements[at] : 'x', '\0'};
        assert_string_equal(lab_run("LINDEX l %d", index), there ? expected : "$-1");
        assert_string_equal(lab_run("LSET l %d z", index), there ? "+OK" : "-ERR index out of range");
        if (there) m.elements[at] = 'z';
        expect_list(&m);
    }
    assert_string_equal(lab_run("LSET none 0 z"), "-ERR no such key");
}

static void positions_have_rank_count_and_length(void **state) {
    (void)state;
    struct model m;
    for (int round = 0; round < 500; round++) {
        char expected[16 + 4 * MOST], found[4 * MOST] = "";
        int rank = 1 + lab_below(3), count = lab_below(4), maxlen = lab_below(MOST + 2), n = 0, matches = 0, first = -1;
        bool backwards = lab_below(2);
        fill(&m);
        for (int k = 0; k < m.n && (maxlen == 0 || k < maxlen); k++) {
            int i = backwards ? m.n - 1 - k : k;
            if (m.elements[i] != 'a' || ++matches < rank || (count > 0 && n == count)) continue;
            if (n++ == 0) first = i;
            sprintf(found + strlen(found), " :%d", i);
        }
        snprintf(expected, sizeof expected, "*%d%s", n, found);
        assert_string_equal(lab_run("LPOS l a RANK %d COUNT %d MAXLEN %d", backwards ? -rank : rank, count, maxlen),
                            expected);
        snprintf(expected, sizeof expected, n ? ":%d" : "$-1", first);
        assert_string_equal(lab_run("LPOS l a MAXLEN %d RANK %d", maxlen, backwards ? -rank : rank), expected);
    }
    assert_string_equal(lab_run("LPOS none a"), "$-1");
    assert_string_equal(lab_run("LPOS none a COUNT 0"), "*0");
    assert_string_equal(lab_run("LPOS none a COUNT -1"), "-ERR COUNT can't be negative");
    assert_string_equal(lab_run("LPOS none a MAXLEN -1"), "-ERR MAXLEN can't be negative");
    assert_string_equal(lab_run("LPOS none a RANK"), "-ERR syntax error");
    assert_int_equal(memcmp(lab_run("LPOS none a RANK 0"), "-ERR RANK can't be zero", 23), 0);
}

static void equal_elements_are_removed_from_either_end(void **state) {
    (void)state;
    struct model m;
    for (int round = 0; round < 300; round++) {
        fill(&m);
        int count = lab_below(9) - 4, most = count == 0 ? MOST : abs(count), removed = 0;
        for (int k = 0; k < m.n; k++) {
            int i = count < 0 ? m.n - 1 - k : k;
            if (m.elements[i] == 'a' && removed < most) m.elements[i] = '-', removed++;
        }
        int n = 0;
        for (int i = 0; i < m.n; i++)
            if (m.elements[i] != '-') m.elements[n++] = m.elements[i];
        m.n = n;
        assert_int_equal(atoi(lab_run("LREM l %d a", count) + 1), removed);
        assert_int_equal(lab_propagated.len > 0, removed > 0);
        expect_list(&m);
    }
}

static void elements_are_inserted_beside_the_first_equal_one(void **state) {
    (void)state;
    struct model m;
    for (int round = 0; round < 300; round++) {
        fill(&m);
        bool after = lab_below(2);
        const char *pivot = memchr(m.elements, 'a', (size_t)m.n);
        int at = pivot ? (int)(pivot - m.elements) + after : -1;
        assert_int_equal(atoi(lab_run("LINSERT l %s a z", after ? "AFTER" : "before") + 1), pivot ? m.n + 1 : -1);
        if (pivot) {
            memmove(m.elements + at + 1, m.elements + at, (size_t)(m.n++ - at));
            m.elements[at] = 'z';
        }
        expect_list(&m);
    }
    assert_string_equal(lab_run("LINSERT l beside a z"), "-ERR syntax error");
    assert_string_equal(lab_run("LINSERT none before a z"), ":0");
}

int main(void) {
    lab_start((const struct module *const[]){&lists_module, &keys_module, NULL});
    const struct CMUnitTest tests[] = {
        LAB_TEST(ranges_are_read_and_kept),
        LAB_TEST(elements_are_read_and_replaced),
        LAB_TEST(positions_have_rank_count_and_length),
        LAB_TEST(equal_elements_are_removed_from_either_end),
        LAB_TEST(elements_are_inserted_beside_the_first_equal_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
