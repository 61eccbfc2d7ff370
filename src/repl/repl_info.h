/* What INFO tells about replication: its section, and its fields in other sections. */
#pragma once
#include <stddef.h>

struct buf;
void repl_info_write(struct buf *out); /* all lines of INFO replication */
