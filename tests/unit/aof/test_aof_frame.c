/* Frames: the annotation reads back, and sound frames are found behind any damage but that of a torn end. */
#include "aof/aof_frame.h"
#include "base/buf.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define COMMAND "*2\r\n$3\r\nDEL\r\n$1\r\na\r\n"

static struct buf file;

static void add_frame(const char *payload, size_t len) {
    char line[AOF_FRAME_LINE];
    aof_frame_print(line, payload, len);
    buf_append(&file, line, sizeof line);
    buf_append(&file, payload, len);
}

static void add_frames(int n) {
    for (int i = 0; i < n; i++)
        add_frame(COMMAND, strlen(COMMAND));
}

/* Search behind damage at this offset. */
static struct aof_behind search(uint64_t bad) {
    int fd = memfd_create("log", MFD_CLOEXEC);
    assert_int_equal(write(fd, file.data, file.len), file.len);
    struct aof_behind behind = aof_frame_search(fd, bad, file.len);
    close(fd);
    return behind;
}

static void expect(uint64_t bad, uint64_t from, uint64_t frames) {
    struct aof_behind behind = search(bad);
    assert_int_equal(behind.frames, frames);
    if (frames) assert_int_equal(behind.from, from);
}

static void the_annotation_reads_back(void **state) {
    char line[AOF_FRAME_LINE];
    uint64_t crc, len;
    (void)state;
    aof_frame_print(line, "payload", 7);
    assert_true(aof_frame_parse(line, &crc, &len));
    assert_int_equal(len, 7);
    for (size_t i = 0; i < sizeof line; i++) {
        char kept = line[i];
        line[i] = 'G'; /* fits nowhere */
        assert_false(aof_frame_parse(line, &crc, &len));
        line[i] = kept;
    }
    memcpy(line + 20, "0000000000", 10);
    assert_false(aof_frame_parse(line, &crc, &len)); /* an empty frame */
}

static void frames_behind_the_damage_are_counted(void **state) {
    size_t frame = AOF_FRAME_LINE + strlen(COMMAND);
    (void)state;
    add_frames(5);
    file.data[frame + AOF_FRAME_LINE + 5] ^= 1; /* in the payload of the second */
    expect(frame, 2 * frame, 3);
    file.data[3 * frame + 1] = 'X'; /* more damage behind it */
    expect(frame, 2 * frame, 2);
    file.data[frame + 20] = 'f'; /* a length far beyond the end */
    expect(frame, 2 * frame, 2);
    expect(4 * frame, 0, 0); /* the last one: nothing follows */
}

static void a_torn_frame_has_nothing_behind_it(void **state) {
    struct buf inner = {0}, command = {0};
    (void)state;
    add_frames(3);
    buf_append(&inner, file.data, file.len);
    buf_printf(&command, "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$%zu\r\n", inner.len);
    buf_append(&command, inner.data, inner.len);
    buf_append(&command, "\r\n", 2);
    uint64_t bad = file.len;
    add_frame(command.data, command.len); /* its value looks like three frames */
    size_t whole = file.len;
    for (file.len = bad + AOF_FRAME_LINE; file.len < whole; file.len++)
        expect(bad, 0, 0);
    file.data[bad + AOF_FRAME_LINE + 1] = 'x'; /* but if the command is broken, they count */
    assert_int_equal(search(bad).frames, 3);
    buf_free(&inner);
    buf_free(&command);
}

static void a_long_file_is_searched_in_blocks(void **state) {
    enum { MANY = 20000 };
    size_t frame = AOF_FRAME_LINE + strlen(COMMAND);
    (void)state;
    add_frames(MANY);
    for (size_t at = frame; at < 100 * frame; at += 37)
        file.data[at] = '#';
    struct aof_behind behind = search(frame);
    assert_int_equal(behind.from % frame, 0);
    assert_true(behind.frames >= MANY - 101 && behind.frames < MANY - 90);
}

static int drop_file(void **state) {
    (void)state;
    buf_free(&file);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_annotation_reads_back),
        cmocka_unit_test_teardown(frames_behind_the_damage_are_counted, drop_file),
        cmocka_unit_test_teardown(a_torn_frame_has_nothing_behind_it, drop_file),
        cmocka_unit_test_teardown(a_long_file_is_searched_in_blocks, drop_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
