/* Transactions: what a client queues between MULTI and EXEC, and the keys it watches.
 *
 * A request is copied once, when it is queued, into one growing allocation; its command was looked up by then, and its
 * first key hashed. EXEC fetches the keys of all of them ahead, as a wave does, and runs them one after
 * another. A client without a transaction has no struct tx. */
#pragma once
#include "server/exec.h"
#include <stdbool.h>
#include <stddef.h>

struct client;

/* The commands. */
void tx_multi(struct client *c);
void tx_exec(struct request *r);
void tx_discard(struct client *c);
void tx_watch(struct request *r);
void tx_unwatch(struct client *c);

/* For exec: the client is between MULTI and EXEC, and this request waits for the latter. Replies. */
void tx_queue(struct request *r);
/* A request may not run: reply the error, in which case EXEC will fail; of EXEC itself, end the transaction. */
void tx_refuse(struct request *r, const char *error);
/* An error was replied to a request that would have been queued: EXEC will fail. */
void tx_spoil(struct client *c);
/* What any queued command has, and what any of them lacks, of enum command_flag. */
void tx_flags(const struct client *c, unsigned *any, unsigned *lacking);

/* The transaction is over: RESET, or the client goes. */
void tx_forget(struct client *c);

bool tx_is_doomed(const struct client *c); /* a watched key was touched */
int tx_queued(const struct client *c);     /* requests; -1 outside of MULTI */
size_t tx_queue_bytes(const struct client *c);
size_t tx_memory(const struct client *c);
