/* Transactions: the requests that a client queues between MULTI and EXEC, and the keys it watches.
 *
 * A request is copied once, when it is queued. By then its command was looked up and its first key hashed. EXEC fetches
 * the keys of the requests ahead, as a wave does, and runs the requests one after another. A client without a
 * transaction has no struct tx. */
#pragma once
#include "session/request.h"
#include <stdbool.h>
#include <stddef.h>

struct client;

/* The commands. */
void tx_multi(struct client *c);
void tx_exec(struct request *r);
void tx_discard(struct client *c);
void tx_watch(struct request *r);
void tx_unwatch(struct client *c);

/* Between MULTI and EXEC: keep the request for EXEC. Replies QUEUED, or an error. */
void tx_queue(struct request *r);
/* Refuse a request with this error. Between MULTI and EXEC, EXEC will then fail. If the request is EXEC, the transaction
 * ends. */
void tx_refuse(struct request *r, const char *error);
/* An error was replied to a request that would have been queued: EXEC will fail. */
void tx_spoil(struct client *c);
/* The OR of the queued commands' flags, and the OR of their complements. */
void tx_flags(const struct client *c, unsigned *any, unsigned *lacking);

size_t tx_queue_bytes(const struct client *c); /* of its queued requests */
