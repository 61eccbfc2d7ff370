/* The dataset as commands, for a base that is not a snapshot (aof-use-rdb-preamble no). */
#pragma once
#include <stdbool.h>

/* Write all libraries and databases to the descriptor and sync it. False: errno. */
bool aof_rewrite_commands(int fd, bool incremental_sync);
