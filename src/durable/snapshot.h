/* The file `dbfilename` in `dir`: written by SAVE, read when the server starts. The format is persist/rdb.h's. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct snapshot_figures {
    int64_t saved_s;          /* wall clock of the last good save, or of the start */
    uint64_t saves;           /* since the start */
    uint64_t loaded, expired; /* keys, by the last load */
};
extern struct snapshot_figures snapshot_figures;

const char *snapshot_name(void); /* the value of dbfilename */
/* Write it now, by this process. False: the log says why; what was there before still is. */
bool snapshot_save(void);

struct rdb_read;
/* Read one, from this file, and log how it went. The name is for people. False: it is broken. */
bool snapshot_read(struct rdb_read *job, const char *name);
