/* INFO's sections of counters, which CONFIG RESETSTAT sets back. */
#pragma once

struct buf;

/* Append the lines of a section. */
void info_counters_stats(struct buf *out);     /* O(rows of the command table) */
void info_counters_commands(struct buf *out);  /* commandstats: the same */
void info_counters_errors(struct buf *out);    /* errorstats: O(error codes) */
void info_counters_latencies(struct buf *out); /* latencystats: the same, and O(buckets) for each command called */
