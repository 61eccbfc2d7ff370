/* HyperLogLogs: strings in the format of store/hll.h, which GET and SET see like any other.
 *
 * A dense one is changed in place. A sparse one is copied, changed and stored again, since any new element may make it
 * longer, shorter or dense. PFCOUNT of one key writes the estimate into the value: it counts as a command that only
 * reads, and yet it is propagated, and WATCH sees it, because the bytes change. */
#include "base/blob.h"
#include "base/buf.h"
#include "base/module.h"
#include "base/rand.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/lookup.h"
#include "store/hll.h"
#include "store/string.h"
#include <math.h>

#define NO_EVENT 0 /* the class of a change that publishes no event */

/* Returns false. */
static bool reply_corrupt(struct client *c) {
    return args_refuse(c, "INVALIDOBJ Corrupted HLL object detected");
}

/* The bytes of an entry whose header is that of a HyperLogLog. False: it is none, and the error was replied. */
static bool read_hll(struct client *c, const struct entry *e, struct slice *bytes) {
    char digits[NUM_I64_MAX];
    if (!lookup_is(c, e, ENTRY_STRING)) return false;
    /* The bytes of an integer do not outlive `digits`, but an integer is no HyperLogLog. */
    *bytes = string_bytes(e, digits);
    return hll_is_one(*bytes) || args_refuse(c, "WRONGTYPE Key is not a valid HyperLogLog string value.");
}

/* The same for a command that may change the bytes: as in Redis, the string is raw from then on. *e may move. */
static bool own_hll(struct request *r, struct entry **e, struct slice *bytes) {
    char *own;
    if (!read_hll(r->client, *e, bytes)) return false;
    struct entry *owned = string_make_mutable(r->client->db, &r->key, *e, 0, &own);
    if (!owned) {
        reply_no_memory(r->client);
        return false;
    }
    *e = owned;
    bytes->ptr = own;
    return true;
}

/* Make h the value of the key: a raw string, however short, as in Redis. */
static void store_hll(struct db *db, const struct key *key, struct entry *old, const struct hll *h) {
    int64_t deadline_ms = old ? DB_KEEP_TTL : ENTRY_NO_TTL;
    if (h->len < BLOB_MIN) {
        db_put(db, key, old, ENTRY_STRING, STRING_RAW, h->bytes, h->len, deadline_ms);
    } else {
        db_set_blob(db, key, old, blob_from(slice_of((const char *)h->bytes, h->len)), deadline_ms);
    }
}

/* --- PFADD ----------------------------------------------------------------------------------- */

static void elements_added(struct request *r, int changes, unsigned class) {
    db_metrics.dirty += changes - 1; /* Redis counts elements, and a new key */
    db_changed(r->client->db, &r->key, class, "pfadd");
}

static void add_dense(struct request *r, char *bytes) {
    int changes = 0;
    for (int i = 2; i < r->argc; i++)
        changes += hll_add_dense(bytes, r->argv[i]);
    if (changes) {
        hll_make_stale(bytes);
        elements_added(r, changes, DB_STRING);
    }
    reply_int(r->client, changes > 0);
}

/* h is the HyperLogLog of the entry, or an empty one if e is NULL. */
static void add_sparse(struct request *r, struct entry *e, struct hll *h) {
    enum hll_outcome outcome = HLL_SAME;
    int changes = !e;
    for (int i = 2; i < r->argc && outcome != HLL_CORRUPT; i++) {
        outcome = hll_add(h, r->argv[i]);
        changes += outcome == HLL_CHANGED;
    }
    if (changes) {
        hll_make_stale((char *)h->bytes);
        store_hll(r->client->db, &r->key, e, h);
        /* A command that fails halfway has changed the key, but publishes no event, as in Redis. */
        elements_added(r, changes, outcome == HLL_CORRUPT ? NO_EVENT : DB_STRING);
    }
    if (outcome == HLL_CORRUPT) {
        reply_corrupt(r->client);
    } else {
        reply_int(r->client, changes > 0);
    }
}

static void pfadd(struct request *r) {
    struct entry *e = db_write(r->client->db, &r->key);
    struct slice bytes = SLICE("");
    if (e && !own_hll(r, &e, &bytes)) return;
    if (e && hll_encoding(bytes) == HLL_DENSE) {
        add_dense(r, (char *)bytes.ptr);
        return;
    }
    struct hll h;
    if (!e) {
        hll_create(&h);
    } else if (!hll_load(&h, bytes)) {
        reply_corrupt(r->client);
        return;
    }
    add_sparse(r, e, &h);
}

/* --- PFCOUNT and PFMERGE --------------------------------------------------------------------- */

/* Raise the registers to those of all keys of the request. *dense: one of these is. False: the error was replied. */
static bool merge_keys(struct request *r, uint8_t *registers, bool *dense) {
    struct client *c = r->client;
    *dense = false;
    for (int i = 1; i < r->argc; i++) {
        struct key key = i == 1 ? r->key : key_of(r->argv[i]);
        struct entry *e = db_read(c->db, &key);
        struct slice bytes;
        if (!e) continue;
        if (!read_hll(c, e, &bytes)) return false;
        if (!hll_merge(registers, bytes)) return reply_corrupt(c);
        *dense |= hll_encoding(bytes) == HLL_DENSE;
    }
    return true;
}

static void count_union(struct request *r) {
    uint8_t registers[HLL_REGISTERS] = {0};
    bool dense;
    if (merge_keys(r, registers, &dense)) reply_int(r->client, (int64_t)hll_estimate_registers(registers));
}

static void count_one(struct request *r) {
    struct client *c = r->client;
    struct entry *e = db_read(c->db, &r->key);
    struct slice bytes;
    uint64_t cardinality;
    if (!e) {
        reply_int(c, 0);
        return;
    }
    if (!own_hll(r, &e, &bytes)) return;
    if (!hll_cached(bytes, &cardinality)) {
        if (!hll_estimate(bytes, &cardinality)) {
            reply_corrupt(c);
            return;
        }
        hll_cache((char *)bytes.ptr, cardinality);
        db_changed(c->db, &r->key, NO_EVENT, "pfcount");
    }
    reply_int(c, (int64_t)cardinality);
}

static void pfcount(struct request *r) {
    if (r->argc > 2) {
        count_union(r);
    } else {
        count_one(r);
    }
}

static void pfmerge(struct request *r) {
    struct client *c = r->client;
    uint8_t registers[HLL_REGISTERS] = {0};
    bool dense;
    if (!merge_keys(r, registers, &dense)) return;
    struct hll h;
    struct slice bytes;
    struct entry *e = db_write(c->db, &r->key);
    hll_create(&h);
    if (e && (!read_hll(c, e, &bytes) || !hll_load(&h, bytes)))
        return; /* merge_keys() has checked it, so neither fails */
    if (dense) hll_make_dense(&h);
    hll_write(&h, registers);
    hll_make_stale((char *)h.bytes);
    store_hll(c->db, &r->key, e, &h);
    db_changed(c->db, &r->key, DB_STRING, "pfadd");
    reply_ok(c);
}

/* --- PFDEBUG --------------------------------------------------------------------------------- */

/* Make the value of the key dense. False: the error was replied. */
static bool make_dense(struct request *r, struct entry *e, struct slice bytes) {
    struct hll h;
    if (hll_encoding(bytes) == HLL_DENSE) return true;
    if (!hll_load(&h, bytes) || !hll_make_dense(&h)) return reply_corrupt(r->client);
    store_hll(r->client->db, &r->key, e, &h);
    db_changed(r->client->db, &r->key, NO_EVENT, "pfdebug");
    return true;
}

static void debug_registers(struct request *r, struct entry *e, struct slice bytes) {
    uint8_t registers[HLL_REGISTERS] = {0};
    if (!hll_merge(registers, bytes)) {
        reply_corrupt(r->client);
        return;
    }
    if (!make_dense(r, e, bytes)) return;
    reply_array(r->client, HLL_REGISTERS);
    for (int i = 0; i < HLL_REGISTERS; i++)
        reply_int(r->client, registers[i]);
}

/* "Z:100 v:3,1 z:12". The runs need not add up to all registers. */
static void debug_runs(struct request *r, struct slice bytes) {
    struct buf text = {0};
    struct hll_run run;
    size_t at = HLL_HEADER;
    if (hll_encoding(bytes) != HLL_SPARSE) {
        reply_error(r->client, "ERR HLL encoding is not sparse");
        return;
    }
    while (hll_next(bytes, &at, &run)) {
        if (run.value) {
            buf_printf(&text, " v:%u,%u", run.value, run.registers);
        } else {
            buf_printf(&text, " %c:%u", run.bytes == 2 ? 'Z' : 'z', run.registers);
        }
    }
    reply_bulk(r->client, text.len ? slice_of(text.data + 1, text.len - 1) : SLICE(""));
    buf_free(&text);
}

static void pfdebug(struct request *r) {
    struct client *c = r->client;
    struct entry *e = db_write(c->db, &r->key);
    struct slice word = r->argv[1], bytes;
    if (!e) {
        reply_error(c, "ERR The specified key does not exist");
        return;
    }
    if (!own_hll(r, &e, &bytes)) return;
    bool is_sparse = hll_encoding(bytes) == HLL_SPARSE;
    if (slice_is(word, "getreg")) {
        debug_registers(r, e, bytes);
    } else if (slice_is(word, "decode")) {
        debug_runs(r, bytes);
    } else if (slice_is(word, "encoding")) {
        reply_status(c, is_sparse ? "sparse" : "dense");
    } else if (slice_is(word, "todense")) {
        if (make_dense(r, e, bytes)) reply_int(c, is_sparse);
    } else {
        reply_errorf(c, "ERR Unknown PFDEBUG subcommand '%.*s'", (int)word.len, word.ptr);
    }
}

/* --- PFSELFTEST ------------------------------------------------------------------------------ */

#define SELFTEST_ROUNDS 100
#define SELFTEST_ELEMENTS 1000000 /* a tenth of Redis's, since no other client is served meanwhile */
#define SELFTEST_SPARSE 1000      /* stop testing the sparse form here: larger ones take seconds */

/* Does the dense form keep random registers? False: the error was replied. */
static bool test_registers(struct client *c) {
    uint8_t in[HLL_REGISTERS], out[HLL_REGISTERS];
    struct hll h;
    hll_create(&h);
    hll_make_dense(&h);
    for (int round = 0; round < SELFTEST_ROUNDS; round++) {
        for (int i = 0; i < HLL_REGISTERS; i++)
            in[i] = (uint8_t)rand_below(64);
        hll_write(&h, in);
        memset(out, 0, sizeof out);
        hll_merge(out, slice_of((const char *)h.bytes, h.len));
        for (int i = 0; i < HLL_REGISTERS; i++) {
            if (in[i] == out[i]) continue;
            reply_errorf(c, "TESTFAILED Register %d should be %d but is %d", i, in[i], out[i]);
            return false;
        }
    }
    return true;
}

/* Do both forms agree after n elements, within six standard errors of the truth? False: the error was replied. */
static bool test_estimate(struct client *c, const struct hll *sparse, const struct hll *dense, uint64_t n) {
    uint64_t one = 0, other = 0;
    hll_estimate(slice_of((const char *)sparse->bytes, sparse->len), &one);
    hll_estimate(slice_of((const char *)dense->bytes, dense->len), &other);
    uint64_t error = one > n ? one - n : n - one;
    double allowed = n == 10 ? 1 : ceil(1.04 / sqrt(HLL_REGISTERS) * 6 * (double)n);
    if (one == other && (double)error <= allowed) return true;
    if (one != other) return args_refuse(c, "TESTFAILED dense/sparse disagree");
    reply_errorf(c, "TESTFAILED Too big error. card:%llu abserr:%llu", (unsigned long long)n,
                 (unsigned long long)error);
    return false;
}

static void pfselftest(struct request *r) {
    struct hll sparse, dense;
    uint64_t seed = rand_u64(), checkpoint = 1;
    if (!test_registers(r->client)) return;
    hll_create(&sparse);
    hll_create(&dense);
    hll_make_dense(&dense);
    for (uint64_t n = 1; n <= SELFTEST_ELEMENTS; n++) {
        uint64_t element = n ^ seed;
        hll_add(&sparse, slice_of((const char *)&element, sizeof element));
        hll_add(&dense, slice_of((const char *)&element, sizeof element));
        if (n < checkpoint) continue;
        if (!test_estimate(r->client, &sparse, &dense, n)) return;
        if (n >= SELFTEST_SPARSE) hll_make_dense(&sparse);
        checkpoint *= 10;
    }
    reply_ok(r->client);
}

static const struct command_keys pfcount_keys[] = {
    {.flags = "RW access",
     .notes = "The estimate is kept in the value",
     .begin = 1,
     .last = -1,
     .step = 1,
     .keynum_at = -1},
    {.flags = NULL},
};

static const struct command_keys pfmerge_keys[] = {
    {.flags = "RW access insert", .begin = 1, .step = 1, .keynum_at = -1},
    {.flags = "RO access", .begin = 2, .last = -1, .step = 1, .keynum_at = -1},
    {.flags = NULL},
};

static const struct command hyperloglog_commands[] = {
    {"pfadd", pfadd, -2, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .first_key = 1, .group = GROUP_HYPERLOGLOG,
     .since = "2.8.9", .summary = "Show elements to a HyperLogLog, which counts the distinct ones.",
     .complexity = "O(n) for n elements, O(n * m) while it is sparse and m bytes long",
     .syntax = "key:key [element...]", .key_flags = "RW insert"},
    {"pfcount", pfcount, -2, .flags = CMD_READONLY | CMD_MAY_REPLICATE, /* it writes its estimate into the value */
     .first_key = 1, .last_key = -1, .group = GROUP_HYPERLOGLOG, .since = "2.8.9",
     .summary = "Estimate how many distinct elements HyperLogLogs were shown.", .complexity = "O(1), O(n) for n keys",
     .syntax = "key:key...", .keys = pfcount_keys},
    {"pfdebug", pfdebug, 3, .flags = CMD_WRITE | CMD_DENYOOM | CMD_ADMIN | CMD_SYSCMD, .first_key = 2,
     .group = GROUP_HYPERLOGLOG, .since = "2.8.9", .summary = "Look into a HyperLogLog.",
     .syntax = "subcommand key:key", .key_flags = "RW access"},
    {"pfmerge", pfmerge, -2, .flags = CMD_WRITE | CMD_DENYOOM, .first_key = 1, .last_key = -1,
     .group = GROUP_HYPERLOGLOG, .since = "2.8.9", .summary = "Make one HyperLogLog of several.",
     .complexity = "O(n) for n keys", .syntax = "destkey:key [sourcekey:key#1...]", .keys = pfmerge_keys},
    {"pfselftest", pfselftest, 1, .flags = CMD_ADMIN | CMD_SYSCMD, .group = GROUP_HYPERLOGLOG, .since = "2.8.9",
     .summary = "Check HyperLogLog's arithmetic against exact counts."},
    {NULL},
};

const struct module hyperloglog_module = {.commands = hyperloglog_commands};
