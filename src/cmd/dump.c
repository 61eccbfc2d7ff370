/* DUMP and RESTORE: a value as bytes that another server understands, and back. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/effect.h"
#include "cmd/keys.h"
#include "cmd/lookup.h"
#include "exec/propagate.h"
#include "rdb/rdb.h"
#include "store/evict.h"
#include <errno.h>

static void dump(struct request *r) {
    struct entry *e = lookup_untouched(r->client->db, &r->key);
    if (!e) {
        reply_null(r->client);
        return;
    }
    struct writer w;
    writer_to_some_memory(&w, true, conn_room());
    rdb_dump(&w, e);
    if (writer_flush(&w))
        reply_bulk(r->client, writer_slice(&w));
    else
        conn_refuse(w.error == EFBIG ? CONN_OVER_LIMIT : CONN_NO_MEMORY);
    writer_free(&w);
}

/* --- RESTORE --------------------------------------------------------------------------------- */

struct restore_options {
    bool replace, absolute;    /* ABSTTL: the TTL is a deadline */
    int64_t idle_s, frequency; /* -1: not given */
};

/* IDLETIME and FREQ exclude each other: behind one of them, the other is a syntax error. */
static bool parse_access(struct client *c, struct slice name, struct slice value, struct restore_options *o) {
    if (slice_is(name, "idletime") && o->frequency < 0) {
        if (!args_i64(c, value, &o->idle_s)) return false;
        return o->idle_s >= 0 || args_refuse(c, "ERR Invalid IDLETIME value, must be >= 0");
    }
    if (slice_is(name, "freq") && o->idle_s < 0) {
        if (!args_i64(c, value, &o->frequency)) return false;
        if (o->frequency >= 0 && o->frequency <= 255) return true;
        return args_refuse(c, "ERR Invalid FREQ value, must be >= 0 and <= 255");
    }
    return args_syntax_error(c);
}

static bool parse_restore_options(struct request *r, struct restore_options *o) {
    for (int i = 4; i < r->argc; i++) {
        if (slice_is(r->argv[i], "replace")) {
            o->replace = true;
        } else if (slice_is(r->argv[i], "absttl")) {
            o->absolute = true;
        } else if (i + 1 < r->argc) {
            if (!parse_access(r->client, r->argv[i], r->argv[i + 1], o)) return false;
            i++;
        } else {
            return args_syntax_error(r->client);
        }
    }
    return true;
}

static bool parse_ttl(struct client *c, struct slice arg, int64_t *ttl_ms) {
    if (!args_i64(c, arg, ttl_ms)) return false;
    return *ttl_ms >= 0 || args_refuse(c, "ERR Invalid TTL value, must be >= 0");
}

static bool decode_payload(struct client *c, struct slice payload, struct rdb_value *value) {
    if (!rdb_payload_ok(payload)) return args_refuse(c, "ERR DUMP payload version or checksum are wrong");
    return rdb_restore(payload, value) == RDB_OK || args_refuse(c, "ERR Bad data format");
}

/* Propagate the request with an absolute deadline in place of its TTL. */
static void propagate_deadline(struct request *r, int64_t deadline_ms) {
    struct slice *argv = alloc_get(((size_t)r->argc + 1) * sizeof *argv);
    char digits[NUM_I64_MAX];
    memcpy(argv, r->argv, (size_t)r->argc * sizeof *argv);
    argv[2] = slice_of(digits, (size_t)num_print_i64(digits, deadline_ms));
    argv[r->argc] = SLICE("ABSTTL");
    propagate_as(argv, r->argc + 1);
    alloc_put(argv, ((size_t)r->argc + 1) * sizeof *argv);
}

/* The value has expired before it came: only remove the one that it would have replaced. */
static void restore_nothing(struct request *r, struct entry *old) {
    if (old) {
        keys_delete(r->client->db, &r->key, old);
        effect_delete(r->key.name);
    }
    reply_ok(r->client);
}

static void insert_value(struct request *r, const struct rdb_value *value, int64_t deadline_ms,
                         const struct restore_options *o) {
    struct db *db = r->client->db;
    struct entry *e = rdb_value_entry(value, r->key.name, deadline_ms);
    if (o->idle_s >= 0) evict_set_idle(e, (uint64_t)o->idle_s);
    if (o->frequency >= 0) evict_set_frequency(e, (unsigned)o->frequency);
    db_insert_new(db, &r->key, e);
    db_notify(db, &r->key, DB_NEW, "new");
}

static void restore(struct request *r) {
    struct client *c = r->client;
    struct restore_options o = {.idle_s = -1, .frequency = -1};
    struct rdb_value value;
    int64_t ttl_ms;
    if (!parse_restore_options(r, &o)) return;
    struct entry *old = db_write(c->db, &r->key);
    if (old && !o.replace) {
        reply_error(c, "BUSYKEY Target key name already exists.");
        return;
    }
    if (!parse_ttl(c, r->argv[2], &ttl_ms) || !decode_payload(c, r->argv[3], &value)) return;
    int64_t deadline_ms = ttl_ms;
    if (ttl_ms && !o.absolute && !num_add_i64(ttl_ms, clock_now_ms(), &deadline_ms)) deadline_ms = INT64_MAX;
    if (deadline_ms && deadline_ms <= clock_now_ms()) {
        rdb_value_drop(&value);
        restore_nothing(r, old);
        return;
    }
    if (old) db_remove(c->db, &r->key, old);
    insert_value(r, &value, deadline_ms ? deadline_ms : ENTRY_NO_TTL, &o);
    if (ttl_ms && !o.absolute) propagate_deadline(r, deadline_ms);
    db_changed(c->db, &r->key, DB_GENERIC, "restore");
    reply_ok(c);
}

static const struct command dump_commands[] = {
    {"dump", dump, 2, .flags = CMD_READONLY, .first_key = 1, .since = "2.6.0",
     .summary = "Serialize a value, for RESTORE.", .complexity = "O(n) for n bytes of the result", .syntax = "key:key",
     .tips = "nondeterministic_output"},
    {"restore", restore, -4, .flags = CMD_WRITE | CMD_DENYOOM, .acl = ACL_KEYSPACE | ACL_DANGEROUS, .first_key = 1,
     .since = "2.6.0", .summary = "Give a key the value that DUMP has serialized.",
     .complexity = "O(n) for n bytes of the payload",
     .syntax = "key:key ttl:integer serialized-value [REPLACE@3.0.0] [ABSTTL@5.0.0] [IDLETIME seconds:integer@5.0.0] "
               "[FREQ frequency:integer@5.0.0]",
     .history = "3.0.0|New: `REPLACE`.\n"
                "5.0.0|New: `ABSTTL`.\n"
                "5.0.0|New: `IDLETIME`, `FREQ`.",
     .key_flags = "OW update"},
    {NULL},
};

const struct module dump_module = {.commands = dump_commands};
