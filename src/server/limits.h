/* What a client may take: memory, time, number. The clients and the waves obey; the rows live here. */
#pragma once
#include "base/option.h"

#define LIMITS_RESERVED_FDS 32 /* descriptors beyond the clients': listeners, log, files, the loop */

enum limits_class { LIMITS_NORMAL, LIMITS_REPLICA, LIMITS_PUBSUB, LIMITS_CLASSES };

struct limits_options {
    int64_t query_buffer_limit; /* client-query-buffer-limit, bytes of a request that has not come completely */
    struct {
        int64_t hard, soft; /* bytes of unsent output; 0: no limit */
        int soft_s;         /* for how long the soft limit may be passed */
    } output_limit[LIMITS_CLASSES];
    int timeout_s;       /* idle clients are closed after; 0: never */
    int keepalive_s;     /* tcp-keepalive; 0: off */
    int64_t max_clients; /* maxclients, as the limit on open files allows */
    int64_t max_bulk;    /* proto-max-bulk-len, bytes */
};
extern struct limits_options limits_options;
extern const struct option limits_rows[];

/* The longest argument a client may send. Whatever proto-max-bulk-len says, its length fits an int, with
 * room for the text of an error around it; a key's length fits the 32 bits that an entry has for it. */
#define LIMITS_ARGUMENT_MAX (INT32_MAX - 65536)
static inline int64_t limits_max_bulk(void) {
    return limits_options.max_bulk < LIMITS_ARGUMENT_MAX ? limits_options.max_bulk : LIMITS_ARGUMENT_MAX;
}

/* At start-up: raise the limit on open files for max_clients, or lower max_clients
 * and say so in the log. Exits with 1 where not even one client could be served. */
void limits_fit_files(void);
