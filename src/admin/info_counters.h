/* The sections of INFO that count what commands do: for info.c only. */
#pragma once

struct buf;

void info_counters_stats(struct buf *out);
void info_counters_commands(struct buf *out);
void info_counters_errors(struct buf *out);
void info_counters_latencies(struct buf *out);
