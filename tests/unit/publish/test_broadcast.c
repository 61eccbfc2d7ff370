/* Broadcasting: overlaps are found as plain comparison finds them, and a random history of listeners and changes sends
 * what a model sends. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/rand.h"
#include "publish/broadcast.h"
#include "seed.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct buf sent; /* "a,b, -> x y; " a message: its keys, and the owners in the order in which they got it */

static void note_message(struct slice list, struct broadcast_listener *const *to, size_t n) {
    const char *p = list.ptr;
    size_t keys = strtoull(p + 1, NULL, 10);
    assert_true(list.len > 0 && *p == '*' && keys > 0);
    for (p = strchr(p, '\n') + 1; keys > 0; keys--) {
        size_t len = strtoull(p + 1, NULL, 10);
        p = strchr(p, '\n') + 1;
        buf_append(&sent, p, len);
        buf_append(&sent, ",", 1);
        p += len + 2;
    }
    assert_ptr_equal(p, list.ptr + list.len);
    buf_append_cstr(&sent, " ->");
    for (size_t i = 0; i < n; i++)
        buf_printf(&sent, " %s", (const char *)to[i]->owner);
    buf_append_cstr(&sent, "; ");
}

static void expect_sent(const char *expected) {
    broadcast_send(note_message);
    assert_false(broadcast_is_pending());
    if (!slice_eq(buf_slice(&sent), slice_cstr(expected)))
        fail_msg("sent \"%.*s\", not \"%s\"", (int)sent.len, sent.data ? sent.data : "", expected);
    buf_free(&sent);
}

static void note(const char *name, uint64_t author) {
    struct key key = key_of(slice_cstr(name));
    broadcast_note(&key, author);
}

static void join(struct broadcast_listener *l, const char *prefix) {
    struct slice given = slice_cstr(prefix);
    broadcast_join(l, &given, 1);
}

static void changes_go_to_the_listeners_of_their_prefixes(void **state) {
    (void)state;
    size_t used = alloc_used();
    struct broadcast_listener x = {.owner = "x"}, y = {.owner = "y"};
    note("user:1", 0);
    assert_false(broadcast_is_pending()); /* there are no listeners */
    join(&x, "user:");
    join(&y, "user:");
    join(&y, "item:");
    assert_int_equal(broadcast_prefixes(), 2);
    note("use", 0);
    note("other", 0);
    assert_false(broadcast_is_pending());
    note("user:2", 0);
    note("item:1", 0);
    note("user:1", 0);
    note("user:2", 0);
    assert_true(broadcast_is_pending());
    expect_sent("item:1, -> y; user:1,user:2, -> x y; ");
    expect_sent("");
    broadcast_leave(&x);
    note("user:1", 0);
    expect_sent("user:1, -> y; ");
    broadcast_leave(&y);
    assert_int_equal(broadcast_prefixes(), 0);
    note("user:1", 0);
    expect_sent("");
    assert_int_equal(alloc_used(), used);
}

static void a_listener_may_be_spared_its_own_changes(void **state) {
    (void)state;
    struct broadcast_listener x = {.owner = "x", .spared = 7}, y = {.owner = "y"};
    join(&x, "");
    join(&y, "");
    note("mine", 7);
    note("other", 8);
    note("first-mine", 7);
    note("first-mine", 8); /* the last author counts */
    note("nobody", 0);
    expect_sent("first-mine,nobody,other, -> x; first-mine,mine,nobody,other, -> y; ");
    note("mine", 7);
    expect_sent("mine, -> y; ");
    broadcast_leave(&x);
    broadcast_leave(&y);
}

/* Changes that were noted for a prefix go with its last listener. */
static void what_is_noted_for_nobody_is_not_sent(void **state) {
    (void)state;
    size_t used = alloc_used();
    struct broadcast_listener x = {.owner = "x"}, y = {.owner = "y"};
    join(&x, "a");
    join(&y, "b");
    note("a", 0);
    note("b", 0);
    broadcast_leave(&x);
    expect_sent("b, -> y; ");
    note("b", 0);
    broadcast_leave(&y);
    expect_sent("");
    assert_int_equal(alloc_used(), used);
}

static void prefixes_are_kept_in_order(void **state) {
    (void)state;
    struct broadcast_listener x = {.owner = "x"};
    struct slice given[] = {SLICE("c"), SLICE("a"), SLICE("bb")};
    assert_int_equal(broadcast_memory(&x), 0);
    broadcast_join(&x, given, 3);
    join(&x, "ab");
    join(&x, "");
    join(&x, ""); /* the one that may be given twice */
    static const char *const expected[] = {"", "a", "ab", "bb", "c"};
    assert_int_equal(x.count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_true(slice_eq(broadcast_prefix(&x, i), slice_cstr(expected[i])));
    assert_true(broadcast_memory(&x) > 0);
    broadcast_leave(&x);
    assert_int_equal(broadcast_memory(&x), 0);
}

/* --- Overlaps -------------------------------------------------------------------------------- */

static bool overlap(struct slice a, struct slice b) {
    size_t n = a.len < b.len ? a.len : b.len;
    return memcmp(a.ptr, b.ptr, n) == 0;
}

/* The first given prefix that overlaps with one of the listener's or with a later one. */
static bool plain_overlaps(const struct broadcast_listener *l, const struct slice *given, size_t n, size_t *first,
                           bool *is_new) {
    for (*first = 0; *first < n; (*first)++) {
        *is_new = false;
        for (size_t i = 0; i < l->count; i++)
            if (overlap(given[*first], broadcast_prefix(l, i))) return true;
        *is_new = true;
        for (size_t i = *first + 1; i < n; i++)
            if (overlap(given[*first], given[i])) return true;
    }
    return false;
}

static struct slice random_text(char room[4]) {
    size_t len = rand_below(4);
    for (size_t i = 0; i < len; i++)
        room[i] = (char)('a' + rand_below(3));
    return slice_of(room, len);
}

static void overlaps_are_found_as_by_comparing_all(void **state) {
    (void)state;
    int found = 0;
    size_t used = alloc_used();
    for (int round = 0; round < 20000; round++) {
        char rooms[8][4];
        struct slice given[8];
        struct broadcast_listener l = {.owner = "l"};
        struct broadcast_overlap got;
        size_t n = rand_below(5), first;
        bool is_new;
        for (size_t i = 0; i < rand_below(4); i++) {
            struct slice own = random_text(rooms[0]);
            if (!broadcast_overlaps(&l, &own, 1, &got)) broadcast_join(&l, &own, 1);
        }
        if (rand_below(4) == 0) join(&l, "");
        for (size_t i = 0; i < n; i++)
            given[i] = random_text(rooms[i]);
        bool expected = plain_overlaps(&l, given, n, &first, &is_new);
        assert_int_equal(broadcast_overlaps(&l, given, n, &got), expected);
        if (expected) {
            found++;
            assert_ptr_equal(got.prefix.ptr, given[first].ptr);
            assert_int_equal(got.is_new, is_new);
            assert_true(overlap(got.prefix, got.other));
            assert_true(got.other.ptr != got.prefix.ptr);
        }
        broadcast_leave(&l);
    }
    assert_int_equal(alloc_used(), used);
    assert_true(found > 2000 && found < 18000);
}

/* --- A model --------------------------------------------------------------------------------- */

enum { LISTENERS = 6, PREFIXES = 7, KEYS = 8 };
static const char *const prefixes[PREFIXES] = {"", "a", "ab", "abc", "b", "ba", "c"};  /* in their order */
static const char *const keys[KEYS] = {"", "a", "ab", "aba", "abcd", "ba", "bb", "d"}; /* in their order */
static const char *const names[LISTENERS] = {"0", "1", "2", "3", "4", "5"};

static struct broadcast_listener listeners[LISTENERS];
static bool has[LISTENERS][PREFIXES];
static bool noted[PREFIXES][KEYS]; /* for the listeners that there were then */
static int order[PREFIXES][LISTENERS], members[PREFIXES];
static uint64_t authors[KEYS];

static void expect_list(int prefix, uint64_t spared, const char *to, struct buf *out) {
    struct buf list = {0};
    for (int k = 0; k < KEYS; k++)
        if (noted[prefix][k] && (spared == 0 || authors[k] != spared)) buf_printf(&list, "%s,", keys[k]);
    if (list.len) buf_printf(out, "%.*s ->%s; ", (int)list.len, list.data, to);
    buf_free(&list);
}

static void send_and_compare(void) {
    struct buf expected = {0};
    for (int p = 0; p < PREFIXES; p++) {
        char all[32] = "";
        for (int i = 0; i < members[p]; i++) {
            char one[8];
            snprintf(one, sizeof one, " %d", order[p][i]);
            if (listeners[order[p][i]].spared)
                expect_list(p, listeners[order[p][i]].spared, one, &expected);
            else
                strcat(all, one);
        }
        if (all[0]) expect_list(p, 0, all, &expected);
    }
    buf_append(&expected, "", 1);
    expect_sent(expected.data);
    buf_free(&expected);
    memset(noted, 0, sizeof noted);
}

static void join_and_note(int l, int p) {
    struct slice given = slice_cstr(prefixes[p]);
    struct broadcast_overlap o;
    if (broadcast_overlaps(&listeners[l], &given, 1, &o)) return;
    send_and_compare(); /* as tracking does: earlier changes are not for the new prefix */
    broadcast_join(&listeners[l], &given, 1);
    has[l][p] = true;
    order[p][members[p]++] = l;
}

/* The last member takes the place of the one that leaves. */
static void leave_and_note(int l) {
    broadcast_leave(&listeners[l]);
    for (int p = 0; p < PREFIXES; p++) {
        if (!has[l][p]) continue;
        int place = 0;
        while (order[p][place] != l)
            place++;
        order[p][place] = order[p][--members[p]];
        has[l][p] = false;
        if (members[p] == 0) memset(noted[p], 0, sizeof noted[p]);
    }
}

static void change_and_note(int k, uint64_t author) {
    note(keys[k], author);
    authors[k] = author;
    for (int p = 0; p < PREFIXES; p++)
        if (members[p] && strncmp(keys[k], prefixes[p], strlen(prefixes[p])) == 0) noted[p][k] = true;
}

static void a_random_history_agrees_with_a_model(void **state) {
    (void)state;
    size_t used = alloc_used();
    for (int i = 0; i < LISTENERS; i++)
        listeners[i] = (struct broadcast_listener){.owner = (void *)names[i], .spared = i < 3 ? (uint64_t)i : 0};
    for (int step = 0; step < 50000; step++) {
        switch (rand_below(10)) {
        case 0: leave_and_note((int)rand_below(LISTENERS)); break;
        case 1:
        case 2:
        case 3: join_and_note((int)rand_below(LISTENERS), (int)rand_below(PREFIXES)); break;
        case 4: send_and_compare(); break;
        default: change_and_note((int)rand_below(KEYS), rand_below(4));
        }
    }
    for (int i = 0; i < LISTENERS; i++)
        leave_and_note(i);
    send_and_compare();
    assert_int_equal(alloc_used(), used);
}

int main(void) {
    uint64_t seed = seed_of_run();
    printf("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    hash_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_go_to_the_listeners_of_their_prefixes),
        cmocka_unit_test(a_listener_may_be_spared_its_own_changes),
        cmocka_unit_test(what_is_noted_for_nobody_is_not_sent),
        cmocka_unit_test(prefixes_are_kept_in_order),
        cmocka_unit_test(overlaps_are_found_as_by_comparing_all),
        cmocka_unit_test(a_random_history_agrees_with_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
