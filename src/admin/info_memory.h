/* INFO memory: what is used, and for what. */
#pragma once

struct buf;

/* At the end of the start: memory in use until now is no data. */
void info_memory_start(void);
/* The section's lines. Memory in use is exact; figures that cost system calls are up to 100 ms old. O(databases). */
void info_memory_write(struct buf *out);
