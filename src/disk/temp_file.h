/* Files that are written under a temporary name in the working directory, and get their own name when they are
 * complete.
 *
 * The name has a random number, and a file is made only where none is: so nobody can plant a link under it that leads
 * to another file. At most one file of each kind is being written. The server chooses the name, also for a child that
 * writes: so it can remove the file however the child ends. */
#pragma once
#include <stdbool.h>

enum temp_file {
    TEMP_SNAPSHOT, /* by the server itself */
    TEMP_BGSAVE,   /* by a child */
    TEMP_AOF_BASE, /* by a child */
    TEMP_FILES
};

/* Choose a new name. Valid until the next call for this kind. */
const char *temp_file_choose(enum temp_file kind);
const char *temp_file_name(enum temp_file kind); /* the one that was chosen; "": there is none */
/* A descriptor for writing, close-on-exec. mode: as for open(2). -1: errno. */
int temp_file_create(const char *path, unsigned mode);
/* The file has got its own name, or is of no use: forget the temporary name, and remove what has it. */
void temp_file_drop(enum temp_file kind);
/* The process ends at once: remove all files that are being written. Async-signal-safe. */
void temp_file_abandon(void);
/* Remove such files of processes that are dead. O(names in the working directory). */
void temp_file_sweep(void);
