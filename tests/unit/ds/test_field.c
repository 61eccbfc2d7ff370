/* ds/field: records at the limits of both widths, and new values in place. */
#include "ds/field.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static char bytes[1000];

static void expect(const struct field *f, struct slice name, struct slice value) {
    struct field_pair pair = field_pair(f);
    assert_true(slice_eq(pair.name, name) && slice_eq(pair.value, value));
    assert_int_equal((uintptr_t)f % 16, 0);
    assert_true(field_equal(f, &name));
    assert_int_equal(field_hash(f), hash_bytes(name.ptr, name.len));
}

static void lengths(void **state) {
    (void)state;
    static const size_t lens[] = {0, 1, 10, 254, 255, 256, 257, 999};
    size_t before = alloc_used(), n = sizeof lens / sizeof *lens;
    for (size_t i = 0; i < n * n; i++) {
        struct slice name = slice_of(bytes, lens[i / n]), value = slice_of(bytes + 1, lens[i % n]);
        struct field *f = field_new(name, value);
        expect(f, name, value);
        assert_int_equal(!!(f->flags & FIELD_WIDE), name.len > 255 || value.len > 255);
        assert_int_equal(alloc_used() - before, field_memory(f));
        field_free(f);
        assert_int_equal(alloc_used(), before);
    }
    struct field *f = field_new(slice_of(bytes, 10), slice_of(bytes, 12));
    assert_int_equal(field_memory(f), 32);
    field_free(f);
}

/* A value is written in place only if the record has just the right size for it. */
static void assigning(void **state) {
    (void)state;
    for (size_t old = 0; old < 600; old++) {
        struct slice name = slice_of(bytes, 1 + old % 300);
        for (size_t new = old > 30 ? old - 30 : 0; new < old + 30; new ++) {
            struct slice before = slice_of(bytes + 1, old), after = slice_of(bytes + 2, new);
            struct field *f = field_new(name, before), *wanted = field_new(name, after);
            bool same = field_memory(f) == field_memory(wanted) && f->flags == wanted->flags;
            assert_int_equal(field_assign(f, after), same);
            expect(f, name, same ? after : before);
            field_free(f);
            field_free(wanted);
        }
    }
}

int main(void) {
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 7 + i / 256);
    const struct CMUnitTest tests[] = {cmocka_unit_test(lengths), cmocka_unit_test(assigning)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
