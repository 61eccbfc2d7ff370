/* See shadows.h. A line is a set of eight cells: a key may only be in the line to which its hash leads, and if the line
 * is full, the cell of the lowest rank is taken. */
#include "store/shadows.h"
#include "base/alloc.h"
#include "base/rand.h"
#include "store/codes.h"
#include "store/ticks.h"
#include <float.h>

#define WAYS 8
#define CELLS_MAX 2048
#define MEMORY 0.9f /* what is left of the hits after a round, of as many look-ups as a shadow has cells */
#define LEAD 1.002f /* the other rank must have had so many times as many hits */

struct cell {
    uint32_t tag; /* 0: empty */
    uint16_t stamp, code;
};

static struct shadow {
    struct cell (*lines)[WAYS];
    float hits;
} shadows[SHADOWS_N];
static size_t n_lines, n_keys, look_ups_left;
static uint64_t sampled; /* the hashes without any of these bits */
enum shadows_rank shadows_best;

void shadows_resize(size_t keys) {
    if ((keys == 0) == (n_keys == 0) && keys <= n_keys + n_keys / 4 && keys >= n_keys - n_keys / 4) return;
    for (unsigned i = 0; i < SHADOWS_N; i++)
        alloc_put(shadows[i].lines, n_lines * sizeof *shadows[i].lines);
    size_t cells = n_keys = keys;
    for (sampled = 0; cells > CELLS_MAX; cells /= 2)
        sampled = 2 * sampled + 1;
    n_lines = (cells + WAYS - 1) / WAYS;
    for (unsigned i = 0; i < SHADOWS_N; i++)
        shadows[i] = (struct shadow){keys ? alloc_zero(n_lines * sizeof *shadows[i].lines) : NULL, 0};
    look_ups_left = n_lines * WAYS;
    shadows_best = SHADOWS_LEARNED;
}

static uint32_t age_of(const struct cell *c) {
    return (uint16_t)(ticks_now - c->stamp);
}

static float worth(const struct cell *c, enum shadows_rank rank) {
    return c->tag == 0 ? -FLT_MAX : shadows_worth(rank, c->code, age_of(c));
}

static bool look_up(struct cell line[WAYS], uint32_t tag, enum shadows_rank rank) {
    struct cell *lowest = line;
    for (struct cell *c = line; c < line + WAYS; c++) {
        if (c->tag != tag) continue;
        uint64_t luck = rand_u64();
        c->code = (uint16_t)codes_hit(codes_fade(c->code, age_of(c), (uint32_t)luck), (uint32_t)(luck >> 32));
        c->stamp = (uint16_t)ticks_now;
        return true;
    }
    float least = worth(line, rank);
    for (struct cell *c = line + 1; c < line + WAYS; c++) {
        float w = worth(c, rank);
        if (w > least || (w == least && age_of(c) <= age_of(lowest))) continue;
        least = w;
        lowest = c;
    }
    *lowest = (struct cell){tag, (uint16_t)ticks_now, CODES_NEW};
    return false;
}

static void end_round(void) {
    float lead = LEAD;
    look_ups_left = n_lines * WAYS;
    for (unsigned i = 0; i < SHADOWS_N; i++) {
        if (shadows[i].hits <= lead * shadows[shadows_best].hits) continue;
        shadows_best = (enum shadows_rank)i;
        lead = 1;
    }
    for (unsigned i = 0; i < SHADOWS_N; i++)
        shadows[i].hits *= MEMORY;
}

void shadows_look_up(uint64_t hash) {
    if (hash & sampled || n_lines == 0) return;
    uint32_t tag = (uint32_t)(hash >> 32);
    size_t line = (hash & UINT32_MAX) * n_lines >> 32;
    for (unsigned i = 0; i < SHADOWS_N; i++)
        shadows[i].hits += look_up(shadows[i].lines[line], tag ? tag : 1, (enum shadows_rank)i);
    if (--look_ups_left == 0) end_round();
}
