/* ds/skiplist and ds/member compared with a model that is as plain as possible: a sorted array of records.
 * `test_skiplist bench [members]` runs the micro-benchmark instead. */
#include "base/alloc.h"
#include "base/rand.h"
#include "ds/member.h"
#include "ds/skiplist.h"
#include "ds/table.h"
#include "seed.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define MODEL_MAX 20000

/* --- The model ------------------------------------------------------------------------------- */

static struct member **model; /* sorted */
static size_t model_count;

static int order(double score_a, struct slice a, double score_b, struct slice b) {
    if (score_a != score_b) return score_a < score_b ? -1 : 1;
    int c = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
    if (c) return c;
    return a.len < b.len ? -1 : a.len > b.len;
}
static int order_members(const struct member *a, const struct member *b) {
    return order(member_score(a), member_slice(a), member_score(b), member_slice(b));
}
/* How many members of the model are before (score, member). */
static size_t model_find(double score, struct slice member) {
    size_t low = 0, high = model_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (order(member_score(model[middle]), member_slice(model[middle]), score, member) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}
static size_t model_find_score(double score, bool after) {
    size_t low = 0, high = model_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        double at = member_score(model[middle]);
        if (at < score || (after && at == score)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}
static void model_insert(struct member *m) {
    assert_true(model_count < MODEL_MAX);
    size_t at = model_find(member_score(m), member_slice(m));
    memmove(model + at + 1, model + at, (model_count - at) * sizeof *model);
    model[at] = m;
    model_count++;
}
static size_t model_remove(const struct member *m) {
    size_t at = model_find(member_score(m), member_slice(m));
    assert_ptr_equal(model[at], m);
    model_count--;
    memmove(model + at, model + at + 1, (model_count - at) * sizeof *model);
    return at;
}

static void free_visit(void *ctx, struct member *m) {
    ++*(size_t *)ctx;
    member_free(m);
}
/* Asserts that the skiplist holds the members of the model, forward and backward. */
static void verify(const struct skiplist *s) {
    skiplist_check(s);
    assert_int_equal(s->count, model_count);
    struct skiplist_place p = skiplist_at(s, 0);
    for (size_t i = 0; i < model_count; i++) {
        assert_int_equal(p.rank, i);
        assert_ptr_equal(skiplist_next(&p), model[i]);
    }
    assert_null(skiplist_next(&p));
    for (size_t i = model_count; i--;)
        assert_ptr_equal(skiplist_prev(&p), model[i]);
    assert_null(skiplist_prev(&p));
    assert_int_equal(p.rank, 0);
}
static void empty_both(struct skiplist *s) {
    size_t dropped = 0;
    skiplist_clear(s, free_visit, &dropped);
    assert_int_equal(dropped, model_count);
    assert_int_equal(skiplist_memory(s), 0);
    model_count = 0;
}

static int set_up(void **state) {
    (void)state;
    model = alloc_get(MODEL_MAX * sizeof *model);
    model_count = 0;
    return 0;
}
static int tear_down(void **state) {
    (void)state;
    alloc_put(model, MODEL_MAX * sizeof *model);
    return 0;
}

static struct member *numbered(uint64_t id, double score) {
    char text[32];
    int len = snprintf(text, sizeof text, "m:%08llu", (unsigned long long)id);
    return member_new(slice_of(text, (size_t)len), score);
}

/* --- Records --------------------------------------------------------------------------------- */

static void check_member(size_t len, double score, size_t bytes) {
    char text[70000];
    memset(text, 'x', len);
    struct member *m = member_new(slice_of(text, len), score);
    assert_true(member_score(m) == score && signbit(member_score(m)) == signbit(score));
    assert_true(slice_eq(member_slice(m), slice_of(text, len)));
    if (bytes) assert_int_equal(member_memory(m), bytes);
    assert_true(((uintptr_t)m & 15) == 0);
    struct slice s = slice_of(text, len);
    assert_true(member_equal(m, &s));
    assert_true(member_hash(m) == hash_bytes(text, len));
    member_free(m);
}

static void test_member(void **state) {
    (void)state;
    check_member(0, 0, 16);
    check_member(7, 0.5, 16);
    check_member(8, 0.5, 32);
    check_member(8, -5, 16);
    check_member(11, INT32_MIN, 16);
    check_member(11, INT32_MAX, 16);
    check_member(11, 2147483648.0, 32);
    check_member(10, -0.0, 32);
    check_member(10, INFINITY, 32);
    check_member(10, -INFINITY, 32);
    check_member(12, 1, 32);
    check_member(23, 0.1, 32);
    for (size_t len = 100; len < 300; len++) {
        check_member(len, 17, 0);
        check_member(len, 0.25, 0);
    }
    check_member(70000, 1e300, 0);
    struct member *m = member_new(SLICE("ten bytes."), 3);
    assert_true(member_fits(m, -7) && !member_fits(m, 0.5) && !member_fits(m, -0.0) && !member_fits(m, INFINITY));
    member_set_score(m, -7);
    assert_true(member_score(m) == -7 && slice_eq(member_slice(m), SLICE("ten bytes.")));
    member_free(m);
    m = member_new(SLICE("x"), 3); /* a short form would save no class, so any score fits */
    assert_true(member_fits(m, 0.1));
    member_free(m);
}

/* --- Against the model ----------------------------------------------------------------------- */

/* Ways to choose scores: each is hard for another part. */
enum scores { ONE, FEW, WHOLE, UNIT, EXTREME, CLUSTERS, BITS, OUTLIERS, SCORES };

static double random_score(enum scores kind) {
    static const double extremes[] = {-INFINITY, INFINITY, 0.0,    -0.0,    5e-324,  -5e-324, 1e308,
                                      -1e308,    1.0,      1.0e-9, -1.0e-9, 1.7e308, 4e15,    4e15 + 1};
    uint64_t bits;
    double score;
    switch (kind) {
    case ONE: return 1;
    case FEW: return (double)rand_below(4);
    case WHOLE: return (double)rand_below(100000) - 50000;
    case UNIT: return rand_unit();
    case EXTREME: return extremes[rand_below(sizeof extremes / sizeof *extremes)];
    case CLUSTERS: return (double)(1 + rand_below(3)) * 1e9 + rand_unit() * 1e-3;
    case OUTLIERS: return rand_below(50) ? 1.7e12 + (double)rand_below(1000) / 8 : (double)rand_below(3) - 1;
    default: break;
    }
    do {
        bits = rand_u64();
        memcpy(&score, &bits, sizeof score);
    } while (isnan(score));
    return score;
}
static struct member *random_member(enum scores kind) {
    for (;;) {
        char text[300];
        size_t len = rand_below(20) ? 1 + rand_below(12) : rand_below(sizeof text);
        for (size_t i = 0; i < len; i++)
            text[i] = (char)(rand_below(3) ? 'a' + (int)rand_below(26) : (int)rand_below(256));
        struct member *m = member_new(slice_of(text, len), random_score(kind));
        size_t at = model_find(member_score(m), member_slice(m));
        if (at == model_count || order_members(model[at], m) != 0) return m;
        member_free(m);
    }
}

static void op_update(struct skiplist *s, enum scores kind) {
    struct member *m = model[rand_below(model_count)];
    double score = random_score(kind);
    if (rand_below(2)) score = member_score(m) + (double)rand_below(3) - 1;
    if (isnan(score)) return;
    /* No other record may have the member and the new score. */
    size_t at = model_find(score, member_slice(m));
    if (at < model_count && model[at] != m && member_score(model[at]) == score &&
        slice_eq(member_slice(model[at]), member_slice(m)))
        return;
    model_remove(m);
    if (member_fits(m, score)) {
        skiplist_update(s, m, score);
    } else {
        skiplist_remove(s, m);
        struct member *to = member_new(member_slice(m), score);
        member_free(m);
        skiplist_insert(s, m = to);
    }
    assert_true(member_score(m) == score);
    model_insert(m);
}
static void expect_visit(void *ctx, struct member *m) {
    size_t *at = ctx;
    assert_ptr_equal(m, model[(*at)++]);
    member_free(m);
}
static void op_remove_ranks(struct skiplist *s, size_t most) {
    size_t first = rand_below(model_count + 1), n = rand_below(most), at = first;
    size_t removed = skiplist_remove_ranks(s, first, n, expect_visit, &at);
    assert_int_equal(removed, n < model_count - first ? n : model_count - first);
    assert_int_equal(at, first + removed);
    model_count -= removed;
    memmove(model + first, model + at, (model_count - first) * sizeof *model);
}
static void expect_walk(struct skiplist_place p, size_t rank) {
    assert_int_equal(p.rank, rank);
    struct skiplist_place back = p;
    for (size_t n = rand_below(100), i = rank; n; n--, i++)
        assert_ptr_equal(skiplist_next(&p), i < model_count ? model[i] : NULL);
    for (size_t n = rand_below(100), i = rank; n; n--, i -= i > 0)
        assert_ptr_equal(skiplist_prev(&back), i ? model[i - 1] : NULL);
}
/* Back and forth over a few leaves. */
static void expect_zigzag(struct skiplist_place p) {
    for (unsigned turn = 0; turn < 6; turn++) {
        bool forward = rand_below(2);
        for (size_t n = rand_below(150); n; n--) {
            struct member *expected =
                forward ? (p.rank < model_count ? model[p.rank] : NULL) : (p.rank ? model[p.rank - 1] : NULL);
            assert_ptr_equal(forward ? skiplist_next(&p) : skiplist_prev(&p), expected);
        }
    }
}
static void op_read(const struct skiplist *s, enum scores kind) {
    double score = random_score(kind);
    bool after = rand_below(2);
    expect_walk(skiplist_at_score(s, score, after), model_find_score(score, after));
    struct member *m = random_member(kind);
    expect_walk(skiplist_at_member(s, member_score(m), member_slice(m), after),
                model_find(member_score(m), member_slice(m)));
    member_free(m);
    if (!model_count) return;
    size_t at = rand_below(model_count);
    m = model[at];
    assert_int_equal(skiplist_rank(s, m), at);
    expect_walk(skiplist_at_member(s, member_score(m), member_slice(m), after), at + after);
    expect_walk(skiplist_at(s, at), at);
    if (at % 8 == 0) expect_zigzag(skiplist_at(s, at));
}

/* Some thousand operations that let it grow or shrink to about this size. */
static void random_phase(struct skiplist *s, enum scores kind, size_t operations, size_t aim) {
    for (size_t i = 0; i < operations; i++) {
        uint64_t what = rand_below(100);
        bool grow = model_count < aim ? rand_below(10) < 7 : rand_below(10) < 3;
        if (what < 50 && grow) {
            struct member *m = random_member(kind);
            skiplist_insert(s, m);
            model_insert(m);
        } else if (what < 50 && model_count) {
            struct member *m = model[rand_below(model_count)];
            model_remove(m);
            skiplist_remove(s, m);
            member_free(m);
        } else if (what < 70 && model_count) {
            op_update(s, kind);
        } else if (what == 75) {
            op_remove_ranks(s, rand_below(10) ? 5 : 200);
        } else if (what < 90) {
            op_read(s, kind);
        }
        if (i % 1024 == 0) skiplist_check(s);
    }
    verify(s);
}

static size_t operations = 100000;

static void test_model(void **state) {
    (void)state;
    for (enum scores kind = 0; kind < SCORES; kind++) {
        struct skiplist s;
        skiplist_init(&s);
        random_phase(&s, kind, operations, 5000);
        random_phase(&s, rand_below(SCORES), operations / 4, 300); /* with other scores */
        random_phase(&s, kind, operations / 4, 0);
        random_phase(&s, kind, operations / 2, 100);
        empty_both(&s);
    }
}

static void test_empty(void **state) {
    (void)state;
    struct skiplist s;
    skiplist_init(&s);
    assert_int_equal(skiplist_check(&s), 0);
    assert_int_equal(skiplist_remove_ranks(&s, 0, 10, NULL, NULL), 0);
    struct skiplist_place p = skiplist_at_score(&s, 1, false);
    assert_null(skiplist_next(&p));
    assert_null(skiplist_prev(&p));
    p = skiplist_at_member(&s, 0, (struct slice){0}, true);
    assert_null(skiplist_next(&p));
    skiplist_build(&s, NULL, 0);
    skiplist_clear(&s, NULL, NULL);
    struct member *m = numbered(1, 1);
    skiplist_insert(&s, m);
    skiplist_update(&s, m, 17);
    p = skiplist_at_member(&s, 17, (struct slice){0}, false);
    assert_ptr_equal(skiplist_next(&p), m);
    skiplist_remove(&s, m);
    member_free(m);
    assert_int_equal(skiplist_memory(&s), 0);
}

/* --- Orders ---------------------------------------------------------------------------------- */

enum orders { ASCENDING, DESCENDING, ENDS, INWARD, BACK_AND_FORTH, BEHIND_A_FULL_LEAF, SHUFFLED, ORDERS };

/* The i-th of n numbers in this order: a permutation of 0..n-1. */
static uint64_t ordered(enum orders kind, uint64_t i, uint64_t n) {
    switch (kind) {
    case ASCENDING: return i;
    case DESCENDING: return n - 1 - i;
    case ENDS: return i % 2 ? n / 2 - (i + 1) / 2 : n / 2 + i / 2; /* from the middle outward; n is even */
    case INWARD: return i % 2 ? n - 1 - i / 2 : i / 2;
    case BACK_AND_FORTH: return i / 100 * 100 + (i / 100 % 2 ? 99 - i % 100 : i % 100);
    case BEHIND_A_FULL_LEAF: return i < 62 ? i : n - 1 - (i - 62);
    default: return i * 7919 % n;
    }
}
static void test_orders(void **state) {
    (void)state;
    enum { N = 20000 };
    for (int kind = 0; kind < ORDERS; kind++) {
        for (int ties = 0; ties < 2; ties++) {
            struct skiplist s;
            skiplist_init(&s);
            for (uint64_t i = 0; i < N; i++) {
                uint64_t id = ordered(kind, i, N);
                struct member *m = numbered(id, ties ? 1 : (double)id);
                skiplist_insert(&s, m);
                model[id] = m;
                if (i % 1000 == 0) skiplist_check(&s);
            }
            model_count = N;
            verify(&s);
            double bytes = (double)skiplist_memory(&s) / N;
            assert_true(bytes < (kind == ASCENDING || kind == DESCENDING ? 9.5 : 12));
            int out = (int)rand_below(ORDERS); /* removed in another order */
            for (uint64_t i = 0; i < N; i++) {
                uint64_t id = ordered(out, i, N);
                skiplist_remove(&s, model[id]);
                if (i % 1000 == 0) skiplist_check(&s);
                member_free(model[id]);
            }
            model_count = 0;
            verify(&s);
            assert_int_equal(skiplist_memory(&s), 0);
        }
    }
}

static void test_build(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 2, 61, 62, 63, 124, 125, 129, 3905, 3906, 3907, 3969, 19000};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        struct skiplist s;
        skiplist_init(&s);
        for (size_t i = 0; i < sizes[k]; i++)
            model[i] = numbered(i, (double)(i / 3) / 2);
        model_count = sizes[k];
        skiplist_build(&s, model, model_count);
        verify(&s);
        if (model_count >= 3905) assert_true((double)skiplist_memory(&s) / (double)model_count < 9);
        random_phase(&s, WHOLE, 2000, model_count);
        empty_both(&s);
    }
}

static void test_remove_ranks(void **state) {
    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        struct skiplist s;
        skiplist_init(&s);
        for (size_t i = 0; i < 15000; i++)
            model[i] = numbered(i, (double)(i / 2));
        model_count = 15000;
        skiplist_build(&s, model, model_count);
        while (model_count) {
            op_remove_ranks(&s, round < 10 ? 300 : 6000);
            skiplist_check(&s);
        }
        assert_int_equal(skiplist_memory(&s), 0);
    }
}

/* Small steps of the scores of few among many members, as ZINCRBY makes them. */
static void test_creep(void **state) {
    (void)state;
    struct skiplist s;
    skiplist_init(&s);
    for (size_t i = 0; i < 5000; i++)
        model[i] = numbered(i, (double)i * 3);
    model_count = 5000;
    skiplist_build(&s, model, model_count);
    struct member *walkers[10];
    for (size_t i = 0; i < 10; i++)
        walkers[i] = model[rand_below(500) * 10 + i];
    for (size_t i = 0; i < operations; i++) {
        struct member *m = walkers[rand_below(10)];
        double score = member_score(m) + (double)rand_below(20) - 9;
        model_remove(m);
        skiplist_update(&s, m, score);
        model_insert(m);
        if (i % 2048 == 0) verify(&s);
    }
    empty_both(&s);
}

/* --- Micro-benchmark ------------------------------------------------------------------------- */

static const struct table_type by_member = {member_hash};

static double now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}
static double resident(void) {
    unsigned long size = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%lu %lu", &size, &pages) != 2) pages = 0;
    if (f) fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}
static void report(const char *what, double start, size_t n) {
    printf("%-34s %7.1f ns\n", what, (now_ns() - start) / (double)n);
}

/* ZADD as the store does it: the index, then the record, then its place. */
static void zadd(struct skiplist *s, struct table *t, struct slice member, double score) {
    uint64_t hash = hash_bytes(member.ptr, member.len);
    struct member *m = table_find(t, hash, member_equal, &member);
    if (!m) {
        m = member_new(member, score);
        table_insert(t, hash, m);
        skiplist_insert(s, m);
    } else if (member_fits(m, score)) {
        if (member_score(m) != score) skiplist_update(s, m, score);
    } else {
        skiplist_remove(s, m);
        struct member *to = member_new(member, score);
        table_replace(t, hash, m, to);
        member_free(m);
        skiplist_insert(s, to);
    }
}
static size_t bench_reads(const struct skiplist *s, const struct table *t, size_t n) {
    size_t sum = 0;
    double start = now_ns();
    for (size_t i = 0; i < n; i++) {
        char text[32];
        struct slice key = slice_of(text, (size_t)snprintf(text, sizeof text, "m:%08zu", (size_t)rand_below(n)));
        const struct member *m = table_find(t, hash_bytes(key.ptr, key.len), member_equal, &key);
        sum += m ? (size_t)member_score(m) : 0;
    }
    report("zscore (with snprintf)", start, n);
    start = now_ns();
    for (size_t i = 0; i < n; i++) {
        char text[32];
        struct slice key = slice_of(text, (size_t)snprintf(text, sizeof text, "m:%08zu", (size_t)rand_below(n)));
        const struct member *m = table_find(t, hash_bytes(key.ptr, key.len), member_equal, &key);
        sum += m ? skiplist_rank(s, m) : 0;
    }
    report("zrank (with snprintf)", start, n);
    start = now_ns();
    for (size_t i = 0; i < n / 4; i++) {
        struct skiplist_place p = skiplist_at_score(s, (double)rand_below(n), false);
        struct member *m;
        for (unsigned k = 0; k < 10 && (m = skiplist_next(&p)); k++)
            sum += member_slice(m).len;
    }
    report("zrangebyscore limit 10", start, n / 4);
    start = now_ns();
    for (size_t i = 0; i < n / 20; i++) {
        struct skiplist_place p = skiplist_at(s, rand_below(n));
        struct member *m;
        for (unsigned k = 0; k < 100 && (m = skiplist_next(&p)); k++)
            sum += member_slice(m).len;
    }
    report("zrange 100 from a random rank", start, n / 20);
    start = now_ns();
    for (size_t i = 0; i < n / 20; i++) {
        struct skiplist_place p = skiplist_at(s, rand_below(n));
        struct member *m;
        for (unsigned k = 0; k < 100 && (m = skiplist_prev(&p)); k++)
            sum += member_slice(m).len;
    }
    report("zrevrange 100 from a random rank", start, n / 20);
    return sum;
}
static void bench(size_t n, bool whole) {
    struct skiplist s;
    struct table t;
    double before = resident();
    skiplist_init(&s);
    table_init(&t, &by_member);
    printf("--- %zu members, %s scores\n", n, whole ? "whole" : "fractional");
    double start = now_ns();
    for (size_t i = 0; i < n; i++) {
        char text[32];
        struct slice key = slice_of(text, (size_t)snprintf(text, sizeof text, "m:%08zu", i));
        uint64_t score = i * 7919 % 1000003;
        zadd(&s, &t, key, whole ? (double)score : (double)score / 7);
    }
    report("zadd new (with snprintf)", start, n);
    alloc_purge();
    printf("%-34s %7.2f bytes a member: table %.2f, skiplist %.2f; RSS %.2f\n", "", (double)alloc_used() / (double)n,
           (double)table_memory(&t) / (double)n, (double)skiplist_memory(&s) / (double)n,
           (resident() - before) / (double)n);
    struct member **all = alloc_get(n * sizeof *all);
    struct skiplist_place p = skiplist_at(&s, 0);
    start = now_ns();
    for (size_t i = 0; i < n; i++)
        all[i] = skiplist_next(&p);
    report("iterate", start, n);
    size_t sum = bench_reads(&s, &t, n);
    start = now_ns();
    for (size_t i = 0; i < n; i++) {
        struct member *m = all[rand_below(n)];
        skiplist_update(&s, m, member_score(m) + 1);
    }
    report("update by 1", start, n);
    start = now_ns();
    for (size_t i = 0; i < n; i++) {
        char text[32];
        struct slice key = slice_of(text, (size_t)snprintf(text, sizeof text, "m:%08zu", (size_t)rand_below(n)));
        zadd(&s, &t, key, (double)rand_below(n));
    }
    report("zadd random score (with snprintf)", start, n);
    printf("%-34s %7.2f bytes a member, skiplist %.2f\n", "", (double)(alloc_used() - 8 * n) / (double)n,
           (double)skiplist_memory(&s) / (double)n);
    p = skiplist_at(&s, 0);
    for (size_t i = 0; i < n; i++)
        all[i] = skiplist_next(&p);
    for (size_t i = n - 1; i; i--) {
        size_t j = rand_below(i + 1);
        struct member *m = all[i];
        all[i] = all[j], all[j] = m;
    }
    start = now_ns();
    for (size_t i = 0; i < n; i++)
        skiplist_remove(&s, all[i]);
    report("remove random", start, n);
    start = now_ns();
    for (size_t i = 0; i < n; i++)
        skiplist_insert(&s, all[i]);
    report("insert random", start, n);
    start = now_ns();
    size_t dropped = skiplist_remove_ranks(&s, n / 4, n / 2, NULL, NULL);
    report("remove_ranks, each", start, dropped);
    skiplist_clear(&s, NULL, NULL);
    for (size_t i = 0; i < n; i++)
        member_free(all[i]);
    table_clear(&t, NULL, NULL);
    alloc_put(all, n * sizeof *all);
    printf("(%zu)\n", sum);
}

int main(int argc, char **argv) {
    uint64_t seed = seed_of_run();
    rand_seed(seed);
    hash_seed(seed);
    printf("SEED=%llu\n", (unsigned long long)seed);
    if (getenv("OPERATIONS")) operations = strtoul(getenv("OPERATIONS"), NULL, 10);
    if (argc > 1) {
        bench(argc > 2 ? strtoul(argv[2], NULL, 10) : 300000, argc < 4);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_member), cmocka_unit_test(test_empty), cmocka_unit_test(test_model),
        cmocka_unit_test(test_orders), cmocka_unit_test(test_build), cmocka_unit_test(test_remove_ranks),
        cmocka_unit_test(test_creep),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
