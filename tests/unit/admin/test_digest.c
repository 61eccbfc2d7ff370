/* Digests: what counts and what does not, and one value of each kind that is computed here step by step. */
#include "admin/digest.h"
#include "base/hash.h"
#include "base/worker.h"
#include "store/db.h"
#include "store/fieldmap.h"
#include "store/list.h"
#include "store/set.h"
#include "store/zset.h"
#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct db *db;

static struct key key_named(const char *name) {
    return key_of(slice_cstr(name));
}

static struct digest digest_of(const char *name) {
    struct key key = key_named(name);
    return digest_value(db_peek(db, &key));
}

static bool same(struct digest a, struct digest b) {
    return memcmp(a.bytes, b.bytes, DIGEST_BYTES) == 0;
}

static void set_string(const char *name, const char *value, int64_t deadline_ms) {
    struct key key = key_named(name);
    db_set_string(db, &key, db_write(db, &key), slice_cstr(value), deadline_ms);
}

/* --- The same, by hand ----------------------------------------------------------------------- */

static void add(uint8_t digest[20], const void *bytes, size_t len) {
    uint8_t other[20];
    SHA1(bytes, len, other);
    for (int i = 0; i < 20; i++)
        digest[i] ^= other[i];
}

static void mix(uint8_t digest[20], const void *bytes, size_t len) {
    uint8_t before[20];
    add(digest, bytes, len);
    memcpy(before, digest, 20);
    SHA1(before, 20, digest);
}

static void a_string_is_its_type_and_its_bytes(void **state) {
    (void)state;
    uint8_t expected[20] = {0};
    mix(expected, "\0\0\0\0", 4);
    mix(expected, "12345", 5);
    set_string("number", "12345", ENTRY_NO_TTL);
    assert_memory_equal(digest_of("number").bytes, expected, 20);
    add(expected, "!!expire!!", 10);
    set_string("number", "12345", 1000000);
    assert_memory_equal(digest_of("number").bytes, expected, 20);
}

static void a_database_is_its_keys_with_their_values(void **state) {
    (void)state;
    db_empty(db, false);
    uint8_t all[20] = {0}, one[20] = {0};
    assert_memory_equal(digest_everything().bytes, all, 20);
    set_string("k", "v", ENTRY_NO_TTL);
    mix(one, "k", 1);
    mix(one, "\0\0\0\0", 4);
    mix(one, "v", 1);
    mix(all, "\0\0\0\0", 4); /* the number of the database */
    add(all, one, 20);
    assert_memory_equal(digest_everything().bytes, all, 20);
}

/* --- What counts ----------------------------------------------------------------------------- */

static void nothing_is_all_zeros(void **state) {
    (void)state;
    static const uint8_t zeros[20];
    assert_memory_equal(digest_of("no such key").bytes, zeros, 20);
}

static void which_deadline_does_not_count_but_whether_there_is_one(void **state) {
    (void)state;
    set_string("a", "v", ENTRY_NO_TTL);
    set_string("b", "v", 1000000);
    set_string("c", "v", 2000000);
    assert_true(same(digest_of("b"), digest_of("c")));
    assert_false(same(digest_of("a"), digest_of("b")));
}

/* Encodings: small ones with large limits, tables and the like with limits of 0. */
static void limit_encodings(int64_t limit) {
    set_options = (struct set_options){limit, limit, limit};
}

static struct digest set_of(const char *name, const struct slice *members, int n) {
    struct key key = key_named(name);
    int64_t added;
    struct entry *old = db_peek(db, &key);
    if (old) db_remove(db, &key, old);
    return digest_value(set_add(db, &key, NULL, members, n, &added));
}

static void the_order_of_a_set_and_its_encoding_do_not_count(void **state) {
    (void)state;
    const struct slice up[] = {SLICE("a"), SLICE("b"), SLICE("17")}, down[] = {SLICE("17"), SLICE("b"), SLICE("a")};
    const struct slice other[] = {SLICE("a"), SLICE("b"), SLICE("18")};
    limit_encodings(128);
    struct digest packed = set_of("s", up, 3);
    assert_true(same(packed, set_of("t", down, 3)));
    assert_false(same(packed, set_of("t", other, 3)));
    limit_encodings(0);
    assert_true(same(packed, set_of("t", up, 3)));
}

static struct digest list_of(const struct slice *elements, size_t n) {
    struct key key = key_named("l");
    return digest_value(list_store(db, &key, db_peek(db, &key), elements, n));
}

static void the_order_of_a_list_counts(void **state) {
    (void)state;
    const struct slice up[] = {SLICE("a"), SLICE("b")}, down[] = {SLICE("b"), SLICE("a")};
    struct digest digest = list_of(up, 2);
    assert_true(same(digest, list_of(up, 2)));
    assert_false(same(digest, list_of(down, 2)));
}

static void names_and_values_of_a_hash_belong_together(void **state) {
    (void)state;
    const struct slice pairs[] = {SLICE("a"), SLICE("1"), SLICE("b"), SLICE("2")};
    const struct slice turned[] = {SLICE("b"), SLICE("2"), SLICE("a"), SLICE("1")};
    const struct slice swapped[] = {SLICE("a"), SLICE("2"), SLICE("b"), SLICE("1")};
    struct key h = key_named("h"), i = key_named("i"), j = key_named("j");
    size_t created;
    struct digest digest = digest_value(fieldmap_set(db, &h, NULL, pairs, 2, &created));
    assert_true(same(digest, digest_value(fieldmap_set(db, &i, NULL, turned, 2, &created))));
    assert_false(same(digest, digest_value(fieldmap_set(db, &j, NULL, swapped, 2, &created))));
}

static void scores_count(void **state) {
    (void)state;
    struct digest digests[3];
    for (int i = 0; i < 3; i++) {
        struct key key = key_named(i == 0 ? "y" : i == 1 ? "z" : "zz");
        struct entry *e = NULL;
        double score = i == 2 ? 1.5 : 1;
        assert_int_equal(zset_add(db, &key, &e, SLICE("m"), &score, 0), ZSET_ADDED);
        digests[i] = digest_value(e);
    }
    assert_true(same(digests[0], digests[1]));
    assert_false(same(digests[0], digests[2]));
}

static void the_order_of_keys_does_not_count(void **state) {
    (void)state;
    char name[16];
    db_empty(db, false);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "%d", i);
        set_string(name, name, ENTRY_NO_TTL);
    }
    struct digest up = digest_everything();
    db_empty(db, false);
    for (int i = 99; i >= 0; i--) {
        snprintf(name, sizeof name, "%d", i);
        set_string(name, name, ENTRY_NO_TTL);
    }
    assert_true(same(up, digest_everything()));
    set_string("7", "8", ENTRY_NO_TTL);
    assert_false(same(up, digest_everything()));
}

static void values_at_other_keys_or_in_other_databases_differ(void **state) {
    (void)state;
    db_empty(db, false);
    set_string("a", "1", ENTRY_NO_TTL);
    set_string("b", "2", ENTRY_NO_TTL);
    struct digest before = digest_everything();
    set_string("a", "2", ENTRY_NO_TTL);
    set_string("b", "1", ENTRY_NO_TTL);
    assert_false(same(before, digest_everything()));
    db_empty(db, false);
    db = db_at(1);
    set_string("a", "1", ENTRY_NO_TTL);
    set_string("b", "2", ENTRY_NO_TTL);
    assert_false(same(before, digest_everything()));
    db_empty(db, false);
    db = db_at(0);
}

static int start(void **state) {
    (void)state;
    hash_init();
    worker_start();
    db_init(2);
    db = db_at(0);
    return 0;
}

static int stop(void **state) {
    (void)state;
    db_shutdown();
    worker_stop();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_all_zeros),
        cmocka_unit_test(a_string_is_its_type_and_its_bytes),
        cmocka_unit_test(a_database_is_its_keys_with_their_values),
        cmocka_unit_test(which_deadline_does_not_count_but_whether_there_is_one),
        cmocka_unit_test(the_order_of_a_set_and_its_encoding_do_not_count),
        cmocka_unit_test(the_order_of_a_list_counts),
        cmocka_unit_test(names_and_values_of_a_hash_belong_together),
        cmocka_unit_test(scores_count),
        cmocka_unit_test(the_order_of_keys_does_not_count),
        cmocka_unit_test(values_at_other_keys_or_in_other_databases_differ),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
