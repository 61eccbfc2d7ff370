/* The dataset as commands: carried out, they give the same dataset, and no command is long. */
#include "aof/aof_read.h"
#include "aof/aof_rewrite.h"
#include "aof/aof_write.h"
#include "base/log.h"
#include "base/num.h"
#include "rdb/rdb_functions.h"
#include "rdb/rdb_lab.h"
#include "seed.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ITEMS_MAX 64 /* of one command */

static struct db *db;
static struct aof_finding found;

static struct stream_id id_of(struct slice text) {
    struct stream_id id;
    const char *dash = memchr(text.ptr, '-', text.len);
    assert_non_null(dash);
    size_t ms = (size_t)(dash - text.ptr);
    assert_true(num_parse_u64(slice_of(text.ptr, ms), &id.ms));
    assert_true(num_parse_u64(slice_of(dash + 1, text.len - ms - 1), &id.seq));
    return id;
}

static int64_t number_of(struct slice text) {
    int64_t n;
    assert_true(num_parse_i64(text, &n));
    return n;
}

static void carry_out_xadd(struct stream *s, const struct slice *items, size_t count) {
    if (slice_eq(items[0], SLICE("MAXLEN"))) {
        assert_int_equal(count, 5);
        stream_append(s, id_of(items[2]), items + 3, 1);
        stream_trim(s, &(struct stream_trim){.by = STREAM_MAXLEN});
    } else {
        stream_append(s, id_of(items[0]), items + 1, count / 2);
    }
}

/* group consumer 0 id ... TIME ms RETRYCOUNT n JUSTID FORCE. Redis drops deleted entries here; this test keeps them. */
static void carry_out_xclaim(struct stream *s, const struct slice *items, size_t count) {
    struct stream_group *g = stream_group(s, items[0]);
    const struct slice *tail = items + count - 6;
    struct stream_nack nack = {.consumer = stream_group_consumer(g, items[1])};
    assert_true(count > 9 && count <= 9 + ITEMS_MAX && slice_eq(items[2], SLICE("0")));
    assert_true(slice_eq(tail[0], SLICE("TIME")) && slice_eq(tail[2], SLICE("RETRYCOUNT")));
    assert_true(slice_eq(tail[4], SLICE("JUSTID")) && slice_eq(tail[5], SLICE("FORCE")));
    nack.time_ms = number_of(tail[1]);
    nack.deliveries = (uint64_t)number_of(tail[3]);
    for (const struct slice *id = items + 3; id < tail; id++) {
        nack.id = id_of(*id);
        assert_true(stream_group_deliver(g, &nack));
    }
}

static void carry_out_xsetid(struct stream *s, const struct slice *items) {
    struct stream_id max_deleted = id_of(items[4]);
    uint64_t added = (uint64_t)number_of(items[2]);
    assert_true(slice_eq(items[1], SLICE("ENTRIESADDED")) && slice_eq(items[3], SLICE("MAXDELETEDID")));
    stream_set_id(s, id_of(items[0]), &added, &max_deleted);
}

/* CREATE key group id ENTRIESREAD n, or CREATECONSUMER key group consumer. */
static void carry_out_xgroup(const struct slice *argv) {
    struct key key = key_of(argv[2]);
    struct stream *s = stream_of(db_peek(db, &key));
    if (slice_eq(argv[1], SLICE("CREATE"))) {
        assert_true(slice_eq(argv[5], SLICE("ENTRIESREAD")));
        stream_add_group(s, argv[3], id_of(argv[4]), number_of(argv[6]));
    } else {
        assert_true(slice_eq(argv[1], SLICE("CREATECONSUMER")));
        stream_group_add_consumer(stream_group(s, argv[3]), argv[4], 0);
    }
}

static void carry_out_on_stream(const struct slice *argv, size_t argc) {
    struct key key = key_of(argv[1]);
    struct entry *e = db_peek(db, &key);
    if (slice_eq(argv[0], SLICE("XADD")))
        carry_out_xadd(stream_of(e ? e : stream_create(db, &key)), argv + 2, argc - 2);
    else if (slice_eq(argv[0], SLICE("XSETID")))
        carry_out_xsetid(stream_of(e), argv + 2);
    else
        carry_out_xclaim(stream_of(e), argv + 2, argc - 2);
}

/* --- Libraries: any text is one -------------------------------------------------------------- */

static const struct slice libraries[] = {{"#!lua name=a\ncode", 17}, {"\0\r\n", 3}};
static size_t loaded;

static void put_libraries(void (*put)(void *ctx, struct slice source), void *ctx) {
    for (size_t i = 0; i < 2; i++)
        put(ctx, libraries[i]);
}

static void carry_out_function(const struct aof_command *command) {
    assert_int_equal(command->argc, 3);
    assert_true(loaded < 2 && lab_contents() == 0);
    assert_true(slice_eq(command->argv[1], SLICE("LOAD")) && slice_eq(command->argv[2], libraries[loaded]));
    loaded++;
}

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
    if (slice_eq(argv[0], SLICE("FUNCTION"))) {
        carry_out_function(command);
        return;
    }
    if (slice_eq(argv[0], SLICE("XGROUP"))) {
        carry_out_xgroup(argv);
        return;
    }
    if (argv[0].ptr[0] == 'X') {
        carry_out_on_stream(argv, (size_t)command->argc);
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

static void libraries_come_before_the_keys(void **state) {
    static const struct rdb_functions hook = {.each = put_libraries};
    (void)state;
    rdb_functions = &hook;
    lab_fill(30);
    assert_int_equal(rewrite_and_read(false), AOF_READ_OK);
    assert_int_equal(loaded, 2);
    rdb_functions = NULL;
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

int main(void) {
    uint64_t seed = seed_of_run();
    printf("SEED %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    lab_start();
    clock_update();
    log_set_level(LOG_NOTHING);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_commands_give_the_same_dataset),
        cmocka_unit_test(an_empty_dataset_is_an_empty_file),
        cmocka_unit_test(libraries_come_before_the_keys),
        cmocka_unit_test(a_failed_write_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
