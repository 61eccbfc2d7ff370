/* Sorted sets member by member: adding, asking, removing. Ranges are in zset_range.c. */
#include "cmd/zsets.h"
#include "base/alloc.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/keys.h"
#include "cmd/lookup.h"

#define AHEAD 16         /* members whose cache misses overlap */
#define SCORES_INLINE 64 /* scores of one ZADD that need no allocation */

/* --- ZADD and ZINCRBY ------------------------------------------------------------------------ */

struct addition {
    unsigned conditions; /* enum zset_condition */
    bool changed;        /* CH: the reply counts updates too */
    int first;           /* argument of the first score */
};

static bool parse_zadd(struct request *r, struct addition *a) {
    struct client *c = r->client;
    for (a->first = 2; a->first < r->argc; a->first++) {
        struct slice word = r->argv[a->first];
        if (word.len < 2 || word.len > 4) break;
        if (slice_is(word, "nx")) {
            a->conditions |= ZSET_NX;
        } else if (slice_is(word, "xx")) {
            a->conditions |= ZSET_XX;
        } else if (slice_is(word, "gt")) {
            a->conditions |= ZSET_GT;
        } else if (slice_is(word, "lt")) {
            a->conditions |= ZSET_LT;
        } else if (slice_is(word, "incr")) {
            a->conditions |= ZSET_INCR;
        } else if (slice_is(word, "ch")) {
            a->changed = true;
        } else {
            break;
        }
    }
    bool nx = a->conditions & ZSET_NX, xx = a->conditions & ZSET_XX, gt = a->conditions & ZSET_GT;
    bool lt = a->conditions & ZSET_LT;
    int words = r->argc - a->first;
    if (words == 0 || words % 2) return args_syntax_error(c);
    if (nx && xx) return args_refuse(c, "ERR XX and NX options at the same time are not compatible");
    if (nx + gt + lt > 1) return args_refuse(c, "ERR GT, LT, and/or NX options at the same time are not compatible");
    if (a->conditions & ZSET_INCR && words > 2)
        return args_refuse(c, "ERR INCR option supports a single increment-element pair");
    return true;
}

static bool parse_scores(struct request *r, int first, double *scores) {
    for (int i = first; i < r->argc; i += 2) {
        if (!num_parse_f64(r->argv[i], scores++)) return args_refuse(r->client, "ERR value is not a valid float");
    }
    return true;
}

/* Nothing is added before a failure: only the sum of INCR, which takes a single member, can be no number. */
static void add_members(struct request *r, const struct addition *a, const double *scores) {
    struct client *c = r->client;
    struct entry *e;
    int64_t added = 0, updated = 0;
    bool single = a->conditions & ZSET_INCR;
    enum zset_outcome outcome = ZSET_NOTHING;
    double score = 0;
    if (!lookup_write(r, ENTRY_ZSET, &e)) return;
    for (int i = a->first, k = 0; i < r->argc; i += 2, k++) {
        if (e && k % AHEAD == 0 && i + 2 < r->argc) zset_prefetch(e, r->argv + i + 1, (r->argc - i) / 2, 2);
        score = scores[k];
        outcome = zset_add(c->db, &r->key, &e, r->argv[i + 1], &score, a->conditions);
        added += outcome == ZSET_ADDED;
        updated += outcome == ZSET_UPDATED;
    }
    if (outcome == ZSET_NAN) {
        reply_error(c, "ERR resulting score is not a number (NaN)");
        return;
    }
    if (added + updated) db_changed(c->db, &r->key, DB_ZSET, single ? "zincr" : "zadd");
    if (!single) {
        reply_int(c, a->changed ? added + updated : added);
    } else if (outcome == ZSET_NOTHING) {
        reply_null(c);
    } else {
        reply_double(c, score);
    }
}

static void add_to_zset(struct request *r, const struct addition *a) {
    double few[SCORES_INLINE];
    size_t n = (size_t)(r->argc - a->first) / 2;
    double *scores = n <= SCORES_INLINE ? few : alloc_get(n * sizeof *scores);
    if (parse_scores(r, a->first, scores)) add_members(r, a, scores);
    if (scores != few) alloc_put(scores, n * sizeof *scores);
}

static void zadd(struct request *r) {
    struct addition a = {0, false, 0};
    if (parse_zadd(r, &a)) add_to_zset(r, &a);
}

static void zincrby(struct request *r) {
    add_to_zset(r, &(struct addition){ZSET_INCR, false, 2});
}

/* --- Asking ---------------------------------------------------------------------------------- */

static void zcard(struct request *r) {
    struct entry *e;
    if (lookup_read(r, ENTRY_ZSET, &e)) reply_int(r->client, e ? (int64_t)zset_count(e) : 0);
}

static void zscore(struct request *r) {
    struct client *c = r->client;
    struct entry *e;
    double score;
    if (!lookup_read(r, ENTRY_ZSET, &e)) return;
    if (e && zset_score(e, r->argv[2], &score)) {
        reply_double(c, score);
    } else {
        reply_null(c);
    }
}

void zsets_reply_each(struct request *r, void (*found)(struct client *c, double score),
                      void (*missing)(struct client *c)) {
    struct client *c = r->client;
    struct entry *e;
    double score;
    if (!lookup_read(r, ENTRY_ZSET, &e)) return;
    reply_array(c, (size_t)r->argc - 2);
    for (int i = 2; i < r->argc && !reply_is_pointless(c); i++) {
        if (e && (i - 2) % AHEAD == 0) zset_prefetch(e, r->argv + i, r->argc - i, 1);
        if (e && zset_score(e, r->argv[i], &score)) {
            found(c, score);
        } else {
            missing(c);
        }
    }
}

static void zmscore(struct request *r) {
    zsets_reply_each(r, reply_double, reply_null);
}

static void reply_rank(struct request *r, bool from_the_end) {
    struct client *c = r->client;
    struct entry *e;
    bool with_score = r->argc > 3;
    size_t rank;
    double score;
    if (r->argc > 4) {
        reply_wrong_arity(c, r->command->name);
        return;
    }
    if (with_score && !slice_is(r->argv[3], "withscore")) {
        reply_syntax_error(c);
        return;
    }
    if (!lookup_read(r, ENTRY_ZSET, &e)) return;
    if (!e || !zset_rank(e, r->argv[2], &rank, &score)) {
        if (with_score) {
            reply_null_array(c);
        } else {
            reply_null(c);
        }
        return;
    }
    if (from_the_end) rank = zset_count(e) - 1 - rank;
    if (with_score) reply_array(c, 2);
    reply_int(c, (int64_t)rank);
    if (with_score) reply_double(c, score);
}

static void zrank(struct request *r) {
    reply_rank(r, false);
}

static void zrevrank(struct request *r) {
    reply_rank(r, true);
}

/* --- Storing and removing -------------------------------------------------------------------- */

void zsets_store(struct client *c, const struct key *key, struct zset *z, const char *event) {
    struct entry *old = db_write(c->db, key);
    int64_t count = z ? (int64_t)z->order.count : 0;
    if (z) {
        zset_store(c->db, key, old, z);
        db_changed(c->db, key, DB_ZSET, event);
    } else if (old) {
        keys_delete(c->db, key, old);
    }
    reply_int(c, count);
}

void zsets_removed(struct db *db, const struct key *key, struct entry *e, const char *event) {
    db_changed(db, key, DB_ZSET, event);
    if (zset_count(e) == 0) keys_delete_empty(db, key, e);
}

static void zrem(struct request *r) {
    struct client *c = r->client;
    struct entry *e;
    int64_t removed = 0;
    if (!lookup_write(r, ENTRY_ZSET, &e)) return;
    for (int i = 2; e && i < r->argc && zset_count(e) > 0; i++) {
        if ((i - 2) % AHEAD == 0 && r->argc > 3) zset_prefetch(e, r->argv + i, r->argc - i, 1);
        removed += zset_remove(c->db, &e, r->argv[i]);
    }
    if (removed) zsets_removed(c->db, &r->key, e, "zrem");
    reply_int(c, removed);
}

/* --- Popping --------------------------------------------------------------------------------- */

/* How popped members are put into the reply: member, score, member, score, or as arrays of two. */
enum pop_form { FLAT, NESTED };

/* Reply n members from an end, which must be there, without an array around them, and remove them. */
static void pop_members(struct client *c, const struct key *key, struct entry *e, bool last, size_t n,
                        enum pop_form form) {
    size_t count = zset_count(e);
    struct zset_walk w;
    zset_walk_from(&w, e, last ? count : 0);
    for (size_t i = 0; i < n && (last ? zset_walk_prev(&w) : zset_walk_next(&w)); i++) {
        if (form == NESTED) reply_array(c, 2);
        reply_bulk(c, w.member);
        reply_double(c, w.score);
    }
    zset_remove_span(c->db, &e, last ? count - n : 0, n);
    zsets_removed(c->db, key, e, last ? "zpopmax" : "zpopmin");
}

static size_t at_most_count(int64_t n, const struct entry *e) {
    size_t count = zset_count(e);
    return (uint64_t)n < count ? (size_t)n : count;
}

static void pop_bare(struct request *r, const struct key *key, struct entry *e, bool last) {
    pop_members(r->client, key, e, last, 1, FLAT);
}

static size_t pop_nested(struct request *r, const struct key *key, struct entry *e, bool last, int64_t n) {
    size_t taken = at_most_count(n, e);
    reply_array(r->client, taken);
    pop_members(r->client, key, e, last, taken, NESTED);
    return taken;
}

const struct multi_pop zsets_pop_type = {
    .type = ENTRY_ZSET,
    .first = "min",
    .last = "max",
    .first_command = SLICE("ZPOPMIN"),
    .last_command = SLICE("ZPOPMAX"),
    .parts = 3,
    .one = pop_bare,
    .many = pop_nested,
};

static void pop_from_zset(struct request *r, bool last) {
    struct client *c = r->client;
    struct entry *e;
    int64_t n = 1;
    if (r->argc > 3) {
        reply_syntax_error(c);
        return;
    }
    if (r->argc == 3 && !args_count(c, r->argv[2], &n)) return;
    if (!lookup_write(r, ENTRY_ZSET, &e)) return;
    if (!e || n == 0) {
        reply_array(c, 0);
    } else if (c->resp > 2 && r->argc == 3) {
        pop_nested(r, &r->key, e, last, n);
    } else {
        size_t taken = at_most_count(n, e);
        reply_array(c, 2 * taken);
        pop_members(c, &r->key, e, last, taken, FLAT);
    }
}

static void zpopmin(struct request *r) {
    pop_from_zset(r, false);
}

static void zpopmax(struct request *r) {
    pop_from_zset(r, true);
}

static void zmpop(struct request *r) {
    multi_pop_many(r, &zsets_pop_type, false);
}

static const struct command_keys zmpop_keys[] = {
    {.flags = "RW access delete", .begin = 1, .keynum_at = 0, .keynum_first = 1, .step = 1},
    {.flags = NULL},
};

static const struct command zsets_commands[] = {
    {"zadd", zadd, -4, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .first_key = 1, .member = 3,
     .group = GROUP_SORTED_SET, .since = "1.2.0",
     .summary = "Put members with scores into a sorted set, or change their scores.",
     .complexity = "O(m log n) for m members, put into n",
     .syntax = "key:key [condition:(NX | XX)@3.0.2] [comparison:(GT | LT)@6.2.0] [change=CH@3.0.2] "
               "[increment=INCR@3.0.2] data:(score:double member)...",
     .history = "2.4.0|Takes several members.\n"
                "3.0.2|New: `XX`, `NX`, `CH`, `INCR`.\n"
                "6.2.0|New: `GT`, `LT`."},
    {"zcard", zcard, 2, .flags = CMD_READONLY | CMD_FAST, .first_key = 1, .group = GROUP_SORTED_SET, .since = "1.2.0",
     .summary = "Count the members of a sorted set.", .syntax = "key:key", .key_flags = "RO"},
    {"zincrby", zincrby, 4, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .first_key = 1, .member = 3,
     .group = GROUP_SORTED_SET, .since = "1.2.0", .summary = "Add to the score of a member.",
     .complexity = "O(log n) for n members", .syntax = "key:key increment:integer member",
     .key_flags = "RW access update"},
    {"zmscore", zmscore, -3, .flags = CMD_READONLY | CMD_FAST, .first_key = 1, .group = GROUP_SORTED_SET,
     .since = "6.2.0", .summary = "Read the scores of several members.", .complexity = "O(n) for n members asked for",
     .syntax = "key:key member..."},
    {"zpopmax", zpopmax, -2, .flags = CMD_WRITE | CMD_FAST, .first_key = 1, .group = GROUP_SORTED_SET, .since = "5.0.0",
     .summary = "Take out the members with the highest scores.",
     .complexity = "O(log n + m) for n members, m of them taken", .syntax = "key:key [count:integer]",
     .key_flags = "RW access delete"},
    {"zpopmin", zpopmin, -2, .flags = CMD_WRITE | CMD_FAST, .first_key = 1, .group = GROUP_SORTED_SET, .since = "5.0.0",
     .summary = "Take out the members with the lowest scores.",
     .complexity = "O(log n + m) for n members, m of them taken", .syntax = "key:key [count:integer]",
     .key_flags = "RW access delete"},
    {"zmpop", zmpop, -4, .flags = CMD_WRITE | CMD_MOVABLE_KEYS, .group = GROUP_SORTED_SET, .since = "7.0.0",
     .summary = "Take members from an end of the first sorted set that has any.",
     .complexity = "O(k + log n + m) for k keys and n members, m of them taken",
     .syntax = "numkeys:integer key:key... where:(MIN | MAX) [COUNT count:integer]", .keys = zmpop_keys},
    {"zrem", zrem, -3, .flags = CMD_WRITE | CMD_FAST, .first_key = 1, .member = 2, .group = GROUP_SORTED_SET,
     .since = "1.2.0", .summary = "Take members out of a sorted set.",
     .complexity = "O(m log n) for m members, taken out of n", .syntax = "key:key member...",
     .history = "2.4.0|Takes several members.", .key_flags = "RW delete"},
    {"zscore", zscore, 3, .flags = CMD_READONLY | CMD_FAST, .first_key = 1, .member = 2, .group = GROUP_SORTED_SET,
     .since = "1.2.0", .summary = "Read the score of a member.", .syntax = "key:key member"},
    {"zrank", zrank, -3, .flags = CMD_READONLY | CMD_FAST, .first_key = 1, .member = 2, .group = GROUP_SORTED_SET,
     .since = "2.0.0", .summary = "Count the members that stand before this one in a sorted set.",
     .complexity = "O(log n) for n members", .syntax = "key:key member [WITHSCORE]",
     .history = "7.2.0|New: `WITHSCORE`."},
    {"zrevrank", zrevrank, -3, .flags = CMD_READONLY | CMD_FAST, .first_key = 1, .member = 2, .group = GROUP_SORTED_SET,
     .since = "2.0.0", .summary = "Count the members that stand behind this one in a sorted set.",
     .complexity = "O(log n) for n members", .syntax = "key:key member [WITHSCORE]",
     .history = "7.2.0|New: `WITHSCORE`."},
    {NULL},
};

const struct module zsets_module = {.commands = zsets_commands};
