/* Logs that were cut, damaged and made up. The reader never crashes and takes no more memory than their size justifies.
 * Of a log that kura wrote, it applies a beginning, in whole units.
 *
 * tests/corpus/aof holds logs by hand; the name of a file begins with the result of the reader. */
#include "aof/aof_frame.h"
#include "aof/aof_read.h"
#include "aof/aof_write.h"
#include "aof/log_lab.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/num.h"
#include "base/rand.h"
#include "base/worker.h"
#include "seed.h"
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define ROUNDS 20000
#define UNITS_MAX 40
#define LOG_MAX 65536
#define MEMORY_BASE ((size_t)1 << 20)
#define MEMORY_FACTOR 10 /* a word takes at least 4 bytes of the log, and 16 as a slice; buffers double */

/* --- What was written ------------------------------------------------------------------------ */

static struct {
    struct {
        uint64_t digest; /* of all commands to the end of this unit, without MULTI and EXEC */
        uint64_t end;    /* offset of the end of its frame */
        /* Where the data are those after this unit: offsets of the log. */
        int64_t place, place_end;
    } units[UNITS_MAX + 1];
    size_t count;
    char bytes[LOG_MAX];
    size_t len;
} written;

static uint64_t mix(uint64_t digest, struct slice word) {
    for (size_t i = 0; i < word.len; i++)
        digest = (digest ^ (uint8_t)word.ptr[i]) * 0x100000001b3u;
    return digest * 31 + word.len;
}

static uint64_t mix_command(uint64_t digest, const struct slice *argv, int argc) {
    digest = digest * 131 + (uint64_t)argc;
    for (int i = 0; i < argc; i++)
        digest = mix(digest, argv[i]);
    return digest;
}

static int selected;
static uint64_t digest;

static void append(int db_id, const struct slice *argv, int argc) {
    char digits[NUM_I64_MAX];
    if (db_id != selected) {
        selected = db_id;
        struct slice change[] = {SLICE("SELECT"), slice_of(digits, (size_t)num_print_i64(digits, db_id))};
        digest = mix_command(digest, change, 2);
    }
    lab_append(db_id, argv, argc);
    digest = mix_command(digest, argv, argc);
}

static void append_random(int db_id) {
    static const char *const bytes = "*3\r\n#K:0123456789abcdef 000000000a\r\n$1\r\nMULTI\r\n$-1\r\n";
    struct slice argv[8] = {SLICE("SET")};
    int argc = 2 + (int)rand_below(6);
    for (int i = 1; i < argc; i++) {
        size_t from = rand_below(40);
        argv[i] = slice_of(bytes + from, rand_below(strlen(bytes) - from + 1));
    }
    append(db_id, argv, argc);
}

static void append_bracket(const char *word) {
    struct slice name = slice_cstr(word);
    lab_append(selected, &name, 1);
}

#define ID "0123456789abcdef0123456789abcdef01234567"

/* What replicas get, and the file does not. */
static void append_message(void) {
    struct slice ping = SLICE("PING");
    aof_write_skip(false);
    oplog_append(-1, &ping, 1, slice_of(NULL, 0));
    oplog_end_unit();
    aof_write_end_unit();
}

/* A log as the server writes it: several units in a write, several commands in a unit. Perhaps with places. */
static void write_log(void) {
    int fd = memfd_create("log", MFD_CLOEXEC);
    uint64_t end = 0;
    written.count = 0;
    digest = 0;
    selected = -1;
    aof_write_options.timestamps = rand_below(2);
    oplog_id = rand_below(2) ? ID : NULL;
    written.units[0].place = oplog_end();
    aof_write_begin(dup(fd), 0);
    while (written.count < UNITS_MAX && end < LOG_MAX / 2) {
        size_t first = written.count;
        for (uint64_t n = 1 + rand_below(4); n > 0 && written.count < UNITS_MAX; n--) {
            int db_id = (int)rand_below(2);
            bool brackets = selected >= 0 && rand_below(3) == 0;
            if (rand_below(4) == 0) append_message();
            written.units[written.count].place_end = oplog_end();
            if (brackets) append_bracket("MULTI");
            for (uint64_t commands = brackets ? 2 + rand_below(100) : 1; commands > 0; commands--)
                append_random(brackets ? selected : db_id);
            if (brackets) append_bracket("EXEC");
            written.units[++written.count].digest = digest;
            written.units[written.count].place = oplog_end();
        }
        if (rand_below(4) == 0) append_message();
        written.units[written.count].place_end = oplog_end();
        if (rand_below(4) == 0) aof_write_tell_place();
        assert_true(aof_write_flush(true));
        end = (uint64_t)lseek(fd, 0, SEEK_END);
        for (size_t i = first + 1; i <= written.count; i++)
            written.units[i].end = end;
    }
    aof_write_end();
    oplog_id = NULL;
    worker_drain();
    written.len = (size_t)end;
    assert_true(end <= LOG_MAX && pread(fd, written.bytes, written.len, 0) == (ssize_t)written.len);
    close(fd);
}

/* --- What is read ---------------------------------------------------------------------------- */

static struct {
    uint64_t digest, commands;
    size_t before, size;
    bool has_place; /* the last thing that was read is a place */
    struct aof_place place;
} reading;

static void assert_memory(void) {
    size_t used = alloc_used() - reading.before;
    if (used > MEMORY_BASE + MEMORY_FACTOR * reading.size)
        fail_msg("%zu bytes of memory for %zu of input", used, reading.size);
}

static size_t apply(void *ctx, const struct aof_command *commands, size_t count) {
    (void)ctx;
    assert_true(count > 0);
    reading.has_place = false;
    for (size_t i = 0; i < count; i++) {
        assert_true(commands[i].argc > 0);
        reading.digest = mix_command(reading.digest, commands[i].argv, commands[i].argc);
    }
    reading.commands += count;
    assert_memory();
    return count;
}

static void progress(void *ctx, uint64_t bytes) {
    (void)ctx;
    assert_true(bytes <= reading.size);
    assert_memory();
}

static void place(void *ctx, const struct aof_place *told) {
    (void)ctx;
    reading.has_place = told != NULL;
    if (told) reading.place = *told;
}

static bool stamp(void *ctx, int64_t seconds, uint64_t offset) {
    (void)ctx;
    assert_true(seconds >= 0 && offset < reading.size);
    return true;
}

static enum aof_read_result read_log(const char *bytes, size_t n, struct aof_finding *found) {
    static const struct aof_reader_hooks hooks = {.apply = apply, .progress = progress, .place = place, .stamp = stamp};
    char name[16];
    int fd = memfd_create("log", MFD_CLOEXEC);
    if (write(fd, bytes, n) != (ssize_t)n) abort();
    snprintf(name, sizeof name, "%d", fd);
    reading.digest = reading.commands = 0;
    reading.has_place = false;
    reading.before = alloc_used();
    reading.size = n;
    enum aof_read_result result = aof_read("/proc/self/fd", name, &hooks, found);
    close(fd);
    assert_true(found->good <= n && found->size == n);
    assert_true(found->commands == reading.commands);
    assert_int_equal(alloc_used(), reading.before);
    if (result != AOF_READ_OK && result != AOF_READ_EMPTY) assert_true(found->reason[0]);
    if (result == AOF_READ_OK) assert_true(found->good == n);
    return result;
}

/* The number of units that were applied. Fails if they were not the first ones of the log. */
static size_t units_applied(void) {
    for (size_t i = 0; i <= written.count; i++)
        if (written.units[i].digest == reading.digest) return i;
    fail_msg("what was applied is not what was written: %llu commands", (unsigned long long)reading.commands);
    return 0;
}

/* If the log tells a place, it is the one of what was applied. */
static void assert_place(size_t units) {
    if (!reading.has_place) return;
    assert_string_equal(reading.place.id, ID);
    assert_in_range(reading.place.offset, written.units[units].place, written.units[units].place_end);
}

static size_t units_within(uint64_t end) {
    size_t units = 0;
    while (units < written.count && written.units[units + 1].end <= end)
        units++;
    return units;
}

/* --- Tests ----------------------------------------------------------------------------------- */

static void a_log_reads_back(void **state) {
    int places = 0;
    (void)state;
    for (int i = 0; i < 200; i++) {
        struct aof_finding found;
        write_log();
        assert_int_equal(read_log(written.bytes, written.len, &found), AOF_READ_OK);
        assert_int_equal(units_applied(), written.count);
        assert_place(written.count);
        places += reading.has_place;
        assert_true(found.frames > 0);
    }
    assert_in_range(places, 50, 150); /* half of the logs have them */
}

static void a_cut_leaves_the_writes_before_it(void **state) {
    (void)state;
    for (int i = 0; i < 20; i++) {
        write_log();
        for (size_t n = rand_below(20); n < written.len; n += 1 + rand_below(20)) {
            struct aof_finding found;
            enum aof_read_result result = read_log(written.bytes, n, &found);
            assert_int_equal(units_applied(), units_within(n));
            assert_place(units_within(n));
            assert_true(result == AOF_READ_TORN || found.good == n);
        }
    }
}

/* The frames of the log that was written that begin at this offset or later. */
static uint64_t frames_from(size_t from) {
    uint64_t frames = 0;
    for (size_t at = 0; at < written.len;) {
        const char *line = written.bytes + at;
        bool frame = memcmp(line, "#K:", 3) == 0;
        frames += frame && at >= from;
        at += frame ? AOF_FRAME_LINE + strtoul(line + 20, NULL, 16)
                    : (size_t)((const char *)memchr(line, '\n', written.len - at) + 1 - line);
    }
    return frames;
}

/* One run of bytes is changed. This can turn an annotation into a comment; then the write behind it is not verified,
 * but it is complete. */
static void damage_is_found(void **state) {
    char *copy = malloc(LOG_MAX);
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        struct aof_finding found;
        if (i % 200 == 0) write_log();
        memcpy(copy, written.bytes, written.len);
        size_t at = rand_below(written.len), run = 1 + rand_below(rand_below(4) ? 1 : 16);
        for (size_t k = at; k < at + run && k < written.len; k++)
            copy[k] = (char)(rand_below(2) ? copy[k] ^ (1 << rand_below(8)) : (char)rand_u64());
        enum aof_read_result result = read_log(copy, written.len, &found);
        if (result == AOF_READ_OK) {
            assert_int_equal(units_applied(), written.count);
            if (run == 1) assert_place(written.count);
        } else {
            assert_true(units_applied() >= units_within(at));
            if (run == 1) assert_place(units_applied());
            if (run == 1) assert_int_equal(found.behind.frames, frames_from(at + 1));
            if (found.behind.frames) assert_int_equal(result, AOF_READ_ROTTEN);
        }
    }
    free(copy);
}

/* --- Anything at all ------------------------------------------------------------------------- */

static size_t damage(char *p, size_t n) {
    static const char *const pieces[] = {
        "*1\r\n$5\r\nMULTI\r\n",
        "*1\r\n$4\r\nEXEC\r\n",
        "*2147483647\r\n",
        "$9223372036854775807\r\n",
        "*-1\r\n",
        "#K:0000000000000000 ffffffffff\r\n",
        "#K:0000000000000000 0000000001\r\n",
        "#TS:99999999999999999999\r\n",
        "#",
        "$0\r\n\r\n",
        "*1048577\r\n",
        "\r\n",
        "SET a b\r\n",
        "*0\r\n",
        "REDIS0011",
        "#R:lost\r\n",
        "#R:" ID " 5 0\r\n",
    };
    for (uint64_t changes = 1 + rand_below(4); changes > 0 && n > 0; changes--) {
        size_t at = rand_below(n), len = rand_below(n - at < 64 ? n - at : 64);
        const char *piece = pieces[rand_below(sizeof pieces / sizeof *pieces)];
        switch (rand_below(5)) {
        case 0: p[at] ^= (char)(1 << rand_below(8)); break;
        case 1: memmove(p + at, p + rand_below(n - len), len); break;
        case 2:
            memmove(p + at, p + at + len, n - at - len);
            n -= len;
            break;
        case 3: p[at] = "0123456789*$#\r\n"[rand_below(15)]; break;
        default:
            len = strlen(piece);
            if (n + len > LOG_MAX) break;
            memmove(p + at + len, p + at, n - at);
            memcpy(p + at, piece, len);
            n += len;
        }
    }
    return rand_below(10) ? n : rand_below(n + 1);
}

/* The same commands as Redis would have written them, without checksums. */
static size_t without_frames(char *to) {
    size_t n = 0;
    for (size_t at = 0; at < written.len;) {
        const char *line = written.bytes + at;
        if (memcmp(line, "#K:", 3) == 0) {
            size_t len = strtoul(line + 20, NULL, 16);
            memcpy(to + n, line + AOF_FRAME_LINE, len);
            n += len;
            at += AOF_FRAME_LINE + len;
        } else {
            at += (size_t)((const char *)memchr(line, '\n', written.len - at) + 1 - line);
        }
    }
    return n;
}

static void any_bytes_end_in_a_result(void **state) {
    char *good = malloc(LOG_MAX), *copy = malloc(LOG_MAX);
    size_t n = 0;
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        struct aof_finding found;
        if (i % 200 == 0) {
            write_log();
            n = i % 400 ? without_frames(good) : written.len;
            if (i % 400 == 0) memcpy(good, written.bytes, n);
            enum aof_read_result result = read_log(good, n, &found);
            assert_int_equal(result, AOF_READ_OK);
            assert_int_equal(units_applied(), written.count);
        }
        memcpy(copy, good, n);
        read_log(copy, damage(copy, n), &found);
    }
    free(good);
    free(copy);
}

/* --- The corpus ------------------------------------------------------------------------------ */

static void the_corpus_is_judged_right(void **state) {
    static const char *const names[] = {[AOF_READ_OK] = "ok",
                                        [AOF_READ_EMPTY] = "empty",
                                        [AOF_READ_TORN] = "torn",
                                        [AOF_READ_ROTTEN] = "rotten",
                                        [AOF_READ_FOREIGN] = "foreign"};
    char *bytes = malloc(LOG_MAX), path[512];
    DIR *dir = opendir("tests/corpus/aof");
    int files = 0;
    (void)state;
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        struct aof_finding found;
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "tests/corpus/aof/%s", entry->d_name);
        FILE *file = fopen(path, "re");
        assert_non_null(file);
        size_t n = fread(bytes, 1, LOG_MAX, file);
        fclose(file);
        enum aof_read_result result = read_log(bytes, n, &found);
        if (strncmp(entry->d_name, names[result], strlen(names[result])) != 0)
            fail_msg("%s is %s: %s", entry->d_name, names[result], found.reason);
        files++;
    }
    closedir(dir);
    free(bytes);
    assert_true(files >= 10);
}

int main(void) {
    uint64_t seed = seed_of_run();
    printf("seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    rand_seed(seed);
    clock_init();
    clock_update();
    worker_start();
    aof_write_options.fsync = AOF_FSYNC_NO;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_reads_back),
        cmocka_unit_test(a_cut_leaves_the_writes_before_it),
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(any_bytes_end_in_a_result),
        cmocka_unit_test(the_corpus_is_judged_right),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    worker_stop();
    return failed;
}
