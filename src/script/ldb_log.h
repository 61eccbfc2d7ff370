/* What a debugging session says about the calls that a script makes, while it goes step by step. */
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>

/* The script goes step by step: what it calls is told. For callers: one branch. */
extern bool ldb_log_calls;

void ldb_log_call(const struct slice *argv, int argc);
/* Its reply, as inner_call() left it between the mark and the arena's tail; `refused`: what inner_call() returned was
 * false. An error is told as well. */
void ldb_log_reply(size_t mark, bool refused);
/* An error that the API gives a script: its text as the API has it ("-CODE ..." or without a code). */
void ldb_log_error(struct slice text);
