/* Libraries of functions in snapshots and payloads, with a fake of what loads them: a list of their sources. */
#include "base/buf.h"
#include "base/crc64.h"
#include "rdb/rdb_format.h"
#include "rdb/rdb_functions.h"
#include "rdb_lab.h"
#include "seed.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define LIBRARIES 8

/* --- The fake -------------------------------------------------------------------------------- */

struct function_set {
    struct buf sources[LIBRARIES];
    int count;
    size_t keys_before; /* keys of database 0 when the last one came */
    bool replaces;
};

static struct function_set live, aside;

static void fake_clear(struct function_set *set) {
    for (int i = 0; i < set->count; i++)
        buf_free(&set->sources[i]);
    *set = (struct function_set){.count = 0};
}

static void fake_put(struct function_set *set, struct slice source) {
    assert_true(set->count < LIBRARIES);
    buf_append_slice(&set->sources[set->count++], source);
}

static void fake_each(void (*put)(void *ctx, struct slice source), void *ctx) {
    for (int i = 0; i < live.count; i++)
        put(ctx, buf_slice(&live.sources[i]));
}

static bool fake_add(struct function_set *set, struct slice source, bool replace, struct buf *error) {
    if (!set) set = &live;
    if (slice_eq(source, SLICE("bad"))) {
        buf_append_cstr(error, "No functions registered");
        return false;
    }
    fake_put(set, source);
    set->keys_before = db_size(db_at(0));
    set->replaces = replace;
    return true;
}

static struct function_set *fake_begin(void) {
    return &aside;
}
static void fake_use(struct function_set *set, bool in_background) {
    (void)in_background;
    fake_clear(&live);
    live = *set;
    *set = (struct function_set){.count = 0};
}
static void fake_drop(struct function_set *set, bool in_background) {
    (void)in_background;
    fake_clear(set);
}
static void fake_empty(bool in_background) {
    (void)in_background;
    fake_clear(&live);
}

static const struct rdb_functions fake = {
    .each = fake_each, .begin = fake_begin, .use = fake_use, .drop = fake_drop, .add = fake_add, .empty = fake_empty};

static int set_up(void **state) {
    (void)state;
    lab_empty();
    fake_clear(&live);
    fake_clear(&aside);
    rdb_functions = &fake;
    return 0;
}

static void assert_source(const struct function_set *set, int i, struct slice expected) {
    assert_true(i < set->count);
    assert_true(slice_eq(buf_slice(&set->sources[i]), expected));
}

/* Text of n bytes that compresses well. */
static struct slice long_source(size_t n) {
    static char text[3 << 20];
    assert_true(n <= sizeof text);
    for (size_t i = 0; i < n; i++)
        text[i] = (char)('a' + i % 9);
    return slice_of(text, n);
}

/* --- Snapshots ------------------------------------------------------------------------------- */

static void libraries_come_back_before_the_keys(void **state) {
    (void)state;
    struct key key = key_of(SLICE("k"));
    struct slice sources[] = {SLICE("#!lua name=a\n\0 and a zero"), SLICE("12345"), SLICE(""), long_source(3 << 20)};
    for (int i = 0; i < 4; i++)
        fake_put(&live, sources[i]);
    db_set_string(db_at(0), &key, NULL, SLICE("v"), ENTRY_NO_TTL);
    for (int compresses = 0; compresses < 2; compresses++) {
        rdb_options.compression = compresses;
        struct slice file = lab_save(0);
        assert_int_equal(file.len < 1 << 20, compresses);
        lab_empty();
        rdb_functions_empty(false);
        assert_int_equal(lab_load(file, 0), RDB_OK);
        assert_int_equal(live.count, 4);
        assert_int_equal(live.keys_before, 0);
        assert_int_equal(db_size(db_at(0)), 1);
        for (int i = 0; i < 4; i++)
            assert_source(&live, i, sources[i]);
        free((char *)file.ptr);
    }
}

static void flags_leave_out_the_keys_or_the_libraries(void **state) {
    (void)state;
    struct key key = key_of(SLICE("k"));
    for (int without = 0; without < 2; without++) {
        set_up(NULL);
        fake_put(&live, SLICE("code"));
        db_set_string(db_at(0), &key, NULL, SLICE("v"), ENTRY_NO_TTL);
        struct slice file = lab_save(without ? RDB_NO_FUNCTIONS : RDB_NO_KEYS);
        set_up(NULL);
        assert_int_equal(lab_load(file, 0), RDB_OK);
        assert_int_equal(live.count, !without);
        assert_int_equal(db_size(db_at(0)), without);
        free((char *)file.ptr);
    }
}

static enum rdb_result read_into(struct function_set *set, struct slice file, unsigned flags) {
    int fd = memfd_create("rdb", MFD_CLOEXEC);
    assert_int_equal(write(fd, file.ptr, file.len), file.len);
    lseek(fd, 0, SEEK_SET);
    struct rdb_read job = {.fd = fd, .functions = set, .flags = flags};
    enum rdb_result result = rdb_read(&job);
    close(fd);
    return result;
}

static void a_reader_may_keep_them_aside_and_may_replace(void **state) {
    (void)state;
    fake_put(&live, SLICE("code"));
    struct slice file = lab_save(0);
    fake_put(&live, SLICE("another"));
    struct function_set *set = rdb_functions_begin();
    assert_int_equal(read_into(set, file, RDB_ALLOW_TWICE), RDB_OK);
    assert_int_equal(live.count, 2);
    assert_true(set->replaces);
    rdb_functions_use(set, false);
    assert_int_equal(live.count, 1);
    assert_int_equal(read_into(rdb_functions_begin(), file, 0), RDB_OK);
    assert_false(aside.replaces);
    rdb_functions_drop(&aside, false);
    assert_int_equal(live.count, 1);
    free((char *)file.ptr);
}

static void a_library_that_does_not_load_makes_the_file_bad(void **state) {
    (void)state;
    fake_put(&live, SLICE("bad"));
    struct slice file = lab_save(0);
    fake_clear(&live);
    assert_int_equal(lab_load(file, 0), RDB_CORRUPT);
    assert_string_equal(lab_job.message, "Failed creating the library: No functions registered");
    free((char *)file.ptr);
}

static void nobody_who_loads_them_is_no_crash(void **state) {
    (void)state;
    fake_put(&live, SLICE("code"));
    struct slice file = lab_save(0);
    rdb_functions = NULL;
    assert_int_equal(lab_load(file, 0), RDB_UNSUPPORTED);
    assert_null(rdb_functions_begin());
    rdb_functions_use(NULL, false);
    rdb_functions_drop(NULL, false);
    rdb_functions_empty(false);
    free((char *)file.ptr);
    file = lab_save(0);
    assert_int_equal(lab_load(file, 0), RDB_OK);
    free((char *)file.ptr);
}

static void the_form_before_release_is_refused(void **state) {
    (void)state;
    static const char file[] = "REDIS0010\xf6\4name\3LUA\0\4code\xff\0\0\0\0\0\0\0\0";
    assert_int_equal(lab_load(slice_of(file, sizeof file - 1), 0), RDB_UNSUPPORTED);
    assert_non_null(strstr(lab_job.message, "Pre-release"));
}

/* --- Payloads -------------------------------------------------------------------------------- */

static bool take(void *ctx, struct slice source, struct buf *error) {
    return fake_add(ctx, source, false, error);
}

/* The error, or "". */
static const char *restore(struct slice payload) {
    static char text[200];
    struct buf error = {0};
    fake_clear(&aside);
    bool ok = rdb_restore_functions(payload, take, &aside, &error);
    assert_int_equal(ok, error.len == 0);
    snprintf(text, sizeof text, "%.*s", (int)error.len, error.len ? error.data : "");
    buf_free(&error);
    return text;
}

static void a_payload_comes_back(void **state) {
    (void)state;
    struct writer w;
    for (int n = 0; n < 3; n++) {
        writer_to_memory(&w, true);
        rdb_dump_functions(&w);
        assert_string_equal(restore(writer_slice(&w)), "");
        assert_int_equal(aside.count, live.count);
        for (int i = 0; i < n; i++)
            assert_source(&aside, i, buf_slice(&live.sources[i]));
        writer_free(&w);
        fake_put(&live, n ? long_source(70000) : SLICE("#!lua name=a\ncode"));
    }
}

/* With a right version and checksum behind them. */
static const char *restore_bytes(const char *bytes, size_t n) {
    static char payload[400];
    assert_true(n + RDB_FOOTER <= sizeof payload);
    memcpy(payload, bytes, n);
    memcpy(payload + n, "\x0a\0", 2);
    uint64_t crc = crc64(0, payload, n + 2);
    memcpy(payload + n + 2, &crc, sizeof crc);
    return restore(slice_of(payload, n + RDB_FOOTER));
}
#define RESTORE(literal) restore_bytes((literal), sizeof(literal) - 1)

static void damaged_payloads_are_refused(void **state) {
    (void)state;
    static const char wrong[] = "DUMP payload version or checksum are wrong", cut[] = "Failed loading library payload";
    assert_string_equal(RESTORE("\xf5\4code"), "");
    assert_int_equal(aside.count, 1);
    assert_string_equal(RESTORE("\xf5\4code\xf5\xc0\x05"), "");
    assert_source(&aside, 1, SLICE("5"));
    assert_string_equal(RESTORE("\xf5\4code\xf5\3bad"), "No functions registered");
    assert_string_equal(RESTORE("\xf5\4code\1"), "given type is not a function");
    assert_string_equal(RESTORE("\xff"), "given type is not a function");
    assert_string_equal(RESTORE("\xf6\1n"), "Pre-GA function format not supported");
    assert_string_equal(RESTORE("\xf5"), cut);
    assert_string_equal(RESTORE("\xf5\x09short"), cut);
    assert_string_equal(RESTORE("\xf5\x81\x7f\xff\xff\xff\xff\xff\xff\xff"), cut);
    assert_string_equal(RESTORE("\xf5\xc3\5\6abcde"), cut);
    assert_string_equal(RESTORE("\xf5\xc5"), cut);
    assert_string_equal(restore(SLICE("")), wrong);
    assert_string_equal(restore(SLICE("123456789")), wrong);
    assert_string_equal(restore(SLICE("\xf5\4code\x0a\0AAAAAAAA")), wrong);
}

static void random_damage_never_gets_through_the_reader(void **state) {
    (void)state;
    rdb_options.skip_checksum = true;
    for (int i = 0; i < 20000; i++) {
        uint8_t payload[] = "\xf5\4code\xf5\xc3\x0a\x14\1aa\xe0\2\1abcde\xf5\x40\3xyz\x0a\0AAAAAAAA";
        size_t n = lab_damage(payload, sizeof payload - 1);
        struct buf error = {0};
        fake_clear(&aside);
        bool ok = rdb_restore_functions(slice_of((char *)payload, n), take, &aside, &error);
        assert_int_equal(ok, error.len == 0);
        buf_free(&error);
    }
    rdb_options.skip_checksum = false;
}

int main(void) {
    uint64_t seed = seed_of_run();
    printf("seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    rand_seed(seed);
    lab_start();
    rdb_options.checksum = true;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(libraries_come_back_before_the_keys, set_up),
        cmocka_unit_test_setup(flags_leave_out_the_keys_or_the_libraries, set_up),
        cmocka_unit_test_setup(a_reader_may_keep_them_aside_and_may_replace, set_up),
        cmocka_unit_test_setup(a_library_that_does_not_load_makes_the_file_bad, set_up),
        cmocka_unit_test_setup(nobody_who_loads_them_is_no_crash, set_up),
        cmocka_unit_test_setup(the_form_before_release_is_refused, set_up),
        cmocka_unit_test_setup(a_payload_comes_back, set_up),
        cmocka_unit_test_setup(damaged_payloads_are_refused, set_up),
        cmocka_unit_test(random_damage_never_gets_through_the_reader),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    set_up(NULL);
    db_shutdown();
    return failed;
}
