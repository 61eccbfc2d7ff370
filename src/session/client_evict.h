/* Client eviction: a limit on the memory of all clients together (maxmemory-clients). While it is exceeded, the clients
 * that take most are closed. Clients with CLIENT_NO_EVICT count, but are spared. */
#pragma once
#include "base/likely.h"
#include <stdbool.h>
#include <stddef.h>

struct client;

/* Bytes that all clients may take together; 0: no limit. No client is closed at once. O(clients). */
void client_evict_set_limit(size_t bytes);
extern bool client_evict_is_on; /* there is a limit */

/* The client's memory, or CLIENT_NO_EVICT, may have changed. O(parts of a client). */
void client_evict_note(struct client *c);
static inline void client_evict_weigh(struct client *c) {
    if (unlikely(client_evict_is_on)) client_evict_note(c);
}
/* Close clients until the others are within the limit. Does nothing while a command is executed. O(closed clients). */
void client_evict_now(void);
static inline void client_evict_run(void) {
    if (unlikely(client_evict_is_on)) client_evict_now();
}
