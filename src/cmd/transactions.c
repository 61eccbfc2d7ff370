/* MULTI, EXEC, DISCARD, WATCH and UNWATCH: see exec/tx.h. */
#include "base/module.h"
#include "catalog/command_row.h"
#include "exec/tx.h"

static void multi(struct request *r) {
    tx_multi(r->client);
}

static void discard(struct request *r) {
    tx_discard(r->client);
}

static void unwatch(struct request *r) {
    tx_unwatch(r->client);
}

static const struct command transactions_commands[] = {
    {"multi", multi, 1, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY | CMD_UNQUEUED,
     .group = GROUP_TRANSACTIONS, .since = "1.2.0", .summary = "Begin a transaction: requests are queued until EXEC."},
    {"exec", tx_exec, 1, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SKIP_SLOWLOG | CMD_UNQUEUED | CMD_EXEC,
     .group = GROUP_TRANSACTIONS, .since = "1.2.0",
     .summary = "Run the queued requests, with no other client's between them.",
     .complexity = "The sum of the queued requests"},
    {"discard", discard, 1, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY | CMD_UNQUEUED,
     .group = GROUP_TRANSACTIONS, .since = "2.0.0", .summary = "End a transaction without running what is queued.",
     .complexity = "O(n) for n queued requests and watched keys"},
    {"watch", tx_watch, -2, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY | CMD_UNQUEUED,
     .first_key = 1, .last_key = -1, .group = GROUP_TRANSACTIONS, .since = "2.2.0",
     .summary = "Let the next EXEC fail if one of these keys has changed by then.", .complexity = "O(n) for n keys",
     .syntax = "key:key...", .key_flags = "RO"},
    {"unwatch", unwatch, 1, .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY,
     .group = GROUP_TRANSACTIONS, .since = "2.2.0", .summary = "Stop watching keys.",
     .complexity = "O(n) for n watched keys"},
    {NULL},
};

const struct module transactions_module = {.commands = transactions_commands};
