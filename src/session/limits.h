/* Limits on clients: how many there are, how long they may be idle, how many bytes their requests and their unsent
 * replies may take. This module holds the options; client.c, wave.c, listen.c and cron.c enforce them. */
#pragma once
#include <stdint.h>

#define LIMITS_RESERVED_FDS 32 /* descriptors that are not for clients: listeners, log, files, the loop */

/* The class of a client decides which output limits apply to it. */
enum limits_class { LIMITS_NORMAL, LIMITS_REPLICA, LIMITS_PUBSUB, LIMITS_CLASSES };

/* Bytes of unsent output; 0: no limit. */
struct limits_output {
    int64_t hard; /* a client above it is closed at once */
    int64_t soft; /* a client that is above it for soft_s seconds is closed then */
    int soft_s;
};

struct limits_options {
    int64_t query_buffer_limit; /* client-query-buffer-limit: bytes of a request that is not complete */
    struct limits_output output_limit[LIMITS_CLASSES];
    int timeout_s;       /* a client that is idle for longer is closed; 0: never */
    int keepalive_s;     /* tcp-keepalive; 0: off */
    int64_t max_clients; /* maxclients */
    int64_t max_bulk;    /* proto-max-bulk-len, in bytes; see limits_max_bulk() */
};
extern struct limits_options limits_options;

/* The most bytes that an argument may have, whatever proto-max-bulk-len says: its length fits an int, with room for the
 * text of an error around it, and the length of a key fits the 32 bits that an entry has for it. */
#define LIMITS_ARGUMENT_MAX (INT32_MAX - 65536)
/* The most bytes that a client may send as one argument now. */
static inline int64_t limits_max_bulk(void) {
    return limits_options.max_bulk < LIMITS_ARGUMENT_MAX ? limits_options.max_bulk : LIMITS_ARGUMENT_MAX;
}

/* At start-up: raise the limit on open files for max_clients; if the system refuses, lower max_clients and log it.
 * Exits with 1 if not even one client could be served. */
void limits_fit_files(void);
