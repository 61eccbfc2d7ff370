/* The layout of an entry, at all boundaries of its fields. */
#include "base/blob.h"
#include "base/hash.h"
#include "base/worker.h"
#include "store/db.h"
#include "store/entry.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char pattern[200000];

/* All fields of an entry read back, the sizes agree, and all memory is freed. */
static void check_layout(size_t key_len, size_t value_len, int64_t deadline_ms) {
    size_t before = alloc_used();
    struct slice key = slice_of(pattern + 7, key_len);
    struct entry *e = entry_new(key, ENTRY_STRING, STRING_RAW, value_len, deadline_ms);
    memcpy(entry_value(e), pattern, value_len);
    size_t bytes = entry_bytes_for(key_len, value_len, deadline_ms != ENTRY_NO_TTL);
    assert_int_equal((uintptr_t)e & 15, 0);
    assert_int_equal(entry_bytes(e), bytes);
    assert_int_equal(alloc_used() - before, entry_class(bytes));
    assert_int_equal(entry_memory(e, 0), entry_class(bytes));
    assert_int_equal(entry_type(e), ENTRY_STRING);
    assert_int_equal(entry_encoding(e), STRING_RAW);
    assert_true(slice_eq(entry_key(e), key));
    assert_memory_equal(entry_value(e), pattern, value_len);
    assert_int_equal(entry_deadline_ms(e), deadline_ms);
    assert_int_equal(entry_hash(e), hash_bytes(key.ptr, key.len));
    entry_free(e);
    assert_int_equal(alloc_used(), before);
}

static void layout_holds_at_every_size(void **state) {
    (void)state;
    static const size_t long_keys[] = {253, 254, 255, 256, 257, 70000};
    static const int64_t deadlines[] = {ENTRY_NO_TTL, 0, 1, INT64_MAX};
    for (size_t d = 0; d < 4; d++) {
        for (size_t k = 0; k < 40; k++) {
            for (size_t v = 0; v < 150; v++)
                check_layout(k, v, deadlines[d]);
        }
        for (size_t k = 0; k < 6; k++) {
            check_layout(long_keys[k], 0, deadlines[d]);
            check_layout(long_keys[k], BLOB_MIN - 1, deadlines[d]);
            check_layout(long_keys[k], UINT16_MAX, deadlines[d]);
        }
    }
}

static void the_promised_sizes(void **state) {
    (void)state;
    assert_int_equal(entry_class(entry_bytes_for(16, 32, false)), 64);
    assert_int_equal(entry_class(entry_bytes_for(16, 32, true)), 64);
    assert_int_equal(entry_class(entry_bytes_for(0, 0, false)), 16); /* a slot of the table needs 16-byte alignment */
    assert_int_equal(entry_class(entry_bytes_for(16, 8, false)), 32);
}

static void names(void **state) {
    (void)state;
    assert_string_equal(entry_type_name(ENTRY_STRING), "string");
    assert_string_equal(entry_type_name(ENTRY_LIST), "list");
    assert_string_equal(entry_type_name(ENTRY_SET), "set");
    assert_string_equal(entry_type_name(ENTRY_ZSET), "zset");
    assert_string_equal(entry_type_name(ENTRY_HASH), "hash");
    static const char *const encodings[] = {"int", "embstr", "raw", "raw"};
    for (unsigned i = 0; i < 3; i++) {
        struct entry *e = entry_new(SLICE("k"), ENTRY_STRING, i, 8, ENTRY_NO_TTL);
        assert_string_equal(entry_encoding_name(e), encodings[i]);
        entry_free(e);
    }
}

static struct entry *blob_entry(size_t len) {
    struct entry *e = entry_new(SLICE("k"), ENTRY_STRING, STRING_BLOB, sizeof(void *), ENTRY_NO_TTL);
    entry_set_pointer(e, blob_from(slice_of(pattern, len)));
    return e;
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

/* A job of the worker: what is queued behind it stays pending until the gate opens. */
static void wait_at_gate(void *unused) {
    (void)unused;
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
}

static void large_values_are_freed_on_the_worker(void **state) {
    (void)state;
    worker_start();
    size_t before = alloc_used();
    uint64_t lazyfreed = entry_lazyfreed();
    pthread_mutex_lock(&gate);
    worker_submit(wait_at_gate, NULL);
    entry_free(blob_entry(BLOB_MIN));
    assert_int_equal(entry_lazyfree_pending(), 0);
    entry_free(blob_entry(sizeof pattern));
    assert_int_equal(entry_lazyfree_pending(), 1);
    entry_free_now(blob_entry(sizeof pattern));
    assert_int_equal(entry_lazyfree_pending(), 1);

    struct entry *shared = blob_entry(sizeof pattern);
    struct blob *b = blob_share(entry_pointer(shared));
    assert_string_equal(entry_encoding_name(shared), "raw");
    assert_true(entry_memory(shared, 0) >= sizeof pattern);
    entry_free(shared); /* the blob is still shared, so nothing is left to the worker */
    assert_int_equal(entry_lazyfree_pending(), 1);
    assert_memory_equal(b->data, pattern, sizeof pattern);
    blob_drop(b);
    assert_int_equal(entry_lazyfreed(), lazyfreed);
    pthread_mutex_unlock(&gate);
    worker_drain();
    assert_int_equal(entry_lazyfree_pending(), 0);
    assert_int_equal(entry_lazyfreed(), lazyfreed + 1);
    worker_stop();
    assert_int_equal(alloc_used(), before);
}

int main(void) {
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (char)(i * 7 + i / 251);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout_holds_at_every_size),
        cmocka_unit_test(the_promised_sizes),
        cmocka_unit_test(names),
        cmocka_unit_test(large_values_are_freed_on_the_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
