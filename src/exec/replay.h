/* Commands of a log: of the append-only file, or of a primary's stream. Such a command has succeeded once, elsewhere or
 * earlier; so it is called again without gates and without replies. Only commands that can stand in a log are called:
 * the bytes may be anybody's, and other commands could do harm. */
#pragma once
#include <stdbool.h>

struct prefetch;
struct request;

/* Look the command up, and begin to prefetch its key; there is room for PREFETCH_MAX keys. False: a log cannot have it,
 * since it is unknown, changes nothing, waits, or cannot have this number of arguments. */
bool replay_prepare(struct request *r, struct prefetch *ahead);
