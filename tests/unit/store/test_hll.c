/* store/hll against a model with one byte for each register, against bytes that Redis has written, and with forged
 * strings. These are copied to memory of exactly their length, so that a sanitizer sees every access beyond. Pass the
 * printed SEED to repeat a run. */
#include "base/module.h"
#include "base/option.h"
#include "base/rand.h"
#include "store/hll.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

extern const struct module hll_module;

static struct hll one, other;
static uint8_t model[HLL_REGISTERS], registers[HLL_REGISTERS];

static void choose_seed(void) {
    const char *given = getenv("SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
}

static void set_sparse_max(int64_t bytes) {
    *(int64_t *)hll_module.options[0].address = bytes;
}

static struct slice slice_of_hll(const struct hll *h) {
    return slice_of((const char *)h->bytes, h->len);
}

static void assert_bytes(const struct hll *h, const char *bytes, size_t len) {
    assert_int_equal(h->len, len);
    assert_memory_equal(h->bytes, bytes, len);
}

static bool is_dense(const struct hll *h) {
    return hll_encoding(slice_of_hll(h)) == HLL_DENSE;
}

static void read_registers(const struct hll *h, uint8_t *to) {
    memset(to, 0, HLL_REGISTERS);
    assert_true(hll_merge(to, slice_of_hll(h)));
}

static void add_number(struct hll *h, uint64_t n) {
    assert_int_not_equal(hll_add(h, slice_of((const char *)&n, sizeof n)), HLL_CORRUPT);
}

/* The string that redis-server 7.0.15 has after PFADD h a b c. */
static void test_bytes_of_redis(void **state) {
    (void)state;
    set_sparse_max(3000);
    hll_create(&one);
    assert_bytes(&one, "HYLL\1\0\0\0\0\0\0\0\0\0\0\0\x7f\xff", 18);
    const char *elements[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++)
        assert_int_equal(hll_add(&one, slice_of(elements[i], 1)), HLL_CHANGED);
    assert_int_equal(hll_add(&one, slice_of("a", 1)), HLL_SAME);
    hll_make_stale((char *)one.bytes);
    static const char expected[] =
        "\x48\x59\x4c\x4c\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x60\xf3\x80\x50\xb1\x84\x4b\xfb\x80\x42\x5a";
    assert_bytes(&one, expected, sizeof expected - 1);
    uint64_t n;
    assert_false(hll_cached(slice_of_hll(&one), &n));
    assert_true(hll_estimate(slice_of_hll(&one), &n));
    assert_int_equal(n, 3);
    hll_cache((char *)one.bytes, n);
    assert_true(hll_cached(slice_of_hll(&one), &n));
    assert_int_equal(n, 3);
}

static void test_sparse_is_dense(void **state) {
    (void)state;
    choose_seed();
    for (int round = 0; round < 20; round++) {
        set_sparse_max(rand_below(2) ? 3000 : (int64_t)rand_below(20000));
        uint64_t base = rand_u64(), count = 1 + rand_below(20000);
        hll_create(&one);
        hll_create(&other);
        assert_true(hll_make_dense(&other));
        for (uint64_t i = 0; i < count; i++) {
            add_number(&one, base + i);
            add_number(&other, base + i);
            assert_true(is_dense(&one) || one.len <= (size_t)(*(int64_t *)hll_module.options[0].address) ||
                        one.len <= 18);
        }
        read_registers(&one, model);
        read_registers(&other, registers);
        assert_memory_equal(model, registers, HLL_REGISTERS);
        uint64_t a, b;
        assert_true(hll_estimate(slice_of_hll(&one), &a) && hll_estimate(slice_of_hll(&other), &b));
        assert_int_equal(a, b);
        assert_int_equal(a, hll_estimate_registers(model));
        double error = (double)a - (double)count;
        assert_true(error * error <= (double)count * (double)count * 0.0025 + 4);
    }
}

/* hll_write() goes from one place to the next; hll_add() searches each from the start. Both give the same bytes. */
static void test_write_is_one_by_one(void **state) {
    (void)state;
    choose_seed();
    for (int round = 0; round < 60; round++) {
        set_sparse_max(rand_below(3) ? 3000 : 100 + (int64_t)rand_below(400));
        hll_create(&one);
        for (uint64_t i = 0, n = rand_below(300); i < n; i++)
            add_number(&one, rand_u64());
        other = one;
        read_registers(&one, model);
        memcpy(registers, model, sizeof model);
        unsigned n = 1 + (unsigned)rand_below(200), near = rand_below(2) ? 400 : HLL_REGISTERS;
        unsigned first = (unsigned)rand_below(HLL_REGISTERS - near + 1);
        for (unsigned i = 0; i < n; i++)
            registers[first + rand_below(near)] = (uint8_t)(1 + rand_below(4));
        for (unsigned i = 0; i < HLL_REGISTERS; i++)
            if (registers[i] < model[i]) registers[i] = model[i];
        hll_write(&one, registers);
        for (unsigned i = 0; i < HLL_REGISTERS; i++) {
            if (model[i] == registers[i]) continue;
            model[i] = registers[i];
            hll_write(&other, model);
        }
        assert_bytes(&one, (const char *)other.bytes, other.len);
        read_registers(&one, model);
        assert_memory_equal(model, registers, HLL_REGISTERS);
    }
}

static void test_dense_registers(void **state) {
    (void)state;
    choose_seed();
    hll_create(&one);
    assert_true(hll_make_dense(&one));
    for (int i = 0; i < HLL_REGISTERS; i++)
        model[i] = (uint8_t)rand_below(64);
    hll_write(&one, model);
    for (unsigned i = 0; i < HLL_REGISTERS; i++) { /* bit by bit, as the format is described */
        unsigned value = 0;
        for (unsigned bit = 0; bit < 6; bit++)
            value |= (one.bytes[HLL_HEADER + (i * 6 + bit) / 8] >> (i * 6 + bit) % 8 & 1u) << bit;
        assert_int_equal(value, model[i]);
    }
    read_registers(&one, registers);
    assert_memory_equal(model, registers, HLL_REGISTERS);
    for (int i = 0; i < HLL_REGISTERS; i++)
        registers[i] = (uint8_t)rand_below(64);
    uint8_t before[HLL_REGISTERS];
    memcpy(before, registers, sizeof before);
    assert_true(hll_merge(registers, slice_of_hll(&one)));
    for (int i = 0; i < HLL_REGISTERS; i++)
        assert_int_equal(registers[i], model[i] > before[i] ? model[i] : before[i]);
}

/* --- Forged strings -------------------------------------------------------------------------- */

/* Call each function that takes bytes from outside. True: they are a valid string. */
static bool try_all(struct slice bytes) {
    char *exact = malloc(bytes.len + !bytes.len);
    memcpy(exact, bytes.ptr, bytes.len);
    struct slice s = slice_of(exact, bytes.len);
    bool complete = hll_is_one(s);
    if (complete) {
        uint64_t n;
        struct hll_run run;
        hll_cached(s, &n);
        for (size_t at = HLL_HEADER; hll_encoding(s) == HLL_SPARSE && hll_next(s, &at, &run);)
            assert_true(at <= s.len);
        memset(registers, 0, sizeof registers);
        complete = hll_merge(registers, s);
        assert_int_equal(hll_estimate(s, &n), complete);
        if (complete) assert_int_equal(n, hll_estimate_registers(registers));
        bool loaded = hll_load(&one, s);
        assert_true(loaded || !complete);
        for (int i = 0; loaded && i < 200; i++) {
            uint64_t element = rand_u64();
            enum hll_outcome outcome = hll_add(&one, slice_of((const char *)&element, sizeof element));
            assert_true(one.len <= sizeof one.bytes);
            assert_true(outcome != HLL_CORRUPT || !complete);
        }
        if (loaded) assert_int_equal(hll_make_dense(&one), complete);
    }
    free(exact);
    return complete;
}

#define HEADER "HYLL\1\0\0\0\0\0\0\0\0\0\0\0"
#define CASE(text, ok) \
    { text, sizeof(text) - 1, ok }

static void test_corpus(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        bool ok;
    } corpus[] = {
        CASE("", false),
        CASE("HYLL", false),
        CASE("HYLL\1\0\0\0\0\0\0\0\0\0\0", false),
        CASE(HEADER, false),
        CASE(HEADER "\x7f", false),             /* half of a run */
        CASE(HEADER "\x7f\xff", true),          /* all zeros */
        CASE(HEADER "\x7f\xfe", false),         /* one register too few */
        CASE(HEADER "\x7f\xff\0", false),       /* one register too many */
        CASE(HEADER "\x7f\xff\x40", false),     /* half of a run behind the end */
        CASE(HEADER "\x7f\xff\x7f\xff", false), /* twice the registers */
        CASE(HEADER "\x7f\xfe\xfc", true),      /* the largest value */
        CASE(HEADER "\x7f\xfe\xfd", false),     /* its run goes beyond the end */
        CASE(HEADER "\xff\xff\xff", false),
        CASE("HYLL\0\0\0\0\0\0\0\0\0\0\0\0", false), /* dense, but too short */
        CASE("HYLL\2\0\0\0\0\0\0\0\0\0\0\0\x7f\xff", false),
        CASE("hyll\1\0\0\0\0\0\0\0\0\0\0\0\x7f\xff", false),
    };
    set_sparse_max(3000);
    for (size_t i = 0; i < sizeof corpus / sizeof *corpus; i++)
        assert_int_equal(try_all(slice_of(corpus[i].bytes, corpus[i].len)), corpus[i].ok);
}

/* Runs whose registers would overflow 32 bits if they were added. */
static void test_endless_runs(void **state) {
    (void)state;
    size_t len = HLL_HEADER + 2 * 300000;
    char *bytes = malloc(len);
    memset(bytes, 0x7f, len);
    memcpy(bytes, HEADER, HLL_HEADER);
    assert_false(try_all(slice_of(bytes, len)));
    memset(bytes + HLL_HEADER, 0x3f, len - HLL_HEADER);
    assert_false(try_all(slice_of(bytes, len)));
    free(bytes);
}

/* The longest valid string: each register is a run of zeros in the long form. */
static void test_longest(void **state) {
    (void)state;
    set_sparse_max(INT64_MAX);
    char bytes[HLL_SPARSE_BYTES_MAX];
    memcpy(bytes, HEADER, HLL_HEADER);
    for (size_t i = HLL_HEADER; i < sizeof bytes; i += 2) {
        bytes[i] = 0x40;
        bytes[i + 1] = 0;
    }
    assert_true(try_all(slice_of(bytes, sizeof bytes)));
    set_sparse_max(3000);
}

/* Random runs, or a valid string with bytes changed, cut out or doubled. */
static void test_fuzz(void **state) {
    (void)state;
    choose_seed();
    static char bytes[HLL_SPARSE_BYTES_MAX + 100];
    for (int round = 0; round < 3000; round++) {
        set_sparse_max((int64_t)rand_below(5000));
        size_t len;
        hll_create(&other);
        for (uint64_t i = 0, n = rand_below(400); i < n; i++)
            add_number(&other, rand_u64());
        memcpy(bytes, other.bytes, other.len);
        len = other.len;
        if (rand_below(3) == 0) {
            len = HLL_HEADER + (size_t)rand_below(600);
            for (size_t i = HLL_HEADER; i < len; i++)
                bytes[i] = (char)rand_u64();
            bytes[4] = HLL_SPARSE;
        }
        for (uint64_t i = 0, n = rand_below(4); i < n; i++)
            bytes[rand_below(8) ? HLL_HEADER + rand_below(len - HLL_HEADER + 1) : rand_below(HLL_HEADER)] =
                (char)rand_u64();
        if (rand_below(3) == 0) len = (size_t)rand_below(len + 1);
        try_all(slice_of(bytes, len));
    }
}

/* Registers that no element can give, for which the estimator's sum is nearly 0. */
static void test_impossible_registers(void **state) {
    (void)state;
    for (int value = 50; value < 64; value++) {
        memset(registers, value, sizeof registers);
        hll_create(&one);
        hll_make_dense(&one);
        hll_write(&one, registers);
        uint64_t n;
        assert_true(hll_estimate(slice_of_hll(&one), &n));
        assert_int_equal(n, hll_estimate_registers(registers));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_of_redis),
        cmocka_unit_test(test_sparse_is_dense),
        cmocka_unit_test(test_write_is_one_by_one),
        cmocka_unit_test(test_dense_registers),
        cmocka_unit_test(test_corpus),
        cmocka_unit_test(test_endless_runs),
        cmocka_unit_test(test_longest),
        cmocka_unit_test(test_fuzz),
        cmocka_unit_test(test_impossible_registers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
