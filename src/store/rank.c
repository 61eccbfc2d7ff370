/* See rank.h. The constants come from a simulation of 17 workloads in 3 sizes of cache; none of them is critical. */
#include "store/rank.h"
#include <math.h>
#include <string.h>

#define MEMORY 0.93f            /* what is left of the counts by the next rank_learn() */
#define PRIOR 50                /* events of all classes that are mixed into each, for classes that have few */
#define NEIGHBOUR 0.3f          /* share of its neighbours' events that a class gets */
#define COUNT_POWER 0.3f        /* a rank by count is raised by N^0.3 ... */
#define COUNT_FADE (0.5f / 256) /* ... where N fades by this many doublings a tick: 0.5 a turnover */

typedef float table[RANK_BUCKETS][RANK_CLASSES];
static table hits, evictions, ranks;

/* Ages below 4 have a bucket each; then the two bits behind the highest one tell the quarter of the octave. */
unsigned rank_bucket(uint32_t age) {
    if (age < 4) return age;
    unsigned octave = 31 - (unsigned)__builtin_clz(age), bucket = 4 * (octave - 1) + (age >> (octave - 2) & 3);
    return bucket < RANK_BUCKETS ? bucket : RANK_BUCKETS - 1;
}

float rank_width(unsigned bucket) {
    return bucket < 4 ? 1 : (float)(1u << (bucket / 4 - 1));
}

void rank_hit(unsigned class, uint32_t age) {
    hits[rank_bucket(age)][class]++;
}

void rank_eviction(unsigned class, uint32_t age) {
    evictions[rank_bucket(age)][class]++;
}

float rank_of(unsigned class, uint32_t age) {
    return ranks[rank_bucket(age)][class];
}

void rank_reset(void) {
    memset(hits, 0, sizeof hits);
    memset(evictions, 0, sizeof evictions);
    memset(ranks, 0, sizeof ranks);
}

static float row_sum(const float row[RANK_CLASSES]) {
    float sum = 0;
    for (unsigned c = 0; c < RANK_CLASSES; c++)
        sum += row[c];
    return sum;
}

/* The events of each class in one bucket: its own, some of its neighbours', some of all classes'. Then they fade. */
static void read_row(float row[RANK_CLASSES], float prior, float events[RANK_CLASSES]) {
    float sum = row_sum(row) * prior;
    for (unsigned c = 0; c < RANK_CLASSES; c++) {
        float near = (c > 0 ? row[c - 1] : 0) + (c + 1 < RANK_CLASSES ? row[c + 1] : 0);
        events[c] = row[c] + NEIGHBOUR * near + sum;
    }
    for (unsigned c = 0; c < RANK_CLASSES; c++)
        row[c] *= MEMORY;
}

/* A key that was used often is worth more than its next hit, since others will follow. But what was popular long ago is
 * no better than others. */
static void raise_by_count(void) {
    float raise[RANK_CLASSES], age = 0;
    for (unsigned c = 0; c < RANK_CLASSES; c++)
        raise[c] = exp2f(COUNT_POWER * (float)c / 2);
    for (unsigned a = 0; a < RANK_BUCKETS; a++) {
        float faded = exp2f(-COUNT_POWER * COUNT_FADE * age);
        for (unsigned c = 0; c < RANK_CLASSES; c++)
            ranks[a][c] *= fmaxf(raise[c] * faded, 1);
        age += rank_width(a);
    }
}

void rank_learn(bool by_count) {
    float total = 0, sum_hits[RANK_CLASSES] = {0}, sum[RANK_CLASSES] = {0}, life[RANK_CLASSES] = {0};
    for (unsigned a = 0; a < RANK_BUCKETS; a++)
        total += row_sum(hits[a]) + row_sum(evictions[a]);
    float prior = total > 0 ? PRIOR / total : 0;
    for (unsigned a = RANK_BUCKETS; a-- > 0;) {
        float h[RANK_CLASSES], e[RANK_CLASSES];
        read_row(hits[a], prior, h);
        read_row(evictions[a], prior, e);
        for (unsigned c = 0; c < RANK_CLASSES; c++) {
            sum_hits[c] += h[c];
            sum[c] += h[c] + e[c];
            life[c] += sum[c] * rank_width(a);
            ranks[a][c] = life[c] > 1e-12f ? sum_hits[c] / life[c] : 0;
        }
    }
    if (by_count) raise_by_count();
}
