/* The log against a model that keeps every byte that was ever appended: cursors read what the model has, whatever was
 * trimmed meanwhile, and nothing that a cursor or the backlog needs is dropped. */
#include "base/alloc.h"
#include "base/blob.h"
#include "base/buf.h"
#include "base/rand.h"
#include "oplog/oplog.h"
#include "seed.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BLOCK 16384
#define CURSORS 6
#define STEPS 20000

/* --- The model ------------------------------------------------------------------------------- */

static struct {
    struct buf bytes; /* from `base` on */
    int64_t base;
    int db;
} model;

static int64_t model_end(void) {
    return model.base + (int64_t)model.bytes.len;
}

static void model_restart(int64_t offset, int db) {
    model.bytes.len = 0;
    model.base = offset;
    model.db = db;
}

static void model_words(const struct slice *argv, int argc) {
    buf_printf(&model.bytes, "*%d\r\n", argc);
    for (int i = 0; i < argc; i++) {
        buf_printf(&model.bytes, "$%zu\r\n", argv[i].len);
        buf_append_slice(&model.bytes, argv[i]);
        buf_append_cstr(&model.bytes, "\r\n");
    }
}

static void model_append(int db, const struct slice *argv, int argc) {
    if (db >= 0 && db != model.db) {
        char digits[16];
        snprintf(digits, sizeof digits, "%d", db);
        model_words((struct slice[]){SLICE("SELECT"), slice_cstr(digits)}, 2);
        model.db = db;
    }
    model_words(argv, argc);
}

static const char *model_at(int64_t offset) {
    return model.bytes.data + (offset - model.base);
}

/* --- Both ------------------------------------------------------------------------------------ */

static char noise[1 << 20];

static void append(int db, const struct slice *argv, int argc) {
    size_t before = model.bytes.len;
    bool selects = db >= 0 && db != model.db, has_raw = rand_below(2);
    model_append(db, argv, argc);
    struct buf raw = {0};
    if (has_raw) {
        struct buf kept = model.bytes;
        model.bytes = (struct buf){0};
        model_words(argv, argc);
        raw = model.bytes;
        model.bytes = kept;
    }
    oplog_append(db, argv, argc, has_raw ? buf_slice(&raw) : slice_of(NULL, 0));
    assert_true(selects || !has_raw || model.bytes.len - before == raw.len);
    buf_free(&raw);
    assert_int_equal(oplog_end(), model_end());
    assert_int_equal(oplog_db(), model.db);
}

static struct slice random_word(void) {
    size_t most = rand_below(200) == 0 ? sizeof noise - 100 : rand_below(10) == 0 ? 2 * BLOCK : 60;
    return slice_of(noise + rand_below(100), rand_below(most));
}

static void append_random(void) {
    struct slice argv[] = {SLICE("SET"), random_word(), random_word()};
    append((int)rand_below(3) - 1 + (model.db < 0), argv, 1 + (int)rand_below(3));
}

/* What follows the cursor is what the model has there. */
static void check_cursor(const struct oplog_cursor *cursor) {
    struct iovec pieces[5];
    size_t bytes = 1 + rand_below(3 * BLOCK), seen = 0;
    int64_t at = oplog_at(cursor);
    int n = oplog_peek(cursor, pieces, 1 + (int)rand_below(5), bytes);
    assert_int_equal(oplog_behind(cursor), model_end() - at);
    assert_int_equal(n == 0, at == model_end());
    for (int i = 0; i < n; i++) {
        assert_true(pieces[i].iov_len > 0);
        assert_memory_equal(pieces[i].iov_base, model_at(at + (int64_t)seen), pieces[i].iov_len);
        seen += pieces[i].iov_len;
    }
    assert_true(seen <= bytes && seen <= oplog_behind(cursor));
}

/* Values that the log refers to; somebody else drops them at once. */
static void append_large(void) {
    struct blob *blobs[3] = {NULL, NULL, NULL};
    struct slice argv[] = {SLICE("MSET"), random_word(), random_word()};
    int db = (int)rand_below(3);
    for (int i = 1; i < 3; i++) {
        if (rand_below(3) == 0) continue;
        blobs[i] = blob_from(argv[i]);
        argv[i] = blob_slice(blobs[i]);
    }
    model_append(db, argv, 3);
    oplog_append_large(db, argv, 3, blobs);
    for (int i = 1; i < 3; i++)
        if (blobs[i]) blob_drop(blobs[i]);
    assert_int_equal(oplog_end(), model_end());
}

static struct oplog_cursor cursors[CURSORS];
static size_t kept;
static int64_t dropped; /* what was gone when `kept` was set */

/* Nothing was dropped that somebody needs, and not much is kept beyond that. */
static void check_bounds(void) {
    int64_t needed = model_end() - (int64_t)kept;
    if (needed < dropped) needed = dropped;
    for (int i = 0; i < CURSORS; i++)
        if (cursors[i].block && oplog_at(&cursors[i]) < needed) needed = oplog_at(&cursors[i]);
    assert_true(oplog_first() <= needed);
    assert_int_equal(oplog_metrics().bytes, model_end() - oplog_first());
    assert_true(oplog_metrics().memory >= oplog_metrics().bytes);
}

static void seek_somewhere(struct oplog_cursor *cursor) {
    int64_t first = oplog_first(), end = model_end();
    int64_t offset = first - 10 + (int64_t)rand_below((uint64_t)(end - first) + 20);
    bool is_there = oplog_seek(cursor, offset);
    assert_int_equal(is_there, offset >= first && offset <= end);
    assert_int_equal(cursor->block != NULL, is_there);
    if (is_there) assert_int_equal(oplog_at(cursor), offset);
}

static void leave_all(void) {
    for (int i = 0; i < CURSORS; i++)
        oplog_leave(&cursors[i]);
}

static void step(void) {
    struct oplog_cursor *cursor = &cursors[rand_below(CURSORS)];
    switch (rand_below(12)) {
    case 0: seek_somewhere(cursor); break;
    case 1: oplog_leave(cursor); break;
    case 2: oplog_trim(); break;
    case 3:
        if (cursor->block) oplog_advance(cursor, rand_below(oplog_behind(cursor) + 1));
        break;
    case 4:
        if (cursor->block) oplog_advance(cursor, oplog_behind(cursor));
        break;
    case 5:
        if (rand_below(20)) break;
        oplog_keep(kept = rand_below(40 * BLOCK));
        dropped = oplog_first();
        break;
    case 6:
        if (rand_below(500) == 0) {
            int64_t offset = (int64_t)rand_below(1000000);
            leave_all();
            dropped = offset;
            model_restart(offset, (int)rand_below(3) - 1);
            oplog_restart(offset, model.db);
            assert_int_equal(oplog_unit_end(), offset);
        }
        break;
    case 7: {
        struct slice bytes = random_word();
        buf_append_slice(&model.bytes, bytes);
        model.db = (int)rand_below(3);
        oplog_pass_on(bytes, model.db);
        break;
    }
    case 8: append_large(); break;
    default: append_random(); break;
    }
}

static void it_is_like_the_model(void **state) {
    (void)state;
    for (int n = 0; n < STEPS; n++) {
        step();
        check_bounds();
        const struct oplog_cursor *cursor = &cursors[rand_below(CURSORS)];
        if (cursor->block) check_cursor(cursor);
    }
    leave_all();
}

/* --- One by one ------------------------------------------------------------------------------ */

static void append_bytes(size_t n) {
    for (size_t some; n > 0; n -= some) {
        some = n < sizeof noise ? n : sizeof noise;
        oplog_pass_on(slice_of(noise, some), 0);
    }
}

static int begin(void **state) {
    (void)state;
    oplog_want(OPLOG_BACKLOG, true);
    oplog_keep(kept = 0);
    dropped = 0;
    oplog_restart(0, -1);
    model_restart(0, -1);
    return 0;
}

static int finish(void **state) {
    (void)state;
    leave_all();
    oplog_want(OPLOG_BACKLOG, false);
    assert_int_equal(oplog_metrics().memory, 0);
    return 0;
}

static void select_stands_where_the_database_changes(void **state) {
    (void)state;
    struct oplog_cursor cursor = {0};
    struct slice ping = SLICE("PING");
    struct iovec piece;
    assert_true(oplog_seek(&cursor, 0));
    oplog_append(-1, &ping, 1, slice_of(NULL, 0));
    assert_int_equal(oplog_db(), -1);
    oplog_append(2, &ping, 1, slice_of(NULL, 0));
    oplog_append(-1, &ping, 1, slice_of(NULL, 0));
    oplog_append(2, &ping, 1, SLICE("*1\r\n$4\r\nPING\r\n"));
    oplog_end_unit();
    assert_int_equal(oplog_unit_db(), 2);
    assert_int_equal(oplog_unit_end(), oplog_end());
    oplog_forget_db();
    oplog_recall_db();
    assert_int_equal(oplog_unit_db(), 2);
    assert_int_equal(oplog_db(), 2);
    oplog_forget_db();
    assert_int_equal(oplog_unit_db(), -1);
    oplog_append(2, &ping, 1, slice_of(NULL, 0));
    assert_true(oplog_unit_end() < oplog_end());
    static const char expected[] = "*1\r\n$4\r\nPING\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n*1\r\n$4\r\nPING\r\n"
                                   "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n"
                                   "*1\r\n$4\r\nPING\r\n";
    assert_int_equal(oplog_peek(&cursor, &piece, 1, SIZE_MAX), 1);
    assert_int_equal(piece.iov_len, sizeof expected - 1);
    assert_memory_equal(piece.iov_base, expected, piece.iov_len);
    oplog_leave(&cursor);
}

/* Each call drops some blocks, and at least as many as were opened since the last one. */
static void trimming_is_bounded(void **state) {
    (void)state;
    struct oplog_cursor cursor = {0};
    assert_true(oplog_seek(&cursor, 0));
    append_bytes(300 * BLOCK);
    oplog_trim(); /* in vain */
    assert_int_equal(oplog_first(), 0);
    oplog_leave(&cursor);
    oplog_trim();
    assert_in_range(oplog_first(), 60 * BLOCK, 70 * BLOCK);
    append_bytes(100 * BLOCK);
    oplog_trim();
    assert_in_range(oplog_first(), 220 * BLOCK, 240 * BLOCK);
    for (int i = 0; i < 4; i++)
        oplog_trim();
    assert_true(oplog_metrics().bytes <= BLOCK);
    assert_true(oplog_metrics().memory <= 20 * BLOCK); /* some blocks are spare */
}

/* A reader at the end keeps one block, however much comes behind it. */
static void the_backlog_has_its_size(void **state) {
    (void)state;
    oplog_keep(10 * BLOCK);
    append_bytes(100 * BLOCK);
    for (int i = 0; i < 3; i++)
        oplog_trim();
    assert_in_range(oplog_metrics().bytes, 10 * BLOCK, 12 * BLOCK);
    assert_in_range(oplog_metrics().memory, 10 * BLOCK, 28 * BLOCK);
    oplog_keep(0);
    oplog_trim();
    assert_true(oplog_metrics().bytes <= BLOCK);
    assert_int_equal(oplog_metrics().excess, oplog_metrics().memory);
}

/* One value must not make blocks that hold the backlog's end for long. */
static void a_block_is_a_part_of_the_backlog(void **state) {
    (void)state;
    oplog_keep(64 * BLOCK);
    append_bytes(1 << 20);
    append_bytes(1 << 20);
    for (int i = 0; i < 9; i++)
        oplog_trim();
    assert_in_range(oplog_metrics().bytes, 64 * BLOCK, 69 * BLOCK);
}

static void a_slow_cursor_costs_no_copy(void **state) {
    (void)state;
    for (int i = 0; i < CURSORS; i++)
        assert_true(oplog_seek(&cursors[i], 0));
    size_t before = alloc_used();
    append_bytes(1000 * BLOCK);
    assert_in_range(alloc_used() - before, 1000 * BLOCK, 1020 * BLOCK);
    leave_all();
}

/* Its memory counts once, wherever it is held, and small commands around it share blocks. */
static void a_large_value_is_not_copied(void **state) {
    (void)state;
    struct blob *value = blob_from(slice_of(noise, 100000));
    struct slice argv[] = {SLICE("SET"), SLICE("k"), blob_slice(value)};
    append_bytes(10);
    size_t before = alloc_used();
    for (int i = 0; i < 10; i++) {
        oplog_append_large(0, argv, 3, (struct blob *[]){NULL, NULL, value});
        append_bytes(100);
    }
    assert_true(alloc_used() - before < BLOCK);
    assert_in_range(oplog_metrics().referred, 10 * 100000, 12 * 100000);
    assert_true(oplog_metrics().memory - oplog_metrics().referred <= BLOCK);
    assert_int_equal(value->holders, 11);
    append_bytes(2 * BLOCK);
    oplog_trim();
    assert_int_equal(value->holders, 1);
    blob_drop(value);
}

static void nobody_keeps_it(void **state) {
    (void)state;
    append_bytes(5 * BLOCK);
    oplog_want(OPLOG_FILE, true);
    oplog_want(OPLOG_BACKLOG, false);
    assert_int_equal(oplog_metrics().bytes, 5 * BLOCK);
    oplog_want(OPLOG_FILE, false);
    assert_int_equal(oplog_is_kept, 0);
    assert_int_equal(oplog_metrics().bytes, 0);
    assert_int_equal(oplog_end(), 5 * BLOCK); /* offsets go on */
    assert_int_equal(oplog_first(), 5 * BLOCK);
}

int main(void) {
    uint64_t seed = seed_of_run();
    printf("SEED %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (char)rand_below(256);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_is_like_the_model, begin, finish),
        cmocka_unit_test_setup_teardown(select_stands_where_the_database_changes, begin, finish),
        cmocka_unit_test_setup_teardown(trimming_is_bounded, begin, finish),
        cmocka_unit_test_setup_teardown(the_backlog_has_its_size, begin, finish),
        cmocka_unit_test_setup_teardown(a_block_is_a_part_of_the_backlog, begin, finish),
        cmocka_unit_test_setup_teardown(a_slow_cursor_costs_no_copy, begin, finish),
        cmocka_unit_test_setup_teardown(a_large_value_is_not_copied, begin, finish),
        cmocka_unit_test_setup_teardown(nobody_keeps_it, begin, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
