/* What memory is used, and for what: the section of INFO, and the figures of MEMORY STATS. */
#pragma once
#include "base/alloc.h"
#include "repl/repl_info.h"
#include "script/cache.h"
#include "script/functions.h"

struct buf;

/* In bytes. */
struct info_memory {
    size_t used, peak, startup; /* startup: in use before there was any data */
    size_t uncounted;           /* not held against maxmemory, heaps of Lua included */
    size_t clients;
    size_t log; /* buffer of the append-only file */
    struct repl_info_memory repl;
    struct cache_metrics scripts;
    struct functions_metrics functions;
    size_t overhead;           /* neither a key nor a value: tables, wheels, clients, replication, scripts, startup */
    size_t data;               /* the rest of used */
    size_t resident;           /* of the process, up to 100 ms old */
    struct alloc_metrics heap; /* up to 100 ms old */
};
/* `own` are the bytes of the report that is being written: they are gone when it is sent, and do not count as used.
 * O(databases). */
void info_memory_read(struct info_memory *out, size_t own);

/* At the end of the start: memory in use until now is no data. */
void info_memory_start(void);
/* The section's lines. Memory in use is exact; figures that cost system calls are up to 100 ms old. O(databases). */
void info_memory_write(struct buf *out);
