/* See rank.h. The constants come from a simulation of 17 workloads in 3 sizes of cache; none of them is critical. */
#include "store/rank.h"
#include <string.h>

#define MEMORY 0.91f   /* what is left of the counts by the next rank_learn() */
#define PRIOR 50       /* events of all classes that are mixed into each, for classes that have few */
#define NEIGHBOUR 0.3f /* share of its neighbours' events that a class gets */

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

void rank_learn(void) {
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
}
