/* The folder of the append-only file: the names in it, and the lock that keeps other servers out of it. */
#pragma once
#include "aof/aof_read.h"
#include "aof/manifest.h"
#include <stdbool.h>

const char *aof_folder_manifest(void);  /* the name of the manifest */
const char *aof_folder_temp_incr(void); /* the increment that no manifest names yet: it waits for its base */

/* Make the folder if it is not there, and lock it. False (logged): impossible, or another process holds the lock. */
bool aof_folder_make(void);
/* Lock the folder if it is there. False (logged): another process holds the lock. */
bool aof_folder_lock(void);
/* Make the names in the folder survive a power cut, and that of the folder itself if it is new. False: errno. */
bool aof_folder_sync(void);

bool aof_folder_save(const struct manifest *m); /* manifest_save() */
/* A file of this name holds data. It is no file of the manifest, so it must not be overwritten (logged). */
bool aof_folder_taken(const char *name);
/* Without a manifest: are there files that hold data and have the names of a base or an increment? Small ones are read,
 * with these hooks, to know. They are logged, with what the administrator can do. */
bool aof_folder_has_lost_files(const struct aof_reader_hooks *hooks);
/* Remove what a process that has died left in the folder. The lock must be held. */
void aof_folder_sweep(void);
