/* Snapshots: round trips, everything that older servers wrote, and impossible files. The test builds the latter two
 * byte by byte, since no server of today writes them. */
#include "base/buf.h"
#include "rdb/rdb_format.h"
#include "rdb_lab.h"
#include "seed.h"
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* --- Writing files by hand ------------------------------------------------------------------- */

static struct writer out;

static void bytes(const void *p, size_t n) {
    writer_put(&out, p, n);
}
static void byte(unsigned b) {
    writer_byte(&out, b);
}
static void text(const char *s) {
    byte((unsigned)strlen(s)); /* a length below 64 */
    bytes(s, strlen(s));
}
static void begin(const char *head) {
    writer_to_memory(&out, true);
    bytes(head, strlen(head));
}
static void end(bool checksum) {
    byte(RDB_OP_END);
    uint64_t crc = writer_crc(&out);
    if (checksum) bytes(&crc, sizeof crc);
}
static enum rdb_result load(unsigned flags) {
    enum rdb_result result;
    lab_empty();
    result = lab_load(writer_slice(&out), flags);
    writer_free(&out);
    return result;
}
static struct entry *get(const char *name) {
    struct key key = key_of(slice_cstr(name));
    return db_peek(db_at(0), &key);
}

/* A collection in one string of n bytes. */
static void block(const char *name, unsigned type, const void *p, size_t n) {
    byte(type);
    text(name);
    byte(0x40 | (unsigned)(n >> 8));
    byte(n & 255);
    bytes(p, n);
}

/* --- Ziplists and zipmaps -------------------------------------------------------------------- */

static uint8_t zip[4096];
static size_t zip_len, zip_last, zip_count;

static void zip_begin(void) {
    zip_len = zip_last = 10;
    zip_count = 0;
}
/* The head and the data of an entry. */
static void zip_add(const void *p, size_t n) {
    size_t before = zip_count ? zip_len - zip_last : 0;
    zip_last = zip_len;
    zip_count++;
    if (before < 254) {
        zip[zip_len++] = (uint8_t)before;
    } else {
        uint32_t wide = (uint32_t)before;
        zip[zip_len++] = 254;
        memcpy(zip + zip_len, &wide, 4);
        zip_len += 4;
    }
    memcpy(zip + zip_len, p, n);
    zip_len += n;
}
static void zip_text(const char *s) {
    uint8_t entry[300];
    size_t n = strlen(s);
    if (n < 64) {
        entry[0] = (uint8_t)n;
        memcpy(entry + 1, s, n);
        zip_add(entry, n + 1);
    } else {
        entry[0] = (uint8_t)(0x40 | n >> 8);
        entry[1] = (uint8_t)n;
        memcpy(entry + 2, s, n);
        zip_add(entry, n + 2);
    }
}
static void zip_end(void) {
    zip[zip_len++] = 0xff;
    uint32_t n = (uint32_t)zip_len, last = (uint32_t)zip_last;
    uint16_t count = (uint16_t)zip_count;
    memcpy(zip, &n, 4);
    memcpy(zip + 4, &last, 4);
    memcpy(zip + 8, &count, 2);
}

static void assert_list(const char *name, const char *const *elements) {
    struct entry *e = get(name);
    struct list_view view;
    struct quicklist_iter it;
    char scratch[NUM_I64_MAX];
    assert_non_null(e);
    bool ok = quicklist_start(&it, list_read(e, &view), 0);
    for (; *elements; elements++, ok = quicklist_next(&it)) {
        assert_true(ok);
        struct slice s = listpack_value_text(quicklist_get(&it), scratch);
        assert_true(slice_eq(s, slice_cstr(*elements)));
    }
    assert_false(ok);
    quicklist_stop(&it);
}

static void ziplists_of_every_kind(void **state) {
    (void)state;
    char long_text[201];
    memset(long_text, 'x', 200);
    long_text[200] = '\0';
    char longer[260];
    memset(longer, 'y', 259);
    longer[259] = '\0';
    zip_begin();
    zip_text("hello");
    zip_text(long_text);
    zip_text("");
    zip_add("\xf1", 1);                                 /* 0 */
    zip_add("\xfd", 1);                                 /* 12 */
    zip_add("\xfe\xff", 2);                             /* -1 */
    zip_add("\xc0\x00\x80", 3);                         /* -32768 */
    zip_add("\xf0\x00\x00\x80", 4);                     /* -8388608 */
    zip_add("\xd0\xff\xff\xff\x7f", 5);                 /* 2147483647 */
    zip_add("\xe0\x00\x00\x00\x00\x00\x00\x00\x80", 9); /* the smallest integer */
    zip_text(longer);
    zip_add("\x80\x00\x00\x00\x03xyz", 8);
    zip_text("42"); /* a text that is an integer */
    zip_end();
    const char *const expected[] = {"hello", long_text, "",         "0",          "12",
                                    "-1",    "-32768",  "-8388608", "2147483647", "-9223372036854775808",
                                    longer,  "xyz",     "42",       NULL};
    begin("REDIS0006");
    block("l", RDB_TYPE_LIST_ZIPLIST, zip, zip_len);
    byte(RDB_TYPE_LIST_QUICKLIST);
    text("q");
    byte(1);
    byte(0x40 | (unsigned)(zip_len >> 8));
    byte(zip_len & 255);
    bytes(zip, zip_len);
    end(true);
    assert_int_equal(load(0), RDB_OK);
    assert_list("l", expected);
    assert_list("q", expected);
}

static void old_hashes_load(void **state) {
    (void)state;
    struct slice value;
    char scratch[NUM_I64_MAX];
    zip_begin();
    zip_text("name");
    zip_text("kura");
    zip_text("n");
    zip_add("\xf8", 1); /* 7 */
    zip_end();
    begin("REDIS0002");
    block("z", RDB_TYPE_HASH_ZIPLIST, zip, zip_len);
    static const char zipmap[] = "\x02\x04name\x04\x02kura..\x01n\x01\x00"
                                 "7\xff";
    block("m", RDB_TYPE_HASH_ZIPMAP, zipmap, sizeof zipmap - 1);
    byte(RDB_TYPE_HASH);
    text("p");
    byte(2);
    text("name");
    text("kura");
    text("n");
    byte(0xc0); /* as an integer of one byte */
    byte(7);
    end(false);
    assert_int_equal(load(0), RDB_OK);
    for (const char *name = "zmp"; *name; name++) {
        struct entry *e = get((char[]){*name, 0});
        assert_non_null(e);
        assert_int_equal(fieldmap_count(e), 2);
        assert_true(fieldmap_get(e, SLICE("name"), scratch, &value) && slice_eq(value, SLICE("kura")));
        assert_true(fieldmap_get(e, SLICE("n"), scratch, &value) && slice_eq(value, SLICE("7")));
    }
}

static void old_sorted_sets_load(void **state) {
    (void)state;
    double score;
    zip_begin();
    zip_text("a");
    zip_text("-inf");
    zip_text("b");
    zip_text("1.5");
    zip_text("c");
    zip_add("\xf4", 1);
    zip_end();
    begin("REDIS0003");
    block("z", RDB_TYPE_ZSET_ZIPLIST, zip, zip_len);
    byte(RDB_TYPE_ZSET);
    text("t");
    byte(3);
    text("c");
    text("3");
    text("a");
    byte(RDB_SCORE_MINUS_INF);
    text("b");
    text("1.5");
    end(false);
    assert_int_equal(load(0), RDB_OK);
    for (const char *name = "zt"; *name; name++) {
        struct entry *e = get((char[]){*name, 0});
        assert_int_equal(zset_count(e), 3);
        assert_true(zset_score(e, SLICE("a"), &score) && score == -INFINITY);
        assert_true(zset_score(e, SLICE("b"), &score) && score == 1.5);
        assert_true(zset_score(e, SLICE("c"), &score) && score == 3);
    }
}

static void old_strings_lists_and_sets_load(void **state) {
    (void)state;
    char scratch[NUM_I64_MAX];
    begin("REDIS0001");
    byte(RDB_TYPE_STRING);
    text("lzf");
    bytes("\xc3\x05\x0a\x00"
          "a\xe0\x00\x00",
          8); /* "a", and 9 times the byte before */
    byte(RDB_TYPE_STRING);
    text("n");
    bytes("\xc2\x00\x00\x00\x80", 5);
    byte(RDB_OP_DEADLINE_S);
    int32_t seconds = 2000000000;
    bytes(&seconds, 4);
    byte(RDB_TYPE_LIST);
    text("l");
    byte(2);
    text("x");
    bytes("\xc0\xff", 2);
    byte(RDB_TYPE_SET);
    text("s");
    byte(2);
    text("x");
    text("1");
    end(false);
    assert_int_equal(load(0), RDB_OK);
    assert_true(slice_eq(string_bytes(get("lzf"), scratch), SLICE("aaaaaaaaaa")));
    assert_true(slice_eq(string_bytes(get("n"), scratch), SLICE("-2147483648")));
    assert_list("l", (const char *const[]){"x", "-1", NULL});
    assert_int_equal(entry_deadline_ms(get("l")), 2000000000000);
    assert_true(set_has(get("s"), SLICE("x")) && set_has(get("s"), SLICE("1")));
    assert_int_equal(set_count(get("s")), 2);
}

/* --- The frame ------------------------------------------------------------------------------- */

static void opcodes(void **state) {
    (void)state;
    int64_t past = 1000, future = clock_wall_us() / 1000 + 100000;
    begin("REDIS0012");
    byte(RDB_OP_AUX), text("unknown"), text("thing");
    byte(RDB_OP_AUX), text("aof-base"), bytes("\xc0\x01", 2);
    byte(RDB_OP_AUX), text("repl-id"), text("0123456789012345678901234567890123456789");
    byte(RDB_OP_AUX), text("repl-former-id"), text("9876543210987654321098765432109876543210");
    byte(RDB_OP_AUX), text("repl-former-id"), text("too short");
    byte(RDB_OP_AUX), text("repl-former-end"), text("77");
    byte(RDB_OP_SELECT), byte(2);
    byte(RDB_OP_RESIZE), bytes("\x80\x7f\xff\xff\xff", 5), byte(3); /* a false hint */
    byte(RDB_OP_SLOT), byte(1), byte(2), byte(3);
    byte(RDB_OP_DEADLINE_MS), bytes(&past, 8);
    byte(RDB_TYPE_STRING), text("dead"), text("x");
    byte(RDB_OP_DEADLINE_MS), bytes(&future, 8);
    byte(RDB_OP_FREQUENCY), byte(9);
    byte(RDB_TYPE_STRING), text("alive"), text("x");
    byte(RDB_OP_IDLE), byte(9);
    byte(RDB_TYPE_STRING), text("idle"), text("x");
    byte(RDB_TYPE_SET), text("empty"), byte(0);
    end(true);
    struct slice all = writer_slice(&out);
    lab_empty();
    assert_int_equal(lab_load(all, 0), RDB_OK);
    assert_int_equal(lab_job.keys, 2);
    assert_int_equal(lab_job.expired, 1);
    assert_int_equal(lab_job.empty, 1);
    assert_true(lab_job.aof_base);
    assert_int_equal(strlen(lab_job.repl_id), 40);
    assert_string_equal(lab_job.former.id, "9876543210987654321098765432109876543210");
    assert_int_equal(lab_job.former.end, 77);
    assert_int_equal(lab_job.end, all.len);
    assert_int_equal(db_size(db_at(2)), 2);
    assert_true(table_memory(&db_at(2)->keys) < 100000);
    struct key key = key_of(SLICE("alive"));
    assert_int_equal(entry_deadline_ms(db_peek(db_at(2), &key)), future);
    assert_int_equal(load(RDB_KEEP_EXPIRED), RDB_OK);
    assert_int_equal(lab_job.keys, 3);
}

/* What a replica is told of the data that it gets: their place, and from which history theirs branched off. */
static void the_place_of_the_data_is_read_back(void **state) {
    (void)state;
    static const char id[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                      former[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    for (int told = 0; told < 2; told++) {
        int fd = memfd_create("rdb", MFD_CLOEXEC);
        struct rdb_write job = {.fd = fd, .flags = RDB_NO_KEYS, .repl_id = id, .repl_offset = 1234, .repl_db = 3};
        oplog_former.end = 1000;
        memcpy(oplog_former.id, told ? former : "", told ? sizeof former : 1);
        assert_true(rdb_write(&job));
        lseek(fd, 0, SEEK_SET);
        struct rdb_read read = {.fd = fd};
        assert_int_equal(rdb_read(&read), RDB_OK);
        assert_string_equal(read.repl_id, id);
        assert_int_equal(read.repl_offset, 1234);
        assert_int_equal(read.repl_db, 3);
        assert_string_equal(read.former.id, told ? former : "");
        if (told) assert_int_equal(read.former.end, 1000);
        close(fd);
    }
    oplog_former = (struct oplog_former){.end = 0};
}

static void refused(enum rdb_result expected, const char *message) {
    enum rdb_result result = load(0);
    if (result != expected || !strstr(lab_job.message, message)) fail_msg("%d: %s", result, lab_job.message);
}

static void invalid_files_are_refused(void **state) {
    (void)state;
    begin("REDIS0013"), end(true), refused(RDB_VERSION, "version 13");
    begin("REDIS"), refused(RDB_FOREIGN, "too short");
    begin("HELLO0010"), end(true), refused(RDB_FOREIGN, "signature");
    begin("REDIS001x"), end(true), refused(RDB_FOREIGN, "version");
    begin("REDIS0010"), refused(RDB_CUT, "end of the data");
    begin("REDIS0010"), byte(RDB_OP_END), bytes("12345678", 8), refused(RDB_CHECKSUM, "checksum");
    begin("REDIS0010"), byte(RDB_OP_SELECT), byte(LAB_DBS), end(true), refused(RDB_CORRUPT, "database 4");
    begin("REDIS0010"), byte(8), text("k"), end(true), refused(RDB_CORRUPT, "unknown type 8, in key \"k\"");
    begin("REDIS0010"), byte(RDB_TYPE_STREAM_3), text("k"), byte(63), end(true), refused(RDB_CUT, "count");
    begin("REDIS0010"), byte(RDB_TYPE_MODULE), text("k"), end(true), refused(RDB_UNSUPPORTED, "module");
    begin("REDIS0010"), byte(RDB_OP_FUNCTION), text("k"), end(true), refused(RDB_UNSUPPORTED, "functions");
    begin("REDIS0010"), byte(RDB_TYPE_STRING), text("k"), bytes("\x80\xff\xff\xff\xff", 5), end(true);
    refused(RDB_CUT, "4294967295 bytes");
    begin("REDIS0010"), byte(RDB_TYPE_STRING), text("k"), bytes("\xc3\x01\x80\x0f\xff\xff\xff", 7), end(true);
    refused(RDB_CORRUPT, "LZF");
    begin("REDIS0010"), byte(RDB_TYPE_STRING), text("k"), text("1"), byte(RDB_TYPE_STRING), text("k"), text("2");
    end(true), refused(RDB_CORRUPT, "there twice");
    assert_int_equal(lab_job.keys, 2);
}

static void invalid_values_are_refused(void **state) {
    (void)state;
    double nan = NAN;
    begin("REDIS0010"), byte(RDB_TYPE_SET), text("k"), byte(2), text("a"), text("a"), end(true);
    refused(RDB_CORRUPT, "there twice");
    begin("REDIS0010"), byte(RDB_TYPE_HASH), text("k"), byte(2), text("a"), text("1"), text("a"), text("2"), end(true);
    refused(RDB_CORRUPT, "there twice");
    begin("REDIS0010"), byte(RDB_TYPE_ZSET_2), text("k"), byte(1), text("a"), bytes(&nan, 8), end(true);
    refused(RDB_CORRUPT, "not a number");
    begin("REDIS0010"), byte(RDB_TYPE_ZSET), text("k"), byte(1), text("a"), text("1x"), end(true);
    refused(RDB_CORRUPT, "not a number");
    begin("REDIS0010"), byte(RDB_TYPE_LIST), text("k"), bytes("\x80\x7f\xff\xff\xff", 5), end(true);
    refused(RDB_CUT, "count");
    begin("REDIS0010"), block("k", RDB_TYPE_SET_INTSET, "\2\0\0\0\2\0\0\0\2\0\1\0", 12), end(true);
    refused(RDB_CORRUPT, "intset");
    begin("REDIS0010"), block("k", RDB_TYPE_HASH_LISTPACK, "\x0b\0\0\0\2\0\1\1\1\2\xff", 11), end(true);
    refused(RDB_CORRUPT, "listpack");
    begin("REDIS0010"), block("k", RDB_TYPE_HASH_LISTPACK, "\x09\0\0\0\1\0\1\1\xff", 9), end(true);
    refused(RDB_CORRUPT, "no value");
    begin("REDIS0010"), block("k", RDB_TYPE_ZSET_LISTPACK, "\x0f\0\0\0\4\0\1\1\2\1\3\1\1\1\xff", 15), end(true);
    refused(RDB_CORRUPT, "not sorted");
    begin("REDIS0010"), block("k", RDB_TYPE_ZSET_LISTPACK, "\x0f\0\0\0\4\0\1\1\2\1\1\1\3\1\xff", 15), end(true);
    refused(RDB_CORRUPT, "there twice");
}

static void invalid_ziplists_are_refused(void **state) {
    (void)state;
    zip_begin();
    zip_text("hello");
    zip_text("world");
    zip_end();
    for (size_t i = 0; i < zip_len; i++) {
        uint8_t saved = zip[i];
        zip[i] ^= 1;
        begin("REDIS0010"), block("k", RDB_TYPE_LIST_ZIPLIST, zip, zip_len), end(true);
        enum rdb_result result = load(0);
        bool in_text = (i >= 12 && i < 17) || (i >= 19 && i < 24);
        assert_int_equal(result, in_text ? RDB_OK : RDB_CORRUPT);
        zip[i] = saved;
    }
}

/* --- Round trips ----------------------------------------------------------------------------- */

static void round_trips(void **state) {
    (void)state;
    for (int i = 0; i < 6; i++) {
        lab_empty();
        rdb_options.compression = i % 2;
        list_options.compress_depth = i % 3;
        lab_fill(400);
        uint64_t digest = lab_digest();
        struct slice bytes = lab_save(0);
        lab_empty();
        enum rdb_result result = lab_load(bytes, 0);
        if (result != RDB_OK) fail_msg("%s at %llu", lab_job.message, (unsigned long long)lab_job.failed_at);
        assert_true(lab_digest() == digest);
        assert_int_equal(lab_job.keys, 400);
        assert_int_equal(lab_load(bytes, 0), RDB_CORRUPT); /* complete, but invalid */
        assert_int_equal(lab_load(bytes, RDB_ALLOW_TWICE), RDB_OK);
        assert_true(lab_digest() == digest);
        free((char *)bytes.ptr);
    }
    list_options.compress_depth = 0;
}

static void payloads_round_trip(void **state) {
    (void)state;
    lab_empty();
    lab_fill(400);
    for (int i = 0; i < LAB_DBS; i++) {
        struct table_iter it;
        const struct entry *e;
        for (table_iter_init(&it, &db_at(i)->keys); (e = table_iter_next(&it));) {
            struct writer w;
            struct rdb_value value;
            writer_to_memory(&w, true);
            rdb_dump(&w, e);
            assert_true(rdb_payload_ok(writer_slice(&w)));
            assert_int_equal(rdb_restore(writer_slice(&w), &value), RDB_OK);
            struct entry *copy = rdb_value_entry(&value, entry_key(e), ENTRY_NO_TTL);
            assert_true(lab_digest_value(copy) == lab_digest_value(e));
            assert_string_equal(entry_encoding_name(copy), entry_encoding_name(e));
            entry_free_now(copy);
            writer_free(&w);
        }
    }
}

static struct key edge_key(const char *name) {
    return key_of(slice_cstr(name));
}

static void assert_encoding_after(const char *name, const char *before, const char *after) {
    struct key key = edge_key(name);
    assert_string_equal(entry_encoding_name(db_peek(db_at(0), &key)), before);
    struct slice bytes = lab_save(0);
    lab_empty();
    assert_int_equal(lab_load(bytes, 0), RDB_OK);
    assert_string_equal(entry_encoding_name(db_peek(db_at(0), &key)), after);
    free((char *)bytes.ptr);
}

/* A value gets the encoding of a new one with these contents. It had another one for what it was, or might have become:
 * Redis does the same. */
static void encodings_at_an_edge_follow_the_contents(void **state) {
    static const char longest[8180];
    char text[100] = "";
    struct slice head = slice_of(longest, sizeof longest - 8), pair[] = {SLICE("f"), slice_of(text, sizeof text)};
    size_t created;
    (void)state;
    lab_empty();
    struct key key = edge_key("list");
    struct entry *e = list_push(db_at(0), &key, NULL, QUICKLIST_TAIL, &head, 1);
    list_push(db_at(0), &key, e, QUICKLIST_TAIL, &SLICE("abcde"), 1);
    assert_encoding_after("list", "listpack", "quicklist"); /* with heads, it has more bytes than a push counts */
    lab_empty();
    head.len -= 10;
    e = list_push(db_at(0), &key, NULL, QUICKLIST_TAIL, &head, 1);
    list_push(db_at(0), &key, e, QUICKLIST_TAIL, &SLICE("1234567890123456789"), 1);
    assert_encoding_after("list", "quicklist", "listpack"); /* a number has fewer bytes than digits */
    lab_empty();
    key = edge_key("hash");
    e = fieldmap_set(db_at(0), &key, NULL, pair, 1, &created);
    pair[1] = SLICE("short");
    fieldmap_set(db_at(0), &key, e, pair, 1, &created);
    assert_encoding_after("hash", "hashtable", "listpack");
}

/* Values get the encodings of the present options, not those at the time of writing. */
static void encodings_follow_the_options(void **state) {
    (void)state;
    lab_empty();
    lab_fill(200);
    struct slice bytes = lab_save(0);
    uint64_t contents = lab_contents();
    struct fieldmap_options fields = fieldmap_options;
    struct set_options members = set_options;
    fieldmap_options.max_entries = set_options.max_listpack_entries = set_options.max_intset_entries = 1;
    list_options.max_listpack_size = 2;
    lab_empty();
    assert_int_equal(lab_load(bytes, 0), RDB_OK);
    assert_true(lab_contents() == contents);
    struct slice again = lab_save(0);
    fieldmap_options = fields;
    set_options = members;
    list_options.max_listpack_size = -2;
    lab_empty();
    assert_int_equal(lab_load(again, 0), RDB_OK);
    assert_true(lab_contents() == contents);
    free((char *)bytes.ptr);
    free((char *)again.ptr);
}

/* --- Files ----------------------------------------------------------------------------------- */

static void a_file_is_replaced_or_stays(void **state) {
    (void)state;
    char folder[] = "/tmp/kura-rdb-XXXXXX", path[64], temp[64];
    assert_non_null(mkdtemp(folder));
    sprintf(path, "%s/dump.rdb", folder);
    sprintf(temp, "%s/temp", folder);
    lab_empty();
    lab_fill(50);
    struct rdb_write job = {.fd = -1};
    assert_true(rdb_write_file(&job, temp, path));
    assert_int_equal(job.keys, 50);
    assert_int_equal(access(path, R_OK), 0);
    char other[80];
    sprintf(other, "%s/absent/dump.rdb", folder);
    assert_false(rdb_write_file(&job, other, other));
    assert_int_equal(job.error, ENOENT);
    assert_int_equal(symlink(path, temp), 0); /* a planted link is neither followed nor replaced */
    assert_false(rdb_write_file(&job, temp, path));
    assert_int_equal(job.error, EEXIST);
    unlink(temp);
    unlink(path);
    assert_int_equal(rmdir(folder), 0); /* the folder is empty */
}

/* --- Sinks and sources ----------------------------------------------------------------------- */

static int collect(void *ctx, const void *p, size_t n) {
    buf_append(ctx, p, n);
    return 0;
}

static int refuse_bytes(void *ctx, const void *p, size_t n) {
    (void)ctx;
    (void)p;
    (void)n;
    return EPIPE;
}

static void a_snapshot_goes_to_a_sink(void **state) {
    (void)state;
    lab_empty();
    lab_fill(200);
    struct buf out = {0};
    struct rdb_write job = {.fd = -1, .sink = collect, .sink_ctx = &out};
    assert_true(rdb_write(&job));
    assert_int_equal(job.bytes, out.len);
    uint64_t digest = lab_digest();
    lab_empty();
    assert_int_equal(lab_load(buf_slice(&out), 0), RDB_OK);
    assert_true(lab_digest() == digest);
    buf_free(&out);
    job.sink = refuse_bytes;
    assert_false(rdb_write(&job));
    assert_int_equal(job.error, EPIPE);
}

/* A socket that brings a snapshot and more. */
static struct arriving {
    struct slice bytes;
    size_t at, stop_at;
    struct rdb_read *job;
} arriving;

static ssize_t arrive(void *ctx, void *to, size_t n) {
    assert_ptr_equal(ctx, &arriving);
    size_t left = arriving.bytes.len - arriving.at, some = 1 + rand_below(100000);
    if (arriving.at >= arriving.stop_at) arriving.job->stop = true;
    if (some > n) some = n;
    if (some > left) some = left;
    memcpy(to, arriving.bytes.ptr + arriving.at, some);
    arriving.at += some;
    return (ssize_t)some;
}

static enum rdb_result receive(struct rdb_read *job, struct slice bytes) {
    arriving = (struct arriving){.bytes = bytes, .stop_at = SIZE_MAX, .job = job};
    job->fd = -1;
    job->source = arrive;
    job->source_ctx = &arriving;
    return rdb_read(job);
}

static struct buf snapshot_and_more(size_t *len, uint64_t *digest) {
    struct buf all = {0};
    lab_empty();
    lab_fill(200);
    *digest = lab_digest();
    struct slice bytes = lab_save(0);
    buf_append_slice(&all, bytes);
    buf_append_cstr(&all, "what follows on the same socket");
    *len = bytes.len;
    free((char *)bytes.ptr);
    lab_empty();
    return all;
}

static void a_snapshot_comes_from_a_source(void **state) {
    (void)state;
    for (int known = 0; known < 2; known++) {
        size_t len;
        uint64_t digest;
        struct buf all = snapshot_and_more(&len, &digest), rest = {0};
        struct rdb_read job = {.size = known ? len : 0, .rest = &rest};
        assert_int_equal(receive(&job, buf_slice(&all)), RDB_OK);
        assert_true(lab_digest() == digest);
        assert_int_equal(job.end, len);
        if (known) assert_int_equal(arriving.at, len);
        assert_int_equal(len + rest.len, arriving.at);
        if (rest.len > 0) assert_memory_equal(rest.data, all.data + len, rest.len);
        buf_free(&rest);
        lab_empty();
        job = (struct rdb_read){.size = 0};
        assert_int_equal(receive(&job, slice_of(all.data, len - 1)), RDB_CUT);
        buf_free(&all);
    }
}

static void reading_can_be_stopped(void **state) {
    (void)state;
    size_t len;
    uint64_t digest;
    struct buf all = snapshot_and_more(&len, &digest), rest = {0};
    struct rdb_read job = {.rest = &rest};
    arriving = (struct arriving){.bytes = buf_slice(&all), .stop_at = len / 2, .job = &job};
    job.fd = -1;
    job.source = arrive;
    job.source_ctx = &arriving;
    assert_int_equal(rdb_read(&job), RDB_CUT);
    assert_int_equal(job.error, ECANCELED);
    assert_true(arriving.at < len);
    assert_int_equal(rest.len, 0);
    buf_free(&rest);
    buf_free(&all);
}

/* What a length announces is not believed before the bytes are there. */
static void a_source_that_lies_costs_little(void **state) {
    static const unsigned types[] = {2, 3, 4, 5, 1};
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        lab_empty();
        begin("REDIS0010");
        byte(0xfe);
        byte(0);
        byte(types[i]);
        byte(1);
        text("k");
        byte(0x81); /* a count in 64 bits */
        for (int b = 0; b < 8; b++)
            byte(b < 3 ? 0 : 0xff);
        struct rdb_read job = {.fd = -1};
        size_t before = alloc_used();
        alloc_sample_peak();
        assert_int_not_equal(receive(&job, writer_slice(&out)), RDB_OK);
        alloc_sample_peak();
        assert_true(alloc_peak() < before + (64 << 20));
        writer_free(&out);
    }
}

/* Nor is the number of keys of a database, nor that of each. */
static void databases_that_lie_cost_little(void **state) {
    (void)state;
    lab_empty();
    size_t before = alloc_used();
    begin("REDIS0010");
    for (unsigned id = 0; id < LAB_DBS; id++) {
        byte(RDB_OP_SELECT);
        byte(id);
        byte(RDB_OP_RESIZE);
        for (int twice = 0; twice < 2; twice++) {
            byte(0x81);
            for (int b = 0; b < 8; b++)
                byte(b < 4 ? 0 : 0xff);
        }
    }
    end(true);
    struct rdb_read job = {.fd = -1};
    assert_int_equal(receive(&job, writer_slice(&out)), RDB_OK);
    assert_true(alloc_used() < before + (64 << 20));
    writer_free(&out);
    lab_empty();
}

static void a_snapshot_is_read_beside_the_live_data(void **state) {
    (void)state;
    size_t len;
    uint64_t digest;
    struct buf all = snapshot_and_more(&len, &digest);
    lab_fill(100);
    uint64_t before = lab_digest();
    struct db *spare = db_spare_new();
    struct rdb_read job = {.into = spare};
    assert_int_equal(receive(&job, slice_of(all.data, len / 2)), RDB_CUT);
    assert_true(lab_digest() == before);
    db_spare_drop(spare, false);
    job = (struct rdb_read){.into = spare = db_spare_new()};
    assert_int_equal(receive(&job, buf_slice(&all)), RDB_OK);
    assert_true(lab_digest() == before);
    db_spare_use(spare, false, NULL);
    assert_true(lab_digest() == digest);
    buf_free(&all);
}

int main(void) {
    uint64_t seed = seed_of_run();
    printf("seed %llu\n", (unsigned long long)seed);
    rand_seed(seed);
    lab_start();
    clock_update();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ziplists_of_every_kind),
        cmocka_unit_test(old_hashes_load),
        cmocka_unit_test(old_sorted_sets_load),
        cmocka_unit_test(old_strings_lists_and_sets_load),
        cmocka_unit_test(opcodes),
        cmocka_unit_test(the_place_of_the_data_is_read_back),
        cmocka_unit_test(invalid_files_are_refused),
        cmocka_unit_test(invalid_values_are_refused),
        cmocka_unit_test(invalid_ziplists_are_refused),
        cmocka_unit_test(round_trips),
        cmocka_unit_test(payloads_round_trip),
        cmocka_unit_test(encodings_at_an_edge_follow_the_contents),
        cmocka_unit_test(encodings_follow_the_options),
        cmocka_unit_test(a_file_is_replaced_or_stays),
        cmocka_unit_test(a_snapshot_goes_to_a_sink),
        cmocka_unit_test(a_snapshot_comes_from_a_source),
        cmocka_unit_test(reading_can_be_stopped),
        cmocka_unit_test(a_source_that_lies_costs_little),
        cmocka_unit_test(databases_that_lie_cost_little),
        cmocka_unit_test(a_snapshot_is_read_beside_the_live_data),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    db_shutdown();
    return failed;
}
