/* The writer and the reader against each other: sizes around that of a block, descriptors and memory, failures. */
#include "base/alloc.h"
#include "base/crc64.h"
#include "base/rand.h"
#include "disk/reader.h"
#include "disk/writer.h"
#include "seed.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define BYTES (5 * WRITER_BLOCK + 12345)

static uint8_t *data; /* BYTES random bytes */

static size_t piece(void) {
    switch (rand_below(8)) {
    case 0: return rand_below(WRITER_BLOCK * 2);
    case 1: return WRITER_BLOCK - 2 + rand_below(5);
    case 2: return WRITER_BLOCK / 2 - 2 + rand_below(5);
    default: return rand_below(2000);
    }
}

static void put_all(struct writer *w) {
    for (size_t at = 0, n; at < BYTES; at += n) {
        n = piece();
        if (n > BYTES - at) n = BYTES - at;
        if (n < WRITER_BLOCK && rand_below(2)) {
            uint8_t *p = writer_reserve(w, n);
            memcpy(p, data + at, n);
            w->at += n;
        } else {
            writer_put(w, data + at, n);
        }
        assert_int_equal(writer_bytes(w), at + n);
        if (rand_below(50) == 0) assert_true(writer_crc(w) == crc64(0, data, at + n));
    }
}

static void get_all(struct reader *r) {
    uint8_t *copy = malloc(BYTES);
    for (size_t at = 0, n; at < BYTES; at += n) {
        n = piece();
        if (n > BYTES - at) n = BYTES - at;
        assert_int_equal(reader_offset(r), at);
        assert_true(reader_left(r) >= BYTES - at);
        if (n <= READER_BLOCK / 2 && rand_below(2)) {
            const uint8_t *p = reader_take(r, n);
            assert_non_null(p);
            assert_memory_equal(p, data + at, n);
        } else if (rand_below(4) == 0) {
            assert_true(reader_skip(r, n));
        } else {
            assert_true(reader_get(r, copy, n));
            assert_memory_equal(copy, data + at, n);
        }
        if (rand_below(50) == 0) assert_true(reader_crc(r) == crc64(0, data, at + n));
    }
    assert_true(reader_crc(r) == crc64(0, data, BYTES));
    assert_int_equal(reader_offset(r), BYTES);
    assert_false(r->failed);
    assert_null(reader_take(r, 1));
    assert_true(r->failed);
    assert_int_equal(reader_left(r), 0);
    assert_false(reader_get(r, copy, 1));
    assert_int_equal(r->error, 0);
    free(copy);
}

static void there_and_back_by_file(void **state) {
    (void)state;
    for (int i = 0; i < 20; i++) {
        int fd = memfd_create("test", MFD_CLOEXEC);
        struct writer w;
        writer_to_fd(&w, fd, true, i % 2);
        put_all(&w);
        assert_true(writer_sync(&w));
        assert_true(writer_crc(&w) == crc64(0, data, BYTES));
        writer_free(&w);
        struct reader r;
        lseek(fd, 0, SEEK_SET);
        reader_from_fd(&r, fd, 0, true);
        assert_int_equal(reader_left(&r), BYTES);
        get_all(&r);
        reader_free(&r);
        close(fd);
    }
}

static void there_and_back_in_memory(void **state) {
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct writer w;
        writer_to_memory(&w, true);
        put_all(&w);
        assert_true(writer_flush(&w));
        assert_int_equal(writer_slice(&w).len, BYTES);
        assert_memory_equal(writer_slice(&w).ptr, data, BYTES);
        struct reader r;
        reader_from_memory(&r, writer_slice(&w), true);
        get_all(&r);
        reader_free(&r);
        writer_free(&w);
    }
}

/* Memory that has a limit: what was written is not there after an error, and nothing more is kept. */
static void memory_with_a_limit(void **state) {
    (void)state;
    struct writer w;
    writer_to_some_memory(&w, true, BYTES);
    put_all(&w);
    assert_true(writer_flush(&w));
    assert_memory_equal(writer_slice(&w).ptr, data, BYTES);
    writer_free(&w);
    writer_to_some_memory(&w, true, BYTES / 2);
    for (size_t at = 0; at < BYTES; at += 1000)
        writer_put(&w, data + at, BYTES - at < 1000 ? BYTES - at : 1000);
    assert_false(writer_flush(&w));
    assert_int_equal(w.error, EFBIG);
    assert_true(w.room <= BYTES);
    writer_free(&w);
    volatile size_t absurd = (size_t)1 << 60;
    writer_to_some_memory(&w, false, SIZE_MAX);
    writer_put(&w, data, 1000);
    writer_put(&w, data, absurd);
    assert_int_equal(w.error, ENOMEM);
    memset(writer_reserve(&w, WRITER_BLOCK), 'x', WRITER_BLOCK); /* callers need not look for the error */
    assert_false(writer_flush(&w));
    writer_free(&w);
}

static uint64_t told;
static void note(void *ctx, uint64_t bytes) {
    (void)ctx;
    assert_true(bytes >= told);
    told = bytes;
}

static void a_reader_begins_anywhere(void **state) {
    (void)state;
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_int_equal(write(fd, data, 3000000), 3000000);
    struct reader r;
    lseek(fd, 1000, SEEK_SET);
    reader_from_fd(&r, fd, 1000, false);
    r.progress = note;
    told = 0;
    assert_int_equal(reader_left(&r), 2999000);
    const uint8_t *p = reader_take(&r, 10);
    assert_memory_equal(p, data + 1000, 10);
    assert_int_equal(reader_offset(&r), 1010);
    assert_true(reader_skip(&r, 2000000));
    assert_int_equal(reader_offset(&r), 2001010);
    assert_true(told >= 1000000);
    assert_false(reader_skip(&r, 1000000));
    reader_free(&r);
    close(fd);
}

static void a_pipe_has_no_size(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct writer w;
    writer_to_fd(&w, ends[1], true, true);
    writer_put(&w, data, 10000);
    assert_true(writer_flush(&w));
    close(ends[1]);
    struct reader r;
    reader_from_fd(&r, ends[0], 0, true);
    assert_true(reader_left(&r) == UINT64_MAX);
    uint8_t copy[10000];
    assert_true(reader_get(&r, copy, sizeof copy));
    assert_memory_equal(copy, data, sizeof copy);
    assert_true(reader_crc(&r) == writer_crc(&w));
    assert_null(reader_take(&r, 1));
    reader_free(&r);
    writer_free(&w);
    close(ends[0]);
}

static void errors_are_kept(void **state) {
    (void)state;
    int fd = open("/dev/full", O_WRONLY);
    struct writer w;
    writer_to_fd(&w, fd, true, false);
    for (int i = 0; i < 10; i++)
        writer_put(&w, data, 3 * WRITER_BLOCK / 4);
    assert_int_equal(w.error, ENOSPC);
    assert_false(writer_flush(&w));
    assert_false(writer_sync(&w));
    writer_free(&w);
    close(fd);
    struct reader r;
    reader_from_fd(&r, -1, 0, true);
    assert_null(reader_take(&r, 1));
    assert_int_equal(r.error, EBADF);
    reader_free(&r);
}

/* --- Sinks and sources ----------------------------------------------------------------------- */

static size_t passed; /* bytes that went through the sink or the source */

static int take_some(void *ctx, const void *bytes, size_t n) {
    size_t most = *(size_t *)ctx;
    if (n > most - passed) return ECONNRESET;
    assert_memory_equal(bytes, data + passed, n);
    passed += n;
    return 0;
}

static void a_sink_takes_all(void **state) {
    size_t most = BYTES;
    struct writer w;
    (void)state;
    for (int i = 0; i < 10; i++) {
        passed = 0;
        writer_to_sink(&w, take_some, &most, true);
        put_all(&w);
        assert_true(writer_sync(&w)); /* there is nothing to be synced */
        assert_int_equal(passed, BYTES);
        assert_true(writer_crc(&w) == crc64(0, data, BYTES));
        writer_free(&w);
    }
}

static void a_sink_that_fails_is_not_called_again(void **state) {
    size_t most = BYTES / 2;
    struct writer w;
    (void)state;
    passed = 0;
    writer_to_sink(&w, take_some, &most, true);
    put_all(&w);
    assert_false(writer_flush(&w));
    assert_int_equal(w.error, ECONNRESET);
    most = SIZE_MAX;
    size_t before = passed;
    assert_false(writer_flush(&w));
    assert_int_equal(passed, before);
    writer_free(&w);
}

static struct reader reading;
static enum { GIVES, ENDS, FAILS, STOPS } at_end; /* what the source does behind all bytes, or behind `given` */
static size_t given;

/* As a socket: sometimes little, sometimes all that was asked for. */
static ssize_t give_some(void *ctx, void *to, size_t n) {
    assert_ptr_equal(ctx, &given);
    assert_true(n > 0);
    size_t left = given - passed;
    if (left == 0) {
        assert_int_not_equal(at_end, GIVES);
        if (at_end == STOPS) reader_stop(&reading, ECANCELED);
        errno = ETIMEDOUT;
        return at_end == FAILS ? -1 : at_end == STOPS ? 1 : 0;
    }
    if (rand_below(2) && n > 1) n = 1 + rand_below(n);
    if (n > left) n = left;
    memcpy(to, data + passed, n);
    passed += n;
    return (ssize_t)n;
}

static void begin_source(size_t bytes, uint64_t size) {
    passed = 0;
    given = bytes;
    reader_from_source(&reading, give_some, &given, size, true);
}

static void a_source_is_read(void **state) {
    (void)state;
    for (int i = 0; i < 10; i++) {
        at_end = i % 2 ? GIVES : ENDS; /* of a known size, nothing beyond is asked for */
        begin_source(BYTES, i % 2 ? BYTES : UINT64_MAX);
        assert_true(reader_left(&reading) == (i % 2 ? BYTES : UINT64_MAX));
        get_all(&reading);
        reader_free(&reading);
    }
}

static void a_source_of_known_size_is_not_asked_for_more(void **state) {
    (void)state;
    for (int i = 0; i < 20; i++) {
        size_t size = 1 + rand_below(3000000);
        uint8_t *copy = malloc(size);
        begin_source(BYTES, size);
        at_end = GIVES;
        assert_true(rand_below(2) ? reader_get(&reading, copy, size) : reader_skip(&reading, size));
        assert_int_equal(passed, size);
        assert_int_equal(reader_left(&reading), 0);
        assert_int_equal(reader_rest(&reading).len, 0);
        assert_null(reader_take(&reading, 1));
        assert_int_equal(passed, size);
        reader_free(&reading);
        free(copy);
    }
}

static void what_was_read_too_early_is_given_back(void **state) {
    (void)state;
    for (int i = 0; i < 50; i++) {
        size_t used = 1 + rand_below(2000000);
        begin_source(BYTES, UINT64_MAX);
        assert_true(reader_skip(&reading, used));
        struct slice rest = reader_rest(&reading);
        assert_int_equal(used + rest.len, passed);
        assert_memory_equal(rest.ptr, data + used, rest.len);
        reader_free(&reading);
    }
}

static void a_source_that_fails_or_is_stopped(void **state) {
    static const int errors[] = {[ENDS] = 0, [FAILS] = ETIMEDOUT, [STOPS] = ECANCELED};
    (void)state;
    for (int i = 0; i < 12; i++) {
        uint8_t *copy = malloc(BYTES);
        at_end = ENDS + i % 3;
        begin_source(i < 6 ? 1000 : BYTES - 1000, UINT64_MAX);
        assert_false(i % 2 ? reader_get(&reading, copy, BYTES) : reader_skip(&reading, BYTES));
        assert_true(reading.failed);
        assert_int_equal(reading.error, errors[at_end]);
        assert_null(reader_take(&reading, 1));
        assert_int_equal(reader_left(&reading), 0);
        assert_int_equal(reader_rest(&reading).len, 0);
        reader_free(&reading);
        free(copy);
    }
}

static void stop_in_progress(void *ctx, uint64_t bytes) {
    (void)ctx;
    if (bytes > BYTES / 4) reader_stop(&reading, ECANCELED);
}

static void progress_may_stop_it(void **state) {
    (void)state;
    for (int i = 0; i < 6; i++) {
        uint8_t *copy = malloc(BYTES);
        begin_source(BYTES, i % 2 ? BYTES : UINT64_MAX);
        reading.progress = stop_in_progress;
        if (i < 3) {
            assert_false(reader_get(&reading, copy, BYTES));
        } else {
            size_t taken = 0;
            while (reader_take(&reading, 1000))
                taken += 1000;
            assert_true(taken > BYTES / 8 && taken < BYTES / 2);
        }
        assert_int_equal(reading.error, ECANCELED);
        reader_free(&reading);
        free(copy);
    }
}

/* Bytes in any way, with waits for more than the block has; the checksum is that of all. */
static void bytes_are_awaited_before_they_are_taken(void **state) {
    (void)state;
    at_end = ENDS;
    for (int i = 0; i < 10; i++) {
        begin_source(BYTES, UINT64_MAX);
        for (size_t at = 0; at < BYTES;) {
            size_t n = 1 + rand_below(rand_below(2) ? 3000000 : 3000);
            if (n > BYTES - at) n = BYTES - at;
            uint8_t *copy = malloc(n);
            if (rand_below(2)) assert_true(reader_await(&reading, n));
            assert_int_equal(reader_offset(&reading), at);
            assert_true(reader_get(&reading, copy, n));
            assert_memory_equal(copy, data + at, n);
            free(copy);
            at += n;
        }
        assert_true(reader_crc(&reading) == crc64(0, data, BYTES));
        assert_false(reader_await(&reading, READER_BLOCK));
        reader_free(&reading);
    }
}

static void memory_is_not_spent_on_claims(void **state) {
    (void)state;
    at_end = ENDS;
    size_t before = alloc_used();
    begin_source(1000, UINT64_MAX);
    assert_false(reader_await(&reading, (size_t)1 << 31));
    assert_true(alloc_used() - before < 3 * READER_BLOCK);
    reader_free(&reading);
    assert_int_equal(alloc_used(), before);
}

int main(void) {
    uint64_t seed = seed_of_run();
    printf("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    data = malloc(BYTES);
    for (size_t i = 0; i < BYTES; i++)
        data[i] = (uint8_t)rand_u64();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back_by_file),
        cmocka_unit_test(there_and_back_in_memory),
        cmocka_unit_test(a_reader_begins_anywhere),
        cmocka_unit_test(a_pipe_has_no_size),
        cmocka_unit_test(errors_are_kept),
        cmocka_unit_test(memory_with_a_limit),
        cmocka_unit_test(a_sink_takes_all),
        cmocka_unit_test(a_sink_that_fails_is_not_called_again),
        cmocka_unit_test(a_source_is_read),
        cmocka_unit_test(a_source_of_known_size_is_not_asked_for_more),
        cmocka_unit_test(what_was_read_too_early_is_given_back),
        cmocka_unit_test(a_source_that_fails_or_is_stopped),
        cmocka_unit_test(progress_may_stop_it),
        cmocka_unit_test(bytes_are_awaited_before_they_are_taken),
        cmocka_unit_test(memory_is_not_spent_on_claims),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(data);
    return failed;
}
