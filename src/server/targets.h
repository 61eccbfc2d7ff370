/* Connections to the servers that MIGRATE sends keys to, kept for a while: a migration is many MIGRATEs in a row. */
#pragma once
#include "base/slice.h"
#include "net/peer.h"

struct target {
    struct peer peer;
    struct target *next;
    int64_t used_ms; /* monotonic */
    int db;          /* the database that is selected there, -1: unknown */
    size_t name_len;
    char name[]; /* "host:port" */
};

/* The connection to this server, a kept or a new one. NULL (errno): there is none. */
struct target *targets_get(struct slice host, int port, int64_t timeout_ms);
void targets_drop(struct target *t); /* it failed, or nobody knows what would come next */
size_t targets_count(void);
