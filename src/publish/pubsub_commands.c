/* The commands of pubsub.h. SUBSCRIBE and its like do not reply: they send one message for each topic, and CLIENT REPLY
 * OFF does not suppress messages. */
#include "base/glob.h"
#include "base/module.h"
#include "catalog/command_row.h"
#include "exec/call.h"
#include "publish/pubsub.h"
#include "session/client.h"
#include "session/push.h"
#include "session/reply.h"
#include "session/request.h"

/* --- Subscribing ----------------------------------------------------------------------------- */

static const char *const subscribed[PUBSUB_KINDS] = {"subscribe", "psubscribe", "ssubscribe"};
static const char *const unsubscribed[PUBSUB_KINDS] = {"unsubscribe", "punsubscribe", "sunsubscribe"};

/* Channels and patterns are counted together, shard channels by themselves. */
static int64_t count_with_kind(const struct client *c, enum pubsub_kind kind) {
    if (kind == PUBSUB_SHARD) return (int64_t)pubsub_count(c, PUBSUB_SHARD);
    return (int64_t)(pubsub_count(c, PUBSUB_CHANNEL) + pubsub_count(c, PUBSUB_PATTERN));
}

/* A message has three parts: its type, the topic and the count. */
static void begin_message(struct client *c, const char *type) {
    if (c->resp == 2)
        reply_array(c, 3);
    else
        reply_push(c, 3);
    reply_bulk_cstr(c, type);
}

/* Bytes from the mark on would be dropped as a reply if the client wants none: send them as messages instead. */
static void end_messages(struct client *c, size_t mark) {
    if (!(c->flags & (CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP))) return;
    push_copy(c, mark, conn_mark());
    conn_truncate(mark);
}

static void subscribe_to(struct request *r, enum pubsub_kind kind) {
    struct client *c = r->client;
    size_t mark = conn_mark();
    for (int i = 1; i < r->argc; i++) {
        pubsub_subscribe(c, kind, r->argv[i]);
        begin_message(c, subscribed[kind]);
        reply_bulk(c, r->argv[i]);
        reply_int(c, count_with_kind(c, kind));
    }
    end_messages(c, mark);
}

/* The name is written before the subscription ends and may free it, the count afterwards. */
static void write_name(struct client *c, struct slice name) {
    reply_bulk(c, name);
}

static void unsubscribe_all(struct client *c, enum pubsub_kind kind) {
    bool has_some = pubsub_count(c, kind) > 0;
    do {
        begin_message(c, unsubscribed[kind]);
        if (!pubsub_unsubscribe_first(c, kind, write_name)) reply_null(c);
        reply_int(c, count_with_kind(c, kind));
    } while (has_some && pubsub_count(c, kind));
}

static void unsubscribe_from(struct request *r, enum pubsub_kind kind) {
    struct client *c = r->client;
    size_t mark = conn_mark();
    if (r->argc == 1) unsubscribe_all(c, kind);
    for (int i = 1; i < r->argc; i++) {
        pubsub_unsubscribe(c, kind, r->argv[i]);
        begin_message(c, unsubscribed[kind]);
        reply_bulk(c, r->argv[i]);
        reply_int(c, count_with_kind(c, kind));
    }
    end_messages(c, mark);
}

static void subscribe(struct request *r) {
    subscribe_to(r, PUBSUB_CHANNEL);
}

static void psubscribe(struct request *r) {
    subscribe_to(r, PUBSUB_PATTERN);
}

/* Inside MULTI, Redis permits SUBSCRIBE and PSUBSCRIBE but not SSUBSCRIBE. */
static void ssubscribe(struct request *r) {
    if (call_is_nested) {
        reply_error(r->client, "ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client");
        return;
    }
    subscribe_to(r, PUBSUB_SHARD);
}

static void unsubscribe(struct request *r) {
    unsubscribe_from(r, PUBSUB_CHANNEL);
}

static void punsubscribe(struct request *r) {
    unsubscribe_from(r, PUBSUB_PATTERN);
}

static void sunsubscribe(struct request *r) {
    unsubscribe_from(r, PUBSUB_SHARD);
}

/* --- Publishing ------------------------------------------------------------------------------ */

/* The append-only file does not need messages. Replicas, which have subscribers of their own, will. */
static void publish_to(struct request *r, enum pubsub_kind kind) {
    struct blob *blob = request_take_blob(r, 2);
    int64_t receivers = pubsub_publish(kind, r->argv[1], r->argv[2], blob);
    if (blob) blob_drop(blob);
    reply_int(r->client, receivers);
}

static void publish(struct request *r) {
    publish_to(r, PUBSUB_CHANNEL);
}

static void spublish(struct request *r) {
    publish_to(r, PUBSUB_SHARD);
}

/* --- PUBSUB ---------------------------------------------------------------------------------- */

struct listing {
    struct client *client;
    const struct slice *pattern; /* NULL: list all topics */
    size_t count;                /* topics that were listed */
};

static void list_topic(void *ctx, struct slice topic) {
    struct listing *listing = ctx;
    if (listing->pattern && !glob_match(*listing->pattern, topic)) return;
    reply_bulk(listing->client, topic);
    listing->count++;
}

static void list_channels(struct request *r, enum pubsub_kind kind) {
    struct client *c = r->client;
    if (r->argc > 3) {
        reply_unknown_subcommand(c, r->argv[1], "PUBSUB");
        return;
    }
    struct listing listing = {.client = c, .pattern = r->argc == 3 ? &r->argv[2] : NULL};
    size_t place = reply_hold(c);
    pubsub_each(kind, list_topic, &listing);
    reply_array_at(c, place, listing.count);
}

static void count_subscribers(struct request *r, enum pubsub_kind kind) {
    reply_array(r->client, ((size_t)r->argc - 2) * 2);
    for (int i = 2; i < r->argc; i++) {
        reply_bulk(r->client, r->argv[i]);
        reply_int(r->client, (int64_t)pubsub_subscribers(kind, r->argv[i]));
    }
}

static void pubsub_channels(struct request *r) {
    list_channels(r, PUBSUB_CHANNEL);
}

static void pubsub_shardchannels(struct request *r) {
    list_channels(r, PUBSUB_SHARD);
}

static void pubsub_numsub(struct request *r) {
    count_subscribers(r, PUBSUB_CHANNEL);
}

static void pubsub_shardnumsub(struct request *r) {
    count_subscribers(r, PUBSUB_SHARD);
}

static void pubsub_numpat(struct request *r) {
    reply_int(r->client, (int64_t)pubsub_topics(PUBSUB_PATTERN));
}

static void pubsub_help(struct request *r) {
    static const char *const lines[] = {
        "CHANNELS [<pattern>]",
        "    List the channels that have subscribers, or those of them that match.",
        "NUMPAT",
        "    Count the patterns that have subscribers.",
        "NUMSUB [<channel> ...]",
        "    Count the subscribers of each <channel>; those of patterns are left out.",
        "SHARDCHANNELS [<pattern>]",
        "    List the shard channels that have subscribers, or those of them that match.",
        "SHARDNUMSUB [<shardchannel> ...]",
        "    Count the subscribers of each <shardchannel>.",
        NULL,
    };
    reply_help(r->client, "PUBSUB", lines);
}

static const struct command pubsub_subcommands[] = {
    {"channels", pubsub_channels, -2, .flags = CMD_PUBSUB | CMD_LOADING | CMD_STALE, .group = GROUP_PUBSUB,
     .since = "2.8.0", .summary = "List the channels that have subscribers.", .complexity = "O(n) for n channels",
     .syntax = "[pattern:pattern]"},
    {"help", pubsub_help, 2, .flags = CMD_LOADING | CMD_STALE, .group = GROUP_PUBSUB, .since = "6.2.0",
     .summary = "Describe the subcommands."},
    {"numpat", pubsub_numpat, 2, .flags = CMD_PUBSUB | CMD_LOADING | CMD_STALE, .group = GROUP_PUBSUB, .since = "2.8.0",
     .summary = "Count the patterns that have subscribers."},
    {"numsub", pubsub_numsub, -2, .flags = CMD_PUBSUB | CMD_LOADING | CMD_STALE, .group = GROUP_PUBSUB,
     .since = "2.8.0", .summary = "Count the subscribers of some channels.",
     .complexity = "O(n) for n channels asked for", .syntax = "[channel...]"},
    {"shardchannels", pubsub_shardchannels, -2, .flags = CMD_PUBSUB | CMD_LOADING | CMD_STALE, .group = GROUP_PUBSUB,
     .since = "7.0.0", .summary = "List the shard channels that have subscribers.",
     .complexity = "O(n) for n shard channels", .syntax = "[pattern:pattern]"},
    {"shardnumsub", pubsub_shardnumsub, -2, .flags = CMD_PUBSUB | CMD_LOADING | CMD_STALE, .group = GROUP_PUBSUB,
     .since = "7.0.0", .summary = "Count the subscribers of some shard channels.",
     .complexity = "O(n) for n shard channels asked for", .syntax = "[shardchannel...]"},
    {NULL},
};

static const struct command pubsub_commands[] = {
    {"publish", publish, 3, .flags = CMD_MAY_REPLICATE | CMD_PUBSUB | CMD_LOADING | CMD_STALE | CMD_FAST,
     .group = GROUP_PUBSUB, .since = "2.0.0", .summary = "Send a message to the subscribers of a channel.",
     .complexity = "O(n + m) for n receivers and m patterns that begin as the channel does",
     .syntax = "channel message"},
    {"psubscribe", psubscribe, -2, .flags = CMD_PUBSUB | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_WHILE_SUBSCRIBED,
     .group = GROUP_PUBSUB, .since = "2.0.0", .summary = "Subscribe to all channels that match a pattern.",
     .complexity = "O(n) for n patterns", .syntax = "pattern:pattern..."},
    {"pubsub", NULL, -2, .group = GROUP_PUBSUB, .since = "2.8.0",
     .summary = "Ask which channels and patterns have subscribers.", .complexity = "Depends on the subcommand",
     .subcommands = pubsub_subcommands},
    {"punsubscribe", punsubscribe, -1,
     .flags = CMD_PUBSUB | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_WHILE_SUBSCRIBED, .group = GROUP_PUBSUB,
     .since = "2.0.0", .summary = "End subscriptions to patterns.", .complexity = "O(n) for n patterns",
     .syntax = "[pattern:pattern...]"},
    {"spublish", spublish, 3, .flags = CMD_MAY_REPLICATE | CMD_PUBSUB | CMD_LOADING | CMD_STALE | CMD_FAST,
     .first_key = 1, .group = GROUP_PUBSUB, .since = "7.0.0",
     .summary = "Send a message to the subscribers of a shard channel.", .complexity = "O(n) for n receivers",
     .syntax = "shardchannel message", .key_flags = "not_key"},
    {"ssubscribe", ssubscribe, -2, .flags = CMD_PUBSUB | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_WHILE_SUBSCRIBED,
     .first_key = 1, .last_key = -1, .group = GROUP_PUBSUB, .since = "7.0.0", .summary = "Subscribe to shard channels.",
     .complexity = "O(n) for n shard channels", .syntax = "shardchannel...", .key_flags = "not_key"},
    {"subscribe", subscribe, -2, .flags = CMD_PUBSUB | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_WHILE_SUBSCRIBED,
     .group = GROUP_PUBSUB, .since = "2.0.0", .summary = "Subscribe to channels.", .complexity = "O(n) for n channels",
     .syntax = "channel..."},
    {"sunsubscribe", sunsubscribe, -1,
     .flags = CMD_PUBSUB | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_WHILE_SUBSCRIBED, .first_key = 1,
     .last_key = -1, .group = GROUP_PUBSUB, .since = "7.0.0", .summary = "End subscriptions to shard channels.",
     .complexity = "O(n) for n shard channels", .syntax = "[shardchannel...]", .key_flags = "not_key"},
    {"unsubscribe", unsubscribe, -1,
     .flags = CMD_PUBSUB | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_WHILE_SUBSCRIBED, .group = GROUP_PUBSUB,
     .since = "2.0.0", .summary = "End subscriptions to channels.", .complexity = "O(n) for n channels",
     .syntax = "[channel...]"},
    {NULL},
};

const struct module pubsub_commands_module = {.commands = pubsub_commands};
