/* Streams in snapshots: what is written is read again byte for byte; the three versions of the format; payloads that
 * no server has written, built element by element. To repeat a failed run, pass the SEED that it prints. */
#include "base/crc64.h"
#include "base/hash.h"
#include "base/log.h"
#include "rdb/rdb.h"
#include "rdb/rdb_format.h"
#include "seed.h"
#include "store/stream_find.h"
#include "store/stream_lab.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void choose_seed(void) {
    uint64_t seed = seed_of_run();
    print_message("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    hash_seed(seed);
}

static struct entry *entry_of(struct stream *s) {
    struct entry *e = entry_new(SLICE("key"), ENTRY_STREAM, STREAM_NODES, sizeof s, ENTRY_NO_TTL);
    entry_set_pointer(e, s);
    return e;
}

/* --- There and back -------------------------------------------------------------------------- */

static void is_written_and_read_byte_for_byte(void **state) {
    (void)state;
    static const int64_t bytes[] = {0, 100, 400, 4096}, entries[] = {0, 1, 20, 100};
    choose_seed();
    for (int i = 0; i < 400; i++) {
        stream_options = (struct stream_options){bytes[rand_below(4)], entries[rand_below(4)]};
        rdb_options.compression = rand_below(2);
        struct entry *e = entry_of(stream_lab_new(rand_below(rand_below(10) ? 300 : 3000)));
        struct writer first, second;
        struct rdb_value value;
        writer_to_memory(&first, true);
        rdb_dump(&first, e);
        assert_int_equal(rdb_restore(writer_slice(&first), &value), RDB_OK);
        struct entry *read = rdb_value_entry(&value, SLICE("key"), ENTRY_NO_TTL);
        stream_check(stream_of(read));
        assert_int_equal(stream_of(read)->length, stream_of(e)->length);
        writer_to_memory(&second, true);
        rdb_dump(&second, read);
        assert_true(slice_eq(writer_slice(&first), writer_slice(&second)));
        entry_free_now(e);
        entry_free_now(read);
        writer_free(&first);
        writer_free(&second);
    }
}

/* --- Payloads by hand ------------------------------------------------------------------------ */

static struct writer out;

static void bytes(const void *p, size_t n) {
    writer_put(&out, p, n);
}
static void length(uint64_t n) {
    uint64_t big = __builtin_bswap64(n);
    if (n < 64) {
        writer_byte(&out, (unsigned)n);
    } else {
        writer_byte(&out, RDB_LENGTH_64);
        bytes(&big, 8);
    }
}
static void text(const char *s) {
    length(strlen(s));
    bytes(s, strlen(s));
}
static void id(uint64_t ms, uint64_t seq) {
    length(ms);
    length(seq);
}
static void raw_id(uint64_t ms, uint64_t seq) {
    uint64_t halves[2] = {__builtin_bswap64(ms), __builtin_bswap64(seq)};
    bytes(halves, 16);
}
static void time_ms(int64_t ms) {
    bytes(&ms, 8);
}

static uint8_t node[4096];

static void begin_node(void) {
    listpack_init(node);
}
static void number(int64_t n) {
    struct listpack_item item = listpack_item_int(n);
    listpack_append(node, &item);
}
static void string(const char *s) {
    struct listpack_item item = listpack_item(slice_cstr(s));
    listpack_append(node, &item);
}
static void numbers(const int64_t *n, size_t count) {
    for (size_t i = 0; i < count; i++)
        number(n[i]);
}
#define NUMBERS(...) numbers((const int64_t[]){__VA_ARGS__}, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static void master(int64_t live, int64_t deleted) {
    begin_node();
    NUMBERS(live, deleted, 1);
    string("f");
    number(0);
}
/* An entry with the master's name. */
static void entry(int64_t flags, int64_t ms, int64_t seq) {
    NUMBERS(flags | STREAM_SAME_NAMES, ms, seq);
    string("v");
    number(4);
}
/* The node as it was built. */
static void put_node(uint64_t ms, uint64_t seq) {
    length(16);
    raw_id(ms, seq);
    length(listpack_bytes(node));
    bytes(node, listpack_bytes(node));
}

static void begin(unsigned type, uint64_t nodes) {
    writer_to_memory(&out, true);
    writer_byte(&out, type);
    length(nodes);
}

static struct stream *loaded; /* by the last restore() */

static enum rdb_result restore(void) {
    struct rdb_value value;
    uint16_t version = RDB_VERSION_WRITTEN;
    bytes(&version, 2);
    uint64_t crc = writer_crc(&out);
    bytes(&crc, 8);
    struct slice payload = writer_slice(&out);
    assert_true(rdb_payload_ok(payload));
    enum rdb_result result = rdb_restore(payload, &value);
    if (result == RDB_OK) {
        if (loaded) stream_free(loaded);
        memcpy(&loaded, value.own, sizeof loaded);
        stream_check(loaded);
    }
    writer_free(&out);
    return result;
}

static void accepted(void) {
    assert_int_equal(restore(), RDB_OK);
}
static void refused(void) {
    assert_int_equal(restore(), RDB_CORRUPT);
}
static void refused_or_cut(void) {
    assert_int_not_equal(restore(), RDB_OK);
}

/* The nodes of a sound stream with the entries 1-0, 2-0 and 3-0. */
static void three_entries(unsigned type) {
    begin(type, 1);
    master(3, 0);
    entry(0, 0, 0), entry(0, 1, 0), entry(0, 2, 0);
    put_node(1, 0);
    length(3), id(3, 0);
    if (type != RDB_TYPE_STREAM_1) id(1, 0), id(0, 0), length(3);
}

static void begin_group(unsigned type, const char *name, uint64_t pending) {
    text(name), id(2, 0);
    if (type != RDB_TYPE_STREAM_1) length(2);
    length(pending);
}
static void pending(uint64_t ms) {
    raw_id(ms, 0), time_ms(1000 + (int64_t)ms), length(ms);
}
static void begin_consumer(unsigned type, const char *name, uint64_t entries) {
    text(name), time_ms(5000);
    if (type == RDB_TYPE_STREAM_3) time_ms(4000);
    length(entries);
}

static void all_versions_are_read(void **state) {
    (void)state;
    static const unsigned types[] = {RDB_TYPE_STREAM_1, RDB_TYPE_STREAM_2, RDB_TYPE_STREAM_3};
    for (int i = 0; i < 3; i++) {
        unsigned type = types[i];
        three_entries(type), length(1), begin_group(type, "g", 2), pending(1), pending(2);
        length(2), begin_consumer(type, "a", 1), raw_id(2, 0), begin_consumer(type, "b", 1), raw_id(1, 0);
        accepted();
        struct stream_group *g = stream_group(loaded, SLICE("g"));
        struct stream_nack nack;
        assert_int_equal(loaded->entries_added, 3);
        assert_true(stream_id_equal(loaded->last_id, (struct stream_id){3, 0}));
        assert_int_equal(g->entries_read, type == RDB_TYPE_STREAM_1 ? STREAM_UNREAD : 2);
        assert_true(stream_group_nack(g, (struct stream_id){2, 0}, &nack));
        assert_true(nack.consumer == stream_group_consumer(g, SLICE("a")));
        assert_int_equal(nack.time_ms, 1002);
        assert_int_equal(nack.deliveries, 2);
        assert_int_equal(nack.consumer->seen_ms, 5000);
        assert_int_equal(nack.consumer->active_ms, type == RDB_TYPE_STREAM_3 ? 4000 : 5000);
    }
}

static void an_empty_stream_is_read(void **state) {
    (void)state;
    begin(RDB_TYPE_STREAM_2, 0), length(0), id(7, 8), id(0, 0), id(7, 8), length(5), length(0);
    accepted();
    assert_true(stream_id_equal(loaded->max_deleted, (struct stream_id){7, 8}));
    assert_int_equal(loaded->entries_added, 5);
}

static void counters_that_cannot_be_are_put_right(void **state) {
    (void)state;
    begin(RDB_TYPE_STREAM_2, 1), master(1, 0), entry(0, 0, 0), put_node(1, 0);
    length(1), id(3, 0), id(1, 0), id(4, 0), length(0), length(0);
    accepted(); /* an entry, but none was ever added; one deleted that is above the last id */
    assert_int_equal(loaded->entries_added, 1);
    assert_true(stream_id_equal(loaded->max_deleted, (struct stream_id){3, 0}));
}

/* What Redis leaves behind in rare cases. */
static void odd_nodes_are_put_right(void **state) {
    (void)state;
    begin(RDB_TYPE_STREAM_2, 2), master(0, 1), entry(STREAM_DELETED, 0, 0), put_node(1, 0);
    master(1, 0), entry(0, 0, 0), put_node(2, 0);
    length(1), id(2, 0), id(2, 0), id(1, 0), length(2), length(0);
    accepted(); /* without the node that has no living entry */
    assert_int_equal(loaded->used, 1);

    begin(RDB_TYPE_STREAM_2, 1), master(2, 1);
    entry(0, 0, 0), entry(STREAM_DELETED, 5, 0), entry(0, 3, 0), put_node(1, 0);
    length(2), id(4, 0), id(1, 0), id(6, 0), length(3), length(0);
    accepted(); /* 6-0 was deleted, then XSETID, then 4-0 was added */
    assert_true(stream_has(loaded, (struct stream_id){4, 0}));
    assert_false(stream_has(loaded, (struct stream_id){6, 0}));

    begin(RDB_TYPE_STREAM_2, 1), master(1, 1), entry(0, 0, 0), entry(STREAM_DELETED, 5, 0), put_node(1, 0);
    length(1), id(4, 0), id(1, 0), id(6, 0), length(2), length(0);
    accepted(); /* the last id is below a deleted entry */

    begin(RDB_TYPE_STREAM_2, 2), master(1, 1), entry(0, 0, 0), entry(STREAM_DELETED, 5, 0), put_node(1, 0);
    master(1, 0), entry(0, 0, 0), put_node(3, 0);
    length(2), id(3, 0), id(1, 0), id(6, 0), length(3), length(0);
    accepted(); /* so is the next node */
}

/* --- What no server has written -------------------------------------------------------------- */

static void broken_nodes_are_refused(void **state) {
    (void)state;
    const unsigned type = RDB_TYPE_STREAM_2;
#define ONE_NODE(live, last) put_node(1, 0), length(live), id(last, 0), id(1, 0), id(0, 0), length(live), length(0)
    begin(type, 1), master(1, 0), entry(0, 0, 0), ONE_NODE(1, 1), accepted();
    begin(type, 1), master(1, 0), entry(0, -1, 0), ONE_NODE(1, 9), refused(); /* below the node's id */
    begin(type, 1), master(2, 0), entry(0, 1, 0), entry(0, 1, 0), ONE_NODE(2, 9), refused();
    begin(type, 1), master(2, 0), entry(0, 2, 0), entry(0, 1, 0), ONE_NODE(2, 9), refused();
    begin(type, 1), master(2, 0), entry(0, 0, 0), ONE_NODE(2, 1), refused(); /* counts */
    begin(type, 1), master(1, 0), entry(0, 0, 0), entry(0, 1, 0), ONE_NODE(1, 2), refused();
    begin(type, 1), master(1, 1), entry(0, 0, 0), ONE_NODE(1, 1), refused();
    begin(type, 1), master(-1, 0), entry(0, 0, 0), ONE_NODE(1, 1), refused();
    begin(type, 1), master(1, 0), entry(0, 0, 0), ONE_NODE(2, 1), refused();
    begin(type, 1), master(1, 0), entry(4, 0, 0), ONE_NODE(1, 1), refused(); /* flags */
    begin(type, 1), begin_node(), NUMBERS(1, 0, (int64_t)1 << 60, 0, 2, 0, 0, 3), ONE_NODE(1, 1), refused();
    begin(type, 1), begin_node(), NUMBERS(1, 0, -1, 0, 2, 0, 0, 2), ONE_NODE(1, 1), refused();
    begin(type, 1), begin_node(), NUMBERS(1, 0, 1, 7, 1, 2, 0, 0, 9, 4), ONE_NODE(1, 1), refused(); /* no 0 */
    begin(type, 1), begin_node(), NUMBERS(1, 0, 1, 7, 0), ONE_NODE(1, 1), refused();
    begin(type, 1), begin_node(), NUMBERS(1, 0, 1, 7, 0, 2, 0, 0, 9, 5), ONE_NODE(1, 1), refused(); /* pieces */
    begin(type, 1), begin_node(), NUMBERS(1, 0, 1, 7, 0, 2, 0, 0, 9), ONE_NODE(1, 1), refused();
    begin(type, 1), begin_node(), NUMBERS(1, 0, 1, 7, 0, 0, 0, 0, 2, 5, 6, 7, 8, 8), ONE_NODE(1, 1), accepted();
    begin(type, 1), begin_node(), NUMBERS(1, 0, 1, 7, 0, 0, 0, 0, 3, 5, 6, 7, 8, 8), ONE_NODE(1, 1), refused();
    begin(type, 1), begin_node(), NUMBERS(1, 0, 1, 7, 0, 0, 0, 0, 0, 4), ONE_NODE(1, 1), refused(); /* no pairs */
    begin(type, 1), begin_node(), NUMBERS(1, 0, 1, 7, 0, 0, 0, 0, INT64_MAX, 5, 6, 8), ONE_NODE(1, 1), refused();
    begin(type, 1), begin_node(), string("x"), NUMBERS(0, 1, 7, 0, 2, 0, 0, 9, 4), ONE_NODE(1, 1), refused();
    begin(type, 1), begin_node(), ONE_NODE(0, 1), refused();
    begin(type, 1), master(1, 0), entry(0, 0, 0), node[10] = 0xff, ONE_NODE(1, 1), refused(); /* no listpack */
#undef ONE_NODE
}

static void broken_streams_are_refused(void **state) {
    (void)state;
    const unsigned type = RDB_TYPE_STREAM_2;
    three_entries(type), length(0), accepted();
    begin(type, 1), master(1, 0), entry(0, 0, 0), put_node(5, 0); /* the last id is below the entries */
    length(1), id(4, 9), id(5, 0), id(0, 0), length(1), length(0), refused();
    begin(type, 2), master(1, 0), entry(0, 0, 0), put_node(5, 0), put_node(5, 0); /* the same node twice */
    length(2), id(9, 0), id(5, 0), id(0, 0), length(2), length(0), refused();
    begin(type, 2), master(1, 0), entry(0, 0, 0), put_node(5, 0), put_node(4, 0);
    length(2), id(9, 0), id(5, 0), id(0, 0), length(2), length(0), refused();
    begin(type, 2), master(1, 0), entry(0, 5, 0), put_node(5, 0), put_node(7, 0); /* 10-0 is behind 7-0 */
    length(2), id(19, 0), id(5, 0), id(0, 0), length(2), length(0), refused();
    begin(type, 1), length(15), bytes("123456789012345", 15), refused(); /* the id of a node has 16 bytes */
    begin(type, (uint64_t)1 << 40), refused_or_cut();
    begin(type, 1), master(1, 0), entry(0, 0, 0), put_node(1, 0), length(1), refused_or_cut();
}

static void broken_groups_are_refused(void **state) {
    (void)state;
    const unsigned type = RDB_TYPE_STREAM_2;
    three_entries(type), length(2), begin_group(type, "g", 0), length(0), begin_group(type, "g", 0), length(0);
    refused(); /* twice */
    three_entries(type), length(1), begin_group(type, "g", 0), length(2), begin_consumer(type, "c", 0);
    begin_consumer(type, "c", 0), refused();
    three_entries(type), length(1), begin_group(type, "g", 2), pending(1), pending(1);
    length(1), begin_consumer(type, "c", 1), raw_id(1, 0), refused();
    three_entries(type), length(1), begin_group(type, "g", 1), pending(1); /* shared by two */
    length(2), begin_consumer(type, "c", 1), raw_id(1, 0), begin_consumer(type, "d", 1), raw_id(1, 0), refused();
    three_entries(type), length(1), begin_group(type, "g", 1), pending(1);
    length(1), begin_consumer(type, "c", 2), raw_id(1, 0), raw_id(1, 0), refused();
    three_entries(type), length(1), begin_group(type, "g", 1), pending(1); /* owned, but not pending */
    length(1), begin_consumer(type, "c", 1), raw_id(2, 0), refused();
    three_entries(type), length(1), begin_group(type, "g", 2), pending(1), pending(2); /* not owned */
    length(1), begin_consumer(type, "c", 1), raw_id(2, 0), refused();
    three_entries(type), length(1), begin_group(type, "g", 1), pending(1), length(0), refused();
    three_entries(type), length(1), begin_group(type, "g", (uint64_t)1 << 60), refused_or_cut();
    three_entries(type), length(1), begin_group(type, "g", 0), length(UINT64_MAX), refused_or_cut();
    three_entries(type), length(UINT64_MAX / 2), refused_or_cut();
}

/* --- Damage ---------------------------------------------------------------------------------- */

static void use_stream(struct entry *e) {
    struct writer w;
    struct rdb_value value;
    stream_check(stream_of(e));
    writer_to_memory(&w, true);
    rdb_dump(&w, e);
    assert_int_equal(rdb_restore(writer_slice(&w), &value), RDB_OK);
    rdb_value_drop(&value);
    writer_free(&w);
}

static void damaged_payloads_are_refused_or_sound(void **state) {
    (void)state;
    static const uint8_t types[] = {RDB_TYPE_STREAM_1, RDB_TYPE_STREAM_2, RDB_TYPE_STREAM_3};
    choose_seed();
    rdb_options.compression = false;
    unsigned sound = 0;
    for (int i = 0; i < 200; i++) {
        struct entry *e = entry_of(stream_lab_new(rand_below(200)));
        struct writer w;
        writer_to_memory(&w, true);
        rdb_dump(&w, e);
        struct slice good = writer_slice(&w);
        uint8_t *copy = malloc(good.len);
        for (int k = 0; k < 100; k++) {
            struct rdb_value value;
            size_t n = good.len - RDB_FOOTER;
            memcpy(copy, good.ptr, good.len);
            for (size_t changes = 1 + rand_below(3); changes > 0; changes--) {
                size_t at = rand_below(n);
                copy[at] = rand_below(2) ? (uint8_t)rand_u64() : (uint8_t)(copy[at] + (rand_below(2) ? 1 : -1));
            }
            if (rand_below(4) == 0) copy[0] = types[rand_below(3)];
            uint64_t crc = crc64(0, copy, good.len - 8);
            memcpy(copy + good.len - 8, &crc, 8);
            if (rdb_restore(slice_of((char *)copy, good.len), &value) != RDB_OK) continue;
            struct entry *read = rdb_value_entry(&value, SLICE("key"), ENTRY_NO_TTL);
            if (entry_type(read) == ENTRY_STREAM) use_stream(read);
            entry_free_now(read);
            sound++;
        }
        free(copy);
        writer_free(&w);
        entry_free_now(e);
    }
    assert_true(sound > 100);
}

int main(void) {
    log_set_level(LOG_NOTHING);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_written_and_read_byte_for_byte),
        cmocka_unit_test(all_versions_are_read),
        cmocka_unit_test(an_empty_stream_is_read),
        cmocka_unit_test(odd_nodes_are_put_right),
        cmocka_unit_test(counters_that_cannot_be_are_put_right),
        cmocka_unit_test(broken_nodes_are_refused),
        cmocka_unit_test(broken_streams_are_refused),
        cmocka_unit_test(broken_groups_are_refused),
        cmocka_unit_test(damaged_payloads_are_refused_or_sound),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (loaded) stream_free(loaded);
    return failed;
}
