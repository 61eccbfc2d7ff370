/* Figures that belong to no single module: error counts by code, and rates sampled by the cron. */
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

struct stats {
    int64_t started_ms; /* wall clock */
    uint64_t connections_received, connections_rejected;
    uint64_t commands, errors;  /* processed; error replies */
    uint64_t turns, turn_ticks; /* of the loop, and what they took: clock_ticks() */
    uint64_t protocol_disconnects, query_limit_disconnects, output_limit_disconnects;
};
extern struct stats stats;

/* An error reply: `text` begins with its code. Counts errors and errorstats (at most 128 codes, as Redis). */
void stats_count_error(struct slice text);
size_t stats_error_count(void);
void stats_error_at(size_t i, struct slice *code, uint64_t *count);

/* Rates over the last 16 samples of the cron, per second. */
enum stats_rate { STATS_COMMANDS, STATS_BYTES_IN, STATS_BYTES_OUT, STATS_TURNS, STATS_TURN_TICKS, STATS_RATES };
void stats_sample(void);
uint64_t stats_rate(enum stats_rate rate);
void stats_reset(void); /* CONFIG RESETSTAT */
