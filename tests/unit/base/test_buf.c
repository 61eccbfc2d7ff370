/* Growable buffers: appending, printing, quoting, growth. */
#include "base/alloc.h"
#include "base/buf.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void expect(const struct buf *b, const char *text) {
    assert_int_equal(b->len, strlen(text));
    assert_memory_equal(b->data, text, b->len);
}

static void appends(void **state) {
    (void)state;
    size_t before = alloc_used();
    struct buf b = {0};
    assert_int_equal(buf_slice(&b).len, 0);
    buf_append(&b, NULL, 0);
    buf_append(&b, "ab", 2);
    buf_append_cstr(&b, "cd");
    buf_append_slice(&b, SLICE("ef"));
    buf_append_i64(&b, INT64_MIN);
    expect(&b, "abcdef-9223372036854775808");
    buf_free(&b);
    assert_null(b.data);
    buf_free(&b);
    assert_int_equal(alloc_used(), before);
}

static void grows_byte_by_byte(void **state) {
    (void)state;
    struct buf b = {0};
    unsigned moves = 0;
    for (int i = 0; i < 1000000; i++) {
        size_t cap = b.cap;
        *buf_reserve(&b, 1) = (char)(i % 251);
        b.len++;
        moves += b.cap != cap;
    }
    assert_true(moves < 20);
    for (int i = 0; i < 1000000; i++)
        assert_int_equal((unsigned char)b.data[i], i % 251);
    assert_int_equal(b.cap, alloc_class(b.cap));
    buf_free(&b);
}

static void formats(void **state) {
    (void)state;
    struct buf b = {0};
    buf_printf(&b, "%s", "");
    assert_int_equal(b.len, 0);
    buf_printf(&b, "%d-%s", 42, "x");
    expect(&b, "42-x");
    for (int n = 1; n < 300; n++) { /* the room ends at every position */
        buf_free(&b);
        buf_printf(&b, "%*d", n, 7);
        assert_int_equal(b.len, n);
        assert_int_equal(b.data[n - 1], '7');
        buf_printf(&b, "%*d", n, 8);
        assert_int_equal(b.len, 2 * n);
        assert_int_equal(b.data[2 * n - 1], '8');
    }
    buf_free(&b);
}

static void quotes(void **state) {
    (void)state;
    struct buf b = {0};
    buf_append_quoted(&b, SLICE("a\\\"\n\r\t\a\b\0\x1f \x7e\x7f\xff\v"));
    expect(&b, "\"a\\\\\\\"\\n\\r\\t\\a\\b\\x00\\x1f ~\\x7f\\xff\\x0b\"");
    buf_free(&b);
    buf_append_quoted(&b, slice_of("", 0));
    expect(&b, "\"\"");
    buf_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends),
        cmocka_unit_test(grows_byte_by_byte),
        cmocka_unit_test(formats),
        cmocka_unit_test(quotes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
