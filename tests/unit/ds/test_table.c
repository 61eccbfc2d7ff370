/* ds/table compared with a model that is as plain as possible: an array of flags by record number. Any argument runs
 * the micro-benchmark instead. */
#include "base/alloc.h"
#include "base/rand.h"
#include "ds/table.h"
#include "seed.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define RECORDS 300000

struct record {
    _Alignas(16) uint64_t id;
    uint32_t present, seen; /* the model */
    char bulk[32];
};

static struct record *records;
static size_t hashes; /* number of calls of the hash function */

static uint64_t hash_id(uint64_t id) {
    uint64_t z = (id + 1) * 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}
static uint64_t hash_record(const void *record) {
    hashes++;
    return hash_id(((const struct record *)record)->id);
}
static bool equal_id(const void *record, const void *key) {
    return ((const struct record *)record)->id == *(const uint64_t *)key;
}
static const struct table_type type = {hash_record};

static struct record *find(const struct table *t, uint64_t id) {
    return table_find(t, hash_id(id), equal_id, &id);
}
static void add(struct table *t, size_t i) {
    records[i].present = 1;
    table_insert(t, hash_id(i), &records[i]);
}
static void drop(struct table *t, size_t i) {
    records[i].present = 0;
    assert_true(table_remove(t, hash_id(i), &records[i]));
}
static void mark_seen(void *ctx, void *record) {
    (void)ctx;
    ((struct record *)record)->seen++;
}

static int set_up(void **state) {
    (void)state;
    records = alloc_lines(RECORDS * sizeof *records);
    memset(records, 0, RECORDS * sizeof *records);
    for (size_t i = 0; i < RECORDS; i++)
        records[i].id = i;
    table_set_resizing(true);
    return 0;
}
static int tear_down(void **state) {
    (void)state;
    alloc_put(records, RECORDS * sizeof *records);
    return 0;
}

static void test_empty(void **state) {
    (void)state;
    struct table t;
    void *some[4];
    table_init(&t, &type);
    table_check(&t);
    assert_int_equal(table_memory(&t), 0);
    assert_null(find(&t, 1));
    assert_false(table_remove(&t, hash_id(1), &records[1]));
    assert_null(table_random(&t));
    assert_int_equal(table_sample(&t, some, 4), 0);
    assert_int_equal(table_scan(&t, 0, mark_seen, NULL), 0);
    table_visit_prefix(&t, 0, 1, mark_seen, NULL);
    struct table_iter it;
    table_iter_init(&it, &t);
    assert_null(table_iter_next(&it));
    table_prefetch_line(&t, 5);
    table_prefetch_place(table_place(&t, 5));
    add(&t, 1);
    assert_ptr_equal(find(&t, 1), &records[1]);
    assert_ptr_equal(table_random(&t), &records[1]);
    drop(&t, 1);
    assert_int_equal(table_memory(&t), 0);
    table_clear(&t, NULL, NULL);
}

/* Asserts that exactly the present records are found, iterated and scanned, each once. */
static void verify(const struct table *t) {
    size_t count = 0, iterated = 0, in_lines = 0, lines[9] = {0};
    table_check(t);
    table_count_lines(t, lines);
    for (size_t i = 0; i < 9; i++)
        in_lines += i * lines[i];
    assert_int_equal(in_lines, t->count);
    for (size_t i = 0; i < RECORDS; i++) {
        records[i].seen = 0;
        count += records[i].present;
        assert_ptr_equal(find(t, i), records[i].present ? &records[i] : NULL);
    }
    assert_int_equal(count, t->count);
    struct table_iter it;
    table_iter_init(&it, t);
    for (struct record *r; (r = table_iter_next(&it)); iterated++)
        assert_true(r->present && !r->seen++);
    assert_int_equal(iterated, count);
    uint64_t cursor = 0;
    do
        cursor = table_scan(t, cursor, mark_seen, NULL);
    while (cursor);
    for (size_t i = 0; i < RECORDS; i++)
        assert_int_equal(records[i].seen, 2 * records[i].present);
}

/* Random additions and removals, around a target size that rises to n and falls to 0 again. */
static void rise_and_fall(size_t n, bool resizing) {
    struct table t;
    table_init(&t, &type);
    table_set_resizing(resizing);
    size_t steps = n * 6, check = steps / 12 + 1;
    for (size_t step = 1; t.count || step < steps; step++) {
        double phase = (double)step / (double)steps;
        double target = (double)n * (phase < 0.5 ? 2 * phase : 2 - 2 * phase);
        size_t i = rand_below(n);
        bool want = rand_below(100) < ((double)t.count < target ? 80 : 10);
        if (want && !records[i].present) {
            add(&t, i);
        } else if (!want && records[i].present) {
            drop(&t, i);
        }
        if (step > steps) {
            for (i = 0; i < n; i++) {
                if (records[i].present) drop(&t, i);
            }
        }
        if (step % check == 0) verify(&t);
    }
    verify(&t);
    if (resizing) assert_int_equal(table_memory(&t), 0);
    table_clear(&t, NULL, NULL);
    table_set_resizing(true);
}

static void test_model(void **state) {
    (void)state;
    for (size_t n = 1; n < 40; n++)
        rise_and_fall(n, true);
    for (size_t n = 100; n <= RECORDS; n *= 5)
        rise_and_fall(n, n % 3 != 0);
    rise_and_fall(700, false);
    rise_and_fall(20000, false);
    rise_and_fall(RECORDS, true);
}

/* A scan in steps while the table grows and shrinks: a record that is present throughout is seen exactly once. */
static void scan_while(size_t from, size_t to, size_t per_step) {
    struct table t;
    table_init(&t, &type);
    size_t stable = from < to ? from : to, at = from;
    for (size_t i = 0; i < from; i++)
        add(&t, i);
    for (size_t i = 0; i < RECORDS; i++)
        records[i].seen = 0;
    uint64_t cursor = 0;
    do {
        cursor = table_scan(&t, cursor, mark_seen, NULL);
        assert_true(cursor < (uint64_t)1 << 48);
        for (size_t k = 0; k < per_step && at != to; k++) {
            if (from < to) {
                add(&t, at++);
            } else {
                drop(&t, --at);
            }
        }
    } while (cursor);
    for (size_t i = 0; i < stable; i++)
        assert_int_equal(records[i].seen, 1);
    for (size_t i = stable; i < RECORDS; i++)
        assert_true(records[i].seen <= 1);
    table_check(&t);
    table_clear(&t, NULL, NULL);
    for (size_t i = 0; i < RECORDS; i++)
        records[i].present = 0;
}

static void test_scan_changing(void **state) {
    (void)state;
    for (size_t per_step = 1; per_step < 200; per_step *= 3) {
        scan_while(100, 20000, per_step);
        scan_while(20000, 50, per_step);
        scan_while(3, 1000, per_step);
        scan_while(1000, 1, per_step);
    }
    scan_while(5000, RECORDS, 100);
    scan_while(RECORDS, 3000, 40);
    struct table t; /* cursors that no scan has returned */
    table_init(&t, &type);
    for (size_t i = 0; i < 5000; i++)
        add(&t, i);
    for (size_t i = 0; i < 1000; i++)
        table_scan(&t, rand_u64(), mark_seen, NULL);
    table_clear(&t, NULL, NULL);
    for (size_t i = 0; i < RECORDS; i++)
        records[i].present = 0;
}

static void test_prefix(void **state) {
    (void)state;
    struct table t;
    table_init(&t, &type);
    for (size_t n = 0; n < 30000; n++) {
        add(&t, n);
        if (n % 3000 && n > 20) continue;
        for (unsigned bits = 1; bits <= 64; bits += 1 + bits / 8) {
            for (size_t i = 0; i <= n; i++)
                records[i].seen = 0;
            uint64_t prefix = hash_id(rand_below(n + 1));
            table_visit_prefix(&t, prefix, bits, mark_seen, NULL);
            for (size_t i = 0; i <= n; i++) {
                bool same = (hash_id(i) ^ prefix) >> (64 - bits) == 0;
                if (same || bits <= 16) assert_int_equal(records[i].seen, same);
                assert_true(records[i].seen <= 1);
            }
        }
    }
    table_clear(&t, NULL, NULL);
    for (size_t i = 0; i < RECORDS; i++)
        records[i].present = 0;
}

static void test_replace(void **state) {
    (void)state;
    struct table t;
    table_init(&t, &type);
    struct record *moved = alloc_get(5000 * sizeof *moved);
    for (size_t i = 0; i < 5000; i++)
        add(&t, i);
    for (size_t i = 0; i < 5000; i++) {
        moved[i] = records[i];
        table_replace(&t, hash_id(i), &records[i], &moved[i]);
    }
    table_check(&t);
    for (size_t i = 0; i < 5000; i++) {
        assert_ptr_equal(find(&t, i), &moved[i]);
        assert_false(table_remove(&t, hash_id(i), &records[i]));
        assert_true(table_remove(&t, hash_id(i), &moved[i]));
        records[i].present = 0;
    }
    alloc_put(moved, 5000 * sizeof *moved);
    table_clear(&t, NULL, NULL);
}

static void count_drop(void *ctx, void *record) {
    ++*(size_t *)ctx;
    ((struct record *)record)->present = 0;
}

static void test_reserve(void **state) {
    (void)state;
    for (size_t n = 1; n <= RECORDS; n = n * 3 + 1) {
        struct table t;
        table_init(&t, &type);
        table_reserve(&t, n);
        table_check(&t);
        size_t reserved = table_memory(&t), dropped = 0;
        for (size_t i = 0; i < n; i++)
            add(&t, i);
        table_check(&t);
        assert_true(n < 8 || table_memory(&t) < reserved * 5 / 4 + 64);
        assert_true(n < 1000 || table_memory(&t) < n * 23 / 2);
        table_clear(&t, count_drop, &dropped);
        assert_int_equal(dropped, n);
        assert_int_equal(table_memory(&t), 0);
    }
}

static void test_churn(void **state) {
    (void)state;
    struct table t;
    table_init(&t, &type);
    const size_t n = 50000;
    for (size_t i = 0; i < n; i++)
        add(&t, i);
    double before = (double)table_check(&t) / (double)n;
    for (size_t k = 0; k < 20 * n; k++) {
        size_t out = rand_below(2 * n), in = rand_below(2 * n);
        while (!records[out].present)
            out = rand_below(2 * n);
        while (records[in].present)
            in = rand_below(2 * n);
        drop(&t, out);
        add(&t, in);
    }
    double after = (double)table_check(&t) / (double)n;
    print_message("lines a search: %.3f, after churn %.3f; bytes a record %.2f\n", before, after,
                  (double)table_memory(&t) / (double)n);
    assert_true(after < 1.25);
    table_clear(&t, NULL, NULL);
    for (size_t i = 0; i < RECORDS; i++)
        records[i].present = 0;
}

static void test_memory(void **state) {
    (void)state;
    struct table t;
    table_init(&t, &type);
    double sum = 0, worst = 0, lines = 0;
    size_t samples = 0;
    hashes = 0;
    for (size_t i = 0; i < 200000; i++) {
        add(&t, i);
        if (i < 100000 || i % 1000) continue;
        double bytes = (double)table_memory(&t) / (double)t.count;
        size_t before = hashes;
        lines += (double)table_check(&t) / (double)t.count;
        hashes = before;
        sum += bytes;
        if (bytes > worst) worst = bytes;
        samples++;
    }
    print_message(
        "100k to 200k records: %.2f bytes a record, at most %.2f; %.3f lines a search; %.2f hashes an insert\n",
        sum / (double)samples, worst, lines / (double)samples, (double)hashes / 200000);
    assert_true(sum / (double)samples < 9.8 && lines / (double)samples < 1.22);
    table_clear(&t, NULL, NULL);
    for (size_t i = 0; i < RECORDS; i++)
        records[i].present = 0;
}

/* Whole lines are drawn, so how often the records of one line are seen varies together. */
static void check_samples(struct table *t, size_t n, const char *what) {
    void *line[TABLE_LINE];
    size_t draws = 5 * n + 2000, seen = 0, present = 0;
    double chi = 0;
    for (size_t i = 0; i < RECORDS; i++)
        records[i].seen = 0;
    for (size_t k = 0; k < draws; k++) {
        size_t got = table_line(t, table_draw(t), line);
        for (size_t i = 0; i < got; i++)
            ((struct record *)line[i])->seen++;
        seen += got;
    }
    double mean = (double)seen / (double)n;
    for (size_t i = 0; i < RECORDS; i++) {
        if (!records[i].present) {
            assert_int_equal(records[i].seen, 0);
            continue;
        }
        chi += ((double)records[i].seen - mean) * ((double)records[i].seen - mean) / mean;
        present++;
    }
    assert_int_equal(present, n);
    double deviations = (chi - (double)n) / sqrt(2.0 * TABLE_LINE * (double)n);
    if (deviations >= 5) fail_msg("%s: chi-square is %.1f standard deviations too high", what, deviations);
}

static void test_samples_are_uniform(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 5, 8, 17, 300, 500, 700, 3000, 20000, 100000, RECORDS};
    struct table t;
    table_init(&t, &type);
    size_t n = 0;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        while (n < sizes[s])
            add(&t, n++);
        check_samples(&t, n, "grown");
    }
    for (; n > 100000; n--) /* segments are merged here and there, so their depths and lines differ */
        drop(&t, n - 1);
    check_samples(&t, n, "shrunk");
    for (size_t i = 0; i < RECORDS / 20; i++)
        add(&t, n++);
    check_samples(&t, n, "grown again");
    size_t left = n;
    for (size_t i = 0; i < n; i++) {
        if (hash_id(i) >> 62 == 0) continue;
        drop(&t, i);
        left--;
    }
    check_samples(&t, left, "with three quarters of the hashes empty");
    table_clear(&t, NULL, NULL);
}

static void test_random(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 5, 17, 300, 500, 3000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        struct table t;
        table_init(&t, &type);
        size_t n = sizes[s], draws = n * 400;
        for (size_t i = 0; i < n; i++) {
            add(&t, i);
            records[i].seen = 0;
        }
        for (size_t k = 0; k < draws; k++)
            ((struct record *)table_random(&t))->seen++;
        double chi = 0;
        for (size_t i = 0; i < n; i++)
            chi += ((double)records[i].seen - 400) * ((double)records[i].seen - 400) / 400;
        double excess = chi - (double)(n - 1); /* the standard deviation is sqrt(2 (n - 1)) */
        assert_true(excess * excess < 25 * 2 * (double)n);
        table_clear(&t, NULL, NULL);
        for (size_t i = 0; i < n; i++)
            records[i].present = 0;
    }
    struct table t; /* nearly empty, but not allowed to shrink */
    table_init(&t, &type);
    for (size_t i = 0; i < RECORDS; i++)
        add(&t, i);
    table_set_resizing(false);
    for (size_t i = 1; i < RECORDS; i++)
        drop(&t, i);
    for (size_t k = 0; k < 5; k++)
        assert_ptr_equal(table_random(&t), &records[0]);
    drop(&t, 0);
    assert_null(table_random(&t));
    table_set_resizing(true);
    table_clear(&t, NULL, NULL);
}

/* --- Micro-benchmark ------------------------------------------------------------------------- */

static double now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static size_t find_wave(const struct table *t, const uint64_t *ids, size_t n) {
    uint64_t h[16];
    size_t hits = 0;
    for (size_t k = 0; k < n; k++)
        table_prefetch_line(t, h[k] = hash_id(ids[k]));
    for (size_t k = 0; k < n; k++)
        table_prefetch_place(table_place(t, h[k]));
    for (size_t k = 0; k < n; k++)
        hits += table_find(t, h[k], equal_id, &ids[k]) != NULL;
    return hits;
}

static void insert_timed(struct table *t, const uint64_t *ids, struct record *all, size_t n) {
    double worst = 0, last = now_ns(), start = last;
    for (size_t i = 0; i < n; i++) {
        table_insert(t, hash_id(ids[i]), &all[ids[i]]);
        double now = now_ns();
        if (now - last > worst) worst = now - last;
        last = now;
    }
    printf("%6.1f ns with the timer, worst %.0f us\n", (now_ns() - start) / (double)n, worst / 1e3);
    table_clear(t, NULL, NULL);
}

static void bench(size_t n) {
    struct record *all = alloc_lines(n * sizeof *all);
    uint64_t *ids = alloc_get(n * sizeof *ids);
    for (size_t i = 0; i < n; i++)
        ids[i] = all[i].id = i;
    for (size_t i = n - 1; i; i--) {
        size_t j = rand_below(i + 1);
        uint64_t id = ids[i];
        ids[i] = ids[j];
        ids[j] = id;
    }
    struct table t;
    table_init(&t, &type);
    double start = now_ns();
    for (size_t i = 0; i < n; i++)
        table_insert(&t, hash_id(ids[i]), &all[ids[i]]);
    printf("insert          %6.1f ns   %.2f bytes a record, %.3f lines\n", (now_ns() - start) / (double)n,
           (double)table_memory(&t) / (double)n, (double)table_check(&t) / (double)n);
    size_t hits = 0;
    start = now_ns();
    for (size_t i = 0; i < n; i++)
        hits += find(&t, ids[n - 1 - i]) != NULL;
    printf("find            %6.1f ns   (independent: the processor overlaps them)\n", (now_ns() - start) / (double)n);
    start = now_ns();
    for (size_t i = 0, next = 0; i < n; i++)
        next = find(&t, ids[i] + (next >> 63))->id, hits += next & 1;
    printf("find, serial    %6.1f ns\n", (now_ns() - start) / (double)n);
    start = now_ns();
    for (size_t i = 0; i + 16 <= n; i += 16)
        hits += find_wave(&t, ids + i, 16);
    printf("find, waves     %6.1f ns\n", (now_ns() - start) / (double)n);
    start = now_ns();
    for (size_t i = 0; i < n; i++)
        hits += find(&t, n + i) != NULL;
    printf("find, missing   %6.1f ns\n", (now_ns() - start) / (double)n);
    start = now_ns();
    for (size_t i = 0; i < 4 * n; i++)
        hits += find(&t, ids[i & 1023]) != NULL;
    printf("find, in cache  %6.1f ns\n", (now_ns() - start) / (double)(4 * n));
    struct table_iter it;
    table_iter_init(&it, &t);
    start = now_ns();
    for (struct record *r; (r = table_iter_next(&it));)
        hits += r->id & 1;
    printf("iterate         %6.1f ns\n", (now_ns() - start) / (double)n);
    start = now_ns();
    for (size_t i = 0; i < n; i++)
        table_remove(&t, hash_id(ids[i]), &all[ids[i]]);
    printf("remove          %6.1f ns\n", (now_ns() - start) / (double)n);
    table_reserve(&t, n);
    printf("reserved insert ");
    insert_timed(&t, ids, all, n);
    printf("insert          ");
    insert_timed(&t, ids, all, n);
    printf("(%zu)\n", hits);
    alloc_put(all, n * sizeof *all);
    alloc_put(ids, n * sizeof *ids);
}

int main(int argc, char **argv) {
    uint64_t seed = seed_of_run();
    printf("SEED=%llu\n", (unsigned long long)seed);
    rand_seed(seed);
    if (argc > 1) {
        bench(argc > 2 ? strtoul(argv[2], NULL, 10) : 1000000);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),         cmocka_unit_test(test_model),
        cmocka_unit_test(test_scan_changing), cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_replace),       cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_churn),         cmocka_unit_test(test_memory),
        cmocka_unit_test(test_random),        cmocka_unit_test(test_samples_are_uniform),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
