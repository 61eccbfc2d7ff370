/* Bits of strings against an array of bits: single ones, ranges, whole bitmaps, fields. */
#include "command_lab.h"

extern const struct module bitmaps_module, strings_module;

enum { BYTES = 12, BITS = 8 * BYTES };

struct model {
    int bytes; /* 0: no key */
    bool bits[BITS];
};

static void fill(struct model *m, const char *key) {
    *m = (struct model){.bytes = lab_below(BYTES + 1)};
    lab_run("SET %s x", key);
    lab_run("GETDEL %s", key);
    bool bits = lab_below(2);
    for (int i = 0; i < 8 * m->bytes; i++)
        m->bits[i] = lab_below(8) ? bits : !bits;
    for (int i = 8 * m->bytes - 1; i >= 0; i--) /* the last one first: it makes the string as long as it is */
        lab_run("SETBIT %s %d %d", key, i, m->bits[i]);
}

static void expect_equal(const struct model *m, const char *key) {
    struct slice reply = lab_call((struct slice[]){SLICE("GET"), slice_cstr(key)}, 2);
    if (m->bytes == 0) {
        assert_string_equal(lab_lines(reply), "$-1");
        return;
    }
    assert_int_equal(atoi(reply.ptr + 1), m->bytes);
    const char *bytes = reply.ptr + reply.len - 2 - m->bytes;
    for (int i = 0; i < 8 * m->bytes; i++)
        assert_int_equal((uint8_t)bytes[i / 8] >> (7 - i % 8) & 1, m->bits[i]);
}

static void single_bits_are_set_and_read(void **state) {
    (void)state;
    struct model m;
    for (int round = 0; round < 50; round++) {
        fill(&m, "k");
        expect_equal(&m, "k");
        for (int i = 0; i < BITS; i++)
            assert_int_equal(atoi(lab_run("GETBIT k %d", i) + 1), m.bits[i]);
        int at = lab_below(BITS), bit = lab_below(2);
        bool changes = at >= 8 * m.bytes || m.bits[at] != bit;
        assert_int_equal(atoi(lab_run("SETBIT k %d %d", at, bit) + 1), m.bits[at]);
        assert_int_equal(lab_propagated.len > 0, changes);
        m.bits[at] = bit;
        if (at / 8 >= m.bytes) m.bytes = at / 8 + 1;
        expect_equal(&m, "k");
    }
    assert_string_equal(lab_run("SETBIT k 4294967296 1"), "-ERR bit offset is not an integer or out of range");
    assert_string_equal(lab_run("SETBIT k #1 1"), "-ERR bit offset is not an integer or out of range");
    assert_string_equal(lab_run("SETBIT k 1 2"), "-ERR bit is not an integer or out of range");
}

/* Whether an index of a sequence of this size is within inclusive ends; those before the beginning are 0. */
static bool is_within(int i, int first, int last, int size) {
    if (first < 0) first = first + size < 0 ? 0 : first + size;
    if (last < 0) last = last + size < 0 ? 0 : last + size;
    return i >= first && i <= last;
}

static void ranges_are_counted_and_searched(void **state) {
    (void)state;
    struct model m;
    for (int round = 0; round < 600; round++) {
        if (round % 10 == 0) fill(&m, "k");
        bool by_bit = lab_below(2), bit = lab_below(2);
        int size = m.bytes * (by_bit ? 8 : 1), first = lab_below(3 * size + 3) - 2 * size;
        int last = lab_below(3 * size + 3) - 2 * size, count = 0, position = -1;
        for (int i = 8 * m.bytes - 1; i >= 0; i--) {
            if (!is_within(by_bit ? i : i / 8, first, last, size)) continue;
            count += m.bits[i];
            if (m.bits[i] == bit) position = i;
        }
        if (m.bytes == 0 && !bit) position = 0;
        const char *unit = by_bit ? "BIT" : "BYTE";
        assert_int_equal(atoi(lab_run("BITPOS k %d %d %d %s", bit, first, last, unit) + 1), position);
        if (first < 0 && last < 0 && first > last) count = 0;
        assert_int_equal(atoi(lab_run("BITCOUNT k %d %d %s", first, last, unit) + 1), count);
    }
}

static void zeros_follow_the_last_byte_of_an_open_range(void **state) {
    (void)state;
    struct slice set[] = {SLICE("SET"), SLICE("k"), SLICE("\xff\xff\xff")};
    lab_call(set, 3);
    assert_string_equal(lab_run("BITPOS k 0"), ":24");
    assert_string_equal(lab_run("BITPOS k 0 1"), ":24");
    assert_string_equal(lab_run("BITPOS k 0 1 -1"), ":-1");
    assert_string_equal(lab_run("BITPOS none 0"), ":0");
    assert_string_equal(lab_run("BITPOS none 1"), ":-1");
    assert_string_equal(lab_run("BITPOS none 2"), "-ERR The bit argument must be 1 or 0.");
    assert_string_equal(lab_run("BITPOS none 1 x"), ":-1");
    assert_string_equal(lab_run("BITPOS none 0 0 1 x"), ":0");
    assert_string_equal(lab_run("BITCOUNT none 1 x"), ":0");
    assert_string_equal(lab_run("BITPOS k 1 x"), "-ERR value is not an integer or out of range");
}

static void whole_bitmaps_are_combined(void **state) {
    (void)state;
    static const char *const words[] = {"AND", "OR", "XOR", "NOT"};
    static const char *const keys[] = {"a", "b", "c"};
    struct model m[3], result;
    for (int round = 0; round < 200; round++) {
        int op = lab_below(4), n = op == 3 ? 1 : 1 + lab_below(3), to = lab_below(3);
        result = (struct model){0};
        for (int k = 0; k < 3; k++)
            fill(&m[k], keys[k]);
        for (int k = 0; k < n; k++)
            if (m[k].bytes > result.bytes) result.bytes = m[k].bytes;
        for (int i = 0; i < 8 * result.bytes; i++) {
            int set = 0;
            for (int k = 0; k < n; k++)
                set += m[k].bits[i];
            result.bits[i] = op == 0 ? set == n : op == 1 ? set > 0 : op == 2 ? set % 2 : !set;
        }
        const char *reply = n == 1   ? lab_run("BITOP %s %s a", words[op], keys[to])
                            : n == 2 ? lab_run("BITOP %s %s a b", words[op], keys[to])
                                     : lab_run("BITOP %s %s a b c", words[op], keys[to]);
        assert_int_equal(atoi(reply + 1), result.bytes);
        expect_equal(&result, keys[to]);
    }
    assert_string_equal(lab_run("BITOP NOT a b c"), "-ERR BITOP NOT must be called with a single source key.");
}

static void fields_are_read_set_and_added_to(void **state) {
    (void)state;
    assert_string_equal(lab_run("BITFIELD k SET u8 #1 255 GET u8 8 INCRBY u8 8 1 GET u4 0"), "*4 :0 :255 :0 :0");
    assert_string_equal(lab_run("BITFIELD k OVERFLOW SAT INCRBY i4 0 9 OVERFLOW FAIL INCRBY i4 0 1 OVERFLOW WRAP "
                                "INCRBY i4 0 1"),
                        "*3 :7 $-1 :-8");
    assert_string_equal(lab_run("GETBIT k 0"), ":1");
    lab_run("BITFIELD k SET i64 0 -1");
    assert_string_equal(lab_run("BITFIELD_RO k GET i64 0 GET u63 1 GET i5 60"), "*3 :-1 :9223372036854775807 :-2");
    assert_string_equal(lab_run("BITFIELD k"), "*0");
    lab_run("BITFIELD k SET i64 0 -1");
    lab_expect_propagated("");
    assert_string_equal(lab_run("BITFIELD k GET i65 0"), "-ERR Invalid bitfield type. Use something like i16 u8. Note "
                                                         "that u64 is not supported but i64 is.");
    assert_string_equal(lab_run("BITFIELD k GET i8"), "-ERR syntax error");
    assert_string_equal(lab_run("BITFIELD k OVERFLOW NONE"), "-ERR Invalid OVERFLOW type specified");
    assert_string_equal(lab_run("BITFIELD_RO k SET i8 0 1"), "-ERR BITFIELD_RO only supports the GET subcommand");
}

int main(void) {
    lab_start((const struct module *const[]){&bitmaps_module, &strings_module, NULL});
    const struct CMUnitTest tests[] = {
        LAB_TEST(single_bits_are_set_and_read),
        LAB_TEST(ranges_are_counted_and_searched),
        LAB_TEST(zeros_follow_the_last_byte_of_an_open_range),
        LAB_TEST(whole_bitmaps_are_combined),
        LAB_TEST(fields_are_read_set_and_added_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
