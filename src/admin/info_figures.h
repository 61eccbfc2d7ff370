/* The sections of INFO that count what commands do: for info.c only. */
#pragma once

struct buf;

void info_figures_stats(struct buf *out);
void info_figures_commands(struct buf *out);
void info_figures_errors(struct buf *out);
void info_figures_latencies(struct buf *out);
