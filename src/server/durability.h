/* Where persistence meets the server: the append-only file listens to what is propagated and is on disk before replies
 * leave; writes are refused while the disk does not take them; the cron begins what is due; INFO tells. */
#pragma once
#include "base/option.h"

struct buf;

extern const struct option durability_rows[]; /* appendonly and its kin */

/* At start-up, when clients can connect: load the dataset, or end the process; from here on changes are logged. */
void durability_start(void);
void durability_write_info(struct buf *out); /* the fields of INFO persistence */
void durability_tick(void);                  /* from the cron, `hz` times a second */
void durability_look(void);                  /* a save has succeeded or failed: are writes welcome? */
/* DEBUG LOADAOF: replace the dataset by what the append-only file has. False has been logged. */
bool durability_reload(void);
