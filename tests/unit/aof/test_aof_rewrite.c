/* The dataset as commands: carried out, they give the same dataset, and no command is long. */
#include "aof/aof_read.h"
#include "aof/aof_rewrite.h"
#include "aof/aof_write.h"
#include "base/log.h"
#include "base/num.h"
#include "rdb/rdb_lab.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#define ITEMS_MAX 64 /* of one command */

static struct db *db;
static struct aof_finding found;

/* What the commands of a rewrite do. */
static void carry_out(const struct aof_command *command) {
    const struct slice *argv = command->argv;
    int64_t n, added;
    size_t created;
    if (slice_eq(argv[0], SLICE("SELECT"))) {
        assert_true(num_parse_i64(argv[1], &n));
        db = db_at((int)n);
        return;
    }
    struct key key = key_of(argv[1]);
    struct entry *e = db_peek(db, &key);
    const struct slice *items = argv + 2;
    size_t count = (size_t)command->argc - 2;
    assert_true(count > 0);
    if (slice_eq(argv[0], SLICE("SET"))) {
        assert_null(e);
        db_set_string(db, &key, NULL, items[0], ENTRY_NO_TTL);
    } else if (slice_eq(argv[0], SLICE("RPUSH"))) {
        assert_true(count <= ITEMS_MAX);
        list_push(db, &key, e, QUICKLIST_TAIL, items, count);
    } else if (slice_eq(argv[0], SLICE("SADD"))) {
        assert_true(count <= ITEMS_MAX);
        set_add(db, &key, e, items, (int)count, &added);
    } else if (slice_eq(argv[0], SLICE("HMSET"))) {
        assert_true(count <= 2 * ITEMS_MAX && count % 2 == 0);
        fieldmap_set(db, &key, e, items, count / 2, &created);
    } else if (slice_eq(argv[0], SLICE("ZADD"))) {
        assert_true(count <= 2 * ITEMS_MAX && count % 2 == 0);
        for (size_t i = 0; i < count; i += 2) {
            double score;
            assert_true(num_parse_f64(items[i], &score));
            assert_int_equal(zset_add(db, &key, &e, items[i + 1], &score, 0), ZSET_ADDED);
        }
    } else {
        assert_true(slice_eq(argv[0], SLICE("PEXPIREAT")) && num_parse_i64(items[0], &n));
        assert_non_null(e);
        db_set_deadline(db, e, key.hash, n);
    }
}

static size_t apply(void *ctx, const struct aof_command *commands, size_t count) {
    (void)ctx;
    for (size_t i = 0; i < count; i++)
        carry_out(&commands[i]);
    return count;
}

static enum aof_read_result rewrite_and_read(bool incremental_sync) {
    static const struct aof_reader_hooks hooks = {.apply = apply};
    char folder[] = "/tmp/kura-rewrite-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/base", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_true(aof_rewrite_commands(fd, incremental_sync));
    close(fd);
    lab_empty();
    enum aof_read_result result = aof_read(folder, "base", &hooks, &found);
    unlink(path);
    rmdir(folder);
    return result;
}

static void the_commands_give_the_same_dataset(void **state) {
    (void)state;
    for (int round = 0; round < 3; round++) {
        lab_empty();
        lab_fill(200);
        uint64_t before = lab_contents();
        aof_write_options.timestamps = round == 1;
        assert_int_equal(rewrite_and_read(round == 2), AOF_READ_OK);
        assert_true(lab_contents() == before);
        assert_int_equal(found.good, found.size);
        assert_true(found.frames > 0);
    }
    aof_write_options.timestamps = false;
}

static void an_empty_dataset_is_an_empty_file(void **state) {
    (void)state;
    lab_empty();
    assert_int_equal(rewrite_and_read(true), AOF_READ_EMPTY);
}

static void a_failed_write_is_told(void **state) {
    (void)state;
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    lab_empty();
    lab_fill(10);
    assert_false(aof_rewrite_commands(fd, false));
    assert_int_equal(errno, ENOSPC);
    close(fd);
    lab_empty();
}

int main(int argc, char **argv) {
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)time(NULL);
    printf("SEED %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    lab_start();
    clock_update();
    log_set_level(LOG_NOTHING);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_commands_give_the_same_dataset),
        cmocka_unit_test(an_empty_dataset_is_an_empty_file),
        cmocka_unit_test(a_failed_write_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
