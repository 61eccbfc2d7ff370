/* The histogram is log-linear: a doubling has eight buckets, and durations below eight ticks have one each. It is
 * allocated with the first call, since most commands are never called. */
#include "catalog/command_stats.h"
#include "base/alloc.h"
#include "base/likely.h"
#include <math.h>
#include <string.h>

unsigned command_stats_bucket(uint64_t ticks) {
    if (ticks < 8) return (unsigned)ticks;
    unsigned exponent = 63u - (unsigned)__builtin_clzll(ticks);
    unsigned bucket = (exponent - 2) * 8 + (unsigned)(ticks >> (exponent - 3) & 7);
    return bucket < COMMAND_STATS_BUCKETS ? bucket : COMMAND_STATS_BUCKETS - 1;
}

uint64_t command_stats_ticks(unsigned bucket) {
    if (bucket < 8) return bucket;
    unsigned exponent = bucket / 8 + 2;
    return ((uint64_t)(8 + bucket % 8 + 1) << (exponent - 3)) - 1;
}

void command_stats_add(struct command_stats *s, uint64_t ticks, bool failed) {
    s->calls++;
    s->ticks += ticks;
    s->failed += failed;
    if (unlikely(s->histogram == NULL)) s->histogram = alloc_zero(COMMAND_STATS_BUCKETS * sizeof *s->histogram);
    s->histogram[command_stats_bucket(ticks)]++;
}

void command_stats_reset(struct command_stats *s) {
    uint64_t *histogram = s->histogram;
    if (histogram) memset(histogram, 0, COMMAND_STATS_BUCKETS * sizeof *histogram);
    *s = (struct command_stats){.histogram = histogram};
}

uint64_t command_stats_percentile(const struct command_stats *s, double percentile) {
    uint64_t wanted = (uint64_t)ceil(percentile * (double)s->calls / 100), seen = 0;
    for (unsigned i = 0; s->calls && i < COMMAND_STATS_BUCKETS; i++) {
        seen += s->histogram[i];
        if (s->histogram[i] && seen >= wanted) return command_stats_ticks(i);
    }
    return 0;
}
