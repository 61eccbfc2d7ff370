/* Strings as numbers: INCR, DECR, INCRBY, DECRBY and INCRBYFLOAT. A key without a value counts from 0. */
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/effect.h"
#include "cmd/lookup.h"
#include "store/string.h"
#include <math.h>

static void add_integer(struct request *r, int64_t by) {
    struct db *db = r->client->db;
    struct entry *e;
    int64_t n = 0;
    if (!lookup_write(r, ENTRY_STRING, &e)) return;
    if (e && !string_to_i64(e, &n)) {
        reply_not_integer(r->client);
        return;
    }
    if (!num_add_i64(n, by, &n)) {
        reply_error(r->client, "ERR increment or decrement would overflow");
        return;
    }
    string_set_i64(db, &r->key, e, n);
    db_changed(db, &r->key, DB_STRING, "incrby");
    reply_int(r->client, n);
}

static void incr(struct request *r) {
    add_integer(r, 1);
}

static void decr(struct request *r) {
    add_integer(r, -1);
}

static void incrby(struct request *r) {
    int64_t by;
    if (args_i64(r->client, r->argv[2], &by)) add_integer(r, by);
}

static void decrby(struct request *r) {
    int64_t by;
    if (!args_i64(r->client, r->argv[2], &by)) return;
    if (by == INT64_MIN) {
        reply_error(r->client, "ERR decrement would overflow");
    } else {
        add_integer(r, -by);
    }
}

/* The value becomes the text that is replied. That text is propagated too, because another machine's long double may
 * differ. */
static void incrbyfloat(struct request *r) {
    struct client *c = r->client;
    struct entry *e;
    long double sum = 0, by;
    if (!lookup_write(r, ENTRY_STRING, &e)) return;
    if ((e && !string_to_ld(e, &sum)) || !num_parse_ld(r->argv[2], &by)) {
        reply_error(c, "ERR value is not a valid float");
        return;
    }
    sum += by;
    if (!isfinite(sum)) {
        reply_error(c, "ERR increment would produce NaN or Infinity");
        return;
    }
    char text[NUM_LD_MAX];
    struct slice value = slice_of(text, (size_t)num_print_ld(text, sum));
    db_set_text(c->db, &r->key, e, value, DB_KEEP_TTL);
    db_changed(c->db, &r->key, DB_STRING, "incrbyfloat");
    reply_bulk(c, value);
    effect_set_keeping(r->key.name, value);
}

static const struct command counters_commands[] = {
    {"incr", incr, 2, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .first_key = 1, .group = GROUP_STRING,
     .since = "1.0.0", .summary = "Add 1 to a number.", .syntax = "key:key", .key_flags = "RW access update"},
    {"decr", decr, 2, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .first_key = 1, .group = GROUP_STRING,
     .since = "1.0.0", .summary = "Subtract 1 from a number.", .syntax = "key:key", .key_flags = "RW access update"},
    {"incrby", incrby, 3, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .first_key = 1, .group = GROUP_STRING,
     .since = "1.0.0", .summary = "Add an integer to a number.", .syntax = "key:key increment:integer",
     .key_flags = "RW access update"},
    {"decrby", decrby, 3, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .first_key = 1, .group = GROUP_STRING,
     .since = "1.0.0", .summary = "Subtract an integer from a number.", .syntax = "key:key decrement:integer",
     .key_flags = "RW access update"},
    {"incrbyfloat", incrbyfloat, 3, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .first_key = 1, .group = GROUP_STRING,
     .since = "2.6.0", .summary = "Add a decimal to a number.", .syntax = "key:key increment:double",
     .key_flags = "RW access update"},
    {NULL},
};

const struct module counters_module = {.commands = counters_commands};
