/* The encodings after string operations, and the cost of growing. */
#include "base/blob.h"
#include "base/clock.h"
#include "base/num.h"
#include "store/string.h"
#include "store/value.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct db *db;
static struct key key;
static char text[70000];

static struct entry *set(struct slice value) {
    return db_set_string(db, &key, db_write(db, &key), value, ENTRY_NO_TTL);
}

static void assert_value(const struct entry *e, const char *encoding, struct slice value) {
    char scratch[NUM_I64_MAX];
    struct slice bytes = string_bytes(e, scratch);
    assert_string_equal(entry_encoding_name(e), encoding);
    assert_int_equal(bytes.len, value.len);
    assert_memory_equal(bytes.ptr, value.ptr, value.len);
}

static void encodings_as_redis_chooses_them(void **state) {
    (void)state;
    static const struct {
        const char *value, *encoding;
    } cases[] = {
        {"0", "int"},
        {"-1", "int"},
        {"9223372036854775807", "int"},
        {"-9223372036854775808", "int"},
        {"9223372036854775808", "embstr"},
        {"-9223372036854775809", "embstr"},
        {"", "embstr"},
        {"-", "embstr"},
        {"-0", "embstr"},
        {"01", "embstr"},
        {"+1", "embstr"},
        {" 1", "embstr"},
        {"1 ", "embstr"},
        {"1.0", "embstr"},
        {"00000000000000000000000000000000000000000000", "embstr"},
        {"000000000000000000000000000000000000000000000", "raw"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_value(set(slice_cstr(cases[i].value)), cases[i].encoding, slice_cstr(cases[i].value));
    }
    assert_value(set(slice_of(text, BLOB_MIN - 1)), "raw", slice_of(text, BLOB_MIN - 1));
    assert_null(string_blob(db_peek(db, &key)));
    assert_value(set(slice_of(text, BLOB_MIN)), "raw", slice_of(text, BLOB_MIN));
    assert_non_null(string_blob(db_peek(db, &key)));
    assert_value(db_set_text(db, &key, db_write(db, &key), SLICE("3"), ENTRY_NO_TTL), "embstr", SLICE("3"));
}

static void numbers(void **state) {
    (void)state;
    int64_t n = 0;
    long double ld = 0;
    assert_true(string_to_i64(set(SLICE("-42")), &n) && n == -42);
    assert_true(string_to_ld(db_peek(db, &key), &ld) && ld == -42);
    assert_false(string_to_i64(set(SLICE("1.5")), &n));
    assert_true(string_to_ld(db_peek(db, &key), &ld) && ld == 1.5L);
    assert_false(string_to_ld(set(SLICE("abc")), &ld));
    assert_false(string_to_i64(set(slice_of(text, 50000)), &n));
    struct entry *e = string_append(db, &key, set(SLICE("1")), SLICE("0")); /* raw, but still a number */
    assert_true(string_to_i64(e, &n) && n == 10);
    assert_value(string_set_i64(db, &key, e, 11), "int", SLICE("11"));
    db_remove(db, &key, db_write(db, &key));
    assert_value(string_set_i64(db, &key, NULL, INT64_MIN), "int", SLICE("-9223372036854775808"));
}

static void append_and_set_range(void **state) {
    (void)state;
    assert_value(string_append(db, &key, NULL, SLICE("12")), "int", SLICE("12")); /* as SET does */
    assert_value(string_append(db, &key, db_write(db, &key), SLICE("ab")), "raw", SLICE("12ab"));
    assert_value(string_set_range(db, &key, db_write(db, &key), 1, SLICE("X")), "raw", SLICE("1Xab"));
    assert_value(string_set_range(db, &key, db_write(db, &key), 6, SLICE("Y")), "raw", SLICE("1Xab\0\0Y"));
    db_remove(db, &key, db_write(db, &key));
    assert_value(string_set_range(db, &key, NULL, 2, SLICE("Z")), "raw", SLICE("\0\0Z"));
    struct entry *e = string_set_range(db, &key, db_write(db, &key), 100000, SLICE("!"));
    assert_int_equal(string_length(e), 100001);
    assert_int_equal(string_blob(e)->data[50000], 0);
    char *bytes;
    e = string_make_mutable(db, &key, set(SLICE("7")), 0, &bytes);
    assert_value(e, "raw", SLICE("7"));
    assert_ptr_equal(bytes, entry_value(e));
}

/* Lengths that come from a request, which proto-max-bulk-len may allow to be anything. */
static void absurd_lengths_change_nothing(void **state) {
    (void)state;
    const size_t absurd = (size_t)1 << 60;
    struct slice values[] = {SLICE("12"), SLICE("text"), slice_of(text, 50000)};
    char *bytes;
    assert_null(string_make_mutable(db, &key, NULL, absurd, &bytes));
    assert_null(string_set_range(db, &key, NULL, absurd, SLICE("x")));
    assert_null(db_peek(db, &key));
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct entry *e = set(values[i]);
        assert_null(string_make_mutable(db, &key, e, absurd, &bytes));
        assert_null(string_set_range(db, &key, e, absurd, SLICE("x")));
        assert_null(string_append(db, &key, e, slice_of("x", absurd)));
        char digits[NUM_I64_MAX];
        assert_true(slice_eq(string_bytes(db_peek(db, &key), digits), values[i]));
    }
}

/* A blob that is shared is never written into. */
static void shared_blobs_are_copied_before_a_write(void **state) {
    (void)state;
    struct slice value = slice_of(text, 20000);
    struct key other = key_of(SLICE("other"));
    struct entry *e = set(value), *copy = db_copy(db, &other, e, clock_now_ms() + 1000);
    assert_ptr_equal(string_blob(copy), string_blob(e));
    struct blob *reply = blob_share(string_blob(e));
    e = string_set_range(db, &key, e, 0, SLICE("changed"));
    assert_ptr_not_equal(string_blob(e), reply);
    assert_memory_equal(string_blob(e)->data, "changed", 7);
    assert_memory_equal(reply->data, text, 20000);
    assert_value(db_peek(db, &other), "raw", value);
    assert_int_equal(entry_deadline_ms(db_peek(db, &other)), clock_now_ms() + 1000);
    copy = string_append(db, &other, db_write(db, &other), SLICE("tail"));
    assert_int_equal(string_length(copy), 20004);
    set(SLICE("short"));
    db_remove(db, &other, copy);
    assert_int_equal(reply->holders, 1);
    assert_memory_equal(reply->data, text, 20000);
    blob_drop(reply);
}

/* Appending 4 MB byte by byte moves the value O(log n) times and wastes a bounded part of it. */
static void repeated_appends_are_amortised(void **state) {
    (void)state;
    struct entry *e = string_append(db, &key, NULL, SLICE("x"));
    size_t moves = 0, length = 1;
    const void *last = NULL;
    size_t last_cap = 0;
    for (; length < 4 << 20; length++) {
        e = string_append(db, &key, e, SLICE("y"));
        struct blob *b = string_blob(e);
        const void *now = b ? (void *)b : (void *)e;
        size_t cap = b ? b->cap : entry_class(entry_bytes(e));
        moves += now != last || cap != last_cap;
        last = now;
        last_cap = cap;
    }
    assert_int_equal(string_length(e), length);
    assert_in_range(moves, 1, 80);
    assert_in_range(string_blob(e)->cap, length, length * 2);
    for (size_t i = 1; i < length; i++)
        assert_true(string_blob(e)->data[i] == 'y');
}

static int setup(void **state) {
    *state = (void *)alloc_used();
    clock_cached_ms = 1700000000000;
    db_init(1);
    db = db_at(0);
    key = key_of(SLICE("key"));
    return 0;
}

static int teardown(void **state) {
    db_shutdown();
    return alloc_used() == (size_t)*state ? 0 : -1;
}

int main(void) {
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i % 26);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(encodings_as_redis_chooses_them, setup, teardown),
        cmocka_unit_test_setup_teardown(numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(append_and_set_range, setup, teardown),
        cmocka_unit_test_setup_teardown(absurd_lengths_change_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(shared_blobs_are_copied_before_a_write, setup, teardown),
        cmocka_unit_test_setup_teardown(repeated_appends_are_amortised, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
