/* The source of the script that is debugged, by lines, and the breakpoints in it. Lines count from 1. */
#pragma once
#include "base/slice.h"
#include <stdbool.h>

enum { LDB_BREAKPOINTS_MAX = 64 };

void ldb_source_open(struct slice script); /* which has to stay; without breakpoints */
void ldb_source_close(void);

/* Say a line, with its number, and a mark if it is the current one or has a breakpoint. */
void ldb_source_say(int line, int current);
/* Say those of the lines from `around - context` to `around + context` that exist. */
void ldb_source_list(int around, int context, int current);

bool ldb_source_has_breakpoint(int line);
/* False: there is no such line, or it has one already. At most LDB_BREAKPOINTS_MAX: the caller looks. */
bool ldb_source_add_breakpoint(int line);
bool ldb_source_remove_breakpoint(int line); /* false: there is none */
void ldb_source_clear_breakpoints(void);
int ldb_source_breakpoints(const int **lines); /* how many; in the order in which they were set */
