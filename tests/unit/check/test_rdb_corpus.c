/* The snapshots and payloads of tests/corpus give the result that their names say. No damage to them brings down the
 * loader, RESTORE or the check tool, which agrees with the loader about each file. KURA_FUZZ_ROUNDS is the number of
 * damaged copies of each. */
#include "base/crc64.h"
#include "base/log.h"
#include "check/check_rdb.h"
#include "rdb/rdb_format.h"
#include "rdb/rdb_functions.h"
#define LAB_DBS 16
#include "rdb/rdb_lab.h"
#include "seed.h"
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ROUNDS 60
#define FILE_MAX_BYTES 65536

static int rounds = ROUNDS;

struct sample {
    char name[256];
    uint8_t bytes[FILE_MAX_BYTES];
    size_t n;
};

typedef void (*sample_fn)(const struct sample *sample);

static void each_file(const char *folder, sample_fn fn) {
    static struct sample sample;
    DIR *dir = opendir(folder);
    if (!dir) fail_msg("no folder %s: run this from the repository's root", folder);
    size_t files = 0;
    for (struct dirent *item; (item = readdir(dir)); files++) {
        char path[600];
        if (item->d_name[0] == '.') continue;
        snprintf(sample.name, sizeof sample.name, "%s", item->d_name);
        snprintf(path, sizeof path, "%s/%s", folder, item->d_name);
        int fd = open(path, O_RDONLY);
        ssize_t n = read(fd, sample.bytes, sizeof sample.bytes);
        assert_true(n > 0 && n < FILE_MAX_BYTES);
        close(fd);
        sample.n = (size_t)n;
        fn(&sample);
    }
    closedir(dir);
    assert_true(files > 10);
}

static bool promises(const struct sample *sample, const char *what) {
    return strncmp(sample->name, what, strlen(what)) == 0;
}

/* The exit status of kura-check-rdb, whose output is dropped. */
static int check(struct slice bytes) {
    char path[] = "/tmp/kura-corpus-XXXXXX";
    int fd = mkstemp(path), out = dup(STDOUT_FILENO), nowhere = open("/dev/null", O_WRONLY);
    assert_true(fd >= 0 && write(fd, bytes.ptr, bytes.len) == (ssize_t)bytes.len);
    fflush(stdout);
    dup2(nowhere, STDOUT_FILENO);
    int status = check_rdb_main(2, (char *[]){"kura-check-rdb", path, NULL});
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    close(out);
    close(nowhere);
    close(fd);
    unlink(path);
    return status;
}

static void try_snapshot(const struct sample *sample) {
    struct slice good = slice_of((const char *)sample->bytes, sample->n);
    lab_empty();
    enum rdb_result result = lab_load(good, RDB_KEEP_EXPIRED);
    bool ok = promises(sample, "ok-")        ? result == RDB_OK
              : promises(sample, "foreign-") ? result == RDB_UNSUPPORTED
                                             : result != RDB_OK && result != RDB_UNSUPPORTED;
    if (!ok) fail_msg("%s: %d %s", sample->name, result, lab_job.message);
    if (!promises(sample, "bad-")) assert_int_equal(check(good), 0);
    for (int i = 0; i < rounds; i++) {
        static uint8_t copy[FILE_MAX_BYTES];
        rdb_options.skip_checksum = i % 2;
        memcpy(copy, sample->bytes, sample->n);
        struct slice bytes = slice_of((char *)copy, lab_damage(copy, sample->n));
        lab_empty();
        result = lab_load(bytes, RDB_KEEP_EXPIRED);
        int status = check(bytes);
        if (!rdb_options.skip_checksum && result == RDB_OK && status != 0) {
            fail_msg("%s, round %d: the server loads what the tool refuses", sample->name, i);
        }
    }
    rdb_options.skip_checksum = false;
}

static void try_payload(const struct sample *sample) {
    struct rdb_value value;
    struct slice good = slice_of((const char *)sample->bytes, sample->n);
    assert_true(rdb_payload_ok(good));
    enum rdb_result result = rdb_restore(good, &value);
    assert_int_equal(result, promises(sample, "foreign-") ? RDB_UNSUPPORTED : RDB_OK);
    if (result == RDB_OK) rdb_value_drop(&value);
    for (int i = 0; i < rounds; i++) {
        static uint8_t copy[FILE_MAX_BYTES];
        memcpy(copy, sample->bytes, sample->n);
        size_t n = lab_damage(copy, sample->n);
        if (n < RDB_FOOTER) continue;
        uint64_t crc = crc64(0, copy, n - 8);
        memcpy(copy + n - 8, &crc, 8);
        struct slice bytes = slice_of((char *)copy, n);
        if (!rdb_payload_ok(bytes) || rdb_restore(bytes, &value) != RDB_OK) continue;
        struct entry *e = rdb_value_entry(&value, SLICE("key"), ENTRY_NO_TTL);
        lab_digest_value(e);
        entry_free_now(e);
    }
}

/* Any code is a library here: only what carries it is to the test. */
static size_t libraries;
static bool add_library(struct function_set *set, struct slice source, bool replace, struct buf *error) {
    (void)set, (void)source, (void)replace, (void)error;
    libraries++;
    return true;
}

static void snapshots(void **state) {
    (void)state;
    static const struct rdb_functions hook = {.add = add_library};
    rdb_functions = &hook;
    each_file("tests/corpus/rdb", try_snapshot);
    assert_true(libraries > 0);
}

static void payloads(void **state) {
    (void)state;
    each_file("tests/corpus/dump", try_payload);
}

int main(void) {
    uint64_t seed = seed_of_run();
    const char *told = getenv("KURA_FUZZ_ROUNDS");
    if (told) rounds = atoi(told);
    printf("seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    rand_seed(seed);
    log_set_level(LOG_WARNING);
    lab_start();
    clock_update();
    const struct CMUnitTest tests[] = {cmocka_unit_test(snapshots), cmocka_unit_test(payloads)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    db_shutdown();
    return failed;
}
