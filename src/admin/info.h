/* INFO: sections of "field:value" lines in Redis's order, names and formats, which monitoring and clients parse. A
 * section is a row of one table; what it says comes from the modules that count it. */
#pragma once
#include "base/slice.h"

struct buf;

/* Append the text of these sections, each once and in INFO's order; none means the default ones. Unknown names are
 * ignored. O(fields). */
void info_write(const struct slice *names, int count, struct buf *out);
