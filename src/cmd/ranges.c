/* Parts of a string: APPEND, GETRANGE, SETRANGE; and its length. */
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/lookup.h"
#include "session/limits.h"
#include "store/string.h"

/* May a string have `len` bytes behind `at` others? False: the error was replied. */
static bool check_size(struct client *c, size_t at, size_t len) {
    size_t total;
    if (!__builtin_add_overflow(at, len, &total) && total <= (size_t)limits_options.max_bulk) return true;
    return args_refuse(c, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
}

static void append(struct request *r) {
    struct client *c = r->client;
    struct entry *e;
    if (!lookup_write(r, ENTRY_STRING, &e)) return;
    size_t len = e ? string_length(e) : 0;
    if (e && !check_size(c, len, r->argv[2].len)) return;
    if (!string_append(c->db, &r->key, e, r->argv[2])) {
        reply_no_memory(c);
        return;
    }
    db_changed(c->db, &r->key, DB_STRING, "append");
    reply_int(c, (int64_t)(len + r->argv[2].len));
}

static void strlen_command(struct request *r) {
    struct entry *e;
    if (lookup_read(r, ENTRY_STRING, &e)) reply_int(r->client, e ? (int64_t)string_length(e) : 0);
}

/* Bytes first to last, inclusive; negative indexes count from the end. Unlike LRANGE, a last index before the beginning
 * means the first byte, unless the range is reversed already as it stands. */
static struct slice bytes_between(struct slice s, int64_t first, int64_t last) {
    int64_t len = (int64_t)s.len;
    if (first < 0 && last < 0 && first > last) return SLICE("");
    if (last < -len) last = -len;
    return args_clip(&first, &last, len) ? slice_of(s.ptr + first, (size_t)(last - first) + 1) : SLICE("");
}

static void getrange(struct request *r) {
    int64_t first, last;
    struct entry *e;
    char digits[NUM_I64_MAX];
    if (!args_i64(r->client, r->argv[2], &first) || !args_i64(r->client, r->argv[3], &last)) return;
    if (!lookup_read(r, ENTRY_STRING, &e)) return;
    reply_bulk(r->client, e ? bytes_between(string_bytes(e, digits), first, last) : SLICE(""));
}

static void setrange(struct request *r) {
    struct client *c = r->client;
    struct slice bytes = r->argv[3];
    struct entry *e;
    int64_t offset;
    if (!args_i64(c, r->argv[2], &offset)) return;
    if (offset < 0) {
        reply_error(c, "ERR offset is out of range");
        return;
    }
    if (!lookup_write(r, ENTRY_STRING, &e)) return;
    size_t len = e ? string_length(e) : 0, end = (size_t)offset + bytes.len;
    if (bytes.len > 0) {
        if (!check_size(c, (size_t)offset, bytes.len)) return;
        if (!string_set_range(c->db, &r->key, e, (size_t)offset, bytes)) {
            reply_no_memory(c);
            return;
        }
        db_changed(c->db, &r->key, DB_STRING, "setrange");
        if (end > len) len = end;
    }
    reply_int(c, (int64_t)len);
}

static const struct command ranges_commands[] = {
    {"append", append, 3, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .first_key = 1, .group = GROUP_STRING,
     .since = "2.0.0", .summary = "Add bytes at the end of a string.",
     .complexity = "O(n) for n bytes added, amortized", .syntax = "key:key value", .key_flags = "RW insert"},
    {"strlen", strlen_command, 2, .flags = CMD_READONLY | CMD_FAST, .first_key = 1, .group = GROUP_STRING,
     .since = "2.2.0", .summary = "Measure a string in bytes.", .syntax = "key:key", .key_flags = "RO"},
    {"getrange", getrange, 4, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_STRING, .since = "2.4.0",
     .summary = "Read the bytes of a string between two offsets.", .complexity = "O(n) for n bytes read",
     .syntax = "key:key start:integer end:integer"},
    {"substr", getrange, 4, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_STRING, .since = "1.0.0",
     .summary = "Read the bytes of a string between two offsets: GETRANGE's old name.",
     .complexity = "O(n) for n bytes read", .syntax = "key:key start:integer end:integer",
     .deprecated = "2.0.0|`GETRANGE`"},
    {"setrange", setrange, 4, .flags = CMD_WRITE | CMD_DENYOOM, .first_key = 1, .group = GROUP_STRING, .since = "2.2.0",
     .summary = "Overwrite a string from an offset on.",
     .complexity = "O(n) for n bytes written, those that fill a gap included",
     .syntax = "key:key offset:integer value"},
    {NULL},
};

const struct module ranges_module = {.commands = ranges_commands};
