/* The patterns of SORT: how they are read, and what a batch finds by them. */
#include "cmd/sort_pattern.h"
#include "command_lab.h"

extern const struct module strings_module, hashes_module, lists_module;

static void expect_pattern(struct slice text, const char *before, const char *behind, const char *field) {
    struct sort_pattern p = sort_pattern_of(text);
    assert_int_equal(p.what, SORT_KEY);
    assert_true(slice_eq(p.before, slice_cstr(before)));
    assert_true(slice_eq(p.behind, slice_cstr(behind)));
    if (field) {
        assert_true(slice_eq(p.field, slice_cstr(field)));
    } else {
        assert_null(p.field.ptr);
    }
}

static void a_pattern_has_an_asterisk_and_perhaps_a_field(void **state) {
    (void)state;
    assert_int_equal(sort_pattern_of(SLICE("#")).what, SORT_ELEMENT);
    assert_int_equal(sort_pattern_of(SLICE("")).what, SORT_NOTHING);
    assert_int_equal(sort_pattern_of(SLICE("##")).what, SORT_NOTHING);
    assert_int_equal(sort_pattern_of(SLICE("key->field")).what, SORT_NOTHING);
    expect_pattern(SLICE("*"), "", "", NULL);
    expect_pattern(SLICE("w_*_x*"), "w_", "_x*", NULL);
    expect_pattern(SLICE("h*->f"), "h", "", "f");
    expect_pattern(SLICE("h*:x->f->g"), "h", ":x", "f->g");
    expect_pattern(SLICE("a->b*"), "a->b", "", NULL);
    expect_pattern(SLICE("h*->"), "h", "->", NULL); /* an arrow to nothing is part of the name */
}

static void nothing_is_looked_for_behind_a_zero_byte(void **state) {
    (void)state;
    assert_int_equal(sort_pattern_of(SLICE("w\0*")).what, SORT_NOTHING);
    struct sort_pattern p = sort_pattern_of(SLICE("w*x\0->f"));
    assert_null(p.field.ptr);
    assert_true(slice_eq(p.behind, SLICE("x\0->f")));
    assert_null(sort_pattern_of(SLICE("w*->\0f")).field.ptr);
}

static void a_batch_finds_strings_fields_and_elements(void **state) {
    (void)state;
    lab_run("SET w_a text");
    lab_run("SET w_7 12");
    lab_run("HSET h_a f v g 34");
    lab_run("RPUSH w_l x");
    struct sort_pattern string = sort_pattern_of(SLICE("w_*")), field = sort_pattern_of(SLICE("h_*->f"));
    struct sort_pattern number = sort_pattern_of(SLICE("h_*->g")), element = sort_pattern_of(SLICE("#"));
    struct sort_pattern nothing = sort_pattern_of(SLICE("w_a"));
    struct listpack_value a = {"a", 1, 0}, seven = {NULL, 0, 7}, l = {"l", 1, 0};
    const struct {
        const struct sort_pattern *pattern;
        struct listpack_value element;
        const char *found;
    } cases[] = {
        {&string, a, "text"}, {&string, seven, "12"}, {&string, l, NULL},     {&field, a, "v"},    {&number, a, "34"},
        {&field, l, NULL},    {&element, a, "a"},     {&element, seven, "7"}, {&nothing, a, NULL},
    };
    struct sort_batch batch = {.db = lab_client.db};
    for (int round = 0; round < 2; round++, sort_batch_reset(&batch)) {
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
            sort_batch_add(&batch, cases[i].pattern, cases[i].element);
        sort_batch_run(&batch);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            struct slice found = batch.slots[i].found;
            assert_int_equal(found.ptr != NULL, cases[i].found != NULL);
            if (found.ptr) assert_true(slice_eq(found, slice_cstr(cases[i].found)));
        }
    }
    sort_batch_end(&batch);
}

int main(void) {
    lab_start((const struct module *const[]){&strings_module, &hashes_module, &lists_module, NULL});
    const struct CMUnitTest tests[] = {
        LAB_TEST(a_pattern_has_an_asterisk_and_perhaps_a_field),
        LAB_TEST(nothing_is_looked_for_behind_a_zero_byte),
        LAB_TEST(a_batch_finds_strings_fields_and_elements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
