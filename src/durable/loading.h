/* Reading the dataset: at start-up from the append-only file if that is on, else from the snapshot; later for DEBUG
 * RELOAD and DEBUG LOADAOF.
 *
 * At start-up, the loop is turned now and then meanwhile: clients may connect, PING and INFO are answered, and commands
 * on data get -LOADING. If the dataset cannot be loaded, a message is logged and the process ends with status 1 before
 * anything was written; it ends by _exit(), since there is nothing to clean up. */
#pragma once
#include "oplog/oplog.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct aof_command;

void loading_start_up(bool from_aof);

/* The place of the loaded data in the history of which they are: what RDB files have in their repl- fields, and logs in
 * their #R: lines (aof/aof_place.h). */
struct loading_place {
    char id[41]; /* 40 hex digits */
    int64_t offset;
    int db;        /* the database that the stream has selected there; -1: none */
    bool from_aof; /* else from the snapshot */
    struct oplog_former former;
};
/* Called once at start-up, when all is loaded and before the append-only file is opened, if the files tell a place. It
 * may restart the log there. If changes are propagated to the stream from then on, DELs follow for the keys that the
 * snapshot had and that were past their deadline: whoever has the same data, has these keys. May be NULL. */
extern void (*loading_recalled)(const struct loading_place *place);
extern bool loading_keeps_expired; /* keys of the snapshot past their deadline are loaded: on a replica */

enum loading_result {
    LOADING_DONE,
    LOADING_ABSENT, /* there is no such file */
    LOADING_BROKEN, /* logged, with the reason, the offset and the number of keys that were loaded */
};
/* Add the keys of the snapshot to the databases. merge: a key that is there already is overwritten; otherwise it is an
 * error. */
enum loading_result loading_snapshot(bool merge);
bool loading_again(void);     /* empty the databases and read the append-only file. False: that failed; logged */
bool loading_is_active(void); /* the data are not complete: commands on them get -LOADING */
bool loading_is_aside(void);  /* other data are loaded beside them, which replace them in the end: async_loading */
/* Append the fields of INFO persistence that are there only during loading. */
void loading_describe(struct buf *out);

/* Around the reading of a file of this size: in between, nothing expires and the gate keeps commands on data out. */
void loading_begin(uint64_t total_bytes);
/* The same while the data are complete, and others are loaded beside them: they are served, and their keys expire. */
void loading_begin_aside(uint64_t total_bytes);
void loading_end(void);
/* At run time, from cron_later(), after one of these: the loop may be turned until loading_end(). The job is what is
 * read, or NULL. */
struct rdb_read;
void loading_serve(const struct rdb_read *rdb);
void loading_wait(int wait_ms); /* turn the loop, and wait for an event as long as that: there is nothing to read */
void loading_breathe(void);     /* turn the loop, if it was not for a while */
/* Called by readers: this many bytes of the current file are done. Turns the loop now and then. A
 * reader_progress_fn. */
void loading_progress(void *ctx, uint64_t bytes);

/* Run commands from a log, in order, without gates and replies. Returns the number of commands that were run: if it is
 * smaller than count, the next one is unknown, has a wrong number of arguments, or does not belong in a log. */
size_t loading_apply(void *ctx, const struct aof_command *commands, size_t count);
