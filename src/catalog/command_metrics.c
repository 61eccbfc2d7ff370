/* The histogram is log-linear: a doubling has eight buckets, and durations below eight ticks have one each. It is
 * allocated with the first call, since most commands are never called. */
#include "catalog/command_metrics.h"
#include "base/alloc.h"
#include "base/likely.h"
#include <math.h>
#include <string.h>

unsigned command_metrics_bucket(uint64_t ticks) {
    if (ticks < 8) return (unsigned)ticks;
    unsigned exponent = 63u - (unsigned)__builtin_clzll(ticks);
    unsigned bucket = (exponent - 2) * 8 + (unsigned)(ticks >> (exponent - 3) & 7);
    return bucket < COMMAND_METRICS_BUCKETS ? bucket : COMMAND_METRICS_BUCKETS - 1;
}

uint64_t command_metrics_ticks(unsigned bucket) {
    if (bucket < 8) return bucket;
    unsigned exponent = bucket / 8 + 2;
    return ((uint64_t)(8 + bucket % 8 + 1) << (exponent - 3)) - 1;
}

void command_metrics_add(struct command_metrics *m, uint64_t ticks, bool failed) {
    m->calls++;
    m->ticks += ticks;
    m->failed += failed;
    if (unlikely(m->histogram == NULL)) m->histogram = alloc_zero(COMMAND_METRICS_BUCKETS * sizeof *m->histogram);
    m->histogram[command_metrics_bucket(ticks)]++;
}

void command_metrics_reset(struct command_metrics *m) {
    uint64_t *histogram = m->histogram;
    if (histogram) memset(histogram, 0, COMMAND_METRICS_BUCKETS * sizeof *histogram);
    *m = (struct command_metrics){.histogram = histogram};
}

uint64_t command_metrics_percentile(const struct command_metrics *m, double percentile) {
    uint64_t wanted = (uint64_t)ceil(percentile * (double)m->calls / 100), seen = 0;
    for (unsigned i = 0; m->calls && i < COMMAND_METRICS_BUCKETS; i++) {
        seen += m->histogram[i];
        if (m->histogram[i] && seen >= wanted) return command_metrics_ticks(i);
    }
    return 0;
}
