/* The log of changes: the one copy of all that was written, in shared blocks. Each of its readers, the replicas and the
 * append-only file, holds a cursor. Between the oldest cursor, or the beginning of the backlog, and the end, nothing is
 * dropped; so a slow reader costs memory for the bytes that it lacks, but never a copy of its own.
 *
 * The log is the replication stream, byte for byte: commands in RESP, SELECT where the database changes, MULTI and EXEC
 * around what belongs together. An offset is the number of bytes that were ever written before a place, as in Redis:
 * master_repl_offset is the offset of the end, and PSYNC asks for that number plus one.
 *
 * While the log has no keeper (oplog_is_kept is 0), nothing may be appended, and the offset stands still. */
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* What the log is kept for. */
enum oplog_keeper {
    OPLOG_FILE = 1 << 0,    /* the append-only file collects commands */
    OPLOG_BACKLOG = 1 << 1, /* replicas may ask for what was written: repl/history.h */
};
extern unsigned oplog_is_kept; /* enum oplog_keeper; 0: for nothing */
/* A module that also wants commands to be appended calls propagate_want() (exec/propagate.h), which calls this. When
 * the last keeper goes, all that was kept is dropped; no cursor may be placed then. */
void oplog_want(enum oplog_keeper keeper, bool wanted);

/* The id of the history that the log continues: 40 hex digits. NULL: no replica has ever known of this history, so it
 * is not worth a place in files. Set from above (repl/history.h). */
extern const char *oplog_id;
/* The history from which that one branched off. Set from above, too. */
struct oplog_former {
    char id[41]; /* "": none, or not known */
    int64_t end; /* up to this offset less one both agree: PSYNC's number, INFO's second_repl_offset */
};
extern struct oplog_former oplog_former;

/* --- Writing --------------------------------------------------------------------------------- */

/* Append a command, with SELECT before it if db_id differs from the selected database; -1: any will do (PING). `raw`,
 * if not empty, is the encoding of argv, which is copied as it is. Amortised O(bytes). */
void oplog_append(int db_id, const struct slice *argv, int argc, struct slice raw);
struct blob;
/* The same for a command with large arguments: argument i lies at the beginning of blobs[i], unless that is NULL. Such
 * an argument is not copied: the log becomes one more holder of the blob. O(the other bytes). */
void oplog_append_large(int db_id, const struct slice *argv, int argc, struct blob *const *blobs);
/* Append bytes of a primary's stream as they are: complete commands, which leave this database selected. */
void oplog_pass_on(struct slice bytes, int db_id);
/* Everything up to here may be applied without what follows: not between MULTI and EXEC. */
void oplog_end_unit(void);
int64_t oplog_end(void);      /* the offset of the end. O(1) */
int64_t oplog_unit_end(void); /* the offset at the last oplog_end_unit() */
int oplog_db(void);           /* the selected database; -1: the next command selects one */
int oplog_unit_db(void);      /* the same at oplog_unit_end() */
void oplog_forget_db(void);   /* a reader begins that knows of no selected database */
/* The opposite: the stream goes on where the log ends, in the database that the bytes before have selected. */
void oplog_recall_db(void);
/* Continue at this offset, which the data correspond to now; all that was kept is dropped. No cursor may be placed. */
void oplog_restart(int64_t offset, int db_id);

/* --- Reading --------------------------------------------------------------------------------- */

struct oplog_block;

/* A place in the log. Zeroed: nowhere. While it is placed, nothing from it on is dropped. */
struct oplog_cursor {
    struct oplog_block *block; /* NULL: nowhere */
    size_t at;                 /* bytes of the block before the place */
};

/* Go to an offset. False: the log has it no more, or not yet; the cursor is nowhere then. O(log blocks). */
bool oplog_seek(struct oplog_cursor *cursor, int64_t offset);
/* What follows the place, at most max pieces and `bytes` bytes. Returns the number of pieces; 0 at the end. Valid until
 * the cursor moves or the log is appended to. */
int oplog_peek(const struct oplog_cursor *cursor, struct iovec *pieces, int max, size_t bytes);
void oplog_advance(struct oplog_cursor *cursor, size_t bytes); /* at most to the end. O(blocks passed) */
int64_t oplog_at(const struct oplog_cursor *cursor);           /* its offset */
size_t oplog_behind(const struct oplog_cursor *cursor);        /* bytes from there to the end */
void oplog_leave(struct oplog_cursor *cursor);                 /* it is nowhere from now on */

/* --- The backlog ----------------------------------------------------------------------------- */

void oplog_keep(size_t bytes); /* the last bytes of the log that are kept although no cursor reads them */
int64_t oplog_first(void);     /* the offset of the first byte that is kept */
/* Drop blocks that neither a cursor nor the backlog needs, a bounded number of them: to be called once a turn. */
void oplog_trim(void);

struct oplog_metrics {
    size_t bytes;    /* kept, from oplog_first() to oplog_end() */
    size_t memory;   /* that these take: blocks, spare blocks, and large values, which the dataset may hold, too */
    size_t referred; /* of `memory`, the large values */
    size_t excess;   /* of `memory`, what goes beyond the bytes of oplog_keep() */
};
struct oplog_metrics oplog_metrics(void); /* O(1) */
