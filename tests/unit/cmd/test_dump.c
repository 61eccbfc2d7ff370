/* DUMP and RESTORE: values come back, payloads that are damaged do not, whatever the damage. */
#include "base/crc64.h"
#include "command_lab.h"
#include <endian.h>

extern const struct module dump_module, strings_module, lists_module, hashes_module, sets_module, zsets_module,
    keys_module, expiry_module, streams_module;

enum { FOOTER = 10 }; /* two bytes of the version, eight of the checksum */

static const char *const creators[] = {
    "SET k text",   "SET k 12345",  "RPUSH k a b 3",    "HSET k f v g 7",
    "SADD k 1 2 3", "SADD k a b c", "ZADD k 1 a 2.5 b", "XADD k 1-1 f v",
};

/* The payload of key k, in memory that the caller frees. */
static struct buf dump(void) {
    struct buf payload = {0};
    struct slice reply = lab_call((struct slice[]){SLICE("DUMP"), SLICE("k")}, 2);
    const char *begin = memchr(reply.ptr, '\n', reply.len) + 1;
    buf_append(&payload, begin, (size_t)(reply.ptr + reply.len - 2 - begin));
    return payload;
}

static const char *restore(struct slice payload) {
    return lab_lines(lab_call((struct slice[]){SLICE("RESTORE"), SLICE("r"), SLICE("0"), payload}, 4));
}

static void sign(char *payload, size_t len) {
    uint64_t crc = htole64(crc64(0, payload, len - 8));
    memcpy(payload + len - 8, &crc, 8);
}

static void values_come_back(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof creators / sizeof *creators; i++) {
        lab_run("%s", creators[i]);
        struct buf payload = dump(), again;
        assert_string_equal(restore(buf_slice(&payload)), "+OK");
        assert_string_equal(restore(buf_slice(&payload)), "-BUSYKEY Target key name already exists.");
        lab_run("RENAME r k");
        again = dump();
        assert_true(slice_eq(buf_slice(&payload), buf_slice(&again)));
        buf_free(&payload);
        buf_free(&again);
        lab_run("DEL k");
    }
    assert_string_equal(lab_run("DUMP k"), "$-1");
}

static void a_damaged_byte_is_noticed(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof creators / sizeof *creators; i++) {
        lab_run("%s", creators[i]);
        struct buf payload = dump();
        for (size_t at = 0; at < payload.len; at++) {
            char bit = (char)(1 << lab_below(8));
            payload.data[at] ^= bit;
            assert_string_equal(restore(buf_slice(&payload)), "-ERR DUMP payload version or checksum are wrong");
            payload.data[at] ^= bit;
        }
        for (size_t len = 0; len < payload.len; len++)
            assert_string_equal(restore(slice_of(payload.data, len)),
                                "-ERR DUMP payload version or checksum are wrong");
        buf_free(&payload);
        lab_run("DEL k");
    }
    assert_string_equal(lab_run("EXISTS r"), ":0");
}

/* A client can sign any payload. A value that is cut off is never accepted; other damage may make another value. */
static void signed_damage_is_no_value_or_another_one(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof creators / sizeof *creators; i++) {
        lab_run("%s", creators[i]);
        struct buf payload = dump();
        for (size_t len = 0; len < payload.len - FOOTER; len++) {
            char cut[256];
            memcpy(cut, payload.data, len);
            memcpy(cut + len, payload.data + payload.len - FOOTER, FOOTER);
            sign(cut, len + FOOTER);
            assert_string_equal(restore(slice_of(cut, len + FOOTER)), "-ERR Bad data format");
        }
        for (int round = 0; round < 500; round++) {
            char damaged[256];
            memcpy(damaged, payload.data, payload.len);
            damaged[lab_below((int)payload.len - FOOTER)] = (char)rand();
            sign(damaged, payload.len);
            const char *reply = restore(slice_of(damaged, payload.len));
            if (strcmp(reply, "+OK") == 0) {
                assert_string_equal(lab_run("DEL r"), ":1");
            } else {
                assert_string_equal(reply, "-ERR Bad data format");
            }
        }
        buf_free(&payload);
        lab_run("DEL k");
    }
}

static const char *restore_with(struct slice payload, const char *ttl, const char *one, const char *other) {
    struct slice words[] = {SLICE("RESTORE"), SLICE("k"), slice_cstr(ttl), payload, slice_cstr(one), slice_cstr(other)};
    return lab_lines(lab_call(words, other ? 6 : one ? 5 : 4));
}

static void options_are_checked_before_the_payload(void **state) {
    (void)state;
    const struct slice x = SLICE("x");
    assert_string_equal(restore_with(x, "-1", NULL, NULL), "-ERR Invalid TTL value, must be >= 0");
    assert_string_equal(restore_with(x, "x", NULL, NULL), "-ERR value is not an integer or out of range");
    assert_string_equal(restore_with(x, "0", "IDLETIME", NULL), "-ERR syntax error");
    assert_string_equal(restore_with(x, "0", "IDLETIME", "-1"), "-ERR Invalid IDLETIME value, must be >= 0");
    assert_string_equal(restore_with(x, "0", "FREQ", "256"), "-ERR Invalid FREQ value, must be >= 0 and <= 255");
    assert_string_equal(restore_with(x, "0", "FREQ", "255"), "-ERR DUMP payload version or checksum are wrong");
    struct slice both[] = {SLICE("RESTORE"), SLICE("k"), SLICE("0"),        x,
                           SLICE("FREQ"),    SLICE("1"), SLICE("IDLETIME"), SLICE("1")};
    assert_string_equal(lab_lines(lab_call(both, 8)), "-ERR syntax error");
}

static void what_is_propagated_has_a_deadline(void **state) {
    (void)state;
    lab_run("SET k 1");
    struct buf payload = dump();
    assert_string_equal(restore_with(buf_slice(&payload), "1000000", "REPLACE", NULL), "+OK");
    long long deadline = atoll(lab_run("PEXPIRETIME k") + 1);
    assert_in_range(deadline, clock_now_ms() + 900000, clock_now_ms() + 1000000);
    char text[32];
    snprintf(text, sizeof text, "%lld", deadline);
    restore_with(buf_slice(&payload), "1000000", "REPLACE", NULL);
    assert_int_equal(memcmp(lab_propagated.data, "RESTORE k 1", 11), 0);
    assert_non_null(memmem(lab_propagated.data, lab_propagated.len, " REPLACE ABSTTL", 15));
    assert_string_equal(restore_with(buf_slice(&payload), "1", "ABSTTL", "REPLACE"), "+OK"); /* long ago */
    lab_expect_propagated("DEL k");
    assert_string_equal(lab_run("EXISTS k"), ":0");
    assert_string_equal(restore_with(buf_slice(&payload), "1", "ABSTTL", NULL), "+OK");
    lab_expect_propagated("");
    buf_free(&payload);
}

int main(void) {
    lab_start((const struct module *const[]){&dump_module, &strings_module, &lists_module, &hashes_module, &sets_module,
                                             &zsets_module, &keys_module, &expiry_module, &streams_module, NULL});
    const struct CMUnitTest tests[] = {
        LAB_TEST(values_come_back),
        LAB_TEST(a_damaged_byte_is_noticed),
        LAB_TEST(signed_damage_is_no_value_or_another_one),
        LAB_TEST(options_are_checked_before_the_payload),
        LAB_TEST(what_is_propagated_has_a_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
