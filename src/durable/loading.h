/* Reading the dataset at start-up: from the append-only file if that is on, else from the snapshot.
 *
 * Meanwhile the loop is turned now and then: clients may connect, PING and INFO are answered, and everything that
 * touches data gets -LOADING. What cannot be loaded ends the process with status 1 and a message, before anything
 * has been written; by _exit(), since nobody is left to clean up for. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct aof_command;

void loading_start_up(bool from_aof);
enum loading_result { LOADING_DONE, LOADING_ABSENT, LOADING_BROKEN };
/* Add the keys of the snapshot to the databases. merge: keys that are there already are overwritten, else they are an
 * error. BROKEN: logged, with the reason, the place and the number of keys that were loaded. */
enum loading_result loading_snapshot(bool merge);
bool loading_again(void); /* empty the databases, and read the append-only file. False has been logged. */
bool loading_is_active(void);
/* The fields of INFO persistence that are there only meanwhile. */
void loading_describe(struct buf *out);

/* Around the reading of so many bytes: nothing expires and clients are kept out. */
void loading_begin(uint64_t total_bytes);
void loading_end(void);
/* So many bytes of this file are done; turns the loop now and then. A reader_progress_fn. */
void loading_progress(void *ctx, uint64_t bytes);

/* Carry out commands from a log, in order, with no gates and no replies. Returns how many could be: the next one does
 * not exist, or is none that a log can hold. */
size_t loading_apply(void *ctx, const struct aof_command *commands, size_t count);
