/* Streams compared with an array of ids, by random steps, with nodes of all sizes. The pairs of an entry follow from
 * its id (stream_lab.h). To repeat a failed run, pass the SEED that it prints. The argument `bench` measures. */
#include "base/clock.h"
#include "base/rand.h"
#include "base/worker.h"
#include "store/stream_find.h"
#include "store/stream_lab.h"
#include "store/value.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static void choose_seed(void) {
    const char *given = getenv("SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    hash_seed(seed);
}

static void node_limits(int64_t bytes, int64_t entries) {
    stream_options = (struct stream_options){bytes, entries};
}

/* --- The model ------------------------------------------------------------------------------- */

#define MOST 4000
static struct stream_id ids[MOST + 1];
static size_t count;
static struct stream *s;
static struct stream_group *group;

static void start_over(void) {
    if (s) stream_free(s);
    s = stream_new();
    group = stream_add_group(s, SLICE("group"), STREAM_ID_MIN, STREAM_UNREAD);
    count = 0;
}

/* The index of the first id that is at least this. */
static size_t model_from(struct stream_id id) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (stream_id_compare(ids[middle], id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool model_has(struct stream_id id) {
    size_t i = model_from(id);
    return i < count && stream_id_equal(ids[i], id);
}

static void model_cut(size_t from, size_t n) {
    count -= n;
    memmove(&ids[from], &ids[from + n], (count - from) * sizeof *ids);
}

static struct stream_id random_id(void) {
    struct stream_id id = {rand_u64() >> rand_below(64), rand_u64() >> rand_below(64)};
    if (rand_below(10) == 0 || count == 0) return id;
    id = ids[rand_below(count)];
    if (rand_below(4) == 0) stream_id_up(&id);
    if (rand_below(4) == 0) stream_id_down(&id);
    return id;
}

/* --- Reading --------------------------------------------------------------------------------- */

static void assert_text(struct listpack_value v, struct slice expected) {
    char digits[NUM_I64_MAX];
    assert_true(slice_eq(listpack_value_text(v, digits), expected));
}

/* The iterator shows this entry. Some pairs may stay unread. */
static void assert_shows(struct stream_iter *it, struct stream_id id) {
    static struct stream_lab_entry e;
    struct listpack_value name, value;
    stream_lab_entry(&e, id);
    assert_true(stream_id_equal(it->id, id));
    assert_int_equal(it->pairs, e.count);
    size_t wanted = rand_below(4) ? e.count : rand_below(e.count + 1);
    for (size_t i = 0; i < wanted; i++) {
        assert_true(stream_iter_pair(it, &name, &value));
        assert_text(name, e.pairs[2 * i]);
        assert_text(value, e.pairs[2 * i + 1]);
    }
    if (wanted == e.count) assert_false(stream_iter_pair(it, &name, &value));
    if (rand_below(8) == 0) stream_iter_rewind(it);
}

static void read_range(bool backwards) {
    struct stream_iter it;
    struct stream_id from = rand_below(3) ? random_id() : STREAM_ID_MIN,
                     to = rand_below(3) ? random_id() : STREAM_ID_MAX;
    size_t low = model_from(from), high = model_from(to), steps = rand_below(10) ? rand_below(100) : MOST;
    if (model_has(to)) high++;
    stream_iter_start(&it, s, from, to, backwards);
    while (steps-- > 0) {
        assert_int_equal(stream_iter_next(&it), low < high);
        if (low >= high) break;
        assert_shows(&it, backwards ? ids[--high] : ids[low++]);
    }
}

static void find_some(void) {
    struct stream_iter it;
    struct stream_id id = random_id();
    stream_iter_open(&it, s);
    for (size_t n = rand_below(60); n > 0; n--) {
        bool found = stream_iter_find(&it, id);
        assert_int_equal(found, model_has(id));
        if (found) assert_shows(&it, id);
        if (rand_below(5) == 0)
            id = random_id();
        else if (rand_below(2))
            stream_id_up(&id);
        else if (model_from(id) + 3 < count)
            id = ids[model_from(id) + rand_below(3)];
    }
}

/* Deliver some entries, or set the group to another place. */
static void read_group(void) {
    struct stream_iter it;
    if (rand_below(8) == 0) {
        struct stream_id id = random_id();
        stream_group_set_id(group, id, stream_entries_up_to(s, id));
    }
    struct stream_id next = group->last_id;
    size_t i = stream_id_up(&next) ? model_from(next) : count;
    stream_iter_start_unread(&it, s, group);
    for (size_t n = rand_below(50); n > 0; n--) {
        assert_int_equal(stream_iter_next(&it), i < count);
        if (i == count) break;
        assert_shows(&it, ids[i++]);
        stream_advance(s, group, &it);
    }
}

/* A lag may be unknown, but is never wrong. */
static void check_lag(void) {
    uint64_t lag;
    struct stream_id next = group->last_id;
    size_t behind = stream_id_up(&next) ? count - model_from(next) : 0;
    if (stream_lag(s, group, &lag)) assert_int_equal(lag, behind);
}

/* --- Changing -------------------------------------------------------------------------------- */

static void append(void) {
    struct stream_id id;
    if (count == MOST || !stream_lab_next_id(s, &id)) return;
    stream_lab_append(s, id);
    ids[count++] = id;
}

static void delete (struct stream_id id) {
    bool is_there = model_has(id);
    assert_int_equal(stream_delete(s, id), is_there);
    if (is_there) model_cut(model_from(id), 1);
}

static void delete_many(void) {
    size_t every = 1 + rand_below(12), from = rand_below(count + 1), n = rand_below(300);
    for (size_t i = from; i < count && n > 0; n--) {
        if (rand_below(every))
            delete (ids[i]);
        else
            i++;
    }
}

static void trim(void) {
    struct stream_trim t = {.by = rand_below(2) ? STREAM_MAXLEN : STREAM_MINID, .approximate = rand_below(2)};
    t.max_length = count - (rand_below(4) ? rand_below(20) % (count + 1) : rand_below(count + 1));
    t.min = rand_below(4) && count > 30 ? ids[rand_below(30)] : random_id();
    if (t.approximate && rand_below(2)) t.limit = 1 + rand_below(200);
    size_t most = t.by == STREAM_MAXLEN ? count - t.max_length : model_from(t.min);
    uint64_t removed = stream_trim(s, &t);
    assert_true(removed <= most && (removed == most || t.approximate) && (t.limit == 0 || removed <= t.limit));
    model_cut(0, removed);
}

static void set_last_id(void) {
    struct stream_id id = random_id(), least = count ? ids[count - 1] : STREAM_ID_MIN;
    if (id.ms > UINT64_MAX / 2 || rand_below(3)) id = least;
    if (stream_id_compare(id, least) >= 0) stream_set_id(s, id, NULL, NULL);
}

static void swap_for_copy(void) {
    struct stream *copy = stream_copy(s);
    stream_free(s);
    s = copy;
    group = stream_group(s, SLICE("group"));
}

static void step(void) {
    switch (rand_below(40)) {
    case 0: delete_many(); break;
    case 1: trim(); break;
    case 2:
        if (rand_below(10) == 0) set_last_id();
        break;
    case 3:
        if (rand_below(20) == 0) swap_for_copy();
        break;
    case 4:
    case 5:
    case 6: delete (random_id()); break;
    case 7: read_range(false); break;
    case 8: read_range(true); break;
    case 9:
    case 10: find_some(); break;
    case 11:
    case 12: read_group(); break;
    default: append();
    }
}

static void check_all(void) {
    stream_check(s);
    assert_int_equal(s->length, count);
    assert_true(stream_id_equal(stream_first_id(s), count ? ids[0] : STREAM_ID_MIN));
    check_lag();
}

static void equals_an_array(void **state) {
    (void)state;
    static const int64_t bytes[] = {0, 1, 100, 400, 4096, 100000}, entries[] = {0, 1, 3, 20, 100, 1000};
    choose_seed();
    for (int round = 0; round < 40; round++) {
        node_limits(bytes[rand_below(6)], entries[rand_below(6)]);
        start_over();
        for (int i = 0; i < 2500; i++) {
            step();
            if (i % 32 == 0) check_all();
        }
    }
    stream_free(s);
    s = NULL;
}

/* --- Particulars ----------------------------------------------------------------------------- */

static void add_numbered(uint64_t from, uint64_t to) {
    struct slice pair[] = {SLICE("field"), SLICE("0123456789")};
    for (uint64_t ms = from; ms <= to; ms++)
        stream_append(s, (struct stream_id){ms, 0}, pair, 1);
}

static size_t memory(void) {
    return stream_ops.memory(s, STREAM_NODES, 0);
}

static void a_node_ends_where_it_ends_in_redis(void **state) {
    (void)state;
    node_limits(4096, 100);
    start_over();
    add_numbered(1, 100);
    assert_int_equal(s->used, 1);
    stream_delete(s, (struct stream_id){5, 0}); /* deleted entries count */
    add_numbered(101, 101);
    assert_int_equal(s->used, 2);
    for (uint64_t ms = 102; ms <= 160; ms++) { /* also when they were cut out */
        add_numbered(ms, ms);
        stream_delete(s, (struct stream_id){ms, 0});
    }
    assert_int_equal(stream_node_at(s, 1)->spent + stream_node_deleted(stream_node_at(s, 1)), 59);
    add_numbered(161, 200);
    assert_int_equal(s->used, 2);
    add_numbered(201, 201);
    assert_int_equal(s->used, 3);
    stream_check(s);
}

static void the_bytes_of_deleted_entries_count(void **state) {
    (void)state;
    node_limits(1000, 0);
    start_over();
    add_numbered(1, 100);
    uint64_t most = stream_node_live(stream_node_at(s, 0));
    start_over();
    for (uint64_t ms = 1; ms <= most; ms++) {
        add_numbered(ms, ms);
        if (ms > 1) stream_delete(s, (struct stream_id){ms, 0});
    }
    assert_true(s->used == 1 && stream_node_at(s, 0)->spent_bytes > 0);
    add_numbered(most + 1, most + 1);
    assert_int_equal(s->used, 2);
}

static void deleted_entries_are_cut_out(void **state) {
    (void)state;
    node_limits(4096, 100);
    start_over();
    add_numbered(1, 10000);
    size_t before = memory();
    for (uint64_t ms = 1; ms <= 10000; ms++) {
        if (ms % 10) stream_delete(s, (struct stream_id){ms, 0});
    }
    stream_check(s);
    assert_true(memory() < before / 5);
}

static void a_node_without_living_entries_goes(void **state) {
    (void)state;
    node_limits(4096, 5);
    start_over();
    add_numbered(1, 12);
    stream_delete(s, (struct stream_id){5, 0});
    /* The least id lies between the last living entry and the deleted one behind it. */
    assert_int_equal(stream_trim(s, &(struct stream_trim){.by = STREAM_MINID, .min = {5, 0}}), 4);
    assert_int_equal(s->used, 2);
    for (uint64_t ms = 6; ms <= 10; ms++)
        stream_delete(s, (struct stream_id){ms, 0});
    assert_int_equal(s->used, 1);
    stream_check(s);
}

static void ids_may_be_given_again(void **state) {
    (void)state;
    uint64_t lag;
    start_over();
    add_numbered(1, 9);
    stream_group_set_id(group, (struct stream_id){9, 0}, 9);
    stream_delete(s, (struct stream_id){9, 0});
    stream_set_id(s, (struct stream_id){8, 0}, NULL, NULL);
    add_numbered(9, 10);
    stream_check(s);
    assert_true(stream_has(s, (struct stream_id){9, 0}));
    assert_int_equal(s->length, 10);
    assert_true(stream_lag(s, group, &lag) && lag == 1); /* of 11 that were added, the group has not read 9 */
}

static void next_ids(void **state) {
    (void)state;
    struct stream_id id;
    start_over();
    assert_true(stream_next_seq(s, 0, &id) && id.ms == 0 && id.seq == 1);
    assert_true(stream_next_id(s, 7, &id) && id.ms == 7 && id.seq == 0);
    stream_set_id(s, (struct stream_id){7, UINT64_MAX}, NULL, NULL);
    assert_false(stream_next_seq(s, 7, &id));
    assert_false(stream_next_seq(s, 6, &id));
    assert_true(stream_next_id(s, 3, &id) && id.ms == 8 && id.seq == 0);
    stream_set_id(s, STREAM_ID_MAX, NULL, NULL);
    assert_false(stream_next_id(s, 3, &id));
}

static void a_group_knows_its_lag(void **state) {
    (void)state;
    uint64_t lag;
    node_limits(4096, 10);
    start_over();
    add_numbered(1, 1000);
    struct stream_iter it;
    stream_iter_start_unread(&it, s, group);
    for (int i = 0; i < 400 && stream_iter_next(&it); i++)
        stream_advance(s, group, &it);
    assert_int_equal(group->entries_read, 400);
    assert_true(stream_lag(s, group, &lag) && lag == 600);
    stream_delete(s, (struct stream_id){300, 0}); /* before the place of the group */
    assert_true(stream_lag(s, group, &lag) && lag == 600);
    stream_delete(s, (struct stream_id){500, 0}); /* behind it, and there is too much on both sides */
    assert_true(stream_lag(s, group, &lag) && lag == 599);
    stream_group_set_id(group, (struct stream_id){200, 0}, STREAM_UNREAD);
    assert_true(stream_lag(s, group, &lag) && lag == 798);
    add_numbered(1001, 2000);
    stream_group_set_id(group, (struct stream_id){1000, 0}, STREAM_UNREAD);
    stream_delete(s, (struct stream_id){1500, 0});
    assert_false(stream_lag(s, group, &lag));
    stream_trim(s, &(struct stream_trim){.by = STREAM_MAXLEN, .max_length = 50});
    assert_true(stream_lag(s, group, &lag) && lag == 50);
}

/* --- Figures --------------------------------------------------------------------------------- */

static void takes_few_bytes(void **state) {
    (void)state;
    struct slice pairs[] = {SLICE("field-0001"), SLICE("value-0001"), SLICE("field-0002"), SLICE("value-0002")};
    node_limits(4096, 100);
    start_over();
    stream_remove_group(s, group);
    stream_append(s, (struct stream_id){1700000000000, 0}, pairs, 2);
    assert_true(memory() <= 300);
    for (uint64_t i = 1; i < 10; i++)
        stream_append(s, (struct stream_id){1700000000000 + i, 0}, pairs, 2);
    assert_true(memory() <= 700);
    for (uint64_t i = 10; i < 50000; i++)
        stream_append(s, (struct stream_id){1700000000010 + i / 3, i % 3}, pairs, 2);
    assert_true(memory() <= 37 * 50000);
    size_t before = memory();
    for (int i = 0; i < 1000; i++) {
        char name[24];
        stream_add_group(s, slice_of(name, (size_t)sprintf(name, "group-%07d", i)), STREAM_ID_MIN, 0);
    }
    assert_true(memory() - before <= 120 * 1000);
    before = memory();
    group = stream_group(s, SLICE("group-0000007"));
    for (int i = 0; i < 1000; i++) {
        char name[24];
        stream_group_add_consumer(group, slice_of(name, (size_t)sprintf(name, "consumer-%07d", i)), 0);
    }
    assert_true(memory() - before <= 90 * 1000);
}

static void its_memory_is_what_it_frees(void **state) {
    (void)state;
    choose_seed();
    node_limits(400, 20);
    for (int i = 0; i < 30; i++) {
        struct stream *some = stream_lab_new(rand_below(1000)), *copy = stream_copy(some);
        struct stream *both[] = {some, copy};
        for (int k = 0; k < 2; k++) {
            size_t bytes = stream_ops.memory(both[k], STREAM_NODES, 0), before = alloc_used();
            stream_free(both[k]);
            assert_int_equal(before - alloc_used(), bytes);
        }
    }
}

static void bench(void) {
    struct slice pairs[] = {SLICE("field-0001"), SLICE("value-0001"), SLICE("field-0002"), SLICE("value-0002")};
    node_limits(4096, 100);
    start_over();
    clock_t from = clock();
    for (uint64_t i = 0; i < 1000000; i++)
        stream_append(s, (struct stream_id){1700000000000 + i / 7, i % 7}, pairs, 2);
    print_message("append: %.1f ns, %.2f bytes\n", (double)(clock() - from) / 1e6 * 1000, (double)memory() / 1e6);
    struct stream_iter it;
    struct listpack_value name, value;
    from = clock();
    for (int i = 0; i < 200000; i++) {
        stream_iter_start(&it, s, (struct stream_id){1700000000000 + rand_below(142000), 0}, STREAM_ID_MAX, false);
        for (int n = 0; n < 10 && stream_iter_next(&it); n++) {
            while (stream_iter_pair(&it, &name, &value)) {
            }
        }
    }
    print_message("range of 10: %.1f ns\n", (double)(clock() - from) / 200000 * 1000);
    from = clock();
    stream_iter_start_unread(&it, s, group);
    for (int i = 0; i < 500000; i++) {
        stream_iter_start_unread(&it, s, group);
        stream_iter_next(&it);
        stream_advance(s, group, &it);
    }
    print_message("read one for a group: %.1f ns\n", (double)(clock() - from) / 500000 * 1000);
    from = clock();
    for (uint64_t i = 0; i < 500000; i++)
        stream_delete(s, (struct stream_id){1700000000000 + i / 7, i % 7});
    print_message("delete in order: %.1f ns\n", (double)(clock() - from) / 500000 * 1000);
    from = clock();
    for (uint64_t i = 1000000; i < 1500000; i++) {
        stream_append(s, (struct stream_id){1700000000000 + i / 7, i % 7}, pairs, 2);
        stream_trim(s, &(struct stream_trim){.by = STREAM_MAXLEN, .max_length = 10000});
    }
    print_message("append and trim exactly: %.1f ns\n", (double)(clock() - from) / 500000 * 1000);
    stream_free(s);
}

int main(int argc, char **argv) {
    clock_init();
    if (argc > 1 && strcmp(argv[1], "bench") == 0) {
        bench();
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_an_array),
        cmocka_unit_test(a_node_ends_where_it_ends_in_redis),
        cmocka_unit_test(the_bytes_of_deleted_entries_count),
        cmocka_unit_test(deleted_entries_are_cut_out),
        cmocka_unit_test(a_node_without_living_entries_goes),
        cmocka_unit_test(ids_may_be_given_again),
        cmocka_unit_test(next_ids),
        cmocka_unit_test(a_group_knows_its_lag),
        cmocka_unit_test(takes_few_bytes),
        cmocka_unit_test(its_memory_is_what_it_frees),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (s) stream_free(s);
    return failed;
}
