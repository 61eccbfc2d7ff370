/* Deadlines of keys: setting, removing and telling them. A deadline is propagated in absolute milliseconds. */
#include "base/clock.h"
#include "base/likely.h"
#include "base/module.h"
#include "base/num.h"
#include "catalog/catalog.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/effect.h"
#include "cmd/keys.h"
#include "cmd/lookup.h"
#include "store/expire.h"

enum condition {
    NX = 1 << 0, /* the key has no deadline */
    XX = 1 << 1, /* the key has a deadline */
    GT = 1 << 2, /* the new deadline is later than the old */
    LT = 1 << 3, /* the new deadline is earlier */
};

static bool parse_conditions(struct request *r, unsigned *conditions) {
    unsigned all = 0;
    for (int i = 3; i < r->argc; i++) {
        struct slice word = r->argv[i];
        unsigned one = slice_is(word, "nx")   ? NX
                       : slice_is(word, "xx") ? XX
                       : slice_is(word, "gt") ? GT
                       : slice_is(word, "lt") ? LT
                                              : 0;
        if (!one) {
            reply_errorf(r->client, "ERR Unsupported option %.*s", (int)(word.len > 200 ? 200 : word.len), word.ptr);
            return false;
        }
        all |= one;
    }
    *conditions = all;
    if ((all & NX) && (all & ~(unsigned)NX))
        return args_refuse(r->client, "ERR NX and XX, GT or LT options at the same time are not compatible");
    if ((all & GT) && (all & LT))
        return args_refuse(r->client, "ERR GT and LT options at the same time are not compatible");
    return true;
}

/* To have no deadline is to have the latest of all. */
static bool conditions_hold(unsigned conditions, int64_t old_ms, int64_t new_ms) {
    bool has = old_ms != ENTRY_NO_TTL;
    if ((conditions & NX) && has) return false;
    if ((conditions & XX) && !has) return false;
    if ((conditions & GT) && (!has || new_ms <= old_ms)) return false;
    return !(conditions & LT) || !has || new_ms < old_ms;
}

/* EXPIRE and the commands like it: argument 2 counts units of unit_ms from base_ms on. A deadline in the past deletes
 * the key. */
static void set_deadline(struct request *r, int64_t unit_ms, int64_t base_ms) {
    struct client *c = r->client;
    unsigned conditions = 0;
    int64_t ms;
    if (unlikely(r->argc > 3) && !parse_conditions(r, &conditions)) return;
    if (!args_i64(c, r->argv[2], &ms)) return;
    if (!num_mul_i64(ms, unit_ms, &ms) || !num_add_i64(ms, base_ms, &ms)) {
        reply_errorf(c, "ERR invalid expire time in '%s' command", catalog_full_name(r->command));
        return;
    }
    struct entry *e = db_write(c->db, &r->key);
    if (!e || (conditions && !conditions_hold(conditions, entry_deadline_ms(e), ms))) {
        reply_int(c, 0);
        return;
    }
    if (unlikely(ms <= clock_now_ms() && !expire_is_ignored())) {
        keys_delete(c->db, &r->key, e);
        effect_delete(r->key.name);
    } else {
        db_set_deadline(c->db, e, r->key.hash, ms);
        db_changed(c->db, &r->key, DB_GENERIC, "expire");
        effect_expire(r->key.name, ms);
    }
    reply_int(c, 1);
}

static void expire(struct request *r) {
    set_deadline(r, 1000, clock_now_ms());
}

static void expireat(struct request *r) {
    set_deadline(r, 1000, 0);
}

static void pexpire(struct request *r) {
    set_deadline(r, 1, clock_now_ms());
}

static void pexpireat(struct request *r) {
    set_deadline(r, 1, 0);
}

static void persist(struct request *r) {
    struct db *db = r->client->db;
    struct entry *e = db_write(db, &r->key);
    bool had = e && entry_has_ttl(e);
    if (had) {
        db_set_deadline(db, e, r->key.hash, ENTRY_NO_TTL);
        db_changed(db, &r->key, DB_GENERIC, "persist");
    }
    reply_int(r->client, had);
}

/* The deadline of the request's key. False: there is none, and -2 (no key) or -1 (a key without one) was replied. */
static bool find_deadline(struct request *r, int64_t *ms) {
    const struct entry *e = lookup_untouched(r->client->db, &r->key);
    if (e && entry_has_ttl(e)) {
        *ms = entry_deadline_ms(e);
        return true;
    }
    reply_int(r->client, e ? -1 : -2);
    return false;
}

static int64_t seconds_of(int64_t ms) {
    return (int64_t)(((uint64_t)ms + 500) / 1000);
}

static int64_t left_ms(int64_t deadline_ms) {
    int64_t now_ms = clock_now_ms();
    return deadline_ms > now_ms ? deadline_ms - now_ms : 0;
}

static void ttl(struct request *r) {
    int64_t ms;
    if (find_deadline(r, &ms)) reply_int(r->client, seconds_of(left_ms(ms)));
}

static void pttl(struct request *r) {
    int64_t ms;
    if (find_deadline(r, &ms)) reply_int(r->client, left_ms(ms));
}

static void expiretime(struct request *r) {
    int64_t ms;
    if (find_deadline(r, &ms)) reply_int(r->client, seconds_of(ms));
}

static void pexpiretime(struct request *r) {
    int64_t ms;
    if (find_deadline(r, &ms)) reply_int(r->client, ms);
}

static const struct command expiry_commands[] = {
    {"expire", expire, -3, .flags = CMD_WRITE | CMD_FAST, .first_key = 1, .since = "1.0.0",
     .summary = "Let a key expire after some seconds.",
     .syntax = "key:key seconds:integer [condition:(NX | XX | GT | LT)@7.0.0]",
     .history = "7.0.0|New: `NX`, `XX`, `GT`, `LT`."},
    {"expireat", expireat, -3, .flags = CMD_WRITE | CMD_FAST, .first_key = 1, .since = "1.2.0",
     .summary = "Let a key expire at a Unix time in seconds.",
     .syntax = "key:key unix-time-seconds:unix-time [condition:(NX | XX | GT | LT)@7.0.0]",
     .history = "7.0.0|New: `NX`, `XX`, `GT`, `LT`."},
    {"pexpire", pexpire, -3, .flags = CMD_WRITE | CMD_FAST, .first_key = 1, .since = "2.6.0",
     .summary = "Let a key expire after some milliseconds.",
     .syntax = "key:key milliseconds:integer [condition:(NX | XX | GT | LT)@7.0.0]",
     .history = "7.0.0|New: `NX`, `XX`, `GT`, `LT`."},
    {"pexpireat", pexpireat, -3, .flags = CMD_WRITE | CMD_FAST, .first_key = 1, .since = "2.6.0",
     .summary = "Let a key expire at a Unix time in milliseconds.",
     .syntax = "key:key unix-time-milliseconds:unix-time [condition:(NX | XX | GT | LT)@7.0.0]",
     .history = "7.0.0|New: `NX`, `XX`, `GT`, `LT`."},
    {"persist", persist, 2, .flags = CMD_WRITE | CMD_FAST, .first_key = 1, .since = "2.2.0",
     .summary = "Cancel the deadline of a key.", .syntax = "key:key"},
    {"ttl", ttl, 2, .flags = CMD_READONLY | CMD_FAST, .first_key = 1, .since = "1.0.0",
     .summary = "Tell in how many seconds a key expires.", .syntax = "key:key", .tips = "nondeterministic_output",
     .history = "2.8.0|Replies -2 where there is no key."},
    {"pttl", pttl, 2, .flags = CMD_READONLY | CMD_FAST, .first_key = 1, .since = "2.6.0",
     .summary = "Tell in how many milliseconds a key expires.", .syntax = "key:key", .tips = "nondeterministic_output",
     .history = "2.8.0|Replies -2 where there is no key."},
    {"expiretime", expiretime, 2, .flags = CMD_READONLY | CMD_FAST, .first_key = 1, .since = "7.0.0",
     .summary = "Tell at which Unix time in seconds a key expires.", .syntax = "key:key"},
    {"pexpiretime", pexpiretime, 2, .flags = CMD_READONLY | CMD_FAST, .first_key = 1, .since = "7.0.0",
     .summary = "Tell at which Unix time in milliseconds a key expires.", .syntax = "key:key"},
    {NULL},
};

const struct module expiry_module = {.commands = expiry_commands};
