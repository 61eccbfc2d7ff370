/* Subscriptions, and the delivery of what is published.
 *
 * A topic is what one can subscribe to: a channel, a pattern of channels or a shard channel. It exists while somebody
 * has subscribed to it. A message is formatted once, whoever gets it, and costs by its receivers: a channel is found by
 * its hash, and of the patterns only those are tried whose literal beginning the channel has (ds/prefixes.h). */
#pragma once
#include "base/blob.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;

enum pubsub_kind { PUBSUB_CHANNEL, PUBSUB_PATTERN, PUBSUB_SHARD, PUBSUB_KINDS };

/* O(1), but for a new or vanishing pattern: O(its length). False: it was subscribed already, or was not. */
bool pubsub_subscribe(struct client *c, enum pubsub_kind kind, struct slice topic);
bool pubsub_unsubscribe(struct client *c, enum pubsub_kind kind, struct slice topic);
/* End the client's oldest subscription of this kind; `leaving` is told its name while that lasts. False: it had none. */
bool pubsub_unsubscribe_first(struct client *c, enum pubsub_kind kind, void (*leaving)(struct client *, struct slice));
size_t pubsub_count(const struct client *c, enum pubsub_kind kind); /* the client's subscriptions */

/* Send a message to the subscribers of a channel (with PUBSUB_CHANNEL: and of patterns that match it); how many there
 * were. The channel's come first, in the order in which they subscribed, then pattern after pattern in the order in
 * which these came up. `blob` is the message where it is in one, or NULL; large messages are shared by receivers. */
int64_t pubsub_publish(enum pubsub_kind kind, struct slice channel, struct slice message, struct blob *blob);
/* May anybody listen to a channel that begins with "__key"? One load, to be asked before a name is put together. */
extern size_t pubsub_keyspace_topics;

bool pubsub_any(void);                                                /* somebody has subscriptions */
size_t pubsub_topics(enum pubsub_kind kind);                          /* how many there are */
size_t pubsub_subscribers(enum pubsub_kind kind, struct slice topic); /* of one; 0 if there is no such */
void pubsub_each(enum pubsub_kind kind, void (*visit)(void *ctx, struct slice topic), void *ctx); /* in no order */
size_t pubsub_memory(void); /* of all topics and subscriptions */
