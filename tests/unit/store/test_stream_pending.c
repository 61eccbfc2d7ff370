/* Pending entries compared with a sorted array, by random steps; and a group's counts. To repeat a failed run, pass the
 * SEED that it prints. The argument `bench` measures look-ups in a million entries. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/rand.h"
#include "store/stream_group.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void choose_seed(void) {
    const char *given = getenv("SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    hash_seed(seed);
}

/* --- The model ------------------------------------------------------------------------------- */

#define MOST 3000
static struct stream_pending_entry model[MOST + 1];
static size_t count;
static struct stream_pending pending;

/* The index of the first entry that is at least the id. */
static size_t model_from(struct stream_id id) {
    size_t i = 0;
    while (i < count && stream_id_compare(model[i].id, id) < 0)
        i++;
    return i;
}

static struct stream_pending_entry *model_find(struct stream_id id) {
    size_t i = model_from(id);
    return i < count && stream_id_equal(model[i].id, id) ? &model[i] : NULL;
}

static void model_put(const struct stream_pending_entry *e) {
    size_t i = model_from(e->id);
    if (i == count || !stream_id_equal(model[i].id, e->id)) {
        memmove(&model[i + 1], &model[i], (count++ - i) * sizeof *model);
    }
    model[i] = *e;
}

static void model_remove(struct stream_pending_entry *e) {
    size_t i = (size_t)(e - model);
    memmove(e, e + 1, (--count - i) * sizeof *model);
}

static void assert_same(const struct stream_pending_entry *a, const struct stream_pending_entry *b) {
    assert_true(stream_id_equal(a->id, b->id));
    assert_int_equal(a->time_ms, b->time_ms);
    assert_int_equal(a->consumer, b->consumer);
    assert_int_equal(a->deliveries, b->deliveries);
}

/* --- Steps ----------------------------------------------------------------------------------- */

static size_t breadth; /* of the ids: few make many hits, many make many blocks */

static struct stream_id random_id(void) {
    return (struct stream_id){rand_below(breadth), rand_below(3)};
}

static void put(struct stream_id id, uint32_t consumers) {
    struct stream_pending_entry e = {id, (int64_t)rand_u64(), (uint32_t)rand_below(consumers), (uint32_t)rand_u64()};
    struct stream_pending_entry old, *known = model_find(id);
    assert_int_equal(stream_pending_put(&pending, &e, &old), known != NULL);
    if (known) assert_same(&old, known);
    model_put(&e);
}

static void take_out(struct stream_id id) {
    struct stream_pending_entry old, *known = model_find(id);
    assert_int_equal(stream_pending_remove(&pending, id, &old), known != NULL);
    if (!known) return;
    assert_same(&old, known);
    model_remove(known);
}

static void look_up(struct stream_id id) {
    struct stream_pending_entry e, *known = model_find(id);
    assert_int_equal(stream_pending_find(&pending, id, &e), known != NULL);
    if (known) assert_same(&e, known);
}

/* Walk, and change or drop some entries on the way. */
static void walk(uint32_t consumer, struct stream_id from, unsigned changes_of_ten, unsigned drops_of_ten) {
    struct stream_pending_cursor c;
    size_t i = model_from(from);
    stream_pending_start(&c, &pending, consumer, from);
    for (size_t steps = rand_below(300); steps > 0; steps--) {
        while (i < count && consumer != STREAM_PENDING_ANY && model[i].consumer != consumer)
            i++;
        assert_int_equal(stream_pending_next(&c), i < count);
        if (i == count) break;
        assert_same(&c.entry, &model[i]);
        if (rand_below(10) < changes_of_ten) {
            c.entry.time_ms++;
            c.entry.consumer = (uint32_t)rand_below(70);
            stream_pending_assign(&c);
            model[i++] = c.entry;
        } else if (rand_below(10) < drops_of_ten) {
            stream_pending_drop(&c);
            model_remove(&model[i]);
        } else {
            i++;
        }
    }
}

static void random_walk(void) {
    uint32_t consumer = rand_below(3) ? (uint32_t)rand_below(70) : STREAM_PENDING_ANY;
    walk(consumer, rand_below(3) ? random_id() : STREAM_ID_MIN, (unsigned)rand_below(4), (unsigned)rand_below(4));
}

static void step(void) {
    static const struct stream_id up = {1, 0};
    struct stream_id last = count ? model[count - 1].id : up;
    switch (rand_below(10)) {
    case 0:
    case 1:
    case 2:
    case 3: /* as a rule entries are added at the end */
        last.seq += 1 + rand_below(3);
        if (count < MOST) put(last, 70);
        break;
    case 4:
        if (count < MOST) put(random_id(), 70);
        break;
    case 5:
    case 6: take_out(random_id()); break;
    case 7:
        for (size_t n = rand_below(100); n > 0 && count > 0; n--)
            take_out(model[rand_below(3) ? 0 : rand_below(count)].id);
        break;
    case 8: look_up(count && rand_below(2) ? model[rand_below(count)].id : random_id()); break;
    default: random_walk();
    }
}

static void check_all(void) {
    stream_pending_check(&pending);
    assert_int_equal(pending.count, count);
    if (count == 0) return;
    assert_true(stream_id_equal(stream_pending_min(&pending), model[0].id));
    assert_true(stream_id_equal(stream_pending_max(&pending), model[count - 1].id));
}

static void equals_a_sorted_array(void **state) {
    (void)state;
    choose_seed();
    for (int round = 0; round < 30; round++) {
        breadth = (size_t)1 << rand_below(14);
        for (int i = 0; i < 4000; i++) {
            step();
            if (i % 16 == 0) check_all();
        }
        struct stream_pending copy;
        stream_pending_copy(&copy, &pending);
        stream_pending_free(&pending);
        pending = copy;
        check_all();
        if (rand_below(2)) {
            stream_pending_free(&pending);
            count = 0;
        }
    }
    stream_pending_free(&pending);
    count = 0;
}

static void takes_34_bytes_an_entry(void **state) {
    (void)state;
    struct stream_pending_entry e = {.consumer = 1};
    size_t n = 100000;
    for (size_t i = 0; i < n; i++) {
        e.id = (struct stream_id){1000 + i / 3, i % 3};
        stream_pending_put(&pending, &e, NULL);
    }
    assert_true(stream_pending_memory(&pending) < 34 * n);
    for (size_t i = 0; i < n; i++) {
        struct stream_pending_entry old;
        assert_true(stream_pending_remove(&pending, (struct stream_id){1000 + i / 3, i % 3}, &old));
    }
    assert_int_equal(stream_pending_memory(&pending), 0);
}

/* --- Groups ---------------------------------------------------------------------------------- */

static struct stream_consumer *some_consumer(struct stream_group *g) {
    char name[40];
    int n = sprintf(name, "consumer:%d", (int)rand_below(40));
    struct slice s = slice_of(name, (size_t)n);
    struct stream_consumer *c = stream_group_consumer(g, s);
    return c ? c : stream_group_add_consumer(g, s, 5);
}

/* Claim as XAUTOCLAIM does. */
static void claim_some(struct stream_group *g) {
    struct stream_consumer *c = some_consumer(g);
    struct stream_group_walk w;
    stream_group_walk(&w, g, NULL, (struct stream_id){rand_below(3000), 0});
    for (size_t i = rand_below(50); i > 0 && stream_group_walk_next(&w); i--) {
        if (rand_below(5) == 0) {
            stream_group_walk_drop(&w);
            continue;
        }
        w.nack.consumer = c;
        w.nack.deliveries++;
        stream_group_walk_assign(&w);
    }
}

static void a_group_counts_what_its_consumers_have(void **state) {
    (void)state;
    choose_seed();
    struct stream_group *g = stream_group_new(SLICE("group"), STREAM_ID_MIN, STREAM_UNREAD);
    for (int i = 0; i < 40000; i++) {
        struct stream_nack nack = {{rand_below(3000), rand_below(2)}, some_consumer(g), i, 1}, known;
        bool was_there = stream_group_nack(g, nack.id, &known);
        switch (rand_below(40)) {
        case 0: claim_some(g); break;
        case 1: {
            size_t had = nack.consumer->pending, all = stream_group_pending(g);
            assert_int_equal(stream_group_remove_consumer(g, nack.consumer), had);
            assert_int_equal(stream_group_pending(g), all - had);
            break;
        }
        case 2:
            if (rand_below(10)) break;
            struct stream_group *copy = stream_group_copy(g);
            stream_group_free(g);
            g = copy;
            break;
        default:
            if (i % 3 == 0)
                assert_int_equal(stream_group_ack(g, nack.id), was_there);
            else
                assert_int_equal(stream_group_deliver(g, &nack), !was_there);
        }
        if (i % 64 == 0) stream_group_check(g);
    }
    stream_group_free(g);
}

static void consumers_are_sorted_by_name(void **state) {
    (void)state;
    size_t bytes;
    struct stream_group *g = stream_group_new(SLICE(""), STREAM_ID_MIN, 0);
    assert_null(stream_group_sorted_consumers(g, &bytes));
    for (int i = 0; i < 200; i++) {
        char name[20];
        int n = sprintf(name, "%d", i * 7919 % 1000);
        stream_group_add_consumer(g, slice_of(name, (size_t)n), i);
    }
    struct stream_consumer **sorted = stream_group_sorted_consumers(g, &bytes);
    assert_int_equal(bytes, 200 * sizeof *sorted);
    for (int i = 1; i < 200; i++)
        assert_true(slice_compare(stream_group_consumer_name(sorted[i - 1]), stream_group_consumer_name(sorted[i])) <
                    0);
    stream_group_remove_consumer(g, sorted[50]);
    uint32_t index = sorted[51]->named.index;
    stream_group_remove_consumer(g, sorted[51]);
    assert_int_equal(stream_group_consumers(g), 198);
    stream_group_add_consumer(g, SLICE("a"), 1);
    assert_true(stream_group_add_consumer(g, SLICE("b"), 1)->named.index <= 199 && index < 200);
    stream_group_check(g);
    stream_group_free(g);
    alloc_put(sorted, bytes);
}

/* A snapshot tells first what is pending and then whose it is. */
static void each_entry_gets_one_consumer(void **state) {
    (void)state;
    struct stream_group *g = stream_group_new(SLICE("g"), STREAM_ID_MIN, 0);
    struct stream_consumer *c = stream_group_add_consumer(g, SLICE("c"), 0);
    struct stream_nack nack = {.id = {1, 1}, .deliveries = UINT64_MAX};
    assert_true(stream_group_expect(g, &nack));
    assert_false(stream_group_expect(g, &nack));
    nack.id.seq++;
    assert_true(stream_group_expect(g, &nack));
    assert_false(stream_group_own(g, c, (struct stream_id){1, 0}));
    assert_true(stream_group_own(g, c, (struct stream_id){1, 1}));
    assert_false(stream_group_own(g, c, (struct stream_id){1, 1}));
    assert_false(stream_group_all_owned(g));
    assert_true(stream_group_own(g, c, (struct stream_id){1, 2}));
    assert_true(stream_group_all_owned(g));
    assert_true(stream_group_nack(g, nack.id, &nack));
    assert_int_equal(nack.deliveries, UINT32_MAX);
    stream_group_free(g);
}

/* --- Figures --------------------------------------------------------------------------------- */

static double cpu_us(void) { /* other tests may run beside this */
    return (double)clock() * 1e6 / CLOCKS_PER_SEC;
}

/* The best of many rounds: other programs take the caches away. */
static void bench_history(struct stream_group *g, struct stream_consumer *c, const char *what) {
    struct stream_group_walk w;
    double best_us = 1e9;
    int n = 0;
    for (int i = 0; i < 300; i++) {
        double from = cpu_us();
        stream_group_walk(&w, g, c, STREAM_ID_MIN);
        for (n = 0; n < 10 && stream_group_walk_next(&w);)
            n++;
        if (cpu_us() - from < best_us) best_us = cpu_us() - from;
    }
    print_message("%s: %d entries in %.0f us\n", what, n, best_us);
}

static void bench(void) {
    struct stream_group *g = stream_group_new(SLICE("g"), STREAM_ID_MIN, 0);
    struct stream_consumer *many = stream_group_add_consumer(g, SLICE("many"), 0);
    struct stream_consumer *few = stream_group_add_consumer(g, SLICE("few"), 0);
    double from = cpu_us();
    for (uint64_t i = 0; i < 1000000; i++) {
        struct stream_nack nack = {{1000 + i / 7, i % 7}, i == 5 || i == 999990 ? few : many, 1, 1};
        stream_group_deliver(g, &nack);
    }
    print_message("deliver: %.1f ns\n", (cpu_us() - from) / 1000);
    bench_history(g, few, "two of a million");
    for (int i = 0; i < 30; i++) { /* all bits of `consumers` are set */
        char name[20];
        struct stream_consumer *c = stream_group_add_consumer(g, slice_of(name, (size_t)sprintf(name, "%d", i)), 0);
        for (uint64_t j = (uint64_t)i; j < 999980; j += 32) {
            struct stream_nack nack = {{1000 + j / 7, j % 7}, c, 1, 1};
            if (j != 5) stream_group_deliver(g, &nack);
        }
    }
    struct stream_consumer *last = stream_group_add_consumer(g, SLICE("last"), 0);
    struct stream_nack one = {{1000, 1}, last, 1, 1}, other = {{1000 + 999995 / 7, 999995 % 7}, last, 1, 1};
    stream_group_deliver(g, &one);
    stream_group_deliver(g, &other);
    bench_history(g, last, "two of a million, many consumers");
    from = cpu_us();
    for (uint64_t i = 0; i < 1000000; i++)
        stream_group_ack(g, (struct stream_id){1000 + i / 7, i % 7});
    print_message("ack in order: %.1f ns\n", (cpu_us() - from) / 1000);
    stream_group_free(g);
}

int main(int argc, char **argv) {
    clock_init();
    if (argc > 1 && strcmp(argv[1], "bench") == 0) {
        bench();
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_a_sorted_array),
        cmocka_unit_test(takes_34_bytes_an_entry),
        cmocka_unit_test(a_group_counts_what_its_consumers_have),
        cmocka_unit_test(consumers_are_sorted_by_name),
        cmocka_unit_test(each_entry_gets_one_consumer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
