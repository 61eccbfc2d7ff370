/* What is counted of a command: calls, and how long they took. One per row, subcommands included; ticks are those of
 * clock_ticks(). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define COMMAND_STATS_BUCKETS 256

struct command_stats {
    uint64_t calls, ticks, rejected, failed;
    uint32_t *histogram; /* COMMAND_STATS_BUCKETS log-linear buckets of ticks; NULL before the first call */
};

void command_stats_add(struct command_stats *s, uint64_t ticks, bool failed);
void command_stats_reset(struct command_stats *s);
/* The bucket of a duration, and the upper bound in ticks of a bucket. */
unsigned command_stats_bucket(uint64_t ticks);
uint64_t command_stats_ticks(unsigned bucket);
