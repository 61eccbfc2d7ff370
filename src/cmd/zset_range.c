/* Sorted sets by range: of ranks, scores or members. All forms of ZRANGE share one parser and one walk. */
#include "base/module.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/lookup.h"
#include "cmd/zsets.h"

enum range_kind {
    BY_AUTO, /* by rank, unless an option says otherwise */
    BY_RANK,
    BY_SCORE,
    BY_LEX
};

/* A range as a request gives it: the part that the kind says. */
struct range {
    enum range_kind kind;
    int64_t first, last; /* ranks, inclusive; negative ones count from the end */
    struct zset_score_range scores;
    struct zset_lex_range lex;
};

/* --- The ends -------------------------------------------------------------------------------- */

static bool parse_score_end(struct slice s, double *score, bool *open) {
    *open = s.len > 0 && s.ptr[0] == '(';
    if (*open) s = slice_of(s.ptr + 1, s.len - 1);
    return num_parse_f64(s, score) || args_strtod(s, score); /* strtod(), which Redis asks, is laxer and slower */
}

static bool parse_lex_end(struct slice s, struct slice *member, bool *open, int8_t *infinite) {
    char first = s.len > 0 ? s.ptr[0] : '\0';
    *infinite = 0;
    *open = first == '(';
    if (first == '(' || first == '[') {
        *member = slice_of(s.ptr + 1, s.len - 1);
        return true;
    }
    *infinite = first == '+' ? 1 : -1;
    return (first == '+' || first == '-') && (s.len == 1 || s.ptr[1] == '\0');
}

static bool parse_range(struct client *c, struct slice min, struct slice max, struct range *range) {
    struct zset_score_range *s = &range->scores;
    struct zset_lex_range *l = &range->lex;
    switch (range->kind) {
    case BY_SCORE:
        if (parse_score_end(min, &s->min, &s->min_open) && parse_score_end(max, &s->max, &s->max_open)) return true;
        return args_refuse(c, "ERR min or max is not a float");
    case BY_LEX:
        if (parse_lex_end(min, &l->min, &l->min_open, &l->min_infinite) &&
            parse_lex_end(max, &l->max, &l->max_open, &l->max_infinite)) {
            return true;
        }
        return args_refuse(c, "ERR min or max not valid string range item");
    default: return args_i64(c, min, &range->first) && args_i64(c, max, &range->last);
    }
}

/* In reverse, the ranks of the range count from the end. Those of a span never do. */
static struct zset_span span_by_rank(const struct entry *e, const struct range *range, bool reverse) {
    int64_t count = (int64_t)zset_count(e), first = range->first, last = range->last;
    if (!args_clip(&first, &last, count)) return (struct zset_span){0, 0};
    return (struct zset_span){(size_t)(reverse ? count - 1 - last : first), (size_t)(last - first + 1)};
}

static struct zset_span span_of(const struct entry *e, const struct range *range, bool reverse) {
    if (range->kind == BY_SCORE) return zset_span_by_score(e, &range->scores);
    if (range->kind == BY_LEX) return zset_span_by_lex(e, &range->lex);
    return span_by_rank(e, range, reverse);
}

/* --- ZRANGE in all its forms ----------------------------------------------------------------- */

struct selection {
    struct range range;
    bool with_scores, reverse, store;
    int64_t offset, limit; /* LIMIT; a negative limit is none */
};

/* Read the option at argument i. Returns how many arguments it takes; 0: the error was replied. */
static int parse_range_option(struct request *r, int i, bool may_reverse, bool may_choose, struct selection *s) {
    struct slice word = r->argv[i];
    if (!s->store && slice_is(word, "withscores")) {
        s->with_scores = true;
    } else if (slice_is(word, "limit") && r->argc - i > 2) {
        if (!args_i64(r->client, r->argv[i + 1], &s->offset) || !args_i64(r->client, r->argv[i + 2], &s->limit))
            return 0;
        return 3;
    } else if (may_reverse && !s->reverse && slice_is(word, "rev")) {
        s->reverse = true;
    } else if (may_choose && s->range.kind == BY_AUTO && slice_is(word, "bylex")) {
        s->range.kind = BY_LEX;
    } else if (may_choose && s->range.kind == BY_AUTO && slice_is(word, "byscore")) {
        s->range.kind = BY_SCORE;
    } else {
        reply_syntax_error(r->client);
        return 0;
    }
    return 1;
}

/* Read the two ends at this argument, and the options behind them. A reversed range of scores or members names its
 * upper end first. False: the error was replied. */
static bool parse_selection(struct request *r, int at, struct selection *s) {
    bool choose = s->range.kind == BY_AUTO;
    for (int i = at + 2, n; i < r->argc; i += n) {
        n = parse_range_option(r, i, choose, choose, s);
        if (n == 0) return false;
    }
    if (s->range.kind == BY_AUTO) s->range.kind = BY_RANK;
    if (s->limit != -1 && s->range.kind == BY_RANK)
        return args_refuse(r->client,
                           "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX");
    if (s->with_scores && s->range.kind == BY_LEX)
        return args_refuse(r->client, "ERR syntax error, WITHSCORES not supported in combination with BYLEX");
    bool swapped = s->reverse && s->range.kind != BY_RANK;
    return parse_range(r->client, r->argv[at + swapped], r->argv[at + !swapped], &s->range);
}

/* The part of a span that LIMIT leaves. Its offset counts from the end at which the walk begins. */
static struct zset_span limit_span(struct zset_span span, const struct selection *s) {
    if (s->range.kind == BY_RANK) return span;
    if (s->offset < 0 || (uint64_t)s->offset >= span.n) return (struct zset_span){0, 0};
    size_t left = span.n - (size_t)s->offset;
    size_t n = s->limit >= 0 && (uint64_t)s->limit < left ? (size_t)s->limit : left;
    size_t first = s->reverse ? span.first + left - n : span.first + (size_t)s->offset;
    return (struct zset_span){first, n};
}

static void reply_span(struct client *c, const struct entry *e, struct zset_span span, const struct selection *s) {
    struct zset_walk w;
    zsets_reply_array(c, span.n, s->with_scores);
    if (span.n == 0) return;
    zset_walk_from(&w, e, s->reverse ? span.first + span.n : span.first);
    for (size_t i = 0; i < span.n && (s->reverse ? zset_walk_prev(&w) : zset_walk_next(&w)); i++) {
        if (reply_is_pointless(c)) return;
        zsets_reply_member(c, w.member, w.score, s->with_scores);
    }
}

static void reply_range(struct request *r, enum range_kind kind, bool reverse) {
    struct client *c = r->client;
    struct selection s = {.range.kind = kind, .reverse = reverse, .limit = -1};
    struct entry *e;
    if (!parse_selection(r, 2, &s) || !lookup_read(r, ENTRY_ZSET, &e)) return;
    if (e) {
        reply_span(c, e, limit_span(span_of(e, &s.range, s.reverse), &s), &s);
    } else {
        reply_array(c, 0);
    }
}

static void zrange(struct request *r) {
    reply_range(r, BY_AUTO, false);
}

static void zrevrange(struct request *r) {
    reply_range(r, BY_RANK, true);
}

static void zrangebyscore(struct request *r) {
    reply_range(r, BY_SCORE, false);
}

static void zrevrangebyscore(struct request *r) {
    reply_range(r, BY_SCORE, true);
}

static void zrangebylex(struct request *r) {
    reply_range(r, BY_LEX, false);
}

static void zrevrangebylex(struct request *r) {
    reply_range(r, BY_LEX, true);
}

static struct zset *copy_span(const struct entry *e, struct zset_span span) {
    struct zset *z = zset_new();
    struct zset_walk w;
    zset_walk_from(&w, e, span.first);
    for (size_t i = 0; i < span.n && zset_walk_next(&w); i++)
        zset_insert(z, w.member, w.score);
    return z;
}

static void zrangestore(struct request *r) {
    struct client *c = r->client;
    struct selection s = {.range.kind = BY_AUTO, .limit = -1, .store = true};
    struct key source = key_of(r->argv[2]);
    if (!parse_selection(r, 3, &s)) return;
    struct entry *e = db_read(c->db, &source);
    if (!lookup_is(c, e, ENTRY_ZSET)) return;
    struct zset_span span = {0, 0};
    if (e) span = limit_span(span_of(e, &s.range, s.reverse), &s);
    zsets_store(c, &r->key, span.n ? copy_span(e, span) : NULL, "zrangestore");
}

/* --- Counting and removing ------------------------------------------------------------------- */

static void count_range(struct request *r, enum range_kind kind) {
    struct client *c = r->client;
    struct range range = {.kind = kind};
    struct entry *e;
    if (!parse_range(c, r->argv[2], r->argv[3], &range) || !lookup_read(r, ENTRY_ZSET, &e)) return;
    reply_int(c, e ? (int64_t)span_of(e, &range, false).n : 0);
}

static void zcount(struct request *r) {
    count_range(r, BY_SCORE);
}

static void zlexcount(struct request *r) {
    count_range(r, BY_LEX);
}

static void remove_range(struct request *r, enum range_kind kind, const char *event) {
    struct client *c = r->client;
    struct range range = {.kind = kind};
    struct entry *e;
    if (!parse_range(c, r->argv[2], r->argv[3], &range) || !lookup_write(r, ENTRY_ZSET, &e)) return;
    struct zset_span span = {0, 0};
    if (e) span = span_of(e, &range, false);
    if (span.n) {
        zset_remove_span(c->db, &e, span.first, span.n);
        zsets_removed(c->db, &r->key, e, event);
    }
    reply_int(c, (int64_t)span.n);
}

static void zremrangebyrank(struct request *r) {
    remove_range(r, BY_RANK, "zremrangebyrank");
}

static void zremrangebyscore(struct request *r) {
    remove_range(r, BY_SCORE, "zremrangebyscore");
}

static void zremrangebylex(struct request *r) {
    remove_range(r, BY_LEX, "zremrangebylex");
}

static const struct command_keys zrangestore_keys[] = {
    {.flags = "OW update", .begin = 1, .step = 1, .keynum_at = -1},
    {.flags = "RO access", .begin = 2, .step = 1, .keynum_at = -1},
    {.flags = NULL},
};

static const struct command zset_range_commands[] = {
    {"zcount", zcount, 4, .flags = CMD_READONLY | CMD_FAST, .first_key = 1, .group = GROUP_SORTED_SET, .since = "2.0.0",
     .summary = "Count the members between two scores.", .complexity = "O(log n) for n members",
     .syntax = "key:key min:double max:double"},
    {"zlexcount", zlexcount, 4, .flags = CMD_READONLY | CMD_FAST, .first_key = 1, .group = GROUP_SORTED_SET,
     .since = "2.8.9", .summary = "Count the members between two strings.", .complexity = "O(log n) for n members",
     .syntax = "key:key min max"},
    {"zrange", zrange, -4, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_SORTED_SET, .since = "1.2.0",
     .summary = "Read members in order, between two ranks, scores or strings.",
     .complexity = "O(log n + m) for n members, m of them read",
     .syntax = "key:key start stop [sortby:(BYSCORE | BYLEX)@6.2.0] [REV@6.2.0] [LIMIT limit:(offset:integer "
               "count:integer)@6.2.0] [WITHSCORES]",
     .history = "6.2.0|New: `REV`, `BYSCORE`, `BYLEX`, `LIMIT`."},
    {"zrangebylex", zrangebylex, -4, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_SORTED_SET, .since = "2.8.9",
     .summary = "Read the members between two strings.", .complexity = "O(log n + m) for n members, m of them read",
     .syntax = "key:key min max [LIMIT limit:(offset:integer count:integer)]", .deprecated = "6.2.0|`ZRANGE`: `BYLEX`"},
    {"zrangebyscore", zrangebyscore, -4, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_SORTED_SET,
     .since = "1.0.5", .summary = "Read the members between two scores.",
     .complexity = "O(log n + m) for n members, m of them read",
     .syntax = "key:key min:double max:double [WITHSCORES@2.0.0] [LIMIT limit:(offset:integer count:integer)]",
     .history = "2.0.0|New: `WITHSCORES`.", .deprecated = "6.2.0|`ZRANGE`: `BYSCORE`"},
    {"zrangestore", zrangestore, -5, .flags = CMD_WRITE | CMD_DENYOOM, .first_key = 1, .last_key = 2,
     .group = GROUP_SORTED_SET, .since = "6.2.0", .summary = "Store the members between two ranks, scores or strings.",
     .complexity = "O(log n + m log m) for n members, m of them stored",
     .syntax =
         "dst:key src:key#1 min max [sortby:(BYSCORE | BYLEX)] [REV] [LIMIT limit:(offset:integer count:integer)]",
     .keys = zrangestore_keys},
    {"zremrangebylex", zremrangebylex, 4, .flags = CMD_WRITE, .first_key = 1, .group = GROUP_SORTED_SET,
     .since = "2.8.9", .summary = "Take out the members between two strings.",
     .complexity = "O(log n + m) for n members, m of them taken, or left if these are fewer",
     .syntax = "key:key min max", .key_flags = "RW delete"},
    {"zremrangebyrank", zremrangebyrank, 4, .flags = CMD_WRITE, .first_key = 1, .group = GROUP_SORTED_SET,
     .since = "2.0.0", .summary = "Take out the members between two ranks.",
     .complexity = "O(log n + m) for n members, m of them taken, or left if these are fewer",
     .syntax = "key:key start:integer stop:integer", .key_flags = "RW delete"},
    {"zremrangebyscore", zremrangebyscore, 4, .flags = CMD_WRITE, .first_key = 1, .group = GROUP_SORTED_SET,
     .since = "1.2.0", .summary = "Take out the members between two scores.",
     .complexity = "O(log n + m) for n members, m of them taken, or left if these are fewer",
     .syntax = "key:key min:double max:double", .key_flags = "RW delete"},
    {"zrevrange", zrevrange, -4, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_SORTED_SET, .since = "1.2.0",
     .summary = "Read the members between two ranks, counted from the highest score.",
     .complexity = "O(log n + m) for n members, m of them read",
     .syntax = "key:key start:integer stop:integer [WITHSCORES]", .deprecated = "6.2.0|`ZRANGE`: `REV`"},
    {"zrevrangebylex", zrevrangebylex, -4, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_SORTED_SET,
     .since = "2.8.9", .summary = "Read the members between two strings, backwards.",
     .complexity = "O(log n + m) for n members, m of them read",
     .syntax = "key:key max min [LIMIT limit:(offset:integer count:integer)]",
     .deprecated = "6.2.0|`ZRANGE`: `REV`, `BYLEX`"},
    {"zrevrangebyscore", zrevrangebyscore, -4, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_SORTED_SET,
     .since = "2.2.0", .summary = "Read the members between two scores, backwards.",
     .complexity = "O(log n + m) for n members, m of them read",
     .syntax = "key:key max:double min:double [WITHSCORES] [LIMIT limit:(offset:integer count:integer)]",
     .history = "2.1.6|Either end may be left out of the range.", .deprecated = "6.2.0|`ZRANGE`: `REV`, `BYSCORE`"},
    {NULL},
};

const struct module zset_range_module = {.commands = zset_range_commands};
