/* ds/wheel compared with a model: an array of deadlines by mark. Whenever an advance returns that no due mark remains,
 * no deadline of the model may have passed. Any argument runs the micro-benchmark instead. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/rand.h"
#include "ds/wheel.h"
#include "seed.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEYS 4000
#define YEAR_MS ((int64_t)31557600000)
#define FOREVER UINT64_MAX

struct model {
    struct wheel *w;
    int64_t now;
    int64_t due[KEYS]; /* INT64_MAX: the key does not exist */
    size_t fired, resolved, batches, seen[KEYS];
    bool chain; /* resolve adds further marks */
};
static struct model m;

static int64_t random_delay(void) {
    static const int64_t limits[] = {1, 5, 300, 600, 70000, 5000000, 100000000, YEAR_MS, 100 * YEAR_MS};
    return (int64_t)rand_below((uint64_t)limits[rand_below(sizeof limits / sizeof *limits)]);
}

static void resolve(void *ctx, const uint64_t *marks, size_t n, int64_t *due_ms) {
    assert_ptr_equal(ctx, &m);
    assert_in_range(n, 1, WHEEL_BATCH);
    m.batches++;
    for (size_t i = 0; i < n; i++) {
        assert_true(marks[i] < KEYS);
        int64_t *due = &m.due[marks[i]];
        m.resolved++;
        m.seen[marks[i]]++;
        if (*due == INT64_MAX) {
            due_ms[i] = WHEEL_DROP;
        } else if (*due <= m.now) {
            m.fired++;
            *due = INT64_MAX;
            due_ms[i] = WHEEL_DROP;
            if (m.chain && rand_below(2)) {
                *due = m.now + (int64_t)rand_below(700);
                wheel_add(m.w, marks[i], *due);
            }
        } else {
            due_ms[i] = *due;
        }
    }
}

static void start(int64_t now) {
    m = (struct model){.now = now};
    for (size_t i = 0; i < KEYS; i++)
        m.due[i] = INT64_MAX;
    m.w = wheel_new(now);
}
static void set(size_t key, int64_t due) {
    m.due[key] = due;
    wheel_add(m.w, key, due);
}
static int64_t earliest(void) {
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < KEYS; i++) {
        if (m.due[i] < least) least = m.due[i];
    }
    return least;
}
/* Advance to `now` in slices of `ticks`. */
static void advance(int64_t now, uint64_t ticks) {
    m.now = now;
    while (!wheel_advance(m.w, now, ticks == FOREVER ? FOREVER : clock_ticks() + ticks, resolve, &m)) {
        if (rand_below(8) == 0) { /* keys change between slices */
            size_t key = rand_below(KEYS);
            set(key, now + random_delay());
        }
    }
    if (!m.chain) assert_true(earliest() > now);
    assert_true(earliest() == INT64_MAX || wheel_next_ms(m.w) <= earliest());
}

static void test_empty(void **state) {
    (void)state;
    start(1700000000000);
    assert_int_equal(wheel_next_ms(m.w), INT64_MAX);
    advance(1700000000000, FOREVER);
    advance(1800000000000, 1);
    assert_int_equal(m.resolved, 0);
    assert_true(wheel_sweep(m.w, 0, resolve, &m));
    wheel_free(m.w);
    wheel_free(NULL);
}

/* Deadlines at every distance are met to the millisecond, if the wheel is advanced at wheel_next_ms(). */
static void test_exact(void **state) {
    (void)state;
    for (int64_t distance = 0; distance < 200 * YEAR_MS; distance = distance * 5 / 4 + 1) {
        start(1700000000000 + (int64_t)rand_below(100000));
        int64_t due = m.now + distance;
        set(7, due);
        size_t steps = 0;
        while (m.due[7] != INT64_MAX) {
            int64_t next = wheel_next_ms(m.w);
            assert_true(next <= due && next >= m.now && ++steps < 20);
            advance(next, FOREVER);
        }
        assert_int_equal(m.now, due);
        assert_int_equal(wheel_marks(m.w), 0);
        wheel_free(m.w);
    }
}

static void test_far_and_past(void **state) {
    (void)state;
    start(1700000000000);
    set(1, INT64_MAX - 1);
    set(2, INT64_MIN + 1);
    set(3, 0);
    set(4, m.now + 50000 * YEAR_MS);
    advance(m.now, FOREVER);
    assert_int_equal(m.fired, 2);
    assert_int_equal(wheel_marks(m.w), 2);
    advance(m.now + 100000 * YEAR_MS, FOREVER);
    assert_int_equal(m.fired, 3);
    assert_int_equal(wheel_marks(m.w), 1);
    advance(INT64_MAX - 1, FOREVER);
    assert_int_equal(wheel_marks(m.w), 0);
    wheel_free(m.w);
}

/* Random additions, moved deadlines, deletions, steps, jumps and sweeps, with budgets of any size. */
static void random_life(uint64_t ticks, bool chain, int64_t (*step)(void)) {
    start(1700000000000 + (int64_t)rand_below(1000000000));
    m.chain = chain;
    for (size_t round = 0; round < 3000; round++) {
        for (size_t i = rand_below(30); i; i--)
            set(rand_below(KEYS), m.now + random_delay());
        for (size_t i = rand_below(4); i; i--)
            m.due[rand_below(KEYS)] = INT64_MAX;
        if (rand_below(40) == 0) wheel_sweep(m.w, clock_ticks() + rand_below(20000), resolve, &m);
        advance(m.now + step(), ticks);
    }
    m.chain = false;
    size_t left = 0;
    for (size_t i = 0; i < KEYS; i++)
        left += m.due[i] != INT64_MAX;
    assert_true(wheel_marks(m.w) >= left);
    advance(m.now + 300 * YEAR_MS, ticks);
    advance(m.now + 300 * YEAR_MS, FOREVER);
    assert_int_equal(earliest(), INT64_MAX);
    while (wheel_next_ms(m.w) != INT64_MAX)
        advance(wheel_next_ms(m.w), FOREVER);
    assert_int_equal(wheel_marks(m.w), 0);
    wheel_free(m.w);
}
static int64_t step_small(void) {
    return (int64_t)rand_below(12);
}
static int64_t step_mixed(void) {
    return rand_below(10) ? (int64_t)rand_below(400) : random_delay() / 16;
}
static int64_t step_large(void) {
    return random_delay();
}
static int64_t step_back(void) {
    return rand_below(3) ? (int64_t)rand_below(50) : -(int64_t)rand_below(20);
}

static void test_random(void **state) {
    (void)state;
    static const uint64_t budgets[] = {0, 3000, FOREVER};
    for (size_t b = 0; b < 3; b++) {
        random_life(budgets[b], false, step_small);
        random_life(budgets[b], false, step_mixed);
        random_life(budgets[b], false, step_large);
        random_life(budgets[b], true, step_mixed);
    }
}

/* The clock is set back: marks may be late until it has caught up, but none is lost and no advance spins. */
static void test_clock_back(void **state) {
    (void)state;
    start(1700000000000);
    for (size_t i = 0; i < KEYS; i++)
        set(i, m.now + random_delay() % 100000);
    int64_t top = m.now;
    for (size_t i = 0; i < 2000; i++) {
        m.now += step_back();
        wheel_advance(m.w, m.now, FOREVER, resolve, &m);
        if (m.now > top) {
            top = m.now;
            assert_true(earliest() > top);
        }
    }
    advance(top + 200000, FOREVER);
    assert_int_equal(m.fired, KEYS);
    assert_int_equal(wheel_marks(m.w), 0);
    wheel_free(m.w);
}

/* Set back by seconds or years: nothing is late, whatever was under way. */
static void test_clock_far_back(void **state) {
    (void)state;
    start(1700000000000);
    for (size_t round = 0; round < 400; round++) {
        for (size_t i = 0; i < 50; i++)
            set(rand_below(KEYS), m.now + random_delay());
        if (rand_below(2)) wheel_sweep(m.w, 0, resolve, &m);
        int64_t back = 1001 + random_delay() / 100, step = rand_below(3) ? (int64_t)rand_below(3000) : -back;
        if (rand_below(4) == 0) wheel_advance(m.w, m.now += 5, 0, resolve, &m);
        advance(m.now + step, rand_below(2) ? FOREVER : 3000);
    }
    while (wheel_marks(m.w) > 0)
        advance(wheel_next_ms(m.w), FOREVER);
    assert_int_equal(earliest(), INT64_MAX);
    wheel_free(m.w);
}

/* If there was time, a slot has been drained before it begins: little is left to do at the boundary. */
static void test_drained_ahead(void **state) {
    (void)state;
    start(65536 * 1000);
    for (size_t i = 0; i < KEYS; i++)
        set(i, 65536 * 1003 + 60000);
    while (m.now < 65536 * 1003) {
        m.now += 100;
        wheel_advance(m.w, m.now, clock_ticks() + 1000000, resolve, &m);
    }
    m.resolved = 0;
    advance(m.now + 1, FOREVER);
    assert_int_equal(m.resolved, 0);
    wheel_free(m.w);
}

static void test_sweep(void **state) {
    (void)state;
    for (size_t round = 0; round < 50; round++) {
        start(1700000000000 + (int64_t)rand_below(1000000));
        for (size_t i = 0; i < KEYS; i++)
            set(i, m.now + 1 + random_delay());
        for (size_t i = 0; i < KEYS; i += 2)
            m.due[i] = INT64_MAX;
        memset(m.seen, 0, sizeof m.seen);
        while (!wheel_sweep(m.w, 0, resolve, &m)) {
            if (round % 2 && rand_below(10) == 0) advance(m.now + (int64_t)rand_below(1000), 0);
        }
        if (round % 2 == 0) {
            for (size_t i = 0; i < KEYS; i++)
                assert_int_equal(m.seen[i], 1);
        }
        size_t live = 0;
        for (size_t i = 0; i < KEYS; i++)
            live += m.due[i] != INT64_MAX;
        if (round % 2 == 0) assert_int_equal(wheel_marks(m.w), live);
        if (round % 3 == 0) { /* half a sweep, then the deadlines pass */
            for (size_t i = 0; i < 30; i++)
                wheel_sweep(m.w, 0, resolve, &m);
        }
        if (round % 7 == 0) {
            wheel_clear(m.w);
            assert_int_equal(wheel_marks(m.w), 0);
            assert_int_equal(wheel_next_ms(m.w), INT64_MAX);
        } else {
            while (wheel_next_ms(m.w) != INT64_MAX)
                advance(wheel_next_ms(m.w), FOREVER);
            assert_int_equal(earliest(), INT64_MAX);
        }
        wheel_free(m.w);
    }
}

/* An advance resolves at least one batch, and not many more than the budget allows. */
static void test_budget(void **state) {
    (void)state;
    start(1000000);
    for (size_t i = 0; i < KEYS; i++)
        set(i, 1000001);
    m.now = 1000001;
    size_t calls = 1;
    while (!wheel_advance(m.w, m.now, 0, resolve, &m)) {
        assert_int_equal(m.batches, calls++);
        assert_true(wheel_next_ms(m.w) <= m.now || m.fired == KEYS);
    }
    assert_int_equal(m.batches, KEYS / WHEEL_BATCH);
    assert_int_equal(m.fired, KEYS);
    wheel_free(m.w);
}

static void test_memory(void **state) {
    (void)state;
    static const int64_t spans[] = {1000, 60000, 3600000, 86400000, YEAR_MS};
    for (size_t s = 0; s < sizeof spans / sizeof *spans; s++) {
        struct wheel *w = wheel_new(1700000000000);
        size_t used = alloc_used();
        for (uint64_t i = 0; i < 1000000; i++) {
            wheel_add(w, i, 1700000000000 + (int64_t)rand_below((uint64_t)spans[s]));
        }
        double bytes = (double)wheel_memory(w) / 1e6;
        print_message("1M deadlines within %8lld s: %.2f bytes a mark\n", (long long)spans[s] / 1000, bytes);
        assert_true(bytes < 5.7);
        assert_true(wheel_memory(w) >= alloc_used() - used);
        assert_int_equal(wheel_marks(w), 1000000);
        wheel_free(w);
    }
}

static int64_t bench_now;
static void resolve_spread(void *ctx, const uint64_t *marks, size_t n, int64_t *due_ms) {
    *(size_t *)ctx += n;
    for (size_t i = 0; i < n; i++) {
        int64_t due = 1700000000000 + (int64_t)(marks[i] * 4);
        due_ms[i] = due <= bench_now ? WHEEL_DROP : due;
    }
}
static double since_us(int64_t *last) {
    int64_t now = clock_mono_us();
    double us = (double)(now - *last);
    *last = now;
    return us;
}
static void bench(void) {
    bench_now = 1700000000000;
    struct wheel *w = wheel_new(bench_now);
    size_t resolved = 0, turns = 0;
    int64_t last = clock_mono_us();
    for (uint64_t i = 0; i < 1000000; i++)
        wheel_add(w, i * 7919 % 1000000, 1700000000000 + (int64_t)(i * 7919 % 1000000 * 4));
    printf("add        %.1f ns\n", since_us(&last) * 1e3 / 1e6);
    for (; wheel_marks(w); turns++) {
        bench_now = wheel_next_ms(w);
        wheel_advance(w, bench_now, UINT64_MAX, resolve_spread, &resolved);
    }
    double us = since_us(&last);
    printf("run down   %.1f ns a mark, %.2f resolves a mark, %zu turns of %.0f ns\n", us * 1e3 / 1e6,
           (double)resolved / 1e6, turns, us * 1e3 / (double)turns);
    wheel_free(w);
}

int main(int argc, char **argv) {
    (void)argv;
    uint64_t seed = seed_of_run();
    printf("SEED=%llu\n", (unsigned long long)seed);
    rand_seed(seed);
    clock_init();
    if (argc > 1) {
        bench();
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),          cmocka_unit_test(test_exact),      cmocka_unit_test(test_far_and_past),
        cmocka_unit_test(test_random),         cmocka_unit_test(test_clock_back), cmocka_unit_test(test_drained_ahead),
        cmocka_unit_test(test_sweep),          cmocka_unit_test(test_budget),     cmocka_unit_test(test_memory),
        cmocka_unit_test(test_clock_far_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
