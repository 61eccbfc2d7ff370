/* Transactions: the requests that a client queues between MULTI and EXEC, and the keys it watches. The commands are
 * here too: MULTI, EXEC, DISCARD, WATCH and UNWATCH.
 *
 * A request is copied once, when it is queued; by then its command was looked up and its first key hashed. EXEC
 * prefetches the keys of the next requests, as a wave does, and runs the requests one after another. A client without a
 * transaction and without watched keys has no struct tx. */
#pragma once
#include "session/request.h"
#include <stddef.h>

struct client;

/* Between MULTI and EXEC: queue an admitted request. Replies QUEUED, or an error if its command cannot be queued. */
void tx_queue(struct request *r);
/* Refuse a request with this error, which is replied. Between MULTI and EXEC, EXEC will fail then. If the request is
 * EXEC, the transaction ends. */
void tx_refuse(struct request *r, const char *error);
/* An error was replied to a request that could have been queued: if the client is between MULTI and EXEC, EXEC will
 * fail. */
void tx_spoil(struct client *c);
/* The OR of the queued commands' flags, and the OR of their complements. Both are 0 without a queue. */
void tx_flags(const struct client *c, unsigned *any, unsigned *lacking);
size_t tx_queue_bytes(const struct client *c); /* of its queued requests */
