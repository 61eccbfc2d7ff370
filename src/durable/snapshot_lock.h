/* The lock on the snapshot: two servers that save to the same file lose each other's data.
 *
 * It is held while there are save points, for as long as the server runs. Servers without save points may share a
 * folder: they write only when they are told to. A snapshot is replaced by each save, so the lock is on a file of its
 * own beside it, `.<dbfilename>.lock`, which a clean end removes. */
#pragma once
#include <stdbool.h>

/* Of these, the first three hold the lock that fits from now on, or release it. False: another process holds it
 * (logged, *error), and everything is as it was. Before snapshot_lock_start() they only remember. */
bool snapshot_lock_points(bool any, const char **error);       /* are there save points? */
bool snapshot_lock_name(const char *name, const char **error); /* of the snapshot */
bool snapshot_lock_fit(const char **error);                    /* dir has changed */
bool snapshot_lock_start(void);                                /* false as above */
void snapshot_lock_end(void);                                  /* the process ends */
