/* Unions, intersections and differences of sorted sets. Sets may be sources too: each of their members scores 1.
 *
 * A result is put together as a value without a key, from copies of the members, so that the destination may be one of
 * the sources. An intersection looks the members of the smallest source up in the others. */
#include "base/alloc.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/lookup.h"
#include "cmd/zsets.h"
#include "store/set.h"
#include <math.h>
#include <stdlib.h>

enum operation { UNION, INTER, DIFF };
enum aggregate { SUM, MIN, MAX };

struct source {
    struct entry *e; /* NULL: empty */
    double weight;
};

#define BULK_BYTES 6 /* of a bulk of one byte or none, the bytes left out */

/* A request. */
struct algebra {
    struct client *client;
    struct source *sources;
    size_t n; /* of them */
    enum operation operation;
    enum aggregate aggregate;
    bool store, with_scores, count_only;
    int64_t limit;      /* where count_only; 0: none */
    size_t reply_bytes; /* the reply will have no fewer */
};

/* --- The members of a source, of either type ------------------------------------------------- */

struct members {
    const struct source *source;
    struct zset_walk walk;
    struct set_iter iter;
    char digits[NUM_I64_MAX];
    struct slice member;
    double score; /* weighted */
};

static double weighted(const struct source *s, double score) {
    double product = s->weight * score;
    return isnan(product) ? 0 : product; /* 0 * inf */
}

static size_t source_count(const struct source *s) {
    if (!s->e) return 0;
    return entry_type(s->e) == ENTRY_ZSET ? zset_count(s->e) : set_count(s->e);
}

/* The weighted score of a member. False: the source does not have it. Unlike weighted(), and as in Redis, this leaves
 * the NaN of 0 * inf as it is; combine() makes 0 of the sum. */
static bool source_score(const struct source *s, struct slice member, double *score) {
    double raw = 1;
    if (!s->e) return false;
    if (entry_type(s->e) == ENTRY_ZSET ? !zset_score(s->e, member, &raw) : !set_has(s->e, member)) return false;
    *score = s->weight * raw;
    return true;
}

static void members_init(struct members *m, const struct source *s) {
    m->source = s;
    if (!s->e) return;
    if (entry_type(s->e) == ENTRY_ZSET) {
        zset_walk_from(&m->walk, s->e, 0);
    } else {
        set_iter_init(&m->iter, s->e);
    }
}

static bool members_next(struct members *m) {
    struct entry *e = m->source->e;
    struct listpack_value value;
    if (!e) return false;
    if (entry_type(e) == ENTRY_ZSET) {
        if (!zset_walk_next(&m->walk)) return false;
        m->member = m->walk.member;
        m->score = weighted(m->source, m->walk.score);
    } else {
        if (!set_iter_next(&m->iter, &value)) return false;
        m->member = listpack_value_text(value, m->digits);
        m->score = weighted(m->source, 1);
    }
    return true;
}

/* --- The operations -------------------------------------------------------------------------- */

static double combine(enum aggregate how, double a, double b) {
    if (how == MIN) return b < a ? b : a;
    if (how == MAX) return b > a ? b : a;
    double sum = a + b;
    return isnan(sum) ? 0 : sum; /* inf - inf */
}

/* Add a member to the result. False: it is a reply that nobody will read. */
static bool result_add(struct algebra *a, struct zset *z, struct slice member, double score) {
    zset_insert(z, member, score);
    a->reply_bytes += member.len + BULK_BYTES;
    return a->store || !reply_would_be_pointless(a->client, a->reply_bytes);
}

static void unite_sources(struct algebra *a, struct zset *z) {
    struct members m;
    for (size_t i = 0; i < a->n; i++) {
        members_init(&m, &a->sources[i]);
        while (members_next(&m)) {
            struct member *old = zset_find(z, m.member);
            if (old) {
                zset_set_score(z, old, combine(a->aggregate, member_score(old), m.score));
            } else if (!result_add(a, z, m.member, m.score)) {
                return;
            }
        }
    }
}

/* Returns the number of members, which stops at the limit. If z is NULL, they are only counted. */
static int64_t intersect_sources(struct algebra *a, struct zset *z) {
    struct members m;
    int64_t count = 0;
    members_init(&m, &a->sources[0]);
    while (members_next(&m)) {
        double score = m.score, other;
        size_t i = 1;
        for (; i < a->n && source_score(&a->sources[i], m.member, &other); i++)
            score = combine(a->aggregate, score, other);
        if (i < a->n) continue;
        if (z && !result_add(a, z, m.member, score)) break;
        if (++count == a->limit) break;
    }
    return count;
}

static void subtract_sources(struct algebra *a, struct zset *z) {
    struct members m;
    double other;
    members_init(&m, &a->sources[0]);
    while (members_next(&m)) {
        size_t i = 1;
        while (i < a->n && !source_score(&a->sources[i], m.member, &other))
            i++;
        if (i == a->n && !result_add(a, z, m.member, m.score)) return;
    }
}

static int compare_counts(const void *a, const void *b) {
    size_t x = source_count(a), y = source_count(b);
    return (x > y) - (x < y);
}

/* --- Requests -------------------------------------------------------------------------------- */

/* The number of keys at this argument, and the keys behind it. False: the error was replied. */
static bool find_sources(struct request *r, int at, struct algebra *a) {
    struct client *c = r->client;
    int64_t n;
    if (!args_i64(c, r->argv[at], &n)) return false;
    if (n < 1) {
        reply_errorf(c, "ERR at least 1 input key is needed for '%s' command", r->command->name);
        return false;
    }
    if (n > r->argc - at - 1) return args_syntax_error(c);
    a->n = (size_t)n;
    a->sources = alloc_get(a->n * sizeof *a->sources);
    for (size_t i = 0; i < a->n; i++) {
        struct key key = key_of(r->argv[(size_t)at + 1 + i]);
        struct entry *e = db_read(c->db, &key);
        if (e && entry_type(e) != ENTRY_SET && !lookup_is(c, e, ENTRY_ZSET)) return false;
        a->sources[i] = (struct source){e, 1};
    }
    return true;
}

static bool parse_weights(struct client *c, const struct slice *weights, struct algebra *a) {
    for (size_t i = 0; i < a->n; i++) {
        if (!num_parse_f64(weights[i], &a->sources[i].weight)) return args_refuse(c, "ERR weight value is not a float");
    }
    return true;
}

static bool parse_aggregate(struct client *c, struct slice word, enum aggregate *aggregate) {
    static const char *const words[] = {[SUM] = "sum", [MIN] = "min", [MAX] = "max"};
    for (*aggregate = SUM; *aggregate <= MAX; ++*aggregate) {
        if (slice_is(word, words[*aggregate])) return true;
    }
    return args_syntax_error(c);
}

/* False: the error was replied. */
static bool parse_algebra_options(struct request *r, int i, struct algebra *a) {
    struct client *c = r->client;
    bool combines = a->operation != DIFF && !a->count_only;
    while (i < r->argc) {
        const struct slice *argv = r->argv + i;
        int left = r->argc - i;
        if (combines && (size_t)left > a->n && slice_is(argv[0], "weights")) {
            if (!parse_weights(c, argv + 1, a)) return false;
            i += 1 + (int)a->n;
        } else if (combines && left > 1 && slice_is(argv[0], "aggregate")) {
            if (!parse_aggregate(c, argv[1], &a->aggregate)) return false;
            i += 2;
        } else if (!a->store && !a->count_only && slice_is(argv[0], "withscores")) {
            a->with_scores = true;
            i++;
        } else if (a->count_only && left > 1 && slice_is(argv[0], "limit")) {
            if (!args_at_least(c, argv[1], 0, "ERR LIMIT can't be negative", &a->limit)) return false;
            i += 2;
        } else {
            return args_syntax_error(c);
        }
    }
    return true;
}

static void reply_zset(struct client *c, const struct zset *z, bool with_scores) {
    struct skiplist_place p = skiplist_at(&z->order, 0);
    struct member *m;
    zsets_reply_array(c, z->order.count, with_scores);
    while ((m = skiplist_next(&p)) && !reply_is_pointless(c))
        zsets_reply_member(c, member_slice(m), member_score(m), with_scores);
}

/* The order of the sources matters to a difference only. */
static void compute(struct request *r, struct algebra *a, const char *event) {
    if (a->operation != DIFF) qsort(a->sources, a->n, sizeof *a->sources, compare_counts);
    if (a->count_only) {
        reply_int(r->client, intersect_sources(a, NULL));
        return;
    }
    struct zset *z = zset_new();
    if (a->operation == UNION) {
        unite_sources(a, z);
    } else if (a->operation == INTER) {
        intersect_sources(a, z);
    } else {
        subtract_sources(a, z);
    }
    bool empty = z->order.count == 0;
    if (!a->store) {
        reply_zset(r->client, z, a->with_scores);
    } else {
        zsets_store(r->client, &r->key, empty ? NULL : z, event);
    }
    if (!a->store || empty) zset_free(z);
}

/* Every command of this file. With an event the result is stored, else it is the reply. */
static void run_algebra(struct request *r, struct algebra a, const char *event) {
    int at = event ? 2 : 1;
    a.client = r->client;
    a.store = event;
    if (find_sources(r, at, &a) && parse_algebra_options(r, at + 1 + (int)a.n, &a)) compute(r, &a, event);
    if (a.sources) alloc_put(a.sources, a.n * sizeof *a.sources);
}

static void zunion(struct request *r) {
    run_algebra(r, (struct algebra){.operation = UNION}, NULL);
}

static void zunionstore(struct request *r) {
    run_algebra(r, (struct algebra){.operation = UNION}, "zunionstore");
}

static void zinter(struct request *r) {
    run_algebra(r, (struct algebra){.operation = INTER}, NULL);
}

static void zinterstore(struct request *r) {
    run_algebra(r, (struct algebra){.operation = INTER}, "zinterstore");
}

static void zintercard(struct request *r) {
    run_algebra(r, (struct algebra){.operation = INTER, .count_only = true}, NULL);
}

static void zdiff(struct request *r) {
    run_algebra(r, (struct algebra){.operation = DIFF}, NULL);
}

static void zdiffstore(struct request *r) {
    run_algebra(r, (struct algebra){.operation = DIFF}, "zdiffstore");
}

static const struct command_keys read_keys[] = {
    {.flags = "RO access", .begin = 1, .keynum_at = 0, .keynum_first = 1, .step = 1},
    {.flags = NULL},
};

static const struct command_keys store_keys[] = {
    {.flags = "OW update", .begin = 1, .step = 1, .keynum_at = -1},
    {.flags = "RO access", .begin = 2, .keynum_at = 0, .keynum_first = 1, .step = 1},
    {.flags = NULL},
};

static const struct command zset_algebra_commands[] = {
    {"zdiff", zdiff, -3, .flags = CMD_READONLY | CMD_MOVABLE_KEYS, .group = GROUP_SORTED_SET, .since = "6.2.0",
     .summary = "List the members that only the first of these sorted sets has.",
     .complexity = "O(n * k + m log m) for n members of the first of k sets, m of them in the result",
     .syntax = "numkeys:integer key:key... [WITHSCORES]", .keys = read_keys},
    {"zdiffstore", zdiffstore, -4, .flags = CMD_WRITE | CMD_DENYOOM | CMD_MOVABLE_KEYS, .first_key = 1,
     .group = GROUP_SORTED_SET, .since = "6.2.0",
     .summary = "Store the members that only the first of these sorted sets has.",
     .complexity = "O(n * k + m log m) for n members of the first of k sets, m of them in the result",
     .syntax = "destination:key numkeys:integer key:key#1...", .keys = store_keys},
    {"zinter", zinter, -3, .flags = CMD_READONLY | CMD_MOVABLE_KEYS, .group = GROUP_SORTED_SET, .since = "6.2.0",
     .summary = "List the members that all of these sorted sets have.",
     .complexity = "O(n * k + m log m) for n members of the smallest of k sets, m of them in the result",
     .syntax =
         "numkeys:integer key:key... [WEIGHTS weight:integer...] [AGGREGATE aggregate:(SUM | MIN | MAX)] [WITHSCORES]",
     .keys = read_keys},
    {"zintercard", zintercard, -3, .flags = CMD_READONLY | CMD_MOVABLE_KEYS, .group = GROUP_SORTED_SET,
     .since = "7.0.0", .summary = "Count the members that all of these sorted sets have.",
     .complexity = "O(n * k) for n members of the smallest of k sets",
     .syntax = "numkeys:integer key:key... [LIMIT limit:integer]", .keys = read_keys},
    {"zinterstore", zinterstore, -4, .flags = CMD_WRITE | CMD_DENYOOM | CMD_MOVABLE_KEYS, .first_key = 1,
     .group = GROUP_SORTED_SET, .since = "2.0.0", .summary = "Store the members that all of these sorted sets have.",
     .complexity = "O(n * k + m log m) for n members of the smallest of k sets, m of them in the result",
     .syntax = "destination:key numkeys:integer key:key#1... [WEIGHTS weight:integer...] [AGGREGATE aggregate:(SUM | "
               "MIN | MAX)]",
     .keys = store_keys},
    {"zunion", zunion, -3, .flags = CMD_READONLY | CMD_MOVABLE_KEYS, .group = GROUP_SORTED_SET, .since = "6.2.0",
     .summary = "List the members that any of these sorted sets has.",
     .complexity = "O(n log m) for n members of all sets, m in the result",
     .syntax =
         "numkeys:integer key:key... [WEIGHTS weight:integer...] [AGGREGATE aggregate:(SUM | MIN | MAX)] [WITHSCORES]",
     .keys = read_keys},
    {"zunionstore", zunionstore, -4, .flags = CMD_WRITE | CMD_DENYOOM | CMD_MOVABLE_KEYS, .first_key = 1,
     .group = GROUP_SORTED_SET, .since = "2.0.0", .summary = "Store the members that any of these sorted sets has.",
     .complexity = "O(n log m) for n members of all sets, m in the result",
     .syntax = "destination:key numkeys:integer key:key#1... [WEIGHTS weight:integer...] [AGGREGATE aggregate:(SUM | "
               "MIN | MAX)]",
     .keys = store_keys},
    {NULL},
};

const struct module zset_algebra_module = {.commands = zset_algebra_commands};
