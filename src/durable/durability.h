/* Connects the append-only file and snapshots to the server: commands go to the file, which is written before replies
 * leave; writes are refused after disk errors; the cron begins saves and rewrites; the end of the process saves. */
#pragma once
#include <stdbool.h>

struct buf;

/* Load the dataset, or end the process if that fails; from then on changes are logged. Call it when clients can connect
 * already: they get -LOADING meanwhile. */
void durability_start(void);
/* DEBUG LOADAOF: replace the dataset by the contents of the append-only file. False: that failed; logged. */
bool durability_reload(void);
/* Around the snapshot of a primary, which replaces the dataset: end the child that saves the old data, and stop the
 * log, whose files stay as they are. Then, whatever became of the snapshot, begin the log anew if appendonly is on: it
 * is rewritten. A disk that refuses is asked again each second. */
void durability_stop_log(void);
void durability_restart_log(void);
/* Append the fields of INFO persistence (durability_info.c). */
void durability_write_info(struct buf *out);
