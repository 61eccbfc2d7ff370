/* Calls of SCAN: how much each visits of a table that is a model, what it replies, and that a walk through a set which
 * changes meanwhile meets every member that was there all the time. */
#include "cmd/scan_step.h"
#include "command_lab.h"

extern const struct module sets_module, set_walk_module;

/* A table of lines; a line holds the element "aN" of its number N as often as `per_line` says. The cursor is a line. */
struct model {
    uint64_t lines, visits;
    int per_line;
};

static uint64_t visit_line(struct scan_step *s, void *subject, uint64_t cursor) {
    struct model *m = subject;
    char name[16];
    for (int i = 0; i < m->per_line; i++) {
        struct slice element = slice_of(name, (size_t)snprintf(name, sizeof name, "a%d", (int)cursor));
        if (scan_step_wants(s, element)) scan_step_add(s, element);
    }
    m->visits++;
    return cursor + 1 < m->lines ? cursor + 1 : 0;
}

static uint64_t call(struct model *m, struct scan_step *s, int64_t count, uint64_t cursor) {
    m->visits = 0;
    *s = (struct scan_step){.client = &lab_client, .count = count, .pattern = s->pattern};
    size_t mark = conn_mark();
    cursor = scan_step_run(s, m, cursor, visit_line);
    lab_take_reply(mark);
    return cursor;
}

static void a_call_visits_count_records_or_ten_lines_for_each(void **state) {
    (void)state;
    struct scan_step s = {.count = 0};
    struct model full = {.lines = 1000, .per_line = 3}, empty = {.lines = 1000}, small = {.lines = 4};
    assert_int_equal(call(&full, &s, 10, 0), 4);
    assert_int_equal(s.visited, 12);
    assert_int_equal(s.elements, 12);
    assert_int_equal(call(&empty, &s, 7, 100), 170);
    assert_int_equal(empty.visits, 70);
    assert_int_equal(call(&small, &s, 10, 1), 0);
    assert_int_equal(small.visits, 3);
    assert_int_equal(call(&small, &s, INT64_MAX, 0), 0);
}

static void only_48_bits_of_a_cursor_count(void **state) {
    (void)state;
    struct scan_step s = {.count = 0};
    struct model m = {.lines = 1000};
    assert_int_equal(call(&m, &s, 1, UINT64_C(0xffff000000000005)), 15);
}

static void records_that_do_not_match_are_visited_but_not_replied(void **state) {
    (void)state;
    struct scan_step s = {.pattern = SLICE("a?")};
    struct model m = {.lines = 30, .per_line = 1};
    assert_int_equal(call(&m, &s, 20, 5), 25);
    assert_int_equal(s.visited, 20);
    assert_string_equal(lab_lines(buf_slice(&lab_reply)), "*2 $2 25 *5 $2 a5 $2 a6 $2 a7 $2 a8 $2 a9");
}

static void an_absent_key_hides_wrong_options_but_no_wrong_cursor(void **state) {
    (void)state;
    assert_string_equal(lab_run("SSCAN none x"), "-ERR invalid cursor");
    assert_string_equal(lab_run("SSCAN none 5 COUNT x"), "*2 $1 0 *0");
    lab_run("SADD s a");
    assert_string_equal(lab_run("SSCAN s 0 COUNT x"), "-ERR value is not an integer or out of range");
    assert_string_equal(lab_run("SSCAN s 0 COUNT 0"), "-ERR syntax error");
    assert_string_equal(lab_run("SSCAN s 0 MATCH b*"), "*2 $1 0 *0");
    assert_string_equal(lab_run("SSCAN s 0"), "*2 $1 0 *1 $1 a");
}

enum { STAYING = 500, COMING = 4000 };

/* Adds and removes members between the calls, so that the table grows and shrinks. */
static void a_walk_meets_all_that_stay(void **state) {
    (void)state;
    static bool met[STAYING];
    unsigned long long cursor = 0;
    memset(met, 0, sizeof met);
    for (int i = 0; i < STAYING; i++)
        lab_run("SADD s stays%d", i);
    do {
        const char *reply = lab_run("SSCAN s %llu COUNT 5", cursor);
        cursor = strtoull(strchr(reply, '$') + 2 + strcspn(strchr(reply, '$') + 2, " "), NULL, 10);
        for (const char *at = reply; (at = strstr(at, "stays")); at++)
            met[atoi(at + 5)] = true;
        bool grows = lab_below(2);
        for (int i = lab_below(200); i > 0; i--)
            lab_run(grows ? "SADD s comes%d" : "SREM s comes%d", lab_below(COMING));
    } while (cursor);
    for (int i = 0; i < STAYING; i++)
        assert_true(met[i]);
}

int main(void) {
    lab_start((const struct module *const[]){&sets_module, &set_walk_module, NULL});
    const struct CMUnitTest tests[] = {
        LAB_TEST(a_call_visits_count_records_or_ten_lines_for_each),
        LAB_TEST(only_48_bits_of_a_cursor_count),
        LAB_TEST(records_that_do_not_match_are_visited_but_not_replied),
        LAB_TEST(an_absent_key_hides_wrong_options_but_no_wrong_cursor),
        LAB_TEST(a_walk_meets_all_that_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
