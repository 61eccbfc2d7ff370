/* ds/quicklist compared with an array of strings, at all sizes of nodes, with and without compression. To repeat a
 * failed run, pass the SEED that it prints. The argument `bench` runs the micro-benchmark. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/rand.h"
#include "ds/quicklist.h"
#include "seed.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MOST 3000
static struct slice model[MOST + 1]; /* malloc'ed */
static size_t count;
static struct quicklist *q;

static void choose_seed(void) {
    uint64_t seed = seed_of_run();
    print_message("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
}

/* Short elements have few values, so that searches find something. */
static struct slice random_text(void) {
    size_t kind = rand_below(1000), len;
    char *p;
    if (kind < 300) {
        p = malloc(32);
        return slice_of(
            p, (size_t)num_print_i64(p, kind < 150 ? (int64_t)kind / 8 : (int64_t)(rand_u64() >> rand_below(64))));
    }
    if (kind < 950)
        len = rand_below(30);
    else if (kind < 995)
        len = rand_below(1500);
    else
        len = rand_below(kind == 999 ? 70000 : 9000);
    p = malloc(len + 1);
    bool noise = rand_below(2);
    for (size_t i = 0; i < len; i++)
        p[i] = (char)(noise ? rand_u64() : 'a' + (uint64_t)i % 3);
    return slice_of(p, len);
}

static bool same(struct listpack_value v, struct slice text) {
    char scratch[NUM_I64_MAX];
    return slice_eq(listpack_value_text(v, scratch), text);
}

static void model_insert(size_t at, struct slice text) {
    memmove(model + at + 1, model + at, (count++ - at) * sizeof *model);
    model[at] = text;
}
static void model_remove(size_t at, size_t n) {
    for (size_t i = at; i < at + n; i++)
        free((char *)model[i].ptr);
    memmove(model + at, model + at + n, (count - at - n) * sizeof *model);
    count -= n;
}

static void verify(void) {
    assert_int_equal(q->count, count);
    quicklist_check(q);
    struct quicklist_iter it;
    size_t i = 0;
    for (bool ok = quicklist_start(&it, q, 0); ok; ok = quicklist_next(&it))
        assert_true(i < count && same(quicklist_get(&it), model[i++]));
    assert_int_equal(i, count);
    quicklist_stop(&it);
    for (bool ok = quicklist_start(&it, q, -1); ok; ok = quicklist_prev(&it))
        assert_true(i > 0 && same(quicklist_get(&it), model[--i]));
    assert_int_equal(i, 0);
    quicklist_stop(&it);
}

static void do_push(void) {
    if (count >= MOST) return;
    struct slice text = random_text();
    enum quicklist_end end = rand_below(2) ? QUICKLIST_HEAD : QUICKLIST_TAIL;
    quicklist_push(q, end, text);
    model_insert(end == QUICKLIST_HEAD ? 0 : count, text);
}

static void do_pop(void) {
    if (count == 0) return;
    enum quicklist_end end = rand_below(2) ? QUICKLIST_HEAD : QUICKLIST_TAIL;
    size_t at = end == QUICKLIST_HEAD ? 0 : count - 1;
    assert_true(same(quicklist_peek(q, end), model[at]));
    quicklist_drop(q, end);
    model_remove(at, 1);
}

static void do_insert(void) {
    if (count == 0 || count >= MOST) return;
    struct quicklist_iter it;
    struct slice text = random_text();
    size_t at = rand_below(count);
    bool after = rand_below(2);
    assert_true(quicklist_start(&it, q, (int64_t)at));
    quicklist_insert(q, &it, after, text);
    quicklist_stop(&it);
    model_insert(at + after, text);
}

static void do_replace(void) {
    if (count == 0) return;
    struct quicklist_iter it;
    struct slice text = random_text();
    size_t at = rand_below(count);
    assert_true(quicklist_start(&it, q, (int64_t)at - (int64_t)count));
    quicklist_replace(q, &it, text);
    quicklist_stop(&it);
    free((char *)model[at].ptr);
    model[at] = text;
}

static void do_remove(size_t most) {
    size_t at = rand_below(count + 1), n = rand_below(most);
    if (n > count - at) n = count - at;
    struct quicklist *trash = NULL;
    quicklist_remove(q, at, n, rand_below(2) ? &trash : NULL);
    if (trash) quicklist_free(trash);
    model_remove(at, n);
}

static void do_remove_equal(void) {
    if (count == 0) return;
    struct slice text = model[rand_below(count)];
    char *copy = malloc(text.len + 1);
    memcpy(copy, text.ptr, text.len);
    text.ptr = copy;
    enum quicklist_end from = rand_below(2) ? QUICKLIST_HEAD : QUICKLIST_TAIL;
    size_t max = rand_below(4) ? rand_below(4) : SIZE_MAX, removed = quicklist_remove_equal(q, text, from, max),
           left = max;
    for (size_t k = 0, n = count; k < n && left > 0; k++) {
        size_t i = from == QUICKLIST_HEAD ? k - (n - count) : n - 1 - k;
        if (!slice_eq(model[i], text)) continue;
        model_remove(i, 1);
        left--;
    }
    assert_int_equal(removed, max - left);
    free(copy);
}

static void do_find(void) {
    if (count == 0) return;
    struct slice text = model[rand_below(count)];
    struct quicklist_needle needle = quicklist_needle(text);
    struct quicklist_iter it;
    size_t from = rand_below(count), i = from;
    while (i < count && !slice_eq(model[i], text))
        i++;
    assert_true(quicklist_start(&it, q, (int64_t)from));
    assert_int_equal(quicklist_find(&it, &needle), i < count);
    if (i < count) {
        assert_true(quicklist_equal(&it, &needle));
        for (size_t steps = 0; steps < 5 && i + 1 < count; steps++) {
            assert_true(quicklist_next(&it));
            assert_true(same(quicklist_get(&it), model[++i]));
            assert_int_equal(quicklist_equal(&it, &needle), slice_eq(model[i], text));
        }
    }
    quicklist_stop(&it);
}

static void do_copy(void) {
    struct quicklist *copy = quicklist_copy(q);
    assert_true(quicklist_memory(copy, 0) > 0);
    quicklist_free(q);
    q = copy;
}

static void do_append_listpack(void) {
    static uint8_t lp[200000];
    listpack_init(lp);
    for (size_t n = rand_below(40); n > 0 && count < MOST && listpack_bytes(lp) < 100000; n--) {
        struct slice text = random_text();
        struct listpack_item item = listpack_item(text);
        listpack_append(lp, &item);
        model_insert(count, text);
    }
    quicklist_append_listpack(q, lp);
}

static void step(void) {
    switch (rand_below(20)) {
    case 0:
    case 1:
    case 2: do_insert(); break;
    case 3:
    case 4: do_replace(); break;
    case 5: do_remove(3); break;
    case 6:
        if (rand_below(20) == 0) do_remove(rand_below(4) ? 50 : count + 1);
        break;
    case 7:
        if (rand_below(4) == 0) do_remove_equal();
        break;
    case 8:
    case 9: do_find(); break;
    case 10:
        if (rand_below(50) == 0) do_copy();
        break;
    case 11:
        if (rand_below(10) == 0) do_append_listpack();
        break;
    case 12:
    case 13:
    case 14: do_pop(); break;
    default: do_push();
    }
}

static void run(int fill, int depth, size_t steps) {
    q = quicklist_new(fill, depth);
    count = 0;
    for (size_t i = 0; i < steps; i++) {
        step();
        if (i % 200 == 0) verify();
    }
    verify();
    quicklist_free(q);
    model_remove(0, count);
}

static void test_model(void **state) {
    (void)state;
    choose_seed();
    size_t before = alloc_used();
    static const int fills[] = {-2, -1, -3, -4, -5, -9, 0, 1, 2, 7, 128, 20000};
    for (size_t i = 0; i < sizeof fills / sizeof *fills; i++)
        for (int depth = 0; depth < 4; depth++)
            run(fills[i], depth, i == 0 ? 60000 : 20000);
    quicklist_set_plain_threshold(10);
    for (int depth = 0; depth < 3; depth++)
        run(-2, depth, 20000);
    quicklist_set_plain_threshold(0);
    assert_int_equal(alloc_used(), before);
}

/* Queues in all directions, for long: the memory stays in proportion to their contents. */
static void test_queues(void **state) {
    (void)state;
    choose_seed();
    for (int direction = 0; direction < 4; direction++) {
        for (size_t target = 1; target <= 10000; target *= 10) {
            q = quicklist_new(-2, 0);
            int64_t next = 1000000, oldest = next;
            for (size_t i = 0; i < 100000; i++) {
                char text[32];
                size_t n = (size_t)num_print_i64(text, next++);
                enum quicklist_end in = direction & 1 ? QUICKLIST_TAIL : QUICKLIST_HEAD;
                enum quicklist_end out = direction & 2 ? in : (enum quicklist_end) !in;
                quicklist_push(q, in, slice_of(text, n));
                if (q->count <= target) continue;
                int64_t got = quicklist_peek(q, out).number;
                assert_int_equal(got, in == out ? next - 1 : oldest++);
                quicklist_drop(q, out);
            }
            quicklist_check(q);
            assert_int_equal(q->count, target);
            assert_true(quicklist_memory(q, 0) < 20000 + 8 * target);
            quicklist_free(q);
        }
    }
}

static void test_limits(void **state) {
    (void)state;
    assert_false(quicklist_exceeds(-2, 8192, 100000));
    assert_true(quicklist_exceeds(-2, 8193, 1));
    assert_false(quicklist_exceeds(-1, 4096, 1));
    assert_true(quicklist_exceeds(-9, 65537, 1));
    assert_false(quicklist_exceeds(5, 8192, 5));
    assert_true(quicklist_exceeds(5, 10, 6));
    assert_true(quicklist_exceeds(5, 8193, 1));
    assert_false(quicklist_exceeds(0, 10, 1));
    assert_true(quicklist_exceeds(0, 10, 2));
}

static void test_trash(void **state) {
    (void)state;
    size_t before = alloc_used();
    q = quicklist_new(-2, 0);
    for (int64_t i = 0; i < 300000; i++)
        quicklist_push(q, QUICKLIST_TAIL, SLICE("an element of some length"));
    struct quicklist *trash;
    quicklist_remove(q, 1000, 298000, &trash);
    assert_non_null(trash);
    assert_int_equal(q->count, 2000);
    assert_true(quicklist_memory(q, 0) < 100000);
    quicklist_check(trash);
    quicklist_check(q);
    quicklist_free(trash);
    assert_null(quicklist_only_listpack(q));
    quicklist_remove(q, 5, 1990, &trash);
    assert_null(trash);
    assert_int_equal(listpack_count(quicklist_only_listpack(q)), 10);
    quicklist_remove(q, 0, 10, &trash);
    assert_int_equal(q->count + q->used, 0);
    quicklist_free(q);
    assert_int_equal(alloc_used(), before);
}

/* --- Micro-benchmark ------------------------------------------------------------------------- */

static int64_t started;
static void report(const char *what, size_t n) {
    printf("%-40s %8.1f ns\n", what, (double)(clock_mono_us() - started) * 1000 / (double)n);
}
#define BENCH(what, n, body)             \
    do {                                 \
        started = clock_mono_us();       \
        for (size_t i = 0; i < (n); i++) \
            body;                        \
        report(what, n);                 \
    } while (0)

static size_t walk(int64_t from, size_t n) {
    struct quicklist_iter it;
    size_t sum = 0;
    for (bool ok = quicklist_start(&it, q, from); ok && n-- > 0; ok = quicklist_next(&it)) {
        struct listpack_value v = quicklist_get(&it);
        sum += v.len + (uint8_t)v.ptr[0];
    }
    quicklist_stop(&it);
    return sum;
}

static void bench(void) {
    size_t n = 1000000, sum = 0;
    struct slice text = SLICE("sixteen bytes...");
    q = quicklist_new(-2, 0);
    BENCH("push at the tail", n, quicklist_push(q, QUICKLIST_TAIL, text));
    printf("%-40s %8.2f\n", "bytes an element of 16", (double)quicklist_memory(q, 0) / (double)n);
    BENCH("pop at the head", n / 2, (sum += quicklist_peek(q, QUICKLIST_HEAD).len, quicklist_drop(q, QUICKLIST_HEAD)));
    BENCH("push at the head", n / 2, quicklist_push(q, QUICKLIST_HEAD, text));
    printf("%-40s %8.2f\n", "bytes an element of 16", (double)quicklist_memory(q, 0) / (double)n);
    BENCH("push and pop, a queue", n, (quicklist_push(q, QUICKLIST_HEAD, text), quicklist_drop(q, QUICKLIST_TAIL)));
    BENCH("index in the middle of 1M", 20000, sum += walk((int64_t)(n / 2 + i * 7), 1));
    BENCH("index anywhere in 1M", 20000, sum += walk((int64_t)rand_below(n), 1));
    BENCH("range of 100 at the head", 100000, sum += walk(0, 100));
    BENCH("range of 100 anywhere", 20000, sum += walk((int64_t)rand_below(n), 100));
    BENCH("walk all, an element", 1, sum += walk(0, n));
    report("walk all, an element", n);
    struct quicklist_iter it;
    BENCH("insert anywhere", 20000, {
        quicklist_start(&it, q, (int64_t)rand_below(q->count));
        quicklist_insert(q, &it, false, text);
        quicklist_stop(&it);
    });
    BENCH("pop at the tail", n, (sum += quicklist_peek(q, QUICKLIST_TAIL).len, quicklist_drop(q, QUICKLIST_TAIL)));
    quicklist_free(q);
    q = quicklist_new(-2, 1);
    BENCH("push with depth 1", n, quicklist_push(q, QUICKLIST_TAIL, text));
    printf("%-40s %8.2f\n", "bytes an element, compressed", (double)quicklist_memory(q, 0) / (double)n);
    quicklist_free(q);
    printf("(%zu)\n", sum & 1);
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "bench") == 0) {
        bench();
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_queues),
        cmocka_unit_test(test_trash),
        cmocka_unit_test(test_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
