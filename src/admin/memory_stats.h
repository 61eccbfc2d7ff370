/* MEMORY STATS, DOCTOR, MALLOC-STATS and PURGE: bodies for the rows in memory_usage.c. */
#pragma once

struct request;

void memory_stats_command(struct request *r);
void memory_stats_doctor(struct request *r);
void memory_stats_malloc(struct request *r);
void memory_stats_purge(struct request *r);
