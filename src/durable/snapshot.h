/* The snapshot: the file `dbfilename` in `dir`, in the format of rdb/rdb. Reading and writing it, and the log lines
 * about that. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct snapshot_metrics {
    int64_t saved_s;          /* wall clock of the last successful save or, before that, of the start */
    int64_t saved_ms;         /* clock_steady_ms() at that time */
    uint64_t saves;           /* saves since the start */
    uint64_t loaded, expired; /* keys that the last load added; that it left out as expired */
};
extern struct snapshot_metrics snapshot_metrics;

const char *snapshot_name(void); /* the value of dbfilename; valid until the option changes */
/* Write the snapshot now, in this process. False: that failed and the former file is untouched; logged. O(keys). */
bool snapshot_save(void);
void snapshot_saved(void); /* a save has succeeded right now */
/* For a child: write it by way of this temporary file. */
bool snapshot_write(const char *temporary);

struct rdb_read;
/* Read a snapshot as rdb_read() does, and log the result. `name` is the file's name in the log. False: it is broken. */
bool snapshot_read(struct rdb_read *job, const char *name);
