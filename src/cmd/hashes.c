/* Hashes: fields by name, whole hashes, and fields as numbers. The store calls the type fieldmap, since a hash is a
 * number there. */
#include "base/module.h"
#include "base/num.h"
#include "catalog/catalog.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/keys.h"
#include "cmd/lookup.h"
#include "exec/propagate.h"
#include "store/fieldmap.h"
#include <math.h>

/* --- Fields by name -------------------------------------------------------------------------- */

/* Set the pairs from argument 2 on; the arity cannot express that they are pairs. False: the error was replied. */
static bool set_fields(struct request *r, size_t *created) {
    struct db *db = r->client->db;
    struct entry *e;
    if (r->argc % 2 == 1) {
        reply_wrong_arity(r->client, catalog_full_name(r->command));
        return false;
    }
    if (!lookup_write(r, ENTRY_HASH, &e)) return false;
    int pairs = (r->argc - 2) / 2;
    fieldmap_set(db, &r->key, e, r->argv + 2, (size_t)pairs, created);
    db_changed(db, &r->key, DB_HASH, "hset");
    db_metrics.dirty += pairs - 1; /* Redis counts fields */
    return true;
}

static void hset(struct request *r) {
    size_t created;
    if (set_fields(r, &created)) reply_int(r->client, (int64_t)created);
}

static void hmset(struct request *r) {
    size_t created;
    if (set_fields(r, &created)) reply_ok(r->client);
}

static void hsetnx(struct request *r) {
    struct db *db = r->client->db;
    struct entry *e;
    char digits[NUM_I64_MAX];
    struct slice value;
    size_t created = 0;
    if (!lookup_write(r, ENTRY_HASH, &e)) return;
    if (!e || !fieldmap_get(e, r->argv[2], digits, &value)) {
        fieldmap_set(db, &r->key, e, r->argv + 2, 1, &created);
        db_changed(db, &r->key, DB_HASH, "hset");
    }
    reply_int(r->client, (int64_t)created);
}

static void reply_field(struct client *c, const struct entry *e, struct slice name) {
    char digits[NUM_I64_MAX];
    struct slice value;
    if (e && fieldmap_get(e, name, digits, &value)) {
        reply_bulk(c, value);
    } else {
        reply_null(c);
    }
}

static void hget(struct request *r) {
    struct entry *e;
    if (lookup_read(r, ENTRY_HASH, &e)) reply_field(r->client, e, r->argv[2]);
}

static void hmget(struct request *r) {
    struct entry *e;
    if (!lookup_read(r, ENTRY_HASH, &e)) return;
    reply_array(r->client, (size_t)r->argc - 2);
    for (int i = 2; i < r->argc && !reply_is_pointless(r->client); i++)
        reply_field(r->client, e, r->argv[i]);
}

static void hstrlen(struct request *r) {
    struct entry *e;
    char digits[NUM_I64_MAX];
    struct slice value;
    if (!lookup_read(r, ENTRY_HASH, &e)) return;
    reply_int(r->client, e && fieldmap_get(e, r->argv[2], digits, &value) ? (int64_t)value.len : 0);
}

static void hexists(struct request *r) {
    struct entry *e;
    char digits[NUM_I64_MAX];
    struct slice value;
    if (!lookup_read(r, ENTRY_HASH, &e)) return;
    reply_int(r->client, e && fieldmap_get(e, r->argv[2], digits, &value));
}

static void hdel(struct request *r) {
    struct db *db = r->client->db;
    struct entry *e;
    size_t removed = 0;
    if (!lookup_write(r, ENTRY_HASH, &e)) return;
    if (e) e = fieldmap_remove(db, e, r->argv + 2, (size_t)r->argc - 2, &removed);
    if (removed) {
        db_changed(db, &r->key, DB_HASH, "hdel");
        db_metrics.dirty += (int64_t)removed - 1; /* Redis counts fields */
        if (fieldmap_count(e) == 0) keys_delete_empty(db, &r->key, e);
    }
    reply_int(r->client, (int64_t)removed);
}

/* --- Whole hashes ---------------------------------------------------------------------------- */

static void hlen(struct request *r) {
    struct entry *e;
    if (lookup_read(r, ENTRY_HASH, &e)) reply_int(r->client, e ? (int64_t)fieldmap_count(e) : 0);
}

static void hgetall(struct request *r) {
    struct client *c = r->client;
    struct entry *e;
    struct fieldmap_iter it;
    struct field_pair pair;
    if (!lookup_read(r, ENTRY_HASH, &e)) return;
    reply_map(c, e ? fieldmap_count(e) : 0);
    if (!e) return;
    fieldmap_iter_init(&it, e);
    while (fieldmap_iter_next(&it, &pair) && !reply_is_pointless(c)) {
        reply_bulk(c, pair.name);
        reply_bulk(c, pair.value);
    }
}

static void reply_names_or_values(struct request *r, bool values) {
    struct client *c = r->client;
    struct entry *e;
    struct fieldmap_iter it;
    struct field_pair pair;
    if (!lookup_read(r, ENTRY_HASH, &e)) return;
    reply_array(c, e ? fieldmap_count(e) : 0);
    if (!e) return;
    fieldmap_iter_init(&it, e);
    while (fieldmap_iter_next(&it, &pair) && !reply_is_pointless(c))
        reply_bulk(c, values ? pair.value : pair.name);
}

static void hkeys(struct request *r) {
    reply_names_or_values(r, false);
}

static void hvals(struct request *r) {
    reply_names_or_values(r, true);
}

/* --- Fields as numbers: one that does not exist counts from 0 -------------------------------- */

static void hincrby(struct request *r) {
    struct client *c = r->client;
    struct entry *e;
    int64_t by, n = 0;
    char digits[NUM_I64_MAX];
    struct slice value;
    size_t created;
    if (!args_i64(c, r->argv[3], &by) || !lookup_write(r, ENTRY_HASH, &e)) return;
    if (e && fieldmap_get(e, r->argv[2], digits, &value) && !num_parse_i64(value, &n)) {
        reply_error(c, "ERR hash value is not an integer");
        return;
    }
    if (!num_add_i64(n, by, &n)) {
        reply_error(c, "ERR increment or decrement would overflow");
        return;
    }
    struct slice pair[] = {r->argv[2], slice_of(digits, (size_t)num_print_i64(digits, n))};
    fieldmap_set(c->db, &r->key, e, pair, 1, &created);
    db_changed(c->db, &r->key, DB_HASH, "hincrby");
    reply_int(c, n);
}

/* The value becomes the text that is replied. That text is propagated too, because another machine's long double may
 * differ. */
static void hincrbyfloat(struct request *r) {
    struct client *c = r->client;
    struct entry *e;
    long double by, sum = 0;
    char digits[NUM_I64_MAX], text[NUM_LD_MAX];
    struct slice value;
    size_t created;
    if (!num_parse_ld(r->argv[3], &by)) {
        reply_error(c, "ERR value is not a valid float");
        return;
    }
    if (!isfinite(by)) {
        reply_error(c, "ERR value is NaN or Infinity");
        return;
    }
    if (!lookup_write(r, ENTRY_HASH, &e)) return;
    if (e && fieldmap_get(e, r->argv[2], digits, &value) && !num_parse_ld(value, &sum)) {
        reply_error(c, "ERR hash value is not a float");
        return;
    }
    sum += by;
    if (!isfinite(sum)) {
        reply_error(c, "ERR increment would produce NaN or Infinity");
        return;
    }
    struct slice pair[] = {r->argv[2], slice_of(text, (size_t)num_print_ld(text, sum))};
    fieldmap_set(c->db, &r->key, e, pair, 1, &created);
    db_changed(c->db, &r->key, DB_HASH, "hincrbyfloat");
    reply_bulk(c, pair[1]);
    if (propagate_wanted) propagate_as((struct slice[]){SLICE("HSET"), r->key.name, pair[0], pair[1]}, 4);
}

static const struct command hashes_commands[] = {
    {"hset", hset, -4, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .first_key = 1, .member = 2, .group = GROUP_HASH,
     .since = "2.0.0", .summary = "Write fields of a hash.", .complexity = "O(n) for n fields written",
     .syntax = "key:key data:(field value)...", .history = "4.0.0|Takes several fields."},
    {"hsetnx", hsetnx, 4, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .first_key = 1, .member = 2, .group = GROUP_HASH,
     .since = "2.0.0", .summary = "Write a field that the hash does not have yet.", .syntax = "key:key field value",
     .key_flags = "RW insert"},
    {"hmset", hmset, -4, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .first_key = 1, .member = 2, .group = GROUP_HASH,
     .since = "2.0.0", .summary = "Write fields of a hash, and reply OK.", .complexity = "O(n) for n fields written",
     .syntax = "key:key data:(field value)...", .deprecated = "4.0.0|`HSET`: several fields"},
    {"hget", hget, 3, .flags = CMD_READONLY | CMD_FAST, .first_key = 1, .member = 2, .group = GROUP_HASH,
     .since = "2.0.0", .summary = "Read a field of a hash.", .syntax = "key:key field"},
    {"hmget", hmget, -3, .flags = CMD_READONLY | CMD_FAST, .first_key = 1, .group = GROUP_HASH, .since = "2.0.0",
     .summary = "Read several fields of a hash.", .complexity = "O(n) for n fields asked for",
     .syntax = "key:key field..."},
    {"hgetall", hgetall, 2, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_HASH, .since = "2.0.0",
     .summary = "Read a whole hash, fields and values.", .complexity = "O(n) for n fields", .syntax = "key:key",
     .tips = "nondeterministic_output_order"},
    {"hkeys", hkeys, 2, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_HASH, .since = "2.0.0",
     .summary = "List the fields of a hash.", .complexity = "O(n) for n fields", .syntax = "key:key",
     .tips = "nondeterministic_output_order"},
    {"hvals", hvals, 2, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_HASH, .since = "2.0.0",
     .summary = "List the values of a hash.", .complexity = "O(n) for n fields", .syntax = "key:key",
     .tips = "nondeterministic_output_order"},
    {"hlen", hlen, 2, .flags = CMD_READONLY | CMD_FAST, .first_key = 1, .group = GROUP_HASH, .since = "2.0.0",
     .summary = "Count the fields of a hash.", .syntax = "key:key", .key_flags = "RO"},
    {"hstrlen", hstrlen, 3, .flags = CMD_READONLY | CMD_FAST, .first_key = 1, .member = 2, .group = GROUP_HASH,
     .since = "3.2.0", .summary = "Measure the value of a field in bytes.", .syntax = "key:key field",
     .key_flags = "RO"},
    {"hexists", hexists, 3, .flags = CMD_READONLY | CMD_FAST, .first_key = 1, .member = 2, .group = GROUP_HASH,
     .since = "2.0.0", .summary = "Ask whether a hash has a field.", .syntax = "key:key field", .key_flags = "RO"},
    {"hdel", hdel, -3, .flags = CMD_WRITE | CMD_FAST, .first_key = 1, .member = 2, .group = GROUP_HASH,
     .since = "2.0.0", .summary = "Take fields out of a hash.", .complexity = "O(n) for n fields taken",
     .syntax = "key:key field...", .history = "2.4.0|Takes several fields.", .key_flags = "RW delete"},
    {"hincrby", hincrby, 4, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .first_key = 1, .member = 2,
     .group = GROUP_HASH, .since = "2.0.0", .summary = "Add an integer to a field of a hash.",
     .syntax = "key:key field increment:integer", .key_flags = "RW access update"},
    {"hincrbyfloat", hincrbyfloat, 4, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .first_key = 1, .member = 2,
     .group = GROUP_HASH, .since = "2.6.0", .summary = "Add a decimal to a field of a hash.",
     .syntax = "key:key field increment:double", .key_flags = "RW access update"},
    {NULL},
};

const struct module hashes_module = {.commands = hashes_commands};
