/* ds/listpack: the published format at the limits of every encoding, random edits compared with an array of strings,
 * and damaged bytes. To repeat a failed run, pass the SEED that it prints. The argument `bench` runs the
 * micro-benchmark. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/rand.h"
#include "ds/listpack.h"
#include "seed.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* --- The format ------------------------------------------------------------------------------ */

/* Head of the entry for this text, and the length of its backlen. */
struct border {
    const char *text;
    const char *head;
    size_t head_len;
};

static void test_integer_borders(void **state) {
    (void)state;
    static const struct border borders[] = {
        {"0", "\x00", 1},
        {"127", "\x7f", 1},
        {"128", "\xc0\x80", 2},
        {"-1", "\xdf\xff", 2},
        {"4095", "\xcf\xff", 2},
        {"-4096", "\xd0\x00", 2},
        {"4096", "\xf1\x00\x10", 3},
        {"-4097", "\xf1\xff\xef", 3},
        {"32767", "\xf1\xff\x7f", 3},
        {"-32768", "\xf1\x00\x80", 3},
        {"32768", "\xf2\x00\x80\x00", 4},
        {"-32769", "\xf2\xff\x7f\xff", 4},
        {"8388607", "\xf2\xff\xff\x7f", 4},
        {"-8388608", "\xf2\x00\x00\x80", 4},
        {"8388608", "\xf3\x00\x00\x80\x00", 5},
        {"-8388609", "\xf3\xff\xff\x7f\xff", 5},
        {"2147483647", "\xf3\xff\xff\xff\x7f", 5},
        {"-2147483648", "\xf3\x00\x00\x00\x80", 5},
        {"2147483648", "\xf4\x00\x00\x00\x80\x00\x00\x00\x00", 9},
        {"-2147483649", "\xf4\xff\xff\xff\x7f\xff\xff\xff\xff", 9},
        {"9223372036854775807", "\xf4\xff\xff\xff\xff\xff\xff\xff\x7f", 9},
        {"-9223372036854775808", "\xf4\x00\x00\x00\x00\x00\x00\x00\x80", 9},
        {"-0", "\x82-0", 3},
        {"01", "\x82\x30\x31", 3},
        {"+1", "\x82+1", 3},
        {"1 ", "\x82\x31 ", 3},
        {"-", "\x81-", 2},
        {"", "\x80", 1},
        {"9223372036854775808",
         "\x93"
         "9223372036854775808",
         20},
    };
    for (size_t i = 0; i < sizeof borders / sizeof *borders; i++) {
        const struct border *b = &borders[i];
        uint8_t lp[64];
        listpack_init(lp);
        struct listpack_item item = listpack_item(slice_cstr(b->text));
        uint8_t *at = listpack_append(lp, &item);
        assert_memory_equal(at, b->head, b->head_len);
        assert_int_equal(at[b->head_len], b->head_len); /* the backlen */
        assert_int_equal(at[b->head_len + 1], LISTPACK_END);
        assert_int_equal(listpack_bytes(lp), LISTPACK_EMPTY + b->head_len + 1);
        assert_int_equal(listpack_count(lp), 1);
        assert_int_equal(listpack_check(lp, listpack_bytes(lp), NULL, NULL), LISTPACK_GOOD);
        char scratch[NUM_I64_MAX];
        assert_true(slice_eq(listpack_text(at, scratch), slice_cstr(b->text)));
        assert_true(listpack_next(at) == listpack_end(lp) && listpack_prev(lp, listpack_end(lp)) == at);
    }
}

static void test_string_borders(void **state) {
    (void)state;
    static const struct {
        size_t len;
        const char *head, *backlen;
        size_t head_len, backlen_len;
    } borders[] = {
        {1, "\x81", "\x02", 1, 1},
        {63, "\xbf", "\x40", 1, 1},
        {64, "\xe0\x40", "\x42", 2, 1},
        {125, "\xe0\x7d", "\x7f", 2, 1},
        {126, "\xe0\x7e", "\x01\x80", 2, 2},
        {4095, "\xef\xff", "\x20\x81", 2, 2},
        {4096, "\xf0\x00\x10\x00\x00", "\x20\x85", 5, 2},
        {16377, "\xf0\xf9\x3f\x00\x00", "\x7f\xfe", 5, 2},
        {16378, "\xf0\xfa\x3f\x00\x00", "\x00\xff\xff", 5, 3}, /* 16383 would fit in two bytes */
        {2097149, "\xf0\xfd\xff\x1f\x00", "\x01\x80\x80\x82", 5, 4},
        {2097145, "\xf0\xf9\xff\x1f\x00", "\x7f\xff\xfe", 5, 3},
        {2097146, "\xf0\xfa\xff\x1f\x00", "\x00\xff\xff\xff", 5, 4},
        {268435449, "\xf0\xf9\xff\xff\x0f", "\x7f\xff\xff\xfe", 5, 4},
        {268435450, "\xf0\xfa\xff\xff\x0f", "\x00\xff\xff\xff\xff", 5, 5},
    };
    size_t room = 268435450 + 64;
    char *text = alloc_zero(room);
    uint8_t *lp = alloc_get(room);
    for (size_t i = 0; i < sizeof borders / sizeof *borders; i++) {
        listpack_init(lp);
        struct listpack_item item = listpack_item(slice_of(text, borders[i].len));
        uint8_t *at = listpack_append(lp, &item);
        size_t n = borders[i].head_len + borders[i].len;
        assert_memory_equal(at, borders[i].head, borders[i].head_len);
        assert_memory_equal(at + n, borders[i].backlen, borders[i].backlen_len);
        assert_int_equal(listpack_bytes(lp), LISTPACK_EMPTY + n + borders[i].backlen_len);
        assert_int_equal(listpack_check(lp, listpack_bytes(lp), NULL, NULL), LISTPACK_GOOD);
        assert_ptr_equal(listpack_prev(lp, listpack_end(lp)), at);
        assert_ptr_equal(listpack_next(at), listpack_end(lp));
        assert_int_equal(listpack_get(at).len, borders[i].len);
        assert_true(listpack_equal(at, &item));
    }
    alloc_put(text, room);
    alloc_put(lp, room);
}

static void test_uncounted(void **state) {
    (void)state;
    size_t n = 70000, room = LISTPACK_EMPTY + 2 * n + 16;
    struct listpack_item more = listpack_item_int(1);
    uint8_t *lp = alloc_get(room);
    listpack_init(lp);
    for (size_t i = 0; i < n; i++) {
        struct listpack_item item = listpack_item_int((int64_t)i & 127);
        listpack_append(lp, &item);
        assert_int_equal(listpack_count(lp), i < 65536 || i % 4096 == 0 ? i + 1 : listpack_count(lp));
    }
    assert_int_equal(lp[4] | lp[5] << 8, LISTPACK_UNCOUNTED);
    assert_int_equal(listpack_count(lp), n);
    assert_int_equal(listpack_check(lp, listpack_bytes(lp), NULL, NULL), LISTPACK_GOOD);
    assert_int_equal(listpack_get(listpack_seek(lp, 69999)).number, 69999 & 127);
    assert_int_equal(listpack_get(listpack_seek(lp, -70000)).number, 0);
    assert_null(listpack_seek(lp, 70000));
    assert_null(listpack_seek(lp, -70001));
    assert_null(listpack_seek(lp, INT64_MIN));
    listpack_extend(lp, listpack_put(listpack_end(lp), &more), 1);
    assert_int_equal(listpack_count(lp), n + 1);
    listpack_remove(lp, listpack_first(lp), 69991);
    assert_int_equal(listpack_count(lp), 10);
    assert_int_equal(listpack_check(lp, listpack_bytes(lp), NULL, NULL), LISTPACK_GOOD);
    alloc_put(lp, room);
}

/* --- Against a model ------------------------------------------------------------------------- */

#define ROOM 200000
#define MOST 200
struct model {
    size_t count;
    struct slice items[MOST + 2]; /* malloc'ed */
};
static struct model m;
static uint8_t block[2 * ROOM], *lp = block + ROOM; /* with room in front, too */
static const size_t lengths[] = {0,   1,   2,   5,   11,   20,   62,   63,    64,   125,
                                 126, 127, 128, 300, 4094, 4095, 4096, 16377, 16378};

static struct slice random_text(void) {
    char *p = malloc(17000);
    size_t len;
    if (rand_below(2)) {
        int64_t n = (int64_t)(rand_u64() >> rand_below(64));
        if (rand_below(4) == 0) n = (int64_t)((UINT64_C(1) << rand_below(64)) - rand_below(2));
        if (rand_below(2)) n = (int64_t) - (uint64_t)n;
        len = (size_t)num_print_i64(p, n);
        if (rand_below(16) == 0) p[len++] = (char)('0' + rand_below(10));
    } else {
        len = lengths[rand_below(rand_below(8) ? 12 : sizeof lengths / sizeof *lengths)];
        unsigned letters = rand_below(2) ? 2 : 256;
        for (size_t i = 0; i < len; i++)
            p[i] = (char)(rand_below(letters) + (letters == 2 ? 'a' : 0));
    }
    return slice_of(p, len);
}

static void model_insert(size_t at, struct slice text) {
    memmove(m.items + at + 1, m.items + at, (m.count - at) * sizeof *m.items);
    m.items[at] = text;
    m.count++;
}
static void model_remove(size_t at, size_t n) {
    for (size_t i = at; i < at + n; i++)
        free((char *)m.items[i].ptr);
    memmove(m.items + at, m.items + at + n, (m.count - at - n) * sizeof *m.items);
    m.count -= n;
}

static void verify(void) {
    char scratch[NUM_I64_MAX];
    uint8_t *at = listpack_first(lp), *before = NULL;
    for (size_t i = 0; i < m.count; i++) {
        assert_false(listpack_at_end(at));
        assert_true(slice_eq(listpack_text(at, scratch), m.items[i]));
        assert_ptr_equal(listpack_prev(lp, at), before);
        before = at;
        at = listpack_next(at);
    }
    assert_ptr_equal(at, listpack_end(lp));
    assert_int_equal(listpack_count(lp), m.count);
    assert_int_equal(listpack_check(lp, listpack_bytes(lp), NULL, NULL), LISTPACK_GOOD);
}

static void random_insert(void) {
    struct slice text = random_text();
    if (m.count >= MOST || listpack_bytes(lp) + text.len + 20 > ROOM / 2) return free((char *)text.ptr);
    struct listpack_item item = listpack_item(text);
    size_t at = rand_below(m.count + 1), bytes = listpack_bytes(lp);
    if (rand_below(4) == 0 && lp - block > 20000) {
        at = 0;
        lp = listpack_push_front(lp, &item);
    } else {
        listpack_insert(lp, at == m.count ? listpack_end(lp) : listpack_seek(lp, (int64_t)at), &item);
    }
    assert_int_equal(listpack_bytes(lp), bytes + listpack_item_bytes(&item));
    model_insert(at, text);
}

static void random_append_many(void) {
    uint8_t *end = listpack_end(lp);
    size_t added = 0, bytes = listpack_bytes(lp);
    for (size_t n = rand_below(10); n > 0 && m.count < MOST; n--) {
        struct slice text = random_text();
        if (bytes + text.len + 20 > ROOM / 2) {
            free((char *)text.ptr);
            break;
        }
        struct listpack_item item = listpack_item(text);
        bytes += listpack_item_bytes(&item);
        end = listpack_put(end, &item);
        model_insert(m.count, text);
        added++;
    }
    listpack_extend(lp, end, added);
    assert_int_equal(listpack_bytes(lp), bytes);
}

static void random_remove(void) {
    size_t at = rand_below(m.count + 1), n = rand_below(rand_below(8) ? 2 : m.count - at + 1);
    if (n > m.count - at) n = m.count - at;
    if (rand_below(4) == 0) {
        uint8_t *to = n == m.count ? listpack_end(lp) : listpack_seek(lp, (int64_t)n);
        if (n > m.count) return;
        lp = listpack_drop_front(lp, to, n);
        at = 0;
    } else {
        uint8_t *p = at == m.count ? listpack_end(lp) : listpack_seek(lp, (int64_t)at - (int64_t)m.count);
        listpack_remove(lp, p, n);
    }
    model_remove(at, n);
    /* Keep the listpack in the middle of the block. */
    if (lp - block < 20000 || lp - block > ROOM + 50000) lp = memmove(block + ROOM, lp, listpack_bytes(lp));
}

static void random_replace(void) {
    if (m.count == 0) return;
    struct slice text = random_text();
    size_t at = rand_below(m.count), bytes = listpack_bytes(lp);
    uint8_t *p = listpack_seek(lp, (int64_t)at);
    struct listpack_item item = listpack_item(text);
    ptrdiff_t growth = listpack_replace_growth(p, &item);
    if ((ptrdiff_t)bytes + growth > ROOM / 2) return free((char *)text.ptr);
    assert_ptr_equal(listpack_replace(lp, p, &item), p);
    assert_int_equal(listpack_bytes(lp), (ptrdiff_t)bytes + growth);
    free((char *)m.items[at].ptr);
    m.items[at] = text;
}

static void random_find(void) {
    struct slice text = random_text();
    if (m.count > 0 && rand_below(2)) {
        struct slice old = m.items[rand_below(m.count)];
        text.len = old.len;
        memcpy((char *)text.ptr, old.ptr, old.len);
    }
    struct listpack_item item = listpack_item(text);
    unsigned stride = 1 + (unsigned)rand_below(3);
    size_t from = rand_below(m.count + 1), i = from;
    const uint8_t *p = from == m.count ? listpack_end(lp) : listpack_seek(lp, (int64_t)from);
    p = listpack_find(p, &item, stride);
    while (i < m.count && !slice_eq(m.items[i], text))
        i += stride;
    assert_ptr_equal(p, i < m.count ? listpack_seek(lp, (int64_t)i) : NULL);
    free((char *)text.ptr);
}

static void random_remove_equal(void) {
    if (m.count == 0) return;
    struct slice text = m.items[rand_below(m.count)];
    char copy[17000];
    memcpy(copy, text.ptr, text.len);
    text.ptr = copy;
    struct listpack_item item = listpack_item(text);
    size_t skip = rand_below(3), max = rand_below(4), left = max, seen = 0;
    size_t removed = listpack_remove_equal(lp, &item, skip, max);
    for (size_t i = 0; i < m.count && left > 0;) {
        if (slice_eq(m.items[i], text) && seen++ >= skip) {
            model_remove(i, 1);
            left--;
        } else {
            i++;
        }
    }
    assert_int_equal(removed, max - left);
}

static void random_split_and_join(void) {
    static uint8_t other[ROOM];
    size_t at = rand_below(m.count + 1);
    listpack_split(lp, at == m.count ? listpack_end(lp) : listpack_seek(lp, (int64_t)at), other);
    assert_int_equal(listpack_count(lp), at);
    assert_int_equal(listpack_count(other), m.count - at);
    assert_int_equal(listpack_check(lp, listpack_bytes(lp), NULL, NULL), LISTPACK_GOOD);
    assert_int_equal(listpack_check(other, listpack_bytes(other), NULL, NULL), LISTPACK_GOOD);
    listpack_join(lp, other);
}

static uint64_t choose_seed(void) {
    uint64_t seed = seed_of_run();
    print_message("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    return seed;
}

static void test_model(void **state) {
    (void)state;
    choose_seed();
    listpack_init(lp);
    for (size_t round = 0; round < 1000000; round++) {
        switch (rand_below(16)) {
        case 0: random_replace(); break;
        case 1: random_remove_equal(); break;
        case 2:
            if (rand_below(8) == 0) random_split_and_join();
            break;
        case 3:
        case 4:
        case 5:
        case 6: random_remove(); break;
        case 7:
        case 8:
        case 9: random_find(); break;
        case 10: random_append_many(); break;
        default: random_insert();
        }
        if (round % 64 == 0) verify();
    }
    model_remove(0, m.count);
}

/* --- Damage ---------------------------------------------------------------------------------- */

/* What has passed the check must be readable: forward, backward, every value, and again after tidying. The copy has
 * exactly its size, so that the address sanitizer sees a step beyond it. */
static enum listpack_state check_and_read(const uint8_t *bytes, size_t n) {
    uint8_t *copy = malloc(n ? n : 1);
    memcpy(copy, bytes, n);
    enum listpack_state state = listpack_check(copy, n, NULL, NULL);
    if (state != LISTPACK_BROKEN) {
        char scratch[NUM_I64_MAX];
        size_t count = 0, back = 0, sum = 0;
        for (const uint8_t *at = listpack_first(copy); !listpack_at_end(at); at = listpack_next(at), count++) {
            struct slice s = listpack_text(at, scratch);
            for (size_t i = 0; i < s.len; i++)
                sum += (uint8_t)s.ptr[i];
        }
        for (const uint8_t *at = listpack_end(copy); (at = listpack_prev(copy, at));)
            back++;
        assert_int_equal(count, back);
        listpack_tidy(copy);
        assert_int_equal(listpack_check(copy, listpack_bytes(copy), NULL, NULL), LISTPACK_GOOD);
        size_t tidy_sum = 0;
        for (const uint8_t *at = listpack_first(copy); !listpack_at_end(at); at = listpack_next(at)) {
            struct slice s = listpack_text(at, scratch);
            for (size_t i = 0; i < s.len; i++)
                tidy_sum += (uint8_t)s.ptr[i];
        }
        assert_int_equal(sum, tidy_sum);
    }
    free(copy);
    return state;
}

static void build_sample(size_t most) {
    m.count = 0;
    lp = block + ROOM;
    listpack_init(lp);
    while (m.count < most)
        random_insert();
    model_remove(0, m.count);
}

/* Every byte of a sample gets every value. */
static void test_every_byte(void **state) {
    (void)state;
    choose_seed();
    size_t broken = 0, loose = 0, good = 0;
    build_sample(12);
    while (listpack_bytes(lp) > 6000)
        build_sample(12);
    size_t n = listpack_bytes(lp);
    for (size_t i = 0; i < n; i++) {
        uint8_t was = lp[i];
        for (unsigned value = 0; value < 256; value++) {
            lp[i] = (uint8_t)value;
            enum listpack_state found = check_and_read(lp, n);
            (*(found == LISTPACK_BROKEN ? &broken : found == LISTPACK_LOOSE ? &loose : &good))++;
        }
        lp[i] = was;
    }
    for (size_t i = 0; i < n; i++) /* cut off at every place */
        assert_int_equal(check_and_read(lp, i), LISTPACK_BROKEN);
    print_message("%zu bytes: %zu broken, %zu loose, %zu good\n", n, broken, loose, good);
}

static void test_random_damage(void **state) {
    (void)state;
    choose_seed();
    for (size_t round = 0; round < 3000; round++) {
        build_sample(1 + rand_below(20));
        size_t n = listpack_bytes(lp);
        for (size_t i = 0; i < 30; i++) {
            uint8_t saved[8], *where[8];
            size_t damaged = 1 + rand_below(8);
            for (size_t k = 0; k < damaged; k++) {
                where[k] = lp + (rand_below(4) ? rand_below(n) : rand_below(n < 20 ? n : 20));
                saved[k] = *where[k];
                *where[k] = (uint8_t)(rand_below(2) ? rand_u64() : 0xf0 + rand_below(16));
            }
            check_and_read(lp, n);
            while (damaged-- > 0)
                *where[damaged] = saved[damaged];
        }
        assert_int_equal(check_and_read(lp, n), LISTPACK_GOOD);
    }
}

static bool refuse_third(void *ctx, const uint8_t *at, size_t index) {
    assert_ptr_equal(at, listpack_seek(ctx, (int64_t)index));
    return index < 2;
}

static void test_loose_and_visit(void **state) {
    (void)state;
    /* 5 as a 64-bit integer, "7" and "-300" as strings, "ab" with a 32-bit length, and "x" in its right form. */
    static const uint8_t loose[] = "\x2a\0\0\0\x05\0"
                                   "\xf4\x05\0\0\0\0\0\0\0\x09"
                                   "\x81\x37\x02"
                                   "\x84-300\x05"
                                   "\xf0\x02\0\0\0ab\x07"
                                   "\x81x\x02"
                                   "\xff";
    uint8_t copy[sizeof loose];
    size_t n = sizeof loose - 1;
    memcpy(copy, loose, sizeof loose);
    copy[0] = (uint8_t)n;
    assert_int_equal(listpack_check(copy, n, NULL, NULL), LISTPACK_LOOSE);
    assert_int_equal(listpack_check(copy, n, refuse_third, copy), LISTPACK_BROKEN);
    listpack_tidy(copy);
    assert_memory_equal(copy,
                        "\x15\0\0\0\x05\0\x05\x01\x07\x01\xde\xd4\x02\x82"
                        "ab\x03\x81x\x02\xff",
                        0x15);
    assert_int_equal(listpack_check(copy, listpack_bytes(copy), NULL, NULL), LISTPACK_GOOD);
}

/* --- Micro-benchmark ------------------------------------------------------------------------- */

static uint64_t now_ns(void) {
    return (uint64_t)clock_mono_us() * 1000;
}

static void bench_walk(const char *what, bool numbers) {
    listpack_init(lp);
    for (int i = 0; i < 100; i++) {
        char text[32];
        int n = snprintf(text, sizeof text, numbers ? "%d" : "field:%06d....", i * 7);
        struct listpack_item item = listpack_item(slice_of(text, (size_t)n));
        listpack_append(lp, &item);
    }
    size_t sum = 0, rounds = 100000;
    uint64_t start = now_ns();
    for (size_t r = 0; r < rounds; r++) {
        for (const uint8_t *at = listpack_first(lp); !listpack_at_end(at); at = listpack_next(at)) {
            struct listpack_value v = listpack_get(at);
            sum += v.ptr ? v.len + (uint8_t)v.ptr[0] : (size_t)v.number;
        }
        __asm__ volatile("" ::: "memory");
    }
    double ns = (double)(now_ns() - start);
    printf("%s: walk %.2f ns an element", what, ns / (double)(rounds * 100));
    start = now_ns();
    for (size_t r = 0; r < rounds; r++)
        sum += listpack_check(lp, listpack_bytes(lp), NULL, NULL);
    printf(", check %.2f", (double)(now_ns() - start) / (double)(rounds * 100));
    struct listpack_item last = listpack_item(SLICE("field:000693...."));
    start = now_ns();
    for (size_t r = 0; r < rounds; r++)
        sum += listpack_find(listpack_first(lp), &last, 1) != NULL;
    ns = (double)(now_ns() - start);
    printf(", find %.2f ns an element (%zu)\n", ns / (double)(rounds * 100), sum & 1);
}

static void bench_append(void) {
    size_t rounds = 20000;
    uint64_t start = now_ns();
    for (size_t r = 0; r < rounds; r++) {
        listpack_init(lp);
        for (int i = 0; i < 400; i++) {
            struct listpack_item item = listpack_item(SLICE("sixteen bytes..."));
            listpack_append(lp, &item);
        }
    }
    printf("append %.1f ns\n", (double)(now_ns() - start) / (double)(rounds * 400));
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "bench") == 0) {
        bench_walk("strings of 16", false);
        bench_walk("small integers", true);
        bench_append();
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integer_borders), cmocka_unit_test(test_string_borders),
        cmocka_unit_test(test_uncounted),       cmocka_unit_test(test_loose_and_visit),
        cmocka_unit_test(test_model),           cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_random_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
