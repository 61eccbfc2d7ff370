/* Subscriptions and the delivery of messages.
 *
 * A topic is a channel, a pattern of channels or a shard channel; it exists while a client has subscribed to it. A
 * message is formatted once, however many clients get it. It costs O(receivers + patterns that are tried): a channel is
 * found by its hash, and only those patterns are tried whose literal beginning the channel has (ds/prefixes.h). */
#pragma once
#include "base/blob.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;

enum pubsub_kind { PUBSUB_CHANNEL, PUBSUB_PATTERN, PUBSUB_SHARD, PUBSUB_KINDS };

/* False: the client had subscribed already, or had not. The name is copied. O(1); O(length) for the first subscription
 * to a pattern and the end of the last one. */
bool pubsub_subscribe(struct client *c, enum pubsub_kind kind, struct slice topic);
bool pubsub_unsubscribe(struct client *c, enum pubsub_kind kind, struct slice topic);
/* End the client's oldest subscription of this kind. `leaving` (may be NULL) is called with its name before that, and
 * the name is valid during that call only. False: the client has none. */
bool pubsub_unsubscribe_first(struct client *c, enum pubsub_kind kind, void (*leaving)(struct client *, struct slice));
size_t pubsub_count(const struct client *c, enum pubsub_kind kind); /* the client's subscriptions */

/* Send a message to the subscribers of a channel and, with PUBSUB_CHANNEL, of the patterns that match it. Returns the
 * number of messages that were sent. The order: subscribers of the channel as they subscribed, then those of each
 * pattern, the oldest pattern first. `blob` holds the message, or is NULL; the caller keeps its hold of it. */
int64_t pubsub_publish(enum pubsub_kind kind, struct slice channel, struct slice message, struct blob *blob);
/* Topics that a channel beginning with "__key" could reach. If it is 0, no keyspace event needs to be published. */
extern size_t pubsub_keyspace_topics;

bool pubsub_any(void);                                                /* a client has subscriptions */
size_t pubsub_topics(enum pubsub_kind kind);                          /* number of topics of this kind */
size_t pubsub_subscribers(enum pubsub_kind kind, struct slice topic); /* 0 if there is no such topic */
void pubsub_each(enum pubsub_kind kind, void (*visit)(void *ctx, struct slice topic), void *ctx); /* in no order */
size_t pubsub_memory(void); /* bytes of all topics and subscriptions */
