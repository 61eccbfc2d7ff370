/* Members of sorted sets that are not named: some drawn at random (ZRANDMEMBER), some at each call of ZSCAN. */
#include "base/alloc.h"
#include "base/module.h"
#include "base/rand.h"
#include "catalog/command_row.h"
#include "cmd/args.h"
#include "cmd/lookup.h"
#include "cmd/scan_step.h"
#include "cmd/zsets.h"
#include <stdlib.h>

/* --- ZRANDMEMBER ----------------------------------------------------------------------------- */

static void reply_at_rank(struct client *c, const struct entry *e, size_t rank, bool with_scores) {
    struct zset_walk w;
    zset_walk_from(&w, e, rank);
    if (zset_walk_next(&w)) zsets_reply_member(c, w.member, w.score, with_scores);
}

/* Each member is drawn from all. */
static void draw_repeated(struct client *c, const struct entry *e, uint64_t n, bool with_scores) {
    size_t count = zset_count(e);
    for (uint64_t i = 0; i < n && !reply_is_pointless(c); i++)
        reply_at_rank(c, e, rand_below(count), with_scores);
}

static int compare_ranks(const void *a, const void *b) {
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

/* n different members, many of all: take each in turn, with the probability that makes every choice of n equally
 * likely. */
static void draw_many(struct client *c, const struct entry *e, size_t n, bool with_scores) {
    struct zset_walk w;
    zset_walk_from(&w, e, 0);
    for (size_t left = zset_count(e); n > 0 && zset_walk_next(&w) && !reply_is_pointless(c); left--) {
        if (rand_below(left) >= n) continue;
        zsets_reply_member(c, w.member, w.score, with_scores);
        n--;
    }
}

/* n different members, less than a third of all: draw ranks, and draw again for those that came twice. */
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
    for (size_t i = 0; i < n && !reply_is_pointless(c); i++)
        reply_at_rank(c, e, ranks[i], with_scores);
    alloc_put(ranks, n * sizeof *ranks);
}

/* A positive number asks for that many different members, a negative one for that many draws, each from all members. */
static void draw_from_zset(struct client *c, const struct entry *e, int64_t wanted, bool with_scores) {
    size_t count = zset_count(e);
    uint64_t n = wanted < 0 ? (uint64_t)-wanted : (uint64_t)wanted;
    if (wanted > 0 && n > count) n = count;
    zsets_reply_array(c, n, with_scores);
    if (wanted < 0) {
        draw_repeated(c, e, n, with_scores);
    } else if (n > count / 3) {
        draw_many(c, e, n, with_scores);
    } else if (n > 0) {
        draw_few(c, e, n, with_scores);
    }
}

static void zrandmember(struct request *r) {
    struct client *c = r->client;
    struct entry *e;
    int64_t n;
    bool single = r->argc == 2;
    if (!single && !args_draw_options(c, r->argv + 2, r->argc - 2, "withscores", &n)) return;
    if (!lookup_read(r, ENTRY_ZSET, &e)) return;
    if (single && e) {
        reply_at_rank(c, e, rand_below(zset_count(e)), false);
    } else if (single) {
        reply_null(c);
    } else if (!e) {
        reply_array(c, 0);
    } else {
        draw_from_zset(c, e, n, r->argc == 4);
    }
}

/* --- ZSCAN ----------------------------------------------------------------------------------- */

static void visit_zset_member(void *scan_step, struct slice member, double score) {
    char text[NUM_F64_MAX];
    if (!scan_step_wants(scan_step, member)) return;
    scan_step_add(scan_step, member);
    scan_step_add(scan_step, slice_of(text, (size_t)num_print_f64(text, score)));
}

static uint64_t visit_zset(struct scan_step *s, void *zset, uint64_t cursor) {
    return zset_scan(zset, cursor, visit_zset_member, s);
}

static void zscan(struct request *r) {
    scan_step_value(r, ENTRY_ZSET, visit_zset);
}

static const struct command zset_walk_commands[] = {
    {"zrandmember", zrandmember, -2, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_SORTED_SET, .since = "6.2.0",
     .summary = "Draw members of a sorted set at random.", .complexity = "O(m log n) for m members drawn out of n",
     .syntax = "key:key [options:(count:integer [WITHSCORES])]", .tips = "nondeterministic_output"},
    {"zscan", zscan, -3, .flags = CMD_READONLY, .first_key = 1, .group = GROUP_SORTED_SET, .since = "2.8.0",
     .summary = "Go through the members of a sorted set, some at each call.",
     .complexity = "O(1) a step, O(n) for all of n members",
     .syntax = "key:key cursor:integer [MATCH pattern:pattern] [COUNT count:integer]",
     .tips = "nondeterministic_output"},
    {NULL},
};

const struct module zset_walk_module = {.commands = zset_walk_commands};
