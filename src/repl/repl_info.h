/* What INFO tells about replication. */
#pragma once
#include <stddef.h>

struct buf;
void repl_info_write(struct buf *out); /* the lines of INFO replication */

size_t repl_info_connections(void); /* clients that are replicas: connected_clients leaves them out */

/* Memory for replicas, as INFO memory tells it. */
struct repl_info_memory {
    size_t backlog;  /* mem_replication_backlog: of the log, up to the backlog's size */
    size_t buffers;  /* mem_total_replication_buffers: all of the log */
    size_t of_feeds; /* mem_clients_slaves: what goes beyond the backlog, and the feeds themselves */
};
struct repl_info_memory repl_info_memory(void);

void repl_info_reset_metrics(void); /* CONFIG RESETSTAT */
