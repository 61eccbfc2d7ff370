/* Connects the append-only file and snapshots to the server: the sink of propagation, the flush before replies leave,
 * the refusal of writes after disk errors, the work that the cron begins, INFO persistence. */
#pragma once
#include <stdbool.h>

struct buf;

/* At start-up, when clients can connect: load the dataset, or end the process; from here on changes are logged. */
void durability_start(void);
void durability_write_info(struct buf *out); /* the fields of INFO persistence */
/* DEBUG LOADAOF: replace the dataset by what the append-only file has. False has been logged. */
bool durability_reload(void);
