/* INFO: sections of "field:value" lines that monitoring and clients parse, in Redis's order, names and formats. */
#pragma once
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

struct buf;

/* The text for these section names; none means the default ones. Unknown names are passed over. */
void info_write(const struct slice *names, int count, struct buf *out);

/* 40 hex digits that name this run of the server. */
const char *info_run_id(void);
