/* The metrics of one row of the command table: its calls and how long they took. Durations are in ticks of
 * clock_ticks(). {0} is a valid empty one. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define COMMAND_METRICS_BUCKETS 256

struct command_metrics {
    uint64_t calls;
    uint64_t ticks;      /* of all calls together */
    uint64_t rejected;   /* requests that were refused before their call: arity, gates */
    uint64_t failed;     /* calls that replied an error */
    uint64_t *histogram; /* calls by duration: COMMAND_METRICS_BUCKETS buckets, owned; NULL before the first call */
};

/* Count a call. O(1); the first call allocates the histogram. */
void command_metrics_add(struct command_metrics *m, uint64_t ticks, bool failed);
/* Back to zero; the histogram stays allocated. */
void command_metrics_reset(struct command_metrics *m);
/* The bucket of a duration; and the longest duration of a bucket, which exceeds the shortest by at most an eighth. The
 * last bucket takes all longer durations. */
unsigned command_metrics_bucket(uint64_t ticks);
uint64_t command_metrics_ticks(unsigned bucket);
/* The duration in ticks that `percentile` per cent of the calls did not exceed: the upper bound of its bucket. 0
 * without calls. O(buckets). */
uint64_t command_metrics_percentile(const struct command_metrics *m, double percentile);
