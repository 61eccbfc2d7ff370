/* Sorted sets piece by piece: members drawn at random, and ZSCAN. */
#include "base/module.h"
#include "base/num.h"
#include "base/rand.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/walk.h"
#include "cmd/zsets.h"
#include <limits.h>
#include <stdlib.h>

/* --- Drawing --------------------------------------------------------------------------------- */

static void reply_drawn(struct client *c, const struct zset_walk *w, bool with_scores) {
    if (with_scores) {
        zsets_reply_pair(c, w->member, w->score);
    } else {
        reply_bulk(c, w->member);
    }
}

static void reply_at_rank(struct client *c, const struct entry *e, size_t rank, bool with_scores) {
    struct zset_walk w;
    zset_walk_from(&w, e, rank);
    if (zset_walk_next(&w)) reply_drawn(c, &w, with_scores);
}

/* Any members, the same one again perhaps. */
static void draw_repeated(struct client *c, const struct entry *e, uint64_t n, bool with_scores) {
    size_t count = zset_count(e);
    for (uint64_t i = 0; i < n && !reply_is_pointless(c); i++)
        reply_at_rank(c, e, rand_below(count), with_scores);
}

static int compare_ranks(const void *a, const void *b) {
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

/* Of many wanted: each in turn, with the probability that leaves every choice of n equally likely. */
static void draw_many(struct client *c, const struct entry *e, size_t n, bool with_scores) {
    struct zset_walk w;
    zset_walk_from(&w, e, 0);
    for (size_t left = zset_count(e); n > 0 && zset_walk_next(&w); left--) {
        if (rand_below(left) >= n) continue;
        reply_drawn(c, &w, with_scores);
        n--;
    }
}

/* Of few wanted, less than a third: draw ranks until enough differ, drawing what is missing again. */
static void draw_few(struct client *c, const struct entry *e, size_t n, bool with_scores) {
    size_t count = zset_count(e), have = 0, *ranks = alloc_get(n * sizeof *ranks);
    while (have < n) {
        for (size_t i = have; i < n; i++)
            ranks[i] = rand_below(count);
        qsort(ranks, n, sizeof *ranks, compare_ranks);
        have = 1;
        for (size_t i = 1; i < n; i++) {
            if (ranks[i] != ranks[have - 1]) ranks[have++] = ranks[i];
        }
    }
    for (size_t i = 0; i < n; i++)
        reply_at_rank(c, e, ranks[i], with_scores);
    alloc_put(ranks, n * sizeof *ranks);
}

static void draw(struct client *c, const struct entry *e, int64_t wanted, bool with_scores) {
    size_t count = zset_count(e);
    uint64_t n = wanted < 0 ? (uint64_t)-wanted : (uint64_t)wanted;
    if (wanted > 0 && n > count) n = count;
    if (with_scores) {
        zsets_reply_pairs(c, n);
    } else {
        reply_array(c, n);
    }
    if (wanted < 0) {
        draw_repeated(c, e, n, with_scores);
    } else if (n > count / 3) {
        draw_many(c, e, n, with_scores);
    } else if (n > 0) {
        draw_few(c, e, n, with_scores);
    }
}

static bool parse_draw(struct request *r, int64_t *n) {
    struct client *c = r->client;
    if (!args_signed(c, r->argv[2], n)) return false;
    if (r->argc > 4 || (r->argc == 4 && !slice_is(r->argv[3], "withscores"))) {
        reply_syntax_error(c);
    } else if (r->argc == 4 && (*n < -LONG_MAX / 2 || *n > LONG_MAX / 2)) {
        reply_error(c, "ERR value is out of range");
    } else {
        return true;
    }
    return false;
}

static void zrandmember(struct request *r) {
    struct client *c = r->client;
    int64_t n = 1;
    if (r->argc > 2 && !parse_draw(r, &n)) return;
    struct entry *e = db_read(c->db, &r->key);
    if (!zsets_check(c, e)) return;
    if (r->argc == 2) {
        if (e) {
            reply_at_rank(c, e, rand_below(zset_count(e)), false);
        } else {
            reply_null(c);
        }
    } else if (!e) {
        reply_array(c, 0);
    } else if (args_draws(c, n)) {
        draw(c, e, n, r->argc == 4);
    }
}

/* --- ZSCAN ----------------------------------------------------------------------------------- */

static void visit(void *walk, struct slice member, double score) {
    char text[NUM_F64_MAX];
    if (!walk_wants(walk, member)) return;
    walk_add(walk, member);
    walk_add(walk, slice_of(text, (size_t)num_print_f64(text, score)));
}

static uint64_t step(struct walk *w, void *zset, uint64_t cursor) {
    return zset_scan(zset, cursor, visit, w);
}

static void zscan(struct request *r) {
    walk_value(r, ENTRY_ZSET, step);
}

static const struct command zset_walk_commands[] = {
    {.name = "zrandmember",
     .body = zrandmember,
     .arity = -2,
     .flags = CMD_READONLY,
     .first_key = 1,
     .group = GROUP_SORTED_SET,
     .since = "6.2.0",
     .summary = "Draw members of a sorted set at random.",
     .complexity = "O(m log n) for m members drawn out of n",
     .syntax = "key:key [options:(count:integer [WITHSCORES])]",
     .tips = "nondeterministic_output"},
    {.name = "zscan",
     .body = zscan,
     .arity = -3,
     .flags = CMD_READONLY,
     .first_key = 1,
     .group = GROUP_SORTED_SET,
     .since = "2.8.0",
     .summary = "Go through the members of a sorted set, some at each call.",
     .complexity = "O(1) a step, O(n) for all of n members",
     .syntax = "key:key cursor:integer [MATCH pattern:pattern] [COUNT count:integer]",
     .tips = "nondeterministic_output"},
    {.name = NULL},
};

const struct module zset_walk_module = {.commands = zset_walk_commands};
