/* Whole strings: GET, SET and the commands like them.
 *
 * GET and SET without options are what a server does most of the time: their bodies do nothing for options that are not
 * there. A value that is a blob travels by reference both ways: SET keeps the buffer into which the socket was read,
 * GET sends from it. */
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
#include "store/string.h"

enum set_option {
    NX = 1 << 0,
    XX = 1 << 1,
    GET = 1 << 2,
    KEEPTTL = 1 << 3,
    PERSIST = 1 << 4,
    EX = 1 << 5,
    PX = 1 << 6,
    EXAT = 1 << 7,
    PXAT = 1 << 8,
};
#define CONDITIONS (NX | XX)
#define TIMES (EX | PX | EXAT | PXAT)
#define LIFETIMES (TIMES | KEEPTTL | PERSIST)
#define SET_OPTIONS (CONDITIONS | GET | KEEPTTL | TIMES)
#define GETEX_OPTIONS (TIMES | PERSIST)

static unsigned option_named(struct slice word) {
    switch (word.len) {
    case 2:
        if (slice_is(word, "ex")) return EX;
        if (slice_is(word, "px")) return PX;
        if (slice_is(word, "nx")) return NX;
        if (slice_is(word, "xx")) return XX;
        return 0;
    case 3: return slice_is(word, "get") ? GET : 0;
    case 4: return slice_is(word, "exat") ? EXAT : slice_is(word, "pxat") ? PXAT : 0;
    case 7: return slice_is(word, "keepttl") ? KEEPTTL : slice_is(word, "persist") ? PERSIST : 0;
    default: return 0;
    }
}

/* Read the options from argument i on. NX excludes XX, and each lifetime excludes the others; otherwise an option may
 * be repeated, and the last time counts. *time is the argument of a time option. False: the error was replied. */
static bool parse_set_options(struct request *r, int i, unsigned allowed, unsigned *flags, struct slice *time) {
    *flags = 0;
    for (; i < r->argc; i++) {
        unsigned option = option_named(r->argv[i]) & allowed;
        unsigned rivals = option & CONDITIONS ? CONDITIONS : option & LIFETIMES ? LIFETIMES : 0;
        if (!option || (*flags & rivals & ~option)) return args_syntax_error(r->client);
        if (option & TIMES) {
            if (++i == r->argc) return args_syntax_error(r->client);
            *time = r->argv[i];
        }
        *flags |= option;
    }
    return true;
}

/* The deadline that the argument of a time option means; flags has one of TIMES. False: the error was replied. */
static bool parse_deadline(struct request *r, unsigned flags, struct slice time, int64_t *deadline_ms) {
    int64_t t, base = flags & (EX | PX) ? clock_now_ms() : 0, unit = flags & (EX | EXAT) ? 1000 : 1;
    if (!args_i64(r->client, time, &t)) return false;
    if (t <= 0 || !num_mul_i64(t, unit, &t) || !num_add_i64(t, base, deadline_ms)) {
        reply_errorf(r->client, "ERR invalid expire time in '%s' command", catalog_full_name(r->command));
        return false;
    }
    return true;
}

static void reply_value(struct client *c, const struct entry *e) {
    struct blob *blob = string_blob(e);
    char digits[NUM_I64_MAX];
    if (unlikely(blob != NULL)) {
        reply_bulk_blob(c, blob);
    } else {
        reply_bulk(c, string_bytes(e, digits));
    }
}

/* The string of the request's key; *e is NULL if there is none, and null was replied. False: the key has another type,
 * and the error was replied. */
static bool read_string(struct request *r, struct entry **e) {
    *e = db_read(r->client->db, &r->key);
    if (!*e) {
        reply_null(r->client);
    } else if (unlikely(entry_type(*e) != ENTRY_STRING)) {
        reply_wrong_type(r->client);
        return false;
    }
    return true;
}

/* Reply the key's string, or null. False: the key has another type, and the error was replied. */
static bool reply_string(struct request *r) {
    struct entry *e;
    if (!read_string(r, &e)) return false;
    if (e) reply_value(r->client, e);
    return true;
}

/* Make argument i the value of the key. If the argument came in a blob, the blob becomes the value. */
static inline void store_string(struct request *r, const struct key *key, struct entry *old, int i,
                                int64_t deadline_ms) {
    struct db *db = r->client->db;
    if (unlikely(r->argv[i].len >= BLOB_MIN)) {
        struct blob *blob = request_take_blob(r, i);
        if (blob) {
            db_set_blob(db, key, old, blob, deadline_ms);
            db_changed(db, key, DB_STRING, "set");
            return;
        }
    }
    db_set_string(db, key, old, r->argv[i], deadline_ms);
    db_changed(db, key, DB_STRING, "set");
}

static void get(struct request *r) {
    reply_string(r);
}

/* SET to argument i under the conditions in flags. False: they do not hold. deadline_ms may be ENTRY_NO_TTL. */
static bool set_string(struct request *r, int i, unsigned flags, int64_t deadline_ms) {
    struct db *db = r->client->db;
    struct entry *old = db_write(db, &r->key);
    if (flags & (old ? NX : XX)) return false;
    store_string(r, &r->key, old, i, flags & KEEPTTL ? DB_KEEP_TTL : deadline_ms);
    if (deadline_ms != ENTRY_NO_TTL) {
        db_notify(db, &r->key, DB_GENERIC, "expire");
        effect_set_until(r->key.name, r->argv[i], deadline_ms);
    }
    return true;
}

static void set(struct request *r) {
    int64_t deadline_ms = ENTRY_NO_TTL;
    unsigned flags = 0;
    if (unlikely(r->argc > 3)) {
        struct slice time;
        if (!parse_set_options(r, 3, SET_OPTIONS, &flags, &time)) return;
        if ((flags & TIMES) && !parse_deadline(r, flags, time, &deadline_ms)) return;
        if ((flags & GET) && !reply_string(r)) return;
    }
    bool done = set_string(r, 2, flags, deadline_ms);
    if (flags & GET) {
        if (done && deadline_ms == ENTRY_NO_TTL)
            (flags & KEEPTTL ? effect_set_keeping : effect_set)(r->key.name, r->argv[2]);
        return;
    }
    if (done) {
        reply_ok(r->client);
    } else {
        reply_null(r->client);
    }
}

static void setnx(struct request *r) {
    reply_int(r->client, set_string(r, 2, NX, ENTRY_NO_TTL));
}

static void set_expiring(struct request *r, unsigned unit) {
    int64_t deadline_ms;
    if (!parse_deadline(r, unit, r->argv[2], &deadline_ms)) return;
    set_string(r, 3, 0, deadline_ms);
    reply_ok(r->client);
}

static void setex(struct request *r) {
    set_expiring(r, EX);
}

static void psetex(struct request *r) {
    set_expiring(r, PX);
}

static void getset(struct request *r) {
    if (!reply_string(r)) return;
    set_string(r, 2, 0, ENTRY_NO_TTL);
    effect_set(r->key.name, r->argv[2]);
}

static void delete_string(struct request *r, struct entry *e) {
    keys_delete(r->client->db, &r->key, e);
    effect_delete(r->key.name);
}

static void getdel(struct request *r) {
    struct entry *e;
    if (!read_string(r, &e) || !e) return;
    reply_value(r->client, e);
    delete_string(r, e);
}

static void getex(struct request *r) {
    struct db *db = r->client->db;
    unsigned flags;
    struct slice time;
    if (!parse_set_options(r, 2, GETEX_OPTIONS, &flags, &time)) return;
    struct entry *e;
    int64_t deadline_ms = ENTRY_NO_TTL;
    /* A time that is wrong is an error only if there is a string for it. */
    if (!read_string(r, &e) || !e) return;
    if ((flags & TIMES) && !parse_deadline(r, flags, time, &deadline_ms)) return;
    reply_value(r->client, e);
    if ((flags & (EXAT | PXAT)) && deadline_ms <= clock_now_ms() && !expire_is_ignored()) {
        delete_string(r, e);
    } else if (flags & TIMES) {
        db_set_deadline(db, e, r->key.hash, deadline_ms);
        db_changed(db, &r->key, DB_GENERIC, "expire");
        effect_expire(r->key.name, deadline_ms);
    } else if ((flags & PERSIST) && entry_has_ttl(e)) {
        db_set_deadline(db, e, r->key.hash, ENTRY_NO_TTL);
        db_changed(db, &r->key, DB_GENERIC, "persist");
        effect_persist(r->key.name);
    }
}

static void mget(struct request *r) {
    struct client *c = r->client;
    struct key keys[LOOKUP_AHEAD];
    reply_array(c, (size_t)r->argc - 1);
    for (int i = 1, n; i < r->argc && !reply_is_pointless(c); i += n) {
        n = lookup_ahead(c->db, r->argv + i, r->argc - i, 1, keys);
        for (int k = 0; k < n; k++) {
            struct entry *e = db_read(c->db, &keys[k]);
            if (e && entry_type(e) == ENTRY_STRING) {
                reply_value(c, e);
            } else {
                reply_null(c);
            }
        }
    }
}

/* MSET takes pairs, which its arity cannot express. False: the error was replied. */
static bool check_pairs(struct request *r) {
    if (r->argc % 2 == 1) return true;
    reply_wrong_arity(r->client, catalog_full_name(r->command));
    return false;
}

static void store_pairs(struct request *r) {
    struct db *db = r->client->db;
    struct key keys[LOOKUP_AHEAD];
    for (int i = 1, n; i < r->argc; i += 2 * n) {
        n = lookup_ahead(db, r->argv + i, r->argc - i, 2, keys);
        for (int k = 0; k < n; k++)
            store_string(r, &keys[k], db_write(db, &keys[k]), i + 2 * k + 1, ENTRY_NO_TTL);
    }
}

static bool any_key_exists(struct request *r) {
    struct db *db = r->client->db;
    struct key keys[LOOKUP_AHEAD];
    for (int i = 1, n; i < r->argc; i += 2 * n) {
        n = lookup_ahead(db, r->argv + i, r->argc - i, 2, keys);
        for (int k = 0; k < n; k++) {
            if (db_write(db, &keys[k])) return true;
        }
    }
    return false;
}

static void mset(struct request *r) {
    if (!check_pairs(r)) return;
    store_pairs(r);
    reply_ok(r->client);
}

static void msetnx(struct request *r) {
    if (!check_pairs(r)) return;
    bool free = !any_key_exists(r);
    if (free) store_pairs(r);
    reply_int(r->client, free);
}

/* Only GET reads the old value. */
static const char *set_key_flags(const struct slice *argv, int argc) {
    for (int i = 3; i < argc; i++) {
        if (slice_is(argv[i], "get")) return "RW access update";
    }
    return "OW update";
}

static const struct command_keys set_keys[] = {
    {.flags = "RW access update variable_flags",
     .notes = "`GET` reads what is there",
     .begin = 1,
     .step = 1,
     .keynum_at = -1,
     .vary = set_key_flags},
    {.flags = NULL},
};

static const struct command_keys getex_keys[] = {
    {.flags = "RW access update", .notes = "The deadline may change", .begin = 1, .step = 1, .keynum_at = -1},
    {.flags = NULL},
};

static const struct command strings_commands[] = {
    {"get", get, 2, .flags = CMD_READONLY | CMD_FAST, .first_key = 1, .group = GROUP_STRING, .since = "1.0.0",
     .summary = "Read a string.", .syntax = "key:key"},
    {"set", set, -3, .flags = CMD_WRITE | CMD_DENYOOM, .first_key = 1, .group = GROUP_STRING, .since = "1.0.0",
     .summary = "Write a string.",
     .syntax = "key:key value [condition:(NX | XX)@2.6.12] [GET@6.2.0] [expiration:(EX seconds:integer@2.6.12 | PX "
               "milliseconds:integer@2.6.12 | EXAT unix-time-seconds:unix-time@6.2.0 | PXAT "
               "unix-time-milliseconds:unix-time@6.2.0 | KEEPTTL@6.0.0)]",
     .history = "2.6.12|New: `EX`, `PX`, `NX`, `XX`.\n"
                "6.0.0|New: `KEEPTTL`.\n"
                "6.2.0|New: `GET`, `EXAT`, `PXAT`.\n"
                "7.0.0|`NX` and `GET` go together.",
     .keys = set_keys},
    {"setnx", setnx, 3, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .first_key = 1, .group = GROUP_STRING,
     .since = "1.0.0", .summary = "Write a string, if the key is free.", .syntax = "key:key value",
     .deprecated = "2.6.12|`SET`: `NX`", .key_flags = "OW insert"},
    {"setex", setex, 4, .flags = CMD_WRITE | CMD_DENYOOM, .first_key = 1, .group = GROUP_STRING, .since = "2.0.0",
     .summary = "Write a string that expires after some seconds.", .syntax = "key:key seconds:integer value",
     .deprecated = "2.6.12|`SET`: `EX`", .key_flags = "OW update"},
    {"psetex", psetex, 4, .flags = CMD_WRITE | CMD_DENYOOM, .first_key = 1, .group = GROUP_STRING, .since = "2.6.0",
     .summary = "Write a string that expires after some milliseconds.", .syntax = "key:key milliseconds:integer value",
     .deprecated = "2.6.12|`SET`: `PX`", .key_flags = "OW update"},
    {"getset", getset, 3, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .first_key = 1, .group = GROUP_STRING,
     .since = "1.0.0", .summary = "Write a string, and read what was there before.", .syntax = "key:key value",
     .deprecated = "6.2.0|`SET`: `GET`", .key_flags = "RW access update"},
    {"getdel", getdel, 2, .flags = CMD_WRITE | CMD_FAST, .first_key = 1, .group = GROUP_STRING, .since = "6.2.0",
     .summary = "Read a string, and remove its key.", .syntax = "key:key", .key_flags = "RW access delete"},
    {"getex", getex, -2, .flags = CMD_WRITE | CMD_FAST, .first_key = 1, .group = GROUP_STRING, .since = "6.2.0",
     .summary = "Read a string, and change when it expires.",
     .syntax = "key:key [expiration:(EX seconds:integer | PX milliseconds:integer | EXAT unix-time-seconds:unix-time | "
               "PXAT unix-time-milliseconds:unix-time | PERSIST)]",
     .keys = getex_keys},
    {"mget", mget, -2, .flags = CMD_READONLY | CMD_FAST, .first_key = 1, .last_key = -1, .group = GROUP_STRING,
     .since = "1.0.0", .summary = "Read several strings.", .complexity = "O(n) for n keys", .syntax = "key:key...",
     .tips = "request_policy:multi_shard"},
    {"mset", mset, -3, .flags = CMD_WRITE | CMD_DENYOOM, .first_key = 1, .last_key = -1, .key_step = 2,
     .group = GROUP_STRING, .since = "1.0.1", .summary = "Write several strings.", .complexity = "O(n) for n keys",
     .syntax = "data:(key:key value)...", .tips = "request_policy:multi_shard,response_policy:all_succeeded",
     .key_flags = "OW update"},
    {"msetnx", msetnx, -3, .flags = CMD_WRITE | CMD_DENYOOM, .first_key = 1, .last_key = -1, .key_step = 2,
     .group = GROUP_STRING, .since = "1.0.1", .summary = "Write several strings, if all keys are free.",
     .complexity = "O(n) for n keys", .syntax = "data:(key:key value)...", .key_flags = "OW insert"},
    {NULL},
};

const struct module strings_module = {.commands = strings_commands};
