/* Unions, intersections and differences of sorted sets; sets take part as if each member had the score 1.
 *
 * A result is put together as a value without a key, from copies of the members, so that the destination may be one of
 * the sources. Intersections ask the smallest source for its members and the others whether they have them. */
#include "base/module.h"
#include "base/num.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
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

struct algebra {
    struct source *sources;
    size_t n;
    enum operation operation;
    enum aggregate aggregate;
    bool store, with_scores, count_only;
    int64_t limit; /* of a count; 0: none */
};

/* --- A source's members, whichever type it has ----------------------------------------------- */

struct members {
    const struct source *source;
    struct zset_walk walk;
    struct set_iter iter;
    char digits[NUM_I64_MAX];
    struct slice member;
    double score; /* times the weight */
};

static double weighted(const struct source *s, double score) {
    double product = s->weight * score;
    return isnan(product) ? 0 : product; /* 0 * inf */
}

static size_t source_count(const struct source *s) {
    if (!s->e) return 0;
    return entry_type(s->e) == ENTRY_ZSET ? zset_count(s->e) : set_count(s->e);
}

/* *score is NaN for 0 * inf: Redis makes 0 of that only in the walk over members, and here of the sum that it ends in. */
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

static void unite(const struct algebra *a, struct zset *z) {
    struct members m;
    for (size_t i = 0; i < a->n; i++) {
        members_init(&m, &a->sources[i]);
        while (members_next(&m)) {
            struct member *old = zset_find(z, m.member);
            if (old) {
                zset_set_score(z, old, combine(a->aggregate, member_score(old), m.score));
            } else {
                zset_insert(z, m.member, m.score);
            }
        }
    }
}

/* z NULL: only count, to the limit. */
static int64_t intersect(const struct algebra *a, struct zset *z) {
    struct members m;
    int64_t count = 0;
    members_init(&m, &a->sources[0]);
    while (members_next(&m)) {
        double score = m.score, other;
        size_t i = 1;
        for (; i < a->n && source_score(&a->sources[i], m.member, &other); i++)
            score = combine(a->aggregate, score, other);
        if (i < a->n) continue;
        if (z) zset_insert(z, m.member, score);
        if (++count == a->limit) break;
    }
    return count;
}

static void subtract(const struct algebra *a, struct zset *z) {
    struct members m;
    double other;
    members_init(&m, &a->sources[0]);
    while (members_next(&m)) {
        size_t i = 1;
        while (i < a->n && !source_score(&a->sources[i], m.member, &other))
            i++;
        if (i == a->n) zset_insert(z, m.member, m.score);
    }
}

static int compare_counts(const void *a, const void *b) {
    size_t x = source_count(a), y = source_count(b);
    return (x > y) - (x < y);
}

/* --- Requests -------------------------------------------------------------------------------- */

/* numkeys at argument `at`, and the keys behind it. */
static bool find_sources(struct request *r, int at, struct algebra *a) {
    struct client *c = r->client;
    int64_t n;
    if (!args_i64(c, r->argv[at], &n)) return false;
    if (n < 1) {
        reply_errorf(c, "ERR at least 1 input key is needed for '%s' command", r->command->name);
        return false;
    }
    if (n > r->argc - at - 1) {
        reply_syntax_error(c);
        return false;
    }
    a->n = (size_t)n;
    a->sources = alloc_get(a->n * sizeof *a->sources);
    for (size_t i = 0; i < a->n; i++) {
        struct key key = key_of(r->argv[(size_t)at + 1 + i]);
        struct entry *e = db_read(c->db, &key);
        if (e && entry_type(e) != ENTRY_ZSET && entry_type(e) != ENTRY_SET) {
            reply_wrong_type(c);
            return false;
        }
        a->sources[i] = (struct source){e, 1};
    }
    return true;
}

static bool parse_weights(struct request *r, int at, struct algebra *a) {
    for (size_t i = 0; i < a->n; i++) {
        if (num_parse_f64(r->argv[(size_t)at + i], &a->sources[i].weight)) continue;
        reply_error(r->client, "ERR weight value is not a float");
        return false;
    }
    return true;
}

static bool parse_aggregate(struct request *r, struct slice word, struct algebra *a) {
    if (slice_is(word, "sum")) {
        a->aggregate = SUM;
    } else if (slice_is(word, "min")) {
        a->aggregate = MIN;
    } else if (slice_is(word, "max")) {
        a->aggregate = MAX;
    } else {
        reply_syntax_error(r->client);
        return false;
    }
    return true;
}

static bool parse_limit(struct request *r, struct slice word, struct algebra *a) {
    return args_at_least(r->client, word, 0, "ERR LIMIT can't be negative", &a->limit);
}

static bool parse_options(struct request *r, int i, struct algebra *a) {
    bool combines = a->operation != DIFF && !a->count_only;
    while (i < r->argc) {
        struct slice word = r->argv[i];
        int left = r->argc - i;
        if (combines && (size_t)left > a->n && slice_is(word, "weights")) {
            if (!parse_weights(r, i + 1, a)) return false;
            i += 1 + (int)a->n;
        } else if (combines && left > 1 && slice_is(word, "aggregate")) {
            if (!parse_aggregate(r, r->argv[i + 1], a)) return false;
            i += 2;
        } else if (!a->store && !a->count_only && slice_is(word, "withscores")) {
            a->with_scores = true;
            i++;
        } else if (a->count_only && left > 1 && slice_is(word, "limit")) {
            if (!parse_limit(r, r->argv[i + 1], a)) return false;
            i += 2;
        } else {
            reply_syntax_error(r->client);
            return false;
        }
    }
    return true;
}

static void reply_all(struct client *c, const struct zset *z, bool with_scores) {
    struct skiplist_place p = skiplist_at(&z->order, 0);
    struct member *m;
    if (with_scores) {
        zsets_reply_pairs(c, z->order.count);
    } else {
        reply_array(c, z->order.count);
    }
    while ((m = skiplist_next(&p))) {
        if (with_scores) {
            zsets_reply_pair(c, member_slice(m), member_score(m));
        } else {
            reply_bulk(c, member_slice(m));
        }
    }
}

/* Sources from the smallest on, but for a difference. */
static void compute(struct request *r, struct algebra *a, const char *event) {
    if (a->operation != DIFF) qsort(a->sources, a->n, sizeof *a->sources, compare_counts);
    if (a->count_only) {
        reply_int(r->client, intersect(a, NULL));
        return;
    }
    struct zset *z = zset_new();
    if (a->operation == UNION) {
        unite(a, z);
    } else if (a->operation == INTER) {
        intersect(a, z);
    } else {
        subtract(a, z);
    }
    bool empty = z->order.count == 0;
    if (!a->store) {
        reply_all(r->client, z, a->with_scores);
    } else {
        zsets_store(r->client, &r->key, empty ? NULL : z, event);
    }
    if (!a->store || empty) zset_free(z);
}

/* event NULL: the result is the reply. */
static void run(struct request *r, struct algebra a, const char *event) {
    int at = event ? 2 : 1;
    a.store = event;
    if (find_sources(r, at, &a) && parse_options(r, at + 1 + (int)a.n, &a)) compute(r, &a, event);
    if (a.sources) alloc_put(a.sources, a.n * sizeof *a.sources);
}

static void zunion(struct request *r) {
    run(r, (struct algebra){.operation = UNION}, NULL);
}

static void zunionstore(struct request *r) {
    run(r, (struct algebra){.operation = UNION}, "zunionstore");
}

static void zinter(struct request *r) {
    run(r, (struct algebra){.operation = INTER}, NULL);
}

static void zinterstore(struct request *r) {
    run(r, (struct algebra){.operation = INTER}, "zinterstore");
}

static void zintercard(struct request *r) {
    run(r, (struct algebra){.operation = INTER, .count_only = true}, NULL);
}

static void zdiff(struct request *r) {
    run(r, (struct algebra){.operation = DIFF}, NULL);
}

static void zdiffstore(struct request *r) {
    run(r, (struct algebra){.operation = DIFF}, "zdiffstore");
}

static const struct command_keys zdiff_keys[] = {
    {.flags = "RO access", .begin = 1, .keynum_at = 0, .keynum_first = 1, .step = 1},
    {.flags = NULL},
};

static const struct command_keys zdiffstore_keys[] = {
    {.flags = "OW update", .begin = 1, .step = 1, .keynum_at = -1},
    {.flags = "RO access", .begin = 2, .keynum_at = 0, .keynum_first = 1, .step = 1},
    {.flags = NULL},
};

static const struct command_keys zinter_keys[] = {
    {.flags = "RO access", .begin = 1, .keynum_at = 0, .keynum_first = 1, .step = 1},
    {.flags = NULL},
};

static const struct command_keys zintercard_keys[] = {
    {.flags = "RO access", .begin = 1, .keynum_at = 0, .keynum_first = 1, .step = 1},
    {.flags = NULL},
};

static const struct command_keys zinterstore_keys[] = {
    {.flags = "OW update", .begin = 1, .step = 1, .keynum_at = -1},
    {.flags = "RO access", .begin = 2, .keynum_at = 0, .keynum_first = 1, .step = 1},
    {.flags = NULL},
};

static const struct command_keys zunion_keys[] = {
    {.flags = "RO access", .begin = 1, .keynum_at = 0, .keynum_first = 1, .step = 1},
    {.flags = NULL},
};

static const struct command_keys zunionstore_keys[] = {
    {.flags = "OW update", .begin = 1, .step = 1, .keynum_at = -1},
    {.flags = "RO access", .begin = 2, .keynum_at = 0, .keynum_first = 1, .step = 1},
    {.flags = NULL},
};

static const struct command zset_algebra_commands[] = {
    {"zdiff", zdiff, -3, .flags = CMD_READONLY | CMD_MOVABLE_KEYS, .group = GROUP_SORTED_SET, .since = "6.2.0",
     .summary = "List the members that only the first of these sorted sets has.",
     .complexity = "O(n * k + m log m) for n members of the first of k sets, m of them in the result",
     .syntax = "numkeys:integer key:key... [WITHSCORES]", .keys = zdiff_keys},
    {"zdiffstore", zdiffstore, -4, .flags = CMD_WRITE | CMD_DENYOOM | CMD_MOVABLE_KEYS, .first_key = 1,
     .group = GROUP_SORTED_SET, .since = "6.2.0",
     .summary = "Store the members that only the first of these sorted sets has.",
     .complexity = "O(n * k + m log m) for n members of the first of k sets, m of them in the result",
     .syntax = "destination:key numkeys:integer key:key#1...", .keys = zdiffstore_keys},
    {"zinter", zinter, -3, .flags = CMD_READONLY | CMD_MOVABLE_KEYS, .group = GROUP_SORTED_SET, .since = "6.2.0",
     .summary = "List the members that all of these sorted sets have.",
     .complexity = "O(n * k + m log m) for n members of the smallest of k sets, m of them in the result",
     .syntax =
         "numkeys:integer key:key... [WEIGHTS weight:integer...] [AGGREGATE aggregate:(SUM | MIN | MAX)] [WITHSCORES]",
     .keys = zinter_keys},
    {"zintercard", zintercard, -3, .flags = CMD_READONLY | CMD_MOVABLE_KEYS, .group = GROUP_SORTED_SET,
     .since = "7.0.0", .summary = "Count the members that all of these sorted sets have.",
     .complexity = "O(n * k) for n members of the smallest of k sets",
     .syntax = "numkeys:integer key:key... [LIMIT limit:integer]", .keys = zintercard_keys},
    {"zinterstore", zinterstore, -4, .flags = CMD_WRITE | CMD_DENYOOM | CMD_MOVABLE_KEYS, .first_key = 1,
     .group = GROUP_SORTED_SET, .since = "2.0.0", .summary = "Store the members that all of these sorted sets have.",
     .complexity = "O(n * k + m log m) for n members of the smallest of k sets, m of them in the result",
     .syntax = "destination:key numkeys:integer key:key#1... [WEIGHTS weight:integer...] [AGGREGATE aggregate:(SUM | "
               "MIN | MAX)]",
     .keys = zinterstore_keys},
    {"zunion", zunion, -3, .flags = CMD_READONLY | CMD_MOVABLE_KEYS, .group = GROUP_SORTED_SET, .since = "6.2.0",
     .summary = "List the members that any of these sorted sets has.",
     .complexity = "O(n log m) for n members of all sets, m in the result",
     .syntax =
         "numkeys:integer key:key... [WEIGHTS weight:integer...] [AGGREGATE aggregate:(SUM | MIN | MAX)] [WITHSCORES]",
     .keys = zunion_keys},
    {"zunionstore", zunionstore, -4, .flags = CMD_WRITE | CMD_DENYOOM | CMD_MOVABLE_KEYS, .first_key = 1,
     .group = GROUP_SORTED_SET, .since = "2.0.0", .summary = "Store the members that any of these sorted sets has.",
     .complexity = "O(n log m) for n members of all sets, m in the result",
     .syntax = "destination:key numkeys:integer key:key#1... [WEIGHTS weight:integer...] [AGGREGATE aggregate:(SUM | "
               "MIN | MAX)]",
     .keys = zunionstore_keys},
    {NULL},
};

const struct module zset_algebra_module = {.commands = zset_algebra_commands};
