/* Removing the damaged part of an append-only file, for a server that starts and for kura-check-aof. What is removed
 * goes to a file beside it first: no bytes are lost, whatever happens. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define AOF_REPAIR_NAME 600 /* bytes of the name of the file that gets the removed part */

/* Cut dir/name off after its first `good` bytes. `aside` gets the name of the file with the rest, or "" if there is
 * none. False (errno): nothing is lost, and the file is as it was or cut already. */
bool aof_repair_cut(const char *dir, const char *name, uint64_t good, char aside[AOF_REPAIR_NAME]);
/* Take the bytes from `good` up to `from` out of dir/name. What follows was written for the database that is selected
 * there: if the removed bytes select one, then so does a frame in their place, and *db is its number, else -1. False
 * (errno): the file is as it was. */
bool aof_repair_cut_out(const char *dir, const char *name, uint64_t good, uint64_t from, char aside[AOF_REPAIR_NAME],
                        int *db);
