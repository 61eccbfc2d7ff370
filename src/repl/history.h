/* The history of the data: the id of the log that led to them, the id of the log from which it branched off, and up to
 * which offset both agree. It tells whether a replica that has data of some history may go on with this one. */
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

#define HISTORY_ID_LEN 40 /* hex digits */

struct history {
    char id[HISTORY_ID_LEN + 1];
    char former_id[HISTORY_ID_LEN + 1]; /* "000..0": none */
    int64_t former_end; /* the offset up to which former_id holds too, as INFO's second_repl_offset; -1: none */
    bool told;          /* another server knows `id`: it came from there, or was told to a replica */
};
extern struct history history;

const char *history_tell(void); /* `id`, for a replica; it is told from now on */
/* The id under which most servers know the data. While nothing was written since the present id was made, and no
 * server was told that, it is the former one. */
const char *history_best_known(void);

void history_start(void); /* a new id, for a server that begins */
/* A new id that has nothing to do with the former ones: the first backlog is made, or the last one has expired. */
void history_renew(void);
/* This server leads from here on: a new id for what follows; the present one holds up to here. */
void history_branch(void);
/* The data are those of this history now: after a full sync. Nothing of the former ones holds. */
void history_adopt(struct slice id);
/* The primary goes on under another id: the present one holds up to here. Returns false if the id is no id. */
bool history_rename(struct slice id);
/* The former history, which a file tells: the process that wrote the file had it. */
void history_recall(const char *id, int64_t former_end);

/* Behind history_adopt(), and when the log is at its place: what a snapshot tells of the former history. It may come
 * from anywhere: nonsense is ignored. */
struct oplog_former;
void history_recall_former(const struct oplog_former *former);

enum history_match {
    HISTORY_CONTINUES, /* the log has what follows */
    HISTORY_FOREIGN,   /* another history, or it branched off before that offset */
    HISTORY_LOST,      /* the history is known, but the log has that offset no more, or not yet */
};
/* May a replica with data of `id` before `offset` (PSYNC's number less one) go on here? Ids are compared without regard
 * to case. */
enum history_match history_match(struct slice id, int64_t offset);
