/* The growing end of the log: its frames, SELECT, stamps, and writes that fail. */
#include "aof/aof_frame.h"
#include "aof/aof_place.h"
#include "aof/aof_write.h"
#include "aof/log_lab.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/crc64.h"
#include "base/log.h"
#include "base/worker.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#define FILE_MAX_BYTES (4 << 20)

static int fd;
static char bytes[FILE_MAX_BYTES + 1];
static size_t len;

static void append(int db_id, const char *one, const char *two) {
    struct slice argv[] = {slice_cstr(one), two ? slice_cstr(two) : slice_of(NULL, 0)};
    lab_append(db_id, argv, two ? 2 : 1);
}

static void read_file(void) {
    len = (size_t)lseek(fd, 0, SEEK_END);
    assert_true(len <= FILE_MAX_BYTES && pread(fd, bytes, len, 0) == (ssize_t)len);
    bytes[len] = '\0';
}

/* The payload of the frame at *at, which must be valid; *at moves behind it. */
static struct slice take_frame(size_t *at) {
    char line[AOF_FRAME_LINE];
    char digits[11] = "";
    assert_true(len - *at > AOF_FRAME_LINE);
    memcpy(digits, bytes + *at + 20, 10);
    size_t payload = strtoul(digits, NULL, 16);
    assert_true(payload > 0 && payload <= len - *at - AOF_FRAME_LINE);
    aof_frame_print(line, bytes + *at + AOF_FRAME_LINE, payload);
    assert_memory_equal(bytes + *at, line, AOF_FRAME_LINE);
    struct slice taken = slice_of(bytes + *at + AOF_FRAME_LINE, payload);
    *at += AOF_FRAME_LINE + payload;
    return taken;
}

static void assert_frame(size_t *at, const char *payload) {
    struct slice taken = take_frame(at);
    if (!slice_eq(taken, slice_cstr(payload))) fail_msg("%.*s", (int)taken.len, taken.ptr);
}

static void the_annotation_has_its_form(void **state) {
    char line[AOF_FRAME_LINE + 1] = "", expected[64];
    (void)state;
    aof_frame_print(line, "payload", 7);
    snprintf(expected, sizeof expected, "#K:%016llx 0000000007\r\n", (unsigned long long)crc64(0, "payload", 7));
    assert_string_equal(line, expected);
}

static void a_write_is_one_frame(void **state) {
    size_t at = 0;
    (void)state;
    append(0, "DEL", "a");
    append(0, "DEL", "b");
    assert_int_equal(lseek(fd, 0, SEEK_END), 0); /* nothing is written before the flush */
    assert_true(aof_write_metrics().buffered > 0);
    assert_true(aof_write_flush(false));
    append(1, "DEL", "c");
    assert_true(aof_write_flush(false));
    read_file();
    assert_frame(&at, "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*2\r\n$3\r\nDEL\r\n$1\r\na\r\n*2\r\n$3\r\nDEL\r\n$1\r\nb\r\n");
    assert_frame(&at, "*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n*2\r\n$3\r\nDEL\r\n$1\r\nc\r\n");
    assert_int_equal(at, len);
    assert_int_equal(aof_write_metrics().file_bytes, len);
    assert_int_equal(aof_write_metrics().buffered, 0);
}

static void select_stands_before_multi(void **state) {
    struct slice name = SLICE("MULTI");
    size_t at = 0;
    (void)state;
    lab_append(3, &name, 1);
    append(3, "DEL", "a");
    append(3, "EXEC", NULL);
    assert_true(aof_write_flush(false));
    read_file();
    assert_frame(
        &at,
        "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n*1\r\n$5\r\nMULTI\r\n*2\r\n$3\r\nDEL\r\n$1\r\na\r\n*1\r\n$4\r\nEXEC\r\n");
}

static void a_long_transaction_is_one_frame(void **state) {
    static char value[AOF_FRAME_MAX / 2];
    size_t at = 0;
    (void)state;
    memset(value, 'v', sizeof value - 1);
    append(0, "MULTI", NULL);
    for (int i = 0; i < 3; i++)
        append(0, "DEL", value);
    append(0, "EXEC", NULL);
    for (int i = 0; i < 3; i++)
        append(0, "DEL", value);
    assert_true(aof_write_flush(false));
    read_file();
    struct slice unit = take_frame(&at);
    assert_true(unit.len > 3 * sizeof value && unit.len < 4 * sizeof value);
    assert_memory_equal(unit.ptr + unit.len - 6, "EXEC\r\n", 6);
    while (at < len)
        assert_true(take_frame(&at).len < AOF_FRAME_MAX + sizeof value);
}

static void stamps_stand_between_frames(void **state) {
    char stamp[32];
    size_t at = 0;
    (void)state;
    aof_write_options.timestamps = true;
    append(0, "DEL", "a");
    clock_cached_ms += 2000;
    append(0, "DEL", "b");
    append(0, "DEL", "c");
    assert_true(aof_write_flush(false));
    aof_write_options.timestamps = false;
    read_file();
    at = (size_t)snprintf(stamp, sizeof stamp, "#TS:%lld\r\n", (long long)(clock_now_ms() / 1000 - 2));
    assert_memory_equal(bytes, stamp, at);
    assert_frame(&at, "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*2\r\n$3\r\nDEL\r\n$1\r\na\r\n");
    int n = snprintf(stamp, sizeof stamp, "#TS:%lld\r\n", (long long)(clock_now_ms() / 1000));
    assert_memory_equal(bytes + at, stamp, n);
    at += (size_t)n;
    assert_frame(&at, "*2\r\n$3\r\nDEL\r\n$1\r\nb\r\n*2\r\n$3\r\nDEL\r\n$1\r\nc\r\n");
    assert_int_equal(at, len);
}

/* Let files grow no further than this; 0: without a limit. */
static void limit_files(rlim_t most) {
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = most ? most : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_short_write_is_taken_back(void **state) {
    size_t at = 0;
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    append(0, "DEL", "a");
    assert_true(aof_write_flush(false));
    off_t good = lseek(fd, 0, SEEK_END);
    append(0, "DEL", "b");
    limit_files((rlim_t)good + 10);
    assert_false(aof_write_flush(false));
    assert_int_equal(lseek(fd, 0, SEEK_END), good);
    assert_int_equal(aof_write_metrics().write_errno, EFBIG);
    assert_true(aof_write_failing(aof_write_metrics()));
    append(0, "DEL", "c");
    limit_files(0);
    assert_true(aof_write_flush(false));
    assert_false(aof_write_failing(aof_write_metrics()));
    read_file();
    take_frame(&at);
    assert_frame(&at, "*2\r\n$3\r\nDEL\r\n$1\r\nb\r\n");
    assert_frame(&at, "*2\r\n$3\r\nDEL\r\n$1\r\nc\r\n");
    assert_int_equal(at, len);
}

/* What is in the file cannot be cut off: the rest follows byte by byte, and then what came meanwhile. */
static void a_short_write_that_stays_is_continued(void **state) {
    size_t at = 0;
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    append(0, "DEL", "a");
    assert_true(aof_write_flush(false));
    off_t good = lseek(fd, 0, SEEK_END);
    append(0, "DEL", "b");
    append(1, "DEL", "c");
    limit_files((rlim_t)good + 40);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    assert_false(aof_write_flush(false));
    assert_int_equal(lseek(fd, 0, SEEK_END), good + 40);
    append(1, "DEL", "d");
    assert_false(aof_write_flush(false));
    limit_files(0);
    assert_true(aof_write_flush(false));
    append(1, "DEL", "e");
    assert_true(aof_write_flush(false));
    assert_int_equal(aof_write_metrics().file_bytes, lseek(fd, 0, SEEK_END));
    read_file();
    take_frame(&at);
    assert_frame(&at, "*2\r\n$3\r\nDEL\r\n$1\r\nb\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n*2\r\n$3\r\nDEL\r\n$1\r\nc\r\n");
    assert_frame(&at, "*2\r\n$3\r\nDEL\r\n$1\r\nd\r\n");
    assert_frame(&at, "*2\r\n$3\r\nDEL\r\n$1\r\ne\r\n");
    assert_int_equal(at, len);
}

static void always_syncs_with_each_flush(void **state) {
    (void)state;
    aof_write_options.fsync = AOF_FSYNC_ALWAYS;
    append(0, "DEL", "a");
    assert_true(aof_write_flush(false));
    assert_true(aof_write_sync_now());
    assert_true(aof_write_is_synced());
    assert_int_equal(aof_write_metrics().sync_errno, 0);
    aof_write_options.fsync = AOF_FSYNC_NO;
}

static void nothing_is_collected_without_a_file(void **state) {
    (void)state;
    aof_write_end();
    assert_false(aof_write_is_open());
    append(0, "DEL", "a");
    assert_int_equal(aof_write_metrics().buffered, 0);
    assert_true(aof_write_flush(true));
}

static void a_held_file_leaves_the_rest_to_the_next_one(void **state) {
    size_t at = 0;
    (void)state;
    append(0, "DEL", "a");
    assert_true(aof_write_flush(false));
    off_t before = lseek(fd, 0, SEEK_END);
    aof_write_hold();
    append(0, "DEL", "b");
    assert_false(aof_write_flush(true));
    assert_int_equal(lseek(fd, 0, SEEK_END), before);
    close(fd);
    fd = memfd_create("next", MFD_CLOEXEC);
    aof_write_replace(dup(fd));
    assert_true(aof_write_flush(false));
    read_file();
    assert_frame(&at, "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*2\r\n$3\r\nDEL\r\n$1\r\nb\r\n");
    assert_int_equal(at, len);
}

static void commands_wait_for_a_file(void **state) {
    size_t at = 0;
    (void)state;
    aof_write_end();
    aof_write_await(ENOSPC);
    append(0, "DEL", "a");
    assert_false(aof_write_flush(true));
    assert_int_equal(aof_write_metrics().write_errno, ENOSPC);
    aof_write_begin(dup(fd), 0);
    assert_true(aof_write_flush(false));
    assert_false(aof_write_failing(aof_write_metrics()));
    read_file();
    assert_frame(&at, "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*2\r\n$3\r\nDEL\r\n$1\r\na\r\n");
}

/* --- The log and the file -------------------------------------------------------------------- */

#define ID "0123456789abcdef0123456789abcdef01234567"
#define SELECT(db) "*2\r\n$6\r\nSELECT\r\n$1\r\n" db "\r\n"
#define DEL(key) "*2\r\n$3\r\nDEL\r\n$1\r\n" key "\r\n"

/* In the log, and not in the file. */
static bool leads;
static void append_message(int db_id) {
    struct slice argv[] = {SLICE("PUBLISH"), SLICE("c"), SLICE("m")};
    aof_write_skip(leads);
    oplog_append(db_id, argv, 3, slice_of(NULL, 0));
    oplog_end_unit();
    aof_write_end_unit();
}

/* In the file, and not in the log. */
static void append_own(int db_id, const char *key) {
    struct slice argv[] = {SLICE("DEL"), slice_cstr(key)};
    int64_t before = oplog_end();
    aof_write_own(db_id, argv, 2, slice_of(NULL, 0));
    oplog_end_unit();
    aof_write_end_unit();
    assert_int_equal(oplog_end(), before);
}

static void what_is_not_for_the_file_is_left_out(void **state) {
    size_t at = 0;
    (void)state;
    append(0, "DEL", "a");
    append_message(0);
    append_message(0);
    append(0, "DEL", "b");
    append_message(-1);
    append(1, "DEL", "c");
    append_message(2); /* selects 2, for the stream only */
    append(2, "DEL", "d");
    append_message(0);
    append(1, "DEL", "e");
    assert_true(aof_write_flush(false));
    append_message(0);
    assert_true(aof_write_flush(false));
    assert_int_equal(aof_write_metrics().buffered, 0);
    append(0, "DEL", "f");
    assert_true(aof_write_flush(false));
    read_file();
    assert_frame(&at, SELECT("0") DEL("a") DEL("b") SELECT("1") DEL("c") SELECT("2") DEL("d") SELECT("1") DEL("e"));
    assert_frame(&at, SELECT("0") DEL("f"));
    assert_int_equal(at, len);
}

static void what_is_for_the_file_only_is_not_in_the_log(void **state) {
    size_t at = 0;
    (void)state;
    append_own(0, "a");
    append_own(0, "b");
    append(0, "DEL", "c");
    append_own(3, "d");
    append(0, "DEL", "e");
    append_own(0, "f");
    assert_true(aof_write_flush(false));
    read_file();
    assert_frame(&at, SELECT("0") DEL("a") DEL("b") DEL("c") SELECT("3") DEL("d") SELECT("0") DEL("e") DEL("f"));
    assert_int_equal(at, len);
}

/* Nothing is written while a unit is open, wherever its commands are. */
static void a_unit_is_written_as_a_whole(void **state) {
    struct slice argv[] = {SLICE("DEL"), SLICE("a")};
    size_t at = 0;
    (void)state;
    aof_write_own(0, argv, 2, slice_of(NULL, 0));
    assert_false(aof_write_flush(false));
    aof_write_end_unit();
    assert_true(aof_write_flush(false));
    append(0, "MULTI", NULL);
    append(0, "DEL", "b");
    assert_false(aof_write_flush(false));
    append(0, "EXEC", NULL);
    assert_true(aof_write_flush(false));
    read_file();
    assert_frame(&at, SELECT("0") DEL("a"));
    struct slice unit = take_frame(&at);
    assert_memory_equal(unit.ptr + unit.len - 6, "EXEC\r\n", 6);
    assert_int_equal(at, len);
}

static const char *with_place(const char *commands, int db) {
    static char text[512];
    snprintf(text, sizeof text, "%s#R:" ID " %lld %d\r\n", commands, (long long)oplog_unit_end(), db);
    return text;
}

/* The line is under the checksum of the commands before it. */
static void a_frame_ends_with_its_place(void **state) {
    size_t at = 0;
    (void)state;
    oplog_id = ID;
    append(0, "DEL", "a");
    assert_true(aof_write_flush(false));
    read_file();
    assert_frame(&at, with_place(SELECT("0") DEL("a"), 0));
    append_own(4, "b"); /* not a place of its own: the stream still selects 0 */
    append_message(0);
    assert_true(aof_write_flush(false));
    read_file();
    assert_frame(&at, with_place(SELECT("4") DEL("b"), 0));
    append_message(1);
    assert_true(aof_write_flush(false)); /* not worth a line */
    aof_write_tell_place();
    assert_true(aof_write_flush(false));
    read_file();
    assert_frame(&at, with_place("", 1));
    aof_write_tell_place(); /* told already */
    assert_true(aof_write_flush(false));
    for (int i = 0; i < 3000; i++)
        append_message(1);
    assert_true(aof_write_flush(false));
    read_file();
    assert_frame(&at, with_place("", 1));
    oplog_forget_db();
    append_own(4, "c");
    assert_true(aof_write_flush(false));
    oplog_id = NULL;
    read_file();
    assert_frame(&at, with_place(DEL("c"), -1));
    assert_int_equal(at, len);
}

/* Replicas that are ahead of the file would need everything after a crash. */
static void a_server_that_leads_tells_its_place_soon(void **state) {
    size_t at = 0, places = 0;
    (void)state;
    oplog_id = ID;
    append(0, "DEL", "a");
    assert_true(aof_write_flush(false));
    leads = true;
    for (int i = 0; i < 50; i++) {
        append_message(0);
        assert_true(aof_write_flush(false));
        clock_cached_steady_ms += 10;
    }
    append(0, "DEL", "b");
    assert_true(aof_write_flush(false));
    leads = false;
    read_file();
    take_frame(&at);
    for (; bytes[at + AOF_FRAME_LINE] == '#'; places++)
        take_frame(&at);
    assert_int_equal(places, 5); /* at once after the write, then each 100 ms */
    assert_frame(&at, with_place(DEL("b"), 0));
    oplog_id = NULL;
    assert_int_equal(at, len);
}

static void each_frame_of_a_write_has_its_place(void **state) {
    static char value[AOF_FRAME_MAX / 3];
    size_t at = 0;
    struct aof_place place, last = {.offset = -1};
    (void)state;
    memset(value, 'v', sizeof value - 1);
    oplog_id = ID;
    for (int i = 0; i < 8; i++)
        append(0, "DEL", value);
    assert_true(aof_write_flush(false));
    oplog_id = NULL;
    read_file();
    while (at < len) {
        struct slice frame = take_frame(&at);
        const char *line = memmem(frame.ptr + frame.len - AOF_PLACE_MAX, AOF_PLACE_MAX, "#R:", 3);
        assert_non_null(line);
        assert_true(aof_place_parse(line, (size_t)(frame.ptr + frame.len - line), &place));
        assert_true(place.offset > last.offset);
        last = place;
    }
    assert_int_equal(last.offset, oplog_end());
}

static void a_place_has_its_form(void **state) {
    struct aof_place place;
    char line[AOF_PLACE_MAX];
    (void)state;
    assert_int_equal(aof_place_print(line, 5, 0), 0); /* no history */
    oplog_id = ID;
    size_t n = aof_place_print(line, INT64_MAX, INT32_MAX);
    oplog_id = NULL;
    assert_true(n <= AOF_PLACE_MAX && aof_place_parse(line, n, &place));
    assert_string_equal(place.id, ID);
    assert_true(place.offset == INT64_MAX && place.db == INT32_MAX);
    static const char *const bad[] = {"#R:" ID " 5",
                                      "#R:" ID " -1 0",
                                      "#R:" ID " 5 -2",
                                      "#R:" ID " 5 0 0",
                                      "#R:" ID "  5 0",
                                      "#R:lost",
                                      "#R:0123 5 0",
                                      "#R:" ID " 99999999999999999999 0",
                                      "#R:G123456789abcdef0123456789abcdef01234567 5 0",
                                      "#R:" ID " 5 4294967296"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(aof_place_parse(bad[i], strlen(bad[i]), &place));
}

static void what_is_synced_is_told(void **state) {
    (void)state;
    append(0, "DEL", "a");
    assert_true(aof_write_synced_offset() < oplog_end());
    assert_true(aof_write_flush(false));
    assert_true(aof_write_synced_offset() < oplog_end()); /* written, not synced */
    assert_true(aof_write_sync_now());
    assert_int_equal(aof_write_synced_offset(), oplog_end());
    append_message(0);
    assert_int_equal(aof_write_synced_offset(), oplog_end()); /* it lacks nothing */
    aof_write_end();
    assert_int_equal(aof_write_synced_offset(), -1);
}

static int begin(void **state) {
    (void)state;
    fd = memfd_create("log", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    aof_write_begin(dup(fd), 0);
    return fd >= 0 ? 0 : -1;
}

static int finish(void **state) {
    (void)state;
    aof_write_end();
    worker_drain();
    return close(fd);
}

int main(void) {
    clock_init();
    clock_update();
    log_set_level(LOG_NOTHING);
    aof_write_options.fsync = AOF_FSYNC_NO;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_annotation_has_its_form),
        cmocka_unit_test_setup_teardown(a_write_is_one_frame, begin, finish),
        cmocka_unit_test_setup_teardown(select_stands_before_multi, begin, finish),
        cmocka_unit_test_setup_teardown(a_long_transaction_is_one_frame, begin, finish),
        cmocka_unit_test_setup_teardown(stamps_stand_between_frames, begin, finish),
        cmocka_unit_test_setup_teardown(a_short_write_is_taken_back, begin, finish),
        cmocka_unit_test_setup_teardown(a_short_write_that_stays_is_continued, begin, finish),
        cmocka_unit_test_setup_teardown(always_syncs_with_each_flush, begin, finish),
        cmocka_unit_test_setup_teardown(nothing_is_collected_without_a_file, begin, finish),
        cmocka_unit_test_setup_teardown(a_held_file_leaves_the_rest_to_the_next_one, begin, finish),
        cmocka_unit_test_setup_teardown(commands_wait_for_a_file, begin, finish),
        cmocka_unit_test_setup_teardown(what_is_not_for_the_file_is_left_out, begin, finish),
        cmocka_unit_test_setup_teardown(what_is_for_the_file_only_is_not_in_the_log, begin, finish),
        cmocka_unit_test_setup_teardown(a_unit_is_written_as_a_whole, begin, finish),
        cmocka_unit_test_setup_teardown(a_frame_ends_with_its_place, begin, finish),
        cmocka_unit_test_setup_teardown(a_server_that_leads_tells_its_place_soon, begin, finish),
        cmocka_unit_test_setup_teardown(each_frame_of_a_write_has_its_place, begin, finish),
        cmocka_unit_test(a_place_has_its_form),
        cmocka_unit_test_setup_teardown(what_is_synced_is_told, begin, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
