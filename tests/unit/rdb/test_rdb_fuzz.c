/* Snapshots and payloads with bytes flipped, cut out, doubled and made up. Loading never crashes, and never uses more
 * memory than their size justifies; all that was loaded can be read and written. */
#include "base/crc64.h"
#include "rdb/rdb_format.h"
#include "rdb_lab.h"
#include "seed.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ROUNDS 25000
#define MEMORY_FACTOR 300 /* one byte of LZF makes 88 bytes; two bytes make a record of 32 in a table */
#define MEMORY_BASE ((size_t)8 << 20)

static size_t memory_before;

static void assert_memory(size_t input) {
    size_t used = alloc_used() - memory_before;
    if (used > MEMORY_BASE + MEMORY_FACTOR * input) fail_msg("%zu bytes of memory for %zu of input", used, input);
}

/* Read all of the value, and write it. */
static void use(void) {
    struct slice bytes = lab_save(0);
    uint64_t contents = lab_contents();
    lab_empty();
    enum rdb_result result = lab_load(bytes, RDB_KEEP_EXPIRED);
    if (result != RDB_OK) fail_msg("what was loaded cannot be loaded again: %s", lab_job.message);
    assert_true(lab_contents() == contents);
    free((char *)bytes.ptr);
}

static void snapshots(void **state) {
    (void)state;
    uint8_t *copy = NULL;
    struct slice good = {NULL, 0};
    rdb_options.skip_checksum = true;
    for (int i = 0; i < ROUNDS; i++) {
        if (i % 500 == 0) {
            free((char *)good.ptr);
            free(copy);
            lab_empty();
            rdb_options.compression = rand_below(2);
            lab_fill(1 + (int)rand_below(6));
            good = lab_save(0);
            copy = malloc(good.len);
        }
        lab_empty();
        memory_before = alloc_used();
        memcpy(copy, good.ptr, good.len);
        size_t n = lab_damage(copy, good.len);
        enum rdb_result result = lab_load(slice_of((char *)copy, n), RDB_KEEP_EXPIRED);
        assert_memory(n);
        if (result != RDB_OK) assert_true(lab_job.message[0] && lab_job.failed_at <= n);
        if (i % 8 == 0) use();
    }
    rdb_options.skip_checksum = false;
    free((char *)good.ptr);
    free(copy);
}

/* A damaged payload with a correct checksum. */
static void try_payload(uint8_t *p, size_t n) {
    struct rdb_value value;
    if (n < RDB_FOOTER) return;
    uint64_t crc = crc64(0, p, n - 8);
    memcpy(p + n - 8, &crc, 8);
    struct slice payload = slice_of((char *)p, n);
    if (!rdb_payload_ok(payload)) return;
    memory_before = alloc_used();
    enum rdb_result result = rdb_restore(payload, &value);
    assert_memory(n);
    if (result != RDB_OK) return;
    struct entry *e = rdb_value_entry(&value, SLICE("key"), ENTRY_NO_TTL);
    lab_digest_value(e);
    struct writer w;
    writer_to_memory(&w, true);
    rdb_dump(&w, e);
    entry_free_now(e);
    assert_int_equal(rdb_restore(writer_slice(&w), &value), RDB_OK);
    rdb_value_drop(&value);
    writer_free(&w);
}

static void payloads(void **state) {
    (void)state;
    for (int i = 0; i < ROUNDS / 25; i++) {
        lab_empty();
        lab_fill(1 + (int)rand_below(5));
        struct entry *e = NULL;
        for (int k = 0; k < LAB_DBS && !e; k++)
            e = db_random(db_at(k));
        struct writer w;
        writer_to_memory(&w, true);
        rdb_dump(&w, e);
        struct slice good = writer_slice(&w);
        uint8_t *copy = malloc(good.len);
        for (int k = 0; k < 50; k++) {
            memcpy(copy, good.ptr, good.len);
            if (rand_below(4) == 0) copy[0] = (uint8_t)rand_below(22); /* another type */
            try_payload(copy, lab_damage(copy, good.len));
        }
        free(copy);
        writer_free(&w);
    }
}

/* --- What only old servers wrote ------------------------------------------------------------- */

/* A ziplist or zipmap of n entries in ascending order, as a payload of a type that has one. Returns its length. */
static size_t old_payload(uint8_t *to, bool zipmap) {
    static const uint8_t types[] = {RDB_TYPE_LIST_ZIPLIST, RDB_TYPE_HASH_ZIPLIST, RDB_TYPE_ZSET_ZIPLIST};
    uint8_t zip[1024], *p = zip + (zipmap ? 1 : 10), *last = p;
    unsigned count = 2 * (1 + (unsigned)rand_below(20)), before = 0;
    for (unsigned i = 0; i < count; i++) {
        uint8_t *from = p;
        if (!zipmap) *p++ = (uint8_t)before;
        uint8_t *len = p++;
        if (zipmap && i % 2) *p++ = 0; /* free bytes */
        *len = (uint8_t)sprintf((char *)p, i % 2 ? "%u" : "n%02u", i);
        p += *len;
        before = (unsigned)(p - from);
        last = from;
    }
    *p++ = 0xff;
    uint32_t n = (uint32_t)(p - zip), last_at = (uint32_t)(last - zip);
    if (zipmap) {
        zip[0] = (uint8_t)(count / 2);
    } else {
        memcpy(zip, &n, 4);
        memcpy(zip + 4, &last_at, 4);
        memcpy(zip + 8, &(uint16_t){(uint16_t)count}, 2);
    }
    to[0] = zipmap ? RDB_TYPE_HASH_ZIPMAP : types[rand_below(3)];
    to[1] = (uint8_t)(0x40 | n >> 8);
    to[2] = (uint8_t)n;
    memcpy(to + 3, zip, n);
    memcpy(to + 3 + n, "\x09\0........", RDB_FOOTER);
    return 3 + n + RDB_FOOTER;
}

static void payloads_of_old_versions(void **state) {
    (void)state;
    uint8_t payload[1100];
    for (int i = 0; i < ROUNDS; i++) {
        size_t n = old_payload(payload, i % 3 == 0);
        if (i % 100 == 0) {
            struct rdb_value value;
            assert_int_equal(rdb_restore(slice_of((char *)payload, n), &value), RDB_OK);
            rdb_value_drop(&value);
        }
        try_payload(payload, lab_damage(payload, n));
    }
}

int main(void) {
    uint64_t seed = seed_of_run();
    printf("seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    rand_seed(seed);
    lab_start();
    clock_update();
    const struct CMUnitTest tests[] = {cmocka_unit_test(snapshots), cmocka_unit_test(payloads),
                                       cmocka_unit_test(payloads_of_old_versions)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    db_shutdown();
    return failed;
}
